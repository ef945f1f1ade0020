"""Contacts in quarter hours: T = 20 s, short = 5 s, chats of group X unless said."""

from typing import Any

import pytest

from bridge.cloudsync.numbers.stt import SlMode
from bridge.words.cloudsync import Fact, Mapping, Post
from tests.cloudsync.numbers.telling import ANN, BEN, X, Y, at, fact, quarter, quarters

MINUTE = 60_000


def queued(since: str, until: int | None, **more: Any) -> Fact:
    return fact(Post.SPAN_QUEUED, since, until=until, channel="Chat", **more)


def answered(since: str, wait: int, record: str = "570000000000001AAA", **more: Any) -> list[Fact]:
    """Tell of a chat that waited so many milliseconds and was answered; what comes after is not told."""
    begin = at(since)
    more = {"channel": "Chat", "arrival": begin, **more}
    return [
        fact(Post.OFFERED, begin, record, **more),
        fact(Post.SPAN_QUEUED, begin, record, until=begin + wait, **more),
        fact(Post.ANSWERED, begin + wait, record, agent=ANN, value=wait, **more),
    ]


def left(since: str, wait: int, record: str = "570000000000001AAA", post: Post = Post.ABANDONED) -> list[Fact]:
    begin = at(since)
    told = answered(since, wait, record)[:2]
    return [*told, fact(post, begin + wait, record, channel="Chat", arrival=begin, value=wait)]


def handled(answer: str, end: str, wrap: int = 0, hold: int = 0, **more: Any) -> list[Fact]:
    talk = at(end) - at(answer) - hold
    more = {"channel": "Chat", "agent": ANN, **more}
    return [
        fact(Post.SPAN_BUSY, answer, until=at(end) + wrap, **more),
        fact(Post.HANDLED, at(end) + wrap, value=talk, hold=hold, wrap=wrap, **more),
    ]


def test_case_18_handle_time_is_posted_where_wrap_up_ended_and_busy_time_is_split() -> None:
    told = [*handled("09:16", "09:32"), *handled("09:35", "10:05", record="570000000000002AAA")]
    rows = quarters(told, "09:15", "10:00")
    in_order = [rows[at(clock), X, "*", "*"] for clock in ("09:15", "09:30", "09:45", "10:00")]
    assert [row.handle_s for row in in_order] == [0, 960, 0, 1800]
    assert [row.handled for row in in_order] == [0, 1, 0, 1]
    assert [row.busy_split_s for row in in_order] == [840, 720, 900, 300]
    assert [row.aht_s for row in in_order] == [None, 960.0, None, 1800.0]


def test_case_19_a_contact_is_offered_where_it_queued_and_answered_where_it_was_answered() -> None:
    told = answered("07:28", 4 * MINUTE)
    before, after = quarter(told, "07:15"), quarter(told, "07:30")
    assert (before.offered, before.answered, before.open_end) == (1, 0, 1)
    assert (after.offered, after.queue_open, after.answered, after.open_end) == (0, 1, 1, 0)
    assert (after.wait_sum_s, after.asa_s, after.max_wait_answered_s) == (240, 240.0, 240)


def test_case_19_the_arrival_view_has_both_where_it_queued() -> None:
    told = [*answered("07:28", 4 * MINUTE), *handled("07:32", "07:50", arrival=at("07:28"))]
    row = quarter(told, "07:15", attribution="arrival")
    assert (row.offered, row.answered, row.handled, row.handle_s) == (1, 1, 1, 1080)
    assert (row.queue_open, row.open_end) == (0, 0)
    later = quarter(told, "07:30", attribution="arrival")
    assert (later.answered, later.queue_open, later.busy_split_s) == (0, 0, 780)


def test_the_arrival_view_shows_who_still_waits() -> None:
    told = [fact(Post.OFFERED, "07:28", channel="Chat"), queued("07:28", None)]
    assert quarter(told, "07:15", attribution="arrival").open_end == 1
    assert quarter(told, "07:30", attribution="arrival").open_end == 0
    assert quarter(told, "07:30").queue_open == quarter(told, "07:30").open_end == 1


def test_case_20_a_wait_of_exactly_the_threshold_is_within_and_of_exactly_the_short_limit_is_not_short() -> None:
    assert quarter(answered("10:01", 20_000), "10:00").answered_within_sl == 1
    assert quarter(answered("10:01", 20_001), "10:00").answered_within_sl == 0
    row = quarter(left("10:01", 5_000), "10:00")
    assert (row.abandoned, row.abandoned_within_sl, row.abandoned_short) == (1, 1, 0)
    row = quarter(left("10:01", 4_999), "10:00")
    assert (row.abandoned, row.abandoned_within_sl, row.abandoned_short) == (0, 0, 1)


def test_short_abandons_are_in_no_ratio_sum_or_maximum() -> None:
    row = quarter(left("10:01", 4_999), "10:00")
    assert (row.abandon_wait_sum_s, row.max_wait_abandoned_s, row.sl_pct, row.abandon_pct) == (0, None, None, None)


def test_a_short_limit_of_zero_is_off() -> None:
    row = quarter(left("10:01", 0), "10:00", mapping=Mapping(short_abandon={X: 0}))
    assert (row.abandoned, row.abandoned_short) == (1, 0)


def test_each_group_has_its_own_limits_in_the_roll_up_too() -> None:
    told = [*answered("10:01", 25_000), *answered("10:02", 25_000, "570000000000002AAA", group=Y)]
    mapping = Mapping(sl_threshold={Y: 30_000})
    assert quarter(told, "10:00", X, mapping=mapping).sl_pct == 0.0
    assert quarter(told, "10:00", Y, mapping=mapping).sl_pct == 100.0
    assert quarter(told, "10:00", "*", mapping=mapping).sl_pct == 50.0


@pytest.mark.parametrize(("mode", "expected"), [("negative", 70.0), ("ignore", 77.8), ("positive", 80.0)])
def test_service_level_of_a_hundred_by_mode(mode: SlMode, expected: float) -> None:
    told: list[Fact] = []
    for number in range(100):
        record = f"570{number:012d}AAA"
        if number < 70:
            told += answered("10:01", 10_000, record)
        elif number < 80:
            told += left("10:01", 10_000, record)
        elif number < 90:
            told += answered("10:01", 60_000, record)
        else:
            told += left("10:01", 60_000, record)
    row = quarter(told, "10:00", sl_mode=mode)
    assert (row.offered, row.answered_within_sl, row.abandoned_within_sl) == (100, 70, 10)
    assert row.sl_pct == expected
    assert row.abandon_pct == 20.0


def test_case_21_a_missed_chat_is_offered_and_abandoned_and_nobody_handled_it() -> None:
    told = [*left("10:01", 60_000), fact(Post.AGENT_OFFERED, "10:01", agent=ANN, channel="Chat")]
    told.append(fact(Post.AGENT_MISSED, "10:02", agent=ANN, channel="Chat"))
    row = quarter(told, "10:00")
    assert (row.offered, row.answered, row.abandoned, row.handled) == (1, 0, 1, 0)


def test_case_21_declines_are_no_more_offers_of_the_contact() -> None:
    told = answered("10:01", 30_000)
    for agent, post in ((ANN, Post.AGENT_DECLINED), (BEN, Post.AGENT_DECLINED), (ANN, Post.AGENT_ACCEPTED)):
        told += [fact(Post.AGENT_OFFERED, "10:01", agent=agent), fact(post, "10:01", agent=agent)]
    row = quarter(told, "10:00")
    assert (row.offered, row.answered) == (1, 1)


def test_case_22_a_leg_that_queued_anew_is_offered_and_answered_in_its_own_group() -> None:
    more = {"group": Y, "channel": "Video", "session": "570000000000001AAA"}
    told = answered("10:01", 10_000, channel="Video")
    told += answered("10:05", 10_000, "570000000000002AAA", **more)
    told.append(fact(Post.OFFERED_BY_TRANSFER, "10:05", "570000000000002AAA", **more))
    first, second = quarter(told, "10:00", X), quarter(told, "10:00", Y)
    assert (first.offered, first.offered_by_transfer, first.answered) == (1, 0, 1)
    assert (second.offered, second.offered_by_transfer, second.answered) == (1, 1, 1)


def test_case_22_an_owner_change_splits_the_talk_and_is_neither_offered_nor_answered_again() -> None:
    told = [
        *answered("10:01", 0),
        fact(Post.SPAN_BUSY, "10:01", until="10:10", agent=ANN, channel="Chat"),
        fact(Post.TALKED, "10:10", agent=ANN, value=9 * MINUTE, channel="Chat"),
        *handled("10:10", "10:20", wrap=30_000, agent=BEN),
    ]
    first, second = quarter(told, "10:00"), quarter(told, "10:15")
    assert (first.offered, first.answered, first.handled, first.talk_s, first.aht_s) == (1, 1, 0, 540, None)
    assert (second.offered, second.answered, second.handled, second.talk_s) == (0, 0, 1, 600)
    assert (second.wrap_s, second.handle_s, second.aht_s) == (30, 630, 630.0)
    assert first.busy_split_s + second.busy_split_s == 19 * 60 + 30


def test_case_23_an_end_before_the_accept_counts_as_nothing_but_counts() -> None:
    row = quarter([*answered("10:01", 0), *handled("10:01", "10:01")], "10:00")
    assert (row.answered, row.handled, row.talk_s, row.handle_s, row.aht_s) == (1, 1, 0, 0, 0.0)
    assert (row.asa_s, row.max_wait_answered_s, row.busy_split_s) == (0.0, 0, 0)


def test_leaving_the_queue_unanswered_but_not_by_the_customer_is_flow_out() -> None:
    row = quarter(left("10:01", 60_000, post=Post.FLOW_OUT), "10:00")
    assert (row.offered, row.flow_out, row.abandoned, row.abandon_pct) == (1, 1, 0, None)


def test_a_change_of_group_while_queued_flows_out_of_one_and_begins_in_the_other() -> None:
    told = left("10:01", 60_000, post=Post.FLOW_OUT)
    told += answered("10:02", 10_000, group=Y)
    told.append(fact(Post.OFFERED_BY_TRANSFER, "10:02", channel="Chat", group=Y))
    assert quarter(told, "10:00", X).flow_out == 1
    other = quarter(told, "10:00", Y)
    assert (other.offered, other.offered_by_transfer, other.wait_sum_s, other.answered_within_sl) == (1, 1, 10, 1)
    both = quarter(told, "10:00", "*")
    assert (both.offered, both.flow_out, both.answered) == (2, 1, 1)


def test_hold_and_wrap_are_beside_talk_and_all_are_handle_time() -> None:
    row = quarter(handled("10:01", "10:06", wrap=45_000, hold=60_000), "10:00")
    assert (row.talk_s, row.hold_s, row.wrap_s, row.handle_s, row.aht_s) == (240, 60, 45, 345, 345.0)


def test_sums_are_added_in_milliseconds_and_rounded_down_once() -> None:
    told = [one for number in range(3) for one in answered("10:01", 1_600, f"570{number:012d}AAA")]
    row = quarter(told, "10:00")
    assert (row.wait_sum_s, row.asa_s, row.max_wait_answered_s) == (4, 1.6, 1)
    halves = [fact(Post.HANDLED, "10:01", value=500, hold=500, agent=ANN)]
    row = quarter(halves, "10:00")
    assert (row.talk_s, row.hold_s, row.handle_s) == (0, 0, 1)


def test_a_session_in_work_without_an_end_is_busy_until_now() -> None:
    told = [fact(Post.SPAN_BUSY, "10:01", until=None, agent=ANN)]
    assert quarter(told, "10:00", as_of=at("10:05")).busy_split_s == 240
    assert quarter(told, "10:00", as_of=at("11:00")).busy_split_s == 840
    assert quarter(told, "10:15", as_of=at("10:05")).busy_split_s == 0


def test_sessions_at_once_add_up() -> None:
    told = [fact(Post.SPAN_BUSY, "10:00", str(number), until="10:10", agent=ANN) for number in range(3)]
    assert quarter(told, "10:00").busy_split_s == 1800
