"""The whole at work: events are processed, told and computed without being asked, bursts too, and failures are loud."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.words.cloudsync import Folded
from tests.cloudsync.flow.events import BILLING, Clock, House, cdc, closed, created, ms, opened, record, spelled

AT = ms("2026-11-10T14:05:00Z")
WITHIN = 30.0


@asynccontextmanager
async def running(house: House) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        work = group.create_task(house.cloudsync.run())
        async with asyncio.timeout(WITHIN):
            yield
        work.cancel()


async def row_with(house: House, name: str, value: object) -> dict[str, object]:
    """Wait until the row of 14:00 says so."""
    while True:
        rows = await house.stt("2026-11-10T14:00:00Z", "2026-11-10T14:15:00Z", group=BILLING)
        if rows and rows[0][name] == value:
            return rows[0]
        await asyncio.sleep(0.01)


async def test_events_become_numbers_by_themselves(house: House) -> None:
    async with running(house):
        house.publish("data/SupportTicketChangeEvent", created(1, AT))
        await row_with(house, "created", 1)
        await house.post(closed(1, AT + 60_000))
        await row_with(house, "closed", 1)


async def test_those_who_follow_are_told_of_each_record_in_order(house: House) -> None:
    told: list[tuple[str, object]] = []
    three = asyncio.Event()

    def follow(customer: str, entity: str, of: str, folded: Folded, now: int) -> None:
        assert (customer, entity, now) == ("acme", "SupportTicket", house.clock.at)
        told.append((of, folded.state["Status"]))
        if len(told) >= 3:
            three.set()

    house.cloudsync.hooks.on_folded = follow
    async with running(house):
        for number in (1, 2):
            await house.post(created(number, AT))
            while len(told) < number:  # noqa: ASYNC110 - it is told one by one
                await asyncio.sleep(0.005)
        await house.post(closed(1, AT + 1))
        await three.wait()
    assert told == [(record(1), "New"), (record(2), "New"), (record(1), "Closed")]


async def test_at_the_start_they_are_told_of_what_still_lasts(data: Path, clock: Clock) -> None:
    async with opened(data, clock) as house:
        await house.settled(created(1, AT), created(2, AT), closed(2, AT + 1))
    async with opened(data, clock) as house:
        told: list[str] = []
        first = asyncio.Event()

        def follow(_: str, __: str, of: str, folded: Folded, ___: int) -> None:
            assert folded.facts
            told.append(of)
            first.set()

        house.cloudsync.hooks.on_folded = follow
        async with running(house):
            await first.wait()
        assert told == [record(1)]


async def test_a_burst_of_10000_events_is_counted_whole_while_numbers_are_read(house: House) -> None:
    events = [created(number, AT + number % 900_000) for number in range(10_000)]
    async with running(house):
        for start in range(0, len(events), 1_000):
            await house.post(*events[start : start + 1_000])
        assert house.cloudsync.lag > 0
        row = await row_with(house, "backlog_close", 9_000 + 1_000)
        assert row["created"] == 10_000
    assert house.cloudsync.lag == 0


async def test_one_change_by_push_topic_and_by_cdc_is_counted_once(house: House) -> None:
    topic = {
        "channel": "/topic/Tickets",
        "data": {
            "event": {"createdDate": spelled(AT + 500), "replayId": 13, "type": "created"},
            "sobject": {
                "Id": record(1),
                "Status": "New",
                "Priority": "High",
                "Origin": "Email",
                "OwnerId": BILLING,
                "CreatedDate": spelled(AT),
                "LastModifiedDate": spelled(AT),
            },
        },
    }
    told = await house.settled(json.dumps(topic).encode(), created(1, AT))
    assert (told.accepted, told.duplicates) == (2, 0)
    row = await house.row("2026-11-10T14:00:00Z")
    assert (row["created"], row["backlog_close"]) == (1, 1)


async def test_what_fails_but_the_disk_takes_the_caller_down(house: House) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a follower's mistake")

    house.cloudsync.hooks.on_folded = fail
    await house.post(created(1, AT))
    with pytest.raises(BaseExceptionGroup, match="unhandled errors"):
        await house.cloudsync.run()


async def test_while_the_file_is_locked_it_is_not_usable_and_goes_on_afterwards(house: House, data: Path) -> None:
    await house.post(created(1, AT))
    other = sqlite3.connect(data / "cloudsync.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    async with running(house):
        while house.cloudsync.usable:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
        other.execute("ROLLBACK")
        other.close()
        await row_with(house, "created", 1)
        assert house.cloudsync.usable


async def test_events_of_users_and_groups_go_to_who_maps_them(house: House) -> None:
    got: list[tuple[str, str]] = []

    async def take(customer: str, changes: object) -> None:
        got.extend((customer, change.entity) for change in changes)  # type: ignore[attr-defined]

    house.cloudsync.hooks.mapping_changed = take
    await house.settled(cdc("User", "CREATE", AT, "005000000000009AAA", Name="Ann", Username="ann"), created(1, AT))
    assert got == [("acme", "User")]
    assert (await house.cloudsync.dq("acme")).dirty == 0
