"""Live: the pops that still matter: open ones, and delivered ones of which a desktop may yet tell."""

import asyncio
import heapq
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

import msgspec

from bridge.delivery.claims import Taken
from bridge.delivery.lifecycle import ACCEPTED, FINAL, OPEN, Copies, Status
from bridge.records.records import Agent
from bridge.words import errors
from bridge.words.settings import Delivery as Bounds


class Flow(Protocol):
    """Who is told what becomes of a pop's copies."""

    def acknowledged(self, live: "LivePop") -> None:
        """A desktop's PUBACK arrived."""

    def settle(self, live: "LivePop") -> None:
        """A copy was written late, or lost."""

    def now(self) -> float:
        """Give the time, in epoch seconds."""


class LivePop(msgspec.Struct, eq=False):
    """One pop. The broker tells it of its copies; see `bridge.broker.port.Watcher`.

    `accepted` and `expires` are in epoch seconds; `reference` is the record that it opens, `taken` what it has of it;
    `changed` is set at each step once somebody waits.
    """

    flow: Flow
    popid: str
    agent: Agent
    topic: str
    payload: bytes
    accepted: float
    expires: float
    reference: str | None
    campaign: str | None
    status: Status = ACCEPTED
    was_sent: bool = False
    copies: Copies = msgspec.field(default_factory=Copies)
    taken: Taken | None = None
    reason: str | None = None
    holder: str | None = None
    suspended: str | None = None
    changed: asyncio.Event | None = None

    @property
    def refusal(self) -> str:
        """Give the reason, and who holds the record, as a step's detail has them."""
        return " ".join(filter(None, (self.reason, self.holder)))

    def written(self, qos: int) -> None:
        """See `Watcher`."""
        self.copies.written = True
        self.copies.unproven = self.copies.unproven or qos == 0
        self.flow.settle(self)

    def acknowledged(self) -> None:
        """See `Watcher`."""
        self.copies.awaiting -= 1
        self.flow.acknowledged(self)

    def lost(self) -> None:
        """See `Watcher`."""
        self.copies.awaiting -= 1
        self.flow.settle(self)

    def stale(self) -> bool:
        """See `Watcher`."""
        return self.status in FINAL or self.flow.now() >= self.expires


class LivePops:
    """All of them: by popid, the held ones by agent, and by the time when each ends.

    `forgotten` is told of a done one that gave way before its time: nobody will hear more of it.
    """

    def __init__(self, bounds: Bounds, forgotten: Callable[[LivePop], None]) -> None:
        self._bounds = bounds
        self._forgotten = forgotten
        self._unfinished: dict[str, LivePop] = {}
        self._done: OrderedDict[str, LivePop] = OrderedDict()
        self._held: dict[Agent, OrderedDict[str, LivePop]] = {}
        self._open: dict[Agent, int] = {}
        self._due: list[tuple[float, str]] = []
        self.nearer = asyncio.Event()
        self.open = 0

    def every(self) -> list[LivePop]:
        """List them all."""
        return [*self._unfinished.values(), *self._done.values()]

    def get(self, popid: str) -> LivePop | None:
        """Find one."""
        return self._unfinished.get(popid) or self._done.get(popid)

    @property
    def accepting(self) -> bool:
        """Whether there is room for another pop."""
        return self.open < self._bounds.max_open

    def see_room(self, agent: Agent) -> None:
        """Raise `overloaded` where a bound is reached, of all or of this agent."""
        if not self.accepting:
            raise errors.overloaded("Too many pops are held or unacknowledged")
        if self._open.get(agent, 0) >= self._bounds.max_open_per_agent:
            raise errors.overloaded("Too many pops of this agent are held or unacknowledged")

    def add(self, live: LivePop, now: float) -> None:
        """Take one in."""
        if live.status in OPEN:
            self._unfinished[live.popid] = live
            self.open += 1
            self._open[live.agent] = self._open.get(live.agent, 0) + 1
        else:
            self._finish(live)
        if len(self._due) > 2 * (len(self._unfinished) + len(self._done)) + 1000:
            done = [other for other in self._done.values() if other.expires > now]
            self._due = [(other.expires, other.popid) for other in (*self._unfinished.values(), *done)]
            heapq.heapify(self._due)
        else:
            heapq.heappush(self._due, (live.expires, live.popid))
        if self._due[0][1] == live.popid:
            self.nearer.set()

    def close(self, live: LivePop) -> None:
        """Note that a pop need not reach a desktop any more; a desktop may yet say what it did with it."""
        if self._unfinished.pop(live.popid, None) is None:
            return
        self.open -= 1
        left = self._open[live.agent] - 1
        if left:
            self._open[live.agent] = left
        else:
            del self._open[live.agent]
        self.unhold(live)
        self._finish(live)

    def hold(self, live: LivePop) -> None:
        """Keep it for the first desktop that listens."""
        self._held.setdefault(live.agent, OrderedDict())[live.popid] = live

    def unhold(self, live: LivePop) -> None:
        """Keep it no longer."""
        held = self._held.get(live.agent)
        if held is not None and held.pop(live.popid, None) is not None and not held:
            del self._held[live.agent]

    def under_way(self, agent: Agent) -> int:
        """Count the agent's pops that a desktop has, or will get, and has not acknowledged."""
        return self._open.get(agent, 0) - len(self._held.get(agent, ()))

    def holds(self, agent: Agent) -> bool:
        """Say whether anything is held for an agent."""
        return agent in self._held

    def held(self, agent: Agent) -> list[LivePop]:
        """List what is held for an agent, oldest first."""
        return list(self._held.get(agent, {}).values())

    def due(self, now: float) -> LivePop | None:
        """Give a pop whose time is over, each once; None where there is none yet."""
        while self._due and self._due[0][0] <= now:
            live = self.get(heapq.heappop(self._due)[1])
            if live is not None:
                return live
        return None

    def forget(self, live: LivePop) -> None:
        """Be done with one whose time is over."""
        self.close(live)
        self._done.pop(live.popid, None)

    def next_due(self) -> float | None:
        """Tell when the next pop's time is over, in epoch seconds."""
        return self._due[0][0] if self._due else None

    def _finish(self, live: LivePop) -> None:
        # It will not be sent again: what it carried need not stay. The oldest give way.
        live.payload = b""
        self._done[live.popid] = live
        if len(self._done) > self._bounds.max_open:
            self._forgotten(self._done.popitem(last=False)[1])
