"""Desks: what the bridge and an agent's desktops say to each other of pops and records, on ACK and DESK topics."""

import asyncio
import heapq
import logging
from collections.abc import Callable
from typing import Literal

import msgspec

from bridge.broker.port import Broker, Message
from bridge.cloud.licences import Seats
from bridge.records.records import Agent, Locked, Records
from bridge.words import topics

log = logging.getLogger("popbridge.desks")


class Told(msgspec.Struct, frozen=True):
    """What a desktop says of a pop."""

    popid: str
    outcome: Literal["shown", "unchanged", "refused"]
    suspended: str | None = None
    reason: str | None = None


class Moved(msgspec.Struct, frozen=True):
    """What an agent did with a record by hand."""

    record: str
    state: Literal["closed", "resumed", "suspended"]


class Gone(msgspec.Struct, frozen=True):
    """A desktop's will. Presence comes from the wire: this says nothing that the bridge does not see."""

    desktop: str
    state: Literal["gone"]


Saying = Told | Moved | Gone

_KINDS: tuple[type[Told] | type[Moved] | type[Gone], ...] = (Told, Moved, Gone)


def read(payload: bytes) -> Saying | None:
    """Read a message on an ACK topic; None if it is none."""
    for kind in _KINDS:
        try:
            return msgspec.json.decode(payload, type=kind)
        except msgspec.DecodeError:
            continue
    return None


class Desks:
    """Keeps the desktops of each agent told of its records, and gives back what an agent holds who is gone."""

    def __init__(
        self, broker: Callable[[], Broker], records: Records, seats: Seats, grace: float, now: Callable[[], float]
    ) -> None:
        self._broker = broker
        self._records = records
        self._seats = seats
        self._grace = grace
        self._now = now
        self._changed: dict[Agent, None] = {}
        self._refused: dict[tuple[Agent, str], str] = {}
        self._wake = asyncio.Event()
        self._opening: dict[Agent, set[str]] = {}
        self._leaving: dict[Agent, float] = {}
        self._order: list[tuple[float, Agent]] = []

    def opening(self, agent: Agent, popid: str) -> None:
        """Note that a pop on its way opens a record.

        Until its outcome is known the desktops are not told of the agent's records: one that heard first that the
        record is current would take the pop for unchanged.
        """
        self._opening.setdefault(agent, set()).add(popid)

    def opened(self, agent: Agent, popid: str) -> None:
        """Note that such a pop's outcome is known, or will not come."""
        under_way = self._opening.get(agent)
        if under_way is not None:
            under_way.discard(popid)
            if not under_way:
                del self._opening[agent]
                self._wake.set()

    def changed(self, agent: Agent) -> None:
        """Note that the agent's desktops are to be told of its records, soon and once."""
        self._changed[agent] = None
        self._wake.set()

    def came(self, agent: Agent) -> None:
        """Note that the agent has a desktop, so nothing is taken from it."""
        self._leaving.pop(agent, None)
        desk = self._records.desk(agent)
        if desk.current is not None or desk.activities:
            self.changed(agent)

    def left(self, agent: Agent) -> None:
        """Note that the agent's last desktop left: its seat is free at once, its record after the grace."""
        self._seats.give_back(agent)
        if self._records.desk(agent).current is not None:
            due = self._now() + self._grace
            self._leaving[agent] = due
            heapq.heappush(self._order, (due, agent))
            self._wake.set()

    def moved(self, agent: Agent, moved: Moved) -> None:
        """Do what an agent did by hand; what does not fit changes nothing and is one WARN line."""
        match moved.state:
            case "closed":
                done = self._records.close(agent, moved.record)
            case "suspended":
                done = self._records.suspend(agent, moved.record)
            case "resumed":
                done = self._records.resume(agent, moved.record)
        if not done:
            log.warning("agent %r of %s: a record could not be %s", agent[1], agent[0], moved.state)
            if moved.state == "resumed" and isinstance(self._records.judge(agent, moved.record), Locked):
                self.refuse(agent, moved.record, "record_locked")
            self.changed(agent)

    def refuse(self, agent: Agent, reference: str, reason: str) -> None:
        """Tell the agent's desktops, soon, that a record was not opened."""
        self._refused[agent, reference] = reason
        self._wake.set()

    async def recall(self, agent: Agent, popid: str) -> None:
        """Tell the agent's desktops that a pop is withdrawn."""
        await self._tell(agent, {"recall": popid})

    async def run(self) -> None:
        """Tell desktops what changed, and give back what is over, until cancelled."""
        while True:
            self._wake.clear()
            refused, self._refused = self._refused, {}
            for (agent, reference), reason in refused.items():
                await self._tell(agent, {"refused": reference, "reason": reason})
            changed, self._changed = self._changed, {}
            for agent in changed:
                if agent in self._opening:
                    self._changed[agent] = None
                    continue
                desk = self._records.desk(agent)
                said: dict[str, object] = {"activities": desk.activities}
                await self._tell(agent, said if desk.current is None else {"current": desk.current} | said)
            while self._order and self._order[0][0] <= self._now():
                due, agent = heapq.heappop(self._order)
                if self._leaving.get(agent) == due:
                    del self._leaving[agent]
                    self._records.leave(agent)
            pause = max(self._order[0][0] - self._now(), 0.01) if self._order else None
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _tell(self, agent: Agent, said: dict[str, object]) -> None:
        topic = topics.desk(*agent)
        await self._broker().publish(Message(topic, msgspec.json.encode(said)))
