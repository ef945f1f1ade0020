"""Benchmark: our broker beside mosquitto, by the same agents in the same run. One table; not a test.

    python tests/benchmarks/broker.py [--agents 100 1000 5000 10000] [--pops 30000] [--rate 2000] [--seconds 3]
        [--rounds 3]

The agents are in this process: each logs in, subscribes to two filters and acknowledges what it gets. Ours runs in a
process of its own and publishes from inside, as the bridge does; each login costs one ES256 verification. mosquitto
lets everybody in, and gets its pops from a publisher in a process of its own.
"""

import argparse
import asyncio
import json
import math
import os
import platform
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

import uvloop
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[2])  # run as a script, it finds the house all the same

from bridge.broker.embedded import EmbeddedBroker
from bridge.broker.port import LoginRefused, Message, Ticket
from bridge.words import topics
from bridge.words.principal import Principal, Role
from bridge.words.settings import Address, Mqtt

SIZE = 300  # bytes of a pop's document
STAMP = 20  # of them its time of publication, in nanoseconds of the machine's monotonic clock
WINDOW = 1_000  # pops under way at once
STORM = 100  # logins under way at once: mosquitto's listen backlog, beyond which a connect waits for a second
QUIET = 5.0  # seconds without a message after which the rest counts as lost
HELLO = b"this is whom I am"

CONNACK = b"\x20\x02\x00\x00"
SUBACK = b"\x90\x04\x00\x01\x01\x01"


def topic(agent: int, number: int) -> str:
    """Name the topic of a pop: by turns without and with a CtiId."""
    return topics.cti("acme", str(agent), "env1" if number % 2 else None)


def payload() -> bytes:
    return b"%020d" % time.monotonic_ns() + b"x" * (SIZE - STAMP)


# The control: one JSON object a line in, one out.


class Publisher(Protocol):
    """Whoever publishes pops on demand."""

    async def pop(self, agent: int, number: int, qos: int) -> None:
        """Publish one, once there is room in the window."""

    async def settled(self) -> None:
        """Wait until all is written, and acknowledged where that can be known."""


async def obey(publisher: Publisher) -> None:
    """Publish as the lines on stdin say, and answer on stdout; ends with stdin."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        order = json.loads(line)
        agents, qos = order["agents"], order["qos"]
        begun = time.monotonic_ns()
        for number in range(order["pops"]):
            if order["rate"]:
                due = begun / 1e9 + number / order["rate"]
                if (ahead := due - time.monotonic()) > 0:
                    await asyncio.sleep(ahead)
            await publisher.pop(number % agents, number // agents, qos)
        await publisher.settled()
        say(begun=begun)


def say(**what: object) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


# Ours


class TokenGate:
    """Lets in who shows the signed token: an ES256 verification for each login, as with real tokens."""

    def __init__(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        self.token = key.sign(HELLO, ec.ECDSA(hashes.SHA256())).hex()
        self._public = key.public_key()

    def login(self, username: str | None, password: bytes | None, origin: str | None) -> Principal:  # noqa: ARG002
        try:
            self._public.verify(bytes.fromhex((password or b"").decode()), HELLO, ec.ECDSA(hashes.SHA256()))
        except (InvalidSignature, ValueError):
            raise LoginRefused(4, "not the token") from None
        customer, _, agent = (username or "").partition("/")
        return Principal(role=Role.DESKTOP, customer=customer, agent=agent, id=agent, expires=math.inf)

    def alive(self, principal: Principal, now: float) -> bool:
        return now < principal.expires


class Deaf:
    """A listener that needs to know nothing."""

    def listening(self, *_: object) -> None:
        return

    def arrived(self, principal: Principal, topic: str, payload: bytes, ticket: Ticket) -> bool:  # noqa: ARG002
        return False

    def left(self, *_: object) -> None:
        return


class Inside:
    """Publishes by the port of our broker, and counts as a watcher what is under way."""

    def __init__(self, broker: EmbeddedBroker) -> None:
        self._broker = broker
        self._under_way = 0
        self._published = 0
        self._changed = asyncio.Event()

    async def pop(self, agent: int, number: int, qos: int) -> None:
        while self._under_way >= WINDOW:
            await self._change()
        receipt = await self._broker.publish(Message(topic(agent, number), payload(), qos), watcher=self)
        self._under_way += receipt.awaiting
        self._published += 1
        if not self._published % 32:
            await asyncio.sleep(0)  # the connections have their turn

    async def settled(self) -> None:
        while self._under_way:
            await self._change()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def written(self, qos: int) -> None:  # noqa: ARG002
        return

    def acknowledged(self) -> None:
        self._under_way -= 1
        self._changed.set()

    def lost(self) -> None:
        self.acknowledged()

    def stale(self) -> bool:
        return False


async def serve() -> None:
    """Run our broker until stdin ends."""
    gate = TokenGate()
    broker = EmbeddedBroker(Mqtt(bind=Address("127.0.0.1", 0)), gate, Deaf())
    await broker.start()
    say(port=broker.address[1], password=gate.token)
    await obey(Inside(broker))
    await broker.stop()


# mosquitto's publisher


class Outside(asyncio.Protocol):
    """Publishes over one MQTT connection."""

    def __init__(self) -> None:
        self._under_way = 0
        self._mid = 0
        self._data = b""
        self._changed = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._transport.write(connect("publisher", None, None))
        self._under_way = 1

    def data_received(self, data: bytes) -> None:
        self._data += data
        whole = len(self._data) // 4  # CONNACK and PUBACK are of four bytes each
        self._data = self._data[whole * 4 :]
        self._under_way -= whole
        self._changed.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def pop(self, agent: int, number: int, qos: int) -> None:
        while self._under_way >= WINDOW:
            await self._change()
        await self._writable.wait()
        mid = b""
        if qos:
            self._mid = self._mid % 65_535 + 1
            mid = self._mid.to_bytes(2)
            self._under_way += 1
        self._transport.write(packet(0x30 | qos << 1, text(topic(agent, number)) + mid + payload()))
        if not number % 32:
            await asyncio.sleep(0)  # the acknowledgements have their turn

    async def settled(self) -> None:
        while self._under_way:
            await self._change()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


async def publish(port: int) -> None:
    """Publish to mosquitto until stdin ends."""
    transport, outside = await asyncio.get_running_loop().create_connection(Outside, "127.0.0.1", port)
    await outside.settled()
    say()
    await obey(outside)
    transport.close()


# The agents


def text(value: str) -> bytes:
    return len(value.encode()).to_bytes(2) + value.encode()


def packet(first: int, body: bytes) -> bytes:
    size = len(body)
    length = bytes([size]) if size < 128 else bytes([size & 0x7F | 0x80, size >> 7])
    return bytes([first]) + length + body


def connect(client_id: str, username: str | None, password: str | None) -> bytes:
    credential = b"" if username is None or password is None else text(username) + text(password)
    flags = 0xC2 if credential else 0x02
    return packet(0x10, text("MQTT") + bytes([4, flags]) + (300).to_bytes(2) + text(client_id) + credential)


def packets(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Give of each whole packet its first byte, and where its body begins and ends."""
    at, end = 0, len(data)
    while end - at >= 3:
        first, size, head = data[at], data[at + 1], at + 2
        if size & 0x80:
            size, head = size & 0x7F | data[at + 2] << 7, at + 3
        at = head + size
        if at > end:
            return
        yield first, head, at


class Arrivals:
    """What all agents got since `expect`."""

    def __init__(self) -> None:
        self.count = 0
        self.last = 0
        self.stamps: list[tuple[int, int]] | None = None
        self._expected = 0
        self._complete = asyncio.Event()

    def expect(self, pops: int, *, stamped: bool) -> None:
        self.count = 0
        self.stamps = [] if stamped else None
        self._expected = pops
        self._complete.clear()

    def note(self, document: bytes) -> None:
        self.count += 1
        if self.stamps is not None:
            self.stamps.append((int(document[:STAMP]), time.monotonic_ns()))
        if self.count >= self._expected:
            self.last = time.monotonic_ns()
            self._complete.set()

    async def complete(self) -> int:
        """Wait for everything, or until nothing comes any more; return how much is missing."""
        while not self._complete.is_set():
            before = self.count
            try:
                async with asyncio.timeout(QUIET):
                    await self._complete.wait()
            except TimeoutError:
                if self.count == before:
                    self.last = time.monotonic_ns()
                    break
        return self._expected - self.count


class Agent(asyncio.Protocol):
    """One desktop."""

    __slots__ = ("_arrivals", "_hello", "_rest", "_subscribe", "_transport", "ready")

    def __init__(self, number: int, password: str | None, arrivals: Arrivals) -> None:
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._arrivals = arrivals
        self._rest = b""
        self._hello = connect(f"seat-{number}", f"acme/{number}", password)
        filters = topics.for_desktop("acme", str(number))[:2]
        self._subscribe = packet(0x82, b"\x00\x01" + b"".join(text(one) + b"\x01" for one in filters))
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)
        self._transport.write(self._hello)

    def data_received(self, data: bytes) -> None:
        if self.ready.done():
            self._take(self._rest + data if self._rest else data)
            return
        self._rest += data
        if self._rest == CONNACK:
            self._transport.write(self._subscribe)
        elif self._rest == CONNACK + SUBACK:
            self._rest = b""
            self.ready.set_result(None)
        elif not (CONNACK + SUBACK).startswith(self._rest):
            self.ready.set_exception(RuntimeError(f"{self._rest.hex(' ')} instead of CONNACK and SUBACK"))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(exc or ConnectionResetError("closed before SUBACK"))

    def close(self) -> None:
        sock: socket.socket = self._transport.get_extra_info("socket")
        # A reset: ten thousand ports in TIME_WAIT would starve the next round.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self._transport.abort()

    def _take(self, data: bytes) -> None:
        end = 0
        acknowledgements = b""
        for first, head, end in packets(data):
            body = head + 2 + (data[head] << 8 | data[head + 1])
            if first & 0x06:
                acknowledgements += b"\x40\x02" + data[body : body + 2]
                body += 2
            self._arrivals.note(data[body:end])
        self._rest = data[end:]
        if acknowledgements:
            self._transport.write(acknowledgements)


# The rounds


class Peer(NamedTuple):
    """A broker under load: its process, and the process that takes orders to publish."""

    pid: int
    port: int
    password: str | None
    order: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


class Figures(NamedTuple):
    """What one round measured."""

    connects: float  # logins with two filters, per second
    connect_cpu: float  # seconds, of all logins
    memory: float  # KiB for each idle agent
    qos0: float  # pops per second
    qos0_cpu: float  # milliseconds for 1,000 pops
    qos1: float
    qos1_cpu: float
    p50: float  # milliseconds at the fixed rate, QoS 1
    p99: float
    lost: float


async def child(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, __file__, *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )


async def answer(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise RuntimeError("the child process ended")
    found: dict[str, Any] = json.loads(line)
    return found


def orders(process: asyncio.subprocess.Process) -> Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]:
    async def order(what: dict[str, Any]) -> dict[str, Any]:
        assert process.stdin is not None
        process.stdin.write(json.dumps(what).encode() + b"\n")
        await process.stdin.drain()
        return await answer(process)

    return order


async def dismiss(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    await process.wait()


@asynccontextmanager
async def ours() -> AsyncIterator[Peer]:
    process = await child("--serve")
    try:
        ready = await answer(process)
        yield Peer(process.pid, ready["port"], ready["password"], orders(process))
    finally:
        await dismiss(process)


@asynccontextmanager
async def mosquitto(program: str) -> AsyncIterator[Peer]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as config:
        config.write(
            f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nlog_dest none\n"
            "set_tcp_nodelay true\nmax_inflight_messages 100\n"
        )
        config.flush()
        process = await asyncio.create_subprocess_exec(program, "-c", config.name)
        try:
            await listens(port)
            publisher = await child("--publish", str(port))
            try:
                await answer(publisher)
                yield Peer(process.pid, port, None, orders(publisher))
            finally:
                await dismiss(publisher)
        finally:
            process.terminate()
            await process.wait()


async def listens(port: int) -> None:
    for _ in range(1000):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionRefusedError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return
    raise RuntimeError("mosquitto does not answer")


def cpu(pid: int) -> float:
    """Tell the CPU seconds a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """Tell the KiB of memory a process holds."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1024


async def storm(peer: Peer, agents: int, arrivals: Arrivals) -> list[Agent]:
    """Log all agents in, so many at once."""
    loop = asyncio.get_running_loop()
    numbers = iter(range(agents))
    connected: list[Agent] = []

    async def enter() -> None:
        for number in numbers:
            _, agent = await loop.create_connection(
                lambda number=number: Agent(number, peer.password, arrivals),  # type: ignore[misc]
                "127.0.0.1",
                peer.port,
            )
            connected.append(agent)
            await agent.ready

    await asyncio.gather(*(enter() for _ in range(STORM)))
    return connected


async def measure(peer: Peer, agents: int, pops: int, rate: int, seconds: float) -> Figures:
    """Run one round."""
    arrivals = Arrivals()
    cpu_before, memory_before, begun = cpu(peer.pid), resident(peer.pid), time.monotonic()
    connected = await storm(peer, agents, arrivals)
    connecting, connect_cpu = time.monotonic() - begun, cpu(peer.pid) - cpu_before
    memory = (resident(peer.pid) - memory_before) / agents
    lost = 0
    speeds: list[tuple[float, float]] = []
    for qos in (0, 1):
        arrivals.expect(pops, stamped=False)
        cpu_before = cpu(peer.pid)
        told = await peer.order({"agents": agents, "pops": pops, "qos": qos, "rate": 0})
        lost += await arrivals.complete()
        took = (arrivals.last - told["begun"]) / 1e9
        speeds.append((arrivals.count / took, (cpu(peer.pid) - cpu_before) / pops * 1e6))
    steady = int(rate * seconds)
    arrivals.expect(steady, stamped=True)
    await peer.order({"agents": agents, "pops": steady, "qos": 1, "rate": rate})
    lost += await arrivals.complete()
    delays = sorted((seen - sent) / 1e6 for sent, seen in arrivals.stamps or [])
    for agent in connected:
        agent.close()
    return Figures(
        connects=agents / connecting,
        connect_cpu=connect_cpu,
        memory=memory,
        qos0=speeds[0][0],
        qos0_cpu=speeds[0][1],
        qos1=speeds[1][0],
        qos1_cpu=speeds[1][1],
        p50=delays[len(delays) // 2],
        p99=delays[len(delays) * 99 // 100],
        lost=lost,
    )


def reference(program: str | None) -> str:
    """Tell mosquitto's version."""
    if program is None:
        return "no mosquitto"
    return subprocess.run([program, "-h"], capture_output=True, text=True, check=False).stdout.partition("\n")[0]


HEADS = (
    ("connects/s", "{:,.0f}"),
    ("cpu s", "{:.2f}"),
    ("KiB/agent", "{:.1f}"),
    ("QoS 0/s", "{:,.0f}"),
    ("ms/1k", "{:.1f}"),
    ("QoS 1/s", "{:,.0f}"),
    ("ms/1k", "{:.1f}"),
    ("p50 ms", "{:.2f}"),
    ("p99 ms", "{:.2f}"),
    ("lost", "{:,.0f}"),
)


def row(agents: int, name: str, cells: list[str]) -> str:
    return f"{agents:>7,} {name:<10}" + "".join(f"{cell:>11}" for cell in cells) + "\n"


async def compare(options: argparse.Namespace) -> None:
    """Run all rounds and print the table."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    write = sys.stdout.write
    write(f"{' agents':>7} {'':<10}" + "".join(f"{head:>11}" for head, _ in HEADS) + "\n")
    for agents in options.agents:
        rounds: dict[str, list[Figures]] = {"ours": [], "mosquitto": []}
        for _ in range(options.rounds):
            # By turns, so that whatever else the machine does meets both.
            async with ours() as peer:
                rounds["ours"].append(await measure(peer, agents, options.pops, options.rate, options.seconds))
            if program:
                async with mosquitto(program) as peer:
                    rounds["mosquitto"].append(await measure(peer, agents, options.pops, options.rate, options.seconds))
        figures = {
            name: Figures(*(statistics.median(column) for column in zip(*found, strict=True)))
            for name, found in rounds.items()
            if found
        }
        for name, found in figures.items():
            write(row(agents, name, [shape.format(value) for (_, shape), value in zip(HEADS, found, strict=True)]))
        if len(figures) == 2:
            pairs = zip(figures["ours"][:-1], figures["mosquitto"][:-1], strict=True)
            write(row(agents, "ratio", [f"{one / other:.2f}" if other else "-" for one, other in pairs]))
        sys.stdout.flush()
    write(
        f"\nPython {platform.python_version()}, uvloop {version('uvloop')}, amqtt {version('amqtt')}, "
        f"{reference(program)}, {os.cpu_count()} cores, {platform.machine()}\n"
        f"median of {options.rounds} rounds; pops of {SIZE} bytes; the latency at {options.rate:,} a second, QoS 1; "
        "cpu of the broker's process\n"
        f"{' '.join(sys.argv)}\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--agents", type=int, nargs="+", default=[100, 1_000, 5_000, 10_000])
    parser.add_argument("--pops", type=int, default=30_000, help="of a burst")
    parser.add_argument("--rate", type=int, default=2_000, help="pops per second where the latency is measured")
    parser.add_argument("--seconds", type=float, default=3.0, help="how long at that rate")
    parser.add_argument("--rounds", type=int, default=3, help="of which each figure is the median")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--publish", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if options.serve:
        uvloop.run(serve())
    elif options.publish:
        uvloop.run(publish(options.publish))
    else:
        uvloop.run(compare(options))


if __name__ == "__main__":
    main()
