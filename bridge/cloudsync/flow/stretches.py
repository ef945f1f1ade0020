"""Stretches: sets of times `[start, until)` in milliseconds, kept as merged, ordered lists. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

from bridge.words.cloudsync import QUARTER

Stretch = tuple[int, int]


class Stretches:
    """A set of moments. Stretches that touch are one."""

    __slots__ = ("_starts", "_untils")

    def __init__(self, stretches: Iterable[Stretch] = ()) -> None:
        self._starts: list[int] = []
        self._untils: list[int] = []
        for start, until in stretches:
            self.add(start, until)

    def __iter__(self) -> Iterator[Stretch]:
        return iter(list(zip(self._starts, self._untils, strict=True)))

    def __bool__(self) -> bool:
        return bool(self._starts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stretches) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def add(self, start: int, until: int) -> None:
        """Take in `[start, until)`."""
        if start >= until:
            return
        first = bisect_left(self._untils, start)
        last = bisect_right(self._starts, until)
        if first < last:
            start = min(start, self._starts[first])
            until = max(until, self._untils[last - 1])
        self._starts[first:last] = [start]
        self._untils[first:last] = [until]

    def drop(self, start: int, until: int) -> None:
        """Take out `[start, until)`."""
        if start >= until:
            return
        first = bisect_right(self._untils, start)
        last = bisect_left(self._starts, until)
        if first >= last:
            return
        rest: list[Stretch] = []
        if self._starts[first] < start:
            rest.append((self._starts[first], start))
        if self._untils[last - 1] > until:
            rest.append((until, self._untils[last - 1]))
        self._starts[first:last] = [one for one, _ in rest]
        self._untils[first:last] = [one for _, one in rest]

    def within(self, start: int, until: int) -> list[Stretch]:
        """List what of the set lies in `[start, until)`."""
        if start >= until:
            return []
        first = bisect_right(self._untils, start)
        last = bisect_left(self._starts, until)
        return [(max(self._starts[i], start), min(self._untils[i], until)) for i in range(first, last)]

    def length(self, start: int, until: int) -> int:
        """Measure what of the set lies in `[start, until)`."""
        return sum(end - begin for begin, end in self.within(start, until))

    def overlap(self, start: int, until: int) -> bool:
        """Say whether anything of the set lies in `[start, until)`."""
        return start < until and bisect_right(self._untils, start) < bisect_left(self._starts, until)

    @property
    def last(self) -> Stretch | None:
        """The latest stretch."""
        return (self._starts[-1], self._untils[-1]) if self._starts else None

    @property
    def first(self) -> int | None:
        """The earliest moment."""
        return self._starts[0] if self._starts else None


def quarters(start: int, until: int) -> Stretch:
    """Widen to whole quarter hours; a moment alone (`start == until`) has its own."""
    return start - start % QUARTER, max(until - 1, start) // QUARTER * QUARTER + QUARTER
