"""Feeds: when each customer's events could come: the bridge ran, and the feed was up, or a back-fill covered it."""

from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from bridge.cloudsync.flow.stretches import Stretches
from bridge.words.cloudsync import Rejected

SILENT_AFTER = 300_000
"""Milliseconds without a POST after which a feed by HTTP is down."""

MISSED = 60_000
"""Milliseconds between two looks at the clock from which the bridge counts as not having run."""

Source = Literal["live", "backfill"]


class _Said(msgspec.Struct):
    state: Literal["up", "down"]
    at: object = None


class _Feed:
    __slots__ = ("covered", "posted", "up")

    def __init__(self) -> None:
        self.covered = Stretches()
        self.up: int | None = None  # by MQTT, since
        self.posted = 0


_decode = msgspec.json.Decoder(_Said).decode


def read(payload: bytes) -> Literal["up", "down"] | Rejected:
    """Read what a source says on its feed topic."""
    try:
        return _decode(payload).state
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Rejected("malformed_feed", f'The feed topic takes {{"state": "up" | "down", "at"}}: {error}.')


class Feeds:
    """Coverage by customer. Times are milliseconds; `since` is when this process began to run."""

    def __init__(self, since: int, now: Callable[[], int]) -> None:
        self._feeds: dict[str, _Feed] = {}
        self._looked = since
        self._now = now
        self._live: dict[str, tuple[int, int]] = {}  # the stretch that grows, by customer
        self._unsaved: dict[tuple[str, Source, int], int] = {}

    def remember(self, covered: Iterable[tuple[str, str, int, int]], posted: Iterable[tuple[str, int]]) -> None:
        """Take in what earlier processes saw."""
        for customer, _, start, until in covered:
            self._feed(customer).covered.add(start, until)
        for customer, at in posted:
            self._feed(customer).posted = at

    def heard(self, customer: str, state: Literal["up", "down"]) -> None:
        """Take what a source says of itself by MQTT."""
        now = self.look()
        feed = self._feed(customer)
        if state == "down":
            feed.up = None
        elif feed.up is None:
            feed.up = now

    def posted(self, customer: str) -> None:
        """Take that a feed spoke by HTTP, if only to say that nothing happened."""
        self._feed(customer).posted = self.look()

    def covers(self, customer: str, start: int, until: int) -> None:
        """Take that a back-fill has brought everything of `[start, until)`."""
        self._feed(customer).covered.add(start, until)
        self._unsaved[customer, "backfill", start] = until

    def look(self) -> int:
        """Look at the clock: what was up until now is covered until now. Return the time."""
        now = self._now()
        before, self._looked = self._looked, max(now, self._looked)
        if not before < now <= before + MISSED:
            return now
        for customer, feed in self._feeds.items():
            if feed.up is not None:
                self._cover(customer, feed, before, now)
            elif before < (silent := feed.posted + SILENT_AFTER):
                self._cover(customer, feed, before, min(now, silent))
        return now

    def up(self, customer: str) -> bool:
        """Say whether a feed is up now."""
        feed = self._feeds.get(customer)
        if feed is None:
            return False
        return feed.up is not None or (feed.posted > 0 and self._now() < feed.posted + SILENT_AFTER)

    def covered(self, customer: str) -> Stretches:
        """Give what is covered."""
        return self._feed(customer).covered

    def unsaved(self) -> list[tuple[str, Source, int, int]]:
        """Give what is to be written, once."""
        rows = [(customer, source, start, until) for (customer, source, start), until in self._unsaved.items()]
        self._unsaved.clear()
        return rows

    def keep(self, unsaved: Iterable[tuple[str, Source, int, int]]) -> None:
        """Take back what could not be written."""
        for customer, source, start, until in unsaved:
            self._unsaved.setdefault((customer, source, start), until)

    def _cover(self, customer: str, feed: _Feed, start: int, until: int) -> None:
        feed.covered.add(start, until)
        begun, grown = self._live.get(customer, (start, start))
        if grown < start:
            begun = start
        self._live[customer] = (begun, until)
        self._unsaved[customer, "live", begun] = until

    def _feed(self, customer: str) -> _Feed:
        return self._feeds.setdefault(customer, _Feed())
