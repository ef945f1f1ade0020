"""What events do not tell is fetched: gaps, bitmaps and overflows against the simulator's ground truth."""

import asyncio
import datetime as dt
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import pytest

from bridge.cloudsync.simulator.centre import Size
from bridge.cloudsync.simulator.endpoints import TOKEN_PATH, App, Endpoints
from bridge.cloudsync.simulator.mischief import Mischief
from bridge.cloudsync.simulator.shelf import Shelf
from bridge.crm import keypair
from bridge.words.cloudsync import QUARTER, Post
from tests.cloudsync.numbers import truth
from tests.cloudsync.process import feeds, lost, tables
from tests.cloudsync.process.conftest import Make
from tests.cloudsync.process.day import ENTITIES, Day
from tests.cloudsync.process.feeds import Ledger, Turn
from tests.cloudsync.process.test_truth import Numbers, at, different, expected

SIZE = Size(groups=2, agents=4, tickets=20, sessions=30)

HIDDEN = Mischief(dialects=("cometd", "pubsub"), gaps=0.25, bitmaps=0.3, duplicates=0.2, disorder=600.0)
WAYS = ("gap UPDATE", "bitmap UPDATE", "unsent UPDATE", "gap CREATE", "unsent CREATE", "gap DELETE")
STOCKS = ("backlog_close", "unassigned_close", "backlog_age_oldest_s", "open_end")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("keys")
    keypair.make(made, "acme", dt.datetime.now(dt.UTC))
    return made


@asynccontextmanager
async def asking(bridge_for: Make, day: Day, keys: Path) -> AsyncIterator[tuple[Turn, Endpoints]]:
    """Have a bridge that knows nothing but whom to ask, and a CRM that has every record as it is in the end."""
    app = App(certificate=keys / keypair.CERTIFICATE)
    async with Endpoints(app, Shelf(day.centre.world, day.centre.steps)).running() as crm:
        said = {
            "consumer_key": app.consumer_key,
            "user_id": app.user_id,
            "audience": app.audience,
            "token_endpoint": f"{crm.url}{TOKEN_PATH}",
        }
        turn = bridge_for("asking", day, said)
        for name in (keypair.KEY, keypair.CERTIFICATE):
            shutil.copy2(keys / name, turn.bridge.data / name)
        await turn.start()
        yield turn, crm
        assert {method for method, _ in crm.asked} == {"GET", "POST"}
        assert {path for method, path in crm.asked if method == "POST"} == {TOKEN_PATH}
        # While the CRM still answers.
        assert await asyncio.to_thread(turn.bridge.stop) == 0


@pytest.mark.parametrize("seed", [51, 52, 53])
async def test_what_the_crm_remembers_is_counted_as_if_no_event_had_been_lost(
    bridge_for: Make, keys: Path, seed: int
) -> None:
    day, left = await asyncio.to_thread(lossy, seed)
    expecting = asyncio.create_task(asyncio.to_thread(expected, day))
    async with asking(bridge_for, day, keys) as (turn, _):
        token, reader = turn.bridge.token("feed"), turn.bridge.token("observer")
        await feeds.by_both(turn, token, left.events, Ledger())
        await clear(turn, reader)
        rows_due, days_due = await expecting
        rows, days = await settled(turn, reader, day, rows_due)
    assert different(rows, rows_due) == {}
    assert different(days, days_due) == {}
    assert len(rows) > 500


@pytest.mark.parametrize("seed", [54, 55])
async def test_whatever_was_lost_no_record_is_created_twice_and_all_stocks_are_right(
    bridge_for: Make, keys: Path, seed: int
) -> None:
    day = await asyncio.to_thread(with_backlog, seed)
    events = [*day.centre.events(HIDDEN), *(lost.overflow(entity, day.until) for entity in ENTITIES)]
    expecting = asyncio.create_task(asyncio.to_thread(expected, day))
    async with asking(bridge_for, day, keys) as (turn, crm):
        token, reader = turn.bridge.token("feed"), turn.bridge.token("observer")
        crm.say("token", 503, times=2)  # it is not there at first: nothing waits for it
        await feeds.by_both(turn, token, events, Ledger())
        await clear(turn, reader)
        rows_due, _ = await expecting
        await tables.stands(turn.bridge, None)
        found = await tables.read(turn.bridge, reader, day)
    assert tables.broken(found) == {}
    rows = {(at(key[0]), *key[1:]): row for key, row in found.stt.items()}
    begun = {key: row["created"] for key, row in rows.items() if row["created"]}
    assert begun == {key: row["created"] for key, row in rows_due.items() if row["created"]}
    end = max(key[0] for key in rows_due)
    stocks = {
        key: [row[name] for name in STOCKS] for key, row in rows.items() if key[0] == end and row["backlog_close"]
    }
    due = {key: [row[name] for name in STOCKS] for key, row in rows_due.items() if key[0] == end}
    assert stocks == {key: values for key, values in due.items() if values[0]}
    assert stocks


async def test_records_that_are_gone_after_an_overflow_are_deleted(bridge_for: Make, keys: Path) -> None:
    day = await asyncio.to_thread(with_backlog, 57)
    facts = list(truth.facts(day.centre.truth(), day.centre.mapping))
    still_open = sorted(fact.record for fact in facts if fact.post is Post.SPAN_OPEN and fact.until is None)
    gone = still_open[:2]
    async with asking(bridge_for, day, keys) as (turn, crm):
        token, reader = turn.bridge.token("feed"), turn.bridge.token("observer")
        await feeds.by_both(turn, token, list(day.centre.events()), Ledger())
        await clear(turn, reader)
        for ticket in gone:
            crm.records.remove("SupportTicket", ticket)
        await feeds.by_mqtt(turn, token, [lost.overflow("SupportTicket", day.until)], Ledger())
        await clear(turn, reader)
        until = int(time.time() * 1000) // QUARTER * QUARTER + QUARTER
        span = {"from": tables.spell(day.start), "to": tables.spell(until), "fill": "none"}
        async with aiohttp.ClientSession(turn.bridge.http, headers={"Authorization": f"Bearer {reader}"}) as session:
            rows = await tables.ask(session, "stt", span | {"group": "*"}, ("interval_start",))
            groups = await tables.ask(session, "stt", span, ("group",))
    deleted = sum(fact.post is Post.DELETED for fact in facts)
    assert sum(row["deleted"] for row in rows.values()) == deleted + len(gone)
    last = rows[tables.spell(day.until),]
    assert (last["deleted"], last["backlog_close"]) == (len(gone), len(still_open) - len(gone))
    assert rows[max(rows)]["backlog_close"] == len(still_open) - len(gone)
    assert {group for (group,) in groups} <= {group.id for group in day.centre.world.groups}


def lossy(seed: int) -> tuple[Day, lost.Lost]:
    """Find a day (each date has its own) of which something is lost in every way."""
    for number in count(seed, 100):
        day = Day(number, SIZE)
        left = lost.lossy(day, 0.4, Random(number))  # noqa: S311 - which events
        if all(left.ways[way] for way in WAYS):
            return day, left
    raise AssertionError


def with_backlog(seed: int) -> Day:
    """Find a day that leaves tickets open."""
    days = (Day(number, SIZE) for number in count(seed, 100))
    return next(
        day
        for day in days
        if any(
            fact.post is Post.SPAN_OPEN and fact.until is None
            for fact in truth.facts(day.centre.truth(), day.centre.mapping)
        )
    )


async def clear(turn: Turn, reader: str) -> None:
    """Wait until nothing is in doubt, and everything has a name."""
    headers = {"Authorization": f"Bearer {reader}"}
    async with asyncio.timeout(tables.STANDS_WITHIN), aiohttp.ClientSession(turn.bridge.http, headers=headers) as http:
        while True:
            await tables.stands(turn.bridge, None)
            async with http.get("/api/dq") as response:
                told: dict[str, Any] = await response.json()
            if not (told["dirty"] or told["unclassified"] or told["unmapped"] or told["quarantined"]):
                return
            await asyncio.sleep(0.1)


async def settled(turn: Turn, reader: str, day: Day, due: Numbers) -> tuple[Numbers, Numbers]:
    """Read the tables until what a name changed last is computed too; give them in any case."""
    for _ in range(20):
        await tables.stands(turn.bridge, None)
        rows, days = (await tables.read(turn.bridge, reader, day)).metrics()
        rows = {(at(key[0]), *key[1:]): row for key, row in rows.items()}
        if not different(rows, due):
            break
        await asyncio.sleep(0.5)
    return rows, days
