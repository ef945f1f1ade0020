"""Recording: events become records and their facts. It reads by a cursor, and commits what it made with it.

It goes on where the last process stopped, and what it makes depends on the events only, not on when they came.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from bridge.cloudsync.events import fields
from bridge.cloudsync.flow import configured
from bridge.cloudsync.flow.desk import DAY, Desk, Desks
from bridge.cloudsync.flow.hooks import Hooks
from bridge.cloudsync.flow.refold import EARLIEST, Doubt, Key, Refolded, refold
from bridge.cloudsync.flow.stretches import quarters
from bridge.cloudsync.store import folding, rows
from bridge.cloudsync.store.database import Own, Statement, array
from bridge.words.cloudsync import QUARTER, Change
from bridge.words.cloudsync import Mapping as Words
from bridge.words.ledger import Unavailable
from bridge.words.settings import Cloudsync as Settings
from bridge.words.settings import Customer

_BATCH = 1_000  # changes of one turn, whose records' histories are decoded in one go
_AHEAD = 2 * DAY  # a producer's clock that is further ahead opens no buckets
_LATEST = 400 * DAY  # nothing is computed further in the future

_encode = msgspec.json.Encoder().encode


class Recording:
    """Makes records of events, a batch at a time. `behind`: there may be more; `drained`: until when there is not."""

    def __init__(
        self,
        database: Own,
        desks: Desks,
        hooks: Hooks,
        customers: Callable[[], Mapping[str, Customer]],
        now: Callable[[], int],
    ) -> None:
        self._database = database
        self._desks = desks
        self._hooks = hooks
        self._customers = customers
        self._now = now
        self._next_record = 1
        self._turn = asyncio.Lock()
        self._written_down: dict[str, tuple[Settings, Words]] = {}
        self.mapping: Callable[[str], Words] = self._configured
        self.cursor = 0
        self.drained = 0
        self.behind = False
        self.counted = {"changes": 0, "records": 0}

    async def take_up(self) -> None:
        """Read how far the last process came. Raises Unavailable."""
        self.cursor = await folding.cursor(self._database)
        self._next_record = 1 + (await self._database.own_read(list[int], folding.LAST_RECORD) or [0])[0]

    async def tell_standing(self) -> None:
        """Tell those who follow of every record of which something lasts, and what is still wanted."""
        for desk in self._desks:
            customer = desk.customer
            standing = await self._database.own_read(list[folding.Standing], folding.OPEN_RECORDS, customer) or []
            for start in range(0, len(standing), 500):
                some = standing[start : start + 500]
                text = await self._database.own_text(folding.FACTS_OF, _encode([one.id for one in some]).decode())
                facts = defaultdict(list)
                for kept in msgspec.json.decode(text, type=list[folding.Kept]) if text else ():
                    facts[kept.owner].append(kept.fact)
                for one in some:
                    folded = msgspec.structs.replace(one.folded, facts=facts[one.id])
                    self._hooks.on_folded(customer, one.entity, one.record, folded, self._now())
                    if one.folded.ids:
                        self._hooks.ids_wanted(customer, one.folded.ids)
            self._want(desk, desk.doubts.values())

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
        async with self._turn:
            seen = self._now()
            if await self._process():
                self.behind = True
                return True
            self.behind = False
            self.drained = seen
            await self._roll()
            await self._follow_mapping()
            return False

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
                await self._hooks.mapping_changed(customer, mapped)
            keys = list(
                dict.fromkeys(
                    (change.entity, change.record) for change in changes if change.entity not in fields.MAPPING
                )
            )
            refolded = await self._refold(customer, keys)
            statements += self._written(customer, refolded)
            told.append((customer, refolded))
        await self._write([self._desks.open(customer) for customer in by_customer], statements, last)
        self.cursor = last
        self.counted["changes"] += len(batch)
        for customer, refolded in told:
            self._tell(customer, refolded)
        return True

    async def _refold(self, customer: str, keys: Sequence[Key], mapping: Words | None = None) -> Refolded:
        desk = self._desks.open(customer)
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
        desk, now = self._desks.open(customer), self._now()
        desk.latest = max(desk.latest, min(refolded.latest, now + _AHEAD))
        earliest, latest = now - now % QUARTER - EARLIEST, now + _LATEST
        feeds = self._feeds(customer)
        for feed, dirty, touched in (("stt", desk.stt, refolded.stt), ("cim", desk.cim, refolded.cim)):
            for start, until in touched if feed in feeds else ():
                desk.coming.append((dirty, max(start, earliest), min(until, latest)))
        for number, doubt in refolded.doubts.items():
            before = desk.doubt(number, doubt)
            for one in (before, doubt):
                if one is not None:
                    desk.changed(max(one.since, earliest), now + QUARTER)
        return folding.save(
            customer, array(refolded.records), _encode(refolded.dropped).decode(), array(refolded.added)
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
            self._hooks.on_folded(customer, one.entity, one.record, one.folded, now)
            wanted.update(dict.fromkeys(one.folded.ids))
        self.counted["records"] += len(refolded.told)
        if wanted:
            self._hooks.ids_wanted(customer, list(wanted))
        self._want(self._desks.open(customer), (doubt for doubt in refolded.doubts.values() if doubt is not None))

    def _want(self, desk: Desk, doubts: Iterable[Doubt]) -> None:
        wanted = [(doubt.entity, doubt.record) for doubt in doubts if doubt.dirty]
        if wanted:
            self._hooks.records_wanted(desk.customer, wanted)

    async def _roll(self) -> None:
        """Open the buckets that time has come to; what lasts is in them too."""
        now = self._now()
        for desk in self._desks:
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
        for desk in self._desks:
            customer = desk.customer
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
                await self._write([self._desks.open(customer)], self._written(customer, refolded))
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
        async with self._turn:
            desk = self._desks.open(customer)
            begin, end = quarters(start, until)
            desk.stt.add(begin, end)
            desk.cim.add(begin, end)
            await self._database.transact([desk.progress()])

    async def refold_all(self, customer: str) -> None:
        """Fold every record of a customer anew."""
        entity = record = ""
        while True:
            async with self._turn:
                keys = await self._database.own_read(list[Key], folding.ALL_RECORDS, customer, entity, record, _BATCH)
                if not keys:
                    return
                refolded = await self._refold(customer, keys)
                await self._write([self._desks.open(customer)], self._written(customer, refolded))
                self._tell(customer, refolded)
                entity, record = max(keys)

    async def lasting(self, customer: str, entity: str) -> list[str]:
        """List the records of an entity of which something still lasts."""
        return await self._database.own_read(list[str], folding.LASTING, customer, entity) or []

    def _feeds(self, customer: str) -> Sequence[str]:
        settings = self._customers().get(customer)
        return settings.cloudsync.feeds if settings else ()
