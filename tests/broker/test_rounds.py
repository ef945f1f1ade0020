"""Rounds name everybody in time, once, whatever is put, dropped and put again."""

import gc
import weakref

from hypothesis import given
from hypothesis import strategies as st

from bridge.broker.core.rounds import Rounds

LONGEST = 2.0

_TIMES = st.floats(0, 30, allow_nan=False)


def test_who_is_due_is_named_once() -> None:
    rounds: Rounds[str] = Rounds(LONGEST, 100.0)
    rounds.put("a", 101.0)
    assert rounds.due(100.9) == []
    assert rounds.due(101.2) == ["a"]
    assert rounds.due(200.0) == []


def test_whose_time_is_far_off_is_named_earlier() -> None:
    rounds: Rounds[str] = Rounds(LONGEST, 0.0)
    rounds.put("a", float("inf"))
    assert rounds.due(1.8) == []
    assert rounds.due(LONGEST) == ["a"]


def test_what_was_asked_for_last_counts_and_who_is_dropped_is_not_named() -> None:
    rounds: Rounds[str] = Rounds(LONGEST, 0.0)
    for name in "ab":
        rounds.put(name, 1.0)
        rounds.put(name, 0.3)
    rounds.drop("b")
    assert rounds.due(0.5) == ["a"]
    assert rounds.due(5.0) == []


def test_nothing_is_kept_of_who_came_and_went() -> None:
    class Visitor:
        """Somebody."""

    one = Visitor()
    gone = weakref.ref(one)
    visitors: Rounds[Visitor] = Rounds(LONGEST, 0.0)
    for due in (1.0, 0.3, 1.7):
        visitors.put(one, due)
    visitors.drop(one)
    del one
    gc.collect()
    assert gone() is None


@given(st.lists(st.tuples(st.sampled_from("abc"), _TIMES, st.floats(0, 3), st.booleans()), max_size=40))
def test_nobody_is_named_too_early_or_too_late(steps: list[tuple[str, float, float, bool]]) -> None:
    rounds: Rounds[str] = Rounds(LONGEST, 0.0)
    now, expected = 0.0, dict[str, float]()
    for name, due, passes, drops in steps:
        if drops:
            rounds.drop(name)
            expected.pop(name, None)
        else:
            rounds.put(name, due)
            expected[name] = max(min(due, now + LONGEST), now)
        now += passes
        named = rounds.due(now)
        assert len(set(named)) == len(named)
        for one in named:
            assert expected.pop(one) <= now + Rounds.WIDTH
        assert all(at > now - 2 * Rounds.WIDTH for at in expected.values())
