"""Days: CIM as it is told: the days of agents who did something, and the roll-up over agents on every day."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from itertools import product

import msgspec

from bridge.cloudsync.flow import computing
from bridge.cloudsync.flow.answers.lines import named, pieces, quoted
from bridge.cloudsync.flow.answers.marks import MARKED, Marks
from bridge.cloudsync.flow.answers.questions import ALL, EACH, CimQuestion, fits
from bridge.cloudsync.numbers import cim
from bridge.cloudsync.numbers.intervals import LocalDay
from bridge.cloudsync.store.database import Database

COLUMNS = (
    "date",
    "agent",
    "agent_name",
    "group",
    "group_name",
    "channel",
    *cim.METRICS,
    *MARKED,
)

_AT_ONCE = 7  # days that are read in one go
_PIECES = pieces(cim.METRICS)

# As STT_ROWS: date, group, agent, revision, time of change, numbers.
CIM_ROWS = """
    SELECT group_concat(date || char(31) || json_quote(grp) || char(31) || json_quote(agent) || char(31) || revision
        || char(31) || changed || char(31) || substr(body, 2, length(body) - 2), char(10))
    FROM cim
    WHERE customer = ?1 AND channel = ?2 AND date >= ?3 AND date <= ?4
        AND (?5 IS NULL OR grp = ?5) AND (?6 IS NULL OR agent = ?6)
"""

Key = tuple[str, str, str, str]
"""A row's date, agent, group and channel, in the order of the answer."""


class Days:
    """Tells agents' days. `room` bounds how many questions are read at the same time."""

    def __init__(self, database: Database, room: asyncio.Semaphore) -> None:
        self._database = database
        self._room = room

    async def rows(self, marks: Marks, question: CimQuestion) -> AsyncIterator[list[str]]:
        """Give the rows, some days at a time, so that what is held is bounded. Raises Unavailable."""
        of_day = {channel for feed, channel, _ in marks.desk.views if feed == "cim" and fits(question.channel, channel)}
        channels = sorted(of_day | ({question.channel} - {EACH}))
        for first in range(0, len(question.dates), _AT_ONCE):
            dates = question.dates[first : first + _AT_ONCE]
            told: list[tuple[Key, str]] = []
            for channel in channels:
                told += await self._of_channel(marks, question, channel, dates)
            if question.changed_since is None:
                told += _zeros(marks, question, channels, dates, {key for key, _ in told})
            yield [text for _, text in sorted(told)]

    async def _of_channel(
        self, marks: Marks, question: CimQuestion, channel: str, dates: Sequence[str]
    ) -> list[tuple[Key, str]]:
        group = None if question.group == EACH else question.group
        agent = None if question.agent == EACH else question.agent
        async with self._room:
            text = await self._database.text(CIM_ROWS, marks.desk.customer, channel, dates[0], dates[-1], group, agent)
        told: list[tuple[Key, str]] = []
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
            key = (date, row_agent, row_group, channel)
            told.append((key, _spelled(marks, day, key, revision, changed, body)))
        return told


def _zeros(
    marks: Marks, question: CimQuestion, channels: Iterable[str], dates: Sequence[str], present: set[Key]
) -> Iterator[tuple[Key, str]]:
    """Give the roll-up over agents a row on every day, though nothing happened."""
    if question.agent != ALL or question.channel == EACH:
        return
    groups = [ALL] if question.group == ALL else sorted(marks.desk.active)
    for date, group, channel in product(dates, groups, channels):
        if group == ALL and question.group != ALL:
            continue
        day = computing.cim_day(date, group, marks.mapping, marks.zone)
        active = group == ALL or marks.desk.active[group] < day.end
        key = (date, ALL, group, channel)
        if question.group in {EACH, group} and active and key not in present:
            yield key, _spelled(marks, day, key, "1", str(min(day.end, marks.now)), _zero_body(day))


def _spelled(marks: Marks, day: LocalDay, key: Key, revision: str, changed: str, body: str) -> str:
    _, agent, group, channel = key
    names = marks.mapping.names
    return (
        f'{{"date":"{day.date}","agent":{quoted(agent)},"agent_name":{quoted(names.get(agent))}'
        f',"group":{quoted(group)},"group_name":{quoted(names.get(group))},"channel":{quoted(channel)}'
        f"{named(_PIECES, body)}"
        f"{marks.spelled(day.start, day.end, group, revision, changed, marks.desk.cim_final)}"
    )


def _zero_body(day: LocalDay) -> str:
    return computing.body_of(cim.zero(day)).decode()[1:-1]
