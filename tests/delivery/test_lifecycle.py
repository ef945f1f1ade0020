"""The life of a pop as words and transitions."""

import itertools

import pytest

from bridge.delivery.lifecycle import FINAL, OPEN, Copies, Status, expires, may_follow


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("held", "sent"),
        ("sent", "held"),
        ("held", "delivered"),
        ("sent", "delivered"),
        ("held", "expired"),
        ("sent", "expired"),
        ("sent", "shown"),
        ("delivered", "shown"),
        ("delivered", "unchanged"),
        ("delivered", "refused"),
        ("sent", "refused"),
    ],
)
def test_a_pop_may_go_this_way(before: str, after: str) -> None:
    assert may_follow(Status(before), Status(after))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("delivered", "held"),
        ("delivered", "sent"),
        ("delivered", "expired"),
        ("shown", "refused"),
        ("shown", "unchanged"),
        ("unchanged", "refused"),
        ("refused", "unchanged"),
        ("expired", "sent"),
        ("expired", "delivered"),
        ("expired", "shown"),
    ],
)
def test_a_pop_never_goes_that_way(before: str, after: str) -> None:
    assert not may_follow(Status(before), Status(after))


def test_no_status_follows_itself() -> None:
    assert not any(may_follow(status, status) for status in Status)


def test_the_first_shown_is_final() -> None:
    assert not any(may_follow(Status.SHOWN, status) for status in Status)


def test_open_and_final_exclude_each_other() -> None:
    assert not OPEN & FINAL


@pytest.mark.parametrize(
    ("copies", "status"),
    [
        (Copies(), "held"),
        (Copies(awaiting=1), "held"),
        (Copies(awaiting=1, written=True), "sent"),
        (Copies(awaiting=0, written=True), "held"),
        (Copies(unproven=True, written=True), "sent"),
    ],
)
def test_held_and_sent_follow_from_the_copies(copies: Copies, status: str) -> None:
    assert copies.after(Status.HELD) is copies.after(Status.SENT) is Status(status)


def test_copies_change_nothing_of_what_is_beyond_open() -> None:
    for status, awaiting, written in itertools.product(set(Status) - OPEN, (0, 1), (False, True)):
        assert Copies(awaiting, written).after(status) is status


def test_what_expires_is_held_or_sent_without_proof() -> None:
    assert expires(Status.HELD, Copies())
    assert expires(Status.SENT, Copies(awaiting=1, written=True))
    assert not expires(Status.SENT, Copies(unproven=True, written=True))
    assert not any(expires(status, Copies()) for status in set(Status) - OPEN)
