"""Screen: what a desktop shows, puts aside, refuses and says, as a state machine. No I/O; time is an argument."""

from collections import deque
from collections.abc import Callable
from datetime import datetime

import msgspec

from agent_client.messages import Current, Moved, Notice, Outcome, Recall, Refused, Saying
from agent_client.records import Records
from agent_client.seen import Seen
from bridge.words.pop import Pop

Ack = Callable[[], None]
"""Acknowledges one message to the broker."""

Refusal = Callable[[Pop], str | None]
"""Asked before a pop is shown: a reason to refuse it, or None."""

LONGEST_TTL = 3_600.0  # the most that `pop_ttl` can be: a recalled pop cannot arrive later than that

_DECODER = msgspec.json.Decoder(Pop)


class NotAPopError(ValueError):
    """A message on a pop's topic is not a pop document."""


class Arrival(msgspec.Struct):
    """A pop that waits to be shown; `acks` acknowledge each copy of it."""

    pop: Pop
    document: bytes
    expires: float
    acks: list[Ack]


class Screen:
    """One agent's desktop. What it has to say collects in `sayings`, in order."""

    def __init__(self, *, backlog: int = 1_000, refusal: Refusal | None = None) -> None:
        self.records = Records()
        self.sayings: deque[Saying] = deque()
        self._backlog = backlog
        self._refusal = refusal
        self._seen = Seen()
        self._waiting: dict[str, Arrival] = {}

    def arrive(self, payload: bytes, ack: Ack, now: float) -> None:
        """Take in a pop, to be shown when the application asks for it, and acknowledged then.

        A copy of one that was shown is acknowledged at once. If the backlog is full, the pop that waited longest is
        refused: the call that rings now matters most. Raises NotAPopError for anything else than a pop document.
        """
        arrival = _read(payload, ack)
        popid = arrival.pop.popid
        if popid in self._waiting:
            self._waiting[popid].acks.append(ack)
        elif self._seen.add(popid, arrival.expires, now):
            if len(self._waiting) >= self._backlog:
                self._refuse(self._waiting.pop(next(iter(self._waiting))), "desktop_busy")
            self._waiting[popid] = arrival
        else:
            ack()

    def take(self, now: float) -> tuple[Pop, bytes] | None:
        """Show the next pop: the application gets it and its document. None if no pop waits that is to be shown."""
        while self._waiting:
            arrival = self._waiting.pop(next(iter(self._waiting)))
            if self._opens(arrival, now):
                return arrival.pop, arrival.document
        return None

    def heed(self, notice: Notice, now: float) -> None:
        """Obey the bridge."""
        match notice:
            case Recall(popid):
                self._seen.add(popid, now + LONGEST_TTL, now)
                if popid in self._waiting:
                    _acknowledge(self._waiting.pop(popid))
            case Refused(reference):
                # It was resumed here while another agent had it: it goes back to where it came from.
                if reference == self.records.current:
                    self.records = self.records.suspending()
            case Current(reference, activities):
                self.records = Records.told(reference, activities)

    def close(self, reference: str) -> None:
        """Be done with a record by hand."""
        if reference == self.records.current or reference in self.records.activities:
            self.records = self.records.closing(reference)
            self.sayings.append(Moved(reference, "closed"))

    def suspend(self) -> None:
        """Put the current record aside by hand."""
        if self.records.current is not None:
            self.sayings.append(Moved(self.records.current, "suspended"))
            self.records = self.records.suspending()

    def resume(self, reference: str) -> None:
        """Open a record of the Activities again; the current one is suspended. Raises NotInActivitiesError."""
        records = self.records.resuming(reference)
        self.suspend()
        self.records = records
        self.sayings.append(Moved(reference, "resumed"))

    def _opens(self, arrival: Arrival, now: float) -> bool:
        pop = arrival.pop
        if now >= arrival.expires:
            self._refuse(arrival, "expired")
            return False
        reason = self._refusal(pop) if self._refusal is not None else None
        if reason is not None:
            self._refuse(arrival, reason)
            return False
        _acknowledge(arrival)
        record = _record_of(pop)
        before = self.records.current
        if record is not None and record == before:
            self.sayings.append(Outcome(pop.popid, "unchanged"))
            return False
        if record is not None:
            self.records = self.records.opening(record)
        self.sayings.append(Outcome(pop.popid, "shown", suspended=before if record is not None else None))
        return True

    def _refuse(self, arrival: Arrival, reason: str) -> None:
        _acknowledge(arrival)
        self.sayings.append(Outcome(arrival.pop.popid, "refused", reason=reason))


def _record_of(pop: Pop) -> str | None:
    """Name the record that a pop opens: a Cloud pop without a reference is a record of its own, others are none."""
    if pop.reference is not None:
        return pop.reference
    return pop.popid if pop.campaign is not None else None


def _acknowledge(arrival: Arrival) -> None:
    for ack in arrival.acks:
        ack()


def _read(payload: bytes, ack: Ack) -> Arrival:
    try:
        pop = _DECODER.decode(payload)
        expires = datetime.fromisoformat(pop.expires)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise NotAPopError(str(error)) from None
    if expires.tzinfo is None:
        raise NotAPopError("`expires` has no time zone")
    return Arrival(pop, payload, expires.timestamp(), [ack])
