"""The directory beside the real processor: what was parked for want of a name or a record is counted in the end."""

import asyncio
import datetime as dt
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from bridge.cloudsync.flow.answers.questions import SttQuestion
from bridge.cloudsync.flow.cloudsync import Cloudsync
from bridge.cloudsync.mapping.directory import Directory
from bridge.cloudsync.simulator.centre import Centre
from bridge.cloudsync.simulator.endpoints import App, Endpoints
from bridge.cloudsync.simulator.mischief import PLAIN, Mischief
from bridge.cloudsync.simulator.shelf import Shelf
from bridge.words.cloudsync import QUARTER
from bridge.words.settings import Cloudsync as Section
from bridge.words.settings import Crm, Customer
from tests.cloudsync.crm.conftest import Settings
from tests.cloudsync.simulator.test_centre import expected

WITHIN = 100.0
DAYS = 86_400_000
NOW = dt.datetime(2026, 6, 3, 12, tzinfo=dt.UTC).timestamp()


class House:
    """A processor and a directory, wired as the service wires them."""

    def __init__(self, cloudsync: Cloudsync, directory: Directory) -> None:
        self.cloudsync = cloudsync
        self.directory = directory

    async def take(self, centre: Centre, mischief: Mischief = PLAIN) -> None:
        payloads = [event.payload for event in centre.events(mischief)]
        for start in range(0, len(payloads), 500):
            await self.cloudsync.accept("acme", payloads[start : start + 500])

    async def until_clear(self) -> None:
        async with asyncio.timeout(WITHIN):
            while True:
                await self.cloudsync.settle()
                told = await self.cloudsync.dq("acme")
                if not (told.dirty or told.unclassified or self.directory.standing("acme").counts.get("pending")):
                    await self.cloudsync.settle()
                    return
                await asyncio.sleep(0.05)

    async def rows(self, centre: Centre) -> dict[tuple[str, str], dict[str, object]]:
        start = centre.steps[0].at // QUARTER * QUARTER
        question = SttQuestion(start=start, until=start + 5 * DAYS, zeros=False)
        told = [msgspec.json.decode(row) async for some in self.cloudsync.stt("acme", question).rows() for row in some]
        return {(row["interval_start"], row["group"]): row for row in told}


@asynccontextmanager
async def opened(data: Path, crm: Crm, now: Callable[[], float]) -> AsyncIterator[House]:
    section = Section(
        feeds=["lsm", "stt", "cim"],
        entities=["SupportTicket", "ChatSession", "VideoSession", "UserPresence"],
        zone="America/New_York",
        crm=crm,
    )
    customers = {"acme": Customer(cloudsync=section)}
    async with Cloudsync.open(data, lambda: customers, now) as cloudsync:
        directory = Directory(data, lambda: customers, cloudsync.now, jitter=lambda: 0.0, first=0.01)
        directory.took, directory.known = cloudsync.fetched, cloudsync.known
        cloudsync.set_mapping(directory.mapping)
        hooks = cloudsync.hooks
        hooks.ids_wanted, hooks.records_wanted = directory.ids_wanted, directory.records_wanted
        hooks.mapping_changed = directory.mapping_changed
        running = asyncio.create_task(directory.run())
        try:
            yield House(cloudsync, directory)
        finally:
            running.cancel()
            await asyncio.wait([running])


@pytest.fixture
async def crm(folder: Path, centre: Centre) -> AsyncIterator[Endpoints]:
    """A CRM whose clock stands two days after the day."""
    app = App(certificate=folder / "cloudsync.crt")
    async with Endpoints(app, Shelf(centre.world, centre.steps), lambda: NOW).running() as endpoints:
        yield endpoints


@pytest.fixture
async def house(folder: Path, tmp_path: Path, settings: Settings) -> AsyncIterator[House]:
    for name in ("cloudsync.key", "cloudsync.crt"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
        (tmp_path / name).chmod(0o600)
    async with opened(tmp_path, settings(), lambda: NOW) as one:
        yield one


def totals(rows: dict[tuple[str, str], dict[str, object]], *names: str) -> Counter[str]:
    return Counter({name: sum(int(str(row[name])) for row in rows.values()) for name in names})


COUNTED = ("created", "closed", "reopened", "offered", "answered", "first_responses", "merged", "deleted")


async def test_parked_statuses_are_counted_at_their_own_time_once_they_are_mapped(
    house: House, centre: Centre, crm: Endpoints
) -> None:
    crm.say("token", 503, "", times=3)
    await house.take(centre)
    await house.until_clear()
    rows = await house.rows(centre)
    wanted: Counter[str] = Counter()
    for row in expected(centre).values():
        wanted.update({name: row[name] for name in COUNTED})
    assert totals(rows, *COUNTED) == wanted
    names = {group.id: group.name for group in centre.world.groups}
    assert all(row["group_name"] == names[str(row["group"])] for row in rows.values())
    assert len([path for method, path in crm.asked if "/sobjects/User" in path and method == "GET"]) <= 5


async def test_what_only_gaps_told_of_is_fetched(house: House, centre: Centre) -> None:
    await house.take(centre, Mischief(dialects=("cometd", "pubsub"), gaps=0.2, bitmaps=0.2))
    await house.until_clear()
    rows = await house.rows(centre)
    wanted: Counter[str] = Counter()
    for row in expected(centre).values():
        wanted.update({name: row[name] for name in ("created", "answered")})
    # Records show when they were created and accepted, whatever was lost on the way.
    assert totals(rows, "created", "answered") == wanted
