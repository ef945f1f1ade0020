"""The commands of an operator beside a bridge that runs."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.cloudsync.process import feeds, tables
from tests.cloudsync.process.conftest import Make
from tests.cloudsync.process.day import Day
from tests.cloudsync.process.feeds import Ledger
from tests.conftest import Bridge

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \((\d+ days?, )?\d+:\d\d:\d\d ago\)"


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Bridge]:
    running = Bridge(tmp_path / "demo", command=("demo", "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0")).start()
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log(), running.log()


async def test_beside_the_demo_the_commands_ask_the_crm_that_it_asks(demo: Bridge) -> None:
    async with asyncio.timeout(tables.STANDS_WITHIN):
        while True:
            status = await asyncio.to_thread(demo.cli, "cloudsync", "status")
            assert status.returncode == 0, status.stderr
            if "the running bridge asks http://127.0.0.1:" in status.stderr:
                break
    assert "records wait to be fetched" in status.stdout
    validated = await asyncio.to_thread(demo.cli, "cloudsync", "validate")
    assert validated.returncode == 0, validated.stdout + validated.stderr
    synced = await asyncio.to_thread(demo.cli, "cloudsync", "sync")
    assert "asks the CRM anew" in synced.stderr
    assert await asyncio.to_thread(demo.stop) == 0
    assert "there is nobody to ask" in (await asyncio.to_thread(demo.cli, "cloudsync", "sync")).stderr


async def test_status_tells_times_that_somebody_can_read(bridge_for: Make) -> None:
    day = Day(61)
    turn = bridge_for("status", day)
    bridge = turn.bridge
    token = bridge.token("feed")
    await turn.start()
    before = await asyncio.to_thread(bridge.cli, "cloudsync", "status")
    assert re.search(r"^last event +never$", before.stdout, re.MULTILINE), before.stdout + before.stderr
    await post(bridge, token, b"[" + b",".join(event.payload for event in day.events()[:50]) + b"]")
    await tables.stands(bridge, None)
    after = await asyncio.to_thread(bridge.cli, "cloudsync", "status")
    assert re.search(rf"^last event +{TIME}$", after.stdout, re.MULTILINE), after.stdout
    assert not re.search(r"\d{13}", after.stdout)
    told = json.loads((await asyncio.to_thread(bridge.cli, "cloudsync", "status", "--json")).stdout)["store"]
    assert (told["events"], told["waiting"]) == (50, 0)
    assert re.fullmatch(r"\d{4}-.*\.\d{3}Z", told["received"])


async def test_a_replay_says_how_many_events_still_cannot_be_read(bridge_for: Make) -> None:
    day = Day(62)
    turn = bridge_for("replay", day)
    bridge = turn.bridge
    token = bridge.token("feed")
    await turn.start()
    await post(bridge, token, b'[{"no": "event"}, {"neither": "this"}]')
    replayed = await asyncio.to_thread(bridge.cli, "cloudsync", "replay")
    assert replayed.stderr.strip() == "0 events were read, 2 still cannot be."


async def post(bridge: Bridge, token: str, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(f"{bridge.http}/api/cloudsync/events", data=body) as response,
    ):
        assert response.status == 200, await response.text()


async def test_after_a_recompute_everything_that_was_acknowledged_is_counted(bridge_for: Make) -> None:
    day = Day(63)
    turn = bridge_for("recompute", day)
    bridge = turn.bridge
    token, reader = bridge.token("feed"), bridge.token("observer")
    await turn.start()
    await feeds.by_http(turn, token, day.users(), Ledger())
    await tables.stands(bridge, day.centre.size.agents)  # another group of a user's would be followed later
    await feeds.by_http(turn, token, list(day.centre.events()), Ledger(), at_once=1_000)
    span = ("--from", tables.spell(day.start), "--to", tables.spell(day.until))
    done = await asyncio.to_thread(bridge.cli, "cloudsync", "recompute", *span)
    assert (done.returncode, done.stderr.strip()) == (0, "The rows are computed again.")
    at_once = await tables.read(bridge, reader, day)
    await tables.stands(bridge, day.centre.size.agents)
    assert tables.differences(at_once, await tables.read(bridge, reader, day)) == {}
