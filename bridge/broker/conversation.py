"""Conversation: what each packet of a client that is logged in does. It reads and writes no stream."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from time import monotonic
from typing import assert_never

import msgspec
from amqtt.events import BrokerEvents
from amqtt.session import IncomingApplicationMessage

from bridge.broker.core import packets, wire
from bridge.broker.core.acknowledgements import Acknowledgements
from bridge.broker.core.counters import Counters
from bridge.broker.core.letters import Letter
from bridge.broker.core.logins import Logins
from bridge.broker.core.session import Session
from bridge.broker.exchange import REFUSED, Exchange
from bridge.broker.line import Line
from bridge.broker.notices import Notices
from bridge.broker.plugins import Authentication, Guests, LightSession, Permits
from bridge.broker.port import Listener
from bridge.broker.turnstile import Turnstile
from bridge.words.principal import Principal
from bridge.words.settings import Mqtt
from bridge.words.topics import Action


class Shared(msgspec.Struct):
    """What all conversations of a broker use. `retain` says whose RETAIN is honoured, for which topic."""

    settings: Mqtt
    exchange: Exchange
    authentication: Authentication
    permits: Permits
    guests: Guests
    listener: Listener
    retain: Callable[[Principal, str], bool]
    logins: Logins
    counters: Counters
    notices: Notices
    clock: Callable[[], float]  # epoch seconds
    turnstile: Turnstile
    farewells: set[asyncio.Task[None]]  # who tells the operator's plugins that a client is gone


class ForbiddenError(Exception):
    """A client published where it may not: close the connection."""


class _NoTicket:
    def release(self) -> None:
        """Nobody waits for the acknowledgement of a will."""


_NO_TICKET = _NoTicket()


class Conversation:
    """One client's, from CONNACK to the end."""

    __slots__ = ("_acknowledgements", "_allowed", "_guest", "_line", "_room", "_shared", "session", "will")

    def __init__(
        self, shared: Shared, line: Line, session: Session, will: packets.Will | None, guest: LightSession | None
    ) -> None:
        self._shared = shared
        self._line = line
        self._acknowledgements: Acknowledgements | None = None
        self._allowed = ""  # the topic this client last published to: most use one
        self._guest = guest
        self._room: asyncio.Event | None = None
        self.session = session
        self.will = will

    def take(self, arrived: Iterable[packets.Packet]) -> Iterator[Awaitable[None]]:
        """Let each packet take effect, in order; what comes out is written once.

        Gives what must be awaited before the next one can: for nearly all packets nothing, so that they need no task.
        """
        line = self._line
        line.begin()
        try:
            for packet in arrived:
                if line.ended:
                    return
                match packet:
                    case packets.Puback(id=identifier):
                        self._follow(self.session.acknowledged(identifier))
                    case packets.Publish():
                        if self._guest is not None or self._crowded:
                            yield self._before_publish(packet)
                        self._publish(packet)
                    case packets.Subscribe():
                        yield from self._subscribe(packet)
                    case packets.Unsubscribe():
                        yield from self._unsubscribe(packet)
                    case _:
                        self._answer(packet)
        finally:
            line.flush()

    def _answer(
        self,
        packet: packets.Pubrec
        | packets.Pubrel
        | packets.Pubcomp
        | packets.Pingreq
        | packets.Disconnect
        | packets.Connect,
    ) -> None:
        match packet:
            case packets.Pingreq():
                self._line.write(wire.PINGRESP)
            case packets.Pubrec(id=identifier):
                self._line.write(self.session.received(identifier))
            case packets.Pubrel(id=identifier):
                self._release(identifier)
            case packets.Pubcomp(id=identifier):
                self._follow(self.session.completed(identifier))
            case packets.Disconnect():
                self.will = None
                self._line.end(publish_will=False)
            case packets.Connect():
                raise wire.ProtocolError("second CONNECT")
            case _:
                assert_never(packet)

    def close(self, *, publish_will: bool) -> None:
        """Take leave: the session is suspended or dropped, the will published, who listens is told."""
        session, shared = self.session, self._shared
        if self._acknowledgements is not None:
            for identifier in self._acknowledgements.close():
                session.release(identifier)  # it was not acknowledged, so the client will send it again
        if self._room is not None:
            self._room.set()
        principal = session.principal
        remaining = shared.exchange.leave(session)
        will = self.will
        if will is not None and publish_will:
            keep = will.retain and shared.retain(principal, will.topic)
            shared.listener.arrived(principal, will.topic, will.payload, _NO_TICKET)
            self._pass_on(Letter(will.topic, will.payload, will.qos, keep=keep))
        if session.desktop:
            shared.listener.left(principal, remaining)

    def more(self) -> None:
        """Write retained messages that wait for nothing but the line."""
        self._follow(self.session.more())

    def _follow(self, out: bytes) -> None:
        if out:
            self._line.write(out)
            if self.session.eager:
                self._line.trickle()

    # Publishing

    @property
    def _crowded(self) -> bool:
        acknowledgements = self._acknowledgements
        return acknowledgements is not None and len(acknowledgements) >= self._shared.settings.queue

    async def _before_publish(self, packet: packets.Publish) -> None:
        """Wait until there is room for another acknowledgement that is kept back; ask the operator's plugins."""
        line, acknowledgements = self._line, self._acknowledgements
        if acknowledgements is not None and self._crowded:
            line.flush()
            line.seen = float("inf")  # the client is not silent: we do not listen
            self._room = acknowledgements.room = asyncio.Event()
            await self._room.wait()
            self._room = acknowledgements.room = None
            line.seen = monotonic()
            line.begin()
        if self._guest is not None and not line.ended:
            message = IncomingApplicationMessage(packet.id, packet.topic, packet.qos, packet.payload, packet.retain)
            await self._tell(BrokerEvents.MESSAGE_RECEIVED, message=message)
            if not await self._ask(self._guest, Action.PUBLISH, packet.topic):
                raise ForbiddenError("an operator's plugin forbids a publish")
            await self._tell(BrokerEvents.MESSAGE_BROADCAST, message=message)

    def _publish(self, packet: packets.Publish) -> None:
        shared, session = self._shared, self.session
        if self._line.ended:
            return
        principal, topic = session.principal, packet.topic
        if topic != self._allowed:
            if not shared.permits(principal, Action.PUBLISH, topic):
                raise ForbiddenError(f"a client of role {principal.role} published where it may not")
            self._allowed = topic
        if packet.qos == 2 and session.holds(packet.id):
            if self._acknowledgements is None or not self._acknowledgements.keeps(packet.id):
                self._acknowledge(wire.pubrec(packet.id))
            return
        shared.counters.messages_in += 1
        keep = packet.retain and shared.retain(principal, topic)
        letter = Letter(topic, packet.payload, packet.qos, keep=keep)
        if self._acknowledgements is None:
            self._acknowledgements = Acknowledgements(self._line)
        if packet.qos == 2:
            session.hold(packet.id, letter)
            ticket = self._acknowledgements.ticket(wire.pubrec(packet.id), packet.id)
        else:
            ticket = self._acknowledgements.ticket(wire.puback(packet.id) if packet.qos else b"")
        kept = shared.listener.arrived(principal, topic, packet.payload, ticket)
        if packet.qos < 2:
            self._pass_on(letter)
        if kept:
            self._acknowledgements.keep(ticket)
        else:
            self._acknowledge(ticket.packet)

    def _acknowledge(self, packet: bytes) -> None:
        """Acknowledge in the order of arrival."""
        acknowledgements = self._acknowledgements
        if acknowledgements:
            ticket = acknowledgements.ticket(packet)
            ticket.ready = True
            acknowledgements.keep(ticket)
        elif packet:
            self._line.write(packet)

    def _release(self, identifier: int) -> None:
        letter = self.session.release(identifier)
        if letter is not None:
            self._pass_on(letter)
        self._line.write(wire.pubcomp(identifier))

    def _pass_on(self, letter: Letter) -> None:
        if letter.keep:
            self._shared.exchange.retain(letter.topic, letter.payload, letter.qos)
        self._shared.exchange.route(letter)

    # Subscribing

    def _subscribe(self, packet: packets.Subscribe) -> Iterator[Awaitable[None]]:
        shared, session = self._shared, self.session
        forbidden: set[str] = set()
        if self._guest is not None:
            yield self._before_subscribe(self._guest, packet, forbidden)
            if self._line.ended:
                return
        codes = bytearray()
        granted: dict[str, int] = {}
        for topic_filter, qos in packet.filters:
            code = REFUSED
            if topic_filter not in forbidden and shared.permits(session.principal, Action.SUBSCRIBE, topic_filter):
                code = shared.exchange.subscribe(session, topic_filter, qos)
            if code != REFUSED:
                granted[topic_filter] = qos
                letters = shared.exchange.retained.matching(topic_filter)
                if letters:
                    session.retain(letters, qos)
            codes.append(code)
        self._line.write(wire.suback(packet.id, bytes(codes)))
        self.more()
        if granted and session.desktop:
            shared.listener.listening(session.principal, tuple(granted))
        if self._guest is not None:
            for topic_filter, qos in granted.items():
                yield self._tell(BrokerEvents.CLIENT_SUBSCRIBED, topic=topic_filter, qos=qos)

    async def _before_subscribe(self, guest: LightSession, packet: packets.Subscribe, forbidden: set[str]) -> None:
        """Ask the operator's plugins about each filter that may be had; add to `forbidden`."""
        for topic_filter, _ in packet.filters:
            if self._shared.permits(self.session.principal, Action.SUBSCRIBE, topic_filter) and not await self._ask(
                guest, Action.SUBSCRIBE, topic_filter
            ):
                forbidden.add(topic_filter)

    def _unsubscribe(self, packet: packets.Unsubscribe) -> Iterator[Awaitable[None]]:
        for topic_filter in packet.filters:
            self._shared.exchange.unsubscribe(self.session, topic_filter)
        self._line.write(wire.unsuback(packet.id))
        if self._guest is not None:
            for topic_filter in packet.filters:
                yield self._tell(BrokerEvents.CLIENT_UNSUBSCRIBED, topic=topic_filter)

    # The operator's plugins

    async def _ask(self, guest: LightSession, action: Action, topic: str) -> bool:
        self._line.flush()
        permitted = await self._shared.guests.permit(guest, action, topic)
        self._line.begin()
        return permitted

    async def _tell(self, event: str, **facts: object) -> None:
        if self._guest is not None:
            self._line.flush()
            await self._shared.guests.tell(event, client_id=self.session.client_id, **facts)
            self._line.begin()
