"""Database: the ledger's SQLite file, its connections, and what their errors mean."""

import asyncio
import contextlib
import logging
import os
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Self, TypeVar

import aiosqlite
import msgspec

from bridge.words.ledger import Trouble, Unavailable
from bridge.words.settings import Ledger as Bounds

Value = str | bytes | float | None

_SCHEMA = Path(__file__).with_name("schema.sql")
_UPGRADE = Path(__file__).with_name("upgrade.sql")
_GROUP = Path(__file__).with_name("group.sql")
_VERSION = 2
_CACHE_KIB = 65_536  # each connection's; the pages that pops go to stay in it
# Pages of 4 KiB in the write-ahead log at which the writer itself moves them into the file. That waits for the disk, so
# another connection does it before; but only the writer, when it stops for it, can ever finish under load: for a log
# that is long, when little is left to be moved, and at the latest for the largest.
_LONG_LOG = 4_000
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


class UnfitError(Exception):
    """A row contradicts the schema: a mistake in this process, which no further try mends."""


class Database:
    """Three connections; each runs one statement at a time in a thread of its own. All methods raise Unavailable.

    Python's sqlite3 lets go of the interpreter's lock for every row it steps to, and beside a busy event loop waits
    for it up to 5 ms each time. So what is written comes in one statement, and what is read comes as one row of JSON.
    """

    def __init__(self, writer: aiosqlite.Connection, reader: aiosqlite.Connection, mover: aiosqlite.Connection) -> None:
        self._writer = writer
        self._reader = reader
        self._mover = mover
        self._turn = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, bounds: Bounds) -> AsyncIterator[Self]:
        """Open the file, made first if need be, for its owner only."""
        async with AsyncExitStack() as stack:
            with _explained():
                await asyncio.to_thread(_make, path)
                writer, reader, mover = [
                    await stack.enter_async_context(
                        aiosqlite.connect(path, timeout=bounds.busy_timeout, isolation_level=None)
                    )
                    for _ in range(3)
                ]
                await writer.execute_fetchall("PRAGMA journal_mode = WAL")
                await mover.create_function("give_way", 0, _give_way)
                await mover.execute_fetchall("SELECT give_way()")
                for connection in (writer, reader):
                    await connection.execute_fetchall(f"PRAGMA cache_size = -{_CACHE_KIB}")
                    await connection.execute_fetchall("PRAGMA temp_store = MEMORY")
                await reader.execute_fetchall("PRAGMA query_only = ON")
                await writer.execute_fetchall(f"PRAGMA synchronous = {bounds.synchronous.upper()}")
                await writer.execute_fetchall(f"PRAGMA wal_autocheckpoint = {_LARGEST_LOG}")
                # Space that becomes free is overwritten where that costs no further disk access.
                await writer.execute_fetchall("PRAGMA secure_delete = FAST")
                await _make_schema(writer, path)
            yield cls(writer, reader, mover)

    async def write(self, sql: str, values: Sequence[Value]) -> None:
        """Run one statement as a transaction. UnfitError: with these rows it can never be written."""
        async with self._turn:
            with _explained():
                await self._writer.execute_fetchall(sql, values)

    async def change(self, sql: str, *values: Value) -> int:
        """Run one statement as a transaction; return how many rows it changed."""
        async with self._turn:
            with _explained():
                async with self._writer.execute(sql, values) as cursor:
                    return cursor.rowcount

    async def write_all(self, statements: Sequence[tuple[str, tuple[Value, ...]]]) -> None:
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

    async def try_space(self) -> None:
        """See whether there is space again for more than a few rows, which may fit where others were."""
        await self.write("REPLACE INTO documents (pop, payload) VALUES (-1, zeroblob(?))", (_SPACE,))
        await self.write("DELETE FROM documents WHERE pop = -1", ())

    async def move_log(self) -> None:
        """Move what is in the write-ahead log into the file, while others write and read.

        What they write meanwhile stays in the log. Where that is long, they wait until this little is moved as well:
        only a log that was moved as a whole begins again at its start.
        """
        with _explained():
            ((_, pages, _),) = await self._mover.execute_fetchall("PRAGMA wal_checkpoint(PASSIVE)")
        if pages >= _LONG_LOG:
            async with self._turn:
                with _explained():
                    await self._writer.execute_fetchall("PRAGMA wal_checkpoint(PASSIVE)")

    async def read(self, shape: type[T], sql: str, *values: Value) -> T | None:
        """Run a query of one JSON text, and read that as `shape`; None if there is no row, or NULL."""
        with _explained():
            rows = list(await self._reader.execute_fetchall(sql, values))
        return msgspec.json.decode(rows[0][0], type=shape) if rows and rows[0][0] is not None else None


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise UnfitError(str(error)) from error
    except sqlite3.Error as error:
        # The low byte is the result, the others say more of where.
        reason = _TROUBLES.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "broken")
        raise Unavailable(reason, f"The ledger cannot be used: {error}.") from error
    except OSError as error:
        raise Unavailable("broken", f"The ledger cannot be used: {error.strerror}.") from error


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
    before = await _version(writer)
    if before < _VERSION:
        parts = [(_SCHEMA if before == 0 else _UPGRADE).read_text(encoding="utf-8"), _GROUP.read_text(encoding="utf-8")]
        async with writer.executescript("\n".join(["BEGIN IMMEDIATE;", *parts, "COMMIT;"])):
            pass
    if await _version(writer) != _VERSION:
        raise Unavailable("broken", f"{path} was made by another version of popbridge: use that, or another --data.")


async def _version(writer: aiosqlite.Connection) -> int:
    (row,) = await writer.execute_fetchall("PRAGMA user_version")
    return int(row[0])
