"""Live: the floors of all customers, fed by the processor; what changes goes out on LIVE/… and to who follows by SSE.

Changes are gathered for a moment, so that a burst is told as often as it can be taken, not as often as it happens.
`seq` rises with each change, over restarts too: it begins at the microseconds of the start.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, Self

import msgspec

from bridge.broker.port import Broker, Message
from bridge.cloudsync.floor import sse
from bridge.cloudsync.floor.floor import Floor
from bridge.cloudsync.floor.history import History
from bridge.cloudsync.floor.lag import Lag
from bridge.cloudsync.floor.told import ChangeTold, FeedState, FeedTold, SnapshotTold, Today
from bridge.cloudsync.numbers.intervals import utc
from bridge.words import errors, topics
from bridge.words.cloudsync import Folded
from bridge.words.cloudsync import Mapping as Words
from bridge.words.ledger import Unavailable
from bridge.words.settings import Customer

DEGRADED_FROM = 10_000
"""Milliseconds behind from which a feed that is up counts as degraded."""

MOST_FOLLOWERS = 500

_GATHERED = 0.2  # seconds between two tellings
_LOOKS = 0.5  # seconds between two looks at clock and feed, if nothing changes
_COUNTS_EVERY = 5.0  # seconds between two looks at what the day has been
_MOST = 500  # changes told in one go
_SNAPSHOT_LASTS = 250  # milliseconds
_RETRY = 2_000

_encode = msgspec.json.Encoder().encode


class Processing(Protocol):
    """What is asked of the processing of events; `Cloudsync` is one. `counted["changes"]` are those processed."""

    def feed_up(self, customer: str) -> bool:
        """Say whether a customer's feed is up now."""

    @property
    def lag(self) -> int:
        """Count the changes that are stored and not yet processed."""

    @property
    def counted(self) -> Mapping[str, int]:
        """Count since the start."""

    @property
    def usable(self) -> bool:
        """Say whether what is taken is processed."""


Counts = Callable[[str], Awaitable[Mapping[str, Today] | None]]


class _Desk:
    """What is kept of one customer."""

    def __init__(self, customer: str, mapping: Words, seq: int) -> None:
        self.customer = customer
        self.floor = Floor(mapping)
        self.history = History(seq)
        self.state: FeedState = "down"
        self.followers = 0
        self.snapshot: tuple[int, int, bytes] = (0, 0, b"")  # when, its seq, as it is spelled
        self.moved = asyncio.Event()

    def tell(self) -> None:
        """Wake all who follow."""
        self.moved.set()
        self.moved = asyncio.Event()


class Live:
    """All floors. `take` is for `Hooks.on_folded`; `stale_found` is told of sessions that only a GET can tell about."""

    def __init__(
        self,
        broker: Callable[[], Broker],
        processing: Processing,
        mapping: Callable[[str], Words],
        today: Counts,
        customers: Callable[[], Mapping[str, Customer]],
        now: Callable[[], int],
    ) -> None:
        self._broker = broker
        self._processing = processing
        self._mapping = mapping
        self._today = today
        self._customers = customers
        self._now = now
        self._desks: dict[str, _Desk] = {}
        self._lag = Lag()
        self._wake = asyncio.Event()
        self._opened = asyncio.Event()
        self.stale_found: Callable[[str, Sequence[tuple[str, str]]], None] = _nothing
        self.told = 0  # changes

    # In

    def take(self, customer: str, entity: str, record: str, folded: Folded, now: int) -> None:
        """Take a record as it is folded now."""
        self._desk(customer).floor.take(entity, record, folded, now)
        self._wake.set()

    async def run(self) -> None:
        """Tell what changes, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._telling(), name="floor: tell")
            group.create_task(self._counting(), name="floor: count the day")

    # Out

    def selected(self, customer: str) -> bool:
        """Say whether a customer has the live floor."""
        settings = self._customers().get(customer)
        return settings is not None and "lsm" in settings.cloudsync.feeds

    def snapshot(self, customer: str) -> bytes:
        """Give the whole floor as JSON, a quarter of a second old at most. Raises feed_disabled."""
        return self.whole(self._open(customer))[1]

    def follow(self, customer: str, last: int | None) -> "Following":
        """Follow a customer's changes after number `last`. Raises feed_disabled, overloaded."""
        desk = self._open(customer)
        if desk.followers >= MOST_FOLLOWERS:
            raise errors.overloaded("Too many streams are open")
        return Following(self, desk, last)

    def _open(self, customer: str) -> _Desk:
        if not self.selected(customer):
            raise errors.Fault("feed_disabled", "This customer has not selected lsm in `cloudsync.feeds`.")
        return self._desk(customer)

    def whole(self, desk: _Desk) -> tuple[int, bytes]:
        """Give the whole floor: its `seq`, and its JSON."""
        now = self._now()
        self._look(desk, now)
        made, seq, spelled = desk.snapshot
        if not made <= now < made + _SNAPSHOT_LASTS:
            seq = desk.history.seq
            spelled = _encode(
                SnapshotTold(
                    as_of=utc(now),
                    seq=seq,
                    feed_state=desk.state,
                    lag_s=self._lag_s(now),
                    sessions=desk.floor.sessions(now),
                    queues=desk.floor.queues(now),
                    agents=desk.floor.agents(),
                )
            )
            desk.snapshot = now, seq, spelled
        return seq, spelled

    def feed(self, desk: _Desk) -> bytes:
        """Tell how the feed is now, as JSON."""
        now = self._now()
        return _encode(FeedTold(as_of=utc(now), seq=desk.history.seq, feed_state=desk.state, lag_s=self._lag_s(now)))

    # Work

    async def _telling(self) -> None:
        while True:
            self._wake.clear()
            now = self._now()
            self._lag.look(now, self._processing.lag + self._done(), self._done())
            more = False
            for desk in list(self._desks.values()):
                more = await self._tell(desk, now) or more
            if more:
                await asyncio.sleep(0)
                continue
            await asyncio.sleep(_GATHERED)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOKS - _GATHERED):
                    await self._wake.wait()

    async def _tell(self, desk: _Desk, now: int) -> bool:
        """Tell some of what changed; say whether there is more."""
        self._look(desk, now)
        floor = desk.floor
        keys = floor.changed(_MOST)
        if not keys or not self.selected(desk.customer):
            return len(keys) == _MOST
        as_of, first = utc(now), desk.history.seq + 1
        spelled = [
            _encode(ChangeTold(seq=seq, as_of=as_of, kind=key[0], id=key[1], item=floor.told(key, now)))
            for seq, key in enumerate(keys, first)
        ]
        desk.history.add([sse.event("change", change, seq) for seq, change in enumerate(spelled, first)])
        desk.tell()
        self.told += len(keys)
        broker = self._broker()
        for (kind, item), change in zip(keys, spelled, strict=True):
            # QoS 0: the next change heals a lost one, and none may pile up for an observer who is away.
            await broker.publish(Message(topics.live(desk.customer, kind, item), change, qos=0))
        return len(keys) == _MOST

    def _look(self, desk: _Desk, now: int) -> None:
        desk.floor.remap(self._mapping(desk.customer), now)
        desk.floor.look(now)
        stale = desk.floor.stale()
        if stale:
            self.stale_found(desk.customer, stale)
        state = self._state(desk, now)
        if state != desk.state:
            desk.state = state
            desk.snapshot = (0, 0, b"")
            desk.tell()

    def _state(self, desk: _Desk, now: int) -> FeedState:
        if not self._processing.feed_up(desk.customer):
            return "down"
        behind = self._lag.milliseconds(now) >= DEGRADED_FROM
        return "degraded" if behind or desk.floor.left_out or not self._processing.usable else "up"

    async def _counting(self) -> None:
        while True:
            self._opened.clear()
            for customer, desk in list(self._desks.items()):
                # Without the disk the counts stay as they were; the writer tells of the trouble.
                with contextlib.suppress(Unavailable):
                    today = await self._today(customer) if self.selected(customer) else None
                    if today is not None:
                        desk.floor.count_today(today)
                        self._wake.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_COUNTS_EVERY):
                    await self._opened.wait()

    def _done(self) -> int:
        return self._processing.counted.get("changes", 0)

    def _lag_s(self, now: int) -> float:
        return self._lag.milliseconds(now) // 100 / 10

    def _desk(self, customer: str) -> _Desk:
        desk = self._desks.get(customer)
        if desk is None:
            desk = self._desks[customer] = _Desk(customer, self._mapping(customer), self._now() * 1000)
            self._opened.set()
        return desk


class Following:
    """One who follows a customer's changes, as text/event-stream; use it as a context manager.

    First all that was missed since `last`, or the whole floor; then each change once, and how the feed is whenever
    that changes.
    """

    def __init__(self, live: Live, desk: _Desk, last: int | None) -> None:
        self._live = live
        self._desk = desk
        self._seq = last if last is not None and desk.history.has_after(last) else None
        self._state: FeedState | None = None
        self._waits_for = desk.moved

    def __enter__(self) -> Self:
        self._desk.followers += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._desk.followers -= 1

    def opening(self) -> bytes:
        """Give what comes first."""
        told = sse.retry(_RETRY)
        if self._seq is None:
            self._seq, whole = self._live.whole(self._desk)
            told += sse.event("snapshot", whole, self._seq)
        return told + self.feed()

    def feed(self) -> bytes:
        """Give how the feed is now; often enough, it is a heartbeat too."""
        self._state = self._desk.state
        return b": heartbeat\n" + sse.event("feed", self._live.feed(self._desk))

    def news(self) -> bytes | None:
        """Give some of what is new, b"" if nothing is; None to one who is so slow that changes are gone."""
        self._waits_for = self._desk.moved
        found = self._desk.history.after(self._seq) if self._seq is not None else None
        if found is None:
            return None
        told, self._seq = found
        return told if told or self._state == self._desk.state else self.feed()

    async def wait(self, seconds: float) -> None:
        """Wait for news, for so long at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._waits_for.wait()


def _nothing(_: str, __: Sequence[tuple[str, str]]) -> None:
    pass
