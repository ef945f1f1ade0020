"""What could not be written for a while is done when it can be."""

import asyncio
import signal
import sqlite3
from contextlib import closing

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
    async with asyncio.timeout(15):
        while tables.differences(await tables.read(turn.bridge, reader, day), expected):  # noqa: ASYNC110
            await asyncio.sleep(0.2)
