"""A burst of 50,000 events: bounded memory, changes coalesced, every bucket right, and the lag can be seen."""

import asyncio
import contextlib
import json
import multiprocessing
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.cloudsync.numbers.intervals import day_on
from bridge.cloudsync.simulator.centre import Event, Size
from bridge.words.cloudsync import QUARTER, Fact
from tests.broker.contract.client import Client
from tests.cloudsync import naive
from tests.cloudsync.numbers import truth
from tests.cloudsync.process import feeds, tables
from tests.cloudsync.process.conftest import Make
from tests.cloudsync.process.day import CUSTOMER_ZONE, Day
from tests.cloudsync.process.feeds import Ledger, Turn
from tests.cloudsync.process.test_truth import at, different
from tests.conftest import WITHIN, mqtt

SIZE = Size(groups=3, agents=80, tickets=2_820, sessions=7_050)
MOST_MIB = 400
"""What the burst may add to the bridge's memory. The events alone are some 35 MB; without bounds they are many times
that as objects. It takes about a quarter of this."""

Numbers = Mapping[tuple[Any, ...], Mapping[str, Any]]
STT_KEY = ("interval_start", "group", "channel", "priority")


@cache
def burst_day() -> Day:
    return Day(36, SIZE, ago=2)


def spelled() -> list[Event]:
    return burst_day().events()


@pytest.mark.timeout(400)
async def test_a_burst_of_50000_events_is_counted_right_within_bounds_and_its_lag_is_seen(bridge_for: Make) -> None:
    day = burst_day()
    turn = bridge_for("burst", day)
    bridge = turn.bridge
    token, reader = bridge.token("feed"), bridge.token("observer")
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as beside:
        loop = asyncio.get_running_loop()
        events = await loop.run_in_executor(beside, spelled)
        assert len(events) >= 50_000
        expecting = loop.run_in_executor(beside, expected)
        await turn.start()
        async with (
            mqtt(bridge, "acme", reader, ("LIVE/acme/#", 0)) as observer,
            mqtt(bridge, "acme", token) as source,
            aiohttp.ClientSession(bridge.http, headers={"Authorization": f"Bearer {reader}"}) as session,
        ):
            await source.publish("CLOUDSYNC/acme/feed", b'{"state": "up", "at": 0}', qos=1, retain=True)
            before = await floor(session)
            at_rest = memory(bridge.process.pid, "VmRSS")
            seqs: list[int] = []
            lags: list[float] = []
            waiting: list[float] = []
            listening = asyncio.create_task(listened(observer, seqs))
            looking = asyncio.create_task(lagging(session, lags, waiting))
            ledger = Ledger()
            async with asyncio.TaskGroup() as group:
                # Most of it by MQTT; what comes in large requests is stored far quicker than it is processed.
                group.create_task(feeds.by_mqtt(turn, token, events[:40_000], ledger, window=400))
                group.create_task(late(turn, token, events[40_000:], ledger))
            assert len(ledger.acknowledged) == len(events)
            assert ledger.sent_again == 0
            await tables.stands(bridge, SIZE.agents, within=200)
            await stopped(looking)
            assert max(lags) > 0, "nobody could see that it lags"
            assert max(waiting) > 0
            after = await at_rest_again(session)
            assert memory(bridge.process.pid, "VmHWM") - at_rest < MOST_MIB
            assert after["seq"] > before["seq"]
            assert after["seq"] - before["seq"] < len(events), "changes are not coalesced"
            assert (after["sessions"], after["feed_state"]) == ([], "up")
            await stopped(listening)
            assert 0 < len(seqs) <= after["seq"] - before["seq"]
            assert seqs == sorted(set(seqs))
            rows = await read_stt(session, day)
            days = await read_cim(session, day)
        rows_due, days_due = await expecting
    assert different(rows, rows_due) == {}
    assert different(days, days_due) == {}
    assert len(rows) > 2_000
    assert len(days) >= SIZE.agents


async def late(turn: Turn, token: str, events: list[Event], ledger: Ledger) -> None:
    await ledger.reaches(1)
    await feeds.by_http(turn, token, events, ledger, at_once=5_000)


def memory(pid: int, what: str) -> float:
    """Give the MiB of memory of a process and its children: now (VmRSS), or at most so far (VmHWM)."""
    process = Path(f"/proc/{pid}")
    found = re.search(rf"^{what}:\s+(\d+) kB$", (process / "status").read_text(encoding="ascii"), re.MULTILINE)
    assert found is not None
    children = [int(child) for task in process.glob("task/*/children") for child in task.read_text().split()]
    return int(found[1]) / 1024 + sum(memory(child, what) for child in children)


async def floor(session: aiohttp.ClientSession) -> dict[str, Any]:
    async with session.get("/api/lsm") as response:
        assert response.status == 200
        told: dict[str, Any] = await response.json()
        return told


async def listened(observer: Client, seqs: list[int]) -> None:
    """Note the number of each change that is told on LIVE/…, until nobody wants it any more."""
    while True:
        with contextlib.suppress(TimeoutError):  # nothing was told for a while
            seqs.append(json.loads((await observer.message()).payload)["seq"])


async def lagging(session: aiohttp.ClientSession, lags: list[float], waiting: list[float]) -> None:
    """Look again and again how far it lags, in seconds, and how many changes wait."""
    while True:
        lags.append((await floor(session))["lag_s"])
        async with session.get("/metrics") as response:
            found = re.search(r"^popbridge_cloudsync_lag (\S+)$", await response.text(), re.MULTILINE)
            assert found is not None
            waiting.append(float(found[1]))
        await asyncio.sleep(0.02)


async def stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def at_rest_again(session: aiohttp.ClientSession) -> dict[str, Any]:
    """Wait until nothing lags, and everything that changed is told."""
    async with asyncio.timeout(4 * WITHIN):
        told = await floor(session)
        while True:
            await asyncio.sleep(0.5)  # longer than changes are gathered
            earlier, told = told, await floor(session)
            if told["lag_s"] == 0 and told["seq"] == earlier["seq"]:
                return told


# What every bucket must be


def expected() -> tuple[Numbers, Numbers]:
    """Compute each row of the finest grain, of each group, and of all, apart from the bridge's own computation."""
    day = burst_day()
    mapping = day.centre.mapping
    facts = list(truth.facts(day.centre.truth(), mapping))
    rows: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for begin, some in by_quarter(facts, day).items():
        of_key: defaultdict[tuple[str, str, str], list[Fact]] = defaultdict(list)
        for fact in some:
            for key in ((fact.group, fact.channel, fact.priority), (fact.group, "*", "*"), ("*", "*", "*")):
                of_key[key].append(fact)
        for key, mine in of_key.items():
            row = naive.stt_row(mine, begin, begin + QUARTER, mapping, "event", "negative", day.until)
            if key[0] and naive.anything(row):
                rows[begin, *key] = row
    days: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    of_agent: defaultdict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        of_agent[fact.agent].append(fact)
    for agent, mine in of_agent.items():
        for date in day.dates:
            on = day_on(date, CUSTOMER_ZONE)
            window = (on.start, on.end)
            if agent and (
                naive.works(mine, agent, window, day.until)
                or naive.is_only_there(mine, agent, "*", date, mapping, CUSTOMER_ZONE, day.until)
            ):
                days[date, agent] = naive.cim_row(mine, mine, [agent], window, CUSTOMER_ZONE, day.until)
    return rows, days


def by_quarter(facts: list[Fact], day: Day) -> dict[int, list[Fact]]:
    """Give what the row of a quarter hour can depend on: what happened in it, and what lasted into it."""
    found: dict[int, list[Fact]] = {begin: [] for begin in range(day.start, day.until, QUARTER)}
    for fact in facts:
        for begin in quarters_of(fact, day):
            if begin in found:
                found[begin].append(fact)
    return found


def quarters_of(fact: Fact, day: Day) -> Iterator[int]:
    first = fact.at - fact.at % QUARTER
    last = first
    if fact.post.startswith("span_"):
        last = day.until if fact.until is None else fact.until
    yield from range(first, last + 1, QUARTER)


# What they are


async def read_stt(session: aiohttp.ClientSession, day: Day) -> Numbers:
    span = {"from": tables.spell(day.start), "to": tables.spell(day.until), "fill": "none"}
    rows: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for group, other in (("each", "each"), ("each", "*"), ("*", "*")):
        asked = {**span, "group": group, "channel": other, "priority": other}
        for key, row in (await tables.ask(session, "stt", asked, STT_KEY)).items():
            numbers = tables.numbers("stt", row)
            if naive.anything(numbers):
                rows[at(key[0]), *key[1:]] = numbers
    return rows


async def read_cim(session: aiohttp.ClientSession, day: Day) -> Numbers:
    asked = {"from": day.dates[0], "to": day.dates[-1], "group": "*"}
    rows = await tables.ask(session, "cim", asked, ("date", "agent"))
    return {key: tables.numbers("cim", row) for key, row in rows.items()}
