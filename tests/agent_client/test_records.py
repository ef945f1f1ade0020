"""The rules of records, by example and for any course of events."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_client.records import MAX_ACTIVITIES, NotInActivitiesError, Records


def test_another_record_puts_the_current_one_aside() -> None:
    assert Records().opening("a").opening("b").opening("c") == Records("c", ("b", "a"))


def test_the_same_record_changes_nothing() -> None:
    assert Records("a", ("b",)).opening("a") == Records("a", ("b",))


def test_a_suspended_record_that_is_opened_leaves_the_activities() -> None:
    assert Records("a", ("b", "c")).opening("c") == Records("c", ("a", "b"))


def test_only_activities_can_be_resumed() -> None:
    assert Records("a", ("b",)).resuming("b") == Records("b", ("a",))
    with pytest.raises(NotInActivitiesError):
        Records("a", ("b",)).resuming("a")


def test_closing_ends_a_record_wherever_it_is() -> None:
    assert Records("a", ("b",)).closing("a") == Records(None, ("b",))
    assert Records("a", ("b",)).closing("b") == Records("a", ())
    assert Records("a", ("b",)).closing("c") == Records("a", ("b",))


names = st.sampled_from([f"r{number}" for number in range(70)])
steps = st.one_of(
    st.tuples(st.just("opening"), names),
    st.tuples(st.just("closing"), names),
    st.tuples(st.just("resuming"), names),
    st.tuples(st.just("suspending"), st.none()),
    st.tuples(st.just("told"), st.tuples(st.none() | names, st.lists(names, max_size=60).map(tuple))),
)


def step(records: Records, name: str, argument: Any) -> Records:
    match name, argument:
        case "told", (current, activities):
            return Records.told(current, activities)
        case "suspending", _:
            return records.suspending()
        case "resuming", reference if reference not in records.activities:
            return records
        case _:
            made: Records = getattr(records, name)(argument)
            return made


@given(st.lists(steps, max_size=80))
def test_whatever_happens_the_current_record_is_not_an_activity_and_activities_are_few_and_distinct(
    course: list[tuple[str, object]],
) -> None:
    records = Records()
    for name, argument in course:
        before, records = records, step(records, name, argument)
        assert records.current not in records.activities
        assert len(records.activities) <= MAX_ACTIVITIES
        assert len(set(records.activities)) == len(records.activities)
        if name in {"opening", "resuming", "suspending"} and before.current not in {None, records.current}:
            assert records.activities[0] == before.current


@given(st.lists(names, min_size=1, max_size=120))
def test_opening_one_after_the_other_leaves_the_newest_first(opened: list[str]) -> None:
    records = Records()
    for reference in opened:
        records = records.opening(reference)
    newest = list(dict.fromkeys(reversed(opened)))
    assert [records.current, *records.activities] == newest[: MAX_ACTIVITIES + 1]
