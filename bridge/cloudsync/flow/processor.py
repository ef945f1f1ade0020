"""Processor: raw events become records, facts and rows. It reads by a cursor, and commits what it made with it.

It goes on where the last process stopped, and what it makes depends on the events only, not on when they came.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import msgspec

from bridge.cloudsync.events import fields, ids
from bridge.cloudsync.flow import computing, configured
from bridge.cloudsync.flow.computing import Computed
from bridge.cloudsync.flow.finality import Doubts, Finality
from bridge.cloudsync.flow.refold import EARLIEST, Doubt, Key, Refolded, refold
from bridge.cloudsync.flow.stretches import Stretches, quarters
from bridge.cloudsync.numbers import cim
from bridge.cloudsync.numbers.intervals import day_on, days
from bridge.cloudsync.store import folding, rows
from bridge.cloudsync.store.database import Database, Statement
from bridge.words.cloudsync import QUARTER, Change, Folded
from bridge.words.cloudsync import Mapping as Words
from bridge.words.ledger import Unavailable
from bridge.words.settings import Cloudsync as Settings
from bridge.words.settings import Customer

DAY = 86_400_000
STT_FINAL_AFTER = 900_000
CIM_FINAL_AFTER = 2 * 3_600_000

_BATCH = 1_000  # changes of one turn; their records' histories are decoded in one go, and pops wait for it
_AHEAD = 2 * DAY  # a producer's clock that is further ahead opens no buckets
_LATEST = 400 * DAY  # nothing is computed further in the future
# Seconds of one computation: it takes more, or fewer, quarter hours at once. What is decoded in one go holds the
# interpreter, and pops wait for it.
_QUICK, _SLOW = 0.05, 0.2
_MOST_QUARTERS = 96
_RECENT = DAY
# Seconds of rest per second of computing, so that what is computed again and again leaves room for the rest.
_REST_NOW, _REST_OLD, _REST_DAYS = 1.0, 4.0, 6.0
_REST_BEHIND = 8.0  # behind a burst, most rows would change again at once

log = logging.getLogger("popbridge.cloudsync")

_encode = msgspec.json.Encoder().encode


class Hooks:
    """Who follows. Called on the event loop, in the order of processing; they must not block."""

    def __init__(self) -> None:
        self.on_folded: Callable[[str, str, str, Folded, int], None] = _nothing
        self.ids_wanted: Callable[[str, Sequence[str]], None] = _nothing
        self.records_wanted: Callable[[str, Sequence[Key]], None] = _nothing
        self.mapping_changed: Callable[[str, Sequence[Change]], Awaitable[None]] = _nothing_later


class Desk:
    """What is known of one customer while the process runs."""

    def __init__(self, progress: rows.Progress) -> None:
        self.customer = progress.customer
        self.rolled = progress.rolled
        self.stt = Stretches(progress.dirty_stt)
        self.cim = Stretches(progress.dirty_cim)
        self.stt_final = Finality(progress.stt_final, progress.stt_held)
        self.cim_final = Finality(progress.cim_final, progress.cim_held)
        self._mapping = configured.read(progress.mapping)
        self._spelled = progress.mapping
        self.doubts: dict[int, Doubt] = {}
        self.views: set[tuple[str, str, str]] = set()
        self.active: dict[str, int] = {}
        self.latest = 0  # the latest fact there is
        # What is being computed, and what facts touch that are being written: dirty if the process ends now.
        self.at_work: list[tuple[Stretches, int, int]] = []
        self.coming: list[tuple[Stretches, int, int]] = []
        self.versions: dict[int, int] = {}  # by day: grows with every change of a row

    @property
    def mapping(self) -> Words | None:
        """The mapping that records were folded with."""
        return self._mapping

    @mapping.setter
    def mapping(self, mapping: Words) -> None:
        self._mapping = mapping
        self._spelled = configured.spell(mapping)

    def doubted(self) -> Doubts:
        """Gather what is in doubt."""
        return Doubts.of((doubt.since, doubt.groups) for doubt in self.doubts.values())

    def changed(self, start: int, until: int) -> None:
        """Note that rows of some days changed."""
        for day in range(start // DAY, -(-until // DAY)):
            self.versions[day] = self.versions.get(day, 0) + 1

    def progress(self) -> Statement:
        """Give the statement that writes how far it is."""
        return rows.SAVE_PROGRESS, (
            self.customer,
            self.rolled,
            self._spell_dirty(self.stt),
            self._spell_dirty(self.cim),
            self.stt_final.through,
            _encode(self.stt_final.held).decode(),
            self.cim_final.through,
            _encode(self.cim_final.held).decode(),
            self._spelled,
        )

    def come(self) -> None:
        """Make dirty what facts touch that are written now. Earlier, it might be computed without them."""
        for dirty, start, until in self.coming:
            dirty.add(start, until)
        self.coming.clear()

    def _spell_dirty(self, dirty: Stretches) -> str:
        whole = Stretches(dirty)
        for of, start, until in (*self.at_work, *self.coming):
            if of is dirty:
                whole.add(start, until)
        return _encode(list(whole)).decode()


class Pace:
    """When something may be computed again: it rests in proportion to what it took."""

    def __init__(self, rest: float) -> None:
        self._rest = rest
        self.due = 0.0

    def took(self, seconds: float, now: float, *, behind: bool) -> None:
        """Note what it took."""
        self.due = now + seconds * max(self._rest, _REST_BEHIND if behind else 0.0)


class Processor:
    """Two tasks: `fold` makes records of events, `compute` rows of their facts."""

    def __init__(
        self,
        database: Database,
        customers: Callable[[], Mapping[str, Customer]],
        now: Callable[[], int],
    ) -> None:
        self._database = database
        self._customers = customers
        self._now = now
        self._next_record = 1
        self._folding = asyncio.Lock()
        self._computing = asyncio.Lock()
        self._drained = 0  # everything that was stored by then is folded
        self.behind = False
        self.dirty = asyncio.Event()
        self._now_pace = Pace(_REST_NOW)
        self._old_pace = Pace(_REST_OLD)
        self._days_pace = Pace(_REST_DAYS)
        self._at_once = 4
        self._written_down: dict[str, tuple[Settings, Words]] = {}
        self.hooks = Hooks()
        self.mapping: Callable[[str], Words] = self._configured
        self.desks: dict[str, Desk] = {}
        self.cursor = 0
        self.counted = {"changes": 0, "records": 0, "computed": 0, "rows": 0, "restated": 0}

    async def take_up(self) -> None:
        """Read how far the last process came."""
        database = self._database
        self.cursor = await folding.cursor(database)
        self._next_record = 1 + (await database.own_read(list[int], folding.LAST_RECORD) or [0])[0]
        for one in await rows.progress(database):
            self.desks[one.customer] = Desk(one)
        for unsure in await database.own_read(list[folding.Unsure], folding.UNSURE) or ():
            self.open_desk(unsure.customer).doubts[unsure.id] = Doubt(
                unsure.entity,
                unsure.record,
                unsure.since,
                unsure.groups,
                bool(unsure.dirty),
                bool(unsure.unclassified),
            )
        for customer, feed, channel, priority in (
            await database.own_read(list[tuple[str, str, str, str]], rows.VIEWS) or ()
        ):
            self.open_desk(customer).views.add((feed, channel, priority))
        for customer, group, since in await database.own_read(list[tuple[str, str, int]], rows.ACTIVE) or ():
            self.open_desk(customer).active[group] = since

    async def tell_standing(self) -> None:
        """Tell those who follow of every record of which something lasts, and what is still wanted."""
        for customer, desk in self.desks.items():
            standing = await self._database.own_read(list[folding.Standing], folding.OPEN_RECORDS, customer) or []
            for start in range(0, len(standing), 500):
                some = standing[start : start + 500]
                text = await self._database.own_text(folding.FACTS_OF, _encode([one.id for one in some]).decode())
                facts = defaultdict(list)
                for kept in msgspec.json.decode(text, type=list[folding.Kept]) if text else ():
                    facts[kept.owner].append(kept.fact)
                for one in some:
                    folded = msgspec.structs.replace(one.folded, facts=facts[one.id])
                    self.hooks.on_folded(customer, one.entity, one.record, folded, self._now())
                    if one.folded.ids:
                        self.hooks.ids_wanted(customer, one.folded.ids)
            self._want(desk, desk.doubts.values())

    def open_desk(self, customer: str) -> Desk:
        """Give what is known of a customer, if only that nothing is."""
        return self.desks.setdefault(customer, Desk(rows.Progress(customer)))

    def _configured(self, customer: str) -> Words:
        settings = self._customers().get(customer)
        if settings is None:
            return Words()
        known, mapping = self._written_down.get(customer, (None, Words()))
        if known is not settings.cloudsync:
            mapping = configured.mapping(settings.cloudsync)
            self._written_down[customer] = (settings.cloudsync, mapping)
        return mapping

    async def fold(self) -> bool:
        """Fold what came, as much as fits in one turn; say whether there may be more."""
        async with self._folding:
            seen = self._now()
            if await self._process():
                self.behind = True
                self.dirty.set()
                return True
            self.behind = False
            self._drained = seen
            await self._roll()
            await self._follow_mapping()
            if any(desk.stt or desk.cim for desk in self.desks.values()):
                self.dirty.set()
            return False

    async def compute(self, *, patient: bool = True) -> float | None:
        """Compute some of what is dirty; return how many seconds to rest, None: until something is dirty again.

        It runs beside `fold`, so that what is told of records as they come need not wait. Without patience nothing
        rests.
        """
        async with self._computing:
            wait = await self._compute_some(patient=patient)
            if wait != 0.0:
                await self._finish()
            return wait

    async def settle(self) -> None:
        """Do everything that is to be done now."""
        more = True
        while more:
            while await self.fold():
                pass
            while await self.compute(patient=False) is not None:
                pass
            more = self.behind

    # Records

    async def _process(self) -> bool:
        batch = await folding.pending(self._database, self.cursor, _BATCH)
        if not batch:
            return False
        by_customer: defaultdict[str, list[Change]] = defaultdict(list)
        for pending in batch:
            by_customer[pending.customer].append(pending.change)
        last = batch[-1].number
        told: list[tuple[str, Refolded]] = []
        statements: list[Statement] = []
        for customer, changes in by_customer.items():
            mapped = [change for change in changes if change.entity in fields.MAPPING]
            if mapped:
                await self.hooks.mapping_changed(customer, mapped)
            keys = list(
                dict.fromkeys(
                    (change.entity, change.record) for change in changes if change.entity not in fields.MAPPING
                )
            )
            refolded = await self._refold(customer, keys)
            statements += self._written(customer, refolded)
            told.append((customer, refolded))
        await self._write([self.open_desk(customer) for customer in by_customer], statements, last)
        self.cursor = last
        self.counted["changes"] += len(batch)
        for customer, refolded in told:
            self._tell(customer, refolded)
        return True

    async def _refold(self, customer: str, keys: Sequence[Key], mapping: Words | None = None) -> Refolded:
        desk = self.open_desk(customer)
        mapping = mapping or desk.mapping
        if mapping is None:
            mapping = desk.mapping = self.mapping(customer)
        history = await folding.history(self._database, customer, keys)
        known, kept = await folding.known(self._database, customer, keys)
        now = self._now()
        refolded, self._next_record = await asyncio.to_thread(
            refold, keys, history, known, kept, mapping, now, self._horizon(desk, now), self._next_record
        )
        return refolded

    def _horizon(self, desk: Desk, now: int) -> int:
        """Until when what lasts is computed: now, or as far as facts have come, should a clock be ahead."""
        return max(now, min(desk.latest, now + _AHEAD))

    def _written(self, customer: str, refolded: Refolded) -> list[Statement]:
        desk, now = self.open_desk(customer), self._now()
        desk.latest = max(desk.latest, min(refolded.latest, now + _AHEAD))
        earliest, latest = now - now % QUARTER - EARLIEST, now + _LATEST
        feeds = self._feeds(customer)
        for feed, dirty, touched in (("stt", desk.stt, refolded.stt), ("cim", desk.cim, refolded.cim)):
            for start, until in touched if feed in feeds else ():
                desk.coming.append((dirty, max(start, earliest), min(until, latest)))
        for number, doubt in refolded.doubts.items():
            before = desk.doubts.pop(number, None)
            if doubt is not None:
                desk.doubts[number] = doubt
            for one in (before, doubt):
                if one is not None:
                    desk.changed(max(one.since, earliest), now + QUARTER)
        return folding.save(
            customer, _array(refolded.records), _encode(refolded.dropped).decode(), _array(refolded.added)
        )

    async def _write(self, desks: Sequence[Desk], statements: Sequence[Statement], cursor: int | None = None) -> None:
        """Write what was folded, with what it makes dirty, and how far that is."""
        moved: list[Statement] = [] if cursor is None else [(folding.CURSOR, (str(cursor),))]
        try:
            await self._database.transact([*statements, *(desk.progress() for desk in desks), *moved])
        except BaseException:
            for desk in desks:
                desk.coming.clear()  # it will be folded again
            raise
        for desk in desks:
            desk.come()

    def _tell(self, customer: str, refolded: Refolded) -> None:
        now = self._now()
        wanted: dict[str, None] = {}
        for one in refolded.told:
            self.hooks.on_folded(customer, one.entity, one.record, one.folded, now)
            wanted.update(dict.fromkeys(one.folded.ids))
        self.counted["records"] += len(refolded.told)
        if wanted:
            self.hooks.ids_wanted(customer, list(wanted))
        self._want(self.open_desk(customer), (doubt for doubt in refolded.doubts.values() if doubt is not None))

    def _want(self, desk: Desk, doubts: Iterable[Doubt]) -> None:
        wanted = [(doubt.entity, doubt.record) for doubt in doubts if doubt.dirty]
        if wanted:
            self.hooks.records_wanted(desk.customer, wanted)

    # Time and mapping

    async def _roll(self) -> None:
        """Open the buckets that time has come to; what lasts is in them too."""
        now = self._now()
        for desk in self.desks.values():
            current = self._horizon(desk, now) // QUARTER * QUARTER
            if desk.rolled == 0:
                desk.rolled = current
            elif desk.rolled < current:
                start = max(desk.rolled, now - EARLIEST)
                start -= start % QUARTER
                feeds = self._feeds(desk.customer)
                if "stt" in feeds:
                    desk.stt.add(start, current + QUARTER)
                if "cim" in feeds:
                    desk.cim.add(start, current + QUARTER)
                desk.rolled = current
                await self._database.transact([desk.progress()])

    async def _follow_mapping(self) -> None:
        for customer, desk in self.desks.items():
            before, after = desk.mapping, self.mapping(customer)
            if before is None or before is after:
                desk.mapping = after
                continue
            difference = configured.difference(before, after)
            if not difference:
                desk.mapping = after
                continue
            # The new one counts, in memory and on disk, once all that it concerns is folded with it: whatever ends
            # this earlier, a write that fails or the process, it is followed again.
            keys = await self._mentioning(customer, difference)
            for start in range(0, len(keys), _BATCH):
                refolded = await self._refold(customer, keys[start : start + _BATCH], after)
                await self._write([self.open_desk(customer)], self._written(customer, refolded))
                self._tell(customer, refolded)
            if difference.limits or difference.days:
                await self._everything(desk, difference)
            desk.mapping = after
            try:
                await self._database.transact([desk.progress()])
            except Unavailable:
                desk.mapping = before
                raise
            desk.changed(self._now() - EARLIEST, self._now() + DAY)

    async def _mentioning(self, customer: str, difference: configured.Difference) -> list[Key]:
        keys: list[Key] = []
        if difference.classified:
            keys += await self._database.own_read(list[Key], folding.UNCLASSIFIED, customer) or []
        if difference.ids:
            listed = _encode(sorted(difference.ids)).decode()
            keys += await self._database.own_read(list[Key], folding.MENTIONING, customer, listed) or []
        return list(dict.fromkeys(keys))

    async def _everything(self, desk: Desk, difference: configured.Difference) -> None:
        now = self._now()
        earliest = now - EARLIEST
        (first,) = await self._database.own_read(list[int | None], rows.FIRST_FACT, desk.customer, earliest) or [None]
        if first is not None:
            start, until = quarters(first, self._horizon(desk, now) + 1)
            if difference.limits:
                desk.stt.add(start, until)
            if difference.days:
                desk.cim.add(start, until)

    async def recompute(self, customer: str, start: int, until: int) -> None:
        """Mark rows to be computed again."""
        async with self._folding:
            desk = self.open_desk(customer)
            begin, end = quarters(start, until)
            desk.stt.add(begin, end)
            desk.cim.add(begin, end)
            await self._database.transact([desk.progress()])

    async def refold_all(self, customer: str) -> None:
        """Fold every record of a customer anew."""
        entity = record = ""
        while True:
            async with self._folding:
                keys = await self._database.own_read(list[Key], folding.ALL_RECORDS, customer, entity, record, _BATCH)
                if not keys:
                    return
                refolded = await self._refold(customer, keys)
                await self._write([self.open_desk(customer)], self._written(customer, refolded))
                self._tell(customer, refolded)
                entity, record = max(keys)

    async def unseen(self, customer: str, entity: str, seen: Collection[str]) -> list[tuple[str, int]]:
        """List the records that are known to be there and were not seen, and since when they may be gone."""
        desk = self.open_desk(customer)
        since = next(
            (doubt.since for doubt in desk.doubts.values() if (doubt.entity, doubt.record) == (entity, ids.WHOLE)),
            self._now(),
        )
        there = await self._database.own_read(list[str], folding.OF_ENTITY, customer, entity) or []
        return [(record, since) for record in there if record not in seen]

    async def lasting(self, customer: str, entity: str) -> list[str]:
        """List the records of an entity of which something still lasts."""
        return await self._database.own_read(list[str], folding.LASTING, customer, entity) or []

    # Rows

    async def _compute_some(self, *, patient: bool) -> float | None:
        """Compute the latest of what is dirty; return seconds to wait, None if nothing is dirty."""
        clock = _clock()
        waits = []
        recent = self._now() - _RECENT
        for desk in list(self.desks.values()):
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
        with _at_work(desk, desk.stt, start, until):
            computed = await self._compute_quarters(desk, start, until)
        await self._retire(desk, computed)
        took = _clock() - begun
        if took < _QUICK:
            self._at_once = min(_MOST_QUARTERS, self._at_once * 2)
        elif took > _SLOW:
            self._at_once = max(1, self._at_once // 2)
        pace.took(took, _clock(), behind=self.behind)

    async def _compute_quarters(self, desk: Desk, start: int, until: int) -> Computed:
        customer, as_of = desk.customer, self._now()
        mapping = desk.mapping or self.mapping(customer)
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
        await self._done(desk, desk.stt, statements)
        if computed.rows:
            desk.changed(start, until)
        for group, since in computed.active.items():
            desk.active[group] = min(since, desk.active.get(group, since))
        return computed

    async def _retire(self, desk: Desk, computed: Computed) -> None:
        """Find anew since when a group is active whose first row became empty."""
        for group, start in computed.emptied.items():
            if desk.active.get(group) != start or computed.active.get(group) == start:
                continue
            (since,) = await self._database.own_read(
                list[int | None], _FIRST_ROW, desk.customer, group, computing.ZERO.decode()
            ) or [None]
            if since is None:
                del desk.active[group]
                await self._database.write("DELETE FROM active WHERE customer = ? AND grp = ?", desk.customer, group)
            else:
                desk.active[group] = since
                await self._database.write(
                    "UPDATE active SET since = ?3 WHERE customer = ?1 AND grp = ?2", desk.customer, group, since
                )

    async def _compute_cim(self, desk: Desk) -> None:
        begun = _clock()
        customer = desk.customer
        mapping = desk.mapping or self.mapping(customer)
        zone = self._zone(customer)
        zones = sorted({zone, *(cim.group_zone(group, mapping, zone) for group in mapping.zone)})
        start, until = desk.cim.last or (0, 0)
        start = max(start, days(until - 1, until, zone)[0].start)
        with _at_work(desk, desk.cim, start, until):
            for date in sorted({day.date for one in zones for day in days(start, until, one)}):
                await self._compute_date(desk, date, zones, zone, mapping)
            await self._done(desk, desk.cim, ())
        self._days_pace.took(_clock() - begun, _clock(), behind=self.behind)

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
        work = desk.at_work
        desk.at_work = [one for one in work if one[0] is not dirty]
        progress = desk.progress()
        desk.at_work = work
        await self._database.transact([*statements, progress])

    def _changed(self, desk: Desk, feed: str, save: str, computed: Computed, as_of: int) -> list[Statement]:
        self.counted["computed"] += 1
        self.counted["rows"] += len(computed.rows)
        self.counted["restated"] += len(computed.restated)
        customer = desk.customer
        statements: list[Statement] = [(save, (customer, _array(computed.rows), as_of))]
        fresh = [view for view in sorted(computed.views) if (feed, *view) not in desk.views]
        if fresh:
            statements.append((rows.SAVE_VIEWS, (customer, feed, _encode(fresh).decode())))
            desk.views.update((feed, *view) for view in fresh)
        if computed.restated:
            statements.append((rows.RESTATE, (customer, feed, _array(computed.restated), as_of)))
        return statements

    # Finality

    async def _finish(self) -> None:
        """Make final what is over, computed, and not in doubt."""
        now = self._drained
        for desk in self.desks.values():
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


@contextmanager
def _at_work(desk: Desk, dirty: Stretches, start: int, until: int) -> Iterator[None]:
    """Take a stretch out of what is dirty, to compute it; what comes meanwhile makes it dirty again."""
    work = (dirty, start, until)
    dirty.drop(start, until)
    desk.at_work.append(work)
    try:
        yield
    except BaseException:
        dirty.add(start, until)
        raise
    finally:
        desk.at_work.remove(work)


def _advanced(before: Finality, doubts: Doubts, dirty: Stretches, target: int) -> Finality:
    """Make final what ended by `target`, unless some of it is still to be computed."""
    if dirty.overlap(min([before.through, *before.held.values()]), target):
        return before
    return doubts.advance(before, target)


def _joined(one: str, other: str) -> str:
    if not one or not other:
        return one or other
    return f"{one[:-1]},{other[1:]}"


def _array(spelled: Sequence[bytes]) -> str:
    return (b"[" + b",".join(spelled) + b"]").decode()


def _clock() -> float:
    return asyncio.get_running_loop().time()


def _nothing(*_: object) -> None:
    pass


async def _nothing_later(*_: object) -> None:
    pass
