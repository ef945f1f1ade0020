"""Dispatch: from a path to its door; here, and only here, a `Fault` becomes an answer."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Protocol

import msgspec
from aiohttp import web

from bridge.http import answers, origins, target
from bridge.http.body import Unread
from bridge.words import errors
from bridge.words.settings import Settings

Handler = Callable[[web.BaseRequest], Awaitable[answers.Answered]]


class Refuse(Protocol):
    """Words a refusal; see `answers.refusal`."""

    def __call__(self, fault: errors.Fault, accept: str = "", *, close: bool = False) -> answers.Answer:
        """Make the answer."""


class Route(msgspec.Struct, frozen=True):
    """One path: its name for metrics, who answers which method, what OPTIONS tells, and how it words refusals."""

    name: str
    handler: Handler
    methods: tuple[str, ...] = ("GET",)
    allow: str = "GET, HEAD, OPTIONS"
    refuse: Refuse = answers.refusal


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
        path = target.path_of(request)
        route = self._routes.get(path) or self._find(path)
        origin: str | None = None
        try:
            origin = origins.foreign(request, self._settings().customers)
            response = await _answer(route, request, origin)
        except errors.Fault as fault:
            # A body that nobody read to its end would be taken for the next request.
            close = isinstance(fault, Unread) or not request.content.is_eof()
            refuse = answers.refusal if route is None else route.refuse
            response = refuse(fault, request.headers.get("Accept", ""), close=close)
        if isinstance(response, answers.Answer):
            varies = response.headers.get("Vary")
            response.headers.update(origins.headers(origin))
            if varies is not None:
                response.headers["Vary"] = f"{varies}, Origin"
            if request.method == "CONNECT" or request.headers.get("Upgrade", "").lower() == "websocket":
                # aiohttp's parser reads no further request on this connection.
                response.keep_alive = False
        self.answered[route.name if route else "none", str(response.status)] += 1
        return response

    def _find(self, path: str) -> Route | None:
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


async def _answer(route: Route | None, request: web.BaseRequest, origin: str | None) -> answers.Answered:
    if route is None:
        raise errors.Fault("not_found", "There is no such path here.")
    if request.method == "OPTIONS":
        return answers.empty(204, {"Allow": route.allow} | origins.headers(origin, preflight=origin is not None))
    method = "GET" if request.method == "HEAD" and "GET" in route.methods else request.method
    if method not in route.methods:
        raise errors.method_not_allowed(request.method, route.allow)
    return await route.handler(request)
