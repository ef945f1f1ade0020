"""History, dues, lag and SSE: the small parts that the live floor stands on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cloudsync.floor import sse
from bridge.cloudsync.floor.dues import Dues
from bridge.cloudsync.floor.history import History
from bridge.cloudsync.floor.lag import Lag
from bridge.words import topics


def everything_after(history: History, seq: int) -> list[bytes] | None:
    told = b""
    while (found := history.after(seq)) is not None:
        piece, seq = found
        if not piece:
            return told.split(b";")[:-1]
        told += piece
    return None


@given(st.lists(st.integers(0, 5), max_size=20), st.integers(0, 60))
def test_whoever_comes_back_gets_each_change_once_or_is_told_that_some_are_gone(sizes: list[int], seq: int) -> None:
    history, number = History(0, most_changes=20), 0
    for size in sizes:
        history.add([b"%d;" % (number + place + 1) for place in range(size)])
        number += size
    assert history.seq == number
    assert len(history) <= 20
    found = everything_after(history, seq)
    if number - len(history) <= seq <= number:
        assert found == [b"%d" % one for one in range(seq + 1, number + 1)]
    else:
        assert found is None


def test_history_is_bounded_in_bytes_too() -> None:
    history = History(100, most_bytes=1_000)
    for _ in range(50):
        history.add([b"x" * 100])
    assert len(history) == 10
    assert history.has_after(140)
    assert not history.has_after(139)
    assert not history.has_after(151)


def test_what_is_due_is_given_once_at_the_earliest_moment() -> None:
    dues: Dues[str] = Dues()
    dues.put("a", 30)
    dues.put("a", 10)
    dues.put("a", 20)
    dues.put("b", 15)
    dues.put("c", None)
    dues.put("d", 5)
    dues.drop("d")
    assert dues.next(9) is None
    assert [dues.next(40) for _ in range(3)] == ["a", "b", None]


def test_dues_do_not_grow_with_what_was_dropped() -> None:
    dues: Dues[int] = Dues()
    for number in range(10_000):
        dues.put(number, 1_000_000)
        dues.drop(number)
    assert len(dues) <= 1_001


def test_lag_is_the_age_of_the_oldest_that_waits() -> None:
    lag = Lag()
    lag.look(1_000, 0, 0)
    assert lag.milliseconds(1_500) == 0
    lag.look(2_000, 100, 0)
    lag.look(3_000, 200, 50)
    assert lag.milliseconds(4_000) == 2_000
    lag.look(4_000, 200, 100)
    assert lag.milliseconds(4_000) == 1_000
    lag.look(5_000, 200, 200)
    assert lag.milliseconds(6_000) == 0


def test_an_event_is_spelled_as_the_standard_says() -> None:
    assert sse.event("change", b'{"a":1}', 7) == b'id: 7\nevent: change\ndata: {"a":1}\n\n'
    assert sse.event("feed", b"{}") == b"event: feed\ndata: {}\n\n"


@pytest.mark.parametrize(
    ("header", "seq"),
    [("17", 17), (None, None), ("", None), ("-1", None), ("1.5", None), ("9" * 30, None), ("\u0663", None)],
)
def test_a_last_event_id_that_we_did_not_give_counts_as_none(header: str | None, seq: int | None) -> None:
    assert sse.last_seen(header) == seq


def test_an_id_is_one_level_of_the_topic() -> None:
    assert topics.live("acme", "queues", "a/b+") == "LIVE/acme/queues/a%2Fb%2B"
