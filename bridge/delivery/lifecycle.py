"""Lifecycle: the life of one pop as words and transitions. Pure; time is an argument."""

from enum import StrEnum

import msgspec


class Status(StrEnum):
    """How far a pop got."""

    ACCEPTED = "accepted"  # committed to the ledger
    HELD = "held"  # no desktop has a copy
    SENT = "sent"  # written to at least one desktop
    DELIVERED = "delivered"  # a desktop's PUBACK arrived
    SHOWN = "shown"  # a desktop says that it opened it
    UNCHANGED = "unchanged"  # its record was open already
    REFUSED = "refused"  # the bridge, or a desktop, says why it was not opened
    EXPIRED = "expired"  # nobody had it in time
    RECALLED = "recalled"  # withdrawn before it was shown


# Python 3.11 finds an enum's member slowly by its name: what each pop passes is looked up here, once.
ACCEPTED, HELD, SENT, DELIVERED = Status.ACCEPTED, Status.HELD, Status.SENT, Status.DELIVERED
SHOWN, UNCHANGED, REFUSED = Status.SHOWN, Status.UNCHANGED, Status.REFUSED

# What may follow what: a later word never gives way to an earlier one, but for `sent` when every connection that
# had a copy is gone. A desktop may still show what another one refused.
_AFTER: dict[Status, frozenset[Status]] = {
    Status.ACCEPTED: frozenset(Status) - {Status.ACCEPTED},
    Status.HELD: frozenset(Status) - {Status.ACCEPTED, Status.HELD},
    Status.SENT: frozenset(Status) - {Status.ACCEPTED, Status.SENT},
    Status.DELIVERED: frozenset({Status.SHOWN, Status.UNCHANGED, Status.REFUSED, Status.RECALLED}),
    Status.SHOWN: frozenset(),
    Status.UNCHANGED: frozenset({Status.SHOWN}),
    Status.REFUSED: frozenset({Status.SHOWN}),
    Status.EXPIRED: frozenset(),
    Status.RECALLED: frozenset(),
}

OPEN = frozenset({Status.ACCEPTED, Status.HELD, Status.SENT})
"""A pop in one of these still has to reach a desktop."""

FINAL = frozenset({Status.SHOWN, Status.UNCHANGED, Status.REFUSED, Status.EXPIRED, Status.RECALLED})
"""A wait ends at one of these."""

TOO_LATE = frozenset({Status.SHOWN, Status.UNCHANGED, Status.EXPIRED, Status.REFUSED})
"""A pop in one of these cannot be recalled."""


def may_follow(status: Status, following: Status) -> bool:
    """Say whether a pop in `status` may become `following`."""
    return following in _AFTER[status]


class Copies(msgspec.Struct, gc=False):
    """The copies of one pop at the desktops: `awaiting` may still be acknowledged, `unproven` went out at QoS 0."""

    awaiting: int = 0
    written: bool = False
    unproven: bool = False

    def after(self, status: Status) -> Status:
        """Tell `held` or `sent` from what has become of the copies."""
        if status not in OPEN:
            return status
        if self.unproven or (self.written and self.awaiting):
            return SENT
        return HELD


def expires(status: Status, copies: Copies) -> bool:
    """Say whether the pop, at the end of its time, becomes `expired` (it keeps `sent` if that was at QoS 0)."""
    return status in OPEN and not copies.unproven
