"""WebSocket: MQTT over a WebSocket that somebody else accepted, as the reader and transport of a connection."""

import asyncio
import socket
from typing import Any, Protocol

from amqtt.adapters import ReaderAdapter, WriterAdapter

from bridge.broker.core.wire import ProtocolError

_BINARY = 2  # RFC 6455, section 5.2
_TEXT = 1
_GOING_AWAY = 1001
_CLOSING = 5.0  # seconds for the closing handshake


class Frame(Protocol):
    """What was received: a message, or that the connection ended."""

    @property
    def type(self) -> Any:
        """RFC 6455's opcode; other numbers tell of an end."""

    @property
    def data(self) -> Any:
        """The payload."""


class WebSocket(Protocol):
    """What is used of aiohttp's WebSocketResponse."""

    async def receive(self) -> Frame:
        """Wait for the next message, or the end."""

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary message; waits while the peer does not keep up."""

    async def close(self, *, code: int = 1000) -> bool:
        """Say goodbye."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Tell about the transport."""


class WebSocketReader(ReaderAdapter):  # type: ignore[misc]
    """Bytes out of binary messages; where a message ends means nothing to MQTT ([MQTT-6.0.0-4])."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._ended = False

    async def read(self, _n: int = -1) -> bytes:
        """Wait for the next message that is not empty; none at the end. May return more than asked for."""
        while not self._ended:
            frame = await self._websocket.receive()
            if frame.type == _BINARY:
                if frame.data:
                    return bytes(frame.data)
            elif frame.type == _TEXT:
                raise ProtocolError("a WebSocket text message")
            else:
                break
        return b""

    def feed_eof(self) -> None:
        """Give no more."""
        self._ended = True


class WebSocketWriter(WriterAdapter):  # type: ignore[misc]
    """What is written is kept until its own task has sent it, since aiohttp can only be awaited."""

    def __init__(self, websocket: WebSocket, peer: tuple[str, int]) -> None:
        self._websocket = websocket
        self._peer = peer
        self._pending: list[bytes] = []
        self._size = 0
        self._closing = False
        self._wake = asyncio.Event()

    def write(self, data: bytes) -> None:
        """Keep bytes for `run`."""
        if not self._closing:
            self._pending.append(data)
            self._size += len(data)
            self._wake.set()

    async def run(self) -> None:
        """Send what is written until closed, then close the WebSocket; the reader sees either end."""
        try:
            while self._pending or not self._closing:
                await self._wake.wait()
                self._wake.clear()
                await self._send()
            async with asyncio.timeout(_CLOSING):
                await self._websocket.close(code=_GOING_AWAY)
        except (TimeoutError, OSError):
            self.abort()
        finally:
            self._closing = True
            self._pending.clear()
            self._size = 0

    async def _send(self) -> None:
        while self._pending:
            data = b"".join(self._pending)
            self._pending.clear()
            await self._websocket.send_bytes(data)
            self._size -= len(data)

    def is_closing(self) -> bool:
        """Say whether nothing more will be sent."""
        return self._closing

    def get_write_buffer_size(self) -> int:
        """Count the bytes not yet sent."""
        return self._size

    def pause_reading(self) -> None:
        """Nothing is read but when the connection asks."""

    resume_reading = pause_reading

    def close(self) -> None:
        """Close when everything is sent."""
        self._closing = True
        self._wake.set()

    def abort(self) -> None:
        """Cut the line below: a closing handshake would wait for a client that does not read."""
        self._closing = True
        self._pending.clear()
        self._wake.set()
        line = self._websocket.get_extra_info("socket")
        if line is None:
            return
        try:
            with line.dup() as own:
                own.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it is closed already

    async def drain(self) -> None:
        """Do not wait: the bound is on `get_write_buffer_size`."""

    def get_peer_info(self) -> tuple[str, int]:
        """Tell the client's address and port."""
        return self._peer

    def get_ssl_info(self) -> Any:
        """Tell the TLS object, if any."""
        return self._websocket.get_extra_info("ssl_object")
