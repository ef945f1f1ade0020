"""Desk: what is known of one customer's records and rows while the process runs, and what of it is news."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager

import msgspec

from bridge.cloudsync.flow import configured
from bridge.cloudsync.flow.finality import Doubts, Finality
from bridge.cloudsync.flow.refold import Doubt
from bridge.cloudsync.flow.stretches import Stretches
from bridge.cloudsync.store import folding, rows
from bridge.cloudsync.store.database import Own, Statement
from bridge.words.cloudsync import Mapping as Words

DAY = 86_400_000

View = tuple[str, str, str]
"""A feed, and the channel and priority of its rows; "*" is the roll-up."""

_encode = msgspec.json.Encoder().encode


class News(msgspec.Struct, frozen=True):
    """What of a desk changed since it was told: all that rows are answered with. `days` have changed rows."""

    customer: str
    stt_final: Finality
    cim_final: Finality
    doubts: dict[int, Doubt | None] = {}
    views: list[View] = []
    active: dict[str, int | None] = {}
    days: list[int] = []


class Desk:
    """What is known of one customer. Doubts, views and active groups are changed by their methods only."""

    def __init__(self, progress: rows.Progress) -> None:
        self.customer = progress.customer
        self.rolled = progress.rolled
        self.stt = Stretches(progress.dirty_stt)
        self.cim = Stretches(progress.dirty_cim)
        self.stt_final = Finality(progress.stt_final, progress.stt_held)
        self.cim_final = Finality(progress.cim_final, progress.cim_held)
        self._mapping = configured.read(progress.mapping)
        self._spelled = progress.mapping
        self._doubts: dict[int, Doubt] = {}
        self._views: set[View] = set()
        self._active: dict[str, int] = {}
        self.latest = 0  # the latest fact there is
        # What is being computed, and what facts touch that are being written: dirty if the process ends now.
        self.at_work: list[tuple[Stretches, int, int]] = []
        self.coming: list[tuple[Stretches, int, int]] = []
        self.versions: dict[int, int] = {}  # by day: grows with every change of a row
        self._told = (self.stt_final, self.cim_final)
        self._fresh_doubts: dict[int, Doubt | None] = {}
        self._fresh_views: list[View] = []
        self._fresh_active: dict[str, int | None] = {}
        self._fresh_days: set[int] = set()

    @property
    def mapping(self) -> Words | None:
        """The mapping that records were folded with."""
        return self._mapping

    @mapping.setter
    def mapping(self, mapping: Words) -> None:
        self._mapping = mapping
        self._spelled = configured.spell(mapping)

    @property
    def doubts(self) -> Mapping[int, Doubt]:
        """The records in doubt, by their number in the store."""
        return self._doubts

    @property
    def views(self) -> Collection[View]:
        """Where there are rows."""
        return self._views

    @property
    def active(self) -> Mapping[str, int]:
        """Since when each group has rows."""
        return self._active

    def doubted(self) -> Doubts:
        """Gather what is in doubt."""
        return Doubts.of((doubt.since, doubt.groups) for doubt in self._doubts.values())

    def doubt(self, number: int, doubt: Doubt | None) -> Doubt | None:
        """Note that a record is in doubt, or (None) is not any more; give what was in doubt before."""
        before = self._doubts.pop(number, None)
        if doubt is not None:
            self._doubts[number] = doubt
        if before is not None or doubt is not None:
            self._fresh_doubts[number] = doubt
        return before

    def has_view(self, view: View) -> None:
        """Note that there are rows of a channel and a priority."""
        if view not in self._views:
            self._views.add(view)
            self._fresh_views.append(view)

    def activate(self, group: str, since: int | None) -> None:
        """Note since when a group has rows; None: it has none any more."""
        if since is None:
            self._active.pop(group, None)
        else:
            self._active[group] = since
        self._fresh_active[group] = since

    def changed(self, start: int, until: int) -> None:
        """Note that rows of some days changed."""
        self._change(range(start // DAY, -(-until // DAY)))

    def _change(self, days: Collection[int]) -> None:
        for day in days:
            self.versions[day] = self.versions.get(day, 0) + 1
        self._fresh_days.update(days)

    def news(self) -> News | None:
        """Give what changed since this was asked last."""
        final = (self.stt_final, self.cim_final)
        fresh = self._fresh_doubts, self._fresh_views, self._fresh_active, self._fresh_days
        if final == self._told and not any(fresh):
            return None
        self._told = final
        self._fresh_doubts, self._fresh_views, self._fresh_active, self._fresh_days = {}, [], {}, set()
        doubts, views, active, days = fresh
        return News(self.customer, *final, doubts, views, active, sorted(days))

    def hear(self, news: News) -> None:
        """Take over what another process tells of the same customer."""
        self.stt_final, self.cim_final = news.stt_final, news.cim_final
        for number, doubt in news.doubts.items():
            self.doubt(number, doubt)
        for view in news.views:
            self.has_view(view)
        for group, since in news.active.items():
            self.activate(group, since)
        self._change(news.days)
        self.news()

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

    @contextmanager
    def working(self, dirty: Stretches, start: int, until: int) -> Iterator[None]:
        """Take a stretch out of what is dirty, to compute it; what comes meanwhile makes it dirty again."""
        work = (dirty, start, until)
        dirty.drop(start, until)
        self.at_work.append(work)
        try:
            yield
        except BaseException:
            dirty.add(start, until)
            raise
        finally:
            self.at_work.remove(work)

    def worked(self, dirty: Stretches) -> Statement:
        """Give the statement that writes how far it is, once what is being computed of `dirty` is done."""
        work = self.at_work
        self.at_work = [one for one in work if one[0] is not dirty]
        progress = self.progress()
        self.at_work = work
        return progress

    def _spell_dirty(self, dirty: Stretches) -> str:
        whole = Stretches(dirty)
        for of, start, until in (*self.at_work, *self.coming):
            if of is dirty:
                whole.add(start, until)
        return _encode(list(whole)).decode()


class Desks:
    """The desks of all customers, by customer."""

    def __init__(self) -> None:
        self._desks: dict[str, Desk] = {}

    def __iter__(self) -> Iterator[Desk]:
        return iter(list(self._desks.values()))

    def open(self, customer: str) -> Desk:
        """Give what is known of a customer, if only that nothing is."""
        return self._desks.setdefault(customer, Desk(rows.Progress(customer)))

    async def take_up(self, database: Own) -> None:
        """Read how far the last process came. Raises Unavailable."""
        before = self._desks
        self._desks = {one.customer: Desk(one) for one in await rows.progress(database)}
        for desk in self:
            if desk.customer in before:
                desk.versions = before[desk.customer].versions
        for unsure in await database.own_read(list[folding.Unsure], folding.UNSURE) or ():
            self.open(unsure.customer).doubt(
                unsure.id,
                Doubt(
                    unsure.entity,
                    unsure.record,
                    unsure.since,
                    unsure.groups,
                    bool(unsure.dirty),
                    bool(unsure.unclassified),
                ),
            )
        for customer, feed, channel, priority in (
            await database.own_read(list[tuple[str, str, str, str]], rows.VIEWS) or ()
        ):
            self.open(customer).has_view((feed, channel, priority))
        for customer, group, since in await database.own_read(list[tuple[str, str, int]], rows.ACTIVE) or ():
            self.open(customer).activate(group, since)
        self.news()

    def news(self) -> list[News]:
        """Give what changed of each since this was asked last."""
        return [news for desk in self if (news := desk.news()) is not None]

    def hear(self, told: Collection[News]) -> None:
        """Take over what another process tells of them."""
        for news in told:
            self.open(news.customer).hear(news)
