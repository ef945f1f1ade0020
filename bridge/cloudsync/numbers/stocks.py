"""Stocks: what is open at the edges of quarter hours.

What happens exactly at an edge belongs to the quarter hour that begins there, so a stock at an edge is what was open
just before it: a span counts at the edges in `(at, until]`. The close of one quarter hour is the opening of the next.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

from bridge.words.cloudsync import QUARTER, Fact


class Stay(NamedTuple):
    """A span as the edges see it: counted at the edges first to last (numbered from 0); open `since` that moment."""

    first: int
    last: int
    since: int


def stay(span: Fact, start: int, edges: int) -> Stay | None:
    """Number the edges at which a span counts, among `edges` of them from `start` on; None if there are none.

    A span without an end goes on beyond every edge, the ones after now too: nothing has ended it, and the identities
    must hold in a quarter hour that still runs, or that a producer's clock has run ahead to.
    """
    first = max((span.at - start) // QUARTER + 1, 0)
    last = edges - 1 if span.until is None else min((span.until - start) // QUARTER, edges - 1)
    return Stay(first, last, span.value) if first <= last else None


def levels(stays: Iterable[Stay], edges: int) -> list[int]:
    """Count what is open at each edge."""
    changes = [0] * (edges + 1)
    for first, last, _ in stays:
        changes[first] += 1
        changes[last + 1] -= 1
    return list(accumulate(changes))[:-1]


def standing(stays: Sequence[Stay], edges: int) -> Iterator[list[int]]:
    """Walk the edges with the `since` of all that is open there, in order; it is one list, changed at each step."""
    come: list[list[int]] = [[] for _ in range(edges + 1)]
    gone: list[list[int]] = [[] for _ in range(edges + 1)]
    for first, last, since in stays:
        come[first].append(since)
        gone[last + 1].append(since)
    present: list[int] = []
    for edge in range(edges):
        for since in gone[edge]:
            del present[bisect_left(present, since)]
        if come[edge]:
            present += come[edge]
            present.sort()  # mostly two runs that are in order: quick even for a large backlog
        yield present
