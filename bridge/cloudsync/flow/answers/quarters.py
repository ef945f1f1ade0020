"""Quarters: STT as it is told: every quarter hour of every active group, zeros too, a UTC day at a time."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import pairwise

import msgspec

from bridge.cloudsync.flow import computing
from bridge.cloudsync.flow.answers.lines import named, pieces, quoted
from bridge.cloudsync.flow.answers.marks import MARKED, Marks
from bridge.cloudsync.flow.answers.questions import ALL, EACH, SttQuestion, fits
from bridge.cloudsync.flow.counting import STT_FINAL_AFTER
from bridge.cloudsync.flow.desk import Desk
from bridge.cloudsync.numbers import stt
from bridge.cloudsync.numbers.intervals import mark, spell
from bridge.cloudsync.numbers.rounding import per_cent
from bridge.cloudsync.store import folding
from bridge.cloudsync.store.database import Database
from bridge.words.cloudsync import QUARTER, Fact
from bridge.words.cloudsync import Mapping as Words

COLUMNS = (
    "interval_start",
    "interval_end",
    "local_start",
    "group",
    "group_name",
    "channel",
    "priority",
    *stt.METRICS,
    *MARKED,
)

_DAY = 86_400_000
_FINAL_AFTER = QUARTER + STT_FINAL_AFTER
_ZERO = computing.ZERO.decode()[1:-1]
_PIECES = pieces(stt.METRICS)
_SL = {name: stt.METRICS.index(name) for name in (
    "answered", "answered_within_sl", "abandoned", "abandoned_within_sl", "sl_pct",
)}  # fmt: skip

# One row a line: start, group, revision, time of change, numbers. JSON never has the characters between.
STT_ROWS = """
    SELECT group_concat(start || char(31) || json_quote(grp) || char(31) || revision || char(31) || changed || char(31)
        || substr(body, 2, length(body) - 2), char(10))
    FROM stt
    WHERE customer = ?1 AND channel = ?2 AND priority = ?3 AND start >= ?4 AND start < ?5
        AND (?6 IS NULL OR grp = ?6) AND (?7 = 0 OR changed > ?7 OR (start + ?8 > ?7 AND start + ?8 <= ?9))
"""
OCCURRED = """
    SELECT json_group_array(grp) FROM (
        SELECT DISTINCT grp FROM stt
        WHERE customer = ? AND channel = ? AND priority = ? AND start >= ? AND start < ? AND body <> ?
    )
"""

View = tuple[str, str]
"""A channel and a priority, or their roll-ups."""


class _Line(msgspec.Struct, frozen=True, array_like=True, gc=False):
    revision: str
    changed: str
    body: str


Lines = Mapping[tuple[int, str], _Line]
"""A view's rows by start and group, as the store has them."""


class Quarters:
    """Tells quarter hours. `room` bounds how many questions are read at the same time."""

    def __init__(self, database: Database, room: asyncio.Semaphore) -> None:
        self._database = database
        self._room = room

    async def rows(self, marks: Marks, question: SttQuestion) -> AsyncIterator[list[str]]:
        """Give the rows, a day at a time, so that what is held is bounded. Raises Unavailable."""
        views = _views(marks.desk, question)
        occurred: dict[View, set[str]] = {}
        days = _days(question.start, question.until)
        if len(days) > 1 and question.zeros:
            # A value that occurs on one day of the range has rows of zeros on the others.
            for view in views:
                if view != (ALL, ALL):
                    occurred[view] = await self._occurred(marks.desk.customer, view, question)
        for start, until in days:
            async with self._room:
                found = await self._day(marks, question, views, start, until)
            for view, lines in found.items():
                known = occurred.setdefault(view, set()) if question.zeros else set()
                known.update(group for (_, group), line in lines.items() if line.body != _ZERO)
            yield _Day(marks, question, found, occurred).spelled(start, until)

    async def _occurred(self, customer: str, view: View, question: SttQuestion) -> set[str]:
        found = await self._database.read(
            list[str], OCCURRED, customer, *view, question.start, question.until, f"[{_ZERO}]"
        )
        return set(found or ())

    async def _day(
        self, marks: Marks, question: SttQuestion, views: Sequence[View], start: int, until: int
    ) -> Mapping[View, Lines]:
        if question.attribution == "arrival":
            return await self._arrived(marks, question, views, start, until)
        found: dict[View, Lines] = {}
        group = None if question.group == EACH else question.group
        for view in views:
            since = question.changed_since or 0
            text = await self._database.text(
                STT_ROWS, marks.desk.customer, *view, start, until, group, since, _FINAL_AFTER, marks.now
            )
            lines: dict[tuple[int, str], _Line] = {}
            for line in text.split("\n") if text else ():
                at, quoted_name, revision, changed, body = line.split("\x1f")
                name = quoted_name[1:-1] if "\\" not in quoted_name else msgspec.json.decode(quoted_name)
                if group is None and name == ALL:
                    continue
                lines[int(at), name] = _Line(revision, changed, body)
            found[view] = lines
        return found

    async def _arrived(
        self, marks: Marks, question: SttQuestion, views: Sequence[View], start: int, until: int
    ) -> Mapping[View, Lines]:
        """Compute the rows of the arrival view, of which nothing is stored."""
        text = await self._database.text(folding.FACTS_ARRIVED, marks.desk.customer, start, until)
        rows = await asyncio.to_thread(_arrival_rows, text, start, until, marks.mapping, marks.now)
        found: dict[View, dict[tuple[int, str], _Line]] = {view: {} for view in views}
        group = question.group
        for (at, of, channel, priority), body in rows.items():
            lines = found.get((channel, priority))
            if lines is not None and (of == group or (group == EACH and of != ALL)):
                lines[at, of] = _Line("1", str(marks.now), body)
        return found


class _Day:
    """What is told of one day: the rows that the store has, and those of zeros."""

    def __init__(
        self, marks: Marks, question: SttQuestion, found: Mapping[View, Lines], occurred: Mapping[View, set[str]]
    ) -> None:
        self._marks = marks
        self._question = question
        self._found = found
        self._active = marks.active()
        self._groups = {view: self._groups_of(view, occurred.get(view, set()), lines) for view, lines in found.items()}
        names = marks.mapping.names
        groups = {group for of_view in self._groups.values() for group in of_view}
        self._parts = {group: f'"group":{quoted(group)},"group_name":{quoted(names.get(group))}' for group in groups}
        self._zones = {group: question.tz or marks.zone_of(group) for group in groups}
        self._views = {view: f',"channel":{quoted(view[0])},"priority":{quoted(view[1])}' for view in found}
        self._zero = named(_PIECES, _leveled(question, _ZERO))

    def _groups_of(self, view: View, occurred: set[str], lines: Lines) -> list[str]:
        """List the groups of a view's rows: all that are active in the roll-up, those that occurred in another."""
        question = self._question
        # Without rows of zeros, those that were emptied are told where changes are asked for, and left out elsewhere.
        present = set() if question.zeros else {group for _, group in lines}
        if view == (ALL, ALL) or EACH not in {question.channel, question.priority}:
            present |= self._active.keys()
        else:
            present |= occurred
        if question.group == EACH:
            return sorted(present - {ALL})
        return [question.group] if question.group in present else []

    def spelled(self, start: int, until: int) -> list[str]:
        """Spell the rows of `[start, until)`, by start, group, channel and priority."""
        told: list[str] = []
        for at in range(start, until, QUARTER):
            row = list(self._quarter(at))
            if len(self._found) > 1:
                row.sort()
            told += [text for *_, text in row]
        return told

    def _quarter(self, at: int) -> list[tuple[str, str, str, str]]:
        end = at + QUARTER
        head = f'{{"interval_start":"{mark(at)}","interval_end":"{mark(end)}","local_start":"'
        shown: dict[str, str] = {}
        finality = self._marks.desk.stt_final
        row: list[tuple[str, str, str, str]] = []
        for view, lines in self._found.items():
            for group in self._groups[view]:
                told = self._told(at, group, lines.get((at, group)))
                if told is None:
                    continue
                numbers, revision, changed = told
                zone = self._zones[group]
                begins = shown.get(zone)
                if begins is None:
                    begins = shown[zone] = spell(at, zone)
                text = (
                    f'{head}{begins}",{self._parts[group]}{self._views[view]}{numbers}'
                    f"{self._marks.spelled(at, end, group, revision, changed, finality)}"
                )
                row.append((group, *view, text))
        return row

    def _told(self, at: int, group: str, line: _Line | None) -> tuple[str, str, str] | None:
        """Give a row's numbers, revision and time of change; None if it is not told."""
        question = self._question
        zeros = question.zeros and question.changed_since is None
        if line is None:
            if not zeros or self._active.get(group, at + 1) > at:
                return None
            return self._zero, "1", str(min(at + QUARTER, self._marks.now))
        if line.body == _ZERO and not zeros and question.changed_since is None:
            return None
        return named(_PIECES, _leveled(question, line.body)), line.revision, line.changed


def _views(desk: Desk, question: SttQuestion) -> list[View]:
    views = {(channel, priority) for feed, channel, priority in desk.views if feed == "stt"}
    wanted = {view for view in views if fits(question.channel, view[0]) and fits(question.priority, view[1])}
    if EACH not in {question.channel, question.priority}:
        wanted.add((question.channel, question.priority))
    return sorted(wanted)


def _leveled(question: SttQuestion, body: str) -> str:
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
    values[_SL["sl_pct"]] = msgspec.json.encode(level).decode()
    return ",".join(values)


def _arrival_rows(text: str, start: int, until: int, mapping: Words, as_of: int) -> dict[stt.SttKey, str]:
    facts = msgspec.json.decode(text, type=list[Fact]) if text else []
    rows = stt.compute(facts, start, until, mapping, attribution="arrival", as_of=as_of)
    return {key: computing.body_of(row).decode()[1:-1] for key, row in rows.items()}


def _days(start: int, until: int) -> list[tuple[int, int]]:
    edges = [start, *range(start - start % _DAY + _DAY, until, _DAY), until]
    return [(begin, end) for begin, end in pairwise(edges) if begin < end]
