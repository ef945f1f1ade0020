"""Admin: what an operator wants done, from another process: by the running bridge if there is one, else right here."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec

from bridge.cloudsync.flow import wishes
from bridge.cloudsync.flow.cloudsync import FILE, Cloudsync
from bridge.cloudsync.flow.wishes import Done, Span, What
from bridge.cloudsync.store.database import Database, InUseError
from bridge.words.cloudsync import Mapping as Words
from bridge.words.settings import Customer

_AT_ONCE = 500  # events in one wish
_LOOK_EVERY = 0.05
_COMPUTED_WITHIN = 120.0  # seconds; where events keep coming, something of the last quarter hour is always to be done
_BUSY_TIMEOUT = 10.0  # seconds that this process waits for the bridge's own writes

STATUS = """
    SELECT json_object(
        'events', (SELECT count(*) FROM raw WHERE customer = ?1),
        'waiting', (SELECT count(*) FROM changes WHERE customer = ?1
            AND number > (SELECT CAST(value AS INTEGER) FROM state WHERE name = 'cursor')),
        'records', (SELECT count(*) FROM records WHERE customer = ?1),
        'dirty', (SELECT count(*) FROM records WHERE customer = ?1 AND since IS NOT NULL AND dirty = 1),
        'unclassified', (SELECT count(*) FROM records WHERE customer = ?1 AND since IS NOT NULL AND unclassified > 0),
        'quarantined', (SELECT count(*) FROM quarantine WHERE customer = ?1),
        'duplicates', coalesce((SELECT count FROM counts WHERE customer = ?1 AND what = 'duplicates'), 0),
        'ignored', coalesce((SELECT count FROM counts WHERE customer = ?1 AND what = 'ignored'), 0),
        'received', (SELECT max(received) FROM raw WHERE customer = ?1),
        'covered', (SELECT max(until) FROM coverage WHERE customer = ?1 AND source = 'live'),
        'stt_final', coalesce((SELECT stt_final FROM customers WHERE customer = ?1), 0)
    )
"""


STORED = "SELECT json_array(coalesce(max(number), 0)) FROM changes"
UNCOMPUTED = """
    SELECT json_array(
        (SELECT CAST(value AS INTEGER) FROM state WHERE name = 'cursor') < ?2
        OR EXISTS (
            SELECT 1 FROM customers, json_each(json_array(json(dirty_stt), json(dirty_cim))) AS feed,
                json_each(feed.value) AS dirty
            WHERE customer = ?1 AND json_extract(dirty.value, '$[0]') < ?4 AND json_extract(dirty.value, '$[1]') > ?3
        )
    )
"""


class Status(msgspec.Struct, frozen=True):
    """How a customer's data stands. Times in milliseconds; None where there was nothing yet."""

    events: int = 0
    waiting: int = 0
    records: int = 0
    dirty: int = 0
    unclassified: int = 0
    quarantined: int = 0
    duplicates: int = 0
    ignored: int = 0
    received: int | None = None
    covered: int | None = None
    stt_final: int = 0


class Admin:
    """What can be asked for. Raises Unavailable."""

    def __init__(self, database: Database, cloudsync: Cloudsync | None, now: Callable[[], float]) -> None:
        self._now = now
        self._database = database
        self._cloudsync = cloudsync

    async def backfill(
        self, customer: str, events: Iterable[tuple[str, bytes]], span: tuple[int, int] | None = None
    ) -> Done:
        """Take events (each with its channel, or "") as if they had come live, then cover `[start, until)`."""
        total = Done()
        some: list[tuple[str, str]] = []
        for channel, payload in events:
            # What is not UTF-8 cannot be read anyway; it is quarantined with its bytes replaced.
            some.append((channel, payload.decode(errors="replace")))
            if len(some) == _AT_ONCE:
                total = _added(total, await self._wish(customer, "events", some))
                some = []
        if some:
            total = _added(total, await self._wish(customer, "events", some))
        if span is not None:
            await self._wish(customer, "covered", Span(*span))
        return total

    async def recompute(self, customer: str, start: int, until: int) -> Done:
        """Compute the rows of `[start, until)` again, from all that is stored by now; `error` if it takes too long."""
        (last,) = await self._database.read(list[int], STORED) or [0]
        done = await self._wish(customer, "recompute", Span(start, until))
        if self._cloudsync is not None:
            await self._cloudsync.settle()
            return done
        try:
            async with asyncio.timeout(_COMPUTED_WITHIN):
                while True:
                    if await self._database.read(list[int], UNCOMPUTED, customer, last, start, until) == [0]:
                        return done
                    await asyncio.sleep(_LOOK_EVERY)
        except TimeoutError:
            return Done(error="The bridge still computes; `popbridge cloudsync status` shows what waits.")

    async def refold(self, customer: str) -> Done:
        """Fold every record again, from all that is known of it, and compute what differs."""
        return await self._wish(customer, "refold", None)

    async def erase(self, customer: str, contact: str) -> Done:
        """Erase a contact's personal data; `count` is how many records it concerned, `error` that it is no id."""
        return await self._wish(customer, "erase", contact)

    async def replay(self, customer: str) -> Done:
        """Read again what is in quarantine."""
        return await self._wish(customer, "replay", None)

    async def status(self, customer: str) -> Status:
        """Tell how a customer's data stands."""
        return await self._database.read(Status, STATUS, customer) or Status()

    async def _wish(self, customer: str, what: What, body: object) -> Done:
        number = await self._database.insert(
            wishes.ASK, customer, what, msgspec.json.encode(body), int(self._now() * 1000)
        )
        while True:
            if self._cloudsync is not None:
                await self._cloudsync.fulfil()
            text = await self._database.text(wishes.ANSWERED, number)
            if text:
                return msgspec.json.decode(text, type=Done)
            await asyncio.sleep(_LOOK_EVERY)


@asynccontextmanager
async def opened(
    data: Path,
    customers: Callable[[], Mapping[str, Customer]],
    now: Callable[[], float],
    mapping: Callable[[str], Words] | None = None,
) -> AsyncIterator[Admin]:
    """Open the CloudSync of a data directory. With no bridge running, everything asked for is computed at the end.

    Raises Unavailable, if the file cannot be used.
    """
    async with AsyncExitStack() as stack:
        cloudsync: Cloudsync | None = None
        with contextlib.suppress(InUseError):
            cloudsync = await stack.enter_async_context(Cloudsync.open(data, customers, now))
        if cloudsync is not None and mapping is not None:
            cloudsync.set_mapping(mapping)
        database = await stack.enter_async_context(Database.open(data / FILE, _BUSY_TIMEOUT))
        yield Admin(database, cloudsync, now)
        if cloudsync is not None:
            await cloudsync.settle()


def _added(one: Done, other: Done) -> Done:
    return Done(
        one.count + other.count, one.duplicates + other.duplicates, one.quarantined + other.quarantined, other.error
    )
