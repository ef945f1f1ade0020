"""Client: one CRM, asked over HTTP. The only place from which a request leaves; the only kinds are in `_ask`."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime
from typing import Literal

import aiohttp
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from yarl import URL

from bridge.crm import addresses, assertion
from bridge.crm.troubles import Trouble, denied, named
from bridge.words.settings import Crm

Record = dict[str, object]

_LARGEST = 32 * 1024 * 1024
_LONGEST_RETRY_AFTER = 86_400.0
_PAGES = 10_000  # of one query


class _Token(msgspec.Struct, frozen=True):
    access_token: str
    instance_url: str = ""


class _Denial(msgspec.Struct, frozen=True):
    error: str
    error_description: str = ""


class _Fault(msgspec.Struct, frozen=True):
    errorCode: str = ""  # noqa: N815 - the platform's name


class _Page(msgspec.Struct, frozen=True):
    records: list[Record]
    done: bool = True
    nextRecordsUrl: str = ""  # noqa: N815 - the platform's name


class _Answer(msgspec.Struct, frozen=True):
    status: int
    body: bytes
    headers: dict[str, str]


class Client:
    """Asks with a token that it gets when it needs one: no refresh token; a new one after a 401, one mint in flight."""

    def __init__(self, session: aiohttp.ClientSession, crm: Crm, key: RSAPrivateKey, now: Callable[[], float]) -> None:
        self._session = session
        self._crm = crm
        self._key = key
        self._now = now
        self._addresses = addresses.of(crm)
        self._token: _Token | None = None
        self._minting = asyncio.Lock()
        self.skew: float | None = None  # seconds by which the CRM's clock is ahead of ours, by its last Date

    @property
    def at_once(self) -> int:
        """How many records one GET can ask for."""
        return 1 if addresses.one_at_a_time(self._crm) else self._crm.batch

    async def token(self) -> None:
        """Get a token if there is none. Trouble says why it cannot be had."""
        await self._have_token(None)

    async def knock(self) -> None:
        """GET the token endpoint's host, to see that it answers, and what time it is there."""
        parts = URL(self._addresses.token_endpoint)
        await self._ask("GET", str(parts.origin()) + "/", {})

    async def records(self, entity: str, ids: list[str], fields: tuple[str, ...]) -> dict[str, Record | None]:
        """Fetch records by their ids, at most `at_once`; None is one that is not there."""
        path = addresses.records_path(self._crm, entity, ids, fields)
        body = await self._get(path, missing=self.at_once == 1)
        if body is None:
            return {ids[0]: None}
        found = _records(body)
        return {id_: found.get(id_[:15]) for id_ in ids}

    async def query(self, query: str) -> AsyncGenerator[list[Record], None]:
        """Fetch what a query finds, page by page."""
        path = addresses.query_path(self._crm, query)
        for _ in range(_PAGES):
            try:
                page = msgspec.json.decode(await self._get(path) or b"", type=_Page)
            except msgspec.DecodeError:
                raise named("unreadable") from None
            yield page.records
            if page.done:
                return
            path = page.nextRecordsUrl
            if not path.startswith("/") or path.startswith("//"):
                raise named("unreadable")

    async def _get(self, path: str, *, missing: bool = False) -> bytes | None:
        """GET with the token; with a new one, once, if the CRM refuses the first. None: 404, where that may be."""
        token = await self._have_token(None)
        answer = await self._get_with(token, path)
        if answer.status == 401:
            answer = await self._get_with(await self._have_token(token), path)
        if answer.status == 404 and missing:
            return None
        if answer.status != 200:
            raise self._refused(answer)
        return answer.body

    async def _get_with(self, token: _Token, path: str) -> _Answer:
        login = str(URL(self._addresses.token_endpoint).origin())
        instance = addresses.checked(self._crm.instance or token.instance_url or login)
        headers = {"Authorization": f"Bearer {token.access_token}", "Accept": "application/json"}
        return await self._ask("GET", instance.rstrip("/") + path, headers)

    async def _have_token(self, refused: _Token | None) -> _Token:
        """Give the token, or another than the one that was refused."""
        async with self._minting:
            if self._token is None or self._token is refused:
                self._token = None
                self._token = await self._mint()
            return self._token

    async def _mint(self) -> _Token:
        signed = assertion.sign(self._crm, self._addresses.audience, self._key, self._now())
        form = {"grant_type": assertion.GRANT, "assertion": signed}
        try:
            answer = await self._ask("POST", self._addresses.token_endpoint, {"Accept": "application/json"}, form)
        except Trouble as trouble:
            trouble.token = True
            raise
        if answer.status in {429, 503}:
            raise named("too_many_requests", retry_after=self._retry_after(answer), token=True)
        if 300 <= answer.status < 400:
            raise named("redirected", token=True)
        try:
            if answer.status == 200:
                return msgspec.json.decode(answer.body, type=_Token)
            denial = msgspec.json.decode(answer.body, type=_Denial)
        except msgspec.DecodeError:
            if answer.status >= 500:
                raise named("server_error", f"status {answer.status}", token=True) from None
            raise named(_instead_of_json(answer), token=True) from None
        raise denied(denial.error, denial.error_description, answer.status)

    async def _ask(
        self, method: Literal["GET", "POST"], url: str, headers: dict[str, str], form: dict[str, str] | None = None
    ) -> _Answer:
        """Send a request: the POST for a token, or a GET. No cookies, no redirects, a bounded answer."""
        target = URL(url, encoded=True)
        try:
            async with self._session.request(
                method, target, headers=headers, data=form, allow_redirects=False
            ) as response:
                body = await _bounded(response)
                told = {name.lower(): value for name, value in response.headers.items()}
        except TimeoutError:
            raise named("time_out", f"{self._crm.timeout:g} s") from None
        except aiohttp.ClientSSLError:
            raise named("no_tls") from None
        except (aiohttp.ClientError, OSError):
            raise named("no_connection") from None
        self._compare_clocks(told.get("date"))
        return _Answer(response.status, body, told)

    def _refused(self, answer: _Answer) -> Trouble:
        """Find what the refusal of a GET means."""
        status = answer.status
        if status in {429, 503}:
            return named("too_many_requests", retry_after=self._retry_after(answer))
        if status >= 500:
            return named("server_error", f"status {status}")
        if 300 <= status < 400:
            return named("redirected")
        if status == 403:
            limit = any("LIMIT" in fault.errorCode for fault in _faults(answer.body))
            return named("limit_exceeded", retry_after=self._retry_after(answer)) if limit else named("no_access")
        return named({401: "refused_token", 404: "no_such_path"}.get(status, "refused_request"))

    def _retry_after(self, answer: _Answer) -> float | None:
        said = answer.headers.get("retry-after", "")
        if said.isascii() and said.isdigit():
            return min(float(said[:9]), _LONGEST_RETRY_AFTER)
        at = _date(said)
        return None if at is None else min(max(at - self._now(), 0.0), _LONGEST_RETRY_AFTER)

    def _compare_clocks(self, said: str | None) -> None:
        at = _date(said or "")
        if at is not None:
            self.skew = at - self._now()


@asynccontextmanager
async def opened(crm: Crm, key: RSAPrivateKey, now: Callable[[], float] = time.time) -> AsyncIterator[Client]:
    """Open a client for a CRM. Raises Trouble where its addresses cannot be used."""
    addresses.of(crm)
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=crm.timeout), cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        yield Client(session, crm, key, now)


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > _LARGEST:
            raise named("too_large")
        parts.append(part)
    return b"".join(parts)


def _records(body: bytes) -> dict[str, Record]:
    """Read records by the first 15 characters of their ids: from a list, one record, or a query's page."""
    try:
        told = msgspec.json.decode(body)
    except msgspec.DecodeError:
        raise named("unreadable") from None
    if isinstance(told, dict):
        told = told.get("records", [told])
    if not isinstance(told, list):
        raise named("unreadable")
    return {str(record["Id"])[:15]: record for record in told if isinstance(record, dict) and "Id" in record}


def _faults(body: bytes) -> list[_Fault]:
    try:
        return msgspec.json.decode(body, type=list[_Fault])
    except msgspec.DecodeError:
        return []


def _instead_of_json(answer: _Answer) -> str:
    return "login_page" if answer.body.lstrip()[:1] == b"<" else "unreadable"


def _date(said: str) -> float | None:
    try:
        return parsedate_to_datetime(said).timestamp()
    except (ValueError, TypeError):
        return None
