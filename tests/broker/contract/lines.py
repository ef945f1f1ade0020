"""Lines: the two roads to a broker, TCP and WebSocket, as plain bytes both ways."""

import asyncio
import socket
import struct

import aiohttp


class TcpLine:
    """A TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, host: str, port: int) -> "TcpLine":
        line = cls(*await asyncio.open_connection(host, port))
        line._socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return line

    async def send(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except ConnectionError:
            return  # shows at the next receive

    async def receive(self) -> bytes:
        try:
            return await self._reader.read(65536)
        except ConnectionError:
            return b""

    async def close(self) -> None:
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return  # closed all the same

    def abort(self) -> None:
        if not self._writer.transport.is_closing():
            self._socket().setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    def deaf(self) -> None:
        """Read no more, so that what the broker writes piles up on its side."""
        self._socket().setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio types it as a write transport

    def finish(self) -> None:
        """Send no more; what was received may still be read."""
        self._writer.write_eof()

    def _socket(self) -> socket.socket:
        found: socket.socket = self._writer.get_extra_info("socket")
        return found


class WebSocketLine:
    """A WebSocket with the subprotocol `mqtt`, by aiohttp's client; one message for each `send`."""

    def __init__(self, session: aiohttp.ClientSession, websocket: aiohttp.ClientWebSocketResponse) -> None:
        self._session = session
        self._websocket = websocket

    @classmethod
    async def open(cls, url: str, *, origin: str | None = None) -> "WebSocketLine":
        session = aiohttp.ClientSession()
        try:
            websocket = await session.ws_connect(url, protocols=("mqtt",), origin=origin, max_msg_size=0)
        except aiohttp.ClientError:
            await session.close()
            raise
        return cls(session, websocket)

    async def send(self, data: bytes) -> None:
        try:
            await self._websocket.send_bytes(data)
        except (ConnectionError, aiohttp.ClientError):
            return  # shows at the next receive

    async def receive(self) -> bytes:
        while True:
            message = await self._websocket.receive()
            if message.type is not aiohttp.WSMsgType.BINARY:
                return b""
            if message.data:
                return bytes(message.data)

    async def close(self) -> None:
        await self._websocket.close()
        await self._session.close()

    def abort(self) -> None:
        transport: asyncio.Transport | None = self._websocket.get_extra_info("transport")
        connection = self._websocket._response.connection
        if transport is None and connection is not None:
            transport = connection.transport
        if transport is not None:
            transport.abort()
