"""Counting: facts become rows, the latest first, and rows become final."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import msgspec

from bridge.cloudsync.flow import computing
from bridge.cloudsync.flow.computing import Computed
from bridge.cloudsync.flow.desk import DAY, Desk, Desks
from bridge.cloudsync.flow.finality import Doubts, Finality
from bridge.cloudsync.flow.recording import Recording
from bridge.cloudsync.flow.stretches import Stretches
from bridge.cloudsync.numbers import cim
from bridge.cloudsync.numbers.intervals import day_on, days
from bridge.cloudsync.store import folding, rows
from bridge.cloudsync.store.database import Own, Statement, array
from bridge.words.cloudsync import QUARTER
from bridge.words.cloudsync import Mapping as Words
from bridge.words.settings import Customer

STT_FINAL_AFTER = 900_000
CIM_FINAL_AFTER = 2 * 3_600_000

# Seconds of one computation: it takes more, or fewer, quarter hours at once. What is decoded in one go holds the
# interpreter, and what is folded meanwhile waits for it.
_QUICK, _SLOW = 0.05, 0.2
_MOST_QUARTERS = 96
_RECENT = DAY
# Seconds of rest per second of computing, so that what is computed again and again leaves room for the rest.
_REST_NOW, _REST_OLD, _REST_DAYS = 1.0, 4.0, 6.0
_REST_BEHIND = 8.0  # behind a burst, most rows would change again at once

_encode = msgspec.json.Encoder().encode


class Pace:
    """When something may be computed again: it rests in proportion to what it took."""

    def __init__(self, rest: float) -> None:
        self._rest = rest
        self.due = 0.0

    def took(self, seconds: float, now: float, *, behind: bool) -> None:
        """Note what it took."""
        self.due = now + seconds * max(self._rest, _REST_BEHIND if behind else 0.0)


class Counting:
    """Computes what is dirty, some of it at a time."""

    def __init__(
        self,
        database: Own,
        desks: Desks,
        recording: Recording,
        customers: Callable[[], Mapping[str, Customer]],
        now: Callable[[], int],
    ) -> None:
        self._database = database
        self._desks = desks
        self._recording = recording
        self._customers = customers
        self._now = now
        self._turn = asyncio.Lock()
        self._now_pace = Pace(_REST_NOW)
        self._old_pace = Pace(_REST_OLD)
        self._days_pace = Pace(_REST_DAYS)
        self._at_once = 4
        self.counted = {"computed": 0, "rows": 0, "restated": 0}

    async def compute(self, *, patient: bool = True) -> float | None:
        """Compute some of what is dirty; return how many seconds to rest, None: until something is dirty again.

        It runs beside `fold`, so that what is told of records as they come need not wait. Without patience nothing
        rests.
        """
        async with self._turn:
            wait = await self._compute_some(patient=patient)
            if wait != 0.0:
                await self._finish()
            return wait

    async def _compute_some(self, *, patient: bool) -> float | None:
        """Compute the latest of what is dirty; return seconds to wait, None if nothing is dirty."""
        clock = _clock()
        waits = []
        recent = self._now() - _RECENT
        for desk in self._desks:
            feeds = self._feeds(desk.customer)
            if "stt" in feeds and desk.stt:
                last = desk.stt.last
                pace = self._now_pace if last is not None and last[1] > recent else self._old_pace
                if not patient or pace.due <= clock:
                    await self._compute_stt(desk, pace)
                    return 0.0
                waits.append(pace.due - clock)
            if "cim" in feeds and desk.cim:
                if not patient or self._days_pace.due <= clock:
                    await self._compute_cim(desk)
                    return 0.0
                waits.append(self._days_pace.due - clock)
        return max(min(waits), 0.001) if waits else None

    async def _compute_stt(self, desk: Desk, pace: Pace) -> None:
        begun = _clock()
        start, until = desk.stt.last or (0, 0)
        start = max(start, until - self._at_once * QUARTER)
        with desk.working(desk.stt, start, until):
            computed = await self._compute_quarters(desk, start, until)
        await self._retire(desk, computed)
        took = _clock() - begun
        if took < _QUICK:
            self._at_once = min(_MOST_QUARTERS, self._at_once * 2)
        elif took > _SLOW:
            self._at_once = max(1, self._at_once // 2)
        pace.took(took, _clock(), behind=self._recording.behind)

    async def _compute_quarters(self, desk: Desk, start: int, until: int) -> Computed:
        customer, as_of = desk.customer, self._now()
        mapping = desk.mapping or self._recording.mapping(customer)
        facts = await self._database.own_text(folding.FACTS_IN, customer, start, until)
        stored = await self._database.own_text(rows.STT_IN, customer, start, until)
        computed = await asyncio.to_thread(
            computing.compute_stt, facts, stored, start, until, mapping, desk.stt_final, dict(desk.active), as_of
        )
        statements: list[Statement] = []
        if computed.rows:
            statements += self._changed(desk, "stt", rows.SAVE_STT, computed, as_of)
            if computed.active:
                statements.append((rows.SAVE_ACTIVE, (customer, _encode(list(computed.active.items())).decode())))
        before = {group: desk.active.get(group) for group in computed.active}
        for group, since in computed.active.items():
            if since < desk.active.get(group, since + 1):
                desk.activate(group, since)
        try:
            await self._done(desk, desk.stt, statements)
        except BaseException:
            for group, was in before.items():
                desk.activate(group, was)
            raise
        if computed.rows:
            desk.changed(start, until)
        return computed

    async def _retire(self, desk: Desk, computed: Computed) -> None:
        """Find anew since when a group is active whose first row became empty."""
        for group, start in computed.emptied.items():
            if desk.active.get(group) != start or computed.active.get(group) == start:
                continue
            (since,) = await self._database.own_read(
                list[int | None], _FIRST_ROW, desk.customer, group, computing.ZERO.decode()
            ) or [None]
            desk.activate(group, since)
            if since is None:
                await self._database.transact([(_FORGET_ACTIVE, (desk.customer, group))])
            else:
                await self._database.transact([(_MOVE_ACTIVE, (desk.customer, group, since))])

    async def _compute_cim(self, desk: Desk) -> None:
        begun = _clock()
        customer = desk.customer
        mapping = desk.mapping or self._recording.mapping(customer)
        zone = self._zone(customer)
        zones = sorted({zone, *(cim.group_zone(group, mapping, zone) for group in mapping.zone)})
        start, until = desk.cim.last or (0, 0)
        start = max(start, days(until - 1, until, zone)[0].start)
        with desk.working(desk.cim, start, until):
            for date in sorted({day.date for one in zones for day in days(start, until, one)}):
                await self._compute_date(desk, date, zones, zone, mapping)
            await self._done(desk, desk.cim, ())
        self._days_pace.took(_clock() - begun, _clock(), behind=self._recording.behind)

    async def _compute_date(self, desk: Desk, date: str, zones: Sequence[str], zone: str, mapping: Words) -> None:
        customer, as_of = desk.customer, self._now()
        on = [day_on(date, one) for one in zones]
        first, last = min(day.start for day in on), max(day.end for day in on)
        facts = await self._database.own_text(folding.FACTS_IN, customer, first, last)
        before = await self._database.own_text(folding.PRESENCES_BEFORE, customer, first)
        stored = await self._database.own_text(rows.CIM_ON, customer, date)
        computed = await asyncio.to_thread(
            computing.compute_cim, _joined(facts, before), stored, on, mapping, zone, desk.cim_final, as_of
        )
        if computed.rows:
            await self._database.transact(self._changed(desk, "cim", rows.SAVE_CIM, computed, as_of))
            desk.changed(first, last)

    async def _done(self, desk: Desk, dirty: Stretches, statements: Sequence[Statement]) -> None:
        """Write what was computed, together with that it need not be any more."""
        await self._database.transact([*statements, desk.worked(dirty)])

    def _changed(self, desk: Desk, feed: str, save: str, computed: Computed, as_of: int) -> list[Statement]:
        self.counted["computed"] += 1
        self.counted["rows"] += len(computed.rows)
        self.counted["restated"] += len(computed.restated)
        customer = desk.customer
        statements: list[Statement] = [(save, (customer, array(computed.rows), as_of))]
        fresh = [view for view in sorted(computed.views) if (feed, *view) not in desk.views]
        if fresh:
            statements.append((rows.SAVE_VIEWS, (customer, feed, _encode(fresh).decode())))
            for view in fresh:
                desk.has_view((feed, *view))
        if computed.restated:
            statements.append((rows.RESTATE, (customer, feed, array(computed.restated), as_of)))
        return statements

    async def _finish(self) -> None:
        """Make final what is over, computed, and not in doubt."""
        now = self._recording.drained
        for desk in self._desks:
            doubts = desk.doubted()
            stt_final = _advanced(desk.stt_final, doubts, desk.stt, (now - STT_FINAL_AFTER) // QUARTER * QUARTER)
            cim_final = _advanced(desk.cim_final, doubts, desk.cim, (now - CIM_FINAL_AFTER) // QUARTER * QUARTER)
            if stt_final != desk.stt_final or cim_final != desk.cim_final:
                desk.stt_final, desk.cim_final = stt_final, cim_final
                await self._database.transact([desk.progress()])

    def _feeds(self, customer: str) -> Sequence[str]:
        settings = self._customers().get(customer)
        return settings.cloudsync.feeds if settings else ()

    def _zone(self, customer: str) -> str:
        settings = self._customers().get(customer)
        return settings.cloudsync.zone if settings else "UTC"


_FIRST_ROW = """
    SELECT json_array((
        SELECT start FROM stt
        WHERE customer = ?1 AND channel = '*' AND priority = '*' AND grp = ?2 AND body <> ?3 ORDER BY start LIMIT 1
    ))
"""
_FORGET_ACTIVE = "DELETE FROM active WHERE customer = ?1 AND grp = ?2"
_MOVE_ACTIVE = "UPDATE active SET since = ?3 WHERE customer = ?1 AND grp = ?2"


def _advanced(before: Finality, doubts: Doubts, dirty: Stretches, target: int) -> Finality:
    """Make final what ended by `target`, unless some of it is still to be computed."""
    if dirty.overlap(min([before.through, *before.held.values()]), target):
        return before
    return doubts.advance(before, target)


def _joined(one: str, other: str) -> str:
    if not one or not other:
        return one or other
    return f"{one[:-1]},{other[1:]}"


def _clock() -> float:
    return asyncio.get_running_loop().time()
