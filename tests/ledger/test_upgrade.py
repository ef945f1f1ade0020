"""A file that an earlier version made is taken over in place, with all that is in it."""

import json
import sqlite3
from pathlib import Path

import pytest

from bridge.ledger.ledger import Ledger
from bridge.words.ledger import Record, Remembered, SeenAgent, Step, Unavailable
from bridge.words.settings import Duration
from bridge.words.settings import Ledger as Bounds
from tests.ledger.pops import NOON, accept, entry, listed, statuses

VERSION_1 = Path(__file__).with_name("version1.sql")
POPS = 40
BODY = '{"success":true}'


def popid(number: int) -> str:
    return f"pop-{number:012}"


def make_version_1(data: Path) -> None:
    """Make a ledger as version 1 did: its pops came as arrays of JSON arrays, and so did their steps."""
    pops: list[list[object]] = []
    steps: list[list[object]] = []
    payloads = b""
    last = 0
    for number in range(POPS):
        one = entry(popid(number), agent=str(1000 + number % 3), sent=NOON + number)
        first = int(one.sent * 1000) << 20
        where = [len(payloads), len(one.payload)]
        who = [one.popid, one.customer, one.agent, one.channel, one.event, None, None, one.topic]
        pops.append([first, *who, one.sent, one.expires, one.key, b"\x01\x02".hex(), "accepted", 1, *where])
        payloads += one.payload
        last = first + 1
        steps.append([one.popid, last, "accepted", one.sent, "", 1])
    steps.append([popid(0), last + 1, "refused", NOON + 1, "desktop", 1])
    values = [
        *(pops, payloads, steps, [[popid(0), "refused", 0]]),
        [["acme", "connect", "k", "0102", 200, BODY, NOON]],
        [["acme", "1000", "R-1", "current", popid(0), NOON]],
        [["acme", "1000", NOON]],
        last + 1,
    ]
    data.mkdir()
    with sqlite3.connect(data / "ledger.db") as file:
        file.execute("PRAGMA journal_mode = WAL")
        file.executescript(VERSION_1.read_text(encoding="utf-8"))
        file.execute(
            "INSERT INTO groups VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [json.dumps(value) if isinstance(value, list) else value for value in values],
        )
    file.close()


def schema(data: Path) -> list[tuple[str, str]]:
    file = sqlite3.connect(data / "ledger.db")
    found = file.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
    found += file.execute("SELECT 'version', user_version FROM pragma_user_version").fetchall()
    file.close()
    return found


async def test_a_file_of_version_1_keeps_all_and_is_as_one_made_now(data: Path, tmp_path: Path) -> None:
    make_version_1(data)
    async with Ledger.open(data) as ledger:
        assert await listed(ledger) == [popid(number) for number in reversed(range(POPS))]
        refused = await ledger.pops("acme", agent="1000", status="refused")
        assert [one.popid for one in refused.items] == [popid(0)]
        assert refused.items[0].steps == [Step("accepted", NOON), Step("refused", NOON + 1, "desktop")]
        assert await ledger.remembered("acme", "connect", "k", NOON) == Remembered(
            customer="acme", api="connect", key="k", fingerprint=b"\x01\x02", status=200, body=BODY.encode(), at=NOON
        )
        assert await ledger.records() == [Record("acme", "1000", "R-1", "current", popid(0), NOON)]
        assert await ledger.agent("acme", "1000") == SeenAgent("1000", NOON)
        open_ = [
            entry(popid(number), agent=str(1000 + number % 3), sent=NOON + number, fingerprint=b"\x01\x02")
            for number in range(1, POPS)
        ]
        assert await ledger.take_up(NOON) == [(one, "accepted") for one in open_]
        await accept(ledger, entry("pop-new", sent=NOON))
        ledger.note(popid(1), "shown", NOON, final=True)
        assert (await listed(ledger))[0] == "pop-new"
        assert await statuses(ledger, popid(1)) == ["accepted", "shown"]
    async with Ledger.open(tmp_path / "fresh"):
        pass
    assert schema(data) == schema(tmp_path / "fresh")
    async with Ledger.open(data) as ledger:
        assert len(await listed(ledger)) == POPS + 1


async def test_a_file_that_is_locked_keeps_its_version_until_the_next_start(data: Path) -> None:
    make_version_1(data)
    before = schema(data)
    other = sqlite3.connect(data / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable) as refused:
        async with Ledger.open(data, Bounds(busy_timeout=Duration(0.05))):
            pass
    assert refused.value.reason == "busy"
    other.execute("ROLLBACK")
    other.close()
    assert schema(data) == before
    async with Ledger.open(data) as ledger:
        assert len(await listed(ledger)) == POPS
