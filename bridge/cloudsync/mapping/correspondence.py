"""Correspondence: what one customer's CRM is asked, and what becomes of its answers."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from bridge.cloudsync.events import adapt, mapped
from bridge.cloudsync.mapping.asked import ENTITIES, FIELDS
from bridge.cloudsync.mapping.table import Table
from bridge.crm import client, keypair
from bridge.crm.client import Record
from bridge.crm.fetching import Fetching
from bridge.crm.troubles import Trouble, named
from bridge.words.cloudsync import Change, Kind, Rejected, Source
from bridge.words.ledger import Unavailable
from bridge.words.settings import Crm

LOOK_BACK = 90 * 86_400_000
"""Milliseconds: an entity that has to be reconciled is listed as far back as raw events are kept."""

_KINDS = {entity: kind for kind, entity in ENTITIES.items()}
_TRY_AGAIN = 60.0  # seconds until a key that cannot be used is looked at again
_LOOK_EVERY = 60.0  # seconds between two looks for what is to be refreshed

Took = Callable[[str, Sequence[Change]], Awaitable[None]]
"""Takes what GETs showed of a customer's records."""

Known = Callable[[str, str], Awaitable[Mapping[str, int]]]
"""Gives a customer's records of an entity that still matter (open, or lasting), and since when they may be gone."""


class Correspondence:
    """The questions of one customer. `table` takes the answers that map ids, `took` those of records."""

    def __init__(
        self,
        customer: str,
        table: Table,
        *,
        took: Took,
        known: Known,
        now: Callable[[], int],
        jitter: Callable[[], float],
        first: float = 1.0,
    ) -> None:
        self._customer = customer
        self._table = table
        self._took = took
        self._known = known
        self._now = now
        self._alarm = ""
        self._statuses_since = 0
        self._seen: dict[str, set[str]] = {}
        self._unseen: dict[str, dict[str, int]] = {}  # by entity that was listed: what is still to be asked for
        self.fetching = Fetching(FIELDS, self._answered, self._listed, jitter=jitter, first=first)

    @property
    def alarms(self) -> list[str]:
        """What somebody has to mend."""
        return [self._alarm] if self._alarm else self.fetching.alarms

    def ids_wanted(self, ids: Iterable[str]) -> None:
        """Ask what ids mean, if nobody knows and nobody asked."""
        self._ask(self._table.mention(ids))

    def records_wanted(self, keys: Iterable[tuple[str, str]]) -> None:
        """Ask for records by entity and id; an id of "" is the entity as a whole."""
        for entity, record in keys:
            if record:
                self.fetching.want(entity, [record])
            else:
                self.fetching.want_whole(entity, self._now() - LOOK_BACK)

    def everything_wanted(self) -> None:
        """Ask anew for all that is mapped."""
        self._ask([id_ for id_, _, _ in self._table.rows()])
        for entity in ("Group", "Status", "PresenceStatus"):
            self.fetching.want_whole(entity, 0)

    async def run(self, crm: Crm, folder: Path) -> None:
        """Ask with these settings and the key in this folder, for ever."""
        self._ask(self._table.pending())
        while True:
            try:
                async with client.opened(crm, keypair.private_key(folder), lambda: self._now() / 1000) as asking:
                    self._alarm = ""
                    await self._converse(asking, crm)
            except (keypair.KeypairError, Trouble) as trouble:
                self._alarm = str(trouble)
            await asyncio.sleep(_TRY_AGAIN)

    async def _converse(self, asking: client.Client, crm: Crm) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.fetching.run(asking), name=f"asking the CRM of {self._customer}")
            tasks.create_task(self._refresh(crm), name=f"refreshing the mapping of {self._customer}")

    async def _refresh(self, crm: Crm) -> None:
        while True:
            self._ask(self._table.stale(self._now() - int(crm.refresh * 1000)))
            await asyncio.sleep(min(_LOOK_EVERY, crm.refresh))

    def _ask(self, ids: Iterable[str]) -> None:
        for id_ in ids:
            kind, _, rest = id_.partition(":")
            if kind == "status":
                self.fetching.want_whole("Status", 0)
            elif kind in ENTITIES:
                self.fetching.want(ENTITIES[kind], [rest])

    async def _answered(self, entity: str, found: Mapping[str, Record | None]) -> None:
        now = self._now()
        if entity not in _KINDS:
            unseen = self._unseen.get(entity, {})
            changes = [_change(entity, id_, record, unseen.get(id_, now), now) for id_, record in found.items()]
            told = [change for change in changes if change is not None]
            left = {id_: since for id_, since in unseen.items() if id_ not in found}
            if entity in self._unseen and not left:
                told.append(_settled(entity, now))
            await self._hand_over(told)
            if entity in self._unseen:
                self._unseen[entity] = left
                if not left:
                    del self._unseen[entity]
            return
        for id_, record in found.items():
            if record is None or self._take(entity, record) is None:
                self._table.miss(f"{_KINDS[entity]}:{id_}", now)

    async def _listed(self, entity: str, page: list[Record], last: bool) -> None:  # noqa: FBT001 - Listed's signature
        now = self._now()
        if entity in _KINDS or entity == "Status":
            if entity == "Status":
                self._statuses_since = self._statuses_since or now
            for record in page:
                self._take(entity, record)
            if last and entity == "Status":
                self._table.miss_statuses(self._statuses_since)
                self._statuses_since = 0
            return
        changes = [_change(entity, str(record.get("Id")), record, now, now) for record in page]
        seen = self._seen.setdefault(entity, set())
        told = [change for change in changes if change is not None]
        seen.update(change.record for change in told)
        unseen = await self._not_listed(entity, seen) if last else {}
        if last and not unseen:
            told.append(_settled(entity, now))
        await self._hand_over(told)
        if last:
            del self._seen[entity]
        if unseen:
            # Until all of these are answered the entity stays in doubt: another process would have to ask again.
            self._unseen[entity] = unseen
            self.fetching.want(entity, unseen)

    async def _not_listed(self, entity: str, seen: Collection[str]) -> dict[str, int]:
        """Give what is known and was not listed: too old to be listed, or gone; each has to be asked for."""
        try:
            known = await self._known(self._customer, entity)
        except Unavailable:
            raise named("not_stored") from None
        return {id_: since for id_, since in known.items() if id_ not in seen}

    async def _hand_over(self, changes: Sequence[Change]) -> None:
        try:
            await self._took(self._customer, changes)
        except Unavailable:
            raise named("not_stored") from None

    def _take(self, entity: str, record: Record) -> str | None:
        """Take a mapping record; give the id that it maps."""
        change = adapt.fetched(entity, record, self._now())
        told = None if isinstance(change, Rejected) else mapped.mapping_change(change)
        return None if told is None else self._table.take(told, self._now())


def _settled(entity: str, now: int) -> Change:
    """Say that an entity was listed: its gap as a whole is settled like a record's, by a fetch after it."""
    return Change(entity, "", Kind.UPDATE, Source.REST, now, now, 0, {}, f"GET|{entity}||{now}")


def _change(entity: str, id_: str, record: Record | None, since: int, now: int) -> Change | None:
    """Read a fetched record; one that is not there is gone `since`. None: it cannot be read, and stays unknown."""
    if record is None:
        return adapt.gone(entity, id_, since, now)
    change = adapt.fetched(entity, record, now)
    return None if isinstance(change, Rejected) else change
