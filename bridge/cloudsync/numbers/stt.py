"""STT: what each UTC quarter hour saw, by group, channel and priority, computed from facts.

Where the page leaves it open:

- A roll-up is computed from the facts of its rows, in milliseconds, and rounded down once; so a published sum may
  exceed the sum of its published rows by less than a second each. A distinct count (`closed_unique`) is taken from the
  facts too: a ticket closed twice in one quarter hour is one ticket in every roll-up.
- Maxima (`max_wait_…`, `backlog_age_oldest_s`) are whole seconds, rounded down.
- Ages are those at the interval's end, also while it still runs; they need no recomputing as time passes.
- `handle_s` is talk, hold and wrap added in milliseconds; an earlier leg's talk and hold are posted at the transfer
  without `handled`, so `aht_s` is null where only such a leg was posted.
- Whatever has no group is posted under the group "". A group without limits has the product's defaults.
- In the arrival view only the interval changes. A ticket's facts keep their group and priority, so its stocks (which do
  not change) and its flows no longer add up; contacts do: `open_end` is the legs that queued there and have no end yet.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from operator import itemgetter
from typing import Literal

import msgspec

from bridge.cloudsync.numbers.families import family
from bridge.cloudsync.numbers.intervals import quarter, quarters
from bridge.cloudsync.numbers.rollups import Cell, holding
from bridge.cloudsync.numbers.rounding import average, per_cent, ratio, tenfold, whole
from bridge.cloudsync.numbers.stocks import Stay, levels, standing, stay
from bridge.words.cloudsync import DEFAULT_SHORT_ABANDON, DEFAULT_SL_THRESHOLD, QUARTER, Fact, Mapping, Post

Attribution = Literal["event", "arrival"]
SlMode = Literal["negative", "ignore", "positive"]

SttKey = tuple[int, str, str, str]
"""The interval's start (milliseconds), group, channel, priority; "*" for a dimension's roll-up."""

Place = tuple[int, Cell]
Posted = defaultdict[Post, list[Fact]]


class SttRow(msgspec.Struct, kw_only=True):
    """Every published metric of a row, by its published name."""

    created: int = 0
    closed: int = 0
    closed_unique: int = 0
    first_closed: int = 0
    closed_on_create: int = 0
    reopened: int = 0
    transferred_in: int = 0
    transferred_out: int = 0
    reclassified_in: int = 0
    reclassified_out: int = 0
    deleted: int = 0
    deleted_open: int = 0
    undeleted: int = 0
    undeleted_open: int = 0
    merged: int = 0
    merged_open: int = 0
    backlog_open: int = 0
    backlog_close: int = 0
    unassigned_close: int = 0
    backlog_age_p50_s: float | None = None
    backlog_age_p90_s: float | None = None
    backlog_age_oldest_s: int | None = None
    escalated: int = 0
    first_responses: int = 0
    frt_sum_s: int = 0
    frt_avg_s: float | None = None
    frt_p50_s: float | None = None
    frt_p90_s: float | None = None
    res_sum_s: int = 0
    res_avg_s: float | None = None
    res_p50_s: float | None = None
    res_p90_s: float | None = None
    offered: int = 0
    offered_by_transfer: int = 0
    answered: int = 0
    answered_within_sl: int = 0
    abandoned: int = 0
    abandoned_within_sl: int = 0
    abandoned_short: int = 0
    flow_out: int = 0
    handled: int = 0
    wait_sum_s: int = 0
    asa_s: float | None = None
    abandon_wait_sum_s: int = 0
    max_wait_answered_s: int | None = None
    max_wait_abandoned_s: int | None = None
    talk_s: int = 0
    hold_s: int = 0
    wrap_s: int = 0
    handle_s: int = 0
    aht_s: float | None = None
    busy_split_s: int = 0
    sl_pct: float | None = None
    abandon_pct: float | None = None
    queue_open: int = 0
    open_end: int = 0


ZERO = SttRow()
"""The row of a quarter hour in which nothing happened."""

METRICS: tuple[str, ...] = SttRow.__struct_fields__

COUNTED = {
    Post.CREATED: "created",
    Post.CLOSED: "closed",
    Post.FIRST_CLOSED: "first_closed",
    Post.CLOSED_ON_CREATE: "closed_on_create",
    Post.REOPENED: "reopened",
    Post.TRANSFERRED_IN: "transferred_in",
    Post.TRANSFERRED_OUT: "transferred_out",
    Post.RECLASSIFIED_IN: "reclassified_in",
    Post.RECLASSIFIED_OUT: "reclassified_out",
    Post.DELETED: "deleted",
    Post.DELETED_OPEN: "deleted_open",
    Post.UNDELETED: "undeleted",
    Post.UNDELETED_OPEN: "undeleted_open",
    Post.MERGED: "merged",
    Post.MERGED_OPEN: "merged_open",
    Post.ESCALATED: "escalated",
    Post.FIRST_RESPONSE: "first_responses",
    Post.OFFERED: "offered",
    Post.OFFERED_BY_TRANSFER: "offered_by_transfer",
    Post.ANSWERED: "answered",
    Post.FLOW_OUT: "flow_out",
    Post.HANDLED: "handled",
}
HAPPENING = COUNTED.keys() | {Post.ABANDONED, Post.TALKED}


def compute(
    facts: Iterable[Fact],
    start: int,
    end: int,
    mapping: Mapping,
    *,
    attribution: Attribution = "event",
    sl_mode: SlMode = "negative",
    as_of: int,
) -> dict[SttKey, SttRow]:
    """Compute the rows of every quarter hour in `[start, end)` (both on quarter hours), roll-ups included.

    `facts`: all that happened in the range (in the arrival view: whose arrival is in it), and all spans that overlap or
    touch it; more do no harm. A busy span without an end lasts until `as_of`; a stock without an end is still there at
    every edge of the range. Rows of nothing are left out: they are `ZERO`.
    """
    sheet = _Sheet(start, end, mapping, sl_mode)
    happenings, spans = _sorted_out(facts)
    sheet.happened(happenings, arrival=attribution == "arrival")
    sheet.busy(spans[Post.SPAN_BUSY], as_of)
    sheet.backlog(spans[Post.SPAN_OPEN])
    if attribution == "arrival":
        sheet.still_waiting(spans[Post.SPAN_QUEUED])
    else:
        sheet.queue(spans[Post.SPAN_QUEUED])
    return {(interval, *cell): row for (interval, cell), row in sorted(sheet.rows.items(), key=itemgetter(0))}


def _sorted_out(facts: Iterable[Fact]) -> tuple[list[Fact], defaultdict[Post, list[Fact]]]:
    happenings = []
    spans: defaultdict[Post, list[Fact]] = defaultdict(list)
    for fact in facts:
        if fact.post in HAPPENING:
            happenings.append(fact)
        else:
            spans[fact.post].append(fact)
    return happenings, spans


class _Sheet:
    """The rows of one range, as they are written."""

    def __init__(self, start: int, end: int, mapping: Mapping, sl_mode: SlMode) -> None:
        self.rows: defaultdict[Place, SttRow] = defaultdict(SttRow)
        self._start = start
        self._end = end
        self._edges = range(start, end + 1, QUARTER)
        self._mapping = mapping
        self._sl_mode = sl_mode

    def happened(self, facts: Iterable[Fact], *, arrival: bool) -> None:
        """Write what happens at a moment."""
        start, end = self._start, self._end
        intervals: defaultdict[int, list[Fact]] = defaultdict(list)
        for fact in facts:
            at = fact.arrival if arrival else fact.at
            if start <= at < end:
                intervals[at - at % QUARTER].append(fact)
        for interval, within in intervals.items():
            for cell, posted in _rolled(within).items():
                row = self.rows[interval, cell]
                _tickets(row, posted)
                _contacts(row, posted, self._mapping, self._sl_mode)

    def busy(self, spans: Iterable[Fact], as_of: int) -> None:
        """Split the time of sessions in work over the quarter hours it covers."""
        cells: defaultdict[Place, int] = defaultdict(int)
        for span in spans:
            begin = max(span.at, self._start)
            until = min(as_of if span.until is None else span.until, self._end)
            cell = (span.group, span.channel, span.priority)
            for interval in quarters(begin, until):
                cells[interval, cell] += min(until, interval + QUARTER) - max(begin, interval)
        for place, busy in _rolled_up(cells).items():
            self.rows[place].busy_split_s = whole(busy)

    def backlog(self, spans: Sequence[Fact]) -> None:
        """Write what tickets are open at the edges, and how old they are."""
        unassigned = self._stays(span for span in spans if not span.agent)
        for cell, stays in self._stays(spans).items():
            no_one = levels(unassigned.get(cell, ()), len(self._edges))
            opened = 0
            for edge, since in enumerate(standing(stays, len(self._edges))):
                if edge and (opened or since):
                    row = self.rows[self._edges[edge - 1], cell]
                    row.backlog_open = opened
                    row.backlog_close = len(since)
                    row.unassigned_close = no_one[edge]
                    _ages(row, since, self._edges[edge])
                opened = len(since)

    def queue(self, spans: Iterable[Fact]) -> None:
        """Write how many contacts wait at the edges."""
        for cell, stays in self._stays(spans).items():
            for interval, (opened, closed) in zip(self._edges, pairwise(levels(stays, len(self._edges))), strict=False):
                if opened or closed:
                    row = self.rows[interval, cell]
                    row.queue_open = opened
                    row.open_end = closed

    def still_waiting(self, spans: Iterable[Fact]) -> None:
        """Write, for the arrival view, how many contacts that queued in a quarter hour have not left the queue."""
        cells: defaultdict[Place, int] = defaultdict(int)
        for span in spans:
            if span.until is None and self._start <= span.at < self._end:
                cells[quarter(span.at), (span.group, span.channel, span.priority)] += 1
        for place, waiting in _rolled_up(cells).items():
            self.rows[place].open_end = waiting

    def _stays(self, spans: Iterable[Fact]) -> dict[Cell, list[Stay]]:
        cells: defaultdict[Cell, list[Stay]] = defaultdict(list)
        for span in spans:
            found = stay(span, self._start, len(self._edges))
            if found is not None:
                cells[span.group, span.channel, span.priority].append(found)
        rolled: defaultdict[Cell, list[Stay]] = defaultdict(list)
        for cell, stays in cells.items():
            for held in holding(cell):
                rolled[held] += stays
        return rolled


def _posted() -> Posted:
    return defaultdict(list)


def _rolled(facts: Iterable[Fact]) -> dict[Cell, Posted]:
    # First into cells, then the cells into their roll-ups: far fewer steps than eight for every fact.
    cells: defaultdict[Cell, Posted] = defaultdict(_posted)
    for fact in facts:
        cells[fact.group, fact.channel, fact.priority][fact.post].append(fact)
    rolled: defaultdict[Cell, Posted] = defaultdict(_posted)
    for cell, posted in cells.items():
        for held in holding(cell):
            into = rolled[held]
            for post, some in posted.items():
                into[post] += some
    return rolled


def _rolled_up(cells: dict[Place, int]) -> dict[Place, int]:
    rolled: defaultdict[Place, int] = defaultdict(int)
    for (interval, cell), amount in cells.items():
        for held in holding(cell):
            rolled[interval, held] += amount
    return rolled


def _tickets(row: SttRow, posted: Posted) -> None:
    for post, facts in posted.items():
        if post in COUNTED:
            setattr(row, COUNTED[post], len(facts))
    if responses := posted.get(Post.FIRST_RESPONSE):
        row.frt_sum_s, row.frt_avg_s, row.frt_p50_s, row.frt_p90_s = family(fact.value for fact in responses)
    if closes := posted.get(Post.CLOSED):
        row.closed_unique = len({fact.record for fact in closes})
        row.res_sum_s, row.res_avg_s, row.res_p50_s, row.res_p90_s = family(fact.value for fact in closes)


def _ages(row: SttRow, since: Sequence[int], edge: int) -> None:
    # The oldest was created first: the 90th percentile of the ages is the 10th of the times of creation.
    if since:
        row.backlog_age_p50_s = ratio(10 * edge - tenfold(since, 5), 10_000)
        row.backlog_age_p90_s = ratio(10 * edge - tenfold(since, 1), 10_000)
        row.backlog_age_oldest_s = whole(edge - since[0])


def _contacts(row: SttRow, posted: Posted, mapping: Mapping, sl_mode: SlMode) -> None:
    threshold, short = mapping.sl_threshold, mapping.short_abandon
    if answers := posted.get(Post.ANSWERED):
        waits = [fact.value for fact in answers]
        row.answered_within_sl = sum(fact.value <= threshold.get(fact.group, DEFAULT_SL_THRESHOLD) for fact in answers)
        row.wait_sum_s = whole(sum(waits))
        row.asa_s = average(sum(waits), len(waits))
        row.max_wait_answered_s = whole(max(waits))
    if left := posted.get(Post.ABANDONED):
        patient = [fact for fact in left if fact.value >= short.get(fact.group, DEFAULT_SHORT_ABANDON)]
        row.abandoned = len(patient)
        row.abandoned_short = len(left) - len(patient)
        row.abandoned_within_sl = sum(fact.value <= threshold.get(fact.group, DEFAULT_SL_THRESHOLD) for fact in patient)
        row.abandon_wait_sum_s = whole(sum(fact.value for fact in patient))
        row.max_wait_abandoned_s = whole(max(fact.value for fact in patient)) if patient else None
    if Post.HANDLED in posted or Post.TALKED in posted:
        legs = [*posted.get(Post.HANDLED, ()), *posted.get(Post.TALKED, ())]
        talk, hold, wrap = (
            sum(fact.value for fact in legs),
            sum(fact.hold for fact in legs),
            sum(fact.wrap for fact in legs),
        )
        row.talk_s, row.hold_s, row.wrap_s = whole(talk), whole(hold), whole(wrap)
        row.handle_s = whole(talk + hold + wrap)
        row.aht_s = average(talk + hold + wrap, row.handled)
    row.sl_pct = _service_level(row, sl_mode)
    row.abandon_pct = per_cent(row.abandoned, row.answered + row.abandoned)


def _service_level(row: SttRow, mode: SlMode) -> float | None:
    ended = row.answered + row.abandoned
    match mode:
        case "negative":
            return per_cent(row.answered_within_sl, ended)
        case "ignore":
            return per_cent(row.answered_within_sl, ended - row.abandoned_within_sl)
        case "positive":
            return per_cent(row.answered_within_sl + row.abandoned_within_sl, ended)
