"""Endpoints: the simulated CRM's token endpoint and GETs, over HTTP on the loopback."""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import jwt
import msgspec
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.types import Options

from bridge.cloudsync.simulator import shelf
from bridge.cloudsync.simulator.shelf import Shelf

TOKEN_PATH = "/services/oauth2/token"  # noqa: S105 - a path
BASE = "/services/data/v60.0"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"

_MAY_BE_AHEAD = 300  # seconds that exp may lie ahead
_REMEMBERED = 10_000  # requests and tokens


class App(msgspec.Struct, frozen=True):
    """The connected app. Without `certificate` any signature is taken."""

    consumer_key: str = "simulated-consumer-key"
    user_id: str = "integration@acme.example.com"
    certificate: Path | None = None
    audience: str = "https://login.cloudsync.com"


class Canned(NamedTuple):
    """What the next request is answered, whatever it asks. Status 0: nothing, as long as this runs."""

    status: int
    body: str
    headers: Mapping[str, str]


Door = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Endpoints:
    """A CRM that answers. `asked` is what came, newest last; `say` makes the next answers another."""

    def __init__(self, app: App, records: Shelf, now: Callable[[], float] = time.time) -> None:
        self.app = app
        self.records = records
        self.asked: deque[tuple[str, str]] = deque(maxlen=_REMEMBERED)
        self.minted = 0
        self.url = ""
        self._now = now
        self._over = asyncio.Event()
        self._canned: dict[str, deque[Canned]] = {"token": deque(), "get": deque()}
        self._tokens: deque[str] = deque(maxlen=_REMEMBERED)

    def say(self, where: str, status: int, body: str = "", times: int = 1, **headers: str) -> None:
        """Answer the next requests (`where`: token or get) with this. Header names have `_` for `-`."""
        said = Canned(status, body, {name.replace("_", "-"): value for name, value in headers.items()})
        self._canned[where].extend([said] * times)

    def forget_tokens(self) -> None:
        """Let every token that was given end now."""
        self._tokens.clear()

    @asynccontextmanager
    async def running(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator["Endpoints"]:
        """Answer on this address; `url` says where."""
        application = web.Application()
        application.router.add_get("/", self._page)
        application.router.add_post(TOKEN_PATH, self._door("token", self._token))
        application.router.add_get(f"{BASE}/sobjects/{{entity}}/{{id}}", self._door("get", self._one))
        application.router.add_get(f"{BASE}/composite/sobjects/{{entity}}", self._door("get", self._many))
        application.router.add_get(f"{BASE}/query", self._door("get", self._query))
        application.router.add_route("*", "/{rest:.*}", self._nothing)
        application.middlewares.append(self._remember)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        try:
            site = web.TCPSite(runner, host, port)
            await site.start()
            bound, number = runner.addresses[0][:2]
            self.url = f"http://{bound}:{number}"
            yield self
        finally:
            self._over.set()
            await runner.cleanup()

    @web.middleware
    async def _remember(self, request: web.Request, handler: Door) -> web.StreamResponse:
        self.asked.append((request.method, request.path_qs))
        return await handler(request)

    def _door(self, where: str, door: Callable[[web.Request], Awaitable[web.Response]]) -> Door:
        async def answer(request: web.Request) -> web.StreamResponse:
            if self._canned[where]:
                await request.read()
                canned = self._canned[where].popleft()
                if canned.status == 0:
                    await self._over.wait()
                kind = "text/html" if canned.body.startswith("<") else "application/json"
                return web.Response(
                    status=canned.status or 503, text=canned.body, headers=dict(canned.headers), content_type=kind
                )
            if where == "get" and not self._admits(request):
                return _refuse(401, "INVALID_SESSION_ID", "Session expired or invalid")
            return await door(request)

        return answer

    def _admits(self, request: web.Request) -> bool:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        return kind == "Bearer" and token in self._tokens

    async def _page(self, _: web.Request) -> web.Response:
        return web.Response(text="<html><title>Login | CloudSync</title></html>", content_type="text/html")

    async def _nothing(self, _: web.Request) -> web.Response:
        return _refuse(404, "NOT_FOUND", "The requested resource does not exist")

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form.get("grant_type") != GRANT:
            return _deny("unsupported_grant_type", "grant type not supported")
        wrong = self._wrong(str(form.get("assertion", "")))
        if wrong is not None:
            return _deny(*wrong)
        token = f"00D{secrets.token_urlsafe(48)}"
        self._tokens.append(token)
        self.minted += 1
        told = {
            "access_token": token,
            "scope": "api",
            "instance_url": self.url,
            "id": f"{self.url}/id/00D/{quote(self.app.user_id)}",
            "token_type": "Bearer",
        }
        return web.json_response(told)

    def _wrong(self, assertion: str) -> tuple[str, str] | None:
        """Say what is wrong with an assertion, as (error, description)."""
        claims = self._signed(assertion)
        if claims is None:
            return "invalid_grant", "invalid assertion"
        expires = claims.get("exp")
        in_time = isinstance(expires, int) and 0 < expires - self._now() <= _MAY_BE_AHEAD
        for right, error, description in (
            (claims.get("iss") == self.app.consumer_key, "invalid_client_id", "client identifier invalid"),
            (claims.get("aud") == self.app.audience, "invalid_grant", "audience is invalid"),
            (in_time, "invalid_grant", "expired authorization code"),
            (claims.get("sub") == self.app.user_id, "invalid_grant", "user hasn't approved this consumer"),
        ):
            if not right:
                return error, description
        return None

    def _signed(self, assertion: str) -> Mapping[str, object] | None:
        """Give the claims of an assertion if its signature holds."""
        options: Options = {"verify_aud": False, "verify_exp": False}
        try:
            if self.app.certificate is None:
                return jwt.decode(assertion, options=options | {"verify_signature": False})
            public = x509.load_pem_x509_certificate(self.app.certificate.read_bytes()).public_key()
            if not isinstance(public, RSAPublicKey):
                return None
            return jwt.decode(assertion, public, ["RS256"], options=options)
        except jwt.PyJWTError:
            return None

    async def _one(self, request: web.Request) -> web.Response:
        entity, id_ = request.match_info["entity"], request.match_info["id"]
        record = self.records.get(entity, id_)
        if record is None:
            return _refuse(404, "NOT_FOUND", "Provided external ID field does not exist or is not accessible")
        return web.json_response(shelf.spell(entity, record, _fields(request), BASE))

    async def _many(self, request: web.Request) -> web.Response:
        entity = request.match_info["entity"]
        ids = [each for each in request.query.get("ids", "").split(",") if each]
        if len(ids) > 2000:
            return _refuse(400, "INVALID_ID_FIELD", "too many ids")
        found = [self.records.get(entity, id_) for id_ in ids]
        fields = _fields(request)
        return web.json_response(
            [None if record is None else shelf.spell(entity, record, fields, BASE) for record in found]
        )

    async def _query(self, request: web.Request) -> web.Response:
        try:
            query = shelf.read(request.query.get("q", ""))
        except shelf.QueryError as error:
            return _refuse(400, "MALFORMED_QUERY", str(error))
        found = self.records.select(query)
        offset = int(request.query.get("offset", "0"))
        page = found[offset : offset + shelf.PAGE]
        told: dict[str, object] = {
            "totalSize": len(found),
            "done": offset + len(page) >= len(found),
            "records": [shelf.spell(query.entity, record, query.fields, BASE) for record in page],
        }
        if not told["done"]:
            q = quote(request.query["q"], safe="")
            told["nextRecordsUrl"] = f"{BASE}/query?q={q}&offset={offset + shelf.PAGE}"
        return web.json_response(told)


def _fields(request: web.Request) -> list[str]:
    return [field for field in request.query.get("fields", "").split(",") if field]


def _deny(error: str, description: str) -> web.Response:
    return web.json_response({"error": error, "error_description": description}, status=400)


def _refuse(status: int, code: str, message: str) -> web.Response:
    return web.json_response([{"message": message, "errorCode": code}], status=status)
