"""Server: HTTP/1.1 with our bounds, one handler, and refusals that quote nothing.

A connection is ours while its requests are usual and come whole, which most do; with the first other one it is handed
over to aiohttp's protocol for good. Differences from aiohttp's own: a request that its parser refuses is answered in
our shape and never logged (its handler logs the whole line and echoes it); a head has a deadline (its only bound is the
keep-alive time).
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, cast

from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.tcp_helpers import tcp_keepalive
from aiohttp.web_protocol import RequestHandler

from bridge.http import answers, whole
from bridge.words.errors import Fault
from bridge.words.settings import Address, Http

LONGEST_LINE = 262_144
LARGEST_FIELD = 16_384
STOP_WITHIN = 1.5  # seconds, twice at most; the process promises to be gone within 5
_BACKLOG = 4096
_SOON = 0.05  # seconds that a body may come after its head, as many clients send it, and still be read with it
_SHORT = 65_536  # bytes of such a body

log = logging.getLogger("popbridge.http")

Handler = Callable[[web.BaseRequest], Awaitable[answers.Answered]]
Door = Callable[[whole.Whole], Coroutine[Any, Any, answers.Answer]]
FindDoor = Callable[[whole.Whole], Door | None]
"""Finds who answers a request that is read at once; None where that needs aiohttp's."""


class _Connection(asyncio.Protocol):
    """One connection, as long as its requests are usual."""

    __slots__ = (
        "_begun",
        "_clock",
        "_due",
        "_held",
        "_loop",
        "_patience",
        "_paused",
        "_peer",
        "_served",
        "_server",
        "_settings",
        "_tail",
        "_task",
        "_transport",
    )

    def __init__(self, server: "Server", settings: Http) -> None:
        self._server = server
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._peer: str | None = None
        self._task: asyncio.Task[None] | None = None
        self._tail = b""
        self._held = False
        self._paused = False
        self._served = False
        self._due = 0.0
        self._clock: asyncio.TimerHandle
        self._begun = b""
        self._patience: asyncio.TimerHandle

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        tcp_keepalive(self._transport)
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if peer else None
        self._due = self._loop.time() + min(self._settings.head_timeout, self._settings.keepalive)
        self._clock = self._loop.call_at(self._due, self._look)
        if not self._server.admit(self):
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._clock.cancel()
        if self._begun:
            self._patience.cancel()
        self._transport = None
        self._server.release(self)

    def data_received(self, data: bytes) -> None:
        # What TLS still held of a connection that we closed is delivered while it is being closed.
        if self._transport is None or self._transport.is_closing() or self._server.stopping:
            return
        if self._task is not None:
            # The next request came before the answer: that is aiohttp's, as soon as it is its turn.
            self._tail += data
            self._hold()
            return
        begun, self._begun = self._begun, b""
        if begun:
            self._patience.cancel()
        came = (begun, data) if begun else (data,)
        request = whole.read(begun + data)
        door = None if request is None else self._server.find_door(request)
        if request is None or door is None:
            self._hand_over(*came)
        elif not request.lacks:
            request.remote = self._peer
            self._task = self._loop.create_task(self._answer(request, door), name="http: answer")
        elif begun or request.lacks > _SHORT:
            self._hand_over(*came)
        else:
            self._begun = data
            self._patience = self._loop.call_later(_SOON, self._hand_over, data)

    def pause_writing(self) -> None:
        """Read nothing more of a client that does not read its answers."""
        self._paused = True
        self._hold()

    def resume_writing(self) -> None:
        self._paused = False
        if self._task is None:
            self._go_on()

    async def end(self, within: float) -> None:
        """Close; a request in work has so many seconds for its answer, and as many for its end."""
        task = self._task
        if task is not None and not (await asyncio.wait({task}, timeout=within))[0]:
            task.cancel()
            await asyncio.wait({task}, timeout=within)
        if self._transport is not None:
            self._transport.close()

    async def _answer(self, request: whole.Whole, door: Door) -> None:
        try:
            answer = await door(request)
        except Exception as error:  # noqa: BLE001 - a bug of ours, whatever it is
            answer = _failed(request.headers.get("Accept", ""), error)
        except asyncio.CancelledError:
            # By `end`, or because what it waited for was cancelled: there will be no answer.
            if self._transport is not None:
                self._transport.close()
            raise
        self._task = None
        self._send(answer, closes=request.closes)

    def _send(self, answer: answers.Answer, *, closes: bool) -> None:
        transport = self._transport
        if transport is None:
            return
        answer.keep_alive = answer.keep_alive and not closes
        try:
            spelled = answer.spell(version="1.1", asks_body=True)
        except ValueError as error:
            log.error("a connection failed: %s", type(error).__name__)  # noqa: TRY400 - it may quote the client
            transport.close()
            return
        self._served = True
        self._due = self._loop.time() + self._settings.keepalive
        transport.write(spelled)
        if not answer.keep_alive:
            transport.close()
        elif self._held and not self._paused:
            self._go_on()

    def _hold(self) -> None:
        self._held = True
        if self._transport is not None:
            self._transport.pause_reading()

    def _go_on(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._held = False
        self._transport.resume_reading()
        if self._tail:
            self._hand_over(self._tail)

    def _hand_over(self, *came: bytes) -> None:
        """Have aiohttp read these bytes and all that follow.

        They are given as they came: it answers no request that came together with one that it refuses.
        """
        transport = self._transport
        if transport is None or self._server.stopping:
            return
        self._clock.cancel()
        self._transport = None
        protocol = self._server.hand_over(self, None if self._served else self._due - self._loop.time())
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        for data in came:
            protocol.data_received(data)

    def _look(self) -> None:
        """Close a connection that asked for nothing in its time; its clock is not set again for each request."""
        if self._task is not None or self._begun or self._paused:
            self._due = self._loop.time() + self._settings.keepalive
        if self._loop.time() < self._due:
            self._clock = self._loop.call_at(self._due, self._look)
        elif self._transport is not None:
            self._transport.close()


class _Protocol(RequestHandler):
    """One connection from its first unusual request on; that one's head has to be there in `first_within` seconds."""

    __slots__ = ("_deadline", "_first_within", "_head_timeout", "_server")

    def __init__(self, server: "Server", head_timeout: float, first_within: float, **options: Any) -> None:
        super().__init__(server.inner, **options)
        self._server = server
        self._head_timeout = head_timeout
        self._first_within = first_within
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._deadline = self._loop.call_later(self._first_within, self._too_slow)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._server.release(self)
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
        return _failed(request.headers.get("Accept", ""), exc, quietly=gone and isinstance(exc, ConnectionError))

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


def _failed(accept: str, error: BaseException | None, *, quietly: bool = False) -> answers.Answer:
    if not quietly:
        log.error("a handler failed", exc_info=error)
    return answers.refusal(Fault("internal_error", "The bridge failed."), accept)


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

    def __init__(
        self,
        settings: Http,
        handler: Handler,
        tls: ssl.SSLContext | None = None,
        find_door: FindDoor = lambda _: None,
    ) -> None:
        self._settings = settings
        self._tls = tls
        self._connections = 0
        self._usual: set[_Connection] = set()
        self.find_door = find_door
        self.stopping = False
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
        self.stopping = True
        await asyncio.gather(self.inner.shutdown(STOP_WITHIN), *(one.end(STOP_WITHIN) for one in self._usual))

    def admit(self, connection: _Connection) -> bool:
        """Count a new connection in; False where there are too many."""
        self._connections += 1
        self._usual.add(connection)
        if self._connections > self._settings.max_connections:
            self.refused_full += 1
            return False
        return True

    def release(self, connection: "_Connection | _Protocol") -> None:
        """Count an ended connection out."""
        self._connections -= 1
        if isinstance(connection, _Connection):
            self._usual.discard(connection)

    @property
    def connections(self) -> int:
        """How many connections there are."""
        return self._connections

    def hand_over(self, connection: _Connection, first_within: float | None) -> _Protocol:
        """Make aiohttp's protocol for this connection, which stays counted."""
        self._usual.discard(connection)
        return _Protocol(
            self,
            self._settings.head_timeout,
            self._settings.head_timeout if first_within is None else first_within,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=self._settings.keepalive,
            access_log=None,
            max_line_size=LONGEST_LINE,
            max_field_size=LARGEST_FIELD,
            lingering_time=2.0,
            auto_decompress=False,
        )

    def _connect(self) -> _Connection:
        return _Connection(self, self._settings)
