"""Erasing a contact: personal fields are gone from every file, raw events too, and counts stay."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from bridge.cloudsync.flow.erasing import stripped
from tests.cloudsync.flow.events import Clock, cdc, closed, created, ms, opened, record, spelled

CONTACT = "003000000000001AAA"
AT = ms("2026-11-10T10:05:00Z")
SECRETS = (b"Jane Roe", b"jane@example.com", b"lost her card", CONTACT[:15].encode())


def bytes_of(data: Path) -> bytes:
    return b"".join(file.read_bytes() for file in data.glob("cloudsync.db*"))


async def test_what_is_personal_is_gone_from_the_files_and_counts_are_unchanged(data: Path, clock: Clock) -> None:
    chat = cdc(
        "ChatSession",
        "CREATE",
        AT,
        record(9, "570"),
        GroupId="00G000000000001AAA",
        RequestTime=spelled(AT),
        EndTime=spelled(AT + 60_000),
        EndedBy="Visitor",
        TicketId=record(1),
        VisitorName="Jane Roe",
    )
    async with opened(data, clock) as house:
        await house.settled(
            created(1, AT, ContactId=CONTACT, SuppliedName="Jane Roe", SuppliedEmail="jane@example.com"),
            created(2, AT, ContactId="003000000000002AAA", SuppliedName="John Doe"),
            cdc("SupportTicket", "UPDATE", AT + 60_000, record(1), Description="lost her card", Priority="Low"),
            closed(1, AT + 120_000),
            chat,
            b'{"ContactId": "003000000000001AAA", "Name": "Jane Roe"}',
        )
        before = await house.table("2026-11-10T09:00:00Z", "2026-11-10T12:00:00Z")
        there = await asyncio.to_thread(bytes_of, data)
        assert all(secret in there for secret in SECRETS)
        assert await house.cloudsync.erase("acme", CONTACT[:15]) == 2
        left = await asyncio.to_thread(bytes_of, data)
        assert [secret for secret in SECRETS if secret in left] == []
        assert b"John Doe" in left
        await house.cloudsync.refold("acme")
        await house.cloudsync.settle()
        assert await house.table("2026-11-10T09:00:00Z", "2026-11-10T12:00:00Z") == before
        # The events are still known when they come again, and bring nothing back.
        assert (await house.post(created(3, AT))).accepted == 1
    left = await asyncio.to_thread(bytes_of, data)
    assert [secret for secret in SECRETS if secret in left] == []


async def test_erasing_what_is_no_id_says_so(data: Path, clock: Clock) -> None:
    async with opened(data, clock) as house:
        with pytest.raises(ValueError, match="an id has"):
            await house.cloudsync.erase("acme", "Jane")


@pytest.mark.parametrize(
    ("payload", "left"),
    [
        (b"not json", {}),
        (b"[1]", {}),
        (
            b'{"event": {"replayId": 1}, "sobject": {"Id": "500000000000001", "Status": "New", "Subject": "x"}}',
            {"event": {"replayId": 1}, "sobject": {"Id": "500000000000001", "Status": "New"}},
        ),
        (
            b'{"channel": "/d", "data": {"payload": {"ChangeEventHeader": {}, "Status": {"diff": 1}, "Name": "J"}}}',
            {"channel": "/d", "data": {"payload": {"ChangeEventHeader": {}}}},
        ),
        (
            b'{"payload": {"ChangeEventHeader": {"a": 1}, "ContactId": "x", "Email": "j"}}',
            {"payload": {"ChangeEventHeader": {"a": 1}}},
        ),
    ],
)
def test_an_event_keeps_its_header_and_what_is_counted(payload: bytes, left: object) -> None:
    assert msgspec.json.decode(stripped(payload)) == left
