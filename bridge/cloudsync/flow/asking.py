"""Asking: rows as they are told: every quarter hour of every active group, each with its marks, day by day."""

import asyncio
import csv
import hashlib
import io
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Literal

import msgspec

from bridge.cloudsync.flow import computing
from bridge.cloudsync.flow.feeds import Feeds
from bridge.cloudsync.flow.finality import Doubts, Finality
from bridge.cloudsync.flow.processor import STT_FINAL_AFTER, Desk, Processor
from bridge.cloudsync.numbers import cim, stt
from bridge.cloudsync.numbers.intervals import LocalDay, day_on, local, spell
from bridge.cloudsync.numbers.rounding import per_cent
from bridge.cloudsync.store import folding
from bridge.cloudsync.store.database import Database
from bridge.words.cloudsync import QUARTER, Fact
from bridge.words.cloudsync import Mapping as Words
from bridge.words.settings import Customer
from bridge.words.times import stamp

ALL = "*"
EACH = "each"
DAY = 86_400_000

_AT_ONCE = 4  # questions that are answered at the same time; more wait
_DAYS_AT_ONCE = 7
_FINAL_AFTER = QUARTER + STT_FINAL_AFTER

Attribution = Literal["event", "arrival"]
SlMode = Literal["negative", "ignore", "positive"]

_encode = msgspec.json.Encoder().encode

# One row a line: start, group, revision, time of change, numbers. JSON never has the characters between.
STT_ROWS = """
    SELECT group_concat(start || char(31) || json_quote(grp) || char(31) || revision || char(31) || changed || char(31)
        || substr(body, 2, length(body) - 2), char(10))
    FROM stt
    WHERE customer = ?1 AND channel = ?2 AND priority = ?3 AND start >= ?4 AND start < ?5
        AND (?6 IS NULL OR grp = ?6) AND (?7 = 0 OR changed > ?7 OR (start + ?8 > ?7 AND start + ?8 <= ?9))
"""
CIM_ROWS = """
    SELECT group_concat(date || char(31) || json_quote(grp) || char(31) || json_quote(agent) || char(31) || revision
        || char(31) || changed || char(31) || substr(body, 2, length(body) - 2), char(10))
    FROM cim
    WHERE customer = ?1 AND channel = ?2 AND date >= ?3 AND date <= ?4
        AND (?5 IS NULL OR grp = ?5) AND (?6 IS NULL OR agent = ?6)
"""
RESTATEMENTS = """
    SELECT '[' || group_concat('[' || number || ',' || json_quote(feed) || ',' || at || ',' || body || ']')
        || ']' FROM (
        SELECT number, feed, at, body FROM restatements
        WHERE customer = ?1 AND number < ?2 AND at >= ?3 AND (?4 IS NULL OR feed = ?4) ORDER BY number DESC LIMIT ?5
    )
"""


class SttQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of STT. Times in milliseconds; a dimension is a value, `*` or `each`."""

    start: int
    until: int
    group: str = EACH
    channel: str = ALL
    priority: str = ALL
    tz: str | None = None
    zeros: bool = True
    attribution: Attribution = "event"
    sl_mode: SlMode = "negative"
    changed_since: int | None = None


class CimQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of CIM: the local dates `first` to `last`, both included."""

    first: str
    last: str
    dates: tuple[str, ...]
    agent: str = EACH
    group: str = EACH
    channel: str = ALL
    changed_since: int | None = None


class Answer(msgspec.Struct, frozen=True):
    """Rows, spelled as JSON objects or CSV lines when they are wanted; `tag` changes whenever they do."""

    as_of: str
    tag: str
    columns: tuple[str, ...]
    rows: Callable[[], AsyncIterator[list[str]]]


class RestatementTold(msgspec.Struct, frozen=True):
    """A restatement as it is read."""

    number: int
    feed: str
    at: int
    told: msgspec.Raw


class _Line(msgspec.Struct, frozen=True, array_like=True, gc=False):
    revision: str
    changed: str
    body: str


STT_COLUMNS = (
    "interval_start",
    "interval_end",
    "local_start",
    "group",
    "group_name",
    "channel",
    "priority",
    *stt.METRICS,
    "revision",
    "status",
    "complete",
    "coverage_s",
    "computed_at",
)
CIM_COLUMNS = (
    "date",
    "agent",
    "agent_name",
    "group",
    "group_name",
    "channel",
    *cim.METRICS,
    "revision",
    "status",
    "complete",
    "coverage_s",
    "computed_at",
)

_STT_ZERO = computing.ZERO.decode()[1:-1]
_SL = {name: stt.METRICS.index(name) for name in (
    "answered", "answered_within_sl", "abandoned", "abandoned_within_sl", "sl_pct",
)}  # fmt: skip


def _pieces(names: Sequence[str]) -> list[str]:
    """Make what stands before each number; the numbers go into the odd places."""
    pieces: list[str] = []
    for name in names:
        pieces += [f',"{name}":', ""]
    return pieces


_STT_PIECES = _pieces(stt.METRICS)
_CIM_PIECES = _pieces(cim.METRICS)


def named(pieces: Sequence[str], body: str) -> str:
    """Spell numbers with their names. Texts among them have no comma: they are times and zones."""
    spelled = [*pieces]
    spelled[1::2] = body.split(",")
    return "".join(spelled)


class Marks:
    """What a customer's rows are marked with at one moment."""

    def __init__(self, desk: Desk, feeds: Feeds, mapping: Words, zone: str, now: int) -> None:
        self.desk = desk
        self.mapping = mapping
        self.zone = zone
        self.now = now
        self.doubts: Doubts = desk.doubted()
        self.covered = feeds.covered(desk.customer)
        self._plain: dict[tuple[int, int, str], str] = {}
        self._stamps: dict[str, str] = {}

    def zone_of(self, group: str) -> str:
        """Say in which zone a group's times are shown."""
        return self.zone if group == ALL else cim.group_zone(group, self.mapping, self.zone)

    def spelled(self, start: int, end: int, group: str, revision: str, changed: str, finality: Finality) -> str:
        """Spell the five marks of a row, the braces' end too."""
        known = group if self.doubts.since or finality.held else ""
        key = (start, end, known)
        middle = self._plain.get(key)
        if middle is None:
            middle = self._plain[key] = self._middle(start, end, group, finality)
        status, rest = middle.split("|", 1)
        if status == "final" and revision != "1":
            status = "restated"
        return f',"revision":{revision},"status":"{status}"{rest}{self._stamp(changed)}"}}'

    def _stamp(self, changed: str) -> str:
        known = self._stamps.get(changed)
        if known is None:
            known = self._stamps[changed] = stamp(int(changed) / 1000)
        return known

    def _middle(self, start: int, end: int, group: str, finality: Finality) -> str:
        covered = self.covered.length(start, end)
        doubted = self.doubts.touch(end, group)
        if self.now < end:
            status = "open"
        elif doubted or not finality.is_final(end, group):
            status = "provisional"
        else:
            status = "final"
        complete = covered == end - start and not doubted
        return f'{status}|,"complete":{"true" if complete else "false"},"coverage_s":{covered // 1000},"computed_at":"'


class Asking:
    """Answers questions from the store, a day at a time, so that what it holds is bounded."""

    def __init__(
        self,
        database: Database,
        processor: Processor,
        feeds: Feeds,
        customers: Callable[[], Mapping[str, Customer]],
        now: Callable[[], int],
    ) -> None:
        self._database = database
        self._processor = processor
        self._feeds = feeds
        self._customers = customers
        self._now = now
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._boot = secrets.token_hex(4)
        self._editions: dict[str, tuple[int, Words | None]] = {}

    def marks(self, customer: str) -> Marks:
        """Take what rows are marked with now."""
        now = self._feeds.look()
        desk = self._processor.open_desk(customer)
        zone = self._customers()[customer].cloudsync.zone
        return Marks(desk, self._feeds, self._processor.mapping(customer), zone, now)

    def stt(self, customer: str, question: SttQuestion) -> Answer:
        """Answer quarter hours."""
        marks = self.marks(customer)
        return Answer(
            stamp(marks.now / 1000),
            self._tag(marks, question, question.start, question.until, marks.desk.stt_final),
            STT_COLUMNS,
            lambda: self._stt_rows(marks, question),
        )

    def cim(self, customer: str, question: CimQuestion) -> Answer:
        """Answer local days."""
        marks = self.marks(customer)
        start = day_on(question.first, "UTC").start - DAY
        until = day_on(question.last, "UTC").end + DAY
        return Answer(
            stamp(marks.now / 1000),
            self._tag(marks, question, start, until, marks.desk.cim_final),
            CIM_COLUMNS,
            lambda: self._cim_rows(marks, question),
        )

    async def restatements(
        self, customer: str, feed: str | None, since: int, before: int, limit: int
    ) -> list[RestatementTold]:
        """List restatements, the newest first."""
        text = await self._database.text(RESTATEMENTS, customer, before, since, feed, limit)
        return [
            RestatementTold(*one)
            for one in (msgspec.json.decode(text, type=list[tuple[int, str, int, msgspec.Raw]]) if text else ())
        ]

    def _tag(self, marks: Marks, question: msgspec.Struct, start: int, until: int, finality: Finality) -> str:
        """Hash all that the rows are made of: which changed, what ended, what is covered, in doubt, named."""
        versions = [marks.desk.versions.get(day, 0) for day in range(start // DAY, until // DAY + 1)]
        made_of = (
            self._boot,
            marks.desk.customer,
            question,
            versions,
            marks.covered.length(start, until) // 1000,
            min(marks.now, until) // QUARTER,
            max(start, min(finality.through, until)),
            sorted(finality.held.items()),
            sorted(marks.doubts.since.items()),
            sorted(marks.desk.active.items()),
            self._edition(marks),
        )
        return hashlib.blake2b(_encode(made_of), digest_size=12).hexdigest()

    def _edition(self, marks: Marks) -> int:
        """Number the mappings of a customer; they are compared by being the same object."""
        number, known = self._editions.get(marks.desk.customer, (0, None))
        if known is not marks.mapping:
            number += 1
            self._editions[marks.desk.customer] = (number, marks.mapping)
        return number

    # STT

    async def _stt_rows(self, marks: Marks, question: SttQuestion) -> AsyncIterator[list[str]]:
        views = self._views(marks.desk, question)
        occurred: dict[tuple[str, str], set[str]] = {}
        days = _days(question.start, question.until)
        if len(days) > 1 and question.zeros:
            # A value that occurs on one day of the range has rows of zeros on the others.
            for view in views:
                if view != (ALL, ALL):
                    occurred[view] = await self._occurred(marks.desk.customer, view, question)
        for start, until in days:
            async with self._room:
                found = await self._stt_day(marks, question, views, start, until)
            for view, lines in found.items():
                known = occurred.setdefault(view, set()) if question.zeros else set()
                known.update(group for (_, group), line in lines.items() if line.body != _STT_ZERO)
            yield self._spell_day(marks, question, found, occurred, start, until)

    def _views(self, desk: Desk, question: SttQuestion) -> list[tuple[str, str]]:
        views = {(channel, priority) for feed, channel, priority in desk.views if feed == "stt"}
        wanted = {view for view in views if _fits(question.channel, view[0]) and _fits(question.priority, view[1])}
        if EACH not in {question.channel, question.priority}:
            wanted.add((question.channel, question.priority))
        return sorted(wanted)

    async def _occurred(self, customer: str, view: tuple[str, str], question: SttQuestion) -> set[str]:
        found = await self._database.read(
            list[str], _OCCURRED, customer, *view, question.start, question.until, f"[{_STT_ZERO}]"
        )
        return set(found or ())

    async def _stt_day(
        self, marks: Marks, question: SttQuestion, views: Sequence[tuple[str, str]], start: int, until: int
    ) -> dict[tuple[str, str], dict[tuple[int, str], _Line]]:
        if question.attribution == "arrival":
            return await self._arrived(marks, question, views, start, until)
        found: dict[tuple[str, str], dict[tuple[int, str], _Line]] = {}
        group = None if question.group == EACH else question.group
        for view in views:
            since = question.changed_since or 0
            text = await self._database.text(
                STT_ROWS, marks.desk.customer, *view, start, until, group, since, _FINAL_AFTER, marks.now
            )
            lines: dict[tuple[int, str], _Line] = {}
            for line in text.split("\n") if text else ():
                at, quoted, revision, changed, body = line.split("\x1f")
                name = quoted[1:-1] if "\\" not in quoted else msgspec.json.decode(quoted)
                if group is None and name == ALL:
                    continue
                lines[int(at), name] = _Line(revision, changed, body)
            found[view] = lines
        return found

    async def _arrived(
        self, marks: Marks, question: SttQuestion, views: Sequence[tuple[str, str]], start: int, until: int
    ) -> dict[tuple[str, str], dict[tuple[int, str], _Line]]:
        text = await self._database.text(folding.FACTS_ARRIVED, marks.desk.customer, start, until)
        rows = await asyncio.to_thread(_arrival_rows, text, start, until, marks.mapping, marks.now)
        found: dict[tuple[str, str], dict[tuple[int, str], _Line]] = {view: {} for view in views}
        group = question.group
        for (at, of, channel, priority), body in rows.items():
            lines = found.get((channel, priority))
            if lines is not None and (of == group or (group == EACH and of != ALL)):
                lines[at, of] = _Line("1", str(marks.now), body)
        return found

    def _spell_day(
        self,
        marks: Marks,
        question: SttQuestion,
        found: Mapping[tuple[str, str], Mapping[tuple[int, str], _Line]],
        occurred: Mapping[tuple[str, str], set[str]],
        start: int,
        until: int,
    ) -> list[str]:
        finality = marks.desk.stt_final
        told: list[str] = []
        active = _active(marks)
        of_view = {
            view: self._groups(question, view, active, occurred.get(view, set()), lines)
            for view, lines in found.items()
        }
        parts = {group: f'"group":{_quoted(group)},"group_name":{_quoted(marks.mapping.names.get(group))}'
                 for groups in of_view.values() for group in groups}  # fmt: skip
        zones = {group: question.tz or marks.zone_of(group) for group in parts}
        views = {view: f',"channel":{_quoted(view[0])},"priority":{_quoted(view[1])}' for view in found}
        zero = named(_STT_PIECES, self._leveled(question, _STT_ZERO))
        zeros = question.zeros and question.changed_since is None
        single = len(found) == 1
        for at in range(start, until, QUARTER):
            end = at + QUARTER
            head = f'{{"interval_start":"{_short(at)}","interval_end":"{_short(end)}","local_start":"'
            locals_: dict[str, str] = {}
            nothing = str(min(end, marks.now))
            row: list[tuple[str, str, str, str]] = []
            for view, lines in found.items():
                for group in of_view[view]:
                    line = lines.get((at, group))
                    if line is None:
                        if not zeros or active.get(group, at + 1) > at:
                            continue
                        numbers, revision, changed = zero, "1", nothing
                    elif line.body == _STT_ZERO and not zeros and question.changed_since is None:
                        continue
                    else:
                        numbers = named(_STT_PIECES, self._leveled(question, line.body))
                        revision, changed = line.revision, line.changed
                    zone = zones[group]
                    shown = locals_.get(zone)
                    if shown is None:
                        shown = locals_[zone] = spell(at, zone)
                    text = (
                        f'{head}{shown}",{parts[group]}{views[view]}{numbers}'
                        f"{marks.spelled(at, end, group, revision, changed, finality)}"
                    )
                    if single:
                        told.append(text)
                    else:
                        row.append((group, *view, text))
            told += [text for *_, text in sorted(row)]
        return told

    def _groups(
        self,
        question: SttQuestion,
        view: tuple[str, str],
        active: Mapping[str, int],
        occurred: set[str],
        lines: Mapping[tuple[int, str], _Line],
    ) -> list[str]:
        """List the groups of a view's rows: all that are active in the roll-up, those that occurred in another."""
        # Without rows of zeros, those that were emptied are told where changes are asked for, and left out elsewhere.
        present = set() if question.zeros else {group for _, group in lines}
        asked = {question.channel, question.priority}
        if view == (ALL, ALL) or EACH not in asked:
            present |= active.keys()
        else:
            present |= occurred
        if question.group == EACH:
            return sorted(present - {ALL})
        return [question.group] if question.group in present else []

    def _leveled(self, question: SttQuestion, body: str) -> str:
        """Put the service level of another mode into a row."""
        if question.sl_mode == "negative":
            return body
        values = body.split(",")
        answered, within, abandoned, abandoned_within = (
            int(values[_SL[name]]) for name in ("answered", "answered_within_sl", "abandoned", "abandoned_within_sl")
        )
        if question.sl_mode == "ignore":
            level = per_cent(within, answered + abandoned - abandoned_within)
        else:
            level = per_cent(within + abandoned_within, answered + abandoned)
        values[_SL["sl_pct"]] = _encode(level).decode()
        return ",".join(values)

    # CIM

    async def _cim_rows(self, marks: Marks, question: CimQuestion) -> AsyncIterator[list[str]]:
        channels = sorted(
            {channel for feed, channel, _ in marks.desk.views if feed == "cim" and _fits(question.channel, channel)}
            | ({question.channel} - {EACH})
        )
        group = None if question.group == EACH else question.group
        agent = None if question.agent == EACH else question.agent
        for first in range(0, len(question.dates), _DAYS_AT_ONCE):
            dates = question.dates[first : first + _DAYS_AT_ONCE]
            told: list[tuple[tuple[str, str, str, str], str]] = []
            for channel in channels:
                async with self._room:
                    text = await self._database.text(
                        CIM_ROWS, marks.desk.customer, channel, dates[0], dates[-1], group, agent
                    )
                for line in text.split("\n") if text else ():
                    date, of, by, revision, changed, body = line.split("\x1f")
                    row_group, row_agent = msgspec.json.decode(of), msgspec.json.decode(by)
                    if (group is None and row_group == ALL) or (agent is None and row_agent == ALL):
                        continue
                    if question.changed_since is not None and int(changed) <= question.changed_since:
                        continue
                    day = computing.cim_day(date, row_group, marks.mapping, marks.zone)
                    if body == _zero_body(day) and question.changed_since is None:
                        continue
                    told.append(
                        (
                            (date, row_agent, row_group, channel),
                            self._cim_row(marks, day, (row_agent, row_group, channel), revision, changed, body),
                        )
                    )
            if question.changed_since is None:
                told += self._cim_zeros(marks, question, channels, dates, {key for key, _ in told})
            yield [text for _, text in sorted(told)]

    def _cim_zeros(
        self,
        marks: Marks,
        question: CimQuestion,
        channels: Iterable[str],
        dates: Sequence[str],
        present: set[tuple[str, str, str, str]],
    ) -> Iterator[tuple[tuple[str, str, str, str], str]]:
        """Give the roll-up over agents a row on every day, though nothing happened."""
        if question.agent != ALL or question.channel == EACH:
            return
        groups = [ALL] if question.group == ALL else sorted(marks.desk.active)
        for date, group, channel in product(dates, groups, channels):
            if group == ALL and question.group != ALL:
                continue
            day = computing.cim_day(date, group, marks.mapping, marks.zone)
            active = group == ALL or marks.desk.active[group] < day.end
            if question.group in {EACH, group} and active and (date, ALL, group, channel) not in present:
                yield (
                    (date, ALL, group, channel),
                    self._cim_row(
                        marks, day, (ALL, group, channel), "1", str(min(day.end, marks.now)), _zero_body(day)
                    ),
                )

    def _cim_row(
        self, marks: Marks, day: LocalDay, key: tuple[str, str, str], revision: str, changed: str, body: str
    ) -> str:
        agent, group, channel = key
        names = marks.mapping.names
        return (
            f'{{"date":"{day.date}","agent":{_quoted(agent)},"agent_name":{_quoted(names.get(agent))}'
            f',"group":{_quoted(group)},"group_name":{_quoted(names.get(group))},"channel":{_quoted(channel)}'
            f"{named(_CIM_PIECES, body)}"
            f"{marks.spelled(day.start, day.end, group, revision, changed, marks.desk.cim_final)}"
        )


def _active(marks: Marks) -> dict[str, int]:
    """Say since when each group has rows: from its first, or always if it is mapped."""
    active = {group: since - since % QUARTER for group, since in marks.desk.active.items()}
    mapping = marks.mapping
    for group in (*mapping.zone, *mapping.sl_threshold, *mapping.short_abandon, *mapping.default_group.values()):
        if group:
            active[group] = 0
    active[ALL] = 0
    return active


_OCCURRED = """
    SELECT json_group_array(grp) FROM (
        SELECT DISTINCT grp FROM stt
        WHERE customer = ? AND channel = ? AND priority = ? AND start >= ? AND start < ? AND body <> ?
    )
"""


def csv_lines(columns: Sequence[str], rows: Iterable[str]) -> str:
    """Spell rows as CSV: nothing for null."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    for row in rows:
        told = msgspec.json.decode(row)
        writer.writerow([_cell(told[name]) for name in columns])
    return out.getvalue()


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value


def _arrival_rows(text: str, start: int, until: int, mapping: Words, as_of: int) -> dict[stt.SttKey, str]:
    facts = msgspec.json.decode(text, type=list[Fact]) if text else []
    rows = stt.compute(facts, start, until, mapping, attribution="arrival", as_of=as_of)
    return {key: computing.body_of(row).decode()[1:-1] for key, row in rows.items()}


def _zero_body(day: LocalDay) -> str:
    return computing.body_of(cim.zero(day)).decode()[1:-1]


def _fits(asked: str, value: str) -> bool:
    return value != ALL if asked == EACH else value == asked


def _days(start: int, until: int) -> list[tuple[int, int]]:
    edges = [start, *range(start - start % DAY + DAY, until, DAY), until]
    return [(edges[i], edges[i + 1]) for i in range(len(edges) - 1) if edges[i] < edges[i + 1]]


def _quoted(text: str | None) -> str:
    return _encode(text).decode()


def _short(at: int) -> str:
    return local(at, "UTC").strftime("%Y-%m-%dT%H:%M:%SZ")
