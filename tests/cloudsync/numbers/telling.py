"""Telling: facts and rows of the stories, with times as people write them."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from bridge.cloudsync.numbers import check, cim, intervals, stt
from bridge.cloudsync.numbers.cim import CimRow
from bridge.cloudsync.numbers.stt import SttKey, SttRow
from bridge.words.cloudsync import QUARTER, Fact, Mapping, Post

DAY = "2026-06-15"
ZONE = "America/New_York"
X = "00G000000000001AAA"
Y = "00G000000000002AAA"
ANN = "005000000000001AAA"
BEN = "005000000000002AAA"
LATE = intervals.day_on("2026-12-31", "UTC").end


def at(clock: str, day: str = DAY, zone: str = "UTC", *, fold: int = 0) -> int:
    """Read `09:16`, `10:14:59.999` on a day in a zone."""
    moment = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)
    return int(moment.timestamp()) * 1000 + moment.microsecond // 1000


def fact(post: Post, moment: str | int, record: str = "500000000000001AAA", **more: Any) -> Fact:
    """Tell a fact in group X; `until` may be a clock's time too."""
    if isinstance(more.get("until"), str):
        more["until"] = at(more["until"])
    begin = at(moment) if isinstance(moment, str) else moment
    return Fact(post, begin, record, **{"group": X, "arrival": begin, **more})


def quarter(
    facts: list[Fact],
    clock: str,
    group: str = X,
    *,
    channel: str = "*",
    priority: str = "*",
    mapping: Mapping | None = None,
    **asked: Any,
) -> SttRow:
    """Compute the quarter hour that begins at a clock's time, its identities checked."""
    rows = quarters(facts, clock, mapping=mapping, **asked)
    return rows.get((at(clock), group, channel, priority), stt.ZERO)


def quarters(
    facts: list[Fact], first: str, last: str | None = None, *, mapping: Mapping | None = None, **asked: Any
) -> dict[SttKey, SttRow]:
    """Compute the quarter hours that begin from `first` to `last`."""
    asked = {"as_of": LATE, **asked}
    rows = stt.compute(facts, at(first), at(last or first) + QUARTER, mapping or Mapping(), **asked)
    for key, row in rows.items():
        assert check.identities(row, asked.get("attribution", "event")) == [], key
    return rows


def agent_day(
    facts: list[Fact],
    agent: str = ANN,
    day: str = DAY,
    *,
    group: str = "*",
    channel: str = "*",
    zone: str = "UTC",
    as_of: int = LATE,
    mapping: Mapping | None = None,
) -> CimRow:
    """Compute an agent's day in a zone, which is the customer's, its identities checked."""
    days = [intervals.day_on(day, zone)]
    rows = cim.compute(facts, days, mapping or Mapping(), customer_zone=zone, as_of=as_of)
    for key, row in rows.items():
        assert check.identities(row) == [], key
    return rows.get((day, agent, group, channel), cim.zero(days[0]))
