"""Events arrive once, by HTTP and by MQTT, and are acknowledged when they are on disk."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bridge.words import errors
from bridge.words.ledger import Unavailable
from bridge.words.principal import Principal, Role
from bridge.words.settings import Cloudsync as Settings
from tests.cloudsync.flow.events import Clock, House, Receipt, cdc, closed, created, ms, opened, record

AT = ms("2026-11-10T14:05:00Z")
WITHIN = 30.0


async def eventually(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN):
        while not holds():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)


async def rows(data: Path, sql: str) -> list[tuple[object, ...]]:
    def read() -> list[tuple[object, ...]]:
        with sqlite3.connect(data / "cloudsync.db") as connection:
            return list(connection.execute(sql))

    return await asyncio.to_thread(read)


@asynccontextmanager
async def locked(data: Path) -> AsyncIterator[None]:
    """Hold the file's only write lock, as another program might."""
    other = sqlite3.connect(data / "cloudsync.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


async def test_the_same_event_twice_is_one_raw_event_and_one_duplicate(house: House, data: Path) -> None:
    event = created(1, AT)
    first = await house.settled(event)
    row = await house.row("2026-11-10T14:00:00Z")
    again = await house.settled(event)
    assert (first.accepted, first.duplicates) == (1, 0)
    assert (again.accepted, again.duplicates) == (0, 1)
    assert await rows(data, "SELECT count(*) FROM raw") == [(1,)]
    assert await house.row("2026-11-10T14:00:00Z") == row
    await eventually(lambda: not house.cloudsync._ingest._untold)
    assert (await house.cloudsync.dq("acme")).duplicates == 1


async def test_duplicates_within_one_request_are_found(house: House) -> None:
    event = created(1, AT)
    told = await house.post(event, created(2, AT), event)
    assert (told.accepted, told.duplicates) == (2, 1)


async def test_a_merged_event_is_one_event(house: House, data: Path) -> None:
    merged = cdc("SupportTicket", "UPDATE", AT, record(1), record(2), record(3), Status="Closed")
    assert (await house.post(merged)).accepted == 1
    assert (await house.post(merged)).duplicates == 1
    assert await rows(data, "SELECT count(*) FROM raw") == [(1,)]
    assert await rows(data, "SELECT count(*) FROM changes") == [(3,)]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"{", "not_json"),
        (b'{"a": NaN}', "not_json"),
        (b'{"a": "\xff"}', "not_utf8"),
        (b'{"a": "' + b"x" * 1_100_000 + b'"}', "too_large"),
        (b'{"a": 1}', "unknown_form"),
    ],
)
async def test_what_cannot_be_read_is_quarantined_and_acknowledged(house: House, payload: bytes, reason: str) -> None:
    receipt = house.publish("data/SupportTicketChangeEvent", payload)
    after = house.publish("data/SupportTicketChangeEvent", created(1, AT))
    await eventually(lambda: receipt.released and after.released)
    told = await house.cloudsync.dq("acme")
    assert told.quarantined == 1
    (quarantined,) = told.lists.quarantined
    assert (quarantined.reason, quarantined.size) == (reason, len(payload))
    await house.cloudsync.settle()
    assert (await house.row("2026-11-10T14:00:00Z"))["created"] == 1


async def test_of_what_is_quarantined_64_kib_are_kept(house: House, data: Path) -> None:
    await house.post(b"x" * 100_000)
    assert await rows(data, "SELECT length(head), size FROM quarantine") == [(65_536, 100_000)]


async def test_the_same_unreadable_message_is_kept_once_and_counted(house: House) -> None:
    assert (await house.post(b"{", b"{")).quarantined == 2
    (quarantined,) = (await house.cloudsync.dq("acme")).lists.quarantined
    assert quarantined.times == 2


async def test_quarantine_is_replayed_when_it_can_be_read(data: Path, clock: Clock) -> None:
    unknown = created(1, AT).replace(b'"CREATE"', b'"CREATION"')
    async with opened(data, clock) as house:
        assert (await house.post(unknown)).quarantined == 1
        # As if a later version knew that change type.
        async with asyncio.timeout(WITHIN):
            await house.cloudsync._database.write(
                "UPDATE quarantine SET head = CAST(replace(CAST(head AS TEXT), 'CREATION', 'CREATE') AS BLOB)"
            )
        assert (await house.cloudsync.replay("acme")).accepted == 1
        await house.cloudsync.settle()
        assert (await house.row("2026-11-10T14:00:00Z"))["created"] == 1
        assert (await house.cloudsync.dq("acme")).quarantined == 0


async def test_entities_that_are_not_selected_are_counted_and_ignored(data: Path, clock: Clock) -> None:
    async with opened(data, clock, Settings(feeds=["stt"], entities=["ChatSession"])) as house:
        told = await house.post(created(1, AT))
        assert (told.accepted, told.ignored) == (0, 1)
        assert (await house.cloudsync.dq("acme")).ignored == 1


async def test_a_customer_without_feeds_takes_no_events(data: Path, clock: Clock) -> None:
    async with opened(data, clock, Settings()) as house:
        with pytest.raises(errors.Fault) as refused:
            await house.post(created(1, AT))
        assert refused.value.problem.code == "feed_disabled"
        assert house.publish("data/SupportTicketChangeEvent", created(1, AT)).released


async def test_only_a_feed_brings_events(house: House) -> None:
    desktop = Principal(Role.DESKTOP, "acme", "d", 4e9, "1001")
    assert not house.cloudsync.arrived(desktop, "CLOUDSYNC/acme/data/X", created(1, AT), Receipt())


async def test_no_acknowledgement_while_the_file_is_locked_and_all_of_them_afterwards(house: House, data: Path) -> None:
    async with locked(data):
        receipts = [house.publish("data/SupportTicketChangeEvent", created(number, AT)) for number in range(20)]
        await eventually(lambda: not house.cloudsync.usable)
        assert not any(receipt.released for receipt in receipts)
        with pytest.raises(Unavailable):
            await house.post(created(30, AT))
    await eventually(lambda: all(receipt.released for receipt in receipts))
    assert house.cloudsync.usable
    assert (await house.settled(created(30, AT))).accepted == 1
    assert (await house.row("2026-11-10T14:00:00Z"))["created"] == 21


async def test_a_full_disk_leaves_no_half_rows(house: House, data: Path) -> None:
    database = house.cloudsync._database
    await house.settled(created(0, AT))
    (pages,) = await database.read(list[int], "SELECT json_array(page_count) FROM pragma_page_count") or [0]
    await database.write(f"PRAGMA max_page_count = {pages + 2}")
    padding = "x" * 200
    with pytest.raises(Unavailable):
        await house.post(*(created(number, AT, Subject=padding) for number in range(1, 500)))
    receipt = house.publish("data/SupportTicketChangeEvent", created(1_000, AT, Subject="y" * 20_000))
    assert not house.cloudsync.usable
    assert await rows(data, "SELECT count(*) FROM changes") == await rows(data, "SELECT count(*) FROM raw")
    await database.write("PRAGMA max_page_count = 100000")
    await eventually(lambda: receipt.released)
    told = await house.settled(*(created(number, AT, Subject=padding) for number in range(1, 500)))
    assert told.accepted == 499
    assert (await house.row("2026-11-10T14:00:00Z"))["created"] == 501


async def test_a_burst_by_mqtt_is_acknowledged_in_order(house: House) -> None:
    receipts = [house.publish("data/SupportTicketChangeEvent", created(number, AT)) for number in range(3_000)]
    await eventually(lambda: receipts[-1].released)
    assert all(receipt.released for receipt in receipts)


async def test_closing_writes_what_was_taken(data: Path, clock: Clock) -> None:
    async with opened(data, clock) as house:
        receipts = [house.publish("data/SupportTicketChangeEvent", created(number, AT)) for number in range(50)]
    assert all(receipt.released for receipt in receipts)
    async with opened(data, clock) as house:
        await house.cloudsync.settle()
        assert (await house.row("2026-11-10T14:00:00Z"))["created"] == 50


async def test_an_event_of_15_and_of_18_characters_is_of_one_record(house: House) -> None:
    await house.settled(created(1, AT), closed(1, AT + 60_000).replace(record(1).encode(), record(1)[:15].encode()))
    row = await house.row("2026-11-10T14:00:00Z")
    assert (row["created"], row["closed"], row["backlog_close"]) == (1, 1, 0)
