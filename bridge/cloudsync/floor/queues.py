"""Queues: a group's queue: who waits in it, and how many are served."""

import heapq

from bridge.cloudsync.floor.told import Today

_SLACK = 64


class Queue:
    """One group's queue."""

    __slots__ = ("_first", "available", "in_progress", "today", "waiting")

    def __init__(self) -> None:
        self.waiting: dict[str, int] = {}  # session: since when
        self.in_progress = 0
        self.available = 0
        self.today: Today | None = None
        self._first: list[tuple[int, str]] = []  # a heap of those who wait, and of some who do no longer

    def join(self, session: str, since: int) -> None:
        """Let a session wait here."""
        self.waiting[session] = since
        if len(self._first) > 2 * len(self.waiting) + _SLACK:
            self._first = [(at, waiting) for waiting, at in self.waiting.items()]
            heapq.heapify(self._first)
        else:
            heapq.heappush(self._first, (since, session))

    def leave(self, session: str) -> None:
        """Let it wait no longer."""
        self.waiting.pop(session, None)

    def longest(self) -> int | None:
        """Tell since when the one waits that waits longest."""
        while self._first and self.waiting.get(self._first[0][1]) != self._first[0][0]:
            heapq.heappop(self._first)
        return self._first[0][0] if self._first else None
