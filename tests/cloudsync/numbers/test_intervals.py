from itertools import pairwise
from zoneinfo import available_timezones

import pytest

from bridge.cloudsync.numbers import intervals
from bridge.words.cloudsync import QUARTER
from tests.cloudsync import naive
from tests.cloudsync.numbers.telling import at


def test_a_moment_at_the_edge_belongs_to_the_quarter_hour_that_begins_there() -> None:
    assert intervals.quarter(at("10:15:00.000")) == at("10:15")
    assert intervals.quarter(at("10:14:59.999")) == at("10:00")


def test_a_stretch_touches_the_quarter_hours_it_has_time_in() -> None:
    assert list(intervals.quarters(at("09:16"), at("09:45"))) == [at("09:15"), at("09:30")]
    assert list(intervals.quarters(at("09:16"), at("09:45:00.001")))[-1] == at("09:45")
    assert not list(intervals.quarters(at("09:16"), at("09:16")))
    assert not list(intervals.quarters(at("09:20"), at("09:16")))


@pytest.mark.parametrize(
    ("date", "zone", "expected", "begins"),
    [
        ("2026-06-15", "America/New_York", 96, "2026-06-15T00:00:00-04:00"),
        ("2026-03-08", "America/New_York", 92, "2026-03-08T00:00:00-05:00"),
        ("2026-11-01", "America/New_York", 100, "2026-11-01T00:00:00-04:00"),
        ("2026-10-04", "Australia/Lord_Howe", 94, "2026-10-04T00:00:00+10:30"),
        ("2026-04-05", "Australia/Lord_Howe", 98, "2026-04-05T00:00:00+11:00"),
        ("2026-09-06", "America/Santiago", 92, "2026-09-06T01:00:00-03:00"),
        ("2026-04-24", "Africa/Cairo", 92, "2026-04-24T01:00:00+03:00"),
        ("2026-06-15", "Asia/Kathmandu", 96, "2026-06-15T00:00:00+05:45"),
        ("2026-06-15", "Pacific/Kiritimati", 96, "2026-06-15T00:00:00+14:00"),
        ("2026-06-15", "Etc/GMT+12", 96, "2026-06-15T00:00:00-12:00"),
        ("2026-06-15", "UTC", 96, "2026-06-15T00:00:00+00:00"),
    ],
)
def test_a_local_day_is_all_quarter_hours_of_its_date(date: str, zone: str, expected: int, begins: str) -> None:
    day = intervals.day_on(date, zone)
    assert day.intervals == expected
    assert day.end - day.start == expected * QUARTER
    assert intervals.spell(day.start, zone) == begins
    assert list(range(day.start, day.end, QUARTER)) == naive.day_quarters(date, zone)


def test_the_day_clocks_go_back_has_two_quarter_hours_of_the_same_local_time() -> None:
    day = intervals.day_on("2026-11-01", "America/New_York")
    spelled = [intervals.spell(begin, day.zone) for begin in range(day.start, day.end, QUARTER)]
    assert [each for each in spelled if "T01:15:00" in each] == [
        "2026-11-01T01:15:00-04:00",
        "2026-11-01T01:15:00-05:00",
    ]
    assert day.end - day.start == 90_000_000


def test_a_date_that_a_zone_skipped_has_no_quarter_hours() -> None:
    assert intervals.day_on("2011-12-30", "Pacific/Apia").intervals == 0


def test_days_follow_one_another_without_gap_or_overlap_in_every_zone() -> None:
    start, end = intervals.day_on("2026-01-01", "UTC").start, intervals.day_on("2027-01-01", "UTC").end
    alike: dict[tuple[object, ...], str] = {}  # many zones have the same clocks
    for zone in available_timezones():
        clocks = tuple(intervals.local(moment, zone).utcoffset() for moment in range(start, end, 86_400_000))
        alike[clocks] = min(zone, alike.get(clocks, zone))
    for zone in sorted(alike.values()):
        found = intervals.days(start, end, zone)
        assert all(earlier.end == later.start for earlier, later in pairwise(found)), zone
        assert {day.intervals for day in found} <= (
            {88, 96, 104} if zone == "Antarctica/Troll" else {92, 94, 96, 98, 100}
        ), zone
        assert found[0].start <= start < found[0].end
        assert found[-1].start < end <= found[-1].end


def test_a_zone_that_turned_its_clocks_at_one_past_midnight_still_has_days_in_order() -> None:
    begin = intervals.day_on("2010-11-05", "UTC").start
    found = intervals.days(begin, begin + 4 * 86_400_000, "America/St_Johns")
    assert all(earlier.end == later.start for earlier, later in pairwise(found))
    for moment in range(begin, begin + 4 * 86_400_000, QUARTER):
        day = intervals.day_at(moment, "America/St_Johns")
        assert day.start <= moment < day.end


@pytest.mark.parametrize("zone", ["", "Nowhere/Else", "America", "../etc/passwd", "/etc/passwd", "x" * 5000, "a\0b"])
def test_what_is_no_zone_is_known_as_none(zone: str) -> None:
    assert not intervals.known(zone)


def test_a_zone_is_known() -> None:
    assert intervals.known("Australia/Lord_Howe")


def test_moments_are_spelled_with_milliseconds_or_offset() -> None:
    assert intervals.utc(at("10:14:59.999")) == "2026-06-15T10:14:59.999Z"
    assert intervals.spell(at("10:14:59.999"), "Asia/Kolkata") == "2026-06-15T15:44:59+05:30"
