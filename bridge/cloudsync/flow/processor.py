"""Processor: raw events become records, facts and rows, by two tasks: one records, the other counts."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from bridge.cloudsync.flow.counting import Counting
from bridge.cloudsync.flow.desk import Desks
from bridge.cloudsync.flow.hooks import Hooks
from bridge.cloudsync.flow.recording import Recording
from bridge.cloudsync.flow.waiting import set_within
from bridge.cloudsync.store.database import Own
from bridge.words.cloudsync import Mapping as Words
from bridge.words.ledger import Unavailable
from bridge.words.settings import Customer

TICK = 1.0
"""Seconds between two looks at the clock and the mapping."""

TRIED_AGAIN_AFTER = 0.25

log = logging.getLogger("popbridge.cloudsync")

T = TypeVar("T")


class Processor:
    """The processor of this process; see `Processing`. `turned` is awaited after each turn of either task."""

    def __init__(
        self,
        database: Own,
        customers: Callable[[], Mapping[str, Customer]],
        now: Callable[[], int],
        turned: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._database = database
        self.desks = Desks()
        self.hooks = Hooks()
        self.troubles: set[str] = set()
        self._recording = Recording(database, self.desks, self.hooks, customers, now)
        self._counting = Counting(database, self.desks, self._recording, customers, now)
        self._turned = turned or _nothing
        self._wake = asyncio.Event()
        self._dirty = asyncio.Event()

    @property
    def mapping(self) -> Callable[[str], Words]:
        """Who knows ids."""
        return self._recording.mapping

    @mapping.setter
    def mapping(self, mapping: Callable[[str], Words]) -> None:
        self._recording.mapping = mapping

    @property
    def cursor(self) -> int:
        """See `Processing`."""
        return self._recording.cursor

    @property
    def counted(self) -> dict[str, int]:
        """See `Processing`."""
        return self._recording.counted | self._counting.counted

    async def take_up(self) -> None:
        """See `Processing`."""
        await self.desks.take_up(self._database)
        await self._recording.take_up()

    async def run(self) -> None:
        """See `Processing`."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._record(), name="cloudsync: fold")
            group.create_task(self._count(), name="cloudsync: compute")

    def wake(self) -> None:
        """See `Processing`."""
        self._wake.set()

    async def settle(self) -> None:
        """See `Processing`."""
        more = True
        while more:
            while await self._recording.fold():
                pass
            while await self._counting.compute(patient=False) is not None:
                pass
            more = self._recording.behind

    async def recompute(self, customer: str, start: int, until: int) -> None:
        """See `Processing`."""
        await self._recording.recompute(customer, start, until)
        self._wake.set()

    async def refold_all(self, customer: str) -> None:
        """See `Processing`."""
        await self._recording.refold_all(customer)
        self._wake.set()

    async def lasting(self, customer: str, entity: str) -> list[str]:
        """See `Processing`."""
        return await self._recording.lasting(customer, entity)

    async def _record(self) -> None:
        await self._tell_standing()
        while True:
            self._wake.clear()
            more = await self._tried("folded", self._recording.fold())
            if any(desk.stt or desk.cim for desk in self.desks):
                self._dirty.set()
            await self._turned()
            if more is None:
                await asyncio.sleep(TRIED_AGAIN_AFTER)
            elif not more:
                await set_within(self._wake, TICK)

    async def _count(self) -> None:
        while True:
            self._dirty.clear()
            wait = await self._tried("computed", self._resting())
            await self._turned()
            if wait is None:
                await asyncio.sleep(TRIED_AGAIN_AFTER)
            elif wait:
                # What is dirty and rests is not hurried by more of it.
                await (asyncio.sleep(wait) if wait < TICK else set_within(self._dirty, TICK))

    async def _resting(self) -> float:
        wait = await self._counting.compute()
        return TICK if wait is None else wait

    async def _tried(self, what: str, work: Awaitable[T]) -> T | None:
        """Do something that may fail for the disk's sake; None if it did."""
        try:
            done = await work
        except Unavailable as failure:
            if what not in self.troubles:
                log.error("nothing can be %s (%s): %s", what, failure.reason, failure)  # noqa: TRY400 - the disk's
            self.troubles.add(what)
            return None
        self.troubles.discard(what)
        return done

    async def _tell_standing(self) -> None:
        while True:
            try:
                await self._recording.tell_standing()
            except Unavailable:
                await asyncio.sleep(TRIED_AGAIN_AFTER)
            else:
                return


async def _nothing() -> None:
    pass
