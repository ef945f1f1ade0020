"""Ledger: the one entry to the room. What is accepted is on disk before the caller hears of it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from bridge.ledger import openpops, queries
from bridge.ledger.database import Database
from bridge.ledger.purge import ANSWERS_KEPT, Purge
from bridge.ledger.queries import Life
from bridge.ledger.writer import Writer
from bridge.words.ledger import (
    Entry,
    Fingerprint,
    Page,
    Pop,
    Record,
    Remembered,
    SeenAgent,
    Step,
    Trouble,
    Unavailable,
)
from bridge.words.settings import Ledger as Bounds

PURGED_EVERY = 10.0
LOG_MOVED_EVERY = 0.2  # seconds; what is moved at a time delays pops
SEEN_EVERY = 10.0  # an agent that is seen all the time is written once in this time
_SEEN = 100_000  # agents of whom that is known

FILE = "ledger.db"


class Ledger:
    """Every pop of one data directory; make it with `Ledger.open`.

    What returns at once is written with the next group, and again with the one after if that fails. What awaits
    raises Unavailable. Reading sees everything that was noted before.
    """

    def __init__(self, database: Database, writer: Writer, bounds: Bounds, clock: Callable[[], float]) -> None:
        self._database = database
        self._writer = writer
        self._bounds = bounds
        self._clock = clock
        self._purge = Purge(database, bounds, lambda: writer.pops)
        self._seen: dict[tuple[str, str], float] = {}
        self._taken_up = False
        self._found = 0
        self.dropped = 0

    @classmethod
    @asynccontextmanager
    async def open(
        cls, data: Path, settings: Bounds | None = None, clock: Callable[[], float] = time.time
    ) -> AsyncIterator[Self]:
        """Open the ledger of a data directory, made on first start. At the end, everything is written.

        Raises Unavailable if the file cannot be used. Should one of its tasks die, it takes the caller down.
        """
        bounds = settings or Bounds()
        async with Database.open(data / FILE, bounds) as database:
            writer = Writer(database, bounds, await queries.last_number(database))
            ledger = cls(database, writer, bounds, clock)
            async with asyncio.TaskGroup() as group:
                writing = group.create_task(writer.run(), name="ledger: write")
                purging = group.create_task(ledger._purging(), name="ledger: purge")
                moving = group.create_task(ledger._moving_the_log(), name="ledger: move the log")
                try:
                    yield ledger
                finally:
                    purging.cancel()
                    moving.cancel()
                    writer.close()
                    await asyncio.wait({writing})

    @property
    def behind(self) -> bool:
        """Whether so much waits to be written that no further pop is taken."""
        return self._writer.behind

    @property
    def trouble(self) -> Trouble | None:
        """Why nothing can be written at the moment; None if it can."""
        return self._writer.trouble

    @property
    def usable(self) -> bool:
        """Whether a pop would be taken now, as far as is known."""
        return self.trouble is None and not self.behind

    @property
    def counted(self) -> dict[str, int]:
        """Count since the start: pops written, groups written, groups that failed, steps that were dropped."""
        writer = self._writer
        return {
            "pops": writer.pops,
            "groups": writer.groups,
            "failures": writer.failures,
            "dropped": self.dropped,
        }

    @property
    def waiting(self) -> int:
        """Count the pops and steps that wait to be written."""
        return self._writer.waiting

    async def accept(
        self, entry: Entry, steps: Sequence[Step], answer: Remembered | None = None, *, final: bool = False
    ) -> None:
        """Write a pop with its first steps (at least one) and return when that is on disk; `final`: it is over.

        With it the answer that an idempotency key gets again. Unavailable: nothing of it is stored. When the caller
        is cancelled meanwhile, it may be.
        """
        await self._writer.written(entry, steps, answer, final=final)

    def note(self, popid: str, status: str, at: float, detail: str = "", *, final: bool = False) -> None:
        """Append a step; `final`: no desktop will get the pop, nor has one to say more of it."""
        if self._writer.waiting >= 2 * self._bounds.max_waiting:
            # `behind` has kept new pops out for long: what comes is from few pops that change again and again.
            self.dropped += 1
            return
        self._writer.note(popid, status, at, detail, final=final)

    def close(self, popid: str) -> None:
        """Tell that a pop is over without a further step, so that it is not taken up again."""
        self._writer.notes().change(popid, None, over=True)

    async def settled(self) -> None:
        """Wait until what was noted before now is on disk; while nothing can be written, wait for nothing."""
        await self._writer.settled()

    async def take_up(self, now: float) -> list[tuple[Entry, str]]:
        """List the pops that were open when the last process ended, and their status, in the order of acceptance.

        Those whose time ran out meanwhile become `expired` here, but for those that were delivered. To be called once,
        before the first pop is accepted.
        """
        await self._writer.settled()
        self._writer.last = await openpops.expire(self._database, self._writer.last, now)
        self._found = self._writer.last
        self._taken_up = True
        return await queries.open_pops(self._database)

    async def pop(self, popid: str, customer: str) -> Pop | None:
        """Read one pop; None if this customer has none of that id."""
        await self._writer.settled()
        return await queries.pop(self._database, popid, customer)

    async def pops(
        self,
        customer: str,
        agent: str | None = None,
        status: str | None = None,
        since: float | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Pop]:
        """List a customer's pops, the newest first; `since` compares `sent`. ValueError: the cursor is none."""
        await self._writer.settled()
        return await queries.pops(
            self._database, customer, agent=agent, status=status, since=since, limit=limit, cursor=cursor
        )

    async def lives(self, since: float, before: int | None = None) -> list[Life]:
        """List some of the pops that were there at `take_up`, as they were then, the newest first.

        `before` is the number of the last one of the part before; empty: there are no more since that time.
        """
        return await queries.lives(self._database, self._found, since, before)

    def remember(self, answer: Remembered) -> None:
        """Keep an answer that belongs to no new pop; while the ledger is behind, it is dropped."""
        if self.behind:
            self.dropped += 1
            return
        self._writer.notes().answer(answer)

    async def remembered(self, customer: str, api: str, key: str, now: float) -> Remembered | None:
        """Read the answer that this key got within 24 hours."""
        await self._writer.settled()
        return await queries.remembered(self._database, customer, api, key, now - ANSWERS_KEPT)

    async def fingerprints(self, since: float) -> list[Fingerprint]:
        """List what the duplicate guard needs to know of the pops since a time, the newest first."""
        return await queries.fingerprints(self._database, since)

    def save_record(self, record: Record) -> None:
        """Keep that an agent has a record open, or put aside."""
        self._writer.notes().record(record)

    def drop_record(self, customer: str, agent: str, reference: str) -> None:
        """Keep that an agent has a record no more."""
        self._writer.notes().no_record(customer, agent, reference)

    async def records(self) -> list[Record]:
        """List the records of all agents."""
        await self._writer.settled()
        return await queries.records(self._database)

    def seen(self, customer: str, agent: str, at: float) -> None:
        """Keep when something was heard of an agent."""
        if 0 <= at - self._seen.get((customer, agent), 0.0) < SEEN_EVERY:
            return
        if len(self._seen) >= _SEEN:
            self._seen.clear()
        self._seen[(customer, agent)] = at
        self._writer.notes().agent(customer, agent, at)

    async def agents(self, customer: str, since: float, limit: int = 50, cursor: str | None = None) -> Page[SeenAgent]:
        """List a customer's agents, the latest seen first. ValueError: the cursor is none.

        An agent that is seen while a caller reads page after page moves to the first.
        """
        await self._writer.settled()
        return await queries.agents(self._database, customer, since, limit, cursor)

    async def agent(self, customer: str, agent: str) -> SeenAgent | None:
        """Read when an agent was seen; None if it was not, in 30 days."""
        await self._writer.settled()
        return await queries.agent(self._database, customer, agent)

    async def purge(self) -> None:
        """Forget what is over its time or number, as the task in the background does."""
        await self._purge.run(self._clock(), taken_up=self._taken_up)

    async def _purging(self) -> None:
        while True:
            # The writer meets the same trouble, and tells of it.
            with contextlib.suppress(Unavailable):
                await self.purge()
            await asyncio.sleep(PURGED_EVERY)

    async def _moving_the_log(self) -> None:
        while True:
            await self._writer.grown.wait()
            await asyncio.sleep(LOG_MOVED_EVERY)
            self._writer.grown.clear()
            with contextlib.suppress(Unavailable):
                await self._database.move_log()
