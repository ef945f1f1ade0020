"""Resets: pops meet lines that are just being reset, again and again, and nobody else is the worse for it."""

import asyncio
from pathlib import Path

import pytest

from tests.storms import vitals
from tests.storms.centre import opened

pytestmark = pytest.mark.skipif(not vitals.KNOWN, reason="what a process holds is read in /proc")

CUTS = 60
POPS = 20  # between two cuts


@pytest.mark.timeout(300)
async def test_a_pop_that_meets_a_reset_is_held_and_comes_later(tmp_path: Path) -> None:
    async with opened(tmp_path, 20, rate=2_000) as centre, asyncio.timeout(200):
        await centre.desktops.enter()
        await centre.observer.enter()

        async with centre.traffic.flowing():
            for _ in range(CUTS):
                await centre.traffic.more(POPS)
                centre.desktops.cut()
                centre.observer.cut()
        await centre.desktops.back()

        assert await centre.drained(90)
        account = await centre.account()
        assert centre.traffic.refused == {}
        assert (account.lost, account.unproven, account.unknown) == ([], [], [])
        assert account.seen == account.accepted
        assert (await centre.metrics()).cut_off == {}
