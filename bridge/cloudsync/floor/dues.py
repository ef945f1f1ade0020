"""Dues: what time alone will change, and when; one moment for each, the earliest."""

import heapq
from typing import Generic, TypeVar

Key = TypeVar("Key")

_SLACK = 1_000


class Dues(Generic[Key]):
    """Moments in milliseconds, by key."""

    def __init__(self) -> None:
        self._at: dict[Key, int] = {}
        self._heap: list[tuple[int, int, Key]] = []
        self._number = 0  # so that keys are never compared

    def __len__(self) -> int:
        return len(self._heap)

    def put(self, key: Key, at: int | None) -> None:
        """Look at `key` at `at`, unless that is to be done earlier anyway; None: never."""
        known = self._at.get(key)
        if at is None or (known is not None and known <= at):
            return
        self._at[key] = at
        if len(self._heap) > 2 * len(self._at) + _SLACK:
            self._heap = [(moment, number, one) for number, (one, moment) in enumerate(self._at.items())]
            self._number = len(self._heap)
            heapq.heapify(self._heap)
        else:
            self._number += 1
            heapq.heappush(self._heap, (at, self._number, key))

    def drop(self, key: Key) -> None:
        """Never look at it."""
        self._at.pop(key, None)

    def next(self, now: int) -> Key | None:
        """Give one that is due, each once; None where there is none yet."""
        while self._heap and self._heap[0][0] <= now:
            at, _, key = heapq.heappop(self._heap)
            if self._at.get(key) == at:
                del self._at[key]
                return key
        return None
