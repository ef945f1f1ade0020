"""Inside: the whole bridge in one process with sockets that are none, so that all its CPU is that of pops.

Callers keep 32 HTTP connections with one request each; every desktop acknowledges at once. What is left out is the
kernel's part, a few microseconds for each read and write.

    python -m tests.benchmarks.inside '{"agents": 200}'

reads orders of one line of JSON, and answers each with one line.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import uvloop

from bridge import config, logs, service
from bridge.words.principal import Role
from tests.benchmarks.ledger import _fill
from tests.benchmarks.stages import Sampler

CONNECTIONS = 32
SIZE = 500  # bytes of a trigger's JSON
LIVES = 86_400.0  # seconds of a credential
IDLE = 2.0  # seconds without pops, before the first order
LONGEST = 600.0  # seconds of an order
PATIENCE = 60.0  # seconds that a process may take to end
PEER = ("127.0.0.1", 1)


class Shape(msgspec.Struct, frozen=True):
    """How large the bridge is."""

    agents: int = 200
    exact: int = 1  # filters of each agent without a wildcard; one of them is its pops' topic
    wildcards: int = 1  # the same with one; there are two that a desktop may have
    watched: int = 0  # filters of one observer; the first one gets it every pop
    customers: int = 1
    keys: int = 1  # all of them trigger, by turns
    recorded: int = 0  # pops in the ledger from before
    before: int = 1_000  # pops since the start
    lasting: bool = False  # a desktop may tell of each of them for an hour; else the cost of a pop includes its end


class Cost(msgspec.Struct, frozen=True):
    """Microseconds of CPU for a pop until its time is over, of the event loop's thread and of all threads.

    `stages` has the former by stage, where that was asked for. What the bridge does by the clock, pops or none, is
    taken off the first two: `idle` has it in milliseconds of CPU a second.
    """

    loop: float
    process: float
    idle: float
    stages: dict[str, float] = {}


class Used(NamedTuple):
    """Seconds of CPU of the event loop's thread and of all, and seconds of the clock."""

    loop: float
    process: float
    clock: float

    @classmethod
    def now(cls) -> "Used":
        return cls(time.thread_time(), time.process_time(), time.monotonic())

    def since(self, before: "Used") -> "Used":
        return Used(*(now - then for now, then in zip(self, before, strict=True)))


class Unplugged(asyncio.Transport):
    """A connection that leads nowhere."""

    def get_extra_info(self, name: str, default: object = None) -> Any:
        return PEER if name == "peername" else default

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def close(self) -> None: ...

    def abort(self) -> None: ...


class Caller(Unplugged):
    """A caller's connection."""

    def __init__(self, load: "Load") -> None:
        super().__init__()
        self._load = load
        self.protocol: asyncio.Protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._load.answered(self, bytes(data))


class Desktop(Unplugged):
    """A desktop's connection."""

    def __init__(self, load: "Load") -> None:
        super().__init__()
        self._load = load
        self.protocol: asyncio.Protocol
        self.admitted = asyncio.Event()
        self.subscribed = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        packet = bytes(data)
        match packet[0] >> 4:
            case 2:
                self.admitted.set()
            case 3:
                self._acknowledge(packet)
            case 9:
                self.subscribed.set()

    def _acknowledge(self, packet: bytes) -> None:
        at = 1
        while packet[at] & 0x80:
            at += 1
        at += 3 + (packet[at + 1] << 8 | packet[at + 2])
        self._load.arrived()
        # As from the network: when whoever publishes is done.
        asyncio.get_running_loop().call_soon(self.protocol.data_received, b"\x40\x02" + packet[at : at + 2])


class Observer(Desktop):
    """A connection that takes everything at QoS 0."""

    def _acknowledge(self, packet: bytes) -> None: ...


class Load:
    """The callers and the desktops of a running bridge."""

    def __init__(self, running: service.Service, shape: Shape) -> None:
        self._service = running
        self._shape = shape
        self._keys: list[str] = []
        self._idle: deque[Caller] = deque()
        self._waiting: deque[bytes] = deque()
        self._left = 0
        self._done = asyncio.Event()
        self._refused = b""
        self._number = 0
        self._rest = Used(0.0, 0.0, 1.0)
        self._desktops: list[Desktop] = []

    async def enter(self) -> None:
        """Have everybody connected, and every key seen once."""
        credentials, shape = self._service.credentials, self._shape
        agents = [str(number) for number in range(shape.agents)]
        desktops = await credentials.issue_many(Role.DESKTOP, "acme", agents, expires_in=LIVES)
        for agent, issued in zip(agents, desktops, strict=True):
            await self._sit(f"acme/{agent}", issued.token, _filters(shape, agent), Desktop)
        if shape.watched:
            observer = await credentials.issue(Role.OBSERVER, "acme", expires_in=LIVES)
            filters = ["CTI/acme/#", *(f"CTI/acme/+/other {number}/#" for number in range(1, shape.watched))]
            await self._sit("acme", observer.token, [(one, 0) for one in filters], Observer)
        orders = [credentials._order(Role.KEY, "acme", LIVES, demo=False) for _ in range(shape.keys)]
        self._keys = [key.token for key in await credentials._issue(orders)]
        for key in self._keys:
            self._service.gate.verify(key, PEER[0], Role.KEY)

    async def pop(self, pops: int, sampler: Sampler | None = None) -> Cost:
        """Have so many pops; tell what each took until the last note of them was written."""
        # The bridge may have ended what was idle for long.
        for caller in self._idle:
            caller.protocol.connection_lost(None)
        self._idle = deque(self._call() for _ in range(CONNECTIONS))
        self._waiting.extend(self._request(self._number + one) for one in range(pops))
        self._number += pops
        self._left = 2 * pops
        self._done.clear()
        begun = Used.now()
        if sampler is not None:
            sampler.start()
        for _ in range(CONNECTIONS):
            self._send()
        async with asyncio.timeout(LONGEST):
            await self._done.wait()
        if self._refused:
            raise RuntimeError(f"a trigger was refused: {self._refused!r}")
        while not self._shape.lasting and self._service.delivery.live.next_due() is not None:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        await self._service.ledger.settled()
        stages = {} if sampler is None else sampler.stop()
        used, rest = Used.now().since(begun), self._rest
        return Cost(
            (used.loop - rest.loop / rest.clock * used.clock) / pops * 1e6,
            (used.process - rest.process / rest.clock * used.clock) / pops * 1e6,
            rest.process / rest.clock * 1e3,
            {name: seconds / pops * 1e6 for name, seconds in stages.items()},
        )

    async def be_idle(self) -> None:
        """Learn what the bridge does by the clock."""
        begun = Used.now()
        await asyncio.sleep(IDLE)
        self._rest = Used.now().since(begun)

    def answered(self, caller: Caller, answer: bytes) -> None:
        """Take the answer of a trigger; one refusal ends it all."""
        if not answer.startswith(b"HTTP/1.1 200"):
            self._refused = answer
            self._done.set()
            return
        self._idle.append(caller)
        self.arrived()
        asyncio.get_running_loop().call_soon(self._send)

    def arrived(self) -> None:
        """Take one pop at its desktop."""
        self._left -= 1
        if not self._left:
            self._done.set()

    def _send(self) -> None:
        if self._waiting and self._idle:
            self._idle.popleft().protocol.data_received(self._waiting.popleft())

    def _call(self) -> Caller:
        caller = Caller(self)
        caller.protocol = self._service.http._connect()
        caller.protocol.connection_made(caller)
        return caller

    def _request(self, number: int) -> bytes:
        body = f'{{"agentid":"{number % self._shape.agents}","event":"On Ring","phone":"+15550100","number":{number},'
        body += '"more":"'
        body += "x" * (SIZE - len(body) - 2) + '"}'
        return (
            "POST /api/sendmessage/CTI HTTP/1.1\r\nHost: bridge.example.com\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {self._keys[number % len(self._keys)]}\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()

    async def _sit(self, name: str, token: str, filters: list[tuple[str, int]], kind: type[Desktop]) -> None:
        desktop = kind(self)
        desktop.protocol = self._service.broker.connection()
        desktop.protocol.connection_made(desktop)
        self._desktops.append(desktop)
        login = _text("MQTT") + b"\x04\xc2\xff\xff" + _text(name.replace("/", "-")) + _text(name) + _text(token)
        desktop.protocol.data_received(_packet(0x10, login))
        await desktop.admitted.wait()
        asked = b"".join(_text(one) + bytes((qos,)) for one, qos in filters)
        desktop.protocol.data_received(_packet(0x82, b"\x00\x01" + asked))
        await desktop.subscribed.wait()

    def leave(self) -> None:
        """Hang up."""
        for desktop in self._desktops:
            desktop.protocol.connection_lost(None)
        for caller in self._idle:
            caller.protocol.connection_lost(None)


def _filters(shape: Shape, agent: str) -> list[tuple[str, int]]:
    exact = [f"CTI/acme/{agent}", *(f"CTI/acme/environment {number}/{agent}" for number in range(1, shape.exact))]
    wildcards = [f"CTI/acme/+/{agent}", f"CRM/acme/+/{agent}"][: shape.wildcards]
    return [(one, 1) for one in (*exact, *wildcards)]


def _text(text: str) -> bytes:
    spelled = text.encode()
    return len(spelled).to_bytes(2) + spelled


def _packet(kind: int, body: bytes) -> bytes:
    length, left = bytearray(), len(body)
    while left > 127:
        length.append(left & 0x7F | 0x80)
        left >>= 7
    length.append(left)
    return bytes((kind, *length)) + body


@asynccontextmanager
async def entered(data: Path, shape: Shape) -> AsyncIterator[Load]:
    """Run a bridge of that shape, warmed up."""
    path = data / "broker.yaml"
    lines = ["http: {bind: 127.0.0.1:0}", "mqtt: {bind: 127.0.0.1:0}", "customers:"]
    lines.append(f"  acme: {{cti: [env1], ttl: {{cti: {'1h' if shape.lasting else '1s'}}}}}")
    lines += [f"  other{number}: {{cti: [env1]}}" for number in range(1, shape.customers)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    settings = config.load(path)
    if shape.recorded:
        async with service.running(path, data, settings):
            pass  # makes the ledger's file
        await asyncio.to_thread(_fill, data / "ledger.db", shape.recorded)
    async with service.running(path, data, settings) as running:
        load = Load(running, shape)
        await load.enter()
        service._tune()
        logs.start(settings.log)
        async with asyncio.timeout(LONGEST):
            await running.ledger.purge()
            while running.delivery.funnel.counted_from:  # noqa: ASYNC110 - it counts the last day's pops
                await asyncio.sleep(0.1)
        await load.pop(shape.before)
        await load.be_idle()
        try:
            yield load
        finally:
            load.leave()


async def obey(shape: Shape) -> None:
    """Have pops as standard input says, until it ends."""
    with tempfile.TemporaryDirectory() as folder:
        async with entered(Path(folder), shape) as load:
            print("{}", flush=True)
            while order := await asyncio.to_thread(sys.stdin.readline):
                given = json.loads(order)
                cost = await load.pop(given["pops"], Sampler() if given["stages"] else None)
                print(msgspec.json.encode(cost).decode(), flush=True)


class Bridge:
    """A process that is a bridge with its callers and desktops."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ready(self) -> None:
        """Wait until everybody is connected."""
        self._answer()

    def pop(self, pops: int, *, stages: bool = False) -> Cost:
        """Have so many pops."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"pops": pops, "stages": stages}) + "\n")
        self._process.stdin.flush()
        return msgspec.json.decode(self._answer(), type=Cost)

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the bridge ended with {self._process.wait(PATIENCE)}")
        return line


@contextmanager
def started(shape: Shape) -> Iterator[Bridge]:
    """Start such a process; its log is ours."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.inside", msgspec.json.encode(shape).decode()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        try:
            yield Bridge(process)
        finally:
            process.stdin.close()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()


if __name__ == "__main__":
    uvloop.run(obey(msgspec.json.decode(sys.argv[1], type=Shape)))
