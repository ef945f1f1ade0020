"""What becomes of a row: open, provisional, final, restated; late events, clocks that are ahead, statuses unknown."""

from pathlib import Path

import msgspec
import pytest

from bridge.cloudsync.events import adapt
from bridge.cloudsync.flow import configured
from bridge.words import errors
from bridge.words.cloudsync import Change, Kind, Mapping, Source
from bridge.words.settings import Cloudsync as Settings
from tests.cloudsync.flow.events import (
    BILLING,
    MARKS,
    SALES,
    SETTINGS,
    Clock,
    House,
    cdc,
    closed,
    created,
    ms,
    opened,
    record,
    reopened,
    spelled,
)

QUARTER = 900_000
HOUR = 4 * QUARTER
DAY = 24 * HOUR


async def test_a_row_is_open_then_provisional_then_final(house: House, clock: Clock) -> None:
    at = ms("2026-11-10T15:05:00Z")
    await house.settled(created(1, at))
    assert (await house.row("2026-11-10T15:00:00Z"))["status"] == "open"
    clock.go(10 * 60_000)
    await house.cloudsync.settle()
    assert (await house.row("2026-11-10T15:00:00Z"))["status"] == "provisional"
    clock.go(15 * 60_000)
    await house.cloudsync.settle()
    row = await house.row("2026-11-10T15:00:00Z")
    assert (row["status"], row["revision"]) == ("final", 1)


async def test_an_event_three_hours_late_restates_its_own_row_and_later_ones_in_their_backlog_only(
    house: House, clock: Clock
) -> None:
    at = ms("2026-11-10T10:05:00Z")
    await house.settled(created(1, at), created(2, at + HOUR))
    clock.go(QUARTER)
    await house.cloudsync.settle()
    before = await house.table("2026-11-10T09:00:00Z", "2026-11-10T15:00:00Z", marks=True)
    late = at + 20 * 60_000
    await house.settled(created(3, late), closed(3, late + 2 * HOUR))
    after = await house.table("2026-11-10T09:00:00Z", "2026-11-10T15:00:00Z", marks=True)
    own = after["stt", "2026-11-10T10:15:00Z", BILLING, "*", "*"]
    assert (own["created"], own["revision"], own["status"]) == (1, 2, "restated")
    changed = {
        key: {name for name in row if row[name] != before[key][name] and name not in MARKS}
        for key, row in after.items()
        if key in before and key[0] == "stt" and key[1] > "2026-11-10T10:15:00Z"
    }
    flows = {"closed", "closed_unique", "first_closed", "res_sum_s", "res_avg_s", "res_p50_s", "res_p90_s"}
    for key, names in changed.items():
        of_close = flows if key[1] == "2026-11-10T12:15:00Z" else set()
        assert all(name.startswith(("backlog_", "unassigned_")) for name in names - of_close), (key, names)
    untouched = [key for key in before if key[0] == "stt" and not "2026-11-10T10:15" <= key[1] < "2026-11-10T12:30"]
    assert untouched
    assert all(after[key] == before[key] for key in untouched)
    restated = await house.cloudsync.restatements("acme", "stt", 0, 2**62, 500)
    told = [msgspec.json.decode(bytes(one.told)) for one in restated]
    (mine,) = [
        one
        for one in told
        if (one["group"], one["channel"], one["priority"]) == (BILLING, "*", "*")
        and one["interval_start"] == "2026-11-10T10:15:00Z"
    ]
    assert mine["revision"] == 2
    assert mine["changes"]["created"] == [0, 1]
    assert mine["changes"]["backlog_close"] == [1, 2]


async def test_an_event_ten_days_late_restates_every_row_since_in_its_backlog(house: House, clock: Clock) -> None:
    at = clock.at - 11 * DAY
    await house.settled(created(1, at))
    clock.go(QUARTER)
    await house.cloudsync.settle()
    late = at + DAY
    await house.settled(created(2, late))
    start = late - late % QUARTER
    first, last = await house.row(spelled(start)), await house.row(spelled(start + 9 * DAY))
    assert (first["created"], first["backlog_open"], first["backlog_close"], first["revision"]) == (1, 1, 2, 2)
    assert (last["created"], last["backlog_open"], last["backlog_close"], last["revision"]) == (0, 2, 2, 2)
    assert (await house.row(spelled(start - QUARTER)))["revision"] == 1


async def test_what_lasts_is_in_every_quarter_hour_that_begins(house: House, clock: Clock) -> None:
    await house.settled(created(1, ms("2026-11-10T15:05:00Z")))
    clock.go(2 * HOUR)
    await house.cloudsync.settle()
    rows = await house.stt("2026-11-10T15:00:00Z", "2026-11-10T17:15:00Z", group=BILLING)
    assert [row["backlog_close"] for row in rows] == [1] * 9
    assert {row["revision"] for row in rows} == {1}


async def test_down_over_midnight_the_day_is_computed_at_the_start(data: Path, clock: Clock) -> None:
    async with opened(data, clock) as house:
        await house.settled(created(1, ms("2026-11-10T15:05:00Z"), OwnerId="005000000000001AAA", GroupId=BILLING))
    clock.go(15 * HOUR)
    async with opened(data, clock) as house:
        await house.cloudsync.settle()
        rows = await house.stt("2026-11-10T15:00:00Z", "2026-11-11T06:00:00Z", group=BILLING)
        assert [row["backlog_close"] for row in rows] == [1] * 60
        (day,) = await house.cim("2026-11-10", agent="005000000000001AAA", group=BILLING)
        assert (day["open_end_of_day"], day["tickets_assigned"], day["status"]) == (1, 1, "provisional")
        assert day["coverage_s"] < 86_400
        assert not day["complete"]


async def test_a_clock_seven_minutes_ahead_makes_nothing_final_early(house: House, clock: Clock) -> None:
    ahead = clock.at + 7 * 60_000
    await house.settled(created(1, ahead), created(2, ms("2026-11-10T14:50:00Z")))
    first = await house.row("2026-11-10T15:00:00Z")
    assert (first["created"], first["status"]) == (1, "open")
    assert (await house.row("2026-11-10T14:45:00Z"))["status"] == "provisional"
    far = await house.post(created(3, clock.at + 7 * HOUR))
    await house.cloudsync.settle()
    assert far.accepted == 1
    assert (await house.row("2026-11-10T14:45:00Z"))["status"] == "provisional"
    assert (await house.row("2026-11-10T22:00:00Z"))["created"] == 1


async def test_an_unmapped_status_is_parked_and_posted_at_its_own_time_once_resolved(
    house: House, clock: Clock
) -> None:
    at = ms("2026-11-10T13:05:00Z")
    known: list[Mapping] = [configured.mapping(SETTINGS)]
    wanted: list[str] = []
    house.cloudsync.set_mapping(lambda _: known[0])
    house.cloudsync.hooks.ids_wanted = lambda _, ids: wanted.extend(ids)
    done = cdc("SupportTicket", "UPDATE", at + HOUR, record(1), Status="Done", Priority="Low")
    await house.settled(created(1, at), done)
    row = await house.row("2026-11-10T14:00:00Z")
    assert (row["closed"], row["status"], row["complete"]) == (0, "provisional", False)
    assert row["reclassified_out"] == 1 or row["reclassified_in"] == 1
    clock.go(2 * HOUR)
    await house.cloudsync.settle()
    assert (await house.row("2026-11-10T14:00:00Z"))["status"] == "provisional"
    assert (await house.row("2026-11-10T12:45:00Z", "*"))["status"] == "final"
    told = await house.cloudsync.dq("acme")
    assert told.unclassified == 1
    assert told.lists.unclassified[0].statuses == ["Done"]
    assert "status:SupportTicket:Done" in wanted
    known[0] = msgspec.structs.replace(known[0], closed={**known[0].closed, ("SupportTicket", "Done"): True})
    await house.cloudsync.settle()
    row = await house.row("2026-11-10T14:00:00Z")
    assert (row["closed"], row["revision"], row["status"]) == (1, 1, "final")
    assert (await house.cloudsync.dq("acme")).unclassified == 0


async def test_a_thousand_events_with_one_unmapped_id_want_it_but_count_at_once(house: House) -> None:
    at = ms("2026-11-10T13:05:00Z")
    wanted: list[str] = []
    house.cloudsync.hooks.ids_wanted = lambda _, ids: wanted.extend(ids)
    await house.settled(*(created(number, at, SALES) for number in range(1_000)))
    assert (await house.row("2026-11-10T13:00:00Z", SALES))["created"] == 1_000
    assert wanted.count(f"group:{SALES}") == 1


async def test_other_limits_of_a_group_are_computed_for_all_rows(data: Path, clock: Clock) -> None:
    at = ms("2026-11-10T13:05:00Z")
    chat = cdc(
        "ChatSession",
        "CREATE",
        at,
        record(1, "570"),
        Status="Completed",
        GroupId=BILLING,
        OwnerId="005000000000001AAA",
        RequestTime=spelled(at),
        AcceptTime=spelled(at + 30_000),
        EndTime=spelled(at + 90_000),
    )
    known: list[Mapping] = [configured.mapping(SETTINGS)]
    async with opened(data, clock) as house:
        house.cloudsync.set_mapping(lambda _: known[0])
        await house.settled(chat)
        assert (await house.row("2026-11-10T13:00:00Z"))["sl_pct"] == 0.0
        known[0] = msgspec.structs.replace(known[0], sl_threshold={BILLING: 30_000})
        await house.cloudsync.settle()
        assert (await house.row("2026-11-10T13:00:00Z"))["sl_pct"] == 100.0


async def test_a_gap_is_wanted_and_holds_rows_until_it_is_fetched(house: House, clock: Clock) -> None:
    at = ms("2026-11-10T13:05:00Z")
    wanted: list[tuple[str, str]] = []
    house.cloudsync.hooks.records_wanted = lambda _, keys: wanted.extend(keys)
    await house.settled(created(1, at), cdc("SupportTicket", "GAP_UPDATE", at + HOUR, record(1)))
    assert wanted == [("SupportTicket", record(1))]
    assert (await house.row("2026-11-10T13:00:00Z"))["status"] == "final"
    held = await house.row("2026-11-10T14:00:00Z")
    assert (held["status"], held["complete"]) == ("provisional", False)
    assert (await house.cloudsync.dq("acme")).dirty == 1
    clock.go(HOUR)
    fetched = adapt.fetched(
        "SupportTicket",
        {
            "Id": record(1),
            "Status": "Closed",
            "Priority": "High",
            "Origin": "Email",
            "OwnerId": BILLING,
            "CreatedDate": spelled(at),
            "ClosedDate": spelled(at + HOUR),
            "LastModifiedDate": spelled(at + HOUR),
        },
        clock.at,
    )
    assert isinstance(fetched, msgspec.Struct)
    await house.cloudsync.fetched("acme", [fetched])  # type: ignore[list-item]
    await house.cloudsync.settle()
    row = await house.row("2026-11-10T14:00:00Z")
    assert (row["closed"], row["status"], row["revision"]) == (1, "final", 1)
    assert (await house.cloudsync.dq("acme")).dirty == 0


async def test_after_an_overflow_records_that_are_not_found_are_deleted(house: House, clock: Clock) -> None:
    at = ms("2026-11-10T13:05:00Z")
    wanted: list[tuple[str, str]] = []
    house.cloudsync.hooks.records_wanted = lambda _, keys: wanted.extend(keys)
    overflow = cdc("SupportTicket", "GAP_OVERFLOW", at + HOUR, "000000000000000AAA")
    await house.settled(created(1, at), created(2, at), overflow)
    assert ("SupportTicket", "") in wanted
    assert not (await house.row("2026-11-10T14:00:00Z", "*"))["complete"]
    known = await house.cloudsync.known("acme", "SupportTicket")
    assert known == {record(1): at + HOUR, record(2): at + HOUR}
    # As the directory does it: what was listed (nothing), the whole, then what each that is missing was found to be.
    whole = Change("SupportTicket", "", Kind.UPDATE, Source.REST, clock.at, clock.at, 0, {}, "GET|SupportTicket||1")
    gone = [adapt.gone("SupportTicket", one, since, clock.at) for one, since in known.items()]
    await house.cloudsync.fetched("acme", [whole, *gone])
    await house.cloudsync.settle()
    row = await house.row("2026-11-10T14:00:00Z")
    assert (row["deleted"], row["backlog_close"]) == (2, 0)
    assert (await house.cloudsync.dq("acme")).dirty == 0
    assert {row["group"] for row in await house.stt("2026-11-10T13:00:00Z", "2026-11-10T15:00:00Z")} == {BILLING}


async def test_reopened_and_closed_again_keeps_the_first_close_where_it_was(house: House) -> None:
    at = ms("2026-11-10T10:05:00Z")
    await house.settled(created(1, at), closed(1, at + HOUR))
    first = await house.row("2026-11-10T11:00:00Z")
    await house.settled(reopened(1, at + 2 * HOUR), closed(1, at + 3 * HOUR))
    again = await house.row("2026-11-10T11:00:00Z")
    assert (first["closed"], first["first_closed"]) == (again["closed"], again["first_closed"]) == (1, 1)
    second = await house.row("2026-11-10T13:00:00Z")
    assert (second["closed"], second["first_closed"]) == (1, 0)
    assert (await house.row("2026-11-10T12:00:00Z"))["reopened"] == 1


async def test_the_arrival_view_posts_where_it_queued(data: Path, clock: Clock) -> None:
    at = ms("2026-11-10T07:28:00Z")
    chat = cdc(
        "ChatSession",
        "CREATE",
        at,
        record(1, "570"),
        GroupId=BILLING,
        OwnerId="005000000000001AAA",
        RequestTime=spelled(at),
        AcceptTime=spelled(at + 240_000),
        EndTime=spelled(at + 900_000),
    )
    async with opened(data, clock) as house:
        await house.settled(chat)
        event = [await house.row(start) for start in ("2026-11-10T07:15:00Z", "2026-11-10T07:30:00Z")]
        arrival = [
            await house.row(start, attribution="arrival") for start in ("2026-11-10T07:15:00Z", "2026-11-10T07:30:00Z")
        ]
        assert [(row["offered"], row["answered"], row["open_end"]) for row in event] == [(1, 0, 1), (0, 1, 0)]
        assert [(row["offered"], row["answered"], row["handled"]) for row in arrival] == [(1, 1, 1), (0, 0, 0)]


async def test_changed_since_tells_what_changed(house: House, clock: Clock) -> None:
    await house.settled(created(1, ms("2026-11-10T10:05:00Z"), Status="Closed", ClosedDate="2026-11-10T10:05:00.000Z"))
    clock.go(60_000)
    await house.cloudsync.settle()
    before = clock.at
    clock.go(1_000)
    await house.settled(created(2, ms("2026-11-10T11:05:00Z"), Status="Closed", ClosedDate="2026-11-10T11:05:00.000Z"))
    rows = await house.stt("2026-11-10T00:00:00Z", "2026-11-10T14:00:00Z", changed_since=before)
    assert [row["interval_start"] for row in rows] == ["2026-11-10T11:00:00Z"]


async def test_settings_without_a_feed_refuse_its_numbers(data: Path, clock: Clock) -> None:
    async with opened(data, clock, Settings(feeds=["lsm"], entities=["SupportTicket"])) as house:
        with pytest.raises(errors.Fault) as refused:
            await house.stt("2026-11-10T00:00:00Z", "2026-11-10T14:00:00Z")
        assert refused.value.problem.code == "feed_disabled"
