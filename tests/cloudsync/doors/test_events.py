"""Events by HTTP: one or many, taken apart, acknowledged or refused."""

import sqlite3
from pathlib import Path

import pytest

from tests.cloudsync.doors.conftest import Doors
from tests.cloudsync.flow.events import created, ms

AT = ms("2026-11-10T14:05:00Z")


async def test_one_event_and_an_array_are_taken(doors: Doors) -> None:
    event = created(1, AT)
    one = await doors.post(event)
    assert (one.status, one.said) == (200, {"success": True, "accepted": 1, "duplicates": 0, "quarantined": 0})
    many = await doors.post(b"[" + b",".join([event, created(2, AT), b'{"a": 1}', b"7"]) + b"]")
    assert many.said == {"success": True, "accepted": 1, "duplicates": 1, "quarantined": 2}


async def test_an_empty_array_says_that_the_feed_is_up(doors: Doors) -> None:
    assert (await doors.post(b"[]")).said["accepted"] == 0
    assert doors.house.cloudsync.feed_up("acme")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[1,", b"nothing", b"7", b'"text"', b'{"a": NaN}', b"[NaN]", b'{"a": "\xff"}', b"[" * 100_000],
)
async def test_a_body_that_is_not_json_is_400_and_stores_nothing(doors: Doors, body: bytes) -> None:
    told = await doors.post(body)
    assert (told.status, told.said["code"]) == (400, "malformed_body")
    assert (await doors.get("/api/dq")).said["quarantined"] == 0


async def test_more_than_10000_events_are_refused(doors: Doors) -> None:
    told = await doors.post(b"[" + b",".join([b"{}"] * 10_001) + b"]")
    assert (told.status, told.said["code"], told.said["limit"]) == (413, "payload_too_large", 10_000)


async def test_a_body_of_16_mib_is_read_and_a_larger_one_is_not(doors: Doors) -> None:
    event = b'{"a": "' + b"x" * 900_000 + b'"}'
    whole = b"[" + b",".join([event] * 18) + b"]"
    assert (await doors.post(whole)).said["quarantined"] == 18
    told = await doors.post(whole + b" " * 1_000_000)
    assert (told.status, told.said["limit"]) == (413, 16 * 1024 * 1024)


@pytest.mark.parametrize(("role", "status"), [("feed", 200), ("admin", 200), ("observer", 403), ("key", 403)])
async def test_only_a_feed_and_an_admin_bring_events(doors: Doors, role: str, status: int) -> None:
    assert (await doors.post(b"[]", role)).status == status


async def test_a_customer_without_feeds_is_told_so(doors: Doors) -> None:
    told = await doors.post(b"[]", "none")
    assert (told.status, told.said["code"]) == (404, "feed_disabled")


async def test_while_the_file_is_locked_there_is_no_acknowledgement(doors: Doors, tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "cloudsync.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        told = await doors.post(created(1, AT))
        assert (told.status, told.said["code"]) == (503, "overloaded")
        assert told.headers["Retry-After"]
    finally:
        other.execute("ROLLBACK")
        other.close()


async def test_another_pages_origin_needs_to_be_listed(doors: Doors) -> None:
    listed = await doors.post(b"[]", headers={"Origin": "https://pages.example.com"})
    assert listed.headers["Access-Control-Allow-Origin"] == "https://pages.example.com"
    assert (await doors.post(b"[]", headers={"Origin": "https://other.example.com"})).status == 403
