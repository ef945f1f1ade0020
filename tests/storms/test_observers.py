"""Observers: who watches a storm knows afterwards who is there."""

import asyncio
from pathlib import Path

import pytest

from tests.conftest import WITHIN
from tests.storms import vitals
from tests.storms.centre import opened

pytestmark = pytest.mark.skipif(not vitals.KNOWN, reason="what a process holds is read in /proc")


@pytest.mark.timeout(300)
async def test_an_observer_who_was_slow_in_a_storm_ends_up_with_the_truth(tmp_path: Path) -> None:
    async with opened(tmp_path, 60, rate=100, inflight=10, queue=80) as centre, asyncio.timeout(2 * WITHIN):
        await centre.observer.enter()
        await centre.desktops.enter()
        assert await centre.told(1) == []

        # Sixty leave and sixty come: more than the ninety messages that may be on their way to one client.
        centre.observer.listen(on=False)
        centre.board.desktops.clear()
        up = centre.desktops.cut()
        await centre.desktops.below(up)
        await centre.desktops.back()
        centre.observer.listen(on=True)

        # However it is done: told what is true now, or cut off, so that it comes back and is told.
        assert await centre.told(1, WITHIN / 2) == []
