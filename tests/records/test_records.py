"""Records, as stories and as properties."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.records.records import ACTIVITIES, Desk, Locked, Opened, Records, State, Unchanged

ANN, BOB, EVE = ("acme", "ann"), ("acme", "bob"), ("other", "ann")
Kept = dict[tuple[tuple[str, str], str], State]


def keeping() -> tuple[Records, Kept]:
    kept: Kept = {}

    def keep(agent: tuple[str, str], reference: str, state: State | None) -> None:
        if state is None:
            kept.pop((agent, reference), None)
        else:
            kept[agent, reference] = state

    return Records(keep), kept


def test_a_record_opens_for_one_agent_of_a_customer_only() -> None:
    records, _ = keeping()
    assert records.open(ANN, "case 7") == Opened()
    assert records.open(BOB, "case 7") == Locked("ann")
    assert records.open(EVE, "case 7") == Opened()


def test_the_current_record_again_changes_nothing() -> None:
    records, _ = keeping()
    records.open(ANN, "case 7")
    assert records.open(ANN, "case 7") == Unchanged()


def test_another_record_puts_the_current_one_aside_and_frees_it() -> None:
    records, _ = keeping()
    records.open(ANN, "case 7")
    assert records.open(ANN, "case 8") == Opened("case 7")
    assert records.desk(ANN) == Desk("case 8", ["case 7"])
    assert records.open(BOB, "case 7") == Opened()


def test_resuming_counts_only_from_the_agents_own_activities_with_the_lock_free() -> None:
    records, _ = keeping()
    records.open(ANN, "case 7")
    records.open(ANN, "case 8")
    assert not records.resume(BOB, "case 7")
    assert records.resume(ANN, "case 7")
    assert records.desk(ANN) == Desk("case 7", ["case 8"])
    records.open(BOB, "case 8")
    assert not records.resume(ANN, "case 8")


def test_closing_frees_the_lock_and_forgets_an_activity() -> None:
    records, kept = keeping()
    records.open(ANN, "case 7")
    records.open(ANN, "case 8")
    assert records.close(ANN, "case 8")
    assert records.close(ANN, "case 7")
    assert not records.close(ANN, "case 7")
    assert records.desk(ANN) == Desk()
    assert not kept


def test_an_agent_gone_for_good_gives_the_lock_back_and_finds_the_record_in_its_activities() -> None:
    records, _ = keeping()
    records.open(ANN, "case 7")
    assert records.leave(ANN)
    assert records.desk(ANN) == Desk(None, ["case 7"])
    assert records.open(BOB, "case 7") == Opened()


def test_an_opening_that_never_reached_the_agent_is_taken_back() -> None:
    records, _ = keeping()
    records.open(ANN, "case 7")
    records.open(ANN, "case 8")
    records.undo(ANN, "case 8", Opened("case 7"))
    assert records.desk(ANN) == Desk("case 7")


def test_a_resuming_that_never_reached_the_agent_leaves_the_record_in_the_activities() -> None:
    records, _ = keeping()
    records.open(ANN, "case 7")
    records.open(ANN, "case 8")
    opened = records.open(ANN, "case 7")
    assert opened == Opened("case 8", resumed=True)
    records.undo(ANN, "case 7", opened)
    assert records.desk(ANN) == Desk("case 8", ["case 7"])


def test_the_oldest_activity_gives_way_to_the_fifty_first() -> None:
    records, kept = keeping()
    for number in range(ACTIVITIES + 2):
        records.open(ANN, f"case {number}")
    assert records.desk(ANN).activities == [f"case {number}" for number in range(ACTIVITIES, 0, -1)]
    assert (ANN, "case 0") not in kept


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["open", "close", "suspend", "resume", "leave"]),
        st.sampled_from([ANN, BOB, EVE]),
        st.sampled_from(["1", "2", "3"]),
    )
)


@given(STEPS)
def test_whatever_happens_a_record_is_open_once_and_what_is_kept_restores_it(
    steps: list[tuple[str, tuple[str, str], str]],
) -> None:
    records, kept = keeping()
    for verb, agent, reference in steps:
        if verb == "leave":
            records.leave(agent)
        else:
            getattr(records, verb)(agent, reference)
        for customer in ("acme", "other"):
            current = [records.desk(who).current for who in (ANN, BOB, EVE) if who[0] == customer]
            opened = [one for one in current if one is not None]
            assert len(opened) == len(set(opened))
    again, _ = keeping()
    for (agent, reference), state in kept.items():
        again.restore(agent, reference, state)
    for agent in (ANN, BOB, EVE):
        assert again.desk(agent).current == records.desk(agent).current
        assert sorted(again.desk(agent).activities) == sorted(records.desk(agent).activities)
