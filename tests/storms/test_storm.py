"""Storm: a whole centre is cut off and comes back, and comes to harm in nothing."""

from pathlib import Path

import pytest

from tests.storms import vitals
from tests.storms.centre import Centre, opened
from tests.storms.storm import Weather

pytestmark = pytest.mark.skipif(not vitals.KNOWN, reason="what a process holds is read in /proc")

AGENTS = 1_000
POPS = 300


@pytest.mark.timeout(300)
async def test_a_centre_that_is_cut_off_and_comes_back_loses_nothing(tmp_path: Path) -> None:
    # A thousand log in at once: on a slow machine the last of them waits long, and that is no half-open connection.
    async with opened(tmp_path, AGENTS, rate=300, connect_timeout="60s") as centre:
        await centre.warm()
        before = await centre.standing()
        await centre.desktops.enter()
        weather = Weather(centre)

        async with centre.traffic.flowing():
            await centre.traffic.more(POPS)
            await weather.brew()
            await weather.cut()
            await centre.traffic.more(POPS)
            await weather.brew()
            await weather.cut_twice()
            await centre.traffic.more(POPS)

        await _every_pop_has_its_end(centre)
        await centre.observer.enter()
        assert await centre.told(1) == []
        await centre.observer.leave()
        assert (centre.desktops.died, centre.desktops.refused) == ({}, {})
        assert (await centre.metrics()).cut_off == {}

        await centre.desktops.leave()
        await centre.observer.enter()
        assert await centre.told(0) == []
        await centre.observer.leave()
        assert await centre.returned(before) == before


async def _every_pop_has_its_end(centre: Centre) -> None:
    assert await centre.drained(90)
    account = await centre.account()
    assert centre.traffic.refused == {}
    assert account.accepted > 3 * POPS
    assert (account.lost, account.unproven, account.unknown, account.held) == ([], [], [], 0)
    assert account.seen + account.expired == account.accepted
    assert centre.screens.strays == []
    assert centre.screens.duplicates > 0, "what was not acknowledged before a cut did not come again"
