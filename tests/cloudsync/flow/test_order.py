"""The same events give the same tables, in whatever order, however often, and wherever the process was killed."""

import asyncio
import sys
from asyncio.subprocess import PIPE
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.cloudsync.flow.day import SETTINGS, START, UNTIL, shuffled, simulated
from tests.cloudsync.flow.events import Clock, ms, opened

NOW = "2026-11-10T15:07:00Z"


async def tables(data: Path, seed: int, batches: Sequence[Sequence[bytes]]) -> dict[tuple[str, ...], dict[str, object]]:
    mapping, _ = simulated(seed)
    async with opened(data, Clock(ms(NOW)), SETTINGS, mapping) as house:
        for batch in batches:
            await house.settled(*batch)
        return await house.table(START, UNTIL)


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_permutation_with_a_third_of_duplicates_gives_the_same_tables(tmp_path: Path, seed: int) -> None:
    _, events = simulated(seed)
    mixed = shuffled(events, seed)
    ordered = await tables(tmp_path / "ordered", seed, [events])
    assert len(ordered) > 500
    pieces = [mixed[start::5] for start in range(5)]
    assert await tables(tmp_path / "mixed", seed, pieces) == ordered


async def test_events_that_come_while_rows_are_computed_give_the_same_tables(tmp_path: Path) -> None:
    seed = 6
    mapping, events = simulated(seed)
    ordered = await tables(tmp_path / "ordered", seed, [events])
    mixed = shuffled(events, seed)
    async with (
        opened(tmp_path / "running", Clock(ms(NOW)), SETTINGS, mapping) as house,
        asyncio.TaskGroup() as group,
    ):
        running = group.create_task(house.cloudsync.run())
        for start in range(0, len(mixed), 25):
            await house.post(*mixed[start : start + 25])
        await house.cloudsync.settle()
        running.cancel()
        assert await house.table(START, UNTIL) == ordered


async def test_a_day_sent_twice_over_itself_changes_nothing_the_second_time(tmp_path: Path) -> None:
    mapping, events = simulated(4)
    async with opened(tmp_path, Clock(ms(NOW)), SETTINGS, mapping) as house:
        await house.settled(*events)
        before = await house.table(START, UNTIL, marks=True)
        counted = house.cloudsync.counted
        told = await house.settled(*shuffled(events, 4, 0.0))
        assert (told.accepted, told.duplicates) == (0, len(events))
        after = await house.table(START, UNTIL, marks=True)
        for row in (*before.values(), *after.values()):
            row.pop("coverage_s")
        assert after == before
        assert house.cloudsync.counted["rows"] == counted["rows"]


@pytest.mark.timeout(120)
async def test_killed_anywhere_the_next_process_comes_to_the_same_tables(tmp_path: Path) -> None:
    seed = 5
    _, events = simulated(seed)
    undisturbed = await tables(tmp_path / "undisturbed", seed, [events])
    data = tmp_path / "killed"
    acknowledged = -1
    for lines in (3, 20, 60):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.cloudsync.flow.writing", str(data), str(seed)), stdout=PIPE
        )
        assert process.stdout is not None
        for _ in range(lines):
            said = await process.stdout.readline()
            if said.strip().isdigit():
                acknowledged = max(acknowledged, int(said))
        process.kill()
        rest = (await process.stdout.read()).split()
        acknowledged = max([acknowledged, *(int(word) for word in rest if word.isdigit())])
        await process.wait()
    mapping, _ = simulated(seed)
    async with opened(data, Clock(ms(NOW)), SETTINGS, mapping) as house:
        # What was acknowledged is there; the source sends the rest again, with some of it.
        told = await house.post(*events[: acknowledged + 7])
        assert told.accepted == 0
        await house.settled(*events[acknowledged:])
        assert await house.table(START, UNTIL) == undisturbed
