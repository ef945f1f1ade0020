"""Records: at most one agent of a customer has a record open; others of that agent wait in its Activities.

One object holds them all, and every step is taken at once: whoever asks first has the lock. What changes is told to
`keep`, which writes it down. Source of the rules: the Cloud API's document, made exact where it shrugs.
"""

from collections.abc import Callable
from enum import StrEnum

import msgspec

ACTIVITIES = 50


class State(StrEnum):
    """How a record is with its agent."""

    CURRENT = "current"  # open; nobody else may open it
    ACTIVITY = "activity"  # put aside; anybody may open it


class Opened(msgspec.Struct, frozen=True):
    """The record is the agent's current one now; `suspended` is the one it put aside.

    `resumed`: it was put aside itself before.
    """

    suspended: str | None = None
    resumed: bool = False


class Unchanged(msgspec.Struct, frozen=True):
    """The record is the agent's current one already."""


class Locked(msgspec.Struct, frozen=True):
    """Another agent has it open."""

    holder: str


Decision = Opened | Unchanged | Locked
Agent = tuple[str, str]
Keep = Callable[[Agent, str, State | None], None]


class Desk(msgspec.Struct):
    """One agent's records: `activities` has the newest first."""

    current: str | None = None
    activities: list[str] = []


class Records:
    """Every record that is open or put aside. An agent is a pair of customer and agentid."""

    def __init__(self, keep: Keep) -> None:
        self._keep = keep
        self._desks: dict[Agent, Desk] = {}
        self._holders: dict[tuple[str, str], str] = {}

    def restore(self, agent: Agent, reference: str, state: State) -> None:
        """Take over what was written down, oldest first."""
        desk = self._desks.setdefault(agent, Desk())
        if state is State.CURRENT:
            desk.current = reference
            self._holders[agent[0], reference] = agent[1]
        else:
            desk.activities.insert(0, reference)

    def desk(self, agent: Agent) -> Desk:
        """Show one agent's records."""
        return self._desks.get(agent) or Desk()

    def judge(self, agent: Agent, reference: str) -> Decision:
        """Say what opening would come to, without doing it."""
        holder = self._holders.get((agent[0], reference))
        if holder == agent[1]:
            return Unchanged()
        if holder is not None:
            return Locked(holder)
        desk = self.desk(agent)
        return Opened(desk.current, reference in desk.activities)

    def open(self, agent: Agent, reference: str) -> Decision:
        """Open a record for an agent over its current one, if nobody else has it open."""
        decision = self.judge(agent, reference)
        if isinstance(decision, Opened):
            self._put_aside(agent)
            desk = self._desks.setdefault(agent, Desk())
            if reference in desk.activities:
                desk.activities.remove(reference)
            desk.current = reference
            self._holders[agent[0], reference] = agent[1]
            self._keep(agent, reference, State.CURRENT)
        return decision

    def undo(self, agent: Agent, reference: str, opened: Opened) -> None:
        """Take an opening back that never reached the agent; what it had put aside is current again if it can be."""
        was_open = self.desk(agent).current == reference
        done = self.suspend(agent, reference) if opened.resumed else self.close(agent, reference)
        if was_open and done and opened.suspended is not None:
            self.resume(agent, opened.suspended)

    def close(self, agent: Agent, reference: str) -> bool:
        """Close a record, open or put aside; False where the agent has no such record."""
        desk = self.desk(agent)
        if desk.current == reference:
            desk.current = None
            del self._holders[agent[0], reference]
        elif reference in desk.activities:
            desk.activities.remove(reference)
        else:
            return False
        self._keep(agent, reference, None)
        self._tidy(agent)
        return True

    def suspend(self, agent: Agent, reference: str) -> bool:
        """Put the current record aside; False where it is another, or none."""
        if self.desk(agent).current != reference:
            return False
        self._put_aside(agent)
        return True

    def resume(self, agent: Agent, reference: str) -> bool:
        """Open a record out of the agent's Activities; False where it is not among them, or locked."""
        if reference not in self.desk(agent).activities:
            return False
        return isinstance(self.open(agent, reference), Opened)

    def leave(self, agent: Agent) -> bool:
        """Give back the lock of an agent that is gone for good: its current record waits in its Activities."""
        current = self.desk(agent).current
        return current is not None and self.suspend(agent, current)

    def _put_aside(self, agent: Agent) -> None:
        desk = self.desk(agent)
        if desk.current is None:
            return
        reference, desk.current = desk.current, None
        del self._holders[agent[0], reference]
        desk.activities.insert(0, reference)
        self._keep(agent, reference, State.ACTIVITY)
        for forgotten in desk.activities[ACTIVITIES:]:
            self._keep(agent, forgotten, None)
        del desk.activities[ACTIVITIES:]

    def _tidy(self, agent: Agent) -> None:
        desk = self._desks.get(agent)
        if desk is not None and desk.current is None and not desk.activities:
            del self._desks[agent]
