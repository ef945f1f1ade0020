"""Claims: what a Cloud pop must have before it is written to a desktop: a licence, and its record's lock."""

from collections.abc import Callable

import msgspec

from bridge.cloud.licences import Seats
from bridge.records.records import Agent, Locked, Opened, Records, Unchanged
from bridge.words.settings import Licence


class Taken(msgspec.Struct, frozen=True):
    """The pop may be written. What `give_back` needs to undo it."""

    opened: Opened
    seat: bool


class Refused(msgspec.Struct, frozen=True):
    """The pop must not be written; `holder` is the agent who has the record."""

    reason: str
    holder: str | None = None


Verdict = Taken | Refused | Unchanged


class Claims:
    """Decides for all Cloud pops; each decision is taken at once, so of any number for one record exactly one wins."""

    def __init__(self, records: Records, seats: Seats, licence: Callable[[str], Licence]) -> None:
        self._records = records
        self._seats = seats
        self._licence = licence

    def judge(self, agent: Agent, reference: str) -> Verdict:
        """Say what `take` would come to now, without taking anything but the licence's word."""
        had_seat = self._seats.holds(agent)
        if not self._seats.take(agent, self._licence(agent[0])):
            return Refused("no_licence")
        if not had_seat:
            self._seats.give_back(agent)
        match self._records.judge(agent, reference):
            case Locked(holder):
                return Refused("record_locked", holder)
            case Unchanged() as unchanged:
                return unchanged
            case Opened() as opened:
                return Taken(opened, seat=not had_seat)

    def take(self, agent: Agent, reference: str) -> Verdict:
        """Take the licence's seat and the record's lock, or nothing."""
        verdict = self.judge(agent, reference)
        if isinstance(verdict, Taken):
            self._seats.take(agent, self._licence(agent[0]))
            self._records.open(agent, reference)
        return verdict

    def give_back(self, agent: Agent, reference: str, taken: Taken, *, written: bool) -> None:
        """Undo a `take` whose pop the agent does not have open; once it was written, the seat is in use."""
        self._records.undo(agent, reference, taken.opened)
        if taken.seat and not written:
            self._seats.give_back(agent)
