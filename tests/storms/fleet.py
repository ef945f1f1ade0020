"""Fleet: desktops by the thousand in one process, that acknowledge what they get and come back at once when cut off."""

import asyncio
import json
import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol, cast

from tests.broker.contract import packets
from tests.broker.contract.packets import Kind, Message, Packet

KEEP_ALIVE = 3600
"""Seconds; no run lasts so long, so that nobody has to ping."""

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing says RST instead of FIN


class Login(NamedTuple):
    """Who a client is and what it wants to hear."""

    username: str
    token: str
    client_id: str
    filters: tuple[str, ...]
    clean: bool = True


class Hearer(Protocol):
    """Who is told of each message as it is acknowledged."""

    def __call__(self, login: Login, message: Message, /) -> None:
        """Take a message."""


class Seat(asyncio.Protocol):
    """One client, over all its connections, one after the other."""

    __slots__ = ("_fleet", "_login", "_ours", "_reader", "_transport", "up")

    def __init__(self, fleet: "Fleet", login: Login) -> None:
        self._fleet = fleet
        self._login = login
        self._ours = False
        self._reader = packets.Reader()
        self._transport: asyncio.Transport | None = None
        self.up = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        login = self._login
        self._reader = packets.Reader()
        self._ours = False
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(
            packets.connect(
                login.client_id,
                clean=login.clean,
                keepalive=KEEP_ALIVE,
                username=login.username,
                password=login.token,
            )
        )
        self._fleet.opened()

    def data_received(self, data: bytes) -> None:
        out = [self._take(packet) for packet in self._reader.feed(data)]
        if self._transport is not None and any(out):
            self._transport.write(b"".join(out))

    def _take(self, packet: Packet) -> bytes:
        if packet.kind is Kind.PUBLISH:
            message = packets.message(packet)
            self._fleet.hear(self._login, message)
            return packets.reply(Kind.PUBACK, message.mid) if message.qos and self._fleet.acknowledging else b""
        if packet.kind is Kind.CONNACK and packet.body[1] == 0:
            self._fleet.logins += 1
            return packets.subscribe(1, *((name, 1) for name in self._login.filters))
        if packet.kind is Kind.SUBACK and max(packet.body[2:]) < 0x80:
            self.up = True
            self._fleet.arrived()
            return b""
        self._fleet.refused[f"{packet.kind.name} {packet.body.hex()}"] += 1
        return b""

    def connection_lost(self, exc: Exception | None) -> None:
        was_up, self.up, self._transport = self.up, False, None
        self._fleet.lost(self, exc, was_up=was_up, ours=self._ours)

    def cut(self) -> None:
        """Reset the connection, as if its cable were gone and somebody had told the other side."""
        if self._transport is not None:
            self._ours = True
            line: socket.socket = self._transport.get_extra_info("socket")
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.abort()

    def listen(self, *, on: bool) -> None:
        """Stop reading, or go on."""
        if self._transport is not None and on:
            self._transport.resume_reading()
        elif self._transport is not None:
            self._transport.pause_reading()

    def leave(self) -> None:
        """Say goodbye and close."""
        if self._transport is not None:
            self._ours = True
            self._transport.write(packets.DISCONNECT)
            self._transport.close()


class Fleet:
    """Clients that stay connected until they are told to leave, and what became of their connections.

    `died` counts the connections that ended without our doing, by how far they had got; `refused` the answers that
    said no. While it is not `acknowledging`, what comes is heard but not acknowledged.
    """

    def __init__(self, port: int, logins: Iterable[Login], hear: Hearer) -> None:
        self.hear = hear
        self.up = 0
        self.logins = 0
        self.acknowledging = True
        self.died: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._port = port
        self._seats = [Seat(self, login) for login in logins]
        self._open = 0
        self._staying = False
        self._dials: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    async def enter(self) -> None:
        """Connect all at once, and wait until all are subscribed."""
        self._staying = True
        for seat in self._seats:
            self._dial(seat)
        await self.back()

    def cut(self, seats: slice = slice(None)) -> int:
        """Reset the connections of all, or of some; they come back at once. Returns how many were up."""
        before = self.up
        for seat in self._seats[seats]:
            seat.cut()
        return before

    async def back(self, count: int | None = None) -> None:
        """Wait until so many, or all, are connected and subscribed."""
        wanted = len(self._seats) if count is None else count
        await self._until(lambda: self.up >= wanted)

    async def below(self, count: int) -> None:
        """Wait until fewer than so many are up: a cut is seen here a moment after it was made."""
        await self._until(lambda: self.up < count)

    async def leave(self) -> None:
        """Let all say goodbye, and wait until all connections are closed."""
        self._staying = False
        for dial in self._dials:
            dial.cancel()
        if self._dials:
            await asyncio.wait(self._dials)
        for seat in self._seats:
            seat.leave()
        await self._until(lambda: self._open == 0)

    def listen(self, *, on: bool) -> None:
        """Let nobody read any more, nor acknowledge; or let all go on."""
        for seat in self._seats:
            seat.listen(on=on)

    def opened(self) -> None:
        """Note a connection that is made."""
        self._open += 1

    def arrived(self) -> None:
        """Note a client that is subscribed."""
        self.up += 1
        self._changed.set()

    def lost(self, seat: Seat, error: Exception | None, *, was_up: bool, ours: bool) -> None:
        """Note a connection that ended, and make the next one."""
        self._open -= 1
        self.up -= was_up
        self._changed.set()
        if not ours:
            self.died[f"{'up' if was_up else 'logging in'}: {type(error).__name__ if error else 'closed'}"] += 1
        if self._staying:
            self._dial(seat)

    def _dial(self, seat: Seat) -> None:
        dial = asyncio.create_task(self._connect(seat), name="fleet: dial")
        self._dials.add(dial)
        dial.add_done_callback(self._dials.discard)

    async def _connect(self, seat: Seat) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                await loop.create_connection(lambda: seat, "127.0.0.1", self._port)
            except OSError as error:
                self.died[f"connecting: {type(error).__name__}"] += 1
                await asyncio.sleep(0)
            else:
                return

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._changed.clear()
            await self._changed.wait()


class Screens:
    """What all desktops were popped with: how often each popid came, and those that came to somebody else's."""

    def __init__(self) -> None:
        self.popped: Counter[str] = Counter()
        self.strays: list[str] = []

    def __call__(self, login: Login, message: Message, /) -> None:
        document: dict[str, Any] = json.loads(message.payload)
        self.popped[document["popid"]] += 1
        if login.username.partition("/")[2] != document["agentid"]:
            self.strays.append(document["popid"])

    @property
    def duplicates(self) -> int:
        """Count what came again."""
        return self.popped.total() - len(self.popped)


class Board:
    """Presence as an observer sees it: desktops by agent, as told last."""

    def __init__(self) -> None:
        self.desktops: dict[str, int] = {}
        self.told = 0

    def __call__(self, _: Login, message: Message, /) -> None:
        document: dict[str, Any] = json.loads(message.payload)
        self.told += 1
        self.desktops[document["agentid"]] = document["desktops"] if document["online"] else 0

    def wrong(self, agents: Sequence[str], desktops: int) -> list[str]:
        """List the agents of whom it does not say that they have so many desktops."""
        return [agent for agent in agents if self.desktops.get(agent) != desktops]
