"""Connection: one MQTT connection from CONNECT to its end, by paho-mqtt's network thread, which only this file knows.

What happens crosses into the event loop as facts, one after the other, the last one always `Ended`. A connection is
used once; who wants another makes another.
"""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agent_client.server import Server

BETWEEN = 1_000
"""Messages that may be on their way from the network's thread to the event loop; then the thread waits."""

# CONNACK 4 and 5 in paho's spelling, that of MQTT 5.
_DENIED = {134: "the user name or the token is not accepted", 135: "the token is not accepted for this agent"}


class Connected(msgspec.Struct, frozen=True):
    """The broker accepted the login."""


class Subscribed(msgspec.Struct, frozen=True):
    """The broker answered SUBSCRIBE; `refused` counts the filters that it did not grant."""

    refused: int


class Denied(msgspec.Struct, frozen=True):
    """The broker does not accept this token; trying again makes no sense."""

    why: str


class Arrived(msgspec.Struct, frozen=True):
    """A message; it is unacknowledged until `Connection.acknowledge(mid)`. `mid` is 0 at QoS 0."""

    topic: str
    payload: bytes
    mid: int


class Published(msgspec.Struct, frozen=True):
    """The broker acknowledged what was published under `mid`."""

    mid: int


class Ended(msgspec.Struct, frozen=True):
    """The connection is over, or never came about."""

    why: str


Fact = Connected | Subscribed | Denied | Arrived | Published | Ended


class Login(msgspec.Struct, frozen=True):
    """Who connects, with which will and filters."""

    username: str
    token: str
    client_id: str
    clean: bool
    keepalive: int
    will_topic: str
    will: bytes
    filters: Sequence[str]

    def __repr__(self) -> str:
        """Leave the token out."""
        return f"Login({self.username!r}, {self.client_id!r})"


class Connection:
    """Tells facts to `hear`, on the event loop."""

    def __init__(self, server: Server, login: Login, tls: ssl.SSLContext | None, hear: Callable[[Fact], None]) -> None:
        self._hear = hear
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._room = threading.Semaphore(BETWEEN)
        self._closing = threading.Event()
        self._unacknowledged: deque[int] = deque()
        self._taken: set[int] = set()
        self._filters = [(each, 1) for each in login.filters]
        self._client = self._made(server, login, tls)

    def start(self) -> None:
        """Begin to connect. `Ended` tells when that failed."""
        self._client.loop_start()

    def publish(self, topic: str, payload: bytes) -> int:
        """Publish at QoS 1; the result comes back in `Published`."""
        return self._client.publish(topic, payload, qos=1).mid

    def acknowledge(self, mid: int) -> None:
        """Send PUBACK for a message. PUBACKs leave in the order of arrival (MQTT-4.6.0-2), so it may be kept back."""
        if not mid:
            return
        self._taken.add(mid)
        while self._unacknowledged and self._unacknowledged[0] in self._taken:
            first = self._unacknowledged.popleft()
            self._taken.discard(first)
            self._client.ack(first, 1)

    async def ended(self) -> None:
        """Wait for the end."""
        await self._ended.wait()

    def leave(self) -> None:
        """Disconnect, so that the will is not published; `Ended` tells when that is done."""
        self._closing.set()
        self._client.disconnect()

    async def close(self) -> None:
        """Leave, and cut the connection if that takes more than a second."""
        self.leave()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), 1)
            return
        sock: Any = self._client.socket()
        if sock is None:
            return  # still connecting, in a daemon thread: `_on_connect` ends it, or its time-out does
        sock.close()
        # paho looks at its socket at least once a second.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), 2)

    def _made(self, server: Server, login: Login, tls: ssl.SSLContext | None) -> "_Client":
        client = _Client(
            CallbackAPIVersion.VERSION2,
            client_id=login.client_id,
            clean_session=login.clean,
            protocol=paho.MQTTv311,
            transport=server.transport,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        client.after = self._on_end
        client.username_pw_set(login.username, login.token)
        client.will_set(login.will_topic, login.will, qos=1)
        if server.tls:
            client.tls_set_context(tls or ssl.create_default_context())
        if server.transport == "websockets":
            client.ws_set_options(server.path, _without_origin)
        client.on_socket_open = _without_delay
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.connect_async(server.host, server.port, keepalive=login.keepalive)
        return client

    def _tell(self, fact: Fact) -> None:
        try:
            self._loop.call_soon_threadsafe(self._heard, fact)
        except RuntimeError:
            # The event loop was closed without closing the desktop: nobody is there to be told.
            self._client.disconnect()

    def _heard(self, fact: Fact) -> None:
        match fact:
            case Arrived(mid=mid):
                self._room.release()
                if mid:
                    self._unacknowledged.append(mid)
            case Ended():
                self._ended.set()
                client = self._client
                client.on_connect = client.on_subscribe = client.on_message = client.on_publish = None
                client.after = None
                # Its thread is done. paho closes the pair of sockets that wakes it only when it is collected.
                client._reset_sockets()  # noqa: SLF001 - paho has no public way
        self._hear(fact)

    def _on_connect(
        self, client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if self._closing.is_set():
            client.disconnect()
        elif reason.value == 0:
            self._tell(Connected())
            client.subscribe(self._filters)
        elif reason.value in _DENIED:
            self._tell(Denied(_DENIED[reason.value]))

    def _on_subscribe(
        self, _client: paho.Client, _data: Any, _mid: int, reasons: list[ReasonCode], _properties: Properties | None
    ) -> None:
        self._tell(Subscribed(sum(reason.is_failure for reason in reasons)))

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        while not self._room.acquire(timeout=0.5):
            if self._closing.is_set():
                return
        self._tell(Arrived(message.topic, bytes(message.payload), message.mid if message.qos else 0))

    def _on_publish(
        self, _client: paho.Client, _data: Any, mid: int, _reason: ReasonCode, _properties: Properties | None
    ) -> None:
        self._tell(Published(mid))

    def _on_end(self, why: str) -> None:
        self._tell(Ended(why))


class _Client(paho.Client):
    """paho's client, which tells when its thread is done: its own callbacks leave some ends out.

    No callback follows a failed TLS or WebSocket handshake, a socket closed by us, or one that select cannot take.
    """

    after: Callable[[str], None] | None = None

    def loop_forever(self, timeout: float = 1.0, retry_first_connection: bool = False) -> MQTTErrorCode:  # noqa: FBT001, FBT002 - paho's signature
        """Run until the connection's end. Trying again is not paho's business here."""
        del retry_first_connection
        why = "the connection broke"
        try:
            code = super().loop_forever(timeout)
        except (OSError, ValueError) as error:
            why = str(error) or type(error).__name__
            return MQTTErrorCode.MQTT_ERR_CONN_LOST
        else:
            why = paho.error_string(code).rstrip(".")
            return code
        finally:
            if self.after is not None:
                self.after(why)


def _without_delay(_client: paho.Client, _data: Any, sock: Any) -> None:
    # An outcome follows a PUBACK at once: with Nagle's algorithm it would wait 40 ms for the acknowledgement of that.
    # A duplicate of the handle, because paho's WebSocket does not give its socket.
    with socket.fromfd(sock.fileno(), socket.AF_INET, socket.SOCK_STREAM) as same:
        same.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _without_origin(headers: dict[str, str]) -> dict[str, str]:
    # paho sends an Origin as if it were a page of the server; a desktop application is no page.
    return {name: value for name, value in headers.items() if name != "Origin"}
