"""Benchmark: the whole product, from an HTTP trigger to the desktop's PUBACK at QoS 1, with the ledger and without.

    python -m tests.benchmarks.pops [--agents 100 1000] [--pops 20000] [--rate 500] [--rounds 3] [--listed 1000000]

Four processes: the bridge, callers on kept connections with 500 bytes of JSON each, all desktops, and this one. Each
round runs the bridge as it is configured by default and one whose ledger writes nothing, by turns, so that whatever
else the machine does meets both. Pops are counted at the desktops. The CPU is the bridge's, all threads.
"""

import argparse
import asyncio
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, cast

import aiohttp
import uvloop

from bridge import config, service
from bridge.ledger.ledger import Ledger
from bridge.words.ledger import Entry, Record, Remembered, Step
from tests.benchmarks.broker import Agent, Arrivals, answer, cpu, dismiss
from tests.benchmarks.ledger import _fill
from tests.conftest import Bridge

SIZE = 500  # bytes of a trigger's JSON
STAMP = 19  # digits of time.monotonic_ns
CONNECTIONS = 32
WARM_UP = 1_000
CONFIG = """\
http: {bind: 127.0.0.1:0}
mqtt: {bind: 127.0.0.1:0, max_connections: 20000}
customers:
  acme: {cti: [env1]}
"""


# The bridge without a ledger


class Forgetful(Ledger):
    """A ledger that writes nothing: what its callers do stays, what it does is gone."""

    async def accept(
        self, entry: Entry, steps: Sequence[Step], answer: Remembered | None = None, *, final: bool = False
    ) -> None:
        """Forget it."""

    def note(self, popid: str, status: str, at: float, detail: str = "", *, final: bool = False) -> None:
        """Forget it."""

    def close(self, popid: str) -> None:
        """Forget it."""

    def remember(self, answer: Remembered) -> None:
        """Forget it."""

    def save_record(self, record: Record) -> None:
        """Forget it."""

    def seen(self, customer: str, agent: str, at: float) -> None:
        """Forget it."""


def serve(data: Path) -> None:
    """Be the bridge whose ledger is switched out."""
    service.Ledger = Forgetful  # type: ignore[attr-defined]
    path = data / "broker.yaml"
    sys.exit(service.run(path, data, config.load(path)))


class Bare(Bridge):
    """The same in a process of its own."""

    def start(self) -> "Bare":
        """Start it; a `python -m bridge` in all but the ledger."""
        with self.stderr.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.benchmarks.pops", "--serve", str(self.data)],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self.process.stdout is not None
        words = self.process.stdout.readline().split()
        assert words[:2] == ["popbridge", "ready"], self.log()
        self.http = words[2].replace("http=", "http://")
        self.http_port, self.mqtt_port = (int(word.rpartition(":")[2]) for word in words[2:])
        return self


# The callers


class Line(asyncio.Protocol):
    """A kept HTTP connection with at most one request on it."""

    def __init__(self, callers: "Callers") -> None:
        self._callers = callers
        self._rest = b""
        self._due = 0
        self.transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready."""
        self.transport = cast("asyncio.WriteTransport", transport)
        self._callers.free(self)

    def ask(self, request: bytes, due: int) -> None:
        """Send a request."""
        self._due = due
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take an answer, once it is whole; it has a Content-Length and a body of one line."""
        self._rest += data
        head = self._rest.find(b"\r\n\r\n")
        if head < 0:
            return
        at = self._rest.find(b"Content-Length: ")
        length = int(self._rest[at + 16 : self._rest.find(b"\r\n", at)])
        if len(self._rest) < head + 4 + length:
            return
        accepted, self._rest = self._rest.startswith(b"HTTP/1.1 200"), b""
        self._callers.answered(self, self._due, accepted=accepted)


class Callers:
    """Callers on so many connections: as fast as they are answered, or at a rate, whatever the answers do."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._idle: deque[Line] = deque()
        self._some = asyncio.Event()
        self._waiting = 0
        self._refused = 0
        self._answers: list[int] = []

    def free(self, line: Line) -> None:
        """Have a connection for the next request."""
        self._idle.append(line)
        self._some.set()

    def answered(self, line: Line, due: int, *, accepted: bool) -> None:
        """Take an answer."""
        self._answers.append(time.monotonic_ns() - due)
        self._refused += not accepted
        self._waiting -= 1
        self.free(line)

    async def obey(self, port: int) -> None:
        """Do what each line on stdin asks for, and tell on stdout; ends with stdin."""
        loop = asyncio.get_running_loop()
        lines = [(await loop.create_connection(lambda: Line(self), "127.0.0.1", port))[1] for _ in range(CONNECTIONS)]
        while order := await asyncio.to_thread(sys.stdin.readline):
            wanted = json.loads(order)
            begun = time.monotonic_ns()
            self._answers, self._refused = [], 0
            for number in range(wanted["pops"]):
                due = time.monotonic_ns()
                if wanted["rate"]:
                    due = begun + int(number / wanted["rate"] * 1e9)
                    if (ahead := (due - time.monotonic_ns()) / 1e9) > 0:
                        await asyncio.sleep(ahead)
                while not self._idle:
                    self._some.clear()
                    await self._some.wait()
                self._waiting += 1
                self._idle.popleft().ask(self._request(number % wanted["agents"], number, due), due)
            while self._waiting:
                self._some.clear()
                await self._some.wait()
            ordered = sorted(self._answers)
            say(
                begun=begun,
                refused=self._refused,
                p50=ordered[len(ordered) // 2] / 1e6,
                p99=ordered[len(ordered) * 99 // 100] / 1e6,
            )
        for line in lines:
            line.transport.close()

    def _request(self, agent: int, number: int, due: int) -> bytes:
        body = f'{{"agentid":"{agent}","event":"On Ring","phone":"+15550100","number":{number},"t":"{due:019}","more":"'
        body += "x" * (SIZE - len(body) - 2) + '"}'
        head = (
            "POST /api/sendmessage/CTI HTTP/1.1\r\nHost: bridge.example.com\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {self._key}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return (head + body).encode()


# The desktops


class Documents(Arrivals):
    """What the desktops got; the caller's stamp is in the data."""

    def note(self, document: bytes) -> None:
        """Take one pop."""
        at = document.rfind(b'"t":"') + 5
        super().note(document[at : at + STAMP])


async def sit(port: int) -> None:
    """Be all desktops; the first line on stdin has their tokens, each other one says how many pops to await."""
    tokens: list[str] = json.loads(await asyncio.to_thread(sys.stdin.readline))
    arrivals = Documents()
    loop = asyncio.get_running_loop()
    for number, token in enumerate(tokens):
        agent = Agent(number, token, arrivals)
        await loop.create_connection(lambda agent=agent: agent, "127.0.0.1", port)  # type: ignore[misc]
        await agent.ready
    say(ready=True)
    while order := await asyncio.to_thread(sys.stdin.readline):
        arrivals.expect(json.loads(order), stamped=True)
        say(ready=True)
        missing = await arrivals.complete()
        delays = sorted(seen - due for due, seen in arrivals.stamps or [])
        say(
            last=arrivals.last,
            missing=missing,
            p50=delays[len(delays) // 2] / 1e6,
            p99=delays[len(delays) * 99 // 100] / 1e6,
        )


def say(**what: object) -> None:
    """Answer an order."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


# The rounds


class Figures(NamedTuple):
    """What one round measured."""

    speed: float  # pops per second at the desktops
    cost: float  # microseconds of the bridge's CPU for each
    p50: float  # milliseconds from when a trigger was due to the desktop, at the fixed rate
    p99: float
    answer50: float  # milliseconds from when it was due to the answer
    answer99: float
    missing: float  # answered otherwise than 200, or not arrived


class Crowd:
    """The callers and the desktops of one bridge."""

    def __init__(self, callers: asyncio.subprocess.Process, desktops: asyncio.subprocess.Process) -> None:
        self._callers = callers
        self._desktops = desktops

    async def pop(self, agents: int, pops: int, rate: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """Have so many pops; tell what the callers and what the desktops saw."""
        await tell(self._desktops, pops)
        await answer(self._desktops)
        await tell(self._callers, {"agents": agents, "pops": pops, "rate": rate})
        return await answer(self._callers), await answer(self._desktops)


async def tell(process: asyncio.subprocess.Process, what: object) -> None:
    """Give an order."""
    assert process.stdin is not None
    process.stdin.write(json.dumps(what).encode() + b"\n")
    await process.stdin.drain()


async def child(*arguments: str) -> asyncio.subprocess.Process:
    """Start this file in another role."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.benchmarks.pops", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=16 * 1024 * 1024,
    )


@asynccontextmanager
async def crowd(bridge: Bridge, key: str, tokens: Sequence[str]) -> AsyncIterator[Crowd]:
    """Have callers and desktops, all connected."""
    callers = await child("--call", str(bridge.http_port), "--key", key)
    desktops = await child("--sit", str(bridge.mqtt_port))
    try:
        await tell(desktops, tokens)
        await answer(desktops)
        yield Crowd(callers, desktops)
    finally:
        await dismiss(callers)
        await dismiss(desktops)


async def measure(bridge: Bridge, key: str, tokens: Sequence[str], options: argparse.Namespace) -> Figures:
    """Run one round."""
    async with crowd(bridge, key, tokens) as people:
        await people.pop(len(tokens), WARM_UP, 0)
        before = cpu(bridge.process.pid)
        called, arrived = await people.pop(len(tokens), options.pops, 0)
        cost = (cpu(bridge.process.pid) - before) / options.pops * 1e6
        speed = options.pops / (arrived["last"] - called["begun"]) * 1e9
        missing = called["refused"] + arrived["missing"]
        called, arrived = await people.pop(len(tokens), int(options.rate * options.seconds), options.rate)
        missing += called["refused"] + arrived["missing"]
    return Figures(speed, cost, arrived["p50"], arrived["p99"], called["p50"], called["p99"], missing)


HEADS = (
    ("pops/s", "{:,.0f}"),
    ("cpu us/pop", "{:.0f}"),
    ("desk p50", "{:.2f}"),
    ("desk p99", "{:.2f}"),
    ("answer p50", "{:.2f}"),
    ("answer p99", "{:.2f}"),
    ("missing", "{:,.0f}"),
)


def row(agents: int, name: str, cells: Sequence[str]) -> None:
    """Print a row."""
    sys.stdout.write(f"{agents:>7,} {name:<16}" + "".join(f"{cell:>12}" for cell in cells) + "\n")
    sys.stdout.flush()


async def compare(folder: Path, options: argparse.Namespace) -> None:
    """Run all rounds and print the table."""
    made = Bridge(folder / "made", CONFIG)
    key = made.key()
    agents = "\n".join(str(number) for number in range(max(options.agents)))
    tokens = made.secret(
        "tokens", "issue", "--customer", "acme", "--role", "desktop", "--agents", "-", given=agents
    ).splitlines()
    sys.stdout.write(f"{' agents':>7} {'milliseconds':<16}" + "".join(f"{head:>12}" for head, _ in HEADS) + "\n")
    for count in options.agents:
        rounds: dict[str, list[Figures]] = {"with ledger": [], "without": []}
        for number in range(options.rounds):
            for name, kind in (("with ledger", Bridge), ("without", Bare)):
                data = folder / f"{name}-{count}-{number}"
                shutil.copytree(made.data, data)
                bridge = kind(data, CONFIG).start()
                try:
                    rounds[name].append(await measure(bridge, key, tokens[:count], options))
                finally:
                    bridge.stop()
                    shutil.rmtree(data)
        medians = {
            name: Figures(*(statistics.median(column) for column in zip(*found, strict=True)))
            for name, found in rounds.items()
        }
        for name, figures in medians.items():
            row(count, name, [shape.format(value) for (_, shape), value in zip(HEADS, figures, strict=True)])
        pairs = zip(medians["with ledger"][:-1], medians["without"][:-1], strict=True)
        row(count, "ratio", [f"{one / other:.2f}" for one, other in pairs])
        by_round = [one.speed / other.speed for one, other in zip(*rounds.values(), strict=True)]
        row(count, "pops/s by round", [f"{ratio:.2f}" for ratio in by_round])


async def read(folder: Path, pops: int) -> None:
    """Print how long one agent's pops take to be listed, of so many."""
    bridge = Bridge(folder / "listed", CONFIG)
    observer = bridge.token("observer")
    bridge.start().stop()
    _fill(bridge.data / "ledger.db", pops)
    bridge.start()
    try:
        async with aiohttp.ClientSession(bridge.http, headers={"Authorization": f"Bearer {observer}"}) as http:
            for query in ("agent=7", "agent=7&limit=500", "agent=7&status=refused", "limit=50"):
                times, items = [], 0
                for _ in range(100):
                    begun = time.perf_counter()
                    async with http.get(f"/api/pops?{query}") as response:
                        items = len((await response.json())["items"])
                    times.append((time.perf_counter() - begun) * 1000)
                first, ordered = times[0], sorted(times)
                sys.stdout.write(
                    f"GET /api/pops?{query:<24} of {pops:,}: {items:>3} items, ms first {first:.1f},"
                    f" p50 {ordered[50]:.1f}, p99 {ordered[98]:.1f}\n"
                )
    finally:
        bridge.stop()


def main() -> None:
    """Run everything once, or be one of the processes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--agents", type=int, nargs="*", default=[100, 1_000])
    parser.add_argument("--pops", type=int, default=20_000, help="of a burst")
    parser.add_argument("--rate", type=int, default=500, help="triggers per second where the latency is measured")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long at that rate")
    parser.add_argument("--rounds", type=int, default=3, help="of which each figure is the median")
    parser.add_argument("--listed", type=int, default=1_000_000, help="pops to list from; 0: not")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--call", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--key", help=argparse.SUPPRESS)
    parser.add_argument("--sit", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if options.serve:
        serve(options.serve)
    elif options.call:
        uvloop.run(callers(options.key, options.call))
    elif options.sit:
        uvloop.run(sit(options.sit))
    else:
        with tempfile.TemporaryDirectory() as folder:
            if options.agents:
                uvloop.run(compare(Path(folder), options))
            if options.listed:
                uvloop.run(read(Path(folder), options.listed))
        sys.stdout.write(
            f"\nPython {platform.python_version()}, aiohttp {aiohttp.__version__}, uvloop {version('uvloop')}, "
            f"{os.cpu_count()} cores, {platform.machine()}\n"
            f"pops: median of {options.rounds} rounds; triggers of {SIZE} bytes on {CONNECTIONS} kept connections; "
            f"latency from when a trigger was due, at {options.rate:,} a second\n"
        )


async def callers(key: str, port: int) -> None:
    """Be all callers."""
    await Callers(key).obey(port)


if __name__ == "__main__":
    main()
