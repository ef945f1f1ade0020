"""Sets of times behave like sets of their moments."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.cloudsync.flow.stretches import Stretches, quarters

moments = st.integers(0, 60)
steps = st.lists(st.tuples(st.booleans(), moments, moments), max_size=12)


def made(some: list[tuple[bool, int, int]]) -> tuple[Stretches, set[int]]:
    stretches, naive = Stretches(), set[int]()
    for adding, start, until in some:
        if adding:
            stretches.add(start, until)
            naive |= set(range(start, until))
        else:
            stretches.drop(start, until)
            naive -= set(range(start, until))
    return stretches, naive


@given(steps)
def test_it_has_the_moments_that_were_added_and_not_dropped(some: list[tuple[bool, int, int]]) -> None:
    stretches, naive = made(some)
    assert {moment for start, until in stretches for moment in range(start, until)} == naive
    edges = [edge for stretch in stretches for edge in stretch]
    assert edges == sorted(set(edges))


@given(steps, moments, moments)
def test_it_measures_what_lies_within(some: list[tuple[bool, int, int]], start: int, until: int) -> None:
    stretches, naive = made(some)
    inside = naive & set(range(start, until))
    assert stretches.length(start, until) == len(inside)
    assert stretches.overlap(start, until) == bool(inside)
    assert stretches.first == min(naive, default=None)


def test_a_moment_has_its_quarter_hour_and_an_end_on_a_mark_has_none_of_the_next() -> None:
    assert quarters(900_000, 900_000) == (900_000, 1_800_000)
    assert quarters(899_999, 900_000) == (0, 900_000)
    assert quarters(1, 900_001) == (0, 1_800_000)
