"""What an operator asks for is done by the running bridge, or right here where none runs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.cloudsync.flow import admin
from bridge.cloudsync.flow.admin import Admin
from bridge.words.settings import Customer
from tests.cloudsync.flow.events import BILLING, SETTINGS, Clock, House, closed, created, ms, opened

AT = ms("2026-11-09T10:05:00Z")
SPAN = (ms("2026-11-09T10:00:00Z"), ms("2026-11-09T12:00:00Z"))
CUSTOMERS = {"acme": Customer(cloudsync=SETTINGS)}


@asynccontextmanager
async def beside(house: House, data: Path) -> AsyncIterator[Admin]:
    """Ask from outside while the bridge runs."""
    async with asyncio.TaskGroup() as group:
        running = group.create_task(house.cloudsync.run())
        async with asyncio.timeout(20), admin.opened(data, lambda: CUSTOMERS, house.clock) as asking:
            yield asking
        running.cancel()


async def test_a_back_fill_into_a_running_bridge_is_computed_and_covered(house: House, data: Path) -> None:
    live = created(1, AT)
    await house.settled(live)
    async with beside(house, data) as asking:
        events = [("", live), ("", created(2, AT)), ("data/SupportTicketChangeEvent", b"\xff")]
        done = await asking.backfill("acme", events, SPAN)
        assert (done.count, done.duplicates, done.quarantined) == (1, 1, 1)
        again = await asking.backfill("acme", events[:2], SPAN)
        assert (again.count, again.duplicates) == (0, 2)
    await house.cloudsync.settle()
    row = await house.row("2026-11-09T10:00:00Z")
    assert (row["created"], row["complete"], row["coverage_s"]) == (2, True, 900)


async def test_a_back_fill_without_a_bridge_is_computed_at_once(data: Path, clock: Clock) -> None:
    async with admin.opened(data, lambda: CUSTOMERS, clock) as asking:
        await asking.backfill("acme", [("", created(1, AT)), ("", closed(1, AT + 60_000))], SPAN)
        status = await asking.status("acme")
        assert (status.events, status.waiting) == (2, 2)
    async with opened(data, clock) as house:
        assert (await house.row("2026-11-09T10:00:00Z"))["closed"] == 1
        async with admin.opened(data, lambda: CUSTOMERS, clock) as asking:
            assert (await asking.status("acme")).waiting == 0


async def test_rows_are_computed_again_and_records_folded_again(house: House, data: Path) -> None:
    await house.settled(created(1, AT))
    await house.cloudsync._database.write("DELETE FROM stt")
    await house.cloudsync._database.write("UPDATE facts SET body = replace(body, 'High', 'Low')")
    async with beside(house, data) as asking:
        assert (await asking.recompute("acme", *SPAN)).error is None
        await house.cloudsync.settle()
        rows = await house.stt("2026-11-09T10:00:00Z", "2026-11-09T10:15:00Z", group=BILLING, priority="each")
        assert [row["priority"] for row in rows] == ["Low"]
        await asking.refold("acme")
        await house.cloudsync.settle()
        rows = await house.stt("2026-11-09T10:00:00Z", "2026-11-09T10:15:00Z", group=BILLING, priority="each")
        assert [row["priority"] for row in rows] == ["High"]


@pytest.mark.parametrize("contact", ["003000000000001AAA", "Jane"])
async def test_a_contact_is_erased_from_outside(house: House, data: Path, contact: str) -> None:
    await house.settled(created(1, AT, ContactId="003000000000001AAA"))
    async with beside(house, data) as asking:
        done = await asking.erase("acme", contact)
    assert (done.count, done.error is None) == ((1, True) if contact != "Jane" else (0, False))
