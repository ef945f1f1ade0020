"""What was answered survives kill -9."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest

from bridge.ledger.ledger import Ledger
from tests.ledger.pops import NOON, PATIENCE, listed, statuses


async def started(data: Path, what: str, prefix: str) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.ledger.writing", str(data), what, prefix), stdout=PIPE
    )


async def said(process: Process, lines: int) -> list[str]:
    """Read some lines, kill the process, and give these and what it had said when it died."""
    assert process.stdout is not None
    read = [await process.stdout.readline() for _ in range(lines)]
    process.kill()
    read += (await process.stdout.read()).splitlines()
    await process.wait()
    return [line.decode().strip() for line in read]


@pytest.mark.timeout(300)
async def test_every_answered_pop_is_there_after_kill_9_ten_times(data: Path) -> None:
    answered: set[str] = set()
    shown: set[str] = set()
    async with asyncio.timeout(5 * PATIENCE):
        for number in range(10):
            process = await started(data, "kill", f"round{number}")
            for line in await said(process, 50 + 150 * number):
                popid, _, status = line.partition(" ")
                (shown if status else answered).add(popid)
            async with Ledger.open(data) as ledger:
                there = set(await listed(ledger))
                assert answered <= there
                assert len(answered) >= 30 * (number + 1)
                open_now = {entry.popid: entry for entry, _ in await ledger.take_up(NOON)}
                assert shown.isdisjoint(open_now)
                assert all(entry.payload for entry in open_now.values())
                for popid in (max(answered), min(answered)):
                    assert (await statuses(ledger, popid))[:2] == ["accepted", "held"]
                    assert await ledger.remembered("acme", "connect", popid, NOON) is not None
    assert shown


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
async def test_files_that_may_not_grow_refuse_pops_until_they_may(data: Path) -> None:
    process = await started(data, "limit", "limit")
    async with asyncio.timeout(PATIENCE):
        stdout, _ = await process.communicate()
    lines = stdout.decode().splitlines()
    assert process.returncode == 0
    assert lines[-2] == "broken False"
    async with Ledger.open(data) as ledger:
        assert set(await listed(ledger)) == {line for line in lines if line != "broken False"}
        # The note that came with the pop that failed is there, although the pop is not.
        assert "sent" in await statuses(ledger, "limit-before-0000")
