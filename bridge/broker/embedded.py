"""Embedded: amqtt's broker as the shell, our own core behind its public doors.

amqtt gives configuration, listeners, plugins, start and stop; every connection is served by `Connection`, every message
routed by `Exchange`. What amqtt would do with them itself is overridden here.
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Any, cast

from amqtt.broker import Broker as AmqttBroker
from amqtt.broker import BrokerContext, RetainedApplicationMessage
from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType
from amqtt.errors import BrokerError

from bridge.broker.connection import LINGER, Connection
from bridge.broker.conversation import Shared
from bridge.broker.core.counters import Counters, Gauges
from bridge.broker.core.letters import Letter
from bridge.broker.core.logins import Logins
from bridge.broker.core.presence import Presence
from bridge.broker.exchange import REFUSED, Exchange
from bridge.broker.live import Live
from bridge.broker.notices import Notices
from bridge.broker.plugins import Authentication, Guests, LightSession, Permission, Permits
from bridge.broker.port import Audience, Gate, Listener, Message, Receipt, Watcher
from bridge.broker.turnstile import Turnstile
from bridge.broker.websocket import WebSocket, WebSocketReader, WebSocketWriter
from bridge.words import topics
from bridge.words.principal import Principal, Role
from bridge.words.settings import Mqtt

BACKLOG = 4096  # with amqtt's 100, of 4,000 simultaneous connects 673 wait over 1 s

_TCP = "default"  # amqtt insists on a listener of this name and would bind it to all interfaces: ours takes it
_WEBSOCKET = "websocket"
_SWEEP = 0.25  # seconds between looks at who is silent, and whose credential ended
_SLICE = 500  # connections looked at before others have their turn
_EXPIRE_EVERY = 4  # sweeps
_AT_ONCE = 25  # logins in one turn of the event loop; each takes 0.1 ms
_GOODBYE = 1.0  # seconds for connections to close at stop, and again after they are aborted


def retains(principal: Principal, topic: str) -> bool:
    """Say whose RETAIN is honoured: a feed's on `…/feed`."""
    return principal.role is Role.FEED and topic.endswith("/feed")


class EmbeddedBroker(AmqttBroker):  # type: ignore[misc]
    """The broker in this process; it implements `port.Broker`.

    `retain` says whose RETAIN is honoured, `tls` turns the TCP listener into a TLS one. `stirred` says whether, since
    it was asked last, a credential may have ended before its time: else nobody's is looked at. The constructor raises
    amqtt's PluginError for an operator's plugin that cannot be loaded.
    """

    def __init__(
        self,
        settings: Mqtt,
        gate: Gate,
        listener: Listener,
        permits: Permits = topics.permits,
        clock: Callable[[], float] = time.time,
        *,
        retain: Callable[[Principal, str], bool] = retains,
        tls: ssl.SSLContext | None = None,
        stirred: Callable[[float], bool] = lambda _: True,
    ) -> None:
        # amqtt's constructor loads the plugins, and they may look at us.
        self.counters = Counters()
        self.sweeper: asyncio.Task[None] | None = None
        self._settings = settings
        self._clock = clock
        self._stirred = stirred
        self._tls = tls
        self._live: Live[Connection] = Live(monotonic())
        self._server: asyncio.Server | None = None
        self._address: tuple[str, int] | None = None
        self._logins = Logins(settings.max_connecting_per_address, settings.max_failed_logins_per_address)
        notices = Notices()
        self._exchange = Exchange(settings, self.counters, notices, clock, monotonic)
        context = BrokerContext(self)
        self._authentication = Authentication(context, gate)
        super().__init__(_configuration(settings))
        self._shared = Shared(
            settings=settings,
            exchange=self._exchange,
            authentication=self._authentication,
            permits=Permission(context, permits).permits,
            guests=Guests(self.plugins_manager),
            listener=listener,
            retain=retain,
            logins=self._logins,
            counters=self.counters,
            notices=notices,
            clock=clock,
            turnstile=Turnstile(_AT_ONCE),
            farewells=set(),
        )

    @property
    def address(self) -> tuple[str, int]:
        """Host and port where MQTT over TCP listens; known once started."""
        if self._address is None:
            raise RuntimeError("the broker is not started")
        return self._address

    @property
    def running(self) -> bool:
        """Whether it was started and not yet stopped."""
        return bool(self.transitions.state == "started")

    def gauges(self) -> Gauges:
        """Count what there is now."""
        connecting = self._logins.connecting
        return Gauges(
            connections=len(self._live) - connecting,
            connecting=connecting,
            sessions=len(self._exchange.sessions),
            subscriptions=self._exchange.subscriptions.count,
            retained=len(self._exchange.retained),
        )

    # The port

    async def publish(
        self, message: Message, audience: Audience = Audience.EVERYBODY, watcher: Watcher | None = None
    ) -> Receipt:
        """Write a message to all it concerns. One with a watcher never enters an offline session's queue."""
        if message.retain:
            self._exchange.retain(message.topic, message.payload, message.qos)
        letter = Letter(message.topic, message.payload, message.qos, watcher=watcher, transient=watcher is not None)
        return self._exchange.route(letter, audience)

    def desktops(self, topic: str) -> int:
        """Count the connected desktops subscribed to a topic."""
        return self._exchange.desktops(topic)

    def presence(self, customer: str, agent: str) -> Presence | None:
        """See `Broker`."""
        return self._exchange.presence(customer, agent)

    def end_dead(self, now: float) -> int:
        """End the connections whose credential no longer counts; return how many."""
        return self._end_dead(list(self._live), now)

    def _end_dead(self, connections: list[Connection], now: float) -> int:
        alive = self._authentication.alive
        ended = 0
        for connection in connections:
            principal = connection.principal
            if principal is not None and not connection.ended and not alive(principal, now):
                connection.end(publish_will=True)
                ended += 1
        self.counters.ended_dead += ended
        return ended

    # Start and stop

    async def start(self) -> None:
        """Listen. Raises OSError where the address cannot be had."""
        # Bound before amqtt starts, which would log a traceback for an address in use.
        self._server = await asyncio.get_running_loop().create_server(
            self.connection,
            self._settings.bind.host,
            self._settings.bind.port,
            backlog=BACKLOG,
            reuse_address=True,
            ssl=self._tls,
            ssl_handshake_timeout=None if self._tls is None else self._settings.connect_timeout,
            ssl_shutdown_timeout=None if self._tls is None else LINGER,
            start_serving=False,
        )
        host, port = self._server.sockets[0].getsockname()[:2]
        self._address = (host, port)
        try:
            await super().start()
        except BrokerError as failure:
            self._server.close()
            if isinstance(failure.__cause__, OSError):
                raise failure.__cause__ from None
            raise
        self.sweeper = asyncio.create_task(self._sweep(), name="mqtt sweep")

    async def stop(self) -> None:
        """Close the listeners, then every connection; wills are not published."""
        await self.shutdown()

    async def shutdown(self) -> None:
        """Stop, as amqtt calls it: its own way knows nothing of our connections and would wait for them for ever."""
        if self.transitions.state != "started":
            return
        for server in self._servers.values():
            if server.instance is not None:
                server.instance.close()
        if self.sweeper is not None:
            self.sweeper.cancel()
            await asyncio.wait([self.sweeper])
        closing = [connection.farewell() for connection in self._live]
        for connection in tuple(self._live):
            connection.end(publish_will=False)
        if closing:
            _, late = await asyncio.wait(closing, timeout=_GOODBYE)
            for connection in tuple(self._live):
                connection.abort()
            if late:
                await asyncio.wait(late, timeout=_GOODBYE)
        if self._shared.farewells:
            await asyncio.wait(self._shared.farewells, timeout=_GOODBYE)
        await super().shutdown()

    async def _create_server_instance(self, *_: object) -> asyncio.Server:
        """Begin to serve where `start` bound; our configuration has this one listener of amqtt's own."""
        if self._server is None:
            raise BrokerError("the broker is started by start")
        await self._server.start_serving()
        return self._server

    async def _sweep(self) -> None:
        """End who is silent, whose credential ended, and what nobody used for long."""
        sweeps, ahead = 0, self._clock() - monotonic()
        while True:
            await asyncio.sleep(_SWEEP)
            sweeps += 1
            before, ahead = ahead, self._clock() - monotonic()
            for part in _slices(self._live.due(monotonic())):
                self._look_at(part, monotonic(), self._clock())
                await asyncio.sleep(0)
            if self._stirred(self._clock()) or ahead - before > _SWEEP:  # somebody set the clock
                for part in _slices(list(self._live)):
                    self._end_dead(part, self._clock())
                    await asyncio.sleep(0)
            if sweeps % _EXPIRE_EVERY == 0:
                self._exchange.expire()

    def _look_at(self, connections: list[Connection], now: float, clock: float) -> None:
        """End who is silent or whose credential ended, and look at the others later."""
        for connection in connections:
            if now - connection.seen > connection.patience and not connection.ended:
                connection.timed_out()
        self._end_dead(connections, clock)
        for connection in connections:
            if not connection.ended and connection in self._live:
                self._live.expect(connection, now, clock)

    def connection(self) -> Connection:
        """Make the protocol that serves a new client."""
        return Connection(self._shared, self._live)

    # amqtt's doors

    async def stream_connected(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        listener_name: str,  # noqa: ARG002 - amqtt's
    ) -> None:
        """Serve a client whose bytes come by a reader of asyncio's."""
        peer = writer.get_extra_info("peername")
        transport = cast("asyncio.Transport", writer.transport)  # a stream's goes both ways
        if not peer:  # a load balancer's connect-and-close
            transport.abort()
            return
        await self.connection().serve(reader, transport, peer[:2])

    async def serve_websocket(self, websocket: WebSocket, peer: tuple[str, int], origin: str | None) -> None:
        """Serve a client on a WebSocket that is already open; returns when it is closed.

        `origin` is the foreign Origin, None if it is our own or there is none.
        """
        writer = WebSocketWriter(websocket, peer)
        sender = asyncio.create_task(writer.run(), name="mqtt websocket")
        try:
            await self.external_connected(WebSocketReader(websocket), writer, _WEBSOCKET, origin=origin)
        finally:
            writer.close()
            try:
                await asyncio.wait([sender])
            finally:
                sender.cancel()

    async def external_connected(
        self,
        reader: WebSocketReader,
        writer: WebSocketWriter,
        listener_name: str,
        *,
        origin: str | None = None,
    ) -> None:
        """Serve a client that came by a listener of somebody else's."""
        if listener_name not in self._servers:
            raise BrokerError(f"there is no listener {listener_name!r}, or the broker is not started")
        await Connection(self._shared, self._live, origin).serve(reader, writer, writer.get_peer_info())

    async def internal_message_broadcast(self, topic: str, data: bytes, qos: int | None = None) -> None:
        """Publish on behalf of an operator's plugin."""
        await self.publish(Message(topic, bytes(data), qos or 0))

    async def retain_message(
        self,
        source_session: LightSession | None,  # noqa: ARG002 - amqtt's
        topic_name: str | None,
        data: bytes | bytearray | None,
        qos: int | None = None,
    ) -> None:
        """Retain on behalf of an operator's plugin."""
        if topic_name:
            self._exchange.retain(topic_name, bytes(data or b""), qos or 0)

    async def add_subscription(self, subscription: tuple[str, int], session: LightSession) -> int:
        """Subscribe a connected client on behalf of an operator's plugin; return the code for SUBACK."""
        for connection in self._live:
            if connection.guest is session and connection.session is not None:
                return self._exchange.subscribe(connection.session, *subscription)
        return REFUSED

    def create_offline_session(self, client_id: str) -> tuple[Any, Any]:
        """Refuse: a session belongs to who logged in, and a plugin cannot say who that is."""
        raise BrokerError(f"no session is made for a client that is not connected: {client_id!r}")

    @property
    def sessions(self) -> dict[str, tuple[LightSession, None]]:
        """Who is connected, by client id; for plugins."""
        guests = (connection.guest for connection in self._live if connection.session is not None)
        return {guest.client_id: (guest, None) for guest in guests if guest is not None}

    @property
    def subscriptions(self) -> dict[str, list[tuple[Any, int]]]:
        """Who subscribed, by filter; for plugins."""
        known = self.sessions
        return {
            topic_filter: [(known[who.client_id][0], qos) for who, qos in members.items() if who.client_id in known]
            for topic_filter, members in self._exchange.subscriptions.filters()
        }

    @property
    def retained_messages(self) -> dict[str, RetainedApplicationMessage]:
        """What is retained, by topic; for plugins."""
        return {
            letter.topic: RetainedApplicationMessage(None, letter.topic, letter.payload, letter.qos)
            for letter in self._exchange.retained.letters()
        }


def _slices(connections: list[Connection]) -> Iterator[list[Connection]]:
    return (connections[start : start + _SLICE] for start in range(0, len(connections), _SLICE))


def _configuration(settings: Mqtt) -> BrokerConfig:
    bind = str(settings.bind)
    return BrokerConfig(
        listeners={
            _TCP: ListenerConfig(bind=bind),
            _WEBSOCKET: ListenerConfig(type=ListenerType.EXTERNAL, bind=bind),
        },
        plugins={name: dict(options) for name, options in settings.plugins.items()},
    )
