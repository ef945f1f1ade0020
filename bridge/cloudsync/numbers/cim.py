"""CIM: what each agent did on each local day, by group and channel, computed from facts.

Where the page leaves it open:

- A row of a group is on the group's local day; a row of the roll-up over groups is on the customer's, and need not be
  the sum of the groups' rows where zones differ. `tz` says whose day it is. A group without a (known) zone has the
  customer's.
- What is credited to nobody is in no row, not even in the roll-up over agents, which is the sum of the agents' rows.
- `sessions_touched` is a distinct count: a session that went from one agent to another counts once in their roll-up. A
  leg without length touches the day of its moment.
- `busy_s` and `concurrency_s` are of the row's own sessions; `idle_s`, `occupancy_pct` and `utilisation_pct` are
  presence metrics and take the agent's sessions of all groups and channels. `avg_concurrency` is concurrency / busy.
- Talk, hold and wrap of a leg that was handed over are posted at the transfer and count in no `handled`.
- An agent with presence and nothing else on a day has rows too: in its default group ("" if unknown), under the roll-up
  of channels, and in the roll-ups.
- Over agents `first_login` is the earliest, `last_logout` the latest, null while one of them is still logged in.
- Days are always by the time of the event.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Lookup
from itertools import product
from typing import NamedTuple

import msgspec

from bridge.cloudsync.numbers.families import family
from bridge.cloudsync.numbers.intervals import LocalDay, known, utc
from bridge.cloudsync.numbers.presence import Presence, Stretch, length, presence, states, together, union, within
from bridge.cloudsync.numbers.rollups import ALL
from bridge.cloudsync.numbers.rounding import average, per_cent, ratio, whole
from bridge.words.cloudsync import Fact, Mapping, Post

CimKey = tuple[str, str, str, str]
"""The local date (`2026-11-01`), agent, group, channel; "*" for a dimension's roll-up."""

Place = tuple[LocalDay, str, str]
"""Day, group, channel."""

Posted = defaultdict[Post, list[Fact]]


class CimRow(msgspec.Struct, kw_only=True):
    """Every published metric of a row, by its published name, and the day it is of. Moments are RFC 3339, UTC."""

    day_start_utc: str
    day_end_utc: str
    tz: str
    intervals_in_day: int
    offered_to_agent: int = 0
    accepted: int = 0
    declined: int = 0
    missed: int = 0
    handled: int = 0
    transferred_in: int = 0
    transferred_out: int = 0
    talk_s: int = 0
    hold_s: int = 0
    wrap_s: int = 0
    handle_s: int = 0
    aht_s: float | None = None
    sessions_touched: int = 0
    busy_s: int = 0
    concurrency_s: int = 0
    avg_concurrency: float | None = None
    login_s: int = 0
    available_s: int = 0
    away_s: int = 0
    break_s: int = 0
    idle_s: int = 0
    occupancy_pct: float | None = None
    utilisation_pct: float | None = None
    first_login: str | None = None
    last_logout: str | None = None
    tickets_assigned: int = 0
    closed: int = 0
    first_closed: int = 0
    reopened: int = 0
    first_responses: int = 0
    frt_sum_s: int = 0
    frt_avg_s: float | None = None
    frt_p50_s: float | None = None
    frt_p90_s: float | None = None
    res_sum_s: int = 0
    res_avg_s: float | None = None
    res_p50_s: float | None = None
    res_p90_s: float | None = None
    open_end_of_day: int = 0


METRICS: tuple[str, ...] = CimRow.__struct_fields__

COUNTED = {
    Post.AGENT_OFFERED: "offered_to_agent",
    Post.AGENT_ACCEPTED: "accepted",
    Post.AGENT_DECLINED: "declined",
    Post.AGENT_MISSED: "missed",
    Post.HANDLED: "handled",
    Post.SESSION_IN: "transferred_in",
    Post.SESSION_OUT: "transferred_out",
    Post.ASSIGNED: "tickets_assigned",
    Post.CLOSED: "closed",
    Post.FIRST_CLOSED: "first_closed",
    Post.REOPENED: "reopened",
    Post.FIRST_RESPONSE: "first_responses",
    Post.SPAN_OPEN: "open_end_of_day",  # only those that are open then are kept
}
COUNTING = COUNTED.keys() | {Post.TALKED, Post.SPAN_BUSY}


def zero(day: LocalDay) -> CimRow:
    """Give the row of a day on which nothing happened."""
    return CimRow(
        day_start_utc=utc(day.start),
        day_end_utc=utc(day.end),
        tz=day.zone,
        intervals_in_day=day.intervals,
    )


def group_zone(group: str, mapping: Mapping, customer_zone: str) -> str:
    """Say in which zone a group's days are; the roll-up over groups is in the customer's."""
    zone = mapping.zone.get(group, customer_zone)
    return zone if known(zone) else customer_zone


def compute(
    facts: Iterable[Fact], days: Sequence[LocalDay], mapping: Mapping, *, customer_zone: str, as_of: int
) -> dict[CimKey, CimRow]:
    """Compute the rows of some local days: of each day's zone's groups and, if it is the customer's, over all groups.

    `facts`: all that happened on the days, and all spans that overlap or touch them; more do no harm. A span of work or
    presence without an end lasts until `as_of`. Rows of nothing are left out: they are `zero(day)`.
    """
    before: dict[str, str] = {}
    agents: defaultdict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        if fact.agent:
            agents[fact.agent].append(fact)
            if fact.post is Post.SPAN_BUSY and fact.session:
                before[fact.record] = fact.session
    sheet = _Sheet(days, mapping, customer_zone, as_of, _sessions(before))
    for agent, of_agent in agents.items():
        sheet.write_agent(agent, of_agent)
    sheet.write_everybody()
    return dict(sorted(sheet.rows.items()))


def _sessions(before: Lookup[str, str]) -> dict[str, str]:
    """Name the session of each leg. A record knows the one before it; a session handed on twice is still one."""
    sessions = {}
    for record in before:
        seen = [record]
        while (earlier := before.get(seen[-1], seen[-1])) not in seen:
            seen.append(earlier)
        sessions[record] = seen[-1] if earlier == seen[-1] else min(seen[seen.index(earlier) :])
    return sessions


class _Calendar:
    """The days asked for of one zone."""

    def __init__(self, days: Iterable[LocalDay]) -> None:
        self.days = sorted(set(days))
        self._starts = [day.start for day in self.days]

    def split(self, facts: Iterable[Fact], as_of: int) -> dict[LocalDay, list[Fact]]:
        """Lay facts of one kind into the days they count in."""
        found: defaultdict[LocalDay, list[Fact]] = defaultdict(list)
        for fact in facts:
            if fact.post is Post.SPAN_OPEN:
                days = self._ending(fact.at, fact.until)
            elif fact.post is Post.SPAN_BUSY:
                days = self._over(*_stretch(fact, as_of))
            else:
                days = self._at(fact.at)
            for day in days:
                found[day].append(fact)
        return found

    def _at(self, moment: int) -> Sequence[LocalDay]:
        """Find the day that a moment is in."""
        day = self.days[bisect_right(self._starts, moment) - 1]
        return (day,) if day.start <= moment < day.end else ()

    def _over(self, begin: int, until: int) -> Sequence[LocalDay]:
        """Find the days that a stretch overlaps; one without length is in the day of its moment."""
        return [day for day in self.days if begin < day.end and (until > day.start or begin >= day.start)]

    def _ending(self, begin: int, until: int | None) -> Sequence[LocalDay]:
        """Find the days at whose end a span is open."""
        return [day for day in self.days if begin < day.end and (until is None or until >= day.end)]


class _Sheet:
    """The rows of some days, as they are written: each agent's, and with them what everybody's add up to."""

    def __init__(
        self, days: Sequence[LocalDay], mapping: Mapping, customer_zone: str, as_of: int, sessions: Lookup[str, str]
    ) -> None:
        self.rows: dict[CimKey, CimRow] = {}
        self._mapping = mapping
        self._customer_zone = customer_zone
        self._as_of = as_of
        self._sessions = sessions
        zones: defaultdict[str, list[LocalDay]] = defaultdict(list)
        for day in days:
            zones[day.zone].append(day)
        self._calendars = {zone: _Calendar(of_zone) for zone, of_zone in zones.items()}
        self._targets: dict[str, list[tuple[_Calendar, list[str]]]] = {}
        self._everybody: defaultdict[Place, _Everybody] = defaultdict(_Everybody)

    def write_agent(self, agent: str, facts: Iterable[Fact]) -> None:
        """Write the rows of one agent."""
        cells: defaultdict[tuple[str, str], Posted] = defaultdict(_posted)
        presences = []
        for fact in facts:
            if fact.post is Post.SPAN_PRESENCE:
                presences.append(fact)
            elif fact.post in COUNTING:
                cells[fact.group, fact.channel][fact.post].append(fact)
        busy = union(
            _stretch(span, self._as_of) for posted in cells.values() for span in posted.get(Post.SPAN_BUSY, ())
        )
        here = self._present(presences, busy)
        places = self._places(cells)
        self._make_room(agent, here, places)
        for place, posted in places.items():
            day, group, channel = place
            work = _worked(posted.get(Post.SPAN_BUSY, ()), day, self._as_of)
            present = here.get(day, NOT_HERE)
            self.rows[day.date, agent, group, channel] = _row(day, posted, work, present, self._sessions)
            self._everybody[place].add(posted, work, present)

    def write_everybody(self) -> None:
        """Write the roll-ups over agents."""
        for (day, group, channel), all_of_it in self._everybody.items():
            work = Work(all_of_it.busy, all_of_it.concurrency)
            self.rows[day.date, ALL, group, channel] = _row(
                day, all_of_it.posted, work, together(all_of_it.presences), self._sessions
            )

    def _places(self, cells: Lookup[tuple[str, str], Posted]) -> defaultdict[Place, Posted]:
        places: defaultdict[Place, Posted] = defaultdict(_posted)
        for (group, channel), posted in cells.items():
            for calendar, groups in self._targets_of(group):
                for post, facts in posted.items():
                    for day, some in calendar.split(facts, self._as_of).items():
                        for place in product((day,), groups, (channel, ALL)):
                            places[place][post] += some
        return places

    def _targets_of(self, group: str) -> list[tuple[_Calendar, list[str]]]:
        # The group's own rows and the roll-up over groups, as far as their days were asked for; often the same days.
        if group not in self._targets:
            zones: defaultdict[str, list[str]] = defaultdict(list)
            zones[group_zone(group, self._mapping, self._customer_zone)].append(group)
            zones[self._customer_zone].append(ALL)
            calendars = self._calendars
            self._targets[group] = [(calendars[zone], names) for zone, names in zones.items() if zone in calendars]
        return self._targets[group]

    def _present(self, spans: Iterable[Fact], busy: Sequence[Stretch]) -> dict[LocalDay, Presence]:
        in_order = states(spans, self._as_of)
        days = (day for calendar in self._calendars.values() for day in calendar.days)
        found = ((day, presence(in_order, busy, day.start, day.end)) for day in days if in_order)
        return {day: of_day for day, of_day in found if of_day.login}

    def _make_room(self, agent: str, here: Iterable[LocalDay], places: defaultdict[Place, Posted]) -> None:
        # For days on which the agent was there and did nothing that is counted.
        seen = {day for day, group, _ in places if group != ALL}
        home = self._mapping.default_group.get(agent, "")
        for day in here:
            if day.zone == self._customer_zone:
                places[day, ALL, ALL]  # a place is made by asking for it
            if day not in seen and day.zone == group_zone(home, self._mapping, self._customer_zone):
                places[day, home, ALL]


class Work(NamedTuple):
    """What an agent did of a day in sessions, in milliseconds: their union, and their sum."""

    busy: int
    concurrency: int


NOT_HERE = Presence()


class _Everybody:
    """What the agents' rows of a place add up to."""

    def __init__(self) -> None:
        self.posted = _posted()
        self.busy = 0
        self.concurrency = 0
        self.presences: list[Presence] = []

    def add(self, posted: Posted, work: Work, present: Presence) -> None:
        for post, facts in posted.items():
            self.posted[post] += facts
        self.busy += work.busy
        self.concurrency += work.concurrency
        self.presences.append(present)


def _posted() -> Posted:
    return defaultdict(list)


def _stretch(span: Fact, as_of: int) -> Stretch:
    return span.at, max(span.at, as_of) if span.until is None else span.until


def _worked(spans: Iterable[Fact], day: LocalDay, as_of: int) -> Work:
    stretches = within((_stretch(span, as_of) for span in spans), day.start, day.end)
    return Work(length(union(stretches)), length(stretches))


def _row(day: LocalDay, posted: Posted, work: Work, here: Presence, sessions: Lookup[str, str]) -> CimRow:
    row = zero(day)
    for post, facts in posted.items():
        if post in COUNTED:
            setattr(row, COUNTED[post], len(facts))
    if Post.HANDLED in posted or Post.TALKED in posted:
        legs = [*posted.get(Post.HANDLED, ()), *posted.get(Post.TALKED, ())]
        talk = sum(fact.value for fact in legs)
        hold = sum(fact.hold for fact in legs)
        wrap = sum(fact.wrap for fact in legs)
        row.talk_s, row.hold_s, row.wrap_s = whole(talk), whole(hold), whole(wrap)
        row.handle_s = whole(talk + hold + wrap)
        row.aht_s = average(talk + hold + wrap, row.handled)
    if spans := posted.get(Post.SPAN_BUSY):
        row.sessions_touched = len({sessions.get(fact.record, fact.record) for fact in spans})
        row.busy_s, row.concurrency_s = whole(work.busy), whole(work.concurrency)
        row.avg_concurrency = ratio(work.concurrency, work.busy)
    if responses := posted.get(Post.FIRST_RESPONSE):
        row.frt_sum_s, row.frt_avg_s, row.frt_p50_s, row.frt_p90_s = family(fact.value for fact in responses)
    if closes := posted.get(Post.CLOSED):
        row.res_sum_s, row.res_avg_s, row.res_p50_s, row.res_p90_s = family(fact.value for fact in closes)
    if here.login:
        _write_presence(row, here)
    return row


def _write_presence(row: CimRow, here: Presence) -> None:
    row.login_s = whole(here.login)
    row.available_s = whole(here.available)
    row.away_s = whole(here.away)
    row.break_s = whole(here.on_break)
    row.idle_s = whole(here.idle)
    row.occupancy_pct = per_cent(here.busy_in_login, here.busy_in_login + here.idle)
    row.utilisation_pct = per_cent(here.busy_in_login, here.login)
    row.first_login = None if here.first is None else utc(here.first)
    row.last_logout = None if here.last is None else utc(here.last)
