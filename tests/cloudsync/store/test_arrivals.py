"""Groups of arrivals: what was known leaves nothing, payloads stay as they came."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.cloudsync.store import arrivals, folding
from bridge.cloudsync.store.arrivals import Arrivals, identity
from bridge.cloudsync.store.database import Database
from bridge.words.cloudsync import Change, Kind, Rejected, Source


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database.open(tmp_path / "cloudsync.db") as opened:
        yield opened


def change(number: int, record: str = "r", **told: str) -> Change:
    return Change("SupportTicket", record, Kind.UPDATE, Source.CDC, 1_000, number, 1, dict(told), f"identity {number}")


def take(
    group: Arrivals, number: int, customer: str, channel: str, payload: bytes, changes: list[Change], at: int
) -> None:
    group.take(number, customer, channel, payload, [arrivals.spell(customer, one) for one in changes], at)


async def test_only_what_is_new_is_told_and_kept(database: Database) -> None:
    group = Arrivals()
    take(group, 1, "acme", "", b"one", [change(1), change(2)], 5)
    take(group, 3, "acme", "", b"again", [change(1)], 5)
    take(group, 4, "acme", "", b"half", [change(2), change(3)], 5)
    assert await arrivals.write(database, group, 1, 5) == {1, 2, 5}
    assert await database.blobs("SELECT number, payload FROM raw ORDER BY number") == [(1, b"one"), (4, b"half")]
    assert await arrivals.last_number(database) == 5


async def test_the_same_event_of_another_customer_is_another_event(database: Database) -> None:
    group = Arrivals()
    take(group, 1, "acme", "", b"x", [change(1)], 5)
    take(group, 2, "other", "", b"x", [change(1)], 5)
    assert await arrivals.write(database, group, 1, 2) == {1, 2}


async def test_payloads_and_heads_come_back_byte_by_byte(database: Database) -> None:
    group = Arrivals()
    payloads = [b"", b"\x00\xff", b"x" * 1_000, "é".encode()]
    for number, payload in enumerate(payloads, 1):
        take(group, number, "acme", "c", payload, [change(number)], 5)
        group.refuse("acme", "c", payload, Rejected("bad", "why"), 5)
    await arrivals.write(database, group, 1, len(payloads))
    assert [payload for (payload,) in await database.blobs("SELECT payload FROM raw ORDER BY number")] == payloads
    assert [head for (head,) in await database.blobs("SELECT head FROM quarantine ORDER BY number")] == payloads


@pytest.mark.parametrize("text", ["a\0b", 'quo"te', "\u2028", "\U0001f600", "back\\slash"])
async def test_changes_are_read_again_as_they_were(database: Database, text: str) -> None:
    told = change(1, Priority=text)
    group = Arrivals()
    take(group, 1, "acme", "", b"x", [told], 5)
    await arrivals.write(database, group, 1, 1)
    (pending,) = await folding.pending(database, 0, 10)
    assert (pending.number, pending.customer, pending.change) == (1, "acme", told)
    assert await folding.history(database, "acme", [("SupportTicket", "r")]) == [told]


def test_identities_are_whole_numbers_that_sqlite_can_hold() -> None:
    hashes = {identity(f"event {number}") for number in range(1_000)}
    assert len(hashes) == 1_000
    assert all(0 <= one < 1 << 63 for one in hashes)
