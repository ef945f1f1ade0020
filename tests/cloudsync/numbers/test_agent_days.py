"""Agents' days: Ann and Ben, group X, days of UTC unless said."""

from typing import Any

from bridge.cloudsync.numbers import cim, intervals
from bridge.words.cloudsync import Fact, Mapping, Post
from tests.cloudsync.numbers.telling import ANN, BEN, DAY, LATE, ZONE, X, Y, agent_day, at, fact

MINUTE = 60_000
CHAT = {"channel": "Chat", "agent": ANN}


def busy(since: str | int, until: str | int | None, record: str = "570000000000001AAA", **more: Any) -> Fact:
    return fact(Post.SPAN_BUSY, since, record, until=until, **{**CHAT, **more})


def here(since: str | int, until: str | int | None, detail: str = "available", **more: Any) -> Fact:
    more = {"agent": ANN, "group": "", "record": f"0N5{since}", **more}
    return fact(Post.SPAN_PRESENCE, since, until=until, detail=detail, **more)


def test_case_33_three_chats_at_once_are_ten_minutes_busy_and_thirty_of_concurrency() -> None:
    told = [busy("10:00", "10:10", str(number)) for number in range(3)]
    row = agent_day([*told, here("10:00", "10:10")])
    assert (row.concurrency_s, row.busy_s, row.avg_concurrency, row.sessions_touched) == (1800, 600, 3.0, 3)
    assert (row.occupancy_pct, row.utilisation_pct, row.idle_s) == (100.0, 100.0, 0)


def test_chats_that_overlap_in_part_are_busy_once() -> None:
    row = agent_day([busy("10:00", "10:10", "a"), busy("10:05", "10:20", "b"), busy("10:20", "10:30", "c")])
    assert (row.concurrency_s, row.busy_s, row.avg_concurrency) == (2100, 1800, 1.2)


def test_case_24_a_session_over_local_midnight_is_split_between_two_days() -> None:
    begin, end = at("23:50", DAY, ZONE), at("00:20", "2026-06-16", ZONE)
    told = [
        fact(Post.AGENT_ACCEPTED, begin, **CHAT),
        busy(begin, end),
        fact(Post.HANDLED, end, value=end - begin, **CHAT),
    ]
    first, second = agent_day(told, zone=ZONE), agent_day(told, day="2026-06-16", zone=ZONE)
    assert (first.accepted, first.handled, first.busy_s, first.sessions_touched) == (1, 0, 600, 1)
    assert (second.accepted, second.handled, second.busy_s, second.sessions_touched) == (0, 1, 1200, 1)
    assert (first.handle_s, second.handle_s) == (0, 1800)


def test_case_25_days_have_the_length_that_clocks_give_them() -> None:
    for day, zone, quarters in (
        ("2026-03-08", "America/New_York", 92),
        ("2026-11-01", "America/New_York", 100),
        ("2026-10-04", "Australia/Lord_Howe", 94),
        ("2026-04-05", "Australia/Lord_Howe", 98),
        ("2026-09-06", "America/Santiago", 92),
    ):
        window = intervals.day_on(day, zone)
        row = agent_day([here(window.start - 1000, window.end + 1000)], day=day, zone=zone)
        assert (row.intervals_in_day, row.login_s, row.tz) == (quarters, quarters * 900, zone)
        assert row.first_login == row.day_start_utc == intervals.utc(window.start)
        assert row.last_logout is None


def test_case_25_the_night_of_twenty_five_hours_is_ninety_thousand_seconds() -> None:
    row = agent_day([], day="2026-11-01", zone=ZONE)
    assert (row.day_start_utc, row.day_end_utc) == ("2026-11-01T04:00:00.000Z", "2026-11-02T05:00:00.000Z")
    assert row.intervals_in_day * 900 == 90_000


def test_case_26_each_group_has_its_own_local_date_and_the_roll_up_the_customers() -> None:
    mapping = Mapping(zone={X: "America/New_York", Y: "Asia/Tokyo"})
    moment = at("20:00")  # 16:00 on the 15th in New York, 05:00 on the 16th in Tokyo
    told = [fact(Post.CLOSED, moment, group=group, agent=ANN) for group in (X, Y)]
    days = [intervals.day_on(day, zone) for day in (DAY, "2026-06-16") for zone in ("America/New_York", "Asia/Tokyo")]
    rows = cim.compute(told, days, mapping, customer_zone="America/New_York", as_of=LATE)
    closed = {
        (date, group): row.closed for (date, agent, group, channel), row in rows.items() if agent == channel == "*"
    }
    assert closed == {(DAY, X): 1, ("2026-06-16", Y): 1, (DAY, "*"): 2}
    assert rows["2026-06-16", ANN, Y, "*"].tz == "Asia/Tokyo"
    assert rows[DAY, ANN, "*", "*"].tz == "America/New_York"


def test_case_26_a_group_without_a_known_zone_has_the_customers() -> None:
    mapping = Mapping(zone={X: "(GMT-05:00) Eastern Standard Time"})
    row = agent_day([fact(Post.CLOSED, "10:00", agent=ANN)], group=X, zone=ZONE, mapping=mapping)
    assert (row.closed, row.tz) == (1, ZONE)


def test_a_day_of_another_zone_gives_no_roll_up_over_groups() -> None:
    mapping = Mapping(zone={X: "Asia/Tokyo"})
    days = [intervals.day_on(DAY, "Asia/Tokyo")]
    rows = cim.compute([fact(Post.CLOSED, "10:00", agent=ANN)], days, mapping, customer_zone="UTC", as_of=LATE)
    assert {key[2] for key in rows} == {X}


def test_case_21_who_was_offered_accepted_declined_or_missed_a_session() -> None:
    told = [fact(Post.AGENT_OFFERED, "10:00", agent=agent) for agent in (ANN, BEN, ANN, BEN)]
    told += [fact(Post.AGENT_DECLINED, "10:00", agent=ANN), fact(Post.AGENT_MISSED, "10:01", agent=BEN)]
    told += [fact(Post.AGENT_ACCEPTED, "10:02", agent=ANN)]
    ann, ben = agent_day(told), agent_day(told, BEN)
    assert (ann.offered_to_agent, ann.accepted, ann.declined, ann.missed) == (2, 1, 1, 0)
    assert (ben.offered_to_agent, ben.accepted, ben.missed, ben.handled) == (2, 0, 1, 0)
    assert ben.offered_to_agent - ben.accepted - ben.declined - ben.missed == 1  # still rings


def test_case_22_a_transfer_is_two_legs_of_one_session() -> None:
    first, second = {"agent": ANN, "channel": "Video"}, {"agent": BEN, "channel": "Video", "session": "a"}
    told = [
        busy("10:00", "10:10", "a", **first, session="a"),
        fact(Post.TALKED, "10:10", "a", value=10 * MINUTE, session="a", **first),
        fact(Post.SESSION_OUT, "10:10", "a", session="a", **first),
        fact(Post.SESSION_IN, "10:10", "b", **second),
        busy("10:10", "10:30", "b", **second),
        fact(Post.HANDLED, "10:30", "b", value=20 * MINUTE, **second),
    ]
    ann, ben, both = agent_day(told), agent_day(told, BEN), agent_day(told, "*")
    assert (ann.sessions_touched, ann.talk_s, ann.handled, ann.transferred_out) == (1, 600, 0, 1)
    assert (ben.sessions_touched, ben.talk_s, ben.handled, ben.transferred_in) == (1, 1200, 1, 1)
    assert (both.sessions_touched, both.talk_s, both.handled, both.busy_s) == (1, 1800, 1, 1800)


def test_a_session_handed_on_twice_is_one_session() -> None:
    told = [
        busy("10:00", "10:10", "a", session="a"),
        busy("10:10", "10:20", "b", session="a"),
        busy("10:20", "10:30", "c", session="b"),
        busy("10:20", "10:30", "d", session="d"),
    ]
    assert agent_day(told).sessions_touched == 2


def test_records_that_name_each_other_as_before_are_one_session() -> None:
    assert (
        agent_day([busy("10:00", "10:10", "a", session="b"), busy("10:10", "10:20", "b", session="a")]).sessions_touched
        == 1
    )


def test_a_leg_without_length_touches_the_day() -> None:
    row = agent_day([busy("10:00", "10:00")])
    assert (row.sessions_touched, row.busy_s, row.avg_concurrency) == (1, 0, None)


def test_a_leg_without_length_at_midnight_touches_the_day_that_begins() -> None:
    midnight = at("00:00")
    assert agent_day([busy(midnight, midnight)]).sessions_touched == 1
    assert agent_day([busy(midnight, midnight)], day="2026-06-14").sessions_touched == 0


def test_a_ticket_that_closes_at_midnight_was_open_at_the_days_end() -> None:
    midnight = at("00:00", "2026-06-16")
    told = [fact(Post.SPAN_OPEN, "10:00", agent=ANN, until=midnight, value=at("10:00"))]
    assert agent_day(told).open_end_of_day == 1
    assert agent_day(told, day="2026-06-16").open_end_of_day == 0


def test_states_add_up_to_login() -> None:
    told = [
        here("09:00", "10:00"),
        here("10:00", "10:15", "break"),
        here("10:15", "10:30", "away"),
        here("10:30", "10:40", "training"),
        here("10:40", "10:50", "busy"),
        here("10:50", "11:00", "offline"),
        here("11:00", "12:00"),
    ]
    row = agent_day([*told, busy("09:30", "10:05")])
    assert (row.login_s, row.available_s, row.break_s, row.away_s) == (10_200, 7200, 900, 900)
    assert row.idle_s == 7200 - 1800  # five of the minutes in work were a break
    assert row.busy_s == 2100
    assert row.occupancy_pct == 28.0  # 2100 of 2100 + 5400
    assert row.utilisation_pct == 20.6
    assert (row.first_login, row.last_logout) == (f"{DAY}T09:00:00.000Z", f"{DAY}T12:00:00.000Z")


def test_work_outside_login_is_busy_but_in_no_share() -> None:
    row = agent_day([here("10:00", "11:00"), busy("10:30", "11:30")])
    assert (row.busy_s, row.occupancy_pct, row.utilisation_pct) == (3600, 50.0, 50.0)


def test_without_presence_there_is_no_share() -> None:
    row = agent_day([busy("10:30", "11:30")])
    assert (row.login_s, row.occupancy_pct, row.utilisation_pct) == (0, None, None)
    assert (row.first_login, row.last_logout) == (None, None)


def test_presence_is_clipped_to_the_day() -> None:
    before, after = at("20:00", "2026-06-14"), at("04:00", "2026-06-16")
    whole = agent_day([here(before, after)])
    assert (whole.login_s, whole.first_login, whole.last_logout) == (86_400, f"{DAY}T00:00:00.000Z", None)
    ended = agent_day([here(before, "08:00")])
    assert (ended.login_s, ended.last_logout) == (28_800, f"{DAY}T08:00:00.000Z")
    assert agent_day([here("08:00", "23:00")]).last_logout == f"{DAY}T23:00:00.000Z"


def test_who_logs_out_at_midnight_is_logged_in_at_the_days_end() -> None:
    midnight = at("00:00", "2026-06-16")
    assert agent_day([here("08:00", midnight)]).last_logout is None
    assert agent_day([here("08:00", midnight)], day="2026-06-16").login_s == 0


def test_who_has_not_logged_out_is_logged_in_until_now() -> None:
    row = agent_day([here("08:00", None)], as_of=at("10:00"))
    assert (row.login_s, row.first_login, row.last_logout) == (7200, f"{DAY}T08:00:00.000Z", None)


def test_a_presence_whose_end_was_lost_ends_where_the_next_begins() -> None:
    told = [here("08:00", None), here("09:00", "10:00", "break")]
    row = agent_day(told)
    assert (row.login_s, row.available_s, row.break_s, row.last_logout) == (7200, 3600, 3600, f"{DAY}T10:00:00.000Z")


def test_presences_that_overlap_never_exceed_the_time_there_was() -> None:
    told = [here("08:00", "10:00"), here("09:00", "11:00", "away"), here("09:00", "09:30", "break", record="0N5")]
    row = agent_day(told)
    assert (row.login_s, row.available_s, row.away_s, row.break_s) == (10_800, 3600, 7200, 0)


def test_a_presence_that_nobody_has_mapped_is_login() -> None:
    row = agent_day([here("08:00", "09:00", "")])
    assert (row.login_s, row.available_s, row.idle_s) == (3600, 0, 0)


def test_presence_repeats_in_every_row_of_the_agent_with_the_work_of_all_groups() -> None:
    told = [here("08:00", "10:00"), busy("08:00", "08:30"), busy("09:00", "09:30", "b", group=Y, channel="Video")]
    for group, channel, own in ((X, "Chat", 1800), (Y, "Video", 1800), (X, "*", 1800), ("*", "*", 3600)):
        row = agent_day(told, group=group, channel=channel)
        assert (row.login_s, row.idle_s, row.occupancy_pct, row.busy_s) == (7200, 3600, 50.0, own)


def test_over_agents_seconds_are_added_and_busy_is_the_sum_of_each_ones_union() -> None:
    told = [here("08:00", "10:00"), here("08:00", "09:00", agent=BEN, record="0N5b")]
    told += [busy("08:00", "08:30", "a"), busy("08:15", "08:45", "b"), busy("08:00", "08:30", "c", agent=BEN)]
    row = agent_day(told, "*")
    assert (row.login_s, row.busy_s, row.concurrency_s, row.idle_s) == (10_800, 4500, 5400, 6300)
    assert row.avg_concurrency == 1.2
    assert row.occupancy_pct == 41.7
    assert (row.first_login, row.last_logout) == (f"{DAY}T08:00:00.000Z", f"{DAY}T10:00:00.000Z")


def test_who_was_there_and_did_nothing_has_a_row_in_the_default_group() -> None:
    mapping = Mapping(default_group={ANN: Y})
    days = [intervals.day_on(DAY, "UTC")]
    rows = cim.compute([here("08:00", "10:00")], days, mapping, customer_zone="UTC", as_of=LATE)
    assert {key[1:] for key in rows} == {(agent, group, "*") for agent in (ANN, "*") for group in (Y, "*")}
    assert {row.idle_s for row in rows.values()} == {7200}


def test_who_was_there_and_did_something_elsewhere_has_no_row_in_the_default_group() -> None:
    mapping = Mapping(default_group={ANN: Y})
    days = [intervals.day_on(DAY, "UTC")]
    told = [here("08:00", "10:00"), busy("08:00", "08:30")]
    assert {key[2] for key in cim.compute(told, days, mapping, customer_zone="UTC", as_of=LATE)} == {X, "*"}


def test_tickets_are_credited_to_who_owned_them() -> None:
    told = [
        fact(Post.ASSIGNED, "09:00", agent=ANN),
        fact(Post.FIRST_RESPONSE, "09:10", agent=ANN, value=10 * MINUTE),
        fact(Post.CLOSED, "09:30", agent=ANN, value=30 * MINUTE),
        fact(Post.FIRST_CLOSED, "09:30", agent=ANN, value=30 * MINUTE),
        fact(Post.ASSIGNED, "10:00", agent=BEN),
        fact(Post.REOPENED, "10:00", agent=ANN),
        fact(Post.SPAN_OPEN, "10:00", agent=BEN, until=None, value=at("09:00")),
    ]
    ann, ben = agent_day(told), agent_day(told, BEN)
    assert (ann.tickets_assigned, ann.closed, ann.first_closed, ann.reopened, ann.open_end_of_day) == (1, 1, 1, 1, 0)
    assert (ann.first_responses, ann.frt_sum_s, ann.frt_avg_s, ann.res_p90_s) == (1, 600, 600.0, 1800.0)
    assert (ben.tickets_assigned, ben.closed, ben.reopened, ben.open_end_of_day) == (1, 0, 0, 1)


def test_what_is_credited_to_nobody_is_in_no_row() -> None:
    assert agent_day([fact(Post.CLOSED, "10:00", agent="")], "*").closed == 0


def test_a_days_percentiles_come_from_its_facts() -> None:
    told = [fact(Post.CLOSED, f"{hour:02d}:00", str(hour), agent=ANN, value=hour * MINUTE) for hour in range(1, 11)]
    row = agent_day(told)
    assert (row.res_sum_s, row.res_avg_s, row.res_p50_s, row.res_p90_s) == (3300, 330.0, 330.0, 546.0)


def test_hold_and_wrap_are_in_the_days_handle_time() -> None:
    row = agent_day([fact(Post.HANDLED, "10:00", value=1500, hold=700, wrap=900, **CHAT)])
    assert (row.talk_s, row.hold_s, row.wrap_s, row.handle_s, row.aht_s) == (1, 0, 0, 3, 3.1)


def test_rows_have_every_metric_of_the_page() -> None:
    families = [f"{name}_{part}" for name in ("frt", "res") for part in ("sum_s", "avg_s", "p50_s", "p90_s")]
    others = [
        "offered_to_agent",
        "accepted",
        "declined",
        "missed",
        "handled",
        "transferred_in",
        "transferred_out",
        "talk_s",
        "hold_s",
        "wrap_s",
        "handle_s",
        "aht_s",
        "sessions_touched",
        "busy_s",
        "concurrency_s",
        "avg_concurrency",
        "login_s",
        "available_s",
        "away_s",
        "break_s",
        "idle_s",
        "occupancy_pct",
        "utilisation_pct",
        "first_login",
        "last_logout",
        "tickets_assigned",
        "closed",
        "first_closed",
        "reopened",
        "first_responses",
        "open_end_of_day",
        "day_start_utc",
        "day_end_utc",
        "tz",
        "intervals_in_day",
    ]
    assert sorted(cim.METRICS) == sorted([*families, *others])


def test_no_days_give_no_rows() -> None:
    assert cim.compute([busy("10:00", "10:10")], [], Mapping(), customer_zone="UTC", as_of=LATE) == {}
