"""Book: what callers were answered and what agents saw, kept outside of the bridge, so that it outlives it."""

import asyncio
import heapq
import time
from collections import Counter
from collections.abc import Callable


class Book:
    """Pops by popid; an order is what a caller wanted popped, whatever became of its requests."""

    def __init__(self) -> None:
        self.answered: dict[str, float] = {}
        self.shown: Counter[str] = Counter()
        self.waited: dict[str, str] = {}
        self.replays = 0
        self.doubled: list[str] = []
        self._popids: dict[int, str] = {}
        self._unseen: dict[str, None] = {}
        self._in_time: list[tuple[float, str]] = []
        self._open: set[str] = set()
        self._readers: list[asyncio.Event] = []

    def answer(self, order: int, popid: str, status: str, ttl: float) -> None:
        """Note that a caller was answered 200: from now on this pop may not get lost."""
        self._one(order, popid)
        if status in {"shown", "refused", "unchanged"}:
            self.waited[popid] = status
        if popid in self.answered:
            self.replays += 1
            return
        self.answered[popid] = ttl
        if popid not in self.shown and status not in {"refused", "unchanged"}:
            self._unseen[popid] = None
            self._open.add(popid)
            heapq.heappush(self._in_time, (time.time() + ttl, popid))
        self._news()

    def show(self, popid: str, order: int) -> None:
        """Note that an agent saw it."""
        self.shown[popid] += 1
        self._one(order, popid)
        self._unseen.pop(popid, None)
        self._open.discard(popid)
        self._news()

    def tell(self) -> None:
        """Note that the bridge acknowledged a desktop's word that something was shown."""
        self._news()

    @property
    def open(self) -> int:
        """Count the pops that were answered, were not seen by their agent, and are in time."""
        now = time.time()
        while self._in_time and self._in_time[0][0] <= now:
            self._open.discard(heapq.heappop(self._in_time)[1])
        return len(self._open)

    def unseen(self) -> list[str]:
        """List the pops that were answered and that no agent saw, in time or not."""
        return list(self._unseen)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds; looked at whenever something is entered."""
        news = asyncio.Event()
        self._readers.append(news)
        try:
            while not holds():
                news.clear()
                await news.wait()
        finally:
            self._readers.remove(news)

    def _one(self, order: int, popid: str) -> None:
        first = self._popids.setdefault(order, popid)
        if first != popid:
            self.doubled.append(f"order {order} became both {first} and {popid}")

    def _news(self) -> None:
        for news in self._readers:
            news.set()
