"""`kill -9` of the bridge costs nothing that was acknowledged, and changes no number."""

import asyncio
from pathlib import Path
from random import Random

import aiohttp

from tests.broker.contract.client import Client
from tests.broker.contract.lines import TcpLine
from tests.cloudsync.process import feeds, kill, tables
from tests.cloudsync.process.conftest import Make
from tests.cloudsync.process.day import Day
from tests.cloudsync.process.feeds import Ledger


async def test_killed_in_the_middle_of_a_burst_the_tables_are_the_undisturbed_runs(tmp_path: Path) -> None:
    account = await kill.run(tmp_path, Day(11), 3, Random(11), lambda _: None)  # noqa: S311 - moments, no secrets
    assert account.lost == 0
    assert account.differences == {}
    assert account.broken == {}
    assert account.tracebacks == 0
    assert account.sent_again > 0, "no kill met anything unacknowledged"
    assert account.rows > 1_000


async def test_what_was_acknowledged_by_mqtt_survives_a_kill_at_that_very_moment(bridge_for: Make) -> None:
    day = Day(12)
    turn = bridge_for("killed", day)
    token = turn.bridge.token("feed")
    events = day.events()
    acknowledged: set[bytes] = set()
    for count in (1, 2, 40):
        await turn.start()
        client = Client(await TcpLine.open("127.0.0.1", turn.bridge.mqtt_port))
        assert await client.connect(username="acme", password=token) == (False, 0)
        for event in events[len(acknowledged) :][:count]:
            await client.publish(f"CLOUDSYNC/acme/{event.channel}", event.payload, qos=1)
            acknowledged.add(event.payload)
        turn.bridge.process.kill()  # nothing between PUBACK and this
        turn.kill()
        await client.drop()
        assert acknowledged <= await asyncio.to_thread(tables.stored, turn.bridge)


async def test_what_was_answered_by_http_survives_a_kill_at_that_very_moment(bridge_for: Make) -> None:
    day = Day(13)
    turn = bridge_for("killed", day)
    headers = {"Authorization": f"Bearer {turn.bridge.token('feed')}", "Content-Type": "application/json"}
    events = [event.payload for event in day.events()]
    taken = 0
    for count in (1, 50, 500):
        await turn.start()
        body = b"[" + b",".join(events[taken : taken + count]) + b"]"
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(f"{turn.bridge.http}/api/cloudsync/events", data=body) as response,
        ):
            assert response.status == 200
            turn.bridge.process.kill()
            turn.kill()
        taken += count
        assert set(events[:taken]) <= await asyncio.to_thread(tables.stored, turn.bridge)


async def test_users_told_by_events_survive_a_kill(bridge_for: Make) -> None:
    day = Day(14)
    turn = bridge_for("killed", day)
    token = turn.bridge.token("feed")
    users = day.centre.size.agents
    await turn.start()
    await feeds.by_http(turn, token, day.users(), Ledger())
    await tables.stands(turn.bridge, users)
    turn.kill()
    await turn.start()
    await feeds.by_http(turn, token, day.events()[users:], Ledger())
    await tables.stands(turn.bridge, users)
