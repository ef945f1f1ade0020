"""The file: for its owner only, one process at a time, and clear about what is wrong with it."""

import sqlite3
from pathlib import Path

import pytest

from bridge.cloudsync.store.database import Database, InUseError, alone
from bridge.words.ledger import Unavailable


async def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "data" / "cloudsync.db"
    async with Database.open(path) as database:
        await database.write("INSERT INTO state VALUES ('a', 'b')")
        assert {oct(file.stat().st_mode & 0o777) for file in path.parent.iterdir()} == {"0o600"}
    assert oct(path.parent.stat().st_mode & 0o777) == "0o700"


async def test_what_is_no_database_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "cloudsync.db"
    path.write_bytes(b"not a database, but long enough to be taken for one" * 100)
    with pytest.raises(Unavailable, match="cannot be used"):
        async with Database.open(path):
            pass


async def test_the_file_of_another_version_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "cloudsync.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(Unavailable, match="another version"):
        async with Database.open(path):
            pass


async def test_only_one_process_processes(tmp_path: Path) -> None:
    async with alone(tmp_path / "lock"):
        with pytest.raises(InUseError):
            async with alone(tmp_path / "lock"):
                pass
    async with alone(tmp_path / "lock"):
        pass


async def test_statements_are_one_transaction(tmp_path: Path) -> None:
    async with Database.open(tmp_path / "cloudsync.db") as database:
        good = ("INSERT INTO state VALUES ('a', '1')", ())
        with pytest.raises(Unavailable) as failed:
            await database.transact([good, ("INSERT INTO nowhere VALUES (1)", ())])
        assert failed.value.reason == "broken"
        assert await database.read(list[int], "SELECT json_array(count(*)) FROM state WHERE name = 'a'") == [0]
        await database.transact([good])
        assert await database.text("SELECT value FROM state WHERE name = 'a'") == "1"


async def test_readers_cannot_write(tmp_path: Path) -> None:
    async with Database.open(tmp_path / "cloudsync.db") as database:
        for read in (database.text, database.own_text):
            with pytest.raises(Unavailable):
                await read("INSERT INTO state VALUES ('a', '1') RETURNING value")
