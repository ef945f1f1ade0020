"""Truth: a simulated day's numbers from its events, as the processor folds them, against those of its ground truth."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from collections.abc import Mapping as Lookup
from typing import Any

import msgspec
import pytest

from bridge.cloudsync.events import adapt
from bridge.cloudsync.numbers import check, cim, intervals, stt
from bridge.cloudsync.records import fold
from bridge.cloudsync.simulator.centre import Centre, Size
from bridge.cloudsync.simulator.mischief import Mischief
from bridge.words.cloudsync import Change, Fact
from tests.cloudsync import naive
from tests.cloudsync.numbers import truth
from tests.cloudsync.numbers.test_agreement import differences

ENTITIES = ("SupportTicket", "ChatSession", "VideoSession", "UserPresence")
CLOCKS_GO_BACK = dt.date(2026, 11, 1)
SMALL = Size(tickets=80, sessions=160, agents=9)
AWKWARD = Mischief(
    dialects=("cometd", "pubsub"), duplicates=0.3, disorder=600.0, late=0.05, doubled=0.2, merged=True, short_ids=0.2
)


def folded(centre: Centre, mischief: Mischief) -> Iterator[Fact]:
    changes: defaultdict[tuple[str, str], list[Change]] = defaultdict(list)
    for event in centre.events(mischief):
        read = adapt.read(event.channel, event.payload, ENTITIES)
        assert isinstance(read, list)
        for change in read:
            changes[change.entity, change.record].append(change)
    for (entity, _), of_record in changes.items():
        yield from fold.fold(entity, of_record, centre.mapping, 0).facts


def tables(centre: Centre, facts: list[Fact]) -> tuple[dict[stt.SttKey, stt.SttRow], dict[cim.CimKey, cim.CimRow]]:
    days = days_of(centre)
    start, end = min(day.start for day in days), max(day.end for day in days)
    ends = max(day.end for day in days)
    rows = stt.compute(facts, start, end, centre.mapping, as_of=ends)
    agent_days = cim.compute(facts, days, centre.mapping, customer_zone="America/New_York", as_of=ends)
    return rows, agent_days


def as_dicts(rows: Lookup[Any, msgspec.Struct]) -> dict[Any, naive.Row]:
    return {key: msgspec.structs.asdict(row) for key, row in rows.items()}


def days_of(centre: Centre) -> list[intervals.LocalDay]:
    dates = [(centre.day + dt.timedelta(days=day)).isoformat() for day in (0, 1)]
    return [intervals.day_on(date, zone) for date in dates for zone in ("America/New_York", "Europe/Berlin")]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("mischief", [Mischief(), AWKWARD], ids=["plain", "awkward"])
def test_a_simulated_days_events_give_the_tables_of_its_truth(seed: int, mischief: Mischief) -> None:
    centre = Centre(seed, CLOCKS_GO_BACK, SMALL)
    expected_rows, expected_days = tables(centre, list(truth.facts(centre.truth(), centre.mapping)))
    rows, agent_days = tables(centre, list(folded(centre, mischief)))
    assert differences(rows, as_dicts(expected_rows)) == {}
    assert differences(agent_days, as_dicts(expected_days)) == {}


def test_identities_hold_on_every_row_of_a_simulated_day() -> None:
    centre = Centre(5, CLOCKS_GO_BACK)
    rows, agent_days = tables(centre, list(truth.facts(centre.truth(), centre.mapping)))
    assert {key: found for key, row in rows.items() if (found := check.identities(row))} == {}
    assert {key: found for key, day in agent_days.items() if (found := check.identities(day))} == {}
    assert sum(row.offered for key, row in rows.items() if "*" not in key) > 1000


def test_the_naive_computation_finds_the_same_agent_days_in_a_simulated_day() -> None:
    centre = Centre(7, CLOCKS_GO_BACK, Size(tickets=20, sessions=30, agents=4, groups=3))
    facts = list(truth.facts(centre.truth(), centre.mapping))
    _, agent_days = tables(centre, facts)
    dates = sorted({day.date for day in days_of(centre)})
    as_of = max(day.end for day in days_of(centre))
    expected = naive.cim(facts, dates, centre.mapping, customer_zone="America/New_York", as_of=as_of)
    assert differences(agent_days, expected) == {}
