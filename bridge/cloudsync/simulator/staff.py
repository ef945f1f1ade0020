"""Staff: simulated agents at work: shifts, breaks, presence records, and how much each has in hand."""

import datetime as dt
import random
from collections.abc import Callable
from functools import partial

from bridge.cloudsync.simulator.agenda import Agenda
from bridge.cloudsync.simulator.book import Book
from bridge.cloudsync.simulator.world import Agent, World, moment
from bridge.words.cloudsync import Kind, Value


class Worker:
    """An agent today. `load` is what is in hand, in chats; a video counts as two."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.load = 0
        self.label = ""  # of the presence status; "" is logged out
        self.since = 0
        self.record = ""
        self.wish: tuple[str, float] | None = None  # a status, for so many minutes, once nothing is in hand
        self.leaving = False

    @property
    def takes_work(self) -> bool:
        """Whether something may be offered."""
        return self.label == "Available" and self.wish is None and not self.leaving

    def has_room(self, weight: int) -> bool:
        """Whether so much more fits."""
        return self.takes_work and self.load + weight <= self.agent.capacity


class Staff:
    """All agents of a day, by group. `ready` is called when one of a group may have become free."""

    def __init__(self, world: World, day: dt.date, agenda: Agenda, book: Book, rng: random.Random) -> None:
        self._world = world
        self._agenda = agenda
        self._book = book
        self._rng = rng
        self.ready: Callable[[str], None] = lambda _: None
        self.teams: dict[str, list[Worker]] = {group.id: [] for group in world.groups}
        for agent in world.agents:
            worker = Worker(agent)
            self.teams[agent.group.id].append(worker)
            self._plan(worker, day)

    def working(self, group: str) -> bool:
        """Whether anybody of the group is logged in and stays."""
        return any(worker.label and not worker.leaving for worker in self.teams[group])

    def pick(self, group: str, weight: int, but: set[str]) -> Worker | None:
        """Choose who gets the next session: the one with the least in hand."""
        able = [each for each in self.teams[group] if each.has_room(weight) and each.agent.id not in but]
        if not able:
            return None
        least = min(each.load for each in able)
        return self._rng.choice([each for each in able if each.load == least])

    def take(self, worker: Worker, weight: int) -> None:
        """Put something into an agent's hands."""
        worker.load += weight

    def give_back(self, worker: Worker, weight: int) -> None:
        """Take it from them; with nothing left in hand they do what they wished to."""
        worker.load -= weight
        if worker.load == 0:
            self._settle(worker)
        if worker.takes_work:
            self._agenda.at(self._agenda.now, partial(self.ready, worker.agent.group.id))

    def _plan(self, worker: Worker, day: dt.date) -> None:
        agent, rng = worker.agent, self._rng
        begins = agent.starts + rng.uniform(-4, 6)
        self._at(day, agent, begins, partial(self._become, worker, "Available"))
        middle = (agent.starts + agent.ends) / 2
        pauses = [("Break", agent.starts + 110, 12.0), ("Lunch", middle, 30.0), ("Break", agent.ends - 110, 12.0)]
        if rng.random() < 0.2:
            pauses.append(("Training", middle - 75, 40.0))
        if rng.random() < 0.5:
            pauses.append(("Away", middle + 70, 8.0))
        for label, around, minutes in pauses:
            at = around + rng.uniform(-15, 15)
            self._at(day, agent, at, partial(self._want, worker, label, minutes * rng.uniform(0.8, 1.3)))
        self._at(day, agent, agent.ends + rng.uniform(-2, 8), partial(self._leave, worker))

    def _at(self, day: dt.date, agent: Agent, minutes: float, action: Callable[[], None]) -> None:
        self._agenda.at(moment(day, agent.group.zone, minutes), action)

    def _want(self, worker: Worker, label: str, minutes: float) -> None:
        if worker.label and not worker.leaving and worker.wish is None:
            worker.wish = (label, minutes)
            self._settle(worker)

    def _leave(self, worker: Worker) -> None:
        worker.leaving = True
        self._settle(worker)

    def _settle(self, worker: Worker) -> None:
        if worker.load or not worker.label:
            return
        if worker.leaving:
            self._become(worker, "")
        elif worker.wish is not None and worker.label == "Available":
            label, minutes = worker.wish
            self._become(worker, label)
            self._agenda.after(minutes * 60, partial(self._return, worker))

    def _return(self, worker: Worker) -> None:
        worker.wish = None
        if worker.label:
            self._become(worker, "Available")

    def _become(self, worker: Worker, label: str) -> None:
        now = self._agenda.now
        worker.load = max(worker.load, 0)
        if worker.label:
            ended: dict[str, Value] = {"StatusEndDate": now, "IsCurrentState": False}
            self._book.tell(now, "UserPresence", worker.record, Kind.UPDATE, ended, by=worker.agent.id)
        worker.label = label
        if label:
            worker.record = self._book.record("UserPresence")
            begun: dict[str, Value] = {
                "Id": worker.record,
                "UserId": worker.agent.id,
                "PresenceStatusId": self._world.presence(label),
                "StatusStartDate": now,
                "IsCurrentState": True,
                "IsAway": label not in {"Available", "Busy"},
                "ConfiguredCapacity": worker.agent.capacity,
                "UsedCapacity": worker.load,
            }
            # The platform commits the new record a little later than it ends the old one, with the same time in both.
            later = now + self._rng.randint(0, 250)
            self._book.tell(later, "UserPresence", worker.record, Kind.CREATE, begun, by=worker.agent.id)
        if label == "Available":
            self._agenda.at(now, partial(self.ready, worker.agent.group.id))
