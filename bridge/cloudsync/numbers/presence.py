"""Presence: an agent's day in states, and what of it was spent in sessions.

Every presence record is folded on its own, so when the end of one is lost it would go on beside those that follow. An
agent is in one state at a time: a later presence ends the one before.
"""

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import NamedTuple

from bridge.words.cloudsync import Fact

Stretch = tuple[int, int]
"""Milliseconds `[from, until)`."""


class State(NamedTuple):
    """One presence of an agent: its category, and whether nothing has ended it yet."""

    begin: int
    until: int
    category: str
    open: bool


class Presence(NamedTuple):
    """An agent's presence on a day, in milliseconds. `first` and `last` are moments.

    `last` is None if nobody was logged in, or somebody `still` is at the day's end.
    """

    login: int = 0
    available: int = 0
    away: int = 0
    on_break: int = 0
    idle: int = 0
    busy_in_login: int = 0
    first: int | None = None
    last: int | None = None
    still: bool = False


def union(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Merge stretches that overlap or touch; those without length fall away."""
    merged: list[Stretch] = []
    for begin, until in sorted(stretches):
        if begin >= until:
            continue
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], until))
        else:
            merged.append((begin, until))
    return merged


def within(stretches: Iterable[Stretch], start: int, end: int) -> list[Stretch]:
    """Cut stretches to `[start, end)`; what lies outside falls away."""
    return [(max(begin, start), min(until, end)) for begin, until in stretches if begin < end and until > start]


def length(stretches: Iterable[Stretch]) -> int:
    """Add up the lengths."""
    return sum(until - begin for begin, until in stretches)


def shared(one: Sequence[Stretch], other: Sequence[Stretch]) -> int:
    """Measure what two unions have in common."""
    total = i = j = 0
    while i < len(one) and j < len(other):
        total += max(0, min(one[i][1], other[j][1]) - max(one[i][0], other[j][0]))
        if one[i][1] <= other[j][1]:
            i += 1
        else:
            j += 1
    return total


def states(spans: Iterable[Fact], as_of: int) -> list[State]:
    """Put an agent's presences in order, each ending at the latest where the next begins.

    Of two that begin at once, the one of the greater record id stays. One without an end lasts until `as_of`.
    """
    ordered = sorted(spans, key=lambda span: (span.at, span.record))
    begins = [span.at for span in ordered[1:]]
    found = []
    for span, following in zip_longest(ordered, begins):
        ends = [end for end in (span.until, following) if end is not None]
        until = min(ends) if ends else max(span.at, as_of)
        found.append(State(span.at, until, span.detail, open=not ends))
    return found


def presence(states: Sequence[State], busy: Sequence[Stretch], start: int, end: int) -> Presence:
    """Sum up an agent's day `[start, end)`; `busy` is the union of its sessions.

    Logged in is every state but `offline`, an unmapped one too: somebody has chosen it.
    """
    logged_in = [state for state in states if state.category != "offline"]
    login = within(union((state.begin, state.until) for state in logged_in), start, end)
    available = within(_of(states, "available"), start, end)
    last = login[-1][1] if login else None
    still = last == end or any(state.open and state.until == last for state in logged_in)
    taken = shared(available, busy)
    return Presence(
        login=length(login),
        available=length(available),
        away=length(within(_of(states, "away"), start, end)),
        on_break=length(within(_of(states, "break"), start, end)),
        idle=length(available) - taken,
        busy_in_login=shared(login, busy),
        first=login[0][0] if login else None,
        last=None if still else last,
        still=still,
    )


def together(presences: Iterable[Presence]) -> Presence:
    """Sum up several agents' days: seconds are added; the first came first, the last left last."""
    present = list(presences)
    still = any(one.still for one in present)
    return Presence(
        login=sum(one.login for one in present),
        available=sum(one.available for one in present),
        away=sum(one.away for one in present),
        on_break=sum(one.on_break for one in present),
        idle=sum(one.idle for one in present),
        busy_in_login=sum(one.busy_in_login for one in present),
        first=min((one.first for one in present if one.first is not None), default=None),
        last=None if still else max((one.last for one in present if one.last is not None), default=None),
        still=still,
    )


def _of(states: Iterable[State], category: str) -> list[Stretch]:
    return union((state.begin, state.until) for state in states if state.category == category)
