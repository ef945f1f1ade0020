"""Benchmark: a burst of CloudSync events by MQTT QoS 1 into a real bridge, its numbers, and pops beside it.

    python -m tests.benchmarks.burst [--events 50000] [--day 500000] [--rate 200] [--most 5000] [--rounds 3]

A simulated day of 50 groups is published on one connection with so many messages unacknowledged, spelled beforehand, by
a process of its own: events per second until the last PUBACK, which each mean a commit. Then it is waited until all is
computed, and read. Pops are triggered at a fixed rate without a burst, then beside another one (of `--most` events a
second), in rounds. In the end a larger day is taken, folded, computed and computed again, in this process. The CPU is
the bridge's with its processor's, all threads.
"""

import argparse
import asyncio
import datetime as dt
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import aiohttp
import uvloop

from bridge.cloudsync.flow.cloudsync import Cloudsync
from bridge.cloudsync.simulator.centre import Centre, Event, Size
from bridge.words.cloudsync import Mapping
from bridge.words.settings import Cloudsync as Settings
from bridge.words.settings import Customer
from tests.benchmarks.broker import CONNACK, answer, connect, cpu, dismiss, resident
from tests.benchmarks.cloudsync import events_of
from tests.benchmarks.pops import Crowd, crowd, tell
from tests.broker.contract import packets
from tests.cloudsync.process import tables
from tests.cloudsync.process.day import Day
from tests.conftest import Bridge

GROUPS = 50
AGENTS = 400
DESKTOPS = 100
WINDOW = 400  # unacknowledged messages, as the simulator's own sender
ASKED = 11
FIRST = 2  # days ago, and one more for each burst: two of one day would have the same records
REQUEST = 5_000
PACE = 256 * 1024  # bytes that the sender writes at most before it looks for PUBACKs

_A_TICKET, _AN_AGENT = 16.7, 29  # events of the simulator for each ticket with its 2.5 sessions, and for each agent


def sized(events: int) -> Size:
    """Make a centre with about so many events a day."""
    tickets = max(1, round((events - AGENTS * _AN_AGENT) / _A_TICKET))
    return Size(groups=GROUPS, agents=AGENTS, tickets=tickets, sessions=round(tickets * 2.5))


# The feed


class Feed(asyncio.Protocol):
    """A connection that publishes letters with so many unacknowledged; `most` a second, 0: as fast as it may."""

    def __init__(self, token: str, most: int) -> None:
        self._loop = loop = asyncio.get_running_loop()
        self._most = most
        self._sent = 0
        self._begun = 0.0
        self._token = token
        self._rest = b""
        self._letters: Iterator[bytes] = iter(())
        self._unacknowledged = 0
        self._ended = False
        self.ready: asyncio.Future[None] = loop.create_future()
        self.done: asyncio.Future[None] = loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Log in."""
        self._transport = cast("asyncio.WriteTransport", transport)
        self._transport.write(connect("burst", "acme", self._token))

    def data_received(self, data: bytes) -> None:
        """Take CONNACK, then PUBACKs, of four bytes each."""
        self._rest += data
        if not self.ready.done():
            assert self._rest == CONNACK, self._rest.hex(" ")
            self._rest = b""
            self.ready.set_result(None)
            return
        count, over = divmod(len(self._rest), 4)
        self._unacknowledged -= count
        self._rest = self._rest[-over:] if over else b""
        self.proceed()

    def connection_lost(self, reason: Exception | None) -> None:
        """Fail if something is left."""
        if not self.done.done():
            self.done.set_exception(RuntimeError(f"the bridge ended the feed's connection: {reason}"))

    def publish(self, letters: list[bytes]) -> None:
        """Begin."""
        self._letters = iter(letters)
        self._begun = self._loop.time()
        self.proceed()

    def proceed(self) -> None:
        """Send as many as may be unacknowledged."""
        some = []
        size = 0
        due = int((self._loop.time() - self._begun) * self._most) if self._most else sys.maxsize
        if self._most and not self._ended:
            self._loop.call_later(0.002, self.proceed)
        while self._unacknowledged < WINDOW and not self._ended and size < PACE and self._sent < due:
            letter = next(self._letters, None)
            if letter is None:
                self._ended = True
                break
            some.append(letter)
            self._sent += 1
            size += len(letter)
            self._unacknowledged += 1
        if some:
            self._transport.write(b"".join(some))
        if self._ended and not self._unacknowledged and not self.done.done():
            self.done.set_result(None)


async def send(port: int, token: str, events: list[Event], most: int) -> None:
    """Be the feed: ready when all is spelled, then one burst for the line on stdin."""
    letters = [
        packets.publish(f"CLOUDSYNC/acme/{event.channel}", event.payload, qos=1, mid=number % 65_535 + 1)
        for number, event in enumerate(events)
    ]
    loop = asyncio.get_running_loop()
    _, feed = await loop.create_connection(lambda: Feed(token, most), "127.0.0.1", port)
    await feed.ready
    say(events=len(letters), size=sum(map(len, letters)) / len(letters))
    await asyncio.to_thread(sys.stdin.readline)
    begun = time.perf_counter()
    feed.publish(letters)
    await feed.done
    say(took=time.perf_counter() - begun)
    await asyncio.to_thread(sys.stdin.readline)


def say(**what: object) -> None:
    """Answer an order."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


@asynccontextmanager
async def feeding(
    port: int, token: str, seed: int, events: int, most: int = 0
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Have a feed that only has to be told."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.benchmarks.burst", "--feed", str(port), "--token", token),
        *("--seed", str(seed), "--events", str(events), "--most", str(most)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        await dismiss(process)


# The bridge


async def burst(folder: Path, events: int, plan: argparse.Namespace) -> None:
    """Measure a real bridge: bursts alone, then rounds of pops without one and beside one."""
    bridge = Bridge(folder / "data", Day(1, sized(events)).config())
    feed, reader, key = bridge.token("feed"), bridge.token("observer"), bridge.key()
    agents = "\n".join(str(number) for number in range(DESKTOPS))
    issue = ("tokens", "issue", "--customer", "acme", "--role", "desktop", "--agents", "-")
    tokens = bridge.secret(*issue, given=agents).splitlines()
    bridge.start()
    rate: int = plan.rate
    try:
        row("memory, at rest", _memory(bridge))
        for number in range(1, plan.bursts + 1):
            await _burst(bridge, feed, number, events)
            await _read(bridge, reader, Day(number, sized(events), FIRST + number))
        for number in range(plan.bursts + 1, plan.bursts + plan.rounds + 1):
            async with (
                crowd(bridge, key, tokens) as people,
                feeding(bridge.mqtt_port, feed, number, events, plan.most) as process,
            ):
                await answer(process)
                await people.pop(DESKTOPS, 1_000, 0)
                await _pops(people, "no burst", rate)
                await tell(process, "go")
                await _pops(people, "beside a burst", rate)
                took = (await answer(process))["took"]
                row("the burst beside the pops", f"{events / took:,.0f} events/s, {took:.1f} s")
                await _pops(people, "while it is computed", rate)
            await tables.stands(bridge, None, within=300)
            row("memory", _memory(bridge))
    finally:
        bridge.stop()


def _memory(bridge: Bridge) -> str:
    pid = bridge.process.pid
    apart = [each for each in offspring(pid) if each != pid]
    processor = ", ".join(f"its processor {resident(each) / 1024:,.0f} ({_peak(each):,.0f}) MiB" for each in apart)
    return f"now (at most so far): bridge {resident(pid) / 1024:,.0f} ({_peak(pid):,.0f}) MiB, {processor}"


def offspring(pid: int) -> list[int]:
    """Tell a process and all that it has started."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text(encoding="ascii").split():
            found += offspring(int(child))
    return found


def spent_by(pid: int) -> float:
    """Tell the seconds of CPU that a process and all that it has started have used."""
    return sum(cpu(each) for each in offspring(pid))


async def _burst(bridge: Bridge, token: str, seed: int, events: int) -> None:
    pid = bridge.process.pid
    async with feeding(bridge.mqtt_port, token, seed, events) as process:
        told = await answer(process)
        before = spent_by(pid)
        await tell(process, "go")
        took = (await answer(process))["took"]
        spent = spent_by(pid) - before
        count = told["events"]
        row(f"burst {seed}", f"{count:,} events of {told['size']:,.0f} bytes in {took:.2f} s")
        row("  by MQTT QoS 1 into SQLite", f"{count / took:,.0f} events/s")
        row("  CPU until the last PUBACK", f"{spent / count * 1e6:,.0f} us/event, {100 * spent / took:.0f} %")
        rest = await tables.stands(bridge, None, within=300)
        row(
            "  computed after the last PUBACK",
            f"{rest:.1f} s, CPU {(spent_by(pid) - before) / count * 1e6:,.0f} us/event",
        )
        row("  memory", _memory(bridge))


def _peak(pid: int) -> float:
    """Tell the MiB of memory that a process has held at most."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


async def _read(bridge: Bridge, token: str, day: Day) -> None:
    start = dt.datetime.fromtimestamp(day.start / 1000, dt.UTC)
    asked = {"from": f"{start:%Y-%m-%dT%H:%M:%SZ}", "to": f"{start + dt.timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"}
    times = []
    async with aiohttp.ClientSession(bridge.http, headers={"Authorization": f"Bearer {token}"}) as session:
        for _ in range(ASKED):
            begun = time.perf_counter()
            async with session.get("/api/stt", params=asked) as response:
                body = await response.read()
                assert response.status == 200
            times.append(time.perf_counter() - begun)
    count = len(json.loads(body)["rows"])
    row(
        f"GET /api/stt, {count:,} rows, {len(body) / 1e6:.1f} MB",
        f"median {statistics.median(times) * 1e3:.1f} ms, best {min(times) * 1e3:.1f} ms",
    )


async def _pops(people: Crowd, what: str, rate: int) -> None:
    called, arrived = await people.pop(DESKTOPS, rate * 5, rate)
    missing = called["refused"] + arrived["missing"]
    row(
        f"pops at {rate}/s, {what}",
        f"desk p50 {arrived['p50']:.1f} p99 {arrived['p99']:.1f}, answer p50 {called['p50']:.1f} "
        f"p99 {called['p99']:.1f} ms, missing {missing}",
    )


# A large day


async def large(folder: Path, events: int) -> None:
    """Take a large day and compute it, then again, with the flow alone."""
    centre = Centre(7, dt.datetime.now(dt.UTC).date() - dt.timedelta(days=2), sized(events))
    spelled = events_of(centre)
    entities = ["SupportTicket", "ChatSession", "VideoSession", "UserPresence"]
    settings = Settings(feeds=["stt", "cim"], entities=entities, zone="America/New_York")  # type: ignore[arg-type]
    mapping: Mapping = centre.mapping
    async with Cloudsync.open(folder, lambda: {"acme": Customer(cloudsync=settings)}, time.time) as cloudsync:
        cloudsync.set_mapping(lambda _: mapping)
        begun = time.perf_counter()
        for start in range(0, len(spelled), REQUEST):
            await cloudsync.accept("acme", spelled[start : start + REQUEST])
        row(f"a day of {len(spelled):,} events", f"stored in {time.perf_counter() - begun:.1f} s")
        await _timed("  folded and computed", cloudsync.settle)
        first = int(dt.datetime.combine(centre.day, dt.time(), dt.UTC).timestamp() * 1000)
        await cloudsync.recompute("acme", first, first + 86_400_000)
        await _timed("  the day computed again (recompute)", cloudsync.settle)
        await cloudsync.recompute("acme", first, int(time.time() * 1000))
        await _timed("  all since then computed again", cloudsync.settle)
        await _timed("  all records folded again (refold)", lambda: cloudsync.refold("acme"))
        await _timed("  and computed again", cloudsync.settle)


async def _timed(what: str, work: Callable[[], Awaitable[None]]) -> None:
    begun, spent = time.perf_counter(), time.process_time()
    await work()
    row(what, f"{time.perf_counter() - begun:.1f} s (CPU {time.process_time() - spent:.1f} s)")


def row(what: str, value: str) -> None:
    """Print a line of the table, with how busy the machine is."""
    sys.stdout.write(f"{what:<42} {value:<86} load {os.getloadavg()[0]:.1f}\n")
    sys.stdout.flush()


def main() -> None:
    """Run everything once, or be the feed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=50_000, help="of a burst; 0: no bursts")
    parser.add_argument("--day", type=int, default=500_000, help="events of the large day; 0: none")
    parser.add_argument("--rate", type=int, default=200, help="triggers per second")
    parser.add_argument("--bursts", type=int, default=2, help="bursts alone, as fast as they may")
    parser.add_argument("--rounds", type=int, default=1, help="of pops without a burst and beside one")
    parser.add_argument("--feed", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--token", help=argparse.SUPPRESS)
    parser.add_argument("--most", type=int, default=0, help="events per second beside the pops; 0: as fast as it may")
    parser.add_argument("--seed", type=int, default=1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.feed:
        uvloop.run(
            send(
                options.feed,
                options.token,
                Day(options.seed, sized(options.events), FIRST + options.seed).events(),
                options.most,
            )
        )
        return
    sys.stdout.write(f"Python {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}\n")
    with tempfile.TemporaryDirectory() as folder:
        if options.events:
            uvloop.run(burst(Path(folder), options.events, options))
        if options.day:
            uvloop.run(large(Path(folder), options.day))


if __name__ == "__main__":
    main()
