"""Benchmark: pops recorded per second beside a busy event loop, what each costs the loop, and reading from a million.

    python -m tests.benchmarks.ledger [--pops 60000] [--rate 15000] [--database 1000000] [--synchronous normal]

Each pop is accepted with two steps and noted one more. Beside that, the event loop is never idle but in the first line.
What a pop costs the loop is its thread's processor time without that other work, and without what the same pops take
that are not recorded.
"""

import argparse
import asyncio
import platform
import secrets
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from bridge.ledger.ledger import Ledger
from bridge.words import settings as words
from bridge.words.ledger import Entry, Step

AGENTS = 1_000
PAYLOAD = b'{"popid":"x","data":{' + b'"prop":"value",' * 30 + b'"last":1}}'
_SLICE = 2_000  # turns of the idle work's inner loop, some 50 us


def entry(number: int, now: float) -> Entry:
    """Make a pop as the delivery would."""
    agent = str(number * 7919 % AGENTS)
    return Entry(
        popid=(int(now * 1000) << 80 | secrets.randbits(80)).to_bytes(16).hex(),
        customer="acme",
        agent=agent,
        channel="CTI",
        event="On Ring",
        topic=f"CTI/acme/{agent}",
        payload=PAYLOAD,
        sent=now,
        expires=now + 30,
        key="0123456789abcdef",
        fingerprint=secrets.token_bytes(16),
    )


class Load:
    """Pops at a rate, if `busy` beside a loop that is never idle."""

    def __init__(self, pops: int, rate: float, *, busy: bool) -> None:
        self.busy = busy
        self.pops = pops
        self.rate = rate
        self.slices = 0
        self.used = 0.0
        self.latencies: list[float] = []

    async def run(self, record: Callable[[Entry], Awaitable[None]]) -> float:
        """Give the seconds that it took."""
        work = asyncio.create_task(self._work())
        begun = time.perf_counter()
        used = time.thread_time()
        async with asyncio.TaskGroup() as group:
            started = 0
            while started < self.pops:
                due = min(self.pops, int((time.perf_counter() - begun) * self.rate))
                for number in range(started, due):
                    group.create_task(self._one(number, record))
                started = due
                await asyncio.sleep(0.001)
        took = time.perf_counter() - begun
        self.used = time.thread_time() - used
        work.cancel()
        return took

    def own(self, slice_seconds: float) -> float:
        """Give the seconds of the loop's thread that went into pops."""
        return self.used - self.slices * slice_seconds

    async def _one(self, number: int, record: Callable[[Entry], Awaitable[None]]) -> None:
        made = entry(number, time.time())
        begun = time.perf_counter()
        await record(made)
        self.latencies.append((time.perf_counter() - begun) * 1000)

    async def _work(self) -> None:
        while self.busy:
            for _ in range(_SLICE):
                pass
            self.slices += 1
            await asyncio.sleep(0)


def _say(line: str) -> None:
    print(line, flush=True)


async def _turn(_: Entry) -> None:
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(future.set_result, None)
    await future


async def recording(folder: Path, pops: int, rate: float, synchronous: str) -> None:
    """Measure and print."""
    busy = rate > 1000
    bare = Load(pops, rate, busy=busy)
    await bare.run(_turn)
    settings = words.Ledger(synchronous="full" if synchronous == "full" else "normal", max_waiting=1_000_000)
    load = Load(pops, rate, busy=busy)
    async with Ledger.open(folder, settings) as ledger:

        async def record(one: Entry) -> None:
            await ledger.accept(one, (Step("accepted", one.sent), Step("sent", one.sent)))
            ledger.note(one.popid, "shown", one.sent, final=True)

        took = await load.run(record)
        closing = time.perf_counter()
        groups = ledger.counted["groups"]
    took += time.perf_counter() - closing
    unit = _slice_seconds()
    ordered = sorted(load.latencies)
    name = f"synchronous={synchronous}, offered {rate:.0f}/s{'' if busy else ', idle'}"
    each = (load.own(unit) - bare.own(unit)) / pops * 1e6
    p50, p99 = statistics.median(ordered), ordered[int(len(ordered) * 0.99)]
    _say(
        f"{name:<38} {pops / took:>7.0f} pops/s {pops / groups:>6.0f} a group {each:>6.1f} us of the loop each;"
        f" accept ms p50 {p50:.1f} p99 {p99:.1f}"
    )


def _slice_seconds() -> float:
    times = []
    for _ in range(500):
        begun = time.perf_counter()
        for _ in range(_SLICE):
            pass
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


async def reading(folder: Path, pops: int) -> None:
    """Fill a ledger with pops of 30 days, and print how long lists take."""
    begun = time.perf_counter()
    async with Ledger.open(folder):
        pass
    _fill(folder / "ledger.db", pops)
    _say(f"{f'filled with {pops} pops':<34} {time.perf_counter() - begun:>9.1f} s")
    async with Ledger.open(folder) as ledger:
        begun = time.perf_counter()
        opened = await ledger.take_up(time.time())
        _say(f"{f'take_up of {len(opened)} open':<34} {(time.perf_counter() - begun) * 1000:>9.1f} ms")
        since = time.time() - 3 * 86_400
        first = await ledger.pops("acme", limit=500)
        queries: dict[str, Callable[[], Awaitable[object]]] = {
            "all": lambda: ledger.pops("acme"),
            "all, 500": lambda: ledger.pops("acme", limit=500),
            "second page of 500": lambda: ledger.pops("acme", limit=500, cursor=first.next),
            "since 3 days": lambda: ledger.pops("acme", since=since),
            "agent": lambda: ledger.pops("acme", agent="7"),
            "agent and rare status": lambda: ledger.pops("acme", agent="7", status="refused"),
            "agent, no such status": lambda: ledger.pops("acme", agent="7", status="recalled"),
            "rare status": lambda: ledger.pops("acme", status="refused"),
            "rare status, since": lambda: ledger.pops("acme", status="refused", since=since),
            "common status": lambda: ledger.pops("acme", status="shown"),
            "another customer": lambda: ledger.pops("globex"),
            "one pop": lambda: ledger.pop(first.items[-1].popid, "acme"),
            "no such key": lambda: ledger.remembered("acme", "connect", "k", time.time()),
        }
        for name, query in queries.items():
            times = []
            for _ in range(20):
                begun = time.perf_counter()
                await query()
                times.append((time.perf_counter() - begun) * 1000)
            _say(f"{name:<34} {times[0]:>9.2f} ms first {statistics.median(times):>9.2f} p50 {max(times):>9.2f} max")


def _fill(file: Path, pops: int) -> None:
    now = time.time()
    connection = sqlite3.connect(file)
    step = 30 * 86_400 / pops

    def rows() -> list[tuple[int, str, str, str, str, float, float, str, int]]:
        made = []
        for number in range(pops):
            sent = now - 1 - (pops - number) * step
            one = entry(number, sent)
            status = "refused" if number % 9973 == 0 else "shown" if number % 3 else "delivered"
            first = (int(sent * 1000) << 20) + number % 1000
            customer = "globex" if number % 99_991 == 0 else "acme"
            made.append(
                (first, one.popid, customer, one.agent, one.topic, sent, sent + 30, status, int(number > pops - 99))
            )
        return made

    made = rows()
    connection.executemany(
        "INSERT INTO pops (number, popid, customer, agent, channel, event, topic, sent, expires, key, status, open)"
        " VALUES (?, ?, ?, ?, 'CTI', 'On Ring', ?, ?, ?, '0123456789abcdef', ?, ?)",
        made,
    )
    for nth, status in enumerate(("accepted", "sent", "shown"), 1):
        connection.executemany(
            "INSERT INTO steps VALUES (?1, ?1 + ?2, ?3, ?4, '')", ((row[0], nth, status, row[5]) for row in made)
        )
    connection.execute("UPDATE numbers SET last = ?", (made[-1][0] + 3,))
    connection.executemany("INSERT INTO documents VALUES (?, ?)", ((row[0], PAYLOAD) for row in made[-100_000:]))
    connection.commit()
    connection.close()


def main() -> None:
    """Run everything once and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pops", type=int, default=60_000)
    parser.add_argument("--rate", type=float, default=15_000.0)
    parser.add_argument("--database", type=int, default=1_000_000)
    parser.add_argument("--synchronous", choices=("normal", "full", "both"), default="both")
    parser.add_argument("--switch", type=float, default=sys.getswitchinterval(), help="sys.setswitchinterval")
    parser.add_argument("--dir", type=Path, default=None, help="a directory on the disk to measure")
    options = parser.parse_args()
    sys.setswitchinterval(options.switch)
    _say(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, uvloop, {platform.system()}")
    for synchronous in ("normal", "full") if options.synchronous == "both" else (options.synchronous,):
        for rate in (200.0, options.rate, 10 * options.rate):
            with tempfile.TemporaryDirectory(dir=options.dir) as folder:
                pops = options.pops if rate > 1000 else 1000
                uvloop.run(recording(Path(folder), pops, rate, synchronous))
    if options.database:
        with tempfile.TemporaryDirectory(dir=options.dir) as folder:
            uvloop.run(reading(Path(folder), options.database))


if __name__ == "__main__":
    main()
