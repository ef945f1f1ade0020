"""CloudSync: the doors where a feed's events come in by HTTP, and STT, CIM, data quality and restatements are read."""

import asyncio
import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import TypeVar

import msgspec
from aiohttp import web

from bridge.cloudsync.events import ids
from bridge.cloudsync.flow.answers.lines import csv_lines
from bridge.cloudsync.flow.answers.questions import ALL, EACH, Answer, CimQuestion, SttQuestion
from bridge.cloudsync.flow.cloudsync import Cloudsync
from bridge.cloudsync.numbers.intervals import known
from bridge.gate import Gate
from bridge.http import answers, body, origins, readers
from bridge.http.readers import Asked
from bridge.words import errors
from bridge.words.cloudsync import QUARTER
from bridge.words.ledger import Unavailable
from bridge.words.principal import Principal, Role
from bridge.words.settings import Settings
from bridge.words.times import stamp

LARGEST = 16 * 1024 * 1024
MOST_EVENTS = 10_000
LONGEST_STT = 31 * 86_400_000
LONGEST_CIM = 400

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NEWEST = 2**62
_STT = {
    *("from", "to", "group", "channel", "priority", "tz", "fill", "attribution", "sl_mode", "changed_since"),
}
_CIM = {"date", "from", "to", "agent", "group", "channel", "changed_since"}

Word = TypeVar("Word", bound=str)


class EventsTold(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The answer to events: what became of each. `ignored` are of entities that are not selected."""

    success: bool
    accepted: int
    duplicates: int
    quarantined: int
    ignored: int = 0


class CloudsyncDoors:
    """`/api/cloudsync/events`, `/api/stt`, `/api/cim`, `/api/dq` and `/api/restatements`."""

    def __init__(self, settings: Callable[[], Settings], gate: Gate, cloudsync: Cloudsync) -> None:
        self._settings = settings
        self._gate = gate
        self._cloudsync = cloudsync

    async def events(self, request: web.BaseRequest) -> answers.Answered:
        """Take one event or an array; answer when they are on disk."""
        principal = self._verified(request, Role.FEED, Role.ADMIN)
        content = await body.read(request, self._settings().http.body_timeout, LARGEST)
        try:
            told = await self._cloudsync.accept(principal.customer, read_events(content))
        except Unavailable:
            raise errors.overloaded("The events cannot be written for now") from None
        return answers.ok(
            EventsTold(
                success=True,
                accepted=told.accepted,
                duplicates=told.duplicates,
                quarantined=told.quarantined,
                ignored=told.ignored,
            )
        )

    async def stt(self, request: web.BaseRequest) -> answers.Answered:
        """Answer quarter hours."""
        principal = self._verified(request, Role.OBSERVER, Role.ADMIN)
        question = read_stt(readers.asked(request, _STT))
        return await self._answer(request, self._cloudsync.stt(principal.customer, question))

    async def cim(self, request: web.BaseRequest) -> answers.Answered:
        """Answer local days."""
        principal = self._verified(request, Role.OBSERVER, Role.ADMIN)
        question = read_cim(readers.asked(request, _CIM))
        return await self._answer(request, self._cloudsync.cim(principal.customer, question))

    async def quality(self, request: web.BaseRequest) -> answers.Answered:
        """Answer how good the data is."""
        principal = self._verified(request, Role.OBSERVER, Role.ADMIN)
        readers.asked(request, set())
        try:
            return answers.ok(await self._cloudsync.dq(principal.customer))
        except Unavailable:
            raise _unreadable() from None

    async def restatements(self, request: web.BaseRequest) -> answers.Answered:
        """Answer what changed after it was final, the newest first."""
        principal = self._verified(request, Role.OBSERVER, Role.ADMIN)
        asked = readers.asked(request, {"feed", "since", "limit", "cursor"})
        feed = _word(asked, "feed", ("stt", "cim")) if "feed" in asked else None
        since = _moment("since", asked["since"]) if "since" in asked else 0
        before, limit = _cursor(asked), readers.limit(asked)
        try:
            found = await self._cloudsync.restatements(principal.customer, feed, since, before, limit + 1)
        except Unavailable:
            raise _unreadable() from None
        items = [
            f'{{"feed":"{one.feed}","at":"{stamp(one.at / 1000)}",{bytes(one.told)[1:].decode()}'
            for one in found[:limit]
        ]
        further = f',"next":"{found[limit - 1].number}"' if len(found) > limit else ""
        return answers.json(200, f'{{"items":[{",".join(items)}]{further}}}'.encode())

    def _verified(self, request: web.BaseRequest, *roles: Role) -> Principal:
        return readers.verify(request, self._gate, self._settings().customers, *roles)

    async def _answer(self, request: web.BaseRequest, answer: Answer) -> answers.Answered:
        as_csv = "text/csv" in request.headers.get("Accept", "").lower()
        tag = f'"{answer.tag}{"-csv" if as_csv else ""}"'
        fields = {"ETag": tag, "Vary": "Accept"}
        if _is_known(request.headers.get("If-None-Match", ""), tag):
            return answers.empty(304, fields)
        days = answer.rows()
        spelling = _Csv(answer) if as_csv else _Json(answer)
        try:
            first: list[str] = await anext(days, [])
            second: list[str] | None = await anext(days, None)
        except Unavailable:
            raise _unreadable() from None
        if second is None:
            content = spelling.head() + await spelling.rows(first) + spelling.tail()
            response = answers.json(200, content, fields)
            response.headers["Content-Type"] = spelling.kind
            return response
        origin = origins.headers(origins.foreign(request, self._settings().customers))
        streamed = web.StreamResponse(headers=answers.empty(200, fields | origin).headers)
        streamed.headers["Content-Type"] = spelling.kind
        await streamed.prepare(request)
        if request.method != "HEAD":
            try:
                await streamed.write(spelling.head() + await spelling.rows(first))
                await streamed.write(await spelling.rows(second))
                async for day in days:
                    await streamed.write(await spelling.rows(day))
            except Unavailable:
                # Half an answer must not look like a whole one.
                if request.transport is not None:
                    request.transport.abort()
                return streamed
            await streamed.write(spelling.tail())
        await streamed.write_eof()
        return streamed


class _Json:
    kind = "application/json; charset=utf-8"

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._begun = False

    def head(self) -> bytes:
        return f'{{"as_of":"{self._answer.as_of}","rows":['.encode()

    async def rows(self, rows: list[str]) -> bytes:
        if not rows:
            return b""
        separator, self._begun = "," if self._begun else "", True
        return (separator + ",".join(rows)).encode()

    def tail(self) -> bytes:
        return b"]}"


class _Csv:
    kind = "text/csv; charset=utf-8"

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def head(self) -> bytes:
        return (",".join(self._answer.columns) + "\r\n").encode()

    async def rows(self, rows: list[str]) -> bytes:
        # It takes long enough for others to notice.
        return (await asyncio.to_thread(csv_lines, self._answer.columns, rows)).encode()

    def tail(self) -> bytes:
        return b""


def read_events(content: bytes) -> list[bytes]:
    """Take a body apart: one event, or an array of at most `MOST_EVENTS`, each as it came."""
    try:
        # Parts that nobody looks into yet would not be checked for it.
        text = content.decode("utf-8-sig")
        whole = msgspec.json.decode(text, type=list[msgspec.Raw] | dict[str, msgspec.Raw])
    except RecursionError:
        raise errors.malformed_body("The JSON is nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.malformed_body(f"The body is neither a JSON object nor an array: {error}") from None
    if isinstance(whole, dict):
        return [content]
    if len(whole) > MOST_EVENTS:
        raise errors.Fault(
            "payload_too_large",
            f"The array has {len(whole)} events; at most {MOST_EVENTS} are taken.",
            extra={"size": len(whole), "limit": MOST_EVENTS},
        )
    return [bytes(event) for event in whole]


def read_stt(asked: Asked) -> SttQuestion:
    """Read what is asked of STT; raise `missing_parameter` or `invalid_parameter`."""
    start, until = (_quarter(name, asked) for name in ("from", "to"))
    if until <= start:
        raise errors.invalid_parameter("to", "must be after `from`")
    if until - start > LONGEST_STT:
        raise errors.invalid_parameter("to", "must be at most 31 days after `from`")
    zone = asked.get("tz")
    if zone is not None and not known(zone):
        raise errors.invalid_parameter("tz", "must be an IANA zone such as America/New_York")
    since = _moment("changed_since", asked["changed_since"]) if "changed_since" in asked else None
    fill = _word(asked, "fill", ("zero", "none"))
    return SttQuestion(
        start=start,
        until=until,
        group=_id(asked.get("group", EACH)),
        channel=asked.get("channel", ALL),
        priority=asked.get("priority", ALL),
        tz=zone,
        zeros=fill == "zero" and since is None,
        attribution=_word(asked, "attribution", ("event", "arrival")),
        sl_mode=_word(asked, "sl_mode", ("negative", "ignore", "positive")),
        changed_since=since,
    )


def read_cim(asked: Asked) -> CimQuestion:
    """Read what is asked of CIM: a `date`, or `from` and `to`, both included."""
    if "date" in asked:
        if asked.keys() & {"from", "to"}:
            raise errors.invalid_parameter("date", "stands alone, or `from` and `to` without it")
        first = last = _date("date", asked)
    else:
        first, last = _date("from", asked), _date("to", asked)
    if last < first:
        raise errors.invalid_parameter("to", "must not be before `from`")
    count = (last - first).days + 1
    if count > LONGEST_CIM:
        raise errors.invalid_parameter("to", f"must be at most {LONGEST_CIM} days from `from`, both included")
    since = _moment("changed_since", asked["changed_since"]) if "changed_since" in asked else None
    return CimQuestion(
        first=first.isoformat(),
        last=last.isoformat(),
        dates=tuple((first + timedelta(days=day)).isoformat() for day in range(count)),
        agent=_id(asked.get("agent", EACH)),
        group=_id(asked.get("group", EACH)),
        channel=asked.get("channel", ALL),
        changed_since=since,
    )


def _quarter(name: str, asked: Asked) -> int:
    if not asked.get(name):
        raise errors.missing_parameter(name)
    moment = _moment(name, asked[name])
    if moment % QUARTER:
        raise errors.invalid_parameter(name, "must be on a quarter hour")
    return moment


def _moment(name: str, text: str) -> int:
    """Read a time, in milliseconds."""
    return round(readers.moment(name, text) * 1000)


def _date(name: str, asked: Asked) -> date:
    text = asked.get(name)
    if not text:
        raise errors.missing_parameter(name)
    try:
        # Without the pattern it would read week dates too.
        found = date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        found = None
    if found is None:
        raise errors.invalid_parameter(name, "must be a date such as 2026-01-31")
    # Zones reach a day to either side.
    if not 1970 < found.year < 9999:
        raise errors.invalid_parameter(name, "must be a date from 1971 on")
    return found


def _word(asked: Asked, name: str, words: tuple[Word, ...]) -> Word:
    """Read one of some words; the first is meant where none is given."""
    text = asked.get(name, words[0])
    for word in words:
        if word == text:
            return word
    raise errors.invalid_parameter(name, f"must be one of {', '.join(words)}")


def _id(text: str) -> str:
    try:
        return ids.long(text)
    except ValueError:
        return text


def _cursor(asked: Asked) -> int:
    text = asked.get("cursor", str(_NEWEST))
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= _NEWEST):
        raise errors.invalid_parameter("cursor", "is not a cursor")
    return int(text)


def _is_known(said: str, tag: str) -> bool:
    """Say whether If-None-Match names the answer; a weak mark compares like a strong one."""
    return said.strip() == "*" or tag in {one.strip().removeprefix("W/") for one in said.split(",")}


def _unreadable() -> errors.Fault:
    return errors.overloaded("CloudSync's store cannot be read for now")
