"""Agenda: what is to happen in a simulation, in the order of its time."""

import heapq
from collections.abc import Callable
from itertools import count

Action = Callable[[], None]


class Agenda:
    """Actions at moments (milliseconds); `now` is the one at work. Actions of one moment keep their order."""

    def __init__(self) -> None:
        self.now = 0
        self._waiting: list[tuple[int, int, Action]] = []
        self._count = count()

    def at(self, moment: float, action: Action) -> None:
        """Do it then, or now if that is past."""
        heapq.heappush(self._waiting, (max(int(moment), self.now), next(self._count), action))

    def after(self, seconds: float, action: Action) -> None:
        """Do it so many seconds from now."""
        self.at(self.now + seconds * 1000, action)

    def run(self) -> None:
        """Do all, and what comes of it."""
        while self._waiting:
            self.now, _, action = heapq.heappop(self._waiting)
            action()
