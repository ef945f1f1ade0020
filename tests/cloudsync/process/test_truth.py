"""What a bridge answers is what the naive computation makes of the simulator's ground truth."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest

from bridge.cloudsync.simulator.centre import Size
from tests.cloudsync import naive
from tests.cloudsync.numbers import truth
from tests.cloudsync.process import feeds, tables
from tests.cloudsync.process.conftest import Make
from tests.cloudsync.process.day import AWKWARD, CUSTOMER_ZONE, Day
from tests.cloudsync.process.feeds import Ledger

TINY = Size(groups=2, agents=4, tickets=14, sessions=24)

Numbers = Mapping[tuple[Any, ...], Mapping[str, Any]]


@pytest.mark.parametrize("seed", [31, 32, 33])
async def test_every_row_is_what_the_naive_computation_says(bridge_for: Make, seed: int) -> None:
    day = Day(seed, TINY)
    expecting = asyncio.create_task(asyncio.to_thread(expected, day))
    turn = bridge_for("awkward", day)
    token, reader = turn.bridge.token("feed"), turn.bridge.token("observer")
    await turn.start()
    await feeds.by_both(turn, token, day.events(AWKWARD), Ledger())
    await tables.stands(turn.bridge, day.centre.size.agents)
    rows, days = (await tables.read(turn.bridge, reader, day)).metrics()
    rows_due, days_due = await expecting
    assert different({(at(key[0]), *key[1:]): row for key, row in rows.items()}, rows_due) == {}
    assert different(days, days_due) == {}
    assert len(rows) > 500


def expected(day: Day) -> tuple[Numbers, Numbers]:
    mapping = day.centre.mapping
    facts = list(truth.facts(day.centre.truth(), mapping))
    rows = naive.stt(facts, day.start, day.until, mapping, as_of=day.until)
    days = naive.cim(facts, day.dates, mapping, customer_zone=CUSTOMER_ZONE, as_of=day.until)
    return dict(rows), dict(days)


def at(spelled: str) -> int:
    return int(datetime.fromisoformat(spelled).timestamp() * 1000)


def different(found: Numbers, due: Numbers) -> dict[object, object]:
    return {
        key: tables.differing(found.get(key, {}), due.get(key, {}))
        for key in found.keys() | due.keys()
        if tables.differing(found.get(key, {}), due.get(key, {}))
    }
