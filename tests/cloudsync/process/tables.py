"""Tables: STT and CIM as a bridge answers them, once it has computed everything that it took."""

import asyncio
import json
import sqlite3
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple

import aiohttp
import msgspec

from bridge.cloudsync.numbers import check, cim, stt
from bridge.cloudsync.numbers.cim import CimRow
from bridge.cloudsync.numbers.intervals import day_on
from bridge.cloudsync.numbers.stt import SttRow
from tests.cloudsync.process.day import Day
from tests.conftest import Bridge

STANDS_WITHIN = 40.0
MARKS = ("revision", "status", "computed_at")
"""What may differ between two runs of the same events."""

Key = tuple[Any, ...]
Rows = dict[Key, dict[str, Any]]

_NO_DAY = cim.zero(day_on("2026-01-01", "UTC"))
_COUNTED = [name for name in cim.METRICS if name not in {"day_start_utc", "day_end_utc", "tz", "intervals_in_day"}]
_EITHER = ("each", "*")
_STANDING = """
    SELECT (SELECT coalesce(max(number), 0) FROM changes) - (SELECT value FROM state WHERE name = 'cursor'),
        dirty_stt, dirty_cim, coalesce(json_extract(mapping, '$.default_group'), '{}')
    FROM customers WHERE customer = 'acme'
"""


class Tables(NamedTuple):
    """All rows of a day: of each value and of each roll-up, without zeros; and the plain question with zeros."""

    stt: Rows
    cim: Rows
    zeros: Rows

    def metrics(self) -> tuple[Rows, Rows]:
        """Give the numbers alone, by key, of rows of which anything is true."""
        zero = msgspec.to_builtins(stt.ZERO)
        rows = {key: {name: row[name] for name in stt.METRICS} for key, row in self.stt.items()}
        days = {key: {name: row[name] for name in cim.METRICS} for key, row in self.cim.items()}
        # An active group has a row for each day, also where nobody did anything.
        nothing = {name: zero_of for name, zero_of in msgspec.to_builtins(_NO_DAY).items() if name in _COUNTED}
        return (
            {key: row for key, row in rows.items() if row != zero},
            {key: row for key, row in days.items() if {name: row[name] for name in _COUNTED} != nothing},
        )


async def stands(bridge: Bridge, users: int | None, within: float = STANDS_WITHIN) -> float:
    """Wait until all that was stored is computed, with the groups of so many users known (None: of any number).

    Gives the seconds it took. Nothing but the file tells: the bridge answers with what it has.
    """
    begun = time.monotonic()
    found: tuple[int, str, str, str] | None = None
    while time.monotonic() - begun < within:
        found = await asyncio.to_thread(_look, bridge.data / "cloudsync.db")
        match found:
            case (0, "[]", "[]", known) if users is None or len(json.loads(known)) == users:
                return time.monotonic() - begun
        await asyncio.sleep(0.05)
    raise AssertionError(f"not at rest: behind, dirty quarters, dirty days, users' groups are {found}")


def _look(path: Path) -> tuple[int, str, str, str] | None:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as database:
        found: tuple[int, str, str, str] | None = database.execute(_STANDING).fetchone()
        return found


def stored(bridge: Bridge) -> set[bytes]:
    """Give the payload of every event that is in the file."""
    with closing(sqlite3.connect(f"file:{bridge.data / 'cloudsync.db'}?mode=ro", uri=True, timeout=10)) as database:
        return {payload for (payload,) in database.execute("SELECT payload FROM raw")}


async def read(bridge: Bridge, token: str, day: Day) -> Tables:
    """Ask for everything."""
    span = {"from": spell(day.start), "to": spell(day.until)}
    dates = {"from": day.dates[0], "to": day.dates[-1]}
    async with aiohttp.ClientSession(bridge.http, headers={"Authorization": f"Bearer {token}"}) as session:
        rows: Rows = {}
        for group, channel, priority in product(_EITHER, repeat=3):
            asked = {**span, "group": group, "channel": channel, "priority": priority, "fill": "none"}
            rows |= await ask(session, "stt", asked, ("interval_start", "group", "channel", "priority"))
        days: Rows = {}
        for agent, group, channel in product(_EITHER, repeat=3):
            asked = {**dates, "agent": agent, "group": group, "channel": channel}
            days |= await ask(session, "cim", asked, ("date", "agent", "group", "channel"))
        zeros = await ask(session, "stt", span, ("interval_start", "group", "channel", "priority"))
    return Tables(rows, days, zeros)


async def ask(session: aiohttp.ClientSession, feed: str, asked: dict[str, str], key: tuple[str, ...]) -> Rows:
    """Ask one question; give the rows by these columns."""
    async with session.get(f"/api/{feed}", params=asked) as response:
        assert response.status == 200, await response.text()
        return {tuple(row[name] for name in key): row for row in (await response.json())["rows"]}


def numbers(feed: Literal["stt", "cim"], row: Mapping[str, Any]) -> dict[str, Any]:
    """Give a row's metrics alone."""
    return {name: row[name] for name in (stt.METRICS if feed == "stt" else cim.METRICS)}


def spell(at: int) -> str:
    """Spell milliseconds as a question has them."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at / 1000))


def differences(one: Tables, other: Tables) -> dict[str, object]:
    """Tell which cells of two runs differ, but for the marks that may."""
    found: dict[str, object] = {}
    for feed in Tables._fields:
        mine, theirs = getattr(one, feed), getattr(other, feed)
        for key in mine.keys() | theirs.keys():
            cells = differing(mine.get(key, {}), theirs.get(key, {}))
            if cells:
                found[f"{feed} {key}"] = cells
    return found


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Give the cells in which two rows differ."""
    names: Iterable[str] = (one.keys() | other.keys()) - {*MARKS}
    return {name: (one.get(name), other.get(name)) for name in sorted(names) if one.get(name) != other.get(name)}


def broken(tables: Tables) -> dict[Key, list[str]]:
    """Tell which identities do not hold, on which rows."""
    found: dict[Key, list[str]] = {}
    for key, row in (*tables.stt.items(), *tables.zeros.items()):
        found[key] = check.identities(msgspec.convert({name: row[name] for name in stt.METRICS}, SttRow))
    for key, row in tables.cim.items():
        found[key] = check.identities(msgspec.convert({name: row[name] for name in cim.METRICS}, CimRow))
    return {key: sentences for key, sentences in found.items() if sentences}
