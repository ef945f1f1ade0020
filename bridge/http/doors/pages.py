"""Pages: the door of the web pages: their files, and what a page may know before anybody signed in.

The files hold no data: a page asks the APIs for everything, with a credential of whoever looks at it. The demo's pages
find the demo's own credentials in `/about.json`; so they answer on loopback only, under a loopback name (a page of
another site that resolves its name to 127.0.0.1 gets nothing), and to no proxy.
"""

import asyncio
import gzip
import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from aiohttp import web

from bridge import __version__
from bridge.http import answers, headers
from bridge.http.dispatch import Below, Route
from bridge.words import errors
from bridge.words.settings import Address

_HOUSE = Path(__file__).parents[3]
SHELVES = {
    "/pages/": _HOUSE / "bridge" / "pages",
    "/vendor/": _HOUSE / "bridge" / "pages" / "vendor",
    "/client/": _HOUSE / "agent_client" / "web",
}
"""Where the files below a path come from."""

PAGES = {"/": "home", "/desktop": "desktop", "/playground": "playground", "/live": "live", "/docs": "docs"}
"""The pages, each with a folder of its name among the pages' files."""

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".LICENSE": "text/plain; charset=utf-8",
}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; worker-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "popbridge",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def routes(pages: "Pages") -> dict[str, Route]:
    """Give the paths of the pages."""
    found = {path: Route(f"page_{name}", partial(pages.page, name=name)) for path, name in PAGES.items()}
    return found | {"/about.json": Route("about", pages.about)}


def below(pages: "Pages") -> dict[str, Below]:
    """Give the paths below which there are files."""
    return {shelf: Below("page_file", partial(pages.file, shelf=shelf), deep=True) for shelf in SHELVES}


class _File:
    """One file, as it is sent."""

    def __init__(self, path: Path) -> None:
        self.plain = path.read_bytes()
        self.headers = {
            "Content-Type": _TYPES[path.suffix],
            "ETag": f'"{hashlib.sha256(self.plain).hexdigest()[:32]}"',
            "Vary": "Accept-Encoding",
        }
        self._packed: bytes | None = None

    async def packed(self) -> bytes:
        """Give it compressed, from the first one who asks on; the largest takes 10 ms, for which no pop has to wait."""
        if self._packed is None:
            self._packed = await asyncio.to_thread(gzip.compress, self.plain, mtime=0)
        return self._packed


class Pages:
    """The pages, the files below `/pages/`, `/vendor/` and `/client/`, and `/about.json`.

    `demo` tells whether this is the demo; what it shows its pages is said later, by `show`.
    """

    def __init__(self, mqtt: Callable[[], Address], *, demo: bool) -> None:
        self._mqtt = mqtt
        self._demo = demo
        self._shown: dict[str, object] = {}
        self._files = {
            f"{shelf}{path.relative_to(folder).as_posix()}": _File(path)
            for shelf, folder in SHELVES.items()
            for path in folder.rglob("*")
            if path.suffix in _TYPES and (path.parent == folder or path.parent.name in PAGES.values())
        }

    def show(self, credentials: Mapping[str, object]) -> None:
        """Let the demo's pages have credentials."""
        if not self._demo:
            raise ValueError("only the demo shows credentials")
        self._shown = dict(credentials)

    async def page(self, request: web.BaseRequest, *, name: str) -> answers.Answered:
        """Answer a page by its name."""
        return await self._answer(request, f"/pages/{name}/{name}.html")

    async def file(self, request: web.BaseRequest, name: str, *, shelf: str) -> answers.Answered:
        """Answer a file of a shelf."""
        return await self._answer(request, f"{shelf}{name}")

    async def about(self, request: web.BaseRequest) -> answers.Answered:
        """Answer what is open to everybody who may see the pages; in the demo, its credentials, too."""
        self._check(request)
        if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
            raise errors.forbidden("This is for the bridge's own pages")
        told = {"version": __version__, "mqtt": str(self._mqtt()), "demo": self._demo}
        return answers.ok(told | self._shown)

    async def _answer(self, request: web.BaseRequest, path: str) -> answers.Answered:
        self._check(request)
        file = self._files.get(path)
        if file is None:
            raise errors.not_found("There is no such page or file here")
        fields = _HEADERS | file.headers
        if fields["ETag"] in request.headers.get("If-None-Match", ""):
            return answers.Answer(304, b"", fields)
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            return answers.Answer(200, await file.packed(), fields | {"Content-Encoding": "gzip"})
        return answers.Answer(200, file.plain, fields)

    def _check(self, request: web.BaseRequest) -> None:
        if not self._demo:
            return
        if headers.by_proxy(request):
            raise errors.forbidden("The demo's pages answer to no proxy")
        if not _loopback(request.headers.get("Host", "")):
            raise errors.forbidden("The demo's pages answer under a loopback name only, such as localhost or 127.0.0.1")


def _loopback(host: str) -> bool:
    name = host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
    return Address(name.lower(), 0).loopback
