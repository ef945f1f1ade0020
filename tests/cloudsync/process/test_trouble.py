"""What could not be written for a while is done when it can be."""

import asyncio
import signal
import sqlite3
from contextlib import closing

import aiohttp
import msgspec

from tests.cloudsync.process import feeds, tables
from tests.cloudsync.process.conftest import Make
from tests.cloudsync.process.day import Day
from tests.cloudsync.process.feeds import Ledger, Turn

TROUBLE = "nothing can be folded (busy)"


def with_breaks_for_away(config: str) -> str:
    document = msgspec.json.decode(config)
    presence = document["customers"]["acme"]["cloudsync"]["presence"]
    for status, category in presence.items():
        presence[status] = "break" if category == "away" else category
    return msgspec.json.encode(document).decode()


async def taken(turn: Turn, day: Day) -> None:
    token = turn.bridge.token("feed")
    await turn.start()
    await feeds.by_http(turn, token, day.events(), Ledger(), at_once=2_000)
    await tables.stands(turn.bridge, day.centre.size.agents)


async def test_another_broker_yaml_is_followed_though_the_file_was_locked_just_then(bridge_for: Make) -> None:
    day = Day(41)
    due, turn = bridge_for("due", day), bridge_for("locked", day)
    other = with_breaks_for_away(day.config())
    (due.bridge.data / "broker.yaml").write_text(other, encoding="utf-8")
    await taken(due, day)
    expected = await tables.read(due.bridge, due.bridge.token("observer"), day)
    await taken(turn, day)
    reader = turn.bridge.token("observer")
    assert tables.differences(await tables.read(turn.bridge, reader, day), expected) != {}
    with closing(sqlite3.connect(turn.bridge.data / "cloudsync.db", isolation_level=None)) as locking:
        locking.execute("BEGIN IMMEDIATE")
        (turn.bridge.data / "broker.yaml").write_text(other, encoding="utf-8")
        turn.bridge.process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(tables.STANDS_WITHIN):
            while TROUBLE not in turn.bridge.log():  # noqa: ASYNC110 - nothing else tells
                await asyncio.sleep(0.05)
        locking.execute("ROLLBACK")
    async with asyncio.timeout(tables.STANDS_WITHIN):
        while tables.differences(await tables.read(turn.bridge, reader, day), expected):  # noqa: ASYNC110
            await asyncio.sleep(0.2)


async def test_while_the_file_is_locked_nothing_is_acknowledged_and_readyz_is_red(bridge_for: Make) -> None:
    day = Day(42)
    turn = bridge_for("locked", day)
    bridge = turn.bridge
    token = bridge.token("feed")
    body = b"[" + b",".join(event.payload for event in day.events()[:100]) + b"]"
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    await turn.start()
    async with aiohttp.ClientSession(bridge.http, headers=headers) as session:

        async def ready(status: int) -> None:
            async with asyncio.timeout(tables.STANDS_WITHIN):
                while (await session.get("/readyz")).status != status:  # noqa: ASYNC110 - nothing tells
                    await asyncio.sleep(0.05)

        await ready(200)
        with closing(sqlite3.connect(bridge.data / "cloudsync.db", isolation_level=None)) as locking:
            locking.execute("BEGIN IMMEDIATE")
            async with session.post("/api/cloudsync/events", data=body) as refused:
                assert (refused.status, "Retry-After" in refused.headers) == (503, True)
            await ready(503)
            locking.execute("ROLLBACK")
        await ready(200)
        assert not await asyncio.to_thread(tables.stored, bridge)
        async with session.post("/api/cloudsync/events", data=body) as taken:
            assert (await taken.json())["accepted"] == 100
        assert len(await asyncio.to_thread(tables.stored, bridge)) == 100
