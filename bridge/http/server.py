"""Server: aiohttp's HTTP/1.1 protocol with our bounds, one handler, and refusals that quote nothing.

Differences from aiohttp's own: a request that its parser refuses is answered in our shape and never logged (its
handler logs the whole line and echoes it); a head has a deadline (its only bound is the keep-alive time).
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, cast

from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from bridge.http import answers
from bridge.words.errors import Fault
from bridge.words.settings import Address, Http

LONGEST_LINE = 262_144
LARGEST_FIELD = 16_384
STOP_WITHIN = 1.5  # seconds, twice at most; the process promises to be gone within 5
_BACKLOG = 4096

log = logging.getLogger("popbridge.http")

Handler = Callable[[web.BaseRequest], Awaitable[answers.Answered]]


class _Protocol(RequestHandler):
    """One connection."""

    __slots__ = ("_deadline", "_head_timeout", "_server")

    def __init__(self, server: "Server", head_timeout: float, **options: Any) -> None:
        super().__init__(server.inner, **options)
        self._server = server
        self._head_timeout = head_timeout
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if not self._server.admit():
            self.force_close()
            return
        self._deadline = self._loop.call_later(self._head_timeout, self._too_slow)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._server.release()
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._messages or self._request_in_progress:
            self._stop_clock()
        elif self._deadline is None:
            self._deadline = self._loop.call_later(self._head_timeout, self._too_slow)

    async def _handle_request(self, request: web.BaseRequest, *rest: Any) -> tuple[Any, bool]:
        self._stop_clock()
        return await super()._handle_request(request, *rest)

    async def finish_response(self, request: web.BaseRequest, resp: Any, start_time: float | None) -> tuple[Any, bool]:
        """Write an answer in one piece; the rest is aiohttp's. Tell with it whether the client is gone."""
        if not isinstance(resp, answers.Answer):
            return await super().finish_response(request, resp, start_time)
        resp.keep_alive = resp.keep_alive and request.keep_alive
        if self.transport is None:
            return resp, True
        version = "1.0" if request.version < HttpVersion11 else "1.1"
        self.transport.write(resp.spell(version=version, asks_body=request.method != "HEAD"))
        if self.writing_paused:
            try:
                await self._drain_helper()
            except ConnectionError:
                return resp, True
        return resp, False

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> Any:
        """Answer what aiohttp refuses, or a bug of ours; the request is never quoted."""
        del message
        if status == 400 and exc is not None:
            return answers.refusal(_unreadable(exc), close=True)
        gone = request.transport is None or request.transport.is_closing()
        # Whoever goes away while a streamed answer begins is no fault of ours, and reads no answer.
        if not (gone and isinstance(exc, ConnectionError)):
            log.error("a handler failed", exc_info=exc)
        return answers.refusal(Fault("internal_error", "The bridge failed."), request.headers.get("Accept", ""))

    def log_exception(self, *_args: object, **options: object) -> None:
        """Log a failure outside of a handler without its message, which may quote what the client sent."""
        error = options.get("exc_info")
        log.error("a connection failed: %s", type(error).__name__)

    def _too_slow(self) -> None:
        self._deadline = None
        self.force_close()

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _unreadable(error: BaseException) -> Fault:
    if isinstance(error, LineTooLong):
        # A field's limit is the smaller one; the parser tells which limit was passed, not where.
        limit = str(LONGEST_LINE)
        if any(limit in str(part) for part in error.args):
            return Fault("uri_too_long", f"The request line has more than {LONGEST_LINE} bytes.")
        return Fault("malformed_body", f"A header field has more than {LARGEST_FIELD} bytes.")
    return Fault("malformed_body", "This is not a well-formed HTTP/1.1 request.")


class Server:
    """The one HTTP port. `address` is where it listens, with the port that the system chose."""

    def __init__(self, settings: Http, handler: Handler, tls: ssl.SSLContext | None = None) -> None:
        self._settings = settings
        self._tls = tls
        self._connections = 0
        self.refused_full = 0
        # aiohttp sees an `Answer` only in `finish_response`, which is ours.
        self.inner = web.Server(cast("Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]", handler))
        self._listener: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen."""
        bind = self._settings.bind
        self._listener = await asyncio.get_running_loop().create_server(
            self._connect, bind.host, bind.port, ssl=self._tls, backlog=_BACKLOG
        )

    @property
    def address(self) -> Address:
        """Where the server listens."""
        if self._listener is None:
            raise RuntimeError("the server was not started")
        host, port = self._listener.sockets[0].getsockname()[:2]
        return Address(host, port)

    def stop_listening(self) -> None:
        """Accept no further connection."""
        if self._listener is not None:
            self._listener.close()

    async def stop(self) -> None:
        """End every connection; requests in work get a moment to be answered."""
        self.stop_listening()
        await self.inner.shutdown(STOP_WITHIN)

    def admit(self) -> bool:
        """Count a new connection in; False where there are too many."""
        self._connections += 1
        if self._connections > self._settings.max_connections:
            self.refused_full += 1
            return False
        return True

    def release(self) -> None:
        """Count an ended connection out."""
        self._connections -= 1

    @property
    def connections(self) -> int:
        """How many connections there are."""
        return self._connections

    def _connect(self) -> _Protocol:
        return _Protocol(
            self,
            self._settings.head_timeout,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=self._settings.keepalive,
            access_log=None,
            max_line_size=LONGEST_LINE,
            max_field_size=LARGEST_FIELD,
            lingering_time=2.0,
            auto_decompress=False,
        )
