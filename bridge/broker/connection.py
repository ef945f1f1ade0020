"""Connection: one client's stream, from CONNECT to the end. The only part that reads and writes."""

import asyncio
import functools
import uuid
from time import monotonic
from typing import Protocol

from amqtt.events import BrokerEvents

from bridge.broker.conversation import Conversation, ForbiddenError, Shared
from bridge.broker.core import wire
from bridge.broker.core.packets import Connect, Packet
from bridge.broker.core.session import Session
from bridge.broker.line import Transport
from bridge.broker.notices import log
from bridge.broker.plugins import LightSession
from bridge.broker.port import LoginRefused
from bridge.words.principal import Principal, Role
from bridge.words.topics import Action

READ = 65_536  # bytes taken at a time
DEFAULT_KEEP_ALIVE = 300.0  # seconds, for clients that ask for none
FORGIVENESS = 1.5  # keep-alives a client may stay silent ([MQTT-3.1.2-24])

_TRICKLE = 0.01  # seconds between steps of retained messages at QoS 0
_LINGER = 5.0  # seconds a closed connection may take to send what is left


class Reader(Protocol):
    """Where bytes come from: asyncio's StreamReader, or a WebSocket."""

    async def read(self, n: int, /) -> bytes:
        """Wait for some bytes; none means the end."""


class Connection:
    """Serves one client. `serve` is its one task; `live` lists the connections that are being served."""

    __slots__ = (
        "_address",
        "_batch",
        "_conversation",
        "_decoder",
        "_limit",
        "_live",
        "_origin",
        "_port",
        "_reader",
        "_shared",
        "_shut",
        "_timer",
        "_transport",
        "ended",
        "guest",
        "patience",
        "principal",
        "seen",
        "task",
    )

    def __init__(
        self,
        shared: Shared,
        live: "dict[Connection, None]",
        reader: Reader,
        transport: Transport,
        peer: tuple[str, int],
        origin: str | None,
    ) -> None:
        self._shared = shared
        self._shut = False
        self._live = live
        self._reader = reader
        self._transport = transport
        self._address, self._port = peer
        self._origin = origin
        self._decoder = wire.Decoder(shared.settings.max_packet)
        self._limit = shared.settings.write_buffer
        self._batch: list[bytes] | None = None
        self._conversation: Conversation | None = None
        self.guest: LightSession | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.ended = False
        self.patience = float(shared.settings.connect_timeout)
        self.principal: Principal | None = None
        self.seen = monotonic()
        self.task: asyncio.Task[None] | None = None

    async def serve(self) -> None:
        """Read until the client, or somebody here, ends the connection."""
        shared = self._shared
        shared.counters.connections += 1
        if not self._begin():
            return
        self.task = asyncio.current_task()
        self._live[self] = None
        try:
            await self._converse()
        except wire.ProtocolError as error:
            shared.counters.protocol_errors += 1
            if not isinstance(error, wire.UnsupportedLevelError):
                shared.notices.warn("protocol", f"closed a client at {self._address}: {error}", monotonic())
        except ForbiddenError as error:
            shared.counters.forbidden += 1
            shared.notices.warn("forbidden", f"closed a client at {self._address}: {error}", monotonic())
        except OSError:
            pass  # the line broke: an end like any other
        finally:
            self.end(publish_will=True)
            del self._live[self]
            self.task = None
        if self.guest is not None and self.principal is not None:
            guest = self.guest
            guest.transitions.state = "disconnected"
            await shared.guests.tell(BrokerEvents.CLIENT_DISCONNECTED, client_id=guest.client_id, client_session=guest)

    def _begin(self) -> bool:
        shared = self._shared
        settings = shared.settings
        if len(self._live) >= settings.max_connections + settings.max_connecting_per_address:
            self._refuse_full("connections", f"{len(self._live)} connections (mqtt.max_connections)")
            return False
        if not shared.logins.began(self._address):
            limit = settings.max_connecting_per_address
            self._refuse_full(
                "connecting", f"{limit} of {self._address} are not logged in (mqtt.max_connecting_per_address)"
            )
            return False
        return True

    async def _converse(self) -> None:
        reader, decoder = self._reader, self._decoder
        try:
            connect = await self._greeting()
            if connect is not None:
                await self._login(connect)
        finally:
            self._shared.logins.ended(self._address)
        conversation = self._conversation
        if conversation is None:
            return
        packets, fault = _feed(decoder, b"")  # what came with the CONNECT
        while True:
            await conversation.take(packets)
            if fault is not None:
                raise fault
            if self.ended:
                return
            data = await reader.read(READ)
            if not data:
                return
            self.seen = monotonic()
            packets, fault = _feed(decoder, data)

    async def _greeting(self) -> Connect | None:
        while True:
            data = await self._reader.read(READ)
            if not data:
                return None
            try:
                packets = self._decoder.feed(data)
            except wire.UnsupportedLevelError as error:
                self._refuse_level(error.level)
                raise
            for packet in packets:
                if isinstance(packet, Connect):
                    return packet

    @property
    def session(self) -> Session | None:
        """Whose connection it is, between login and end."""
        return None if self._conversation is None else self._conversation.session

    # The login

    async def _login(self, connect: Connect) -> None:
        shared = self._shared
        if not self._may_try():
            return
        client_id = connect.client_id
        if not client_id:
            if not connect.clean:
                self._refuse(2, "an empty client id needs a clean session")
                return
            client_id = f"auto-{uuid.uuid4().hex}"
        try:
            principal = shared.authentication.login(connect, self._origin)
        except LoginRefused as refusal:
            shared.counters.logins_failed += 1
            shared.logins.failed(self._address, monotonic())
            self._refuse(refusal.code, str(refusal))
            return
        will = connect.will
        if will is not None and (
            will.topic.startswith("$") or not shared.permits(principal, Action.PUBLISH, will.topic)
        ):
            self._refuse(5, "its will may not be published")
            return
        if shared.guests and not await self._admit(connect, client_id, principal):
            return
        connect.password = None
        if not shared.exchange.has_room(principal, client_id):
            self._refuse_full("sessions", f"{shared.settings.max_sessions} sessions (mqtt.max_sessions)")
            return
        if not self.ended:
            self._enter(connect, client_id, principal)
            if self.guest is not None:
                await shared.guests.tell(BrokerEvents.CLIENT_CONNECTED, client_id=client_id, client_session=self.guest)

    def _may_try(self) -> bool:
        shared = self._shared
        settings = shared.settings
        if len(self._live) - shared.logins.connecting >= settings.max_connections:
            self._refuse_full("connections", f"{settings.max_connections} are connected (mqtt.max_connections)")
            return False
        if shared.logins.blocked(self._address, monotonic()):
            self._refuse_full(
                "failed",
                f"{settings.max_failed_logins_per_address} logins from {self._address} failed within a minute"
                " (mqtt.max_failed_logins_per_address)",
            )
            return False
        return True

    async def _admit(self, connect: Connect, client_id: str, principal: Principal) -> bool:
        """Ask the operator's own plugins."""
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
            self._shared.counters.logins_failed += 1
            self._shared.logins.failed(self._address, monotonic())
            self._refuse(5, "an operator's plugin says no")
        return admitted

    def _enter(self, connect: Connect, client_id: str, principal: Principal) -> None:
        shared = self._shared
        shared.counters.logins += 1
        self.principal = principal
        self.patience = FORGIVENESS * (connect.keep_alive or DEFAULT_KEEP_ALIVE)
        self.seen = monotonic()
        if principal.role is Role.FEED:
            self._decoder.max_packet = shared.settings.max_packet_feed
        session, present = shared.exchange.enter(principal, client_id, self, clean=connect.clean)
        self._conversation = Conversation(shared, self, session, connect.will, self.guest)
        self.write(wire.connack(0, present=present))
        if present:
            self.write(session.resume())
            if session.desktop and session.filters:
                shared.listener.listening(principal, tuple(session.filters))

    def _refuse(self, code: int, reason: str) -> None:
        log.warning("login from %s refused (CONNACK %d): %s", self._address, code, reason)
        self.write(wire.connack(code))
        self._close()

    def _refuse_full(self, kind: str, reason: str) -> None:
        self._shared.counters.refused_full += 1
        self._shared.notices.warn(kind, f"a connection was refused (CONNACK 3): {reason}", monotonic())
        self.write(wire.connack(3))
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
        if self._shut:  # asyncio's TLS transport does not bear to be closed twice
            return
        self._shut = True
        self._transport.close()
        if self._transport.get_write_buffer_size():
            asyncio.get_running_loop().call_later(_LINGER, self._transport.abort)

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
