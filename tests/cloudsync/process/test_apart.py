"""CloudSync's events are processed in a process of their own, which may end at any moment and leaves no trace."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.cloudsync.process import feeds, kill, tables
from tests.cloudsync.process.conftest import Make
from tests.cloudsync.process.day import Day
from tests.cloudsync.process.feeds import Ledger
from tests.conftest import WITHIN, Bridge

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="it is /proc that tells of processes"),
    pytest.mark.timeout(300),
]


def started_by(bridge: Bridge) -> list[int]:
    """List the processes that a bridge has started."""
    threads = Path(f"/proc/{bridge.process.pid}/task").iterdir()
    return [int(pid) for thread in threads for pid in (thread / "children").read_text(encoding="ascii").split()]


def alive(pid: int) -> bool:
    """Say whether a process runs; one that nobody has buried yet does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


async def processor_of(bridge: Bridge, *before: int) -> int:
    """Wait for the processor, another one than before."""
    async with asyncio.timeout(4 * WITHIN):
        while True:
            for pid in started_by(bridge):
                if pid not in before and alive(pid):
                    return pid
            await asyncio.sleep(0.02)


async def test_killed_again_and_again_it_goes_on_and_the_tables_are_the_undisturbed_runs(
    bridge_for: Make, tmp_path: Path
) -> None:
    day = Day(51)
    expected = await kill.undisturbed(tmp_path / "undisturbed", day)
    turn = bridge_for("killed", day)
    bridge = turn.bridge
    token, reader = bridge.token("feed"), bridge.token("observer")
    await turn.start()
    events = day.events()
    third = len(events) // 3
    killed: list[int] = []
    for start in (0, third, 2 * third):
        some = events[start:] if start == 2 * third else events[start : start + third]
        killed.append(await processor_of(bridge, *killed))
        await feeds.by_http(turn, token, some[: third // 2], Ledger(), at_once=200)
        os.kill(killed[-1], signal.SIGKILL)
        await feeds.by_both(turn, token, some[third // 2 :], Ledger())
    await tables.stands(bridge, day.centre.size.agents, within=4 * tables.STANDS_WITHIN)
    found = await tables.read(bridge, reader, day)
    assert tables.differences(found, expected) == {}
    assert tables.broken(found) == {}
    assert bridge.log().count("processor was killed (signal 9)") == 3
    assert await processor_of(bridge, *killed)


async def test_who_reads_with_an_etag_gets_what_a_killed_processor_had_computed_and_not_told(bridge_for: Make) -> None:
    day = Day(52)
    turn = bridge_for("killed", day)
    bridge = turn.bridge
    token, reader = bridge.token("feed"), bridge.token("observer")
    await turn.start()
    events = day.events()
    await feeds.by_http(turn, token, events[: len(events) // 2], Ledger(), at_once=500)
    await tables.stands(bridge, day.centre.size.agents)
    asked = {"date": day.dates[0]}
    async with aiohttp.ClientSession(bridge.http, headers={"Authorization": f"Bearer {reader}"}) as session:
        async with session.get("/api/cim", params=asked) as response:
            tag, before = response.headers["ETag"], await response.json()
        pid = await processor_of(bridge)
        await feeds.by_http(turn, token, events[len(events) // 2 :], Ledger(), at_once=500)
        os.kill(pid, signal.SIGKILL)
        await processor_of(bridge, pid)
        await tables.stands(bridge, day.centre.size.agents, within=4 * tables.STANDS_WITHIN)
        async with asyncio.timeout(4 * WITHIN):
            while True:
                async with session.get("/api/cim", params=asked, headers={"If-None-Match": tag}) as response:
                    if response.status == 200 and (await response.json())["rows"] != before["rows"]:
                        return
                await asyncio.sleep(0.05)


async def test_it_ends_with_its_bridge_however_that_ends(bridge_for: Make) -> None:
    turn = bridge_for("ended", Day(53))
    for end in (turn.bridge.kill, turn.bridge.stop):
        await turn.start()
        pid = await processor_of(turn.bridge)
        await asyncio.to_thread(end)
        async with asyncio.timeout(4 * WITHIN):
            while alive(pid):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.02)


async def test_a_signal_to_all_processes_of_a_group_means_the_bridge_only(bridge_for: Make) -> None:
    day = Day(54)
    turn = bridge_for("signalled", day)
    token = turn.bridge.token("feed")
    await turn.start()
    await feeds.by_http(turn, token, day.users(), Ledger())
    await tables.stands(turn.bridge, day.centre.size.agents)
    pid = await processor_of(turn.bridge)
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(pid, number)
    await feeds.by_http(turn, token, day.events(), Ledger(), at_once=2_000)
    await tables.stands(turn.bridge, day.centre.size.agents)
    assert started_by(turn.bridge) == [pid]


async def test_a_bridge_whose_customers_have_no_feeds_is_one_process(tmp_path: Path) -> None:
    bridge = Bridge(tmp_path / "plain")
    await asyncio.to_thread(bridge.start)
    try:
        async with aiohttp.ClientSession(bridge.http) as session, session.get("/readyz") as response:
            assert response.status == 200, await response.text()
        assert started_by(bridge) == []
    finally:
        assert await asyncio.to_thread(bridge.stop) == 0
