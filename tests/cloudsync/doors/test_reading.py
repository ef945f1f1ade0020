"""STT, CIM, data quality and restatements, as they are read."""

import csv
import io

import pytest

from bridge.cloudsync.numbers import cim, stt
from tests.cloudsync.doors.conftest import Doors
from tests.cloudsync.flow.events import ANN, BILLING, SALES, cdc, closed, created, ms, record, spelled

START, UNTIL = "2026-11-10T10:00:00Z", "2026-11-10T11:00:00Z"
AT = ms("2026-11-10T10:05:00Z")
MARKS = {"revision", "status", "complete", "coverage_s", "computed_at"}


def chat(number: int, at: int, group: str = BILLING) -> bytes:
    return cdc(
        "ChatSession",
        "CREATE",
        at,
        record(number, "570"),
        GroupId=group,
        OwnerId=ANN,
        RequestTime=spelled(at),
        AcceptTime=spelled(at + 10_000),
        EndTime=spelled(at + 70_000),
    )


@pytest.fixture(autouse=True)
async def _day(doors: Doors) -> None:
    await doors.house.settled(
        created(1, AT), created(2, AT, SALES, Priority="Low"), closed(1, AT + 1_800_000, OwnerId=ANN), chat(3, AT)
    )


async def test_every_interval_of_an_active_group_is_told_with_every_metric(doors: Doors) -> None:
    told = await doors.get("/api/stt", start=START, until=UNTIL)
    assert told.status == 200
    assert told.said["as_of"] == "2026-11-10T15:07:00.000Z"
    rows = told.said["rows"]
    assert [(row["interval_start"][11:16], row["group"]) for row in rows] == [
        (at, group) for at in ("10:00", "10:15", "10:30", "10:45") for group in (BILLING, SALES)
    ]
    first = rows[0]
    keys = ["interval_start", "interval_end", "local_start", "group", "group_name", "channel", "priority"]
    assert list(first) == [*keys, *stt.METRICS, "revision", "status", "complete", "coverage_s", "computed_at"]
    assert first["interval_start"] == "2026-11-10T10:00:00Z"
    assert first["interval_end"] == "2026-11-10T10:15:00Z"
    assert first["local_start"] == "2026-11-10T05:00:00-05:00"
    assert (first["created"], first["offered"], first["channel"], first["priority"]) == (1, 1, "*", "*")
    assert rows[4]["closed"] == 1
    assert rows[4]["res_sum_s"] == 1_800


async def test_a_dimension_is_a_value_its_roll_up_or_each(doors: Doors) -> None:
    rolled = (await doors.get("/api/stt", start=START, until=UNTIL, group="*")).said["rows"]
    assert [row["created"] for row in rolled] == [2, 0, 0, 0]
    each = (await doors.get("/api/stt", start=START, until=UNTIL, group="*", channel="each")).said["rows"]
    assert [(row["channel"], row["created"], row["offered"]) for row in each[:2]] == [("Chat", 0, 1), ("Email", 2, 0)]
    assert len(each) == 8
    value = (await doors.get("/api/stt", start=START, until=UNTIL, group=BILLING, priority="High")).said["rows"]
    assert [row["priority"] for row in value] == ["High"] * 4
    filled = (await doors.get("/api/stt", start=START, until=UNTIL, fill="none", group=BILLING)).said["rows"]
    assert [row["interval_start"][11:16] for row in filled] == ["10:00", "10:15", "10:30"]


async def test_local_times_are_in_the_zone_that_is_asked_for(doors: Doors) -> None:
    rows = (await doors.get("/api/stt", start=START, until=UNTIL, tz="Asia/Kolkata")).said["rows"]
    assert rows[0]["local_start"] == "2026-11-10T15:30:00+05:30"


async def test_csv_has_the_same_columns_and_nothing_for_null(doors: Doors) -> None:
    told = await doors.get("/api/stt", start=START, until=UNTIL, headers={"Accept": "text/csv"})
    assert told.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(told.text)))
    json = (await doors.get("/api/stt", start=START, until=UNTIL)).said["rows"]
    assert len(rows) == len(json) == 8
    for row, same in zip(rows, json, strict=True):
        assert row.keys() == same.keys()
        for name, value in same.items():
            assert row[name] == ("" if value is None else str(value).lower() if isinstance(value, bool) else str(value))


async def test_csv_of_nothing_is_its_head(doors: Doors) -> None:
    told = await doors.get(
        "/api/stt", start="2026-11-08T00:00:00Z", until=UNTIL, fill="none", group="x", headers={"Accept": "text/csv"}
    )
    assert told.text.count("\r\n") == 1


async def test_an_answer_that_is_known_is_not_sent_again(doors: Doors) -> None:
    told = await doors.get("/api/stt", start=START, until=UNTIL)
    tag = told.headers["ETag"]
    again = await doors.get("/api/stt", start=START, until=UNTIL, headers={"If-None-Match": f'"other", W/{tag}'})
    assert (again.status, again.text, again.headers["ETag"]) == (304, "", tag)
    other = await doors.get("/api/stt", start=START, until=UNTIL, group="*", headers={"If-None-Match": tag})
    assert other.status == 200
    as_csv = await doors.get("/api/stt", start=START, until=UNTIL, headers={"If-None-Match": tag, "Accept": "text/csv"})
    assert as_csv.status == 200
    await doors.house.settled(created(4, AT))
    assert (await doors.get("/api/stt", start=START, until=UNTIL, headers={"If-None-Match": tag})).status == 200


@pytest.mark.parametrize("accept", ["application/json", "text/csv"])
async def test_a_month_is_streamed_day_by_day(doors: Doors, accept: str) -> None:
    asked = {"start": "2026-10-11T00:00:00Z", "until": "2026-11-11T00:00:00Z"}
    told = await doors.get("/api/stt", group="*", headers={"Accept": accept}, **asked)
    if accept == "text/csv":
        assert told.text.count("\r\n") == 31 * 96 + 1
    else:
        assert len(told.said["rows"]) == 31 * 96
        starts = [row["interval_start"] for row in told.said["rows"]]
        assert starts == sorted(set(starts))
    assert told.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({}, "missing_parameter"),
        ({"start": START}, "missing_parameter"),
        ({"start": "2026-11-10T10:01:00Z", "until": UNTIL}, "invalid_parameter"),
        ({"start": "2026-11-10T10:00:00", "until": UNTIL}, "invalid_parameter"),
        ({"start": "yesterday", "until": UNTIL}, "invalid_parameter"),
        ({"start": UNTIL, "until": START}, "invalid_parameter"),
        ({"start": START, "until": START}, "invalid_parameter"),
        ({"start": "2026-10-01T00:00:00Z", "until": "2026-11-01T00:15:00Z"}, "invalid_parameter"),
        ({"start": START, "until": UNTIL, "fill": "some"}, "invalid_parameter"),
        ({"start": START, "until": UNTIL, "tz": "Mars/Base"}, "invalid_parameter"),
        ({"start": START, "until": UNTIL, "attribution": "both"}, "invalid_parameter"),
        ({"start": START, "until": UNTIL, "changed_since": "now"}, "invalid_parameter"),
        ({"start": START, "until": UNTIL, "agent": ANN}, "invalid_parameter"),
        ({"start": "9999-12-31T23:45:00-12:00", "until": UNTIL}, "invalid_parameter"),
    ],
)
async def test_what_cannot_be_answered_is_400(doors: Doors, asked: dict[str, str], code: str) -> None:
    told = await doors.get("/api/stt", **asked)
    assert (told.status, told.said["code"]) == (400, code)


async def test_service_levels_of_other_modes_are_asked_for(doors: Doors) -> None:
    for mode in ("negative", "ignore", "positive"):
        rows = (await doors.get("/api/stt", start=START, until=UNTIL, group=BILLING, sl_mode=mode)).said["rows"]
        assert rows[0]["sl_pct"] == 100.0
        assert rows[1]["sl_pct"] is None


async def test_a_day_of_agents_is_told_with_every_metric(doors: Doors) -> None:
    told = await doors.get("/api/cim", date="2026-11-10")
    assert told.status == 200
    (row,) = told.said["rows"]
    assert {"date", "agent", "agent_name", "group", "group_name", "channel", *cim.METRICS} | MARKS == row.keys()
    assert (row["date"], row["agent"], row["group"], row["tz"]) == ("2026-11-10", ANN, BILLING, "America/New_York")
    assert (row["handled"], row["talk_s"], row["closed"], row["status"]) == (1, 60, 1, "open")
    assert row["intervals_in_day"] == 96


async def test_the_roll_up_of_agents_is_told_on_every_day_of_a_range(doors: Doors) -> None:
    told = await doors.get("/api/cim", start="2026-11-08", until="2026-11-10", agent="*", group="*")
    assert [(row["date"], row["handled"]) for row in told.said["rows"]] == [
        ("2026-11-08", 0),
        ("2026-11-09", 0),
        ("2026-11-10", 1),
    ]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({}, "missing_parameter"),
        ({"date": "2026-11-31"}, "invalid_parameter"),
        ({"date": "20261110"}, "invalid_parameter"),
        ({"date": "2026-W01-1"}, "invalid_parameter"),
        ({"date": "2026-11-10", "start": "2026-11-10"}, "invalid_parameter"),
        ({"start": "2026-11-10", "until": "2026-11-09"}, "invalid_parameter"),
        ({"start": "2025-10-07", "until": "2026-11-11"}, "invalid_parameter"),
        ({"date": "0001-01-01"}, "invalid_parameter"),
    ],
)
async def test_days_that_cannot_be_answered_are_400(doors: Doors, asked: dict[str, str], code: str) -> None:
    told = await doors.get("/api/cim", **asked)
    assert (told.status, told.said["code"]) == (400, code)


async def test_400_days_are_answered(doors: Doors) -> None:
    told = await doors.get("/api/cim", start="2025-10-07", until="2026-11-10")
    assert told.status == 200
    assert len(told.said["rows"]) == 1


async def test_data_quality_has_counts_and_the_lists_behind_them(doors: Doors) -> None:
    await doors.post(b'[{"a": 1}]')
    said = (await doors.get("/api/dq")).said
    assert {"unmapped", "unclassified", "dirty", "quarantined", "duplicates", "coverage", "lists"} <= said.keys()
    assert said["quarantined"] == 1
    assert said["lists"]["quarantined"][0]["reason"] == "unknown_form"
    assert said["coverage"]["feed_up"] is True


async def test_restatements_are_listed_the_newest_first_page_by_page(doors: Doors) -> None:
    await doors.house.settled(created(5, AT + 900_000))
    everything = (await doors.get("/api/restatements", limit="500")).said["items"]
    assert everything
    assert everything[0].keys() >= {"feed", "at", "interval_start", "group", "revision", "changes"}
    first = (await doors.get("/api/restatements", limit="2")).said
    rest = (await doors.get("/api/restatements", limit="500", cursor=first["next"])).said
    assert first["items"] + rest["items"] == everything
    assert (await doors.get("/api/restatements", since="2026-11-11T00:00:00Z")).said["items"] == []
    assert (await doors.get("/api/restatements", feed="lsm")).status == 400
    assert (await doors.get("/api/restatements", cursor="x")).status == 400


@pytest.mark.parametrize("path", ["/api/stt", "/api/cim", "/api/dq", "/api/restatements"])
async def test_only_observers_and_admins_read(doors: Doors, path: str) -> None:
    assert (await doors.get(path, "feed")).status == 403
    assert (await doors.get(path, "key")).status == 403
    assert (await doors.get(path, "admin")).status in {200, 400}
    async with doors.http.get(path) as response:
        assert response.status == 401


async def test_a_customer_without_feeds_reads_none(doors: Doors) -> None:
    told = await doors.get("/api/stt", "none", start=START, until=UNTIL)
    assert (told.status, told.said["code"]) == (404, "feed_disabled")
    for path in ("/api/dq", "/api/restatements"):
        assert (await doors.get(path, "none")).said["code"] == "feed_disabled"
