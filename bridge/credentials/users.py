"""Users: people and programs that log in with a password, and get tokens for it."""

import difflib
from collections.abc import AsyncIterator
from enum import StrEnum

import msgspec

from bridge.credentials.database import Row, Transaction
from bridge.credentials.refusals import UnknownUserError, UserExistsError

_COMPARED = 5_000  # user names in which the nearest is looked for

INSERT = """
    INSERT INTO users (username, customer, agent, demo, hash, created, updated)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6) ON CONFLICT (username) DO NOTHING
"""
FIND = "SELECT * FROM users WHERE username = ?"
LIST = "SELECT * FROM users WHERE ?1 IS NULL OR customer = ?1 ORDER BY username"
NAMES = "SELECT username FROM users WHERE ?1 IS NULL OR customer = ?1 LIMIT ?2"
SET_HASH = "UPDATE users SET hash = ?, updated = max(?, updated + 0.001) WHERE username = ?"
DELETE = "DELETE FROM users WHERE username = ?"


class UserKind(StrEnum):
    """What a user may log in to; the two are not interchangeable."""

    CLOUD = "cloud"  # the Cloud API
    AGENT = "agent"  # a person who fetches the token of their own desktop


class User(msgspec.Struct, frozen=True):
    """A user without the password. Times are epoch seconds; `updated` changes with the password."""

    username: str
    customer: str
    agent: str | None
    demo: bool
    created: float
    updated: float

    @property
    def kind(self) -> UserKind:
        """Say what the user may log in to."""
        return UserKind.CLOUD if self.agent is None else UserKind.AGENT


async def insert(writing: Transaction, user: User, kept: str) -> None:
    """Enter a new user with the hash of the password. UserExistsError: the name is taken."""
    new = (user.username, user.customer, user.agent, user.demo, kept, user.created)
    if await writing.run(INSERT, *new) == 0:
        raise UserExistsError(user.username)


async def find(reading: Transaction, username: str, customer: str | None = None) -> User:
    """Find a user (of one customer), or raise UnknownUserError with the nearest."""
    row = await reading.one(FIND, username)
    if row is not None and customer in {None, row["customer"]}:
        return _user(row)
    names = [str(row["username"]) async for row in reading.each(NAMES, customer, _COMPARED)]
    raise UnknownUserError(username, next(iter(difflib.get_close_matches(username, names, 1, 0.0)), None))


async def find_with_hash(reading: Transaction, username: str) -> tuple[User, str] | None:
    """Find a user and the hash of the password; no exception and no nearest name for who only tries."""
    row = await reading.one(FIND, username)
    return None if row is None else (_user(row), str(row["hash"]))


async def listed(reading: Transaction, customer: str | None) -> AsyncIterator[User]:
    """List the users by name."""
    async for row in reading.each(LIST, customer):
        yield _user(row)


async def set_hash(writing: Transaction, username: str, kept: str, now: float) -> None:
    """Change the password."""
    await writing.run(SET_HASH, kept, now, username)


async def remove(writing: Transaction, username: str) -> None:
    """Remove a user."""
    await writing.run(DELETE, username)


def _user(row: Row) -> User:
    return msgspec.convert(row, User, strict=False)
