"""Lifecycle: the life of one pop as words and transitions. Pure; time is an argument."""

from enum import StrEnum

import msgspec


class Status(StrEnum):
    """How far a pop got."""

    HELD = "held"  # no desktop has a copy
    SENT = "sent"  # written to at least one desktop
    DELIVERED = "delivered"  # a desktop's PUBACK arrived
    SHOWN = "shown"  # a desktop says that it opened it
    UNCHANGED = "unchanged"  # its record was open already
    REFUSED = "refused"  # a desktop says that it did not open it
    EXPIRED = "expired"  # nobody had it in time


# What may follow what: a later word never gives way to an earlier one, but for `sent` when every connection that
# had a copy is gone.
_AFTER: dict[Status, frozenset[Status]] = {
    Status.HELD: frozenset(Status) - {Status.HELD},
    Status.SENT: frozenset(Status) - {Status.SENT},
    Status.DELIVERED: frozenset({Status.SHOWN, Status.UNCHANGED, Status.REFUSED}),
    Status.SHOWN: frozenset(),
    Status.UNCHANGED: frozenset(),
    Status.REFUSED: frozenset({Status.SHOWN}),
    Status.EXPIRED: frozenset(),
}

OPEN = frozenset({Status.HELD, Status.SENT})
"""A pop in one of these still has to reach a desktop."""

FINAL = frozenset({Status.SHOWN, Status.UNCHANGED, Status.REFUSED, Status.EXPIRED})
"""A wait ends at one of these."""


def may_follow(status: Status, following: Status) -> bool:
    """Say whether a pop in `status` may become `following`."""
    return following in _AFTER[status]


class Copies(msgspec.Struct):
    """The copies of one pop at the desktops: `awaiting` may still be acknowledged, `unproven` went out at QoS 0."""

    awaiting: int = 0
    written: bool = False
    unproven: bool = False

    def after(self, status: Status) -> Status:
        """Tell `held` or `sent` from what has become of the copies."""
        if status not in OPEN:
            return status
        if self.unproven or (self.written and self.awaiting):
            return Status.SENT
        return Status.HELD


def expires(status: Status, copies: Copies) -> bool:
    """Say whether the pop, at the end of its time, becomes `expired` (it keeps `sent` if that was at QoS 0)."""
    return status in OPEN and not copies.unproven
