"""Intervals: UTC quarter hours, and local days, which are the quarter hours of one local date.

A day is all quarter hours whose local date is its own, so it has 92, 94, 96, 98 or 100 of them (Antarctica/Troll: 88 or
104), and begins at 01:00 where clocks skip midnight. Zone data is the system's or tzdata's. (Until 2011 a few zones
turned their clocks at one minute past midnight; there a day is cut once, so that days never overlap.)
"""

from bisect import bisect_left
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from bridge.words.cloudsync import QUARTER

DAY = 86_400_000


class LocalDay(msgspec.Struct, frozen=True, order=True):
    """The quarter hours `[start, end)` whose local date in `zone` is `date` (`2026-11-01`). Milliseconds."""

    date: str
    zone: str
    start: int
    end: int

    @property
    def intervals(self) -> int:
        """How many quarter hours it has."""
        return (self.end - self.start) // QUARTER


def quarter(at: int) -> int:
    """Find the quarter hour that a moment belongs to: its start."""
    return at - at % QUARTER


def quarters(start: int, end: int) -> range:
    """List the quarter hours that `[start, end)` touches, by their starts; none if it ends before it begins."""
    return range(quarter(start), end, QUARTER) if start < end else range(0)


@lru_cache(maxsize=1024)
def known(zone: str) -> bool:
    """Say whether a name is an IANA zone. A CRM's spelling may be anything, an absolute path included."""
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a directory, or far too long
        return False
    return True


def local(at: int, zone: str) -> datetime:
    """Give a moment as clocks in the zone show it."""
    return (datetime.fromtimestamp(at // 1000, UTC) + timedelta(milliseconds=at % 1000)).astimezone(ZoneInfo(zone))


def spell(at: int, zone: str) -> str:
    """Spell a moment in a zone with its offset: `2026-11-01T01:15:00-04:00`; fractions of seconds are cut."""
    return local(at, zone).isoformat(timespec="seconds")


@lru_cache(maxsize=65_536)
def utc(at: int) -> str:
    """Spell a moment in UTC with milliseconds: `2026-11-01T05:15:00.000Z`."""
    return f"{datetime.fromtimestamp(at // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{at % 1000:03d}Z"


@lru_cache(maxsize=65_536)
def mark(at: int) -> str:
    """Spell the beginning or end of a quarter hour, which has neither seconds nor less: `2026-11-01T05:15:00Z`."""
    return f"{datetime.fromtimestamp(at // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


@lru_cache(maxsize=65_536)
def day_on(day: str, zone: str) -> LocalDay:
    """Find a local day by its date, `YYYY-MM-DD`; ValueError if it is no date.

    A date that the zone skipped (Apia, 2011-12-30) has no quarter hours: its start is its end.
    """
    wanted = date.fromisoformat(day)
    return LocalDay(wanted.isoformat(), zone, _begin(wanted, zone), _begin(wanted + timedelta(days=1), zone))


def day_at(at: int, zone: str) -> LocalDay:
    """Find the local day that a moment is in."""
    shown = local(quarter(at), zone).date()
    day = day_on(shown.isoformat(), zone)
    if day.start <= at < day.end:
        return day
    return day_on((shown + timedelta(days=1 if at >= day.end else -1)).isoformat(), zone)


def days(start: int, end: int, zone: str) -> list[LocalDay]:
    """List the local days that `[start, end)` touches, in order."""
    found: list[LocalDay] = []
    at = start
    while at < end:
        found.append(day_at(at, zone))
        at = found[-1].end
    return found


def _begin(day: date, zone: str) -> int:
    # No zone is further than 24 hours from UTC, and local dates rise with time, so the first is found by halves.
    midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
    near = range(midnight - DAY, midnight + DAY, QUARTER)
    return near[bisect_left(near, day, key=lambda at: local(at, zone).date())]
