import random
from collections.abc import Mapping as Lookup
from itertools import pairwise
from typing import get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.cloudsync.numbers import check, cim, intervals, stt
from bridge.cloudsync.numbers.stt import Attribution, SttKey, SttRow
from bridge.words.cloudsync import QUARTER, Mapping
from tests.cloudsync.numbers import lives

START = intervals.day_on("2026-11-01", "UTC").start
HOUR = 4 * QUARTER
randoms = st.randoms(use_true_random=False)

ADDED = [
    "created",
    "closed",
    "first_closed",
    "closed_on_create",
    "reopened",
    "transferred_in",
    "transferred_out",
    "reclassified_in",
    "reclassified_out",
    "deleted",
    "deleted_open",
    "undeleted",
    "undeleted_open",
    "merged",
    "merged_open",
    "backlog_open",
    "backlog_close",
    "unassigned_close",
    "escalated",
    "first_responses",
    "offered",
    "offered_by_transfer",
    "answered",
    "answered_within_sl",
    "abandoned",
    "abandoned_within_sl",
    "abandoned_short",
    "flow_out",
    "handled",
    "queue_open",
    "open_end",
]
ADDED_OVER_AGENTS = [
    "offered_to_agent",
    "accepted",
    "declined",
    "missed",
    "handled",
    "transferred_in",
    "transferred_out",
    "tickets_assigned",
    "closed",
    "first_closed",
    "reopened",
    "first_responses",
    "open_end_of_day",
]


@given(randoms, st.sampled_from(get_args(Attribution)))
def test_identities_hold_on_every_row_of_any_lives(rng: random.Random, attribution: Attribution) -> None:
    facts = lives.facts(rng, START, HOUR, lives=5)
    rows = stt.compute(facts, START, START + HOUR, Mapping(), attribution=attribution, as_of=START + HOUR)
    assert {key: check.identities(row, attribution) for key, row in rows.items()} == {key: [] for key in rows}


@given(randoms, st.sampled_from(["2026-11-01", "2026-03-08", "2026-10-04"]))
def test_identities_hold_on_every_agent_day_of_any_lives(rng: random.Random, date: str) -> None:
    zones = {"": "Australia/Lord_Howe", lives.GROUPS[0]: "America/New_York"}
    days = [intervals.day_on(date, zone) for zone in zones.values()]
    facts = lives.facts(rng, days[0].start, days[0].end - days[0].start, lives=5)
    mapping = Mapping(zone=zones)
    rows = cim.compute(facts, days, mapping, customer_zone="America/New_York", as_of=days[0].end)
    assert {key: check.identities(row) for key, row in rows.items()} == {key: [] for key in rows}


@given(randoms)
def test_each_quarter_hour_opens_with_what_the_one_before_closed_with(rng: random.Random) -> None:
    rows = stt.compute(lives.facts(rng, START, HOUR, lives=5), START, START + HOUR, Mapping(), as_of=START + HOUR)
    cells = {key[1:] for key in rows}
    for before, after in pairwise(range(START, START + HOUR, QUARTER)):
        for cell in cells:
            earlier, later = rows.get((before, *cell), stt.ZERO), rows.get((after, *cell), stt.ZERO)
            assert (earlier.backlog_close, earlier.open_end) == (later.backlog_open, later.queue_open)


@given(randoms)
def test_a_roll_up_is_the_sum_of_its_rows(rng: random.Random) -> None:
    rows = stt.compute(lives.facts(rng, START, HOUR, lives=5), START, START + HOUR, Mapping(), as_of=START + HOUR)
    for key, row in rows.items():
        if "*" in key:
            for name in ADDED:
                assert getattr(row, name) == sum(getattr(one, name) for one in _of(rows, key)), (key, name)
            _is_within_rounding(row, _of(rows, key))


def _of(rows: Lookup[SttKey, SttRow], key: SttKey) -> list[SttRow]:
    return [
        row
        for concrete, row in rows.items()
        if "*" not in concrete and all(mine in {"*", one} for mine, one in zip(key, concrete, strict=True))
    ]


def _is_within_rounding(row: SttRow, parts: list[SttRow]) -> None:
    for name in ("frt_sum_s", "res_sum_s", "wait_sum_s", "talk_s", "hold_s", "wrap_s", "handle_s", "busy_split_s"):
        assert 0 <= getattr(row, name) - sum(getattr(one, name) for one in parts) <= len(parts), name


@given(randoms)
def test_the_roll_up_over_agents_is_the_sum_of_the_agents_rows(rng: random.Random) -> None:
    day = intervals.day_on("2026-11-01", "UTC")
    facts = lives.facts(rng, day.start, day.end - day.start, lives=5)
    rows = cim.compute(facts, [day], Mapping(), customer_zone="UTC", as_of=day.end)
    for (date, agent, group, channel), row in rows.items():
        if agent == "*":
            parts = [one for key, one in rows.items() if key[1] != "*" and (key[0], *key[2:]) == (date, group, channel)]
            for name in ADDED_OVER_AGENTS:
                assert getattr(row, name) == sum(getattr(one, name) for one in parts), name
            for name in ("busy_s", "concurrency_s", "login_s", "available_s", "away_s", "break_s", "idle_s"):
                assert 0 <= getattr(row, name) - sum(getattr(one, name) for one in parts) <= len(parts), name


@settings(max_examples=30)
@given(randoms)
def test_facts_told_twice_over_a_longer_range_give_the_same_rows(rng: random.Random) -> None:
    facts = lives.facts(rng, START, HOUR, lives=5)
    whole = stt.compute(facts, START - HOUR, START + 2 * HOUR, Mapping(), as_of=START + HOUR)
    part = stt.compute(facts, START, START + HOUR, Mapping(), as_of=START + HOUR)
    assert part == {key: row for key, row in whole.items() if START <= key[0] < START + HOUR}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"backlog_close": 1, "backlog_age_oldest_s": 5}, "backlog_close is backlog_open and the flows"),
        ({"offered": 1}, "queue_open + offered is all that left or waits"),
        ({"talk_s": 5}, "handle_s is talk, hold and wrap"),
        ({"offered_by_transfer": 1}, "offered_by_transfer <= offered"),
        ({"sl_pct": 100.1}, "sl_pct is a share"),
    ],
)
def test_a_row_that_breaks_an_identity_is_named(change: dict[str, int], sentence: str) -> None:
    assert check.identities(msgspec.structs.replace(stt.ZERO, **change)) == [sentence]


def test_an_agent_day_that_breaks_an_identity_is_named() -> None:
    row = msgspec.structs.replace(cim.zero(intervals.day_on("2026-11-01", "UTC")), away_s=5)
    assert check.identities(row) == ["states are in login"]
