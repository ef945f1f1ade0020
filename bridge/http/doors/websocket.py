"""WebSocket: the door of MQTT over WebSocket, `/mqtt` with subprotocol `mqtt`."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from aiohttp import web

from bridge.http import origins
from bridge.words import errors
from bridge.words.settings import Settings

LARGEST_FRAME = 1024 * 1024


class Mqtt(Protocol):
    """Who serves an MQTT client on a WebSocket, to its end."""

    async def serve_websocket(self, ws: web.WebSocketResponse, peer: tuple[str, int], origin: str | None) -> None:
        """Serve it; `origin` is a foreign page's, None otherwise."""


class WebSocket:
    """`GET /mqtt`."""

    def __init__(self, settings: Callable[[], Settings], broker: Callable[[], Mqtt]) -> None:
        self._settings = settings
        self._broker = broker
        self._serving: set[asyncio.Task[Any]] = set()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Upgrade and hand over to the broker."""
        offered = [name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        if request.headers.get("Upgrade", "").lower() != "websocket":
            raise errors.invalid_parameter("Upgrade", "must be `websocket` on this path, with the subprotocol `mqtt`")
        if "mqtt" not in offered:
            raise errors.invalid_parameter("Sec-WebSocket-Protocol", "must be `mqtt`")
        origin = origins.foreign(request, self._settings().customers)
        socket = web.WebSocketResponse(protocols=("mqtt",), compress=False, max_msg_size=LARGEST_FRAME)
        try:
            await socket.prepare(request)
        except web.HTTPBadRequest:
            raise errors.invalid_parameter("Upgrade", "is not a WebSocket handshake (RFC 6455)") from None
        peer = request.transport.get_extra_info("peername") if request.transport else None
        task = asyncio.current_task()
        if task is not None:
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        await self._broker().serve_websocket(socket, peer=(peer[0], peer[1]) if peer else ("", 0), origin=origin)
        return socket

    def end_all(self) -> None:
        """End every client's connection: they last for ever, and a stop must not wait for them."""
        for task in self._serving:
            task.cancel()
