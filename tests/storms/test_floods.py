"""Floods: connections that never log in take nothing from those who work, and are gone after their time."""

import asyncio
from pathlib import Path

import pytest

from tests.conftest import WITHIN
from tests.storms import vitals
from tests.storms.centre import opened
from tests.storms.flood import Flood

pytestmark = pytest.mark.skipif(not vitals.KNOWN, reason="what a process holds is read in /proc")

DESKTOPS = 200
FLOOD = 1_500


@pytest.mark.timeout(300)
async def test_no_desktop_notices_a_flood_of_half_open_connections(tmp_path: Path) -> None:
    async with opened(tmp_path, DESKTOPS, rate=200, connect_timeout="5s") as centre:
        await centre.warm()
        before = await centre.standing()
        await centre.desktops.enter()
        flood = Flood(centre.bridge.mqtt_port, FLOOD)

        async with centre.traffic.flowing(), asyncio.timeout(2 * WITHIN):
            await centre.traffic.more(50)
            await flood.rise()
            # Some desktops come anew while the flood stands: there is room for them.
            up = centre.desktops.cut(slice(0, DESKTOPS, 10))
            await centre.desktops.below(up)
            await centre.desktops.back()
            await flood.over()
            await centre.traffic.more(50)

        assert await centre.drained(90)
        account = await centre.account()
        assert account.seen == account.accepted
        assert centre.traffic.refused == {}
        assert (centre.desktops.died, centre.desktops.refused) == ({}, {})
        assert flood.heard == {}
        assert (await centre.metrics()).cut_off == {"connect_timeouts": FLOOD}
        assert (await centre.metrics())["popbridge_mqtt_connecting_now"] == 0

        await centre.desktops.leave()
        assert await centre.returned(before) == before
