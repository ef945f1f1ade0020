"""Cloudsync: the one entry to the flow: events in, by MQTT and HTTP; numbers out."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import msgspec

from bridge.broker.port import Ticket
from bridge.cloudsync.events import adapt, ids
from bridge.cloudsync.flow import feeds, quality, wishes
from bridge.cloudsync.flow.answers.questions import Answer, CimQuestion, RestatementTold, SttQuestion
from bridge.cloudsync.flow.asking import Asking
from bridge.cloudsync.flow.erasing import erase
from bridge.cloudsync.flow.feeds import Feeds
from bridge.cloudsync.flow.hooks import Hooks
from bridge.cloudsync.flow.ingest import Accepted, Ingest
from bridge.cloudsync.flow.keeping import Keeping
from bridge.cloudsync.flow.processing import Processing
from bridge.cloudsync.flow.processor import TICK, Processor
from bridge.cloudsync.flow.wishes import Done, Span, Wish
from bridge.cloudsync.store import arrivals, rows
from bridge.cloudsync.store.database import Database, alone
from bridge.words import errors
from bridge.words.cloudsync import Change, Rejected
from bridge.words.cloudsync import Mapping as Words
from bridge.words.ledger import Unavailable
from bridge.words.principal import Principal, Role
from bridge.words.settings import Customer, Kept

FILE = "cloudsync.db"
LOCK = "cloudsync.lock"

_SAVED_EVERY = 5.0  # seconds of coverage that a kill may cost
_LOG_MOVED_EVERY = 1.0
_KEPT_EVERY = 600.0

log = logging.getLogger("popbridge.cloudsync")

Process = Callable[[Database, Callable[[], Mapping[str, Customer]], Callable[[], int]], Processing]
"""Make a processor of a store, of the customers there are, and of a clock in milliseconds."""


class Cloudsync:
    """CloudSync of one data directory; make it with `Cloudsync.open`, and let `run` run beside.

    Wiring sets `mapping` (what is known of ids), `unmapped` (what is not), and the hooks, before `run`.
    """

    def __init__(
        self,
        database: Database,
        last: int,
        customers: Callable[[], Mapping[str, Customer]],
        clock: Callable[[], float],
        processor: Processing,
        kept: Kept,
    ) -> None:
        self._database = database
        self._customers = customers
        self._clock = clock
        self._processor = processor
        self._ingest = Ingest(database, last, customers, self.now, processor.wake)
        self._feeds = Feeds(self.now(), self.now)
        self._asking = Asking(database, self._processor, self._feeds, customers, self.now)
        self._keeping = Keeping(database, kept)
        self.unmapped: Callable[[str], Sequence[str]] = _none

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        data: Path,
        customers: Callable[[], Mapping[str, Customer]],
        now: Callable[[], float],
        process: Process = Processor,
        kept: Kept | None = None,
    ) -> AsyncIterator[Self]:
        """Open the store of a data directory, made on first start; at the end everything taken is written.

        `process` makes what processes events: here in this process, or `Apart` in one of its own.
        Raises Unavailable if the file cannot be used, InUseError if another process is at work in it.
        """
        async with alone(data / LOCK), Database.open(data / FILE) as database:
            last = await arrivals.last_number(database)
            cloudsync = cls(
                database, last, customers, now, process(database, customers, lambda: int(now() * 1000)), kept or Kept()
            )
            await cloudsync._take_up()
            async with asyncio.TaskGroup() as group:
                writing = group.create_task(cloudsync._ingest.run(), name="cloudsync: write")
                try:
                    yield cloudsync
                finally:
                    cloudsync._ingest.close()
                    await asyncio.wait({writing})
                    cloudsync._feeds.look()
                    with contextlib.suppress(Unavailable):
                        await cloudsync._save_coverage()

    def now(self) -> int:
        """Give the time in milliseconds."""
        return int(self._clock() * 1000)

    @property
    def hooks(self) -> Hooks:
        """Who follows what is processed."""
        return self._processor.hooks

    def set_mapping(self, mapping: Callable[[str], Words]) -> None:
        """Say who knows ids: by customer, a Mapping that is another object whenever it changed."""
        self._processor.mapping = mapping

    # Events

    def arrived(self, principal: Principal, topic: str, payload: bytes, ticket: Ticket) -> bool:
        """See `Listener`: a feed's message is acknowledged when it is on disk."""
        if principal.role is not Role.FEED or not topic.startswith("CLOUDSYNC/"):
            return False
        customer = principal.customer
        channel = topic.split("/", 2)[2] if topic.count("/") >= 2 else ""
        if channel == "feed":
            match feeds.read(payload):
                case Rejected() as rejected:
                    log.warning("feed of %s: %s", customer, rejected.reason)
                    self._ingest.refuse(customer, channel, payload, rejected, ticket)
                    return True
                case state:
                    self._feeds.heard(customer, state)
                    return False
        if not self._feeds_of(customer):
            return False
        self._ingest.arrived(customer, channel, payload, ticket)
        return True

    async def accept(self, customer: str, events: Sequence[bytes]) -> Accepted:
        """Take events of an HTTP request; an empty list says that the feed is up. Raises Unavailable, feed_disabled."""
        if not self._feeds_of(customer):
            raise feed_disabled("any feed")
        accepted = await self._ingest.accept(customer, events)
        self._feeds.posted(customer)
        return accepted

    async def fetched(self, customer: str, changes: Sequence[Change]) -> None:
        """Take records as GETs gave them, or that they are gone. Raises Unavailable."""
        await self._ingest.take(customer, changes)

    async def known(self, customer: str, entity: str) -> dict[str, int]:
        """Give the records of an entity of which something still lasts, and since when they may be gone unseen.

        Times are milliseconds. Raises Unavailable.
        """
        doubts = self._processor.desks.open(customer).doubts.values()
        gaps = (doubt.since for doubt in doubts if (doubt.entity, doubt.record) == (entity, ids.WHOLE))
        since = next(gaps, self.now())  # before anything waits: doubts come and go
        return dict.fromkeys(await self._processor.lasting(customer, entity), since)

    # Numbers

    def stt(self, customer: str, question: SttQuestion) -> Answer:
        """Answer quarter hours. Raises feed_disabled."""
        self._selected(customer, "stt")
        return self._asking.stt(customer, question)

    def cim(self, customer: str, question: CimQuestion) -> Answer:
        """Answer local days. Raises feed_disabled."""
        self._selected(customer, "cim")
        return self._asking.cim(customer, question)

    async def restatements(
        self, customer: str, feed: str | None, since: int, before: int, limit: int
    ) -> list[RestatementTold]:
        """List what was changed after it was final, the newest first. Raises feed_disabled, Unavailable."""
        if not {"stt", "cim"} & set(self._feeds_of(customer)):
            raise feed_disabled("stt or cim")
        return await self._asking.restatements(customer, feed, since, before, limit)

    async def dq(self, customer: str) -> quality.Quality:
        """Tell how good the data is. Raises feed_disabled, Unavailable."""
        if not self._feeds_of(customer):
            raise feed_disabled("any feed")
        marks = self._asking.marks(customer)
        return await quality.told(
            self._database, marks.desk, marks.covered, self._feeds, self.unmapped(customer), marks.now
        )

    def feed_up(self, customer: str) -> bool:
        """Say whether a customer's feed is up now."""
        return self._feeds.up(customer)

    @property
    def lag(self) -> int:
        """Count the changes that are stored and not yet processed."""
        return max(0, self._ingest.last - self._processor.cursor)

    @property
    def usable(self) -> bool:
        """Whether an event would be taken now, and what was taken is processed, as far as is known."""
        return self._ingest.usable and not self._processor.troubles

    @property
    def counted(self) -> dict[str, int]:
        """Count since the start."""
        accepted = self._ingest.accepted
        return {
            "accepted": accepted.accepted,
            "duplicates": accepted.duplicates,
            "quarantined": accepted.quarantined,
            "ignored": accepted.ignored,
            "failures": self._ingest.failures,
            **self._processor.counted,
        }

    # Work

    async def run(self) -> None:
        """Process, finalise and forget, until cancelled; whatever fails but the disk takes the caller down."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._processor.run(), name="cloudsync: process")
            group.create_task(self._looking(), name="cloudsync: coverage and wishes")
            group.create_task(self._forgetting(), name="cloudsync: forget")

    async def settle(self) -> None:
        """Process and compute everything that is stored by now, without resting. Raises Unavailable."""
        await self._processor.settle()

    async def recompute(self, customer: str, start: int, until: int) -> None:
        """Compute rows again. Raises Unavailable."""
        await self._processor.recompute(customer, start, until)

    async def refold(self, customer: str) -> None:
        """Fold all records of a customer again. Raises Unavailable."""
        await self._processor.refold_all(customer)

    async def covers(self, customer: str, start: int, until: int) -> None:
        """Note that a back-fill has brought everything of `[start, until)`. Raises Unavailable."""
        self._feeds.covers(customer, start, until)
        await self._save_coverage()

    async def erase(self, customer: str, contact: str) -> int:
        """Erase a contact's personal data; counts stay. Returns how many records it concerned. Raises Unavailable."""
        return await erase(self._database, customer, contact)

    async def replay(self, customer: str) -> Accepted:
        """Read again what is in quarantine, as far as all of it was kept. Raises Unavailable."""
        told = Accepted()
        settings = self._customers().get(customer)
        entities = settings.cloudsync.entities if settings else ()
        for number, channel, payload in await quality.quarantined(self._database, customer):
            if isinstance(adapt.read(channel, payload, entities), Rejected):
                told.quarantined += 1
                continue
            told.add(await self._ingest.replay(customer, channel, payload))
            await quality.release(self._database, number)
        return told

    async def fulfil(self) -> None:
        """Do what another process has asked for by now. Raises Unavailable."""
        for wish in await wishes.opened(self._database):
            await wishes.answer(self._database, wish, await self._fulfil(wish))

    async def _take_up(self) -> None:
        covered = await self._database.own_read(list[tuple[str, str, int, int]], rows.COVERAGE) or []
        posted = [(one.customer, one.posted) for one in await rows.progress(self._database)]
        self._feeds.remember(covered, posted)
        await self._processor.take_up()

    async def _looking(self) -> None:
        saved = moved = 0.0
        loop = asyncio.get_running_loop()
        while True:
            self._feeds.look()
            with contextlib.suppress(Unavailable):  # the writer meets the same trouble, and tells of it
                await self.fulfil()
                if loop.time() - saved >= _SAVED_EVERY:
                    await self._save_coverage()
                    saved = loop.time()
                if loop.time() - moved >= _LOG_MOVED_EVERY:
                    await self._database.move_log()
                    moved = loop.time()
            await asyncio.sleep(TICK)

    async def _forgetting(self) -> None:
        while True:
            with contextlib.suppress(Unavailable):
                await self._keeping.run(self.now(), [desk.customer for desk in self._processor.desks])
            await asyncio.sleep(_KEPT_EVERY)

    async def _save_coverage(self) -> None:
        unsaved = self._feeds.unsaved()
        if unsaved:
            try:
                await self._database.write(rows.COVER, msgspec.json.encode(unsaved).decode())
            except Unavailable:
                self._feeds.keep(unsaved)
                raise

    async def _fulfil(self, wish: Wish) -> Done:
        customer, body = wish.customer, wish.body.encode()
        try:
            match wish.what:
                case "events":
                    events = msgspec.json.decode(body, type=list[tuple[str, str]])
                    told = Accepted()
                    for channel, payload in events:
                        told.add(await self._ingest.replay(customer, channel, payload.encode()))
                    return Done(told.accepted, told.duplicates, told.quarantined)
                case "fetch":
                    changes = msgspec.json.decode(body, type=list[Change])
                    await self._ingest.take(customer, changes)
                    return Done(len(changes))
                case "covered":
                    span = msgspec.json.decode(body, type=Span)
                    await self.covers(customer, span.start, span.until)
                case "recompute":
                    span = msgspec.json.decode(body, type=Span)
                    await self.recompute(customer, span.start, span.until)
                case "refold":
                    await self.refold(customer)
                case "erase":
                    return Done(await self.erase(customer, msgspec.json.decode(body, type=str)))
                case "replay":
                    told = await self.replay(customer)
                    return Done(told.accepted, told.duplicates, told.quarantined)
        except (ValueError, msgspec.DecodeError) as error:
            return Done(error=str(error))
        return Done()

    def _feeds_of(self, customer: str) -> Sequence[str]:
        settings = self._customers().get(customer)
        return settings.cloudsync.feeds if settings else ()

    def _selected(self, customer: str, feed: str) -> None:
        if feed not in self._feeds_of(customer):
            raise feed_disabled(feed)


def feed_disabled(feed: str) -> errors.Fault:
    """The customer has not selected a feed."""
    return errors.Fault("feed_disabled", f"This customer has not selected {feed} in `cloudsync.feeds`.")


def _none(_: str) -> Sequence[str]:
    return ()
