"""Floor: the doors of the live floor: the whole of it, and its changes as a stream (SSE).

A stream ends with its credential. Who does not read it is cut off, and comes back with Last-Event-ID.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from aiohttp import web

from bridge.cloudsync.floor import sse
from bridge.cloudsync.floor.live import Following, Live
from bridge.connect import forms
from bridge.gate import Gate
from bridge.http import answers, headers, origins, readers
from bridge.words import errors
from bridge.words.principal import Principal, Role
from bridge.words.settings import Settings

_STREAM = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Accel-Buffering": "no",
    "Server": "popbridge",
}


class FloorDoors:
    """`/api/lsm` and `/api/lsm/stream`.

    Seconds: a stream shows life every `heartbeat`; a credential that ended is noticed within `look`; a write that takes
    longer than `patience` ends the stream.
    """

    def __init__(
        self,
        settings: Callable[[], Settings],
        gate: Gate,
        live: Live,
        now: Callable[[], float] = time.time,
        *,
        heartbeat: float = 10.0,
        look: float = 0.5,
        patience: float = 10.0,
    ) -> None:
        self._settings = settings
        self._gate = gate
        self._live = live
        self._now = now
        self._heartbeat = heartbeat
        self._look = look
        self._patience = patience
        self._serving: set[asyncio.Task[Any]] = set()

    @property
    def streams(self) -> int:
        """How many streams there are."""
        return len(self._serving)

    async def snapshot(self, request: web.BaseRequest) -> answers.Answered:
        """Answer the whole floor."""
        principal = self._reader(request)
        return answers.json(200, self._live.snapshot(principal.customer))

    async def stream(self, request: web.BaseRequest) -> answers.Answered:
        """Stream the floor, then its changes; with Last-Event-ID the changes since, if they are still there."""
        principal = self._reader(request)
        last = sse.last_seen(request.headers.get("Last-Event-ID"))
        origin = origins.foreign(request, self._settings().customers)
        with self._live.follow(principal.customer, last) as following:
            response = web.StreamResponse(headers=_STREAM | origins.headers(origin))
            await response.prepare(request)
            if request.method == "HEAD":
                return response
            task = asyncio.current_task()
            if task is not None:
                self._serving.add(task)
                task.add_done_callback(self._serving.discard)
            await self._serve(request, response, principal, following)
        return response

    def end_all(self) -> None:
        """End every stream: they last for ever, and a stop must not wait for them."""
        for task in self._serving:
            task.cancel()

    async def _serve(
        self, request: web.BaseRequest, response: web.StreamResponse, principal: Principal, following: Following
    ) -> None:
        loop = asyncio.get_running_loop()
        told: bytes | None = following.opening()
        shown = loop.time()
        while self._may_go_on(request, principal):
            if told is None:
                _abort(request)
                return
            if loop.time() - shown >= self._heartbeat:
                told += following.feed()
                shown = loop.time()
            if told and not await self._written(request, response, principal, told):
                return
            told = following.news()
            if told == b"":
                await following.wait(self._look)
                told = following.news()
        if isinstance(request.transport, asyncio.WriteTransport) and request.transport.get_write_buffer_size():
            # The stream's end would wait for who does not read.
            _abort(request)

    async def _written(
        self, request: web.BaseRequest, response: web.StreamResponse, principal: Principal, told: bytes
    ) -> bool:
        """Write; False if the client is gone, or was cut off because it does not read or may not any more."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience
        writing = asyncio.ensure_future(response.write(told))
        try:
            while not (await asyncio.wait({writing}, timeout=self._look))[0]:
                if loop.time() >= until or not self._may_go_on(request, principal):
                    _abort(request)
                    return False
            await writing
        except ConnectionError:
            return False
        finally:
            writing.cancel()
        return True

    def _may_go_on(self, request: web.BaseRequest, principal: Principal) -> bool:
        transport = request.transport
        return (
            transport is not None
            and not transport.is_closing()
            and self._gate.alive(principal, self._now())
            and self._live.selected(principal.customer)
        )

    def _reader(self, request: web.BaseRequest) -> Principal:
        principal = readers.verify(request, self._gate, self._settings().customers, Role.OBSERVER, Role.ADMIN)
        for name, _ in forms.read_urlencoded(headers.query(request), "query"):
            raise errors.invalid_parameter(name[:40], "is unknown here; this takes none")
        return principal


def _abort(request: web.BaseRequest) -> None:
    if request.transport is not None:
        request.transport.abort()
