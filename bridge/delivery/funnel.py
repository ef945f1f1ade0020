"""Funnel: how many pops of the last day got how far, and how long that took. Time is an argument.

A pop counts in the quarter of an hour in which it was accepted, under the status that it has now.
"""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import log

import msgspec

from bridge.delivery.lifecycle import DELIVERED, OPEN, REFUSED, SENT, SHOWN, UNCHANGED, Status
from bridge.words import times
from bridge.words.answers import FunnelBin, FunnelCounts, FunnelOpen, FunnelTold, Latency, Quantiles

WIDTH = 900  # seconds of a bin
MOST_HOURS = 24
BINS = MOST_HOURS * 3600 // WIDTH

REASONS = frozenset({"record_locked", "no_licence", "unknown_campaign", "plugin_disabled"})
"""Why the bridge itself refuses; every other reason is a desktop's own."""
DESKTOP = "desktop"
"""Stands for the desktops' own reasons that are not counted each by itself, and for those without any."""
MOST_OWN = 20  # the desktops' own reasons in an answer
_MOST_NAMED = 40  # the same in a bin; more are counted as DESKTOP
_LONGEST_REASON = 80  # characters of one

# Latencies are counted in buckets, each 9 % wider than the one before: any of a bucket stands for its middle, which is
# at most 4.4 % off, and 3 digits of that are told. The first holds all up to 0.1 ms, the last all from a day on.
_GROWTH = 1.09
_LOWEST = 0.1
_SCALE = 1 / math.log(_GROWTH)
_FIRST = 1 - math.log(_LOWEST) * _SCALE
_LAST = int(math.log(86_400_000) * _SCALE + _FIRST)

_STATUSES: Mapping[str, Status] = {status.value: status for status in Status}


class Spread(msgspec.Struct):
    """Latencies in milliseconds: how many in each bucket, and the longest. At most some 240 buckets."""

    buckets: dict[int, int] = {}
    longest: float = 0.0

    def add(self, ms: float) -> None:
        """Count one; a clock that was set back makes none below 0."""
        bucket = int(log(ms) * _SCALE + _FIRST) if ms > _LOWEST else 0
        if bucket > _LAST:  # noqa: PLR1730 - a fifth of the time of min()
            bucket = _LAST
        buckets = self.buckets
        buckets[bucket] = buckets.get(bucket, 0) + 1
        if ms > self.longest:  # noqa: PLR1730 - the same
            self.longest = ms

    def merge(self, other: "Spread") -> None:
        """Count all of another."""
        buckets = self.buckets
        for bucket, count in other.buckets.items():
            buckets[bucket] = buckets.get(bucket, 0) + count
        self.longest = max(self.longest, other.longest)

    def quantiles(self, *parts: float) -> list[float]:
        """Give for each part the least latency that so many do not exceed, within 5 % (or 0.1 ms); none if empty."""
        if not self.buckets:
            return []
        buckets = sorted(self.buckets)
        totals = list(accumulate(map(self.buckets.__getitem__, buckets)))
        found = []
        for part in parts:
            bucket = buckets[bisect_left(totals, math.ceil(part * totals[-1]))]
            middle = _LOWEST * _GROWTH ** (bucket - 0.5) if bucket else _LOWEST
            found.append(float(f"{min(middle, self.longest):.3g}"))
        return found


class _Counts(msgspec.Struct):
    """The pops accepted in one bin, by the status that they have now; `delivered` are those that ever were."""

    standing: dict[Status, int] = msgspec.field(default_factory=lambda: dict.fromkeys(Status, 0))
    delivered: int = 0
    reasons: dict[str, int] = {}
    delivered_ms: Spread = msgspec.field(default_factory=Spread)
    shown_ms: Spread = msgspec.field(default_factory=Spread)

    def step(
        self, accepted: float, before: Status | None, status: Status, at: float, detail: str, earlier: str
    ) -> None:
        """Count a step; see `Funnel.step`."""
        standing = self.standing
        standing[status] += 1
        if before is None:
            return
        standing[before] -= 1
        if status is DELIVERED:
            self.delivered += 1
            self.delivered_ms.add((at - accepted) * 1000)
        elif status is SHOWN:
            self.shown_ms.add((at - accepted) * 1000)
            if before is not DELIVERED:
                self._tell_shown(before, earlier)
        elif status is REFUSED or status is UNCHANGED:
            if before is SENT:
                self.delivered += 1  # the desktop said what it did with it before its PUBACK was seen
            if status is REFUSED:
                self._refuse(_reason(detail), 1)

    def _tell_shown(self, before: Status, earlier: str) -> None:
        if before in OPEN:
            self.delivered += 1  # the same
        elif before is REFUSED:
            self._refuse(_reason(earlier), -1)

    def _refuse(self, reason: str, count: int) -> None:
        known = reason in self.reasons
        if not known and reason not in REASONS and (count < 0 or len(self.reasons) >= _MOST_NAMED):
            reason = DESKTOP
        left = self.reasons.get(reason, 0) + count
        if left:
            self.reasons[reason] = left
        else:
            self.reasons.pop(reason, None)

    def told(self) -> FunnelCounts:
        """Give the counts. While old pops are still being counted, one may have left where it has not yet come."""
        standing = {status: max(0, count) for status, count in self.standing.items()}
        return FunnelCounts(
            accepted=sum(standing.values()),
            delivered=self.delivered,
            shown=standing[Status.SHOWN],
            unchanged=standing[Status.UNCHANGED],
            refused=standing[Status.REFUSED],
            expired=standing[Status.EXPIRED],
            recalled=standing[Status.RECALLED],
        )

    def merge(self, other: "_Counts") -> None:
        """Count all of another."""
        for status, count in other.standing.items():
            self.standing[status] += max(0, count)
        self.delivered += other.delivered
        for reason, count in other.reasons.items():
            self.reasons[reason] = self.reasons.get(reason, 0) + count
        self.delivered_ms.merge(other.delivered_ms)
        self.shown_ms.merge(other.shown_ms)


class Funnel:
    """The last 24 hours of each customer, in bins of 15 minutes that begin at the full quarter.

    `counted_from`: every pop accepted since then is in it. Times are seconds since the epoch.
    """

    def __init__(self) -> None:
        self._customers: dict[str, dict[int, _Counts]] = {}
        self._newest = 0
        self.counted_from = math.inf

    def step(
        self,
        customer: str,
        accepted: float,
        before: Status | None,
        status: Status,
        at: float,
        detail: str = "",
        earlier: str = "",
    ) -> None:
        """Count a step that a pop takes now; `before` is None at its acceptance.

        `detail` is the step's, as the ledger keeps it; `earlier` that of the step to `before`, if that was `refused`.
        """
        try:
            counts = self._customers[customer][int(accepted // WIDTH)]
        except KeyError:
            begun = self._begin(customer, accepted, at)
            if begun is None:
                return
            counts = begun
        counts.step(accepted, before, status, at, detail, earlier)

    def recount(self, customer: str, accepted: float, steps: Sequence[tuple[str, float, str]], now: float) -> None:
        """Count a pop by its steps (status, time, detail), the first one first."""
        counts = self._customers.get(customer, {}).get(_place(accepted)) or self._begin(customer, accepted, now)
        if counts is None:
            return
        before, earlier = None, ""
        for name, at, detail in steps:
            status = _STATUSES[name]
            counts.step(accepted, before, status, at, detail, earlier)
            before, earlier = status, detail

    def told(self, customer: str, hours: int, now: float) -> FunnelTold:
        """Tell the last hours (1 to 24): the quarter that has begun, and those before it."""
        bins = self._customers.get(customer, {})
        newest = _place(now)
        places = range(newest - hours * 3600 // WIDTH + 1, newest + 1)
        none, all_ = _Counts(), _Counts()
        told = []
        for place in places:
            counts = bins.get(place, none)
            all_.merge(counts)
            told.append(
                FunnelBin(
                    start=times.stamp(place * WIDTH),
                    **msgspec.structs.asdict(counts.told()),
                    delivered_ms=_quantiles(counts.delivered_ms),
                    shown_ms=_quantiles(counts.shown_ms),
                )
            )
        standing = all_.standing
        return FunnelTold(
            as_of=times.stamp(now),
            from_=times.stamp(places[0] * WIDTH),
            complete=self.counted_from <= places[0] * WIDTH,
            bins=told,
            totals=all_.told(),
            open=FunnelOpen(
                # One that was accepted is written to a desktop, or held, in a moment.
                held=standing[Status.HELD] + standing[Status.ACCEPTED],
                sent=standing[Status.SENT],
                delivered=standing[Status.DELIVERED],
            ),
            delivered_ms=_latency(all_.delivered_ms),
            shown_ms=_latency(all_.shown_ms),
            reasons=_most_frequent(all_.reasons),
        )

    def _begin(self, customer: str, accepted: float, now: float) -> _Counts | None:
        """Make the bin of a pop; None if that was not accepted in the last 24 hours."""
        newest = _place(now)
        if newest != self._newest:
            self._newest = newest
            self._forget()
        place = _place(accepted)
        if not self._keeps(place):
            return None
        counts = self._customers.setdefault(customer, {})[place] = _Counts()
        return counts

    def _forget(self) -> None:
        kept = {
            customer: {place: counts for place, counts in bins.items() if self._keeps(place)}
            for customer, bins in self._customers.items()
        }
        self._customers = {customer: bins for customer, bins in kept.items() if bins}

    def _keeps(self, place: int) -> bool:
        # As many to come: a clock that is set back takes away nothing, and leaves nothing for ever.
        return abs(place - self._newest) < BINS


def oldest(now: float) -> float:
    """Give the time at which the oldest bin begins."""
    return float((_place(now) - BINS + 1) * WIDTH)


def _place(moment: float) -> int:
    return int(moment // WIDTH)


def _reason(detail: str) -> str:
    """Read the reason from the detail of a step to `refused`, as it is told live or read from the ledger."""
    word, _, holder = detail.partition(" ")
    if word in REASONS and (word == "record_locked" or not holder):
        return word
    return detail[:_LONGEST_REASON].replace("\0", "\ufffd").strip() or DESKTOP


def _quantiles(spread: Spread) -> Quantiles | None:
    found = spread.quantiles(0.5, 0.9, 0.99)
    return Quantiles(p50=found[0], p90=found[1], p99=found[2]) if found else None


def _latency(spread: Spread) -> Latency:
    found = _quantiles(spread)
    if found is None:
        return Latency(count=0)
    count = sum(spread.buckets.values())
    return Latency(p50=found.p50, p90=found.p90, p99=found.p99, max=round(spread.longest, 3), count=count)


def _most_frequent(reasons: Mapping[str, int]) -> dict[str, int]:
    """Give the bridge's own reasons and the most frequent of the desktops', the most frequent first."""
    given = sorted(((reason, count) for reason, count in reasons.items() if count > 0), key=lambda one: (-one[1], one))
    own = {reason for reason, _ in [one for one in given if one[0] not in REASONS | {DESKTOP}][:MOST_OWN]}
    told: Counter[str] = Counter()
    for reason, count in given:
        told[reason if reason in REASONS or reason in own else DESKTOP] += count
    return dict(told.most_common())
