"""The rules of records, by example and for any course of events, in both languages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_client.records import MAX_ACTIVITIES, NotInActivitiesError, Records
from tests.agent_client.rules import Rules


def after(rules: Rules, records: Records, *steps: tuple[str, object]) -> Records:
    for name, argument in steps:
        records = rules.step(records, name, argument)
    return records


def test_another_record_puts_the_current_one_aside(rules: Rules) -> None:
    assert after(rules, Records(), ("opening", "a"), ("opening", "b"), ("opening", "c")) == Records("c", ("b", "a"))


def test_the_same_record_changes_nothing(rules: Rules) -> None:
    assert after(rules, Records("a", ("b",)), ("opening", "a")) == Records("a", ("b",))


def test_a_suspended_record_that_is_opened_leaves_the_activities(rules: Rules) -> None:
    assert after(rules, Records("a", ("b", "c")), ("opening", "c")) == Records("c", ("a", "b"))


def test_only_activities_can_be_resumed(rules: Rules) -> None:
    assert after(rules, Records("a", ("b",)), ("resuming", "b")) == Records("b", ("a",))
    with pytest.raises(NotInActivitiesError):
        after(rules, Records("a", ("b",)), ("resuming", "a"))


def test_closing_ends_a_record_wherever_it_is(rules: Rules) -> None:
    assert after(rules, Records("a", ("b",)), ("closing", "a")) == Records(None, ("b",))
    assert after(rules, Records("a", ("b",)), ("closing", "b")) == Records("a", ())
    assert after(rules, Records("a", ("b",)), ("closing", "c")) == Records("a", ("b",))


names = st.sampled_from([f"r{number}" for number in range(70)])
steps = st.one_of(
    st.tuples(st.just("opening"), names),
    st.tuples(st.just("closing"), names),
    st.tuples(st.just("resuming"), names),
    st.tuples(st.just("suspending"), st.none()),
    st.tuples(st.just("told"), st.tuples(st.none() | names, st.lists(names, max_size=60).map(tuple))),
)


@given(st.lists(steps, max_size=80))
def test_whatever_happens_the_current_record_is_not_an_activity_and_activities_are_few_and_distinct(
    rules: Rules,
    course: list[tuple[str, object]],
) -> None:
    records = Records()
    for name, argument in course:
        if name == "resuming" and argument not in records.activities:
            continue
        before, records = records, rules.step(records, name, argument)
        assert records.current not in records.activities
        assert len(records.activities) <= MAX_ACTIVITIES
        assert len(set(records.activities)) == len(records.activities)
        if name in {"opening", "resuming", "suspending"} and before.current not in {None, records.current}:
            assert records.activities[0] == before.current


@given(st.lists(names, min_size=1, max_size=120))
def test_opening_one_after_the_other_leaves_the_newest_first(rules: Rules, opened: list[str]) -> None:
    records = Records()
    for reference in opened:
        records = rules.step(records, "opening", reference)
    newest = list(dict.fromkeys(reversed(opened)))
    assert [records.current, *records.activities] == newest[: MAX_ACTIVITIES + 1]
