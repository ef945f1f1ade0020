"""What is final stays final; what is in doubt waits, in the rows that the doubt concerns."""

from bridge.cloudsync.flow.finality import Doubts, Finality


def test_what_ended_by_the_target_becomes_final() -> None:
    finality = Doubts().advance(Finality(), 1_000)
    assert finality.is_final(1_000, "A")
    assert not finality.is_final(1_001, "A")


def test_a_doubt_holds_the_rows_of_its_group_and_of_all_groups_from_then_on() -> None:
    finality = Doubts.of([(500, ["A"])]).advance(Finality(400), 1_000)
    assert [finality.is_final(end, "A") for end in (400, 500, 600)] == [True, True, False]
    assert [finality.is_final(end, "*") for end in (500, 600)] == [True, False]
    assert finality.is_final(1_000, "B")


def test_a_doubt_of_unknown_group_holds_every_row() -> None:
    finality = Doubts.of([(500, [])]).advance(Finality(400), 1_000)
    assert not finality.is_final(600, "B")


def test_what_was_final_before_the_doubt_came_stays_so() -> None:
    finality = Doubts.of([(100, ["A"])]).advance(Finality(400), 1_000)
    assert finality.is_final(400, "A")
    assert not finality.is_final(500, "A")


def test_a_doubt_that_is_gone_holds_nothing() -> None:
    held = Doubts.of([(500, ["A"])]).advance(Finality(400), 1_000)
    assert Doubts().advance(held, 1_100).is_final(1_100, "A")


def test_rows_that_end_after_the_doubt_began_are_in_doubt() -> None:
    doubts = Doubts.of([(500, ["A"]), (700, ["B"])])
    assert [doubts.touch(end, "A") for end in (500, 501)] == [False, True]
    assert [doubts.touch(end, "B") for end in (700, 701)] == [False, True]
    assert doubts.touch(501, "*")
    assert not doubts.touch(10_000, "C")
