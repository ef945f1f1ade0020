"""Ingest: events are adapted, and acknowledged when on disk. What comes while a group is written is the next."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence

import msgspec

from bridge.broker.port import Ticket
from bridge.cloudsync.events import adapt
from bridge.cloudsync.flow.waiting import set_within
from bridge.cloudsync.store import arrivals
from bridge.cloudsync.store.arrivals import Arrivals, Spelled, spell
from bridge.cloudsync.store.database import Database
from bridge.words.cloudsync import Change, Rejected
from bridge.words.ledger import Trouble, Unavailable
from bridge.words.settings import Customer

MAX_WAITING = 100_000  # changes waiting to be written; more: 503 for HTTP, and no acknowledgement by MQTT

REST = "rest"
"""In place of a channel: what GETs gave."""

_SLICE = 0.0005  # seconds that are spent on events before the event loop gets its turn: pops wait for it
_CHUNK = 1_000  # changes of GETs in one group
_PART = 10  # events of one request that are read in one go
_PACE = 0.002  # seconds from group to group at least
_TRIED_AGAIN_AFTER = 0.25

Read = list[Change] | Rejected | adapt.Ignored

_log = logging.getLogger("popbridge.cloudsync")


class Accepted(msgspec.Struct):
    """What became of some events: `duplicates` were known already, `ignored` are of entities that are not selected."""

    accepted: int = 0
    duplicates: int = 0
    quarantined: int = 0
    ignored: int = 0

    def add(self, other: "Accepted") -> None:
        """Count others too."""
        self.accepted += other.accepted
        self.duplicates += other.duplicates
        self.quarantined += other.quarantined
        self.ignored += other.ignored


class _Event:
    """An event; `read` and `spelled` (if it has changes) are set when its turn has come."""

    __slots__ = ("channel", "customer", "payload", "read", "received", "spelled")

    def __init__(self, customer: str, channel: str, payload: bytes, received: int, read: Read | None = None) -> None:
        self.customer = customer
        self.channel = channel
        self.payload = payload
        self.received = received
        self.read = read
        self.spelled: list[Spelled] = []


class _Bundle:
    """Events that are acknowledged together: a part of a request, or one message."""

    __slots__ = ("counted", "events", "size", "spans", "taker")

    def __init__(self, events: Sequence[_Event], taker: asyncio.Future[Accepted] | Ticket) -> None:
        self.events = events
        self.taker = taker
        self.counted = Accepted()
        self.spans: list[tuple[str, int, int]] = []
        self.size = len(events)

    def fill(self, group: Arrivals, number: int) -> int:
        """Write the events into a group; return the last number used."""
        self.counted = Accepted()
        self.spans = []
        for event in self.events:
            match event.read:
                case Rejected() as rejected:
                    group.refuse(event.customer, event.channel, event.payload, rejected, event.received)
                    self.counted.quarantined += 1
                case adapt.Ignored():
                    group.counts[event.customer, "ignored"] += 1
                    self.counted.ignored += 1
                case _:
                    changes = event.spelled
                    group.take(number + 1, event.customer, event.channel, event.payload, changes, event.received)
                    self.spans.append((event.customer, number + 1, number + len(changes)))
                    number += len(changes)
        return number

    def settle(self, new: set[int]) -> list[str]:
        """Count what was new and acknowledge; return for each duplicate whose it was."""
        duplicates = []
        for customer, first, last in self.spans:
            if any(number in new for number in range(first, last + 1)):
                self.counted.accepted += 1
            else:
                self.counted.duplicates += 1
                duplicates.append(customer)
        if isinstance(self.taker, asyncio.Future):
            if not self.taker.done():  # its caller may have gone
                self.taker.set_result(self.counted)
        else:
            self.taker.release()
        return duplicates


class _Turn:
    """A turn on the event loop, which is given away when it has lasted long enough."""

    def __init__(self) -> None:
        self._until = time.perf_counter() + _SLICE

    async def over(self) -> None:
        """Let others have their turn if this one was long enough."""
        if time.perf_counter() >= self._until:
            await asyncio.sleep(0)
            self._until = time.perf_counter() + _SLICE


class Ingest:
    """The queue before the disk. `trouble` is why the last group could not be written, None if it was."""

    def __init__(
        self,
        database: Database,
        last: int,
        customers: Callable[[], Mapping[str, Customer]],
        now: Callable[[], int],
        arrived: Callable[[], None],
    ) -> None:
        self._database = database
        self._customers = customers
        self._now = now
        self._arrived = arrived
        self._unread: deque[_Bundle] = deque()
        self._bundles: deque[_Bundle] = deque()  # read, and waiting to be written
        self._posted: dict[str, int] = {}
        self._untold: dict[str, int] = {}
        self._came = asyncio.Event()
        self._wake = asyncio.Event()
        self._closing = False
        self.last = last
        self.waiting = 0
        self.trouble: Trouble | None = None
        self.accepted = Accepted()
        self.groups = 0
        self.failures = 0

    @property
    def usable(self) -> bool:
        """Whether an event would be taken now, as far as is known."""
        return self.trouble is None and self.waiting < MAX_WAITING

    def arrived(self, customer: str, channel: str, payload: bytes, ticket: Ticket) -> None:
        """Take a message; its ticket is released when it is on disk."""
        # The broker reads no more of a client that waits for too many acknowledgements: that bounds what waits here.
        self._append(_Bundle([_Event(customer, channel, payload, self._now())], ticket))

    async def accept(self, customer: str, payloads: Sequence[bytes]) -> Accepted:
        """Take a request's events; return when they are on disk. Raises Unavailable: it is not known which are."""
        if self._closing or not self.usable:
            # What nobody may wait for is still tried: so the trouble is found to be over.
            self._wake.set()
            raise Unavailable(self.trouble or "busy", "CloudSync's events cannot be written at the moment.")
        now = self._posted[customer] = self._now()
        told = Accepted()
        results: list[asyncio.Future[Accepted]] = []
        loop = asyncio.get_running_loop()
        for start in range(0, max(1, len(payloads)), _PART):
            future: asyncio.Future[Accepted] = loop.create_future()
            results.append(future)
            some = payloads[start : start + _PART]
            self._append(_Bundle([_Event(customer, "", payload, now) for payload in some], future))
        for outcome in await asyncio.gather(*results, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
            told.add(outcome)
        return told

    def refuse(self, customer: str, channel: str, payload: bytes, rejected: Rejected, ticket: Ticket) -> None:
        """Take a message that somebody else could not read."""
        self._append(_Bundle([_Event(customer, channel, payload, self._now(), rejected)], ticket))

    async def replay(self, customer: str, channel: str, payload: bytes) -> Accepted:
        """Take one event that came by another way; return when it is on disk. Raises Unavailable."""
        return await self._one(_Event(customer, channel, payload, self._now()))

    async def take(self, customer: str, changes: Sequence[Change]) -> Accepted:
        """Take what GETs gave; return when it is on disk. Raises Unavailable."""
        told = Accepted()
        for start in range(0, len(changes), _CHUNK):
            some = list(changes[start : start + _CHUNK])
            told.add(await self._one(_Event(customer, REST, msgspec.json.encode(some), self._now(), some)))
        return told

    async def _one(self, event: _Event) -> Accepted:
        future: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        self._append(_Bundle([event], future))
        return await future

    async def run(self) -> None:
        """Write until `close`, then what is left."""
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(self._keep_reading(), name="cloudsync: read")
            await self._keep_writing()
            reading.cancel()
        while self._unread:
            self._read_one()
        while self._bundles or self._untold:
            await self._write()
            if self.trouble is not None:
                break
        for bundle in self._bundles:
            _fail(bundle, Unavailable("broken", "CloudSync's store was closed."))

    def close(self) -> None:
        """Let `run` end when everything is written, or cannot be."""
        self._closing = True
        self._wake.set()

    async def _keep_reading(self) -> None:
        """Read what comes, while a group is written."""
        turn = _Turn()
        while True:
            await self._came.wait()
            self._came.clear()
            while self._unread:
                self._read_one()
                await turn.over()

    async def _keep_writing(self) -> None:
        loop = asyncio.get_running_loop()
        begun = -_PACE
        while not self._closing:
            if self.trouble is None:
                await self._wake.wait()
            else:
                await set_within(self._wake, _TRIED_AGAIN_AFTER)
            if (early := begun + _PACE - loop.time()) > 0:
                await asyncio.sleep(early)
            self._wake.clear()
            begun = loop.time()
            await self._write()
            if self._bundles and self.trouble is None:
                self._wake.set()

    def _read_one(self) -> None:
        bundle = self._unread.popleft()
        size = 0
        for event in bundle.events:
            if event.read is None:
                settings = self._customers().get(event.customer)
                entities = settings.cloudsync.entities if settings else ()
                event.read = adapt.read(event.channel, event.payload, entities)
            if isinstance(event.read, list):
                event.spelled = [spell(event.customer, change) for change in event.read]
                size += len(event.spelled)
            else:
                size += 1
        self.waiting += size - bundle.size
        bundle.size = size
        self._bundles.append(bundle)
        self._wake.set()

    def _append(self, bundle: _Bundle) -> None:
        self._unread.append(bundle)
        self.waiting += bundle.size
        self._came.set()

    def _take(self) -> tuple[list[_Bundle], Arrivals, int, int]:
        group = Arrivals()
        first = last = self.last + 1
        last = self.last
        taken = []
        while self._bundles and not group.full:
            bundle = self._bundles.popleft()
            last = bundle.fill(group, last)
            taken.append(bundle)
        for customer, count in self._untold.items():
            group.counts[customer, "duplicates"] += count
        group.posted = self._posted
        return taken, group, first, last

    async def _write(self) -> None:
        taken, group, first, last = self._take()
        untold, self._untold = self._untold, {}
        posted, self._posted = self._posted, {}
        try:
            if self.trouble == "full":
                await self._database.try_space()
            elif self.trouble is not None and group.empty:
                # Nothing waits: see whether the file can be written again.
                group.posted = {}
                await self._database.write("UPDATE state SET value = value WHERE name = 'cursor'")
            new = await arrivals.write(self._database, group, first, last) if not group.empty else set()
        except Unavailable as failure:
            self._failed(taken, failure)
            self._untold = untold
            self._posted = posted | self._posted
            return
        self.last = last
        self.groups += 1
        if self.trouble is not None:
            self.trouble = None
            _log.warning("CloudSync's store can be written again")
        if new:
            self._arrived()
        turn = _Turn()
        for bundle in taken:
            self.waiting -= bundle.size
            for customer in bundle.settle(new):
                self._untold[customer] = self._untold.get(customer, 0) + 1
            self.accepted.add(bundle.counted)
            await turn.over()
        if self._untold and not self._bundles:
            self._wake.set()

    def _failed(self, taken: Sequence[_Bundle], failure: Unavailable) -> None:
        self.failures += 1
        if self.trouble != failure.reason:
            self.trouble = failure.reason
            _log.error("no event can be written (%s): %s", failure.reason, failure)
        kept = []
        for bundle in taken:
            if isinstance(bundle.taker, asyncio.Future):
                self.waiting -= bundle.size
                _fail(bundle, failure)
            else:
                kept.append(bundle)
        self._bundles.extendleft(reversed(kept))


def _fail(bundle: _Bundle, failure: Unavailable) -> None:
    # A message's ticket stays with its connection: without PUBACK the client sends it again.
    if isinstance(bundle.taker, asyncio.Future) and not bundle.taker.done():
        bundle.taker.set_exception(failure)
