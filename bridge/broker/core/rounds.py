"""Rounds: who is to be looked at when, so that nobody has to look at everybody. Pure; time is an argument."""

from typing import Generic, TypeVar

Who = TypeVar("Who")


class Rounds(Generic[Who]):
    """Each is named once when its time is over, a tenth of a second late at most, but within `longest` seconds."""

    __slots__ = ("_at", "_buckets", "_places")

    WIDTH = 0.1  # seconds in a bucket

    def __init__(self, longest: float, now: float) -> None:
        self._buckets: list[dict[Who, None]] = [{} for _ in range(int(longest / self.WIDTH))]
        self._places: dict[Who, dict[Who, None]] = {}  # the bucket that each is in
        self._at = int(now / self.WIDTH)

    def put(self, who: Who, due: float) -> None:
        """Have `who` named when `due` is over; what was asked for it before no longer counts."""
        farthest = self._at + len(self._buckets)
        place = max(self._at + 1, int(min(due / self.WIDTH, farthest - 1)) + 1)
        self.drop(who)
        bucket = self._places[who] = self._buckets[place % len(self._buckets)]
        bucket[who] = None

    def drop(self, who: Who) -> None:
        """Do not name it any more, and keep nothing of it."""
        bucket = self._places.pop(who, None)
        if bucket is not None:
            del bucket[who]

    def due(self, now: float) -> list[Who]:
        """Name whose time is over. It must be put again to be named again."""
        found: list[Who] = []
        until = int(now / self.WIDTH)
        # After a stand-still each bucket is looked through once.
        self._at = max(self._at, until - len(self._buckets))
        while self._at < until:
            self._at += 1
            bucket = self._buckets[self._at % len(self._buckets)]
            for who in bucket:
                del self._places[who]
                found.append(who)
            bucket.clear()
        return found
