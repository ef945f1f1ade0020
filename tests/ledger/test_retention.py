"""Retention: nothing grows without a bound."""

import asyncio
from pathlib import Path

from bridge.ledger.ledger import Ledger
from bridge.words.ledger import Remembered
from bridge.words.settings import Duration
from bridge.words.settings import Ledger as Bounds
from tests.ledger.conftest import Clock
from tests.ledger.pops import NOON, accept, entry, eventually, listed

DAY = 86_400.0


async def count(ledger: Ledger, table: str) -> int:
    counts = await ledger._database.read(
        dict[str, int],
        f"SELECT json_object('count', count(*)) FROM {table}",  # noqa: S608 - a word of this file
    )
    assert counts is not None
    return counts["count"]


async def test_pops_are_forgotten_with_their_steps_after_the_retention(ledger: Ledger, clock: Clock) -> None:
    for number in range(4):
        await accept(ledger, entry(f"pop-{number:012}", sent=NOON + number * DAY), "accepted", "shown", final=True)
    clock.now = NOON + 32 * DAY
    await ledger.purge()
    assert await listed(ledger) == ["pop-000000000003", "pop-000000000002"]
    assert await count(ledger, "steps") == 4


async def test_the_oldest_pops_over_the_number_are_forgotten(data: Path, clock: Clock) -> None:
    settings = Bounds(max_pops=700)
    async with Ledger.open(data, settings, clock) as ledger:
        for first in (0, 600):
            await asyncio.gather(
                *(accept(ledger, entry(f"pop-{first + n:012}"), "shown", final=True) for n in range(600))
            )
            await ledger.purge()
        assert await listed(ledger) == [f"pop-{number:012}" for number in reversed(range(500, 1200))]
        await accept(ledger, entry("pop-999999999999"), "shown", final=True)
        await ledger.purge()
        assert (await count(ledger, "pops"), await count(ledger, "steps")) == (700, 700)


async def test_open_pops_are_not_forgotten(data: Path, clock: Clock) -> None:
    async with Ledger.open(data, Bounds(max_pops=1, retention=Duration(1.0)), clock) as ledger:
        await accept(ledger, entry("pop-000000000001", ttl=3600))
        await accept(ledger, entry("pop-000000000002"), "shown", final=True)
        clock.now = NOON + 100
        await ledger.purge()
        assert await listed(ledger) == ["pop-000000000001"]


async def test_the_documents_of_pops_that_are_done_go_early(ledger: Ledger, clock: Clock) -> None:
    await ledger.take_up(NOON)
    await accept(ledger, entry("pop-000000000001"), "shown", final=True)
    await accept(ledger, entry("pop-000000000002", ttl=3 * 3600))
    await accept(ledger, entry("pop-000000000003"), "delivered")
    clock.now = NOON + 3500
    await ledger.purge()
    assert await count(ledger, "documents") == 3
    clock.now = NOON + 2 * 3600
    await ledger.purge()
    assert [one.popid for one, _ in await ledger.take_up(clock.now)] == ["pop-000000000002"]
    assert await count(ledger, "documents") == 1
    assert len(await listed(ledger)) == 3


async def test_a_delivered_pop_is_done_at_the_end_of_its_time(data: Path, clock: Clock) -> None:
    async with Ledger.open(data, Bounds(payloads=Duration(1.0), max_pops=1), clock) as ledger:
        await ledger.take_up(NOON)
        for status in ("delivered", "sent"):
            await accept(ledger, entry(f"pop-{status}"))
            ledger.note(f"pop-{status}", status, NOON)
        clock.now = NOON + 29
        await ledger.purge()
        assert await count(ledger, "documents") == 2
        assert await listed(ledger) == ["pop-sent", "pop-delivered"]
        clock.now = NOON + 31  # of the other, the end may not be written yet
        await ledger.purge()
        assert await count(ledger, "documents") == 1
        assert await listed(ledger) == ["pop-sent"]


async def test_what_a_dead_process_left_open_waits_for_being_taken_up(data: Path, clock: Clock) -> None:
    async with Ledger.open(data, clock=clock) as ledger:
        await accept(ledger, entry("pop-000000000001"))
    clock.now = NOON + DAY
    async with Ledger.open(data, clock=clock) as ledger:
        await ledger.purge()
        await ledger.take_up(clock.now)
        found = await ledger.pop("pop-000000000001", "acme")
        assert found is not None
        assert found.status == "expired"


async def test_answers_over_their_number_and_agents_over_their_time_are_forgotten(data: Path, clock: Clock) -> None:
    async with Ledger.open(data, Bounds(max_answers=600), clock) as ledger:
        for number in range(1_700):
            ledger.remember(
                Remembered(
                    customer="acme", api="connect", key=str(number), fingerprint=b"", status=200, body=b"", at=NOON
                )
            )
        ledger.seen("acme", "1001", NOON)
        ledger.seen("acme", "1002", NOON + 2 * DAY)
        await ledger.records()
        clock.now = NOON + DAY - 1
        await ledger.purge()
        assert await count(ledger, "answers") == 600
        assert await ledger.remembered("acme", "connect", "1699", NOON) is not None
        assert await ledger.remembered("acme", "connect", "0", NOON) is None
        clock.now = NOON + 31 * DAY
        await ledger.purge()
        assert [one.agent for one in (await ledger.agents("acme", 0)).items] == ["1002"]


async def test_the_purge_runs_by_itself_from_the_start(data: Path, clock: Clock) -> None:
    async with Ledger.open(data, clock=clock) as ledger:
        await accept(ledger, entry("pop-000000000001"), "shown", final=True)
    clock.now = NOON + 31 * DAY
    async with Ledger.open(data, clock=clock) as ledger:
        gone: list[bool] = []

        async def look() -> None:
            while not gone:
                if not await listed(ledger):
                    gone.append(True)

        looking = asyncio.create_task(look())
        await eventually(lambda: bool(gone))
        await looking


async def test_accepting_goes_on_while_much_is_forgotten(data: Path, clock: Clock) -> None:
    async with Ledger.open(data, clock=clock) as ledger:
        for first in range(0, 3_000, 500):
            await asyncio.gather(
                *(accept(ledger, entry(f"pop-{first + n:012}"), "shown", final=True) for n in range(500))
            )
        clock.now = NOON + 31 * DAY
        purging = asyncio.create_task(ledger.purge())
        new = 0
        while not purging.done():
            await accept(ledger, entry(f"new-{new:012}", sent=clock.now))
            new += 1
        assert new > 1
        assert await listed(ledger) == [f"new-{number:012}" for number in reversed(range(new))]
