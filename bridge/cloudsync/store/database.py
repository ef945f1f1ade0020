"""Database: CloudSync's SQLite file, its connections, and what their errors mean."""

import asyncio
import contextlib
import logging
import os
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Protocol, Self, TypeVar

import aiosqlite
import msgspec

from bridge.words.ledger import Trouble, Unavailable

Value = str | bytes | float | None
Statement = tuple[str, tuple[Value, ...]]

BUSY_TIMEOUT = 2.0  # seconds to wait for another process's lock

_SCHEMA = Path(__file__).with_name("schema.sql")
_VERSION = 1
_CACHE_KIB = 65_536  # each connection's
# Pages of 4 KiB in the write-ahead log at which the writer itself moves them into the file, if nobody did before.
_LARGEST_LOG = 16_000
# The niceness of who moves the log. Nobody else can meanwhile: at 19, beside busy processes, it hardly ever finishes,
# and the log grows without a bound.
_NICENESS = 10
_SPACE = 1024 * 1024
_TROUBLES: dict[int, Trouble] = {
    sqlite3.SQLITE_FULL: "full",
    sqlite3.SQLITE_BUSY: "busy",
    sqlite3.SQLITE_LOCKED: "busy",
}

# At DEBUG it writes every statement with its parameters, which are other people's data.
logging.getLogger("aiosqlite").setLevel(logging.INFO)

T = TypeVar("T")


class Own(Protocol):
    """What the processor needs of the store. All methods raise Unavailable."""

    async def own_text(self, sql: str, *values: Value) -> str:
        """Run a query of one text; "" if there is no row, or NULL."""

    async def own_read(self, shape: type[T], sql: str, *values: Value) -> T | None:
        """Run a query of one JSON text, and read that as `shape`; None if there is no row, or NULL."""

    async def transact(self, statements: Sequence[Statement]) -> None:
        """Run statements in one transaction."""


class InUseError(Exception):
    """Another process is at work in this data directory."""


class Database:
    """Four connections, each in a thread of its own: to write, to answer, to process, and to move the log.

    Python's sqlite3 lets go of the interpreter's lock for every row it steps to, and beside a busy event loop waits
    for it up to 5 ms each time. So what is written comes as JSON in few statements, and what is read as one text.
    All methods raise Unavailable.
    """

    def __init__(
        self,
        path: Path,
        writer: aiosqlite.Connection,
        reader: aiosqlite.Connection,
        worker: aiosqlite.Connection,
        mover: aiosqlite.Connection,
    ) -> None:
        self.path = path
        self._writer = writer
        self._reader = reader
        self._worker = worker
        self._mover = mover
        self._turn = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, busy_timeout: float = BUSY_TIMEOUT) -> AsyncIterator[Self]:
        """Open the file, made first if need be, for its owner only."""
        async with AsyncExitStack() as stack:
            with _explained():
                await asyncio.to_thread(_make, path)
                connections = [
                    await stack.enter_async_context(aiosqlite.connect(path, timeout=busy_timeout, isolation_level=None))
                    for _ in range(4)
                ]
                writer, reader, worker, mover = connections
                await writer.execute_fetchall("PRAGMA journal_mode = WAL")
                await mover.create_function("give_way", 0, _give_way)
                await mover.execute_fetchall("SELECT give_way()")
                await _prepare(writer)
                for connection in (reader, worker):
                    await _prepare_reader(connection)
                await writer.execute_fetchall("PRAGMA synchronous = NORMAL")
                await writer.execute_fetchall(f"PRAGMA wal_autocheckpoint = {_LARGEST_LOG}")
                # What is erased must be gone, and what is over its time too.
                await writer.execute_fetchall("PRAGMA secure_delete = ON")
                await _make_schema(writer, path)
            yield cls(path, writer, reader, worker, mover)

    async def write(self, sql: str, *values: Value) -> None:
        """Run one statement as a transaction."""
        async with self._turn:
            with _explained():
                await self._writer.execute_fetchall(sql, values)

    async def change(self, sql: str, *values: Value) -> int:
        """Run one statement as a transaction; return how many rows it changed."""
        async with self._turn:
            with _explained():
                async with self._writer.execute(sql, values) as cursor:
                    return cursor.rowcount

    async def insert(self, sql: str, *values: Value) -> int:
        """Run one INSERT as a transaction; return the number of its row."""
        async with self._turn:
            with _explained():
                async with self._writer.execute(sql, values) as cursor:
                    return cursor.lastrowid or 0

    async def transact(self, statements: Sequence[Statement]) -> None:
        """Run statements in one transaction."""
        async with self._turn:
            try:
                with _explained():
                    await self._writer.execute_fetchall("BEGIN IMMEDIATE")
                    for sql, values in statements:
                        await self._writer.execute_fetchall(sql, values)
                    await self._writer.execute_fetchall("COMMIT")
            except BaseException:
                await self._writer.rollback()
                raise

    async def empty_log(self) -> None:
        """Move all of the write-ahead log into the file, and leave nothing in it."""
        async with self._turn:
            with _explained():
                await self._writer.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")

    async def try_space(self) -> None:
        """See whether there is space again for more than a few rows, which may fit where others were."""
        await self.write("REPLACE INTO raw VALUES (-1, '', '', 0, zeroblob(?))", _SPACE)
        await self.write("DELETE FROM raw WHERE number = -1")

    async def move_log(self) -> None:
        """Move what is in the write-ahead log into the file, while others write and read."""
        with _explained():
            await self._mover.execute_fetchall("PRAGMA wal_checkpoint(PASSIVE)")

    async def text(self, sql: str, *values: Value) -> str:
        """Run a caller's query of one text; "" if there is no row, or NULL."""
        return await _text(self._reader, sql, values)

    async def read(self, shape: type[T], sql: str, *values: Value) -> T | None:
        """Run a caller's query of one JSON text, and read that as `shape`; None if there is no row, or NULL."""
        text = await self.text(sql, *values)
        return msgspec.json.decode(text, type=shape) if text else None

    async def own_text(self, sql: str, *values: Value) -> str:
        """See `Own`."""
        return await _text(self._worker, sql, values)

    async def own_read(self, shape: type[T], sql: str, *values: Value) -> T | None:
        """See `Own`."""
        text = await self.own_text(sql, *values)
        return msgspec.json.decode(text, type=shape) if text else None

    async def blobs(self, sql: str, *values: Value) -> list[tuple[Value, ...]]:
        """Run a query of few rows that hold blobs."""
        with _explained():
            return [tuple(row) for row in await self._reader.execute_fetchall(sql, values)]


class Distant:
    """The processor's connection where another process writes: it reads here, and has its statements run there."""

    def __init__(self, worker: aiosqlite.Connection, write: Callable[[Sequence[Statement]], Awaitable[None]]) -> None:
        self._worker = worker
        self._write = write

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, write: Callable[[Sequence[Statement]], Awaitable[None]]) -> AsyncIterator[Self]:
        """Open a file that the other process has made."""
        async with AsyncExitStack() as stack:
            with _explained():
                worker = await stack.enter_async_context(
                    aiosqlite.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None)
                )
                await _prepare_reader(worker)
            yield cls(worker, write)

    async def own_text(self, sql: str, *values: Value) -> str:
        """See `Own`."""
        return await _text(self._worker, sql, values)

    async def own_read(self, shape: type[T], sql: str, *values: Value) -> T | None:
        """See `Own`."""
        text = await self.own_text(sql, *values)
        return msgspec.json.decode(text, type=shape) if text else None

    async def transact(self, statements: Sequence[Statement]) -> None:
        """See `Own`."""
        await self._write(statements)


def array(rows: Sequence[bytes]) -> str:
    """Make a JSON array of spelled rows."""
    return (b"[" + b",".join(rows) + b"]").decode()


async def _text(connection: aiosqlite.Connection, sql: str, values: Sequence[Value]) -> str:
    with _explained():
        rows = list(await connection.execute_fetchall(sql, values))
    return rows[0][0] if rows and rows[0][0] is not None else ""


async def _prepare(connection: aiosqlite.Connection) -> None:
    await connection.execute_fetchall(f"PRAGMA cache_size = -{_CACHE_KIB}")
    await connection.execute_fetchall("PRAGMA temp_store = MEMORY")


async def _prepare_reader(connection: aiosqlite.Connection) -> None:
    await _prepare(connection)
    await connection.execute_fetchall("PRAGMA query_only = ON")


@asynccontextmanager
async def alone(path: Path) -> AsyncIterator[None]:
    """Be the only process that processes: SQLite's own lock on a file of its own, which ends with the process."""
    await asyncio.to_thread(_make, path)
    try:
        async with aiosqlite.connect(path, timeout=0, isolation_level=None) as connection:
            await connection.execute_fetchall("BEGIN EXCLUSIVE")
            yield
    except sqlite3.OperationalError as error:
        raise InUseError(f"Another process has {path.parent} in use.") from error


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        # The low byte is the result, the others say more of where.
        reason = _TROUBLES.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "broken")
        raise Unavailable(reason, f"CloudSync's store cannot be used: {error}.") from error
    except OSError as error:
        raise Unavailable("broken", f"CloudSync's store cannot be used: {error.strerror}.") from error


def _give_way() -> None:
    """Let other threads go first: where there is one core, each turn of this one would delay all pops."""
    if sys.platform == "linux":  # elsewhere the whole process would give way
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        # SQLite gives its other files the rights of this one.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


async def _make_schema(writer: aiosqlite.Connection, path: Path) -> None:
    if await _version(writer) == 0:
        script = f"BEGIN IMMEDIATE;\n{_SCHEMA.read_text(encoding='utf-8')}\nCOMMIT;"
        async with writer.executescript(script):
            pass
    if await _version(writer) != _VERSION:
        raise Unavailable("broken", f"{path} was made by another version of popbridge: use that, or another --data.")


async def _version(writer: aiosqlite.Connection) -> int:
    (row,) = await writer.execute_fetchall("PRAGMA user_version")
    return int(row[0])
