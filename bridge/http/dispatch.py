"""Dispatch: from a path to its door; here, and only here, a `Fault` becomes an answer."""

from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Protocol, cast

import msgspec
from aiohttp import web

from bridge.http import answers, origins, target
from bridge.http.body import Unread
from bridge.http.whole import Whole
from bridge.words import errors
from bridge.words.settings import Settings

Handler = Callable[[web.BaseRequest], Awaitable[answers.Answered]]


class Refuse(Protocol):
    """Words a refusal; see `answers.refusal`."""

    def __call__(self, fault: errors.Fault, accept: str = "", *, close: bool = False) -> answers.Answer:
        """Make the answer."""


class Route(msgspec.Struct, frozen=True):
    """One path: its name for metrics, who answers which method, what OPTIONS tells, and how it words refusals.

    A door that never streams an answer and reads of a request no more than `Whole` has takes it `whole`, if it may.
    """

    name: str
    handler: Handler
    methods: tuple[str, ...] = ("GET",)
    allow: str = "GET, HEAD, OPTIONS"
    refuse: Refuse = answers.refusal
    whole: bool = False


class Below(msgspec.Struct, frozen=True):
    """Every path below one: the handler gets what stands behind it, as it came; one level, or `deep` any number."""

    name: str
    handler: Callable[[web.BaseRequest, str], Awaitable[answers.Answered]]
    methods: tuple[str, ...] = ("GET",)
    allow: str = "GET, HEAD, OPTIONS"
    deep: bool = False


def fixed(document: Mapping[str, object]) -> Handler:
    """Answer always the same document."""

    async def handle(_: web.BaseRequest) -> answers.Answered:
        return answers.ok(document)

    return handle


class Dispatch:
    """The handler of the one HTTP port. Paths match in any case, with or without a trailing slash."""

    def __init__(self, settings: Callable[[], Settings]) -> None:
        self._settings = settings
        self._routes: Mapping[str, Route] = {}
        self._below: Mapping[str, Below] = {}
        self.answered: Counter[tuple[str, str]] = Counter()

    def open(self, routes: Mapping[str, Route], below: Mapping[str, Below]) -> None:
        """Open the doors at these paths, spelled in lower case without a trailing slash, and below others."""
        self._routes = routes
        self._below = below

    def paths(self) -> dict[str, tuple[str, ...]]:
        """List every path with its methods; `*` stands for what is behind a path."""
        below = {f"{path}*": one.methods for path, one in self._below.items()}
        return {path: one.methods for path, one in self._routes.items()} | below

    async def handle(self, request: web.BaseRequest) -> answers.Answered:
        """Answer one request."""
        response = await self._answer(self._find(target.path_of(request)), request)
        if isinstance(response, answers.Answer) and (
            request.method == "CONNECT" or request.headers.get("Upgrade", "").lower() == "websocket"
        ):
            # aiohttp's parser reads no further request on this connection.
            response.keep_alive = False
        return response

    def door(self, request: Whole) -> Callable[[Whole], Coroutine[Any, Any, answers.Answer]] | None:
        """Find who answers a request that is read at once; None where that needs aiohttp's."""
        route = self._find(request.raw_path.partition("?")[0])
        if route is None or not route.whole:
            return None
        return cast("Callable[[Whole], Coroutine[Any, Any, answers.Answer]]", partial(self._answer, route))

    async def _answer(self, route: Route | None, request: web.BaseRequest) -> answers.Answered:
        origin: str | None = None
        try:
            if "Origin" in request.headers:
                origin = origins.foreign(request, self._settings().customers)
            if route is not None and request.method == "OPTIONS":
                response: answers.Answered = answers.empty(
                    204, {"Allow": route.allow} | origins.headers(origin, preflight=origin is not None)
                )
            else:
                response = await _door(route, request)(request)
        except errors.Fault as fault:
            # A body that nobody read to its end would be taken for the next request.
            close = isinstance(fault, Unread) or not (isinstance(request, Whole) or request.content.is_eof())
            refuse = answers.refusal if route is None else route.refuse
            response = refuse(fault, request.headers.get("Accept", ""), close=close)
        if isinstance(response, answers.Answer):
            fields = response.headers
            if origin is not None:
                fields["Access-Control-Allow-Origin"] = origin
            fields["Vary"] = f"{fields['Vary']}, Origin" if "Vary" in fields else "Origin"
        self.answered[route.name if route else "none", str(response.status)] += 1
        return response

    def _find(self, path: str) -> Route | None:
        if path in self._routes:
            return self._routes[path]
        plain = path.lower().rstrip("/") or "/"
        if plain in self._routes:
            return self._routes[plain]
        path = path.rstrip("/")
        cut = len(path)
        while (cut := path.rfind("/", 0, cut)) > 0:
            below = self._below.get(path[: cut + 1].lower())
            if below is not None:
                rest = path[cut + 1 :]
                found = Route(below.name, partial(_behind, below, rest), below.methods, below.allow)
                return found if below.deep or "/" not in rest else None
        return None


async def _behind(below: Below, rest: str, request: web.BaseRequest) -> answers.Answered:
    return await below.handler(request, rest)


def _door(route: Route | None, request: web.BaseRequest) -> Handler:
    if route is None:
        raise errors.Fault("not_found", "There is no such path here.")
    method = "GET" if request.method == "HEAD" and "GET" in route.methods else request.method
    if method not in route.methods:
        raise errors.method_not_allowed(request.method, route.allow)
    return route.handler
