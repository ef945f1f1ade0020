"""Connection: one client's stream, from CONNECT to the end. The only part that reads and writes."""

import asyncio
import functools
from collections.abc import Awaitable, Iterator
from time import monotonic
from typing import Protocol, cast

from amqtt.events import BrokerEvents

from bridge.broker import login
from bridge.broker.conversation import Conversation, ForbiddenError, Shared
from bridge.broker.core import wire
from bridge.broker.core.packets import Connect, Packet
from bridge.broker.core.session import Session
from bridge.broker.line import Transport
from bridge.broker.live import Live
from bridge.broker.login import Refusal
from bridge.broker.notices import log
from bridge.broker.plugins import LightSession
from bridge.words.principal import Principal, Role
from bridge.words.topics import Action

READ = 65_536  # bytes taken at a time; whoever sends more waits for the others
DEFAULT_KEEP_ALIVE = 300.0  # seconds, for clients that ask for none
FORGIVENESS = 1.5  # keep-alives a client may stay silent ([MQTT-3.1.2-24])
LINGER = 5.0  # seconds a closed connection may take to send what is left

_TRICKLE = 0.01  # seconds between steps of retained messages at QoS 0


class Reader(Protocol):
    """Where bytes come from if not from asyncio's transport: a WebSocket, or amqtt's."""

    async def read(self, n: int, /) -> bytes:
        """Wait for some bytes; none means the end."""


class Connection(asyncio.Protocol):
    """Serves one client, as a protocol of asyncio's; `serve` feeds it from a reader instead.

    What nearly all packets do is done where they arrive, without a task. `live` lists the connections that are being
    served; `origin` is the foreign Origin of a web page.
    """

    __slots__ = (
        "_address",
        "_batch",
        "_conversation",
        "_decoder",
        "_farewell",
        "_limit",
        "_live",
        "_origin",
        "_port",
        "_shared",
        "_shut",
        "_timer",
        "_transport",
        "_waiting",
        "ended",
        "guest",
        "patience",
        "principal",
        "seen",
    )

    def __init__(self, shared: Shared, live: "Live[Connection]", origin: str | None = None) -> None:
        self._shared = shared
        self._shut = False
        self._live = live
        self._transport: Transport
        self._address, self._port = "", 0
        self._origin = origin
        self._decoder = wire.Decoder(shared.settings.max_packet)
        self._limit = shared.settings.write_buffer
        self._batch: list[bytes] | None = None
        self._conversation: Conversation | None = None
        self.guest: LightSession | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waiting: asyncio.Task[None] | None = None
        self._farewell: asyncio.Future[None] | None = None
        self.ended = False
        self.patience = float(shared.settings.connect_timeout)
        self.principal: Principal | None = None
        self.seen = monotonic()

    # Reading

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, by TCP."""
        peer = transport.get_extra_info("peername")
        if not peer:  # a load balancer's connect-and-close
            self.ended = True
            cast("asyncio.Transport", transport).abort()
            return
        self._begin(cast("asyncio.Transport", transport), peer[:2])

    def _begin(self, transport: Transport, peer: tuple[str, int]) -> None:
        self._transport = transport
        self._address, self._port = peer
        self._shared.counters.connections += 1
        try:
            login.begin(self._shared, len(self._live), self._address)
        except Refusal as refusal:
            self._refuse(refusal)
        else:
            self._live.add(self)

    def data_received(self, data: bytes) -> None:
        """Let what came take effect, now unless something must be waited for."""
        if self.ended:
            return
        turn = self._turn(data)
        try:
            awaited = next(turn, None)
        except (wire.ProtocolError, ForbiddenError) as fault:
            self._fail(fault)
            return
        if awaited is not None:
            self._pause()
            self._waiting = asyncio.create_task(self._wait(awaited, turn), name="mqtt wait")
        elif len(data) > READ:
            # uvloop would read on, up to 8 MB, before anybody else has a turn.
            self._pause()
            asyncio.get_running_loop().call_soon(self._resume)

    def _pause(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def _resume(self) -> None:
        if not self.ended and not self._transport.is_closing():
            self._transport.resume_reading()

    async def _wait(self, awaited: Awaitable[None], turn: Iterator[Awaitable[None]]) -> None:
        """Go on with a turn, and read on when it is over."""
        done = False
        try:
            await awaited
            for further in turn:
                await further
            done = True
        except (wire.ProtocolError, ForbiddenError) as fault:
            self._fail(fault)
        finally:
            self._waiting = None
            if not done:
                self.end(publish_will=True)
            else:
                self._resume()

    def _turn(self, data: bytes) -> Iterator[Awaitable[None]]:
        """Let bytes take effect; gives what must be awaited before it is asked to go on."""
        if self._conversation is None:
            connect = self._greeting(data)
            if connect is None:
                return
            waiting = self._shared.turnstile.enter()
            if waiting is not None:
                yield waiting
                if self.ended:
                    return
            yield from self._login(connect)
            if self._conversation is None:
                return
            data = b""  # what came with the CONNECT is with the decoder
        else:
            self.seen = monotonic()
        packets, fault = _feed(self._decoder, data)
        yield from self._conversation.take(packets)
        if fault is not None:
            raise fault

    def _greeting(self, data: bytes) -> Connect | None:
        try:
            packets = self._decoder.feed(data)
        except wire.UnsupportedLevelError as error:
            self._refuse_level(error.level)
            raise
        for packet in packets:
            if isinstance(packet, Connect):
                return packet
        return None

    async def serve(self, reader: Reader, transport: Transport, peer: tuple[str, int]) -> None:
        """Read until the client, or somebody here, ends the connection."""
        self._begin(transport, peer)
        try:
            while not self.ended and (data := await reader.read(READ)):
                self.data_received(data)
                if self._waiting is not None:
                    await asyncio.wait([self._waiting])
        except wire.ProtocolError as fault:
            self._fail(fault)
        except OSError:
            pass  # the line broke: an end like any other
        finally:
            self.end(publish_will=True)
            self.connection_lost(None)

    def eof_received(self) -> None:
        """Leave now: asyncio closes only once everything is sent, which a client that reads no more would put off."""
        self.end(publish_will=True)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - an end is an end
        """Leave."""
        if self not in self._live:
            return
        self._shut = True
        self.end(publish_will=True)
        self._live.drop(self)
        if self.principal is None:
            self._shared.logins.ended(self._address)
        elif self.guest is not None:
            telling = asyncio.create_task(self._tell_gone(self.guest), name="mqtt farewell")
            self._shared.farewells.add(telling)
            telling.add_done_callback(self._shared.farewells.discard)
        if self._farewell is not None and not self._farewell.done():
            self._farewell.set_result(None)

    async def _tell_gone(self, guest: LightSession) -> None:
        if self._waiting is not None:
            await asyncio.wait([self._waiting])
        guest.transitions.state = "disconnected"
        await self._shared.guests.tell(
            BrokerEvents.CLIENT_DISCONNECTED, client_id=guest.client_id, client_session=guest
        )

    def farewell(self) -> asyncio.Future[None]:
        """Give what is done when the line is closed."""
        if self._farewell is None:
            self._farewell = asyncio.get_running_loop().create_future()
        return self._farewell

    @property
    def session(self) -> Session | None:
        """Whose connection it is, between login and end."""
        return None if self._conversation is None else self._conversation.session

    # The login

    def _login(self, connect: Connect) -> Iterator[Awaitable[None]]:
        shared = self._shared
        try:
            client_id, principal = login.judge(shared, connect, len(self._live), self._address, self._origin)
            if shared.guests:
                yield self._admit(connect, client_id, principal)
            connect.password = None
            if self.ended:
                return
            login.seat(shared, principal, client_id)
        except Refusal as refusal:
            self._refuse(refusal)
            return
        self._enter(connect, client_id, principal)
        if self.guest is not None:
            yield shared.guests.tell(BrokerEvents.CLIENT_CONNECTED, client_id=client_id, client_session=self.guest)

    async def _admit(self, connect: Connect, client_id: str, principal: Principal) -> None:
        """Ask the operator's own plugins; one that says no ends the connection."""
        guests = self._shared.guests
        guest = self.guest = LightSession(connect, client_id, self._address, self._port)
        guest.principal = principal
        try:
            admitted = await guests.admit(guest)
        finally:
            guest.password = None
        if admitted and connect.will is not None:
            admitted = await guests.permit(guest, Action.PUBLISH, connect.will.topic)
        if not admitted:
            self._refuse(login.failed(self._shared, self._address, 5, "an operator's plugin says no"))

    def _enter(self, connect: Connect, client_id: str, principal: Principal) -> None:
        shared = self._shared
        shared.counters.logins += 1
        shared.logins.ended(self._address)
        self.principal = principal
        self.patience = FORGIVENESS * (connect.keep_alive or DEFAULT_KEEP_ALIVE)
        self.seen = monotonic()
        self._live.expect(self, self.seen, shared.clock())
        if principal.role is Role.FEED:
            self._decoder.max_packet = shared.settings.max_packet_feed
        session, present = shared.exchange.enter(principal, client_id, self, clean=connect.clean)
        self._conversation = Conversation(shared, self, session, connect.will, self.guest)
        self.write(wire.connack(0, present=present))
        if present:
            self.write(session.resume())
            if session.desktop and session.filters:
                shared.listener.listening(principal, tuple(session.filters))

    def _refuse(self, refusal: Refusal) -> None:
        if refusal.kind is None:
            log.warning("login from %s refused (CONNACK %d): %s", self._address, refusal.code, refusal)
        else:
            self._shared.counters.refused_full += 1
            sentence = f"a connection was refused (CONNACK {refusal.code}): {refusal}"
            self._shared.notices.warn(refusal.kind, sentence, monotonic())
        self.write(wire.connack(refusal.code))
        self._close()

    def _refuse_level(self, level: int) -> None:
        version = {3: "MQTT 3.1", 5: "MQTT 5"}.get(level, f"protocol level {level}")
        self._shared.notices.warn(
            f"level {level}",
            f"a client at {self._address} speaks {version}, refused (CONNACK 1): set it to MQTT 3.1.1"
            " (protocol_version=4, protocolVersion: 4, -V mqttv311)",
            monotonic(),
        )
        self.write(wire.connack(1))

    # Writing

    def write(self, data: bytes) -> bool:
        """Send bytes, at once or with the others of this wake-up; False if the connection is at its end."""
        if self.ended:
            return False
        if self._batch is not None:
            self._batch.append(data)
            return True
        transport = self._transport
        if transport.is_closing():
            return False
        if transport.get_write_buffer_size() > self._limit:
            self.cut(f"more than {self._limit} bytes wait for it (mqtt.write_buffer)")
            return False
        transport.write(data)
        return True

    def begin(self) -> None:
        """Gather what is written from now on."""
        if self._batch is None:
            self._batch = []

    def flush(self) -> None:
        """Write what was gathered, and from now on at once."""
        batch, self._batch = self._batch, None
        if batch:
            self.write(batch[0] if len(batch) == 1 else b"".join(batch))

    def trickle(self) -> None:
        """Go on with retained messages as the line becomes free."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_TRICKLE, self._trickled)

    def _trickled(self) -> None:
        self._timer = None
        if self.ended or self._conversation is None:
            return
        if self._transport.get_write_buffer_size() > READ:
            self.trickle()
        else:
            self._conversation.more()

    # Ending

    def _fail(self, fault: wire.ProtocolError | ForbiddenError) -> None:
        """End the connection for what the client did."""
        shared = self._shared
        if isinstance(fault, ForbiddenError):
            shared.counters.forbidden += 1
            kind = "forbidden"
        else:
            shared.counters.protocol_errors += 1
            kind = "protocol"
        if not isinstance(fault, wire.UnsupportedLevelError):
            shared.notices.warn(kind, f"closed a client at {self._address}: {fault}", monotonic())
        self.end(publish_will=True)

    def cut(self, reason: str) -> None:
        """End the connection of a client that does not keep up, as soon as whoever is writing to it is done."""
        if self.ended:
            return
        self.ended = True
        self._shared.counters.slow_cut += 1
        self._shared.notices.warn("slow", f"cut off a client at {self._address}: {reason}", monotonic())
        asyncio.get_running_loop().call_soon(functools.partial(self.end, publish_will=True, at_once=True))

    def taken_over(self) -> None:
        """End the connection because the client connected again."""
        self.end(publish_will=True)

    def timed_out(self) -> None:
        """End the connection: no CONNECT in time, or silence for one and a half keep-alives."""
        counters = self._shared.counters
        if self.principal is None:
            counters.connect_timeouts += 1
        else:
            counters.keepalive_timeouts += 1
        self.end(publish_will=True, at_once=True)

    def end(self, *, publish_will: bool, at_once: bool = False) -> None:
        """Leave the exchange, then close; `at_once` without sending what is left."""
        conversation, self._conversation = self._conversation, None
        if not at_once:
            self.flush()
        self.ended = True
        self._batch = None
        try:
            if conversation is not None:
                conversation.close(publish_will=publish_will)
        finally:
            if at_once:
                self.abort()
            else:
                self._close()

    def _close(self) -> None:
        self.ended = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._shut:  # asyncio's TLS transport does not bear to be closed twice, or once it is lost
            return
        self._shut = True
        self._transport.close()
        if self._transport.get_write_buffer_size():
            asyncio.get_running_loop().call_later(LINGER, self._transport.abort)

    def abort(self) -> None:
        """Close without sending what is left."""
        self._shut = True
        self._transport.abort()


def _feed(decoder: wire.Decoder, data: bytes) -> tuple[list[Packet], wire.ProtocolError | None]:
    """Give the packets before a fault, and the fault."""
    try:
        return decoder.feed(data), None
    except wire.ProtocolError as fault:
        return fault.before, fault
