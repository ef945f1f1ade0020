"""Agents: an agent's presence, from stretches that come and go.

A change of presence ends one record and makes another, in this order or the other: an end with nothing after it is a
logout only when it has settled.
"""

import msgspec

from bridge.words.cloudsync import Folded, Post

SETTLES_AFTER = 3_000
FORGOTTEN_AFTER = 86_400_000

AVAILABLE, OFFLINE, UNKNOWN = "available", "offline", "unknown"


class Stretch(msgspec.Struct, frozen=True, order=True):
    """A presence that lasts since `at`; of two the later counts."""

    at: int
    record: str
    state: str
    reason: str | None
    capacity: int | None


class Shown(msgspec.Struct, frozen=True):
    """What is shown of an agent's presence."""

    state: str
    reason: str | None
    since: int
    capacity: int | None


class Agent:
    """One agent. `group` is the queue they count in; `in_progress` the sessions they have."""

    __slots__ = ("_settles", "_stretches", "ended", "group", "in_progress", "shown")

    def __init__(self, group: str) -> None:
        self.group = group
        self.in_progress = 0
        self.shown: Shown | None = None
        self.ended: int | None = None  # when the latest stretch that is over was over
        self._settles: int | None = None
        self._stretches: dict[str, Stretch] = {}

    @property
    def available(self) -> bool:
        """Whether they count as available."""
        return self.shown is not None and self.shown.state == AVAILABLE

    @property
    def idle(self) -> bool:
        """Whether nothing is known of them that lasts."""
        return not self._stretches and self.in_progress == 0 and self._settles is None

    def begin(self, stretch: Stretch) -> bool:
        """Take a stretch that lasts; say whether another presence is shown now."""
        self._stretches[stretch.record] = stretch
        return self._show()

    def end(self, record: str, at: int | None, now: int) -> bool:
        """Take that a stretch is over, or gone (`at` is None); say whether another presence is shown now."""
        lasted = self._stretches.pop(record, None)
        if at is not None and (self.ended is None or at > self.ended):
            self.ended = at
        if self._stretches:
            return self._show()
        if lasted is not None or self.shown is None:
            self._settles = now + SETTLES_AFTER
            return False
        return self._settles is None and self._log_out()

    def settle(self, now: int) -> bool:
        """Show a logout that has settled; say whether another presence is shown now."""
        if self._settles is None or now < self._settles:
            return False
        self._settles = None
        return self._log_out()

    def due(self) -> int | None:
        """Tell when to look again: at a logout that settles, or when nobody needs to know of them any more."""
        if self._settles is not None:
            return self._settles
        return (self.ended or 0) + FORGOTTEN_AFTER if self.idle else None

    def _show(self) -> bool:
        self._settles = None
        latest = max(self._stretches.values())
        return self._shows(Shown(latest.state, latest.reason, latest.at, latest.capacity))

    def _log_out(self) -> bool:
        if self.ended is None:
            before, self.shown = self.shown, None
            return before is not None
        return self._shows(Shown(OFFLINE, None, self.ended, None))

    def _shows(self, shown: Shown) -> bool:
        before, self.shown = self.shown, shown
        return before != shown


def read(record: str, folded: Folded) -> tuple[str, Stretch | int | None]:
    """Read a presence: whose it is ("" if nobody's), and the stretch that lasts, or when it ended, or None: gone."""
    fact = next((fact for fact in folded.facts if fact.post is Post.SPAN_PRESENCE), None)
    if fact is None:
        user = folded.state.get("UserId")
        return (user if isinstance(user, str) else ""), None
    if fact.until is not None:
        return fact.agent, fact.until
    reason, capacity = folded.state.get("StatusReason"), folded.state.get("ConfiguredCapacity")
    return fact.agent, Stretch(
        fact.at,
        record,
        fact.detail or UNKNOWN,
        reason if isinstance(reason, str) else None,
        capacity if isinstance(capacity, int) else None,
    )
