"""Database: the room's SQLite file, made whole on first start and shared by every process on the data directory."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Self

import aiosqlite

from bridge.credentials import files
from bridge.credentials.refusals import UnusableError

Value = str | float | None
Row = dict[str, Value]

BUSY_TIMEOUT = 5.0  # how long to wait for another process's transaction
CHUNK = 1_000  # rows fetched before others on the event loop have a turn

_SCHEMA = Path(__file__).with_name("schema.sql")
_VERSION = 1

# At DEBUG it writes every statement with its parameters, password hashes among them.
logging.getLogger("aiosqlite").setLevel(logging.INFO)


class Transaction:
    """What can be done while nobody else writes, or between two transactions of others."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    async def run(self, sql: str, *values: Value) -> int:
        """Run a statement; return how many rows it changed."""
        async with self._connection.execute(sql, values) as cursor:
            return cursor.rowcount

    async def run_each(self, sql: str, rows: Iterable[Sequence[Value]]) -> None:
        """Run a statement once per row."""
        async with self._connection.executemany(sql, rows):
            pass

    async def one(self, sql: str, *values: Value) -> Row | None:
        """Fetch the first row."""
        async with self._connection.execute(sql, values) as cursor:
            row = await cursor.fetchone()
            return None if row is None else dict(row)

    async def each(self, sql: str, *values: Value) -> AsyncIterator[Row]:
        """Fetch all rows, a chunk at a time."""
        async with self._connection.execute(sql, values) as cursor:
            while rows := await cursor.fetchmany(CHUNK):
                for row in rows:
                    yield dict(row)


class Database:
    """One connection, used by one task at a time."""

    def __init__(self, connection: aiosqlite.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._turn = asyncio.Lock()
        self._beside: sqlite3.Connection | None = None

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path) -> AsyncIterator[Self]:
        """Open the file, made first if need be. UnusableError: it is not ours."""
        try:
            await asyncio.to_thread(_make, path)
            opening = await aiosqlite.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None)
            opening.row_factory = sqlite3.Row
        except sqlite3.Error as error:
            raise UnusableError(f"{path} cannot be opened: {error}.") from error
        async with _closing(opening) as connection:
            database = cls(connection, path)
            await database._check_version(path)
            try:
                yield database
            finally:
                if database._beside is not None:
                    database._beside.close()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Transaction]:
        """Hold the only write transaction of all processes: committed at the end, undone by an exception."""
        async with self._turn:
            try:
                with _explained():
                    await self._connection.execute("BEGIN IMMEDIATE")
                    yield Transaction(self._connection)
                    await self._connection.commit()
            except BaseException:
                await self._connection.rollback()
                raise

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """Read what is committed."""
        async with self._turn:
            with _explained():
                yield Transaction(self._connection)

    def look_up(self, sql: str, value: Value) -> Row | None:
        """Read one row without waiting for anybody, on a connection of its own; some 50 microseconds."""
        with _explained():
            if self._beside is None:
                self._beside = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True, timeout=0)
                self._beside.row_factory = sqlite3.Row
            row = self._beside.execute(sql, (value,)).fetchone()
            return None if row is None else dict(row)

    async def _check_version(self, path: Path) -> None:
        async with self.reading() as reading:
            version = await reading.one("PRAGMA user_version")
        if version != {"user_version": _VERSION}:
            raise UnusableError(f"{path} was made by another version of popbridge: use that, or another --data.")


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:  # locked for too long, disk full, not a database
        raise UnusableError(f"The credentials database cannot be used: {error}.") from error


@asynccontextmanager
async def _closing(connection: aiosqlite.Connection) -> AsyncIterator[aiosqlite.Connection]:
    try:
        yield connection
    finally:
        await connection.close()


def _make(path: Path) -> None:
    # Whole or not at all: two processes that start together must not meet in a half-made schema, and switching
    # to WAL fails at once, not after the busy timeout, when another connection is there.
    if path.exists():
        return
    with files.draft(path) as beside:
        connection = sqlite3.connect(beside)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(_SCHEMA.read_text(encoding="utf-8"))
        finally:
            connection.close()
        files.publish_once(beside, path)
