"""Tickets in quarter hours: T = 20 s, short = 5 s, all in group X unless said."""

import pytest

from bridge.cloudsync.numbers import stt
from bridge.words.cloudsync import Fact, Mapping, Post
from tests.cloudsync.numbers.telling import ANN, BEN, LATE, X, Y, at, fact, quarter, quarters

HOUR = 3_600_000


def open_ticket(
    since: str, until: str | None = None, record: str = "500000000000001AAA", created: str = "", **more: str
) -> Fact:
    return fact(Post.SPAN_OPEN, since, record, value=at(created or since), until=until, **more)


def test_case_13_an_event_at_the_edge_is_in_the_interval_that_begins_there() -> None:
    told = [fact(Post.CREATED, "10:15:00.000", "a"), fact(Post.CREATED, "10:14:59.999", "b")]
    told += [open_ticket("10:15:00.000", None, "a"), open_ticket("10:14:59.999", None, "b")]
    before, after = quarter(told, "10:00"), quarter(told, "10:15")
    assert (before.created, before.backlog_close) == (1, 1)
    assert (after.created, after.backlog_open, after.backlog_close) == (1, 1, 2)


def test_a_ticket_closed_at_the_edge_still_opens_the_interval_in_which_it_closes() -> None:
    told = [fact(Post.CREATED, "10:01"), open_ticket("10:01", "10:15"), fact(Post.CLOSED, "10:15", value=840_000)]
    before, after = quarter(told, "10:00"), quarter(told, "10:15")
    assert (before.closed, before.backlog_close) == (0, 1)
    assert (after.closed, after.backlog_open, after.backlog_close) == (1, 1, 0)


def test_case_14_closed_on_create_is_created_closed_and_never_in_the_backlog() -> None:
    told = [fact(post, "10:01") for post in (Post.CREATED, Post.CLOSED, Post.FIRST_CLOSED, Post.CLOSED_ON_CREATE)]
    row = quarter(told, "10:00")
    assert (row.created, row.closed, row.closed_on_create, row.backlog_close) == (1, 1, 1, 0)
    assert (row.res_sum_s, row.res_avg_s, row.res_p50_s) == (0, 0.0, 0.0)


def test_case_15_the_first_close_stays_where_it_was_when_a_ticket_is_reopened_and_closed_again() -> None:
    told = [
        fact(Post.CREATED, "10:01"),
        open_ticket("10:01", "10:20"),
        fact(Post.CLOSED, "10:20", value=19 * 60_000),
        fact(Post.FIRST_CLOSED, "10:20", value=19 * 60_000),
        fact(Post.REOPENED, "10:40"),
        open_ticket("10:40", "10:50"),
        fact(Post.CLOSED, "10:50", value=49 * 60_000),
    ]
    first, between, last = quarter(told, "10:15"), quarter(told, "10:30"), quarter(told, "10:45")
    assert (first.closed, first.first_closed, first.res_sum_s) == (1, 1, 1140)
    assert (between.reopened, between.backlog_open, between.backlog_close) == (1, 0, 1)
    assert (last.closed, last.first_closed, last.closed_unique, last.res_sum_s) == (1, 0, 1, 2940)


def test_a_ticket_closed_twice_in_one_interval_is_two_closes_and_one_ticket() -> None:
    told = [
        open_ticket("09:00", "10:02"),
        fact(Post.CLOSED, "10:02", value=HOUR),
        fact(Post.FIRST_CLOSED, "10:02"),
        fact(Post.REOPENED, "10:04"),
        fact(Post.CLOSED, "10:06", value=2 * HOUR),
    ]
    row = quarter(told, "10:00")
    assert (row.closed, row.closed_unique, row.first_closed, row.reopened) == (2, 1, 1, 1)
    assert (row.res_sum_s, row.res_avg_s, row.res_p90_s) == (10_800, 5400.0, 6840.0)


def test_case_16_from_group_to_group_is_out_of_one_row_and_into_the_other() -> None:
    told = [
        open_ticket("09:00", "10:05"),
        fact(Post.TRANSFERRED_OUT, "10:05"),
        fact(Post.TRANSFERRED_IN, "10:05", group=Y),
        open_ticket("10:05", group=Y),
    ]
    out, into, both = quarter(told, "10:00", X), quarter(told, "10:00", Y), quarter(told, "10:00", "*")
    assert (out.transferred_out, out.transferred_in, out.backlog_open, out.backlog_close) == (1, 0, 1, 0)
    assert (into.transferred_out, into.transferred_in, into.backlog_open, into.backlog_close) == (0, 1, 0, 1)
    assert (both.transferred_out, both.transferred_in, both.backlog_open, both.backlog_close) == (1, 1, 1, 1)


def test_case_16_from_agent_to_agent_within_a_group_changes_nothing() -> None:
    alone = [open_ticket("09:00", agent=ANN)]
    handed = [open_ticket("09:00", "10:05", agent=ANN), open_ticket("10:05", created="09:00", agent=BEN)]
    assert quarters(alone, "10:00", "10:30") == quarters(handed, "10:00", "10:30")


def test_case_16_a_change_of_priority_while_open_moves_the_ticket_but_not_its_creation() -> None:
    told = [
        fact(Post.CREATED, "10:01", priority="Low"),
        open_ticket("10:01", "10:05", priority="Low"),
        fact(Post.RECLASSIFIED_OUT, "10:05", priority="Low"),
        fact(Post.RECLASSIFIED_IN, "10:05", priority="High"),
        open_ticket("10:05", priority="High"),
    ]
    low, high = quarter(told, "10:00", priority="Low"), quarter(told, "10:00", priority="High")
    both = quarter(told, "10:00")
    assert (low.created, low.reclassified_out, low.backlog_close) == (1, 1, 0)
    assert (high.created, high.reclassified_in, high.backlog_close) == (0, 1, 1)
    assert (both.created, both.reclassified_in, both.reclassified_out, both.backlog_close) == (1, 1, 1, 1)


@pytest.mark.parametrize(("post", "beside"), [(Post.DELETED, Post.DELETED_OPEN), (Post.MERGED, Post.MERGED_OPEN)])
def test_case_17_deleted_or_merged_while_open_leaves_the_backlog_and_is_not_closed(post: Post, beside: Post) -> None:
    row = quarter([open_ticket("09:00", "10:05"), fact(post, "10:05"), fact(beside, "10:05")], "10:00")
    assert (row.backlog_open, row.backlog_close, row.closed) == (1, 0, 0)
    assert (getattr(row, post), getattr(row, beside)) == (1, 1)


def test_case_17_deleted_while_closed_changes_no_backlog() -> None:
    row = quarter([fact(Post.DELETED, "10:05")], "10:00")
    assert (row.deleted, row.deleted_open, row.backlog_open, row.backlog_close) == (1, 0, 0, 0)


def test_case_17_undeleted_is_in_the_backlog_from_then_on() -> None:
    told = [fact(Post.UNDELETED, "10:05"), fact(Post.UNDELETED_OPEN, "10:05"), open_ticket("10:05")]
    row = quarter(told, "10:00")
    assert (row.undeleted, row.undeleted_open, row.backlog_open, row.backlog_close) == (1, 1, 0, 1)


def test_case_4_created_and_deleted_leaves_no_backlog() -> None:
    told = [fact(post, "10:01") for post in (Post.CREATED, Post.DELETED, Post.DELETED_OPEN)]
    row = quarter(told, "10:00")
    assert (row.created, row.deleted, row.backlog_close) == (1, 1, 0)


def test_a_backlog_ages_from_the_tickets_creation_to_the_intervals_end() -> None:
    told = [open_ticket("08:15", record="a"), open_ticket("09:15", record="b"), open_ticket("10:05", record="c")]
    row = quarter([*told, fact(Post.CREATED, "10:05", "c")], "10:00")
    assert (row.backlog_close, row.backlog_age_oldest_s) == (3, 7200)
    assert row.backlog_age_p50_s == 3600.0
    assert row.backlog_age_p90_s == 6480.0  # 3600 + 0.8 x 3600


def test_a_ticket_transferred_lately_is_as_old_as_it_is() -> None:
    assert (
        quarter(
            [open_ticket("10:05", created="08:15"), fact(Post.TRANSFERRED_IN, "10:05")], "10:00"
        ).backlog_age_oldest_s
        == 7200
    )


def test_no_backlog_has_no_age() -> None:
    row = quarter([open_ticket("09:00", "10:05"), fact(Post.CLOSED, "10:05", value=HOUR)], "10:00")
    assert (row.backlog_age_p50_s, row.backlog_age_p90_s, row.backlog_age_oldest_s) == (None, None, None)


def test_unassigned_are_those_that_no_user_owns() -> None:
    told = [open_ticket("09:00", record="a", agent=ANN), open_ticket("09:00", record="b")]
    row = quarter(told, "10:00")
    assert (row.backlog_close, row.unassigned_close) == (2, 1)


def test_a_backlog_is_in_every_interval_until_it_ends() -> None:
    rows = quarters([open_ticket("09:00", "11:05"), fact(Post.CLOSED, "11:05")], "10:00", "11:30")
    closing = {
        at(clock): rows.get((at(clock), X, "*", "*"), stt.ZERO) for clock in ("10:00", "10:45", "11:00", "11:15")
    }
    assert [row.backlog_close for row in closing.values()] == [1, 1, 0, 0]
    assert (at("11:15"), X, "*", "*") not in rows


def test_a_ticket_of_years_ago_is_in_the_backlog_of_today() -> None:
    ancient = at("10:00", "2019-01-01")
    row = quarter([fact(Post.SPAN_OPEN, ancient, value=ancient)], "10:00")
    assert row.backlog_open == row.backlog_close == 1
    assert row.backlog_age_oldest_s == (at("10:15") - ancient) // 1000


def test_the_backlog_of_an_interval_that_still_runs_is_what_nothing_has_ended() -> None:
    row = quarter([fact(Post.CREATED, "10:01"), open_ticket("10:01")], "10:00", as_of=at("10:02"))
    assert (row.created, row.backlog_close) == (1, 1)


def test_a_producers_clock_that_runs_ahead_is_taken_at_its_word() -> None:
    told = [fact(Post.CREATED, "10:01"), open_ticket("10:01", "10:17"), fact(Post.CLOSED, "10:17", value=960_000)]
    assert quarter(told, "10:15", as_of=at("10:10")).closed == 1


def test_first_responses_come_with_their_average_and_percentiles() -> None:
    told = [fact(Post.FIRST_RESPONSE, "10:05", str(wait), value=wait * 1000) for wait in (60, 120, 600)]
    row = quarter(told, "10:00")
    assert (row.first_responses, row.frt_sum_s, row.frt_avg_s) == (3, 780, 260.0)
    assert (row.frt_p50_s, row.frt_p90_s) == (120.0, 504.0)


def test_escalations_are_counted() -> None:
    assert quarter([fact(Post.ESCALATED, "10:05")], "10:00").escalated == 1


def test_a_missing_priority_origin_or_group_is_a_row_of_its_own() -> None:
    rows = quarters([fact(Post.CREATED, "10:05", group=""), open_ticket("10:05", group="")], "10:00")
    assert rows[at("10:00"), "", "", ""].created == 1
    assert set(rows) == {(at("10:00"), group, *rest) for group in ("", "*") for rest in _rolled("", "")}


def _rolled(channel: str, priority: str) -> list[tuple[str, str]]:
    return [(one, other) for one in (channel, "*") for other in (priority, "*")]


def test_nothing_happened_is_no_row() -> None:
    assert quarters([], "10:00", "10:45") == {}
    assert stt.compute([], at("10:00"), at("10:00"), Mapping(), as_of=LATE) == {}


def test_the_arrival_view_posts_a_ticket_where_it_was_created_and_leaves_the_stocks() -> None:
    arrival = at("07:01")
    told = [
        fact(Post.CREATED, "07:01", arrival=arrival),
        open_ticket("07:01", "09:05"),
        fact(Post.CLOSED, "09:05", value=2 * HOUR, arrival=arrival),
    ]
    arrived = quarter(told, "07:00", attribution="arrival")
    assert (arrived.created, arrived.closed, arrived.res_sum_s, arrived.backlog_close) == (1, 1, 7200, 1)
    ended = quarter(told, "09:00", attribution="arrival")
    assert (ended.closed, ended.backlog_open, ended.backlog_close) == (0, 1, 0)


def test_rows_have_every_metric_of_the_page() -> None:
    families = [f"{name}_{part}" for name in ("frt", "res") for part in ("sum_s", "avg_s", "p50_s", "p90_s")]
    tickets = [
        "created",
        "closed",
        "closed_unique",
        "first_closed",
        "reopened",
        "transferred_in",
        "transferred_out",
        "deleted",
        "undeleted",
        "merged",
        "backlog_open",
        "backlog_close",
        "unassigned_close",
        "backlog_age_p50_s",
        "backlog_age_p90_s",
        "backlog_age_oldest_s",
        "escalated",
        "first_responses",
        "closed_on_create",
        "reclassified_in",
        "reclassified_out",
        "deleted_open",
        "undeleted_open",
        "merged_open",
    ]
    contacts = [
        "offered",
        "answered",
        "answered_within_sl",
        "abandoned",
        "abandoned_within_sl",
        "abandoned_short",
        "flow_out",
        "handled",
        "wait_sum_s",
        "asa_s",
        "abandon_wait_sum_s",
        "max_wait_answered_s",
        "max_wait_abandoned_s",
        "talk_s",
        "hold_s",
        "wrap_s",
        "handle_s",
        "aht_s",
        "busy_split_s",
        "sl_pct",
        "abandon_pct",
        "queue_open",
        "open_end",
        "offered_by_transfer",
    ]
    assert sorted(stt.METRICS) == sorted([*families, *tickets, *contacts])
