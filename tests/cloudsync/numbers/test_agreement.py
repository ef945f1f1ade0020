"""Agreement: the numbers against a naive second computation, over random lives."""

from collections.abc import Mapping as Lookup
from typing import Any, get_args

import msgspec
import pytest

from bridge.cloudsync.numbers import cim, intervals, stt
from bridge.cloudsync.numbers.cim import CimRow
from bridge.cloudsync.numbers.stt import Attribution, SlMode, SttRow
from bridge.words.cloudsync import QUARTER, Mapping
from tests.cloudsync import naive
from tests.cloudsync.numbers import lives

START = 1_793_500_200_000 - 1_793_500_200_000 % QUARTER
MAPPING = Mapping(
    sl_threshold={lives.GROUPS[0]: 30_000},
    short_abandon={lives.GROUPS[0]: 0, lives.GROUPS[1]: 20_001},
    zone={lives.GROUPS[0]: "America/New_York", lives.GROUPS[1]: "Australia/Lord_Howe"},
    default_group={lives.AGENTS[0]: lives.GROUPS[1]},
)


Rows = Lookup[Any, SttRow] | Lookup[Any, CimRow]


def differences(rows: Rows, expected: Lookup[Any, naive.Row]) -> dict[Any, object]:
    found: dict[Any, object] = {}
    for key in rows.keys() | expected.keys():
        row = msgspec.structs.asdict(rows[key]) if key in rows else {}
        wanted = expected.get(key, {})
        names = {name for name in row.keys() | wanted.keys() if row.get(name, ...) != wanted.get(name, ...)}
        if names:
            found[key] = {name: (row.get(name, ...), wanted.get(name, ...)) for name in sorted(names)}
    return found


@pytest.mark.parametrize("attribution", get_args(Attribution))
@pytest.mark.parametrize("seed", range(40))
def test_every_stt_row_is_what_the_naive_computation_says(seed: int, attribution: Attribution) -> None:
    rng = lives.seeded(seed)
    modes: tuple[SlMode, ...] = get_args(SlMode)
    sl_mode = modes[seed % 3]
    end = START + rng.randrange(1, 6) * QUARTER
    as_of = START + rng.randrange(6 * QUARTER)
    facts = lives.facts(rng, START, end - START)
    rows = stt.compute(facts, START, end, MAPPING, attribution=attribution, sl_mode=sl_mode, as_of=as_of)
    expected = naive.stt(facts, START, end, MAPPING, attribution=attribution, sl_mode=sl_mode, as_of=as_of)
    assert differences({key: row for key, row in rows.items() if row != stt.ZERO}, expected) == {}


@pytest.mark.parametrize("date", ["2026-03-08", "2026-11-01", "2026-04-05", "2026-10-04", "2026-06-15"])
@pytest.mark.parametrize("seed", range(12))
def test_every_cim_row_is_what_the_naive_computation_says(seed: int, date: str) -> None:
    rng = lives.seeded(f"{seed} {date}")
    customer_zone = rng.choice(("America/New_York", "Asia/Kolkata"))
    zones = {customer_zone, *MAPPING.zone.values()}
    dates = [date, intervals.day_at(intervals.day_on(date, customer_zone).end, customer_zone).date]
    days = [intervals.day_on(each, zone) for each in dates for zone in zones]
    start, end = min(day.start for day in days), max(day.end for day in days)
    facts = lives.facts(rng, start, end - start)
    as_of = rng.randrange(start, end + QUARTER)
    rows = cim.compute(facts, days, MAPPING, customer_zone=customer_zone, as_of=as_of)
    expected = naive.cim(facts, dates, MAPPING, customer_zone=customer_zone, as_of=as_of)
    assert differences(rows, expected) == {}


def test_the_order_of_the_facts_changes_nothing() -> None:
    rng = lives.seeded(7)
    facts = lives.facts(rng, START, 4 * QUARTER, lives=40)
    day = intervals.day_at(START, "Europe/Berlin")
    as_of = START + 3 * QUARTER
    once = stt.compute(facts, START, START + 4 * QUARTER, MAPPING, as_of=as_of)
    at_once = cim.compute(facts, [day], MAPPING, customer_zone="Europe/Berlin", as_of=as_of)
    rng.shuffle(facts)
    assert stt.compute(facts, START, START + 4 * QUARTER, MAPPING, as_of=as_of) == once
    assert cim.compute(facts, [day], MAPPING, customer_zone="Europe/Berlin", as_of=as_of) == at_once


def test_a_quarter_hour_alone_is_the_same_as_within_a_day() -> None:
    facts = lives.facts(lives.seeded(11), START, 8 * QUARTER, lives=60)
    whole = stt.compute(facts, START, START + 8 * QUARTER, MAPPING, as_of=START)
    alone = {
        key: row
        for begin in range(START, START + 8 * QUARTER, QUARTER)
        for key, row in stt.compute(facts, begin, begin + QUARTER, MAPPING, as_of=START).items()
    }
    assert alone == whole
