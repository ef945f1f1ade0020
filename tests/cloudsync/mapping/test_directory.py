import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from bridge.cloudsync.mapping import directory
from bridge.cloudsync.mapping.directory import Directory
from bridge.cloudsync.simulator.centre import Centre
from bridge.cloudsync.simulator.endpoints import Endpoints
from bridge.words.cloudsync import Change, Kind, Source
from bridge.words.ledger import Unavailable
from bridge.words.settings import Cloudsync, Crm, Customer
from tests.cloudsync.crm.conftest import Settings

WITHIN = 30.0
NOBODY = "005000000000000AAA"


class House:
    """A directory, its customers, and what the processor would get."""

    def __init__(self, folder: Path, crm: Crm | None) -> None:
        self.customers = {"acme": Customer(cloudsync=Cloudsync(crm=crm)), "plain": Customer()}
        self.taken: list[Change] = []
        self.known: dict[str, int] = {}
        self.directory = Directory(folder, lambda: self.customers, self.now, jitter=lambda: 0.0, first=0.01)
        self.directory.took = self._took
        self.directory.known = self._known

    @staticmethod
    def now() -> int:
        return int(time.time() * 1000)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Directory]:
        running = asyncio.create_task(self.directory.run())
        try:
            yield self.directory
        finally:
            running.cancel()
            await asyncio.wait([running])

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN):
            while not done():  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)

    async def _took(self, customer: str, changes: Sequence[Change]) -> None:
        assert customer == "acme"
        self.taken += changes

    async def _known(self, _customer: str, _entity: str) -> dict[str, int]:
        return self.known


@pytest.fixture
def house(folder: Path, settings: Settings) -> House:
    for left in folder.glob("cloudsync-mapping-*"):
        left.unlink()
    return House(folder, settings())


async def test_everything_a_day_mentions_is_resolved(house: House, centre: Centre, crm: Endpoints) -> None:
    users = [f"user:{agent.id}" for agent in centre.world.agents]
    groups = [f"group:{group.id}" for group in centre.world.groups]
    presences = [f"presence:{id_}" for id_ in centre.world.presences]
    statuses = [f"status:{entity}:{name}" for _, entity, name, _ in centre.world.statuses]
    async with house.running() as running:
        for _ in range(1000):
            running.ids_wanted("acme", [*users, *groups, *presences, *statuses, f"user:{NOBODY}"])
        await house.until(lambda: "pending" not in running.standing("acme").counts)
        wanted = centre.mapping
        assert running.mapping("acme") == wanted
        standing = running.standing("acme")
        assert (standing.unmapped, standing.counts["missing"], standing.alarms) == ([f"user:{NOBODY}"], 1, [])
    asked = [path for method, path in crm.asked if method == "GET"]
    assert len(asked) == 4


async def test_it_is_known_after_a_restart(house: House, folder: Path, centre: Centre, crm: Endpoints) -> None:
    async with house.running() as running:
        running.ids_wanted("acme", [f"user:{agent.id}" for agent in centre.world.agents])
        await house.until(lambda: "pending" not in running.standing("acme").counts)
    before = len(crm.asked)
    again = House(folder, house.customers["acme"].cloudsync.crm)
    assert again.directory.mapping("acme").names == house.directory.mapping("acme").names
    assert directory.standing(folder, "acme") == house.directory.standing("acme")
    again.directory.ids_wanted("acme", [f"user:{centre.world.agents[0].id}"])
    assert again.directory.standing("acme").waiting == 0
    assert len(crm.asked) == before
    mode = (folder / "cloudsync-mapping-acme.json").stat().st_mode
    assert mode & 0o777 == 0o600


async def test_events_tell_of_names_too(house: House) -> None:
    change = Change("User", NOBODY, Kind.UPDATE, Source.CDC, 5, 1, 1, {"Name": "New Name"}, "x")
    await house.directory.mapping_changed("plain", [change])
    assert house.directory.mapping("plain").names == {NOBODY: "New Name"}


async def test_a_gap_in_a_name_is_fetched(house: House, centre: Centre) -> None:
    agent = centre.world.agents[0]
    async with house.running() as running:
        gap = Change("User", agent.id, Kind.GAP, Source.CDC, 5, 1, 1, {"gap": "GAP_UPDATE"}, "x")
        await running.mapping_changed("acme", [gap])
        await house.until(lambda: agent.id in running.mapping("acme").names)


async def test_dirty_records_are_fetched_and_those_that_are_gone_are_said_to_be(house: House, centre: Centre) -> None:
    ticket = next(step.record for step in centre.steps if step.entity == "SupportTicket")
    async with house.running() as running:
        running.records_wanted("acme", [("SupportTicket", ticket), ("SupportTicket", "500000000000000AAA")])
        await house.until(lambda: len(house.taken) == 2)
    there = {change.record: change for change in house.taken}
    assert there[ticket].fields["Status"]
    assert there[ticket].source is Source.REST
    assert there["500000000000000AAA"].kind is Kind.DELETE


async def test_a_whole_entity_is_reconciled(house: House, centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.cloudsync.mapping.correspondence.LOOK_BACK", 400 * 86_400_000)
    tickets = {step.record for step in centre.steps if step.entity == "SupportTicket"}
    since = House.now() - 3_600_000
    house.known = dict.fromkeys([*tickets, "500000000000000AAA"], since)
    async with house.running() as running:
        running.records_wanted("acme", [("SupportTicket", "")])
        await house.until(lambda: any(change.record == "500000000000000AAA" for change in house.taken))
    updated = {change.record for change in house.taken if change.kind is Kind.UPDATE}
    gone = {change.record for change in house.taken if change.kind is Kind.DELETE}
    assert updated == (tickets - gone) | {""}
    (nobody,) = [change for change in house.taken if change.record == "500000000000000AAA"]
    assert (nobody.kind, nobody.at) == (Kind.DELETE, since)
    deleted = {step.record for step in centre.steps if step.kind is Kind.DELETE}
    assert gone - {"500000000000000AAA"} <= deleted
    # Killed in between, the entity is still in doubt, and is asked for again.
    assert house.taken[-1].record == ""


async def test_without_a_key_it_says_so_and_nothing_else_stops(
    tmp_path: Path, settings: Settings, centre: Centre, crm: Endpoints
) -> None:
    house = House(tmp_path, settings())
    async with house.running() as running:
        running.ids_wanted("acme", [f"user:{centre.world.agents[0].id}"])
        await house.until(lambda: bool(running.standing("acme").alarms))
        assert "keypair" in running.standing("acme").alarms[0]
        assert running.standing("acme").counts == {"pending": 1}
    assert not crm.asked


async def test_another_setting_takes_effect_while_it_runs(house: House, centre: Centre) -> None:
    right = house.customers["acme"].cloudsync.crm
    assert right is not None
    wrong = msgspec.structs.replace(right, consumer_key="wrong")
    house.customers["acme"] = Customer(cloudsync=Cloudsync(crm=wrong))
    async with house.running() as running:
        running.ids_wanted("acme", [f"user:{centre.world.agents[0].id}"])
        await house.until(lambda: bool(running.standing("acme").alarms))
        house.customers["acme"] = Customer(cloudsync=Cloudsync(crm=right))
        running.reload()
        await house.until(lambda: running.standing("acme").counts == {"resolved": 1})
        assert not running.standing("acme").alarms


async def test_what_is_old_is_asked_anew(house: House, centre: Centre, crm: Endpoints) -> None:
    agent = centre.world.agents[0]
    async with house.running() as running:
        running.ids_wanted("acme", [f"user:{agent.id}"])
        await house.until(lambda: agent.id in running.mapping("acme").names)
        crm.records.put("User", {"Id": agent.id, "Name": "Married Name", "LastModifiedDate": house.now()})
        running.refresh("acme")
        await house.until(lambda: running.mapping("acme").names[agent.id] == "Married Name")


async def test_what_cannot_be_stored_is_asked_for_again(house: House, centre: Centre, crm: Endpoints) -> None:
    ticket = next(step.record for step in centre.steps if step.entity == "SupportTicket")
    left = [1, 1]

    async def took(customer: str, changes: Sequence[Change]) -> None:
        if left:
            left.pop()
            raise Unavailable("busy", "another process is at work")
        await house._took(customer, changes)

    house.directory.took = took
    async with house.running() as running:
        running.records_wanted("acme", [("SupportTicket", ticket)])
        await house.until(lambda: bool(house.taken))
    assert house.taken[0].record == ticket


async def test_a_file_that_cannot_be_written_stops_nothing(
    house: House, folder: Path, centre: Centre, caplog: pytest.LogCaptureFixture
) -> None:
    house.directory.ids_wanted("acme", [f"user:{NOBODY}"])
    house.directory.ids_wanted("plain", [f"user:{NOBODY}"])
    (folder / "cloudsync-mapping-acme.json").mkdir()
    try:
        house.directory.save()
        house.directory.save()
    finally:
        (folder / "cloudsync-mapping-acme.json").rmdir()
    assert [record.getMessage() for record in caplog.records] == [
        "the mapping of acme cannot be written: Is a directory"
    ]
    assert directory.standing(folder, "plain")
    house.directory.save()
    assert directory.standing(folder, "acme")


async def test_a_customer_without_a_crm_asks_nobody(house: House, crm: Endpoints) -> None:
    async with house.running() as running:
        running.ids_wanted("plain", [f"user:{NOBODY}"])
        running.records_wanted("plain", [("SupportTicket", "500000000000000AAA")])
        running.refresh("plain")
        assert running.standing("plain").unmapped == [f"user:{NOBODY}"]
    assert not crm.asked
