"""Fetching: what is wanted of the CRM: batched, one request in flight, asked again until it is answered.

What is wanted twice is asked once. Ingestion never waits for it: `want` only notes.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping

from bridge.crm.client import Client, Record
from bridge.crm.pace import FIRST, Pace
from bridge.crm.troubles import Trouble

MOST = 200_000
"""Ids that may wait; more are not taken, and wanted again when they are mentioned again."""

Answered = Callable[[str, Mapping[str, Record | None]], Awaitable[None]]
"""Takes an entity's records by id: the whole batch in one call; None is one that is not there."""

Listed = Callable[[str, list[Record], bool], Awaitable[None]]
"""Takes a page of an entity's records, and whether it is the last."""


class Fetching:
    """What is wanted of one CRM; it outlives the client. `fields`: what to ask for, by entity; of others nothing."""

    def __init__(
        self,
        fields: Mapping[str, tuple[str, ...]],
        answered: Answered,
        listed: Listed,
        *,
        jitter: Callable[[], float],
        first: float = FIRST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fields = fields
        self._answered = answered
        self._listed = listed
        self._clock = clock
        self._wanted: dict[str, dict[str, None]] = {entity: {} for entity in fields}
        self._whole: dict[str, int] = {}  # entity: modified since (milliseconds)
        self._paces = {entity: Pace(jitter, first) for entity in fields}
        self._login = Pace(jitter, first)
        self._stirred = asyncio.Event()
        self.refused = 0

    @property
    def alarms(self) -> list[str]:
        """What somebody has to mend, sentence by sentence; none while the circuit is closed."""
        paces = {"": self._login} | self._paces
        return [f"{entity}: {pace.alarm}" if entity else pace.alarm for entity, pace in paces.items() if pace.alarm]

    @property
    def waiting(self) -> int:
        """How many records are wanted and not answered yet."""
        return sum(len(ids) for ids in self._wanted.values())

    def want(self, entity: str, ids: Iterable[str]) -> None:
        """Note that records are wanted; those that are wanted already, or being asked for, are not noted again."""
        wanted = self._wanted.get(entity)
        if wanted is None:
            return
        for id_ in ids:
            if id_ not in wanted:
                if self.waiting >= MOST:
                    self.refused += 1
                    continue
                wanted[id_] = None
                self._stirred.set()

    def want_whole(self, entity: str, since: int) -> None:
        """Note that all records are wanted that were modified since a time (milliseconds)."""
        if entity in self._fields:
            self._whole[entity] = min(since, self._whole.get(entity, since))
            self._stirred.set()

    def hurry(self) -> None:
        """Ask at once again, whatever went wrong: a setting has changed."""
        for pace in (self._login, *self._paces.values()):
            pace.passed()
        self._stirred.set()

    async def run(self, client: Client) -> None:
        """Ask, for ever."""
        while True:
            self._stirred.clear()
            entity, due = self._next()
            now = self._clock()
            if entity is None or due > now:
                await self._rest(None if entity is None else due - now)
                continue
            await self._ask(client, entity)

    def _next(self) -> tuple[str | None, float]:
        """Choose whose turn it is: the entity that may be asked for first, and when."""
        open_ = [entity for entity, ids in self._wanted.items() if ids or entity in self._whole]
        if not open_:
            return None, 0.0
        entity = min(open_, key=lambda each: self._paces[each].due)
        return entity, max(self._paces[entity].due, self._login.due)

    async def _rest(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stirred.wait()
        except TimeoutError:
            pass

    async def _ask(self, client: Client, entity: str) -> None:
        pace = self._paces[entity]
        try:
            await client.token()
            if entity in self._whole:
                await self._ask_whole(client, entity)
            else:
                await self._ask_some(client, entity)
        except Trouble as trouble:
            at_fault = self._login if trouble.token or not trouble.permanent else pace
            if trouble.permanent:
                at_fault.opened(self._clock(), str(trouble))
                if at_fault is pace:
                    self._login.passed()  # the CRM answers, and our token is good
            else:
                at_fault.failed(self._clock(), trouble.retry_after)
        else:
            pace.passed()
            self._login.passed()

    async def _ask_some(self, client: Client, entity: str) -> None:
        wanted = self._wanted[entity]
        ids = list(wanted)[: client.at_once]
        found = await client.records(entity, ids, self._fields[entity])
        # They stay noted until the answer is taken, so that nobody asks for them once more meanwhile.
        await self._answered(entity, found)
        for id_ in ids:
            del wanted[id_]

    async def _ask_whole(self, client: Client, entity: str) -> None:
        since = self._whole[entity]
        query = f"SELECT {', '.join(self._fields[entity])} FROM {entity}"  # noqa: S608 - our own words
        if since > 0:
            query += f" WHERE LastModifiedDate >= {_stamp(since)}"
        page: list[Record] = []
        async for following in client.query(query):
            if page:
                await self._listed(entity, page, False)
            page = following
        await self._listed(entity, page, True)
        if self._whole.get(entity) == since:
            del self._whole[entity]


def _stamp(milliseconds: int) -> str:
    whole = time.gmtime(milliseconds // 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", whole) + f".{milliseconds % 1000:03d}Z"
