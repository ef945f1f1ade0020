"""Wishes: what another process (the command line) wants done, written into the store and answered there."""

from typing import Literal

import msgspec

from bridge.cloudsync.store.database import Database

What = Literal["events", "covered", "recompute", "refold", "erase", "replay", "fetch"]

ASK = "INSERT INTO wishes (customer, what, body, at) VALUES (?, ?, ?, ?)"
OPEN = """
    SELECT json_group_array(json_array(number, customer, what, CAST(body AS TEXT)))
    FROM (SELECT * FROM wishes WHERE answer IS NULL ORDER BY number LIMIT 20)
"""
ANSWER = "UPDATE wishes SET answer = ?2, body = zeroblob(0) WHERE number = ?1"
ANSWERED = "SELECT answer FROM wishes WHERE number = ?"


class Wish(msgspec.Struct, frozen=True, array_like=True):
    """One wish; `body` is JSON."""

    number: int
    customer: str
    what: What
    body: str


class Span(msgspec.Struct, frozen=True):
    """A range of time in milliseconds."""

    start: int
    until: int


class Done(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a wish: a count, or why not."""

    count: int = 0
    duplicates: int = 0
    quarantined: int = 0
    error: str | None = None


async def opened(database: Database) -> list[Wish]:
    """List what is to be done, in order."""
    return await database.own_read(list[Wish], OPEN) or []


async def answer(database: Database, wish: Wish, done: Done) -> None:
    """Answer a wish."""
    await database.write(ANSWER, wish.number, msgspec.json.encode(done).decode())
