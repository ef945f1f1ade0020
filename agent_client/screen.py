"""Screen: what a desktop shows, puts aside, refuses and says, as a state machine. No I/O; time is an argument."""

from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import takewhile

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
    """A pop that waits to be shown. `record` is what it opens; `acks` acknowledge each copy of it.

    `account` is what the bridge told of the records after this pop: it takes effect when the pop was shown or refused.
    """

    pop: Pop
    record: str | None
    document: bytes
    expires: float
    acks: list[Ack]
    account: Current | None = None


class Screen:
    """One agent's desktop. What it has to say collects in `sayings`, what it obeyed in `obeyed`, both in order.

    Pops and the bridge's accounts of the records take effect in the order of their arrival. With two desktops the
    bridge tells both what is current as soon as one has shown it: the other may still have the pop waiting, and has to
    show it, too. Recalls and refusals take effect at once.
    """

    def __init__(self, *, backlog: int = 1_000, refusal: Refusal | None = None) -> None:
        self.records = Records()
        self.sayings: deque[Saying] = deque()
        self.obeyed: deque[Notice] = deque()
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
                longest = self._waiting.pop(next(iter(self._waiting)))
                self._refuse(longest, "desktop_busy")
                self._follow(longest)
            self._waiting[popid] = arrival
        else:
            ack()

    def take(self, now: float) -> tuple[Pop, bytes] | None:
        """Show the next pop: the application gets it and its document. None if no pop waits that is to be shown."""
        while self._waiting:
            arrival = self._waiting.pop(next(iter(self._waiting)))
            opens = self._opens(arrival, now)
            self._follow(arrival)
            if opens:
                return arrival.pop, arrival.document
        return None

    def heed(self, notice: Notice, now: float) -> None:
        """Obey the bridge, in an account of the records after the pops that wait; only the newest of several counts."""
        match notice:
            case Recall(popid):
                self._seen.add(popid, now + LONGEST_TTL, now)
                self.obeyed.append(notice)
                if popid in self._waiting:
                    self._withdraw(popid)
            case Refused(reference):
                # It was resumed here while another agent had it: it goes back to where it came from.
                if reference == self.records.current:
                    self.records = self.records.suspending()
                self.obeyed.append(notice)
            case Current():
                self._account(notice, self._waiting.values())

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

    def _account(self, account: Current, before: Iterable[Arrival]) -> None:
        """Let an account take effect after those of the pops before it that open a record, at once if there is none."""
        last = None
        for arrival in before:
            if arrival.record is not None:
                last = arrival
        if last is not None:
            last.account = account
        else:
            self.records = Records.told(account.reference, account.activities)
            self.obeyed.append(account)

    def _follow(self, arrival: Arrival) -> None:
        if arrival.account is not None:
            self._account(arrival.account, ())

    def _withdraw(self, popid: str) -> None:
        withdrawn = self._waiting[popid]
        if withdrawn.account is not None:
            self._account(withdrawn.account, takewhile(lambda each: each is not withdrawn, self._waiting.values()))
        _acknowledge(self._waiting.pop(popid))

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
        record, before = arrival.record, self.records.current
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
    return Arrival(pop, _record_of(pop), payload, expires.timestamp(), [ack])
