"""A day in any order, doubled, late, in other dialects, by either door: the tables of the ordered run."""

from collections.abc import Sequence
from random import Random

import pytest

from bridge.cloudsync.simulator.centre import Event
from tests.cloudsync.process import feeds, tables
from tests.cloudsync.process.conftest import Make
from tests.cloudsync.process.day import AWKWARD, Day, shuffled
from tests.cloudsync.process.feeds import Ledger, Turn
from tests.cloudsync.process.tables import Tables


async def taken(turn: Turn, day: Day, *batches: Sequence[Event]) -> Tables:
    """Send batches by both doors, each when all before is computed, and read the tables."""
    token, reader = turn.bridge.token("feed"), turn.bridge.token("observer")
    await turn.start()
    for number, batch in enumerate(batches):
        await feeds.by_both(turn, token, batch, Ledger())
        await tables.stands(turn.bridge, day.centre.size.agents if number == len(batches) - 1 else None)
    return await tables.read(turn.bridge, reader, day)


@pytest.mark.parametrize("seed", [21, 22])
async def test_any_order_with_duplicates_and_what_comes_late_gives_the_tables_of_the_ordered_day(
    bridge_for: Make, seed: int
) -> None:
    day, chance = Day(seed), Random(seed)  # noqa: S311 - an order
    ordered = await taken(bridge_for("ordered", day), day, day.events())
    mixed = shuffled(day.events(), chance)
    late = len(mixed) * 3 // 4
    disturbed = await taken(bridge_for("mixed", day), day, mixed[:late], mixed[late:])
    assert tables.differences(disturbed, ordered) == {}
    assert tables.broken(ordered) == {}
    assert tables.broken(disturbed) == {}
    assert len(ordered.stt) > 1_000
    assert len(ordered.cim) > 100


async def test_dialects_disorder_and_merged_events_give_the_tables_of_the_plain_day(bridge_for: Make) -> None:
    day = Day(23)
    ordered = await taken(bridge_for("ordered", day), day, day.events())
    awkward = await taken(bridge_for("awkward", day), day, day.events(AWKWARD))
    assert tables.differences(awkward, ordered) == {}
    assert tables.broken(awkward) == {}


async def test_a_day_sent_again_by_the_other_door_changes_nothing(bridge_for: Make) -> None:
    day = Day(24)
    turn = bridge_for("twice", day)
    token, reader = turn.bridge.token("feed"), turn.bridge.token("observer")
    await turn.start()
    await feeds.by_mqtt(turn, token, day.events(), Ledger())
    await tables.stands(turn.bridge, day.centre.size.agents)
    once = await tables.read(turn.bridge, reader, day)
    await feeds.by_http(turn, token, day.events(), Ledger())
    await tables.stands(turn.bridge, day.centre.size.agents)
    twice = await tables.read(turn.bridge, reader, day)
    assert tables.differences(twice, once) == {}
    assert {key: row["revision"] for key, row in twice.stt.items()} == {
        key: row["revision"] for key, row in once.stt.items()
    }
