"""When nothing can be written, callers hear why, nothing answered is lost, and the ledger recovers by itself."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from bridge.ledger.ledger import Ledger
from bridge.ledger.writer import TRIED_AGAIN_AFTER
from bridge.words.ledger import Entry, Record, Remembered, Step, Unavailable
from bridge.words.settings import Duration
from bridge.words.settings import Ledger as Bounds
from tests.ledger.pops import NOON, accept, entry, eventually, listed, statuses

SHORT = Bounds(busy_timeout=Duration(0.05))


@asynccontextmanager
async def locked(data: Path) -> AsyncIterator[None]:
    """Hold the file's only write lock, as another program might."""
    other = sqlite3.connect(data / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


async def refusal(ledger: Ledger, one: Entry) -> str:
    with pytest.raises(Unavailable) as refused:
        await accept(ledger, one)
    return refused.value.reason


async def test_a_locked_file_refuses_pops_and_takes_them_when_the_lock_is_gone(data: Path) -> None:
    async with Ledger.open(data, SHORT) as ledger:
        await accept(ledger, entry("pop-000000000001"))
        async with locked(data):
            assert await refusal(ledger, entry("pop-000000000002")) == "busy"
            assert (ledger.trouble, ledger.usable) == ("busy", False)
            assert await listed(ledger) == ["pop-000000000001"]
        await eventually(lambda: ledger.usable)
        await accept(ledger, entry("pop-000000000003"))
        assert await listed(ledger) == ["pop-000000000003", "pop-000000000001"]


async def test_a_pop_finds_the_lock_gone_without_waiting_for_the_next_try(data: Path) -> None:
    async with Ledger.open(data, SHORT) as ledger:
        async with locked(data):
            assert await refusal(ledger, entry("pop-000000000001")) == "busy"
        await accept(ledger, entry("pop-000000000002"))
        assert ledger.usable


async def test_what_was_noted_while_nothing_could_be_written_is_written_afterwards_in_order(data: Path) -> None:
    async with Ledger.open(data, SHORT) as ledger:
        await accept(ledger, entry("pop-000000000001"))
        async with locked(data):
            ledger.note("pop-000000000001", "sent", NOON)
            ledger.remember(
                Remembered(customer="acme", api="connect", key="k", fingerprint=b"1", status=200, body=b"{}", at=NOON)
            )
            assert await refusal(ledger, entry("pop-000000000002")) == "busy"
            ledger.note("pop-000000000001", "held", NOON)
            ledger.save_record(Record("acme", "1001", "R-1", "current", "pop-000000000001", NOON))
            assert await refusal(ledger, entry("pop-000000000003")) == "busy"
            ledger.note("pop-000000000001", "sent", NOON)
            ledger.seen("acme", "1001", NOON)
            ledger.note("pop-000000000001", "shown", NOON, final=True)
        await eventually(lambda: ledger.usable)
        assert await statuses(ledger, "pop-000000000001") == ["accepted", "held", "sent", "held", "sent", "shown"]
        assert await ledger.remembered("acme", "connect", "k", NOON) is not None
        assert [record.reference for record in await ledger.records()] == ["R-1"]
        assert await ledger.agent("acme", "1001") is not None
        assert await listed(ledger) == ["pop-000000000001"]


async def test_an_answer_is_not_remembered_when_its_pop_could_not_be_written(data: Path) -> None:
    answer = Remembered(customer="acme", api="connect", key="k", fingerprint=b"1", status=200, body=b"{}", at=NOON)
    async with Ledger.open(data, SHORT) as ledger:
        async with locked(data):
            with pytest.raises(Unavailable):
                await ledger.accept(entry("pop-000000000001"), [Step("held", NOON)], answer)
        await eventually(lambda: ledger.usable)
        assert await ledger.remembered("acme", "connect", "k", NOON) is None


async def test_notes_that_cannot_be_written_are_bounded_and_then_no_pop_is_taken(data: Path) -> None:
    bounds = Bounds(busy_timeout=Duration(0.05), max_waiting=100)
    async with Ledger.open(data, bounds) as ledger:
        await accept(ledger, entry("pop-000000000001"))
        async with locked(data):
            assert await refusal(ledger, entry("pop-000000000002")) == "busy"
            for number in range(300):
                ledger.note("pop-000000000001", "sent", NOON + number)
            assert ledger.behind
            assert ledger.waiting == 200
            assert ledger.counted["dropped"] == 100
            ledger.remember(
                Remembered(customer="acme", api="connect", key="k", fingerprint=b"1", status=200, body=b"{}", at=NOON)
            )
            assert ledger.counted["dropped"] == 101
            assert await refusal(ledger, entry("pop-000000000003")) == "busy"
        await eventually(lambda: not ledger.behind)
        await accept(ledger, entry("pop-000000000004"))


async def test_a_full_disk_refuses_pops_and_takes_them_when_there_is_space(data: Path) -> None:
    async with Ledger.open(data) as ledger:
        await pages(ledger, 60)
        taken: list[str] = []
        reasons: list[str] = []
        while not reasons:
            popid = f"pop-{len(taken):012}"
            try:
                await accept(ledger, entry(popid))
                taken.append(popid)
            except Unavailable as failure:
                reasons.append(failure.reason)
        assert reasons == ["full"]
        ledger.note("pop-000000000000", "shown", NOON, final=True)
        tries = ledger.counted["failures"] + 3
        await eventually(lambda: ledger.counted["failures"] >= tries)
        assert not ledger.usable
        assert await listed(ledger) == taken[::-1]
        await pages(ledger, 10_000)
        await eventually(lambda: ledger.usable)
        await accept(ledger, entry("pop-999999999999"))
        assert await listed(ledger) == ["pop-999999999999", *taken[::-1]]
        assert (await statuses(ledger, "pop-000000000000"))[-1] == "shown"


async def pages(ledger: Ledger, most: int) -> None:
    await ledger._database._writer.execute_fetchall(f"PRAGMA max_page_count = {most}")


async def test_callers_at_once_all_hear_of_it(data: Path) -> None:
    async with Ledger.open(data, SHORT) as ledger:
        async with locked(data):
            tries = (accept(ledger, entry(f"pop-{number:012}")) for number in range(50))
            outcomes = await asyncio.gather(*tries, return_exceptions=True)
            assert {getattr(outcome, "reason", None) for outcome in outcomes} == {"busy"}
        await eventually(lambda: ledger.usable)
        assert await listed(ledger) == []


async def test_nothing_is_counted_as_waiting_once_it_was_written_or_refused(data: Path) -> None:
    async with Ledger.open(data, SHORT) as ledger:
        await accept(ledger, entry("pop-000000000001"))
        async with locked(data):
            tries = [accept(ledger, entry(f"try-{number:012}")) for number in range(5)]
            ledger.note("pop-000000000001", "sent", NOON)
            await asyncio.gather(*tries, return_exceptions=True)
            ledger.note("pop-000000000001", "held", NOON)
            assert ledger.waiting == 2
        await eventually(lambda: ledger.usable)
        with pytest.raises(Unavailable):
            await accept(ledger, entry("pop-000000000001"))
        ledger.note("pop-000000000001", "shown", NOON, final=True)
        await ledger.settled()
        assert ledger.waiting == 0


async def test_notes_that_keep_coming_do_not_make_it_try_more_often(data: Path) -> None:
    async with Ledger.open(data, SHORT) as ledger:
        await accept(ledger, entry("pop-000000000001"))
        async with locked(data):
            ledger.note("pop-000000000001", "sent", NOON)
            await eventually(lambda: ledger.trouble == "busy")
            begun, failures = time.monotonic(), ledger.counted["failures"]
            while time.monotonic() < begun + 1.5:
                ledger.note("pop-000000000001", "sent", NOON)
                await asyncio.sleep(0.002)
            tries = ledger.counted["failures"] - failures
            assert tries <= (time.monotonic() - begun) / TRIED_AGAIN_AFTER + 1
        await eventually(lambda: ledger.waiting == 0)
        assert (await statuses(ledger, "pop-000000000001"))[-1] == "sent"


async def test_a_note_that_cannot_be_spelled_is_not_counted_as_waiting(ledger: Ledger) -> None:
    await accept(ledger, entry("pop-000000000001"))
    with pytest.raises(UnicodeEncodeError):
        ledger.note("pop-000000000001", "refused", NOON, "\ud800", final=True)
    assert ledger.waiting == 0
    assert await statuses(ledger, "pop-000000000001") == ["accepted", "held"]


async def test_closing_while_nothing_can_be_written_ends(data: Path) -> None:
    async with AsyncExitStack() as stack, Ledger.open(data, SHORT) as ledger:
        await accept(ledger, entry("pop-000000000001"))
        await stack.enter_async_context(locked(data))
        ledger.note("pop-000000000001", "shown", NOON, final=True)
    async with Ledger.open(data) as ledger:
        assert await statuses(ledger, "pop-000000000001") == ["accepted", "held"]
