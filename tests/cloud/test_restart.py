"""The Cloud API across the bridge's end, in good order or not."""

import asyncio
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest

from tests.cloud.office import CONFIG, Office, add_user, issue_agents, sitting
from tests.conftest import WITHIN, Agent, Answer, Bridge

PATIENT = CONFIG.replace("record_grace: 3s", "record_grace: 60s")


@pytest.fixture
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    running = Bridge(tmp_path_factory.mktemp("restart") / "data", PATIENT).start()
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log(), running.log()


@pytest.fixture
def staff(house: Bridge) -> list[Agent]:
    return issue_agents(house, "acme", 4)


class Callers:
    """Calls the bridge that runs now."""

    def __init__(self, bridge: Bridge, token: str, reader: str) -> None:
        self.bridge = bridge
        self.token = token
        self.reader = reader

    async def pop(self, agent: Agent, reference: str, **query: Any) -> Answer:
        async with aiohttp.ClientSession(self.bridge.http) as http:
            office = Office(self.bridge, http, {"acme": self.token}, {})
            return await office.pop(agent, reference, **query)

    async def read(self, path: str) -> Answer:
        async with aiohttp.ClientSession(self.bridge.http) as http:
            return await Office(self.bridge, http, {}, {}).get(path, self.reader)


@pytest.fixture
async def callers(house: Bridge) -> Callers:
    add_user(house, "caller")
    async with aiohttp.ClientSession(house.http) as http:
        token = (await Office(house, http, {}, {}).log_in("caller")).said["Result"]["IdToken"]
    return Callers(house, token, house.token("observer"))


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_records_and_activities_survive(house: Bridge, staff: list[Agent], callers: Callers, how: str) -> None:
    mine, theirs, *_ = staff
    async with sitting(house, mine) as desk:
        for reference in ("one", "two", "three"):
            await callers.pop(mine, reference)
            await desk.show()
        await desk.say(record="one", state="closed")
        await desk.told_until({"current": "three", "activities": ["two"]})
        before = (await callers.read(f"/api/agents/{mine.id}")).said
        getattr(house, how)()
    house.start()
    after = (await callers.read(f"/api/agents/{mine.id}")).said
    assert (after["current"], after["activities"]) == (before["current"], before["activities"]) == ("three", ["two"])
    async with sitting(house, mine) as desk, sitting(house, theirs) as other:
        assert await desk.told() == {"current": "three", "activities": ["two"]}
        assert (await callers.pop(theirs, "three")).status == 409
        assert (await callers.pop(mine, "three")).said["Result"]["Status"] == "unchanged"
        await callers.pop(theirs, "two")
        await other.show()
        await desk.say(record="two", state="resumed")
        assert await desk.told() == {"refused": "two", "reason": "record_locked"}


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_a_pop_that_was_sent_but_not_acknowledged_is_popped_anew_and_not_unchanged(
    house: Bridge, staff: list[Agent], callers: Callers, how: str
) -> None:
    mine, theirs, *_ = staff
    async with sitting(house, mine) as desk:
        await callers.pop(mine, "first")
        await desk.show()
        answer = await callers.pop(mine, "case", pop_ttl=600)
        popid = (await desk.pop(acknowledge=False))["popid"]
        getattr(house, how)()
    house.start()
    async with sitting(house, mine) as desk, sitting(house, theirs):
        assert (await desk.show())["popid"] == popid == answer.said["Result"]["PopId"]
        await desk.told_until({"current": "case", "activities": ["first"]})
        assert (await callers.pop(theirs, "case")).status == 409


async def test_a_pop_that_was_delivered_may_be_refused_after_a_restart(
    house: Bridge, staff: list[Agent], callers: Callers
) -> None:
    mine, theirs, *_ = staff
    async with sitting(house, mine) as desk:
        waiting = asyncio.create_task(callers.pop(mine, "case", pop_wait=8, pop_until="delivered", pop_ttl=600))
        popid = (await desk.pop())["popid"]
        assert (await waiting).said["Result"]["Status"] == "delivered"
        house.stop()
    house.start()
    async with sitting(house, mine) as desk, sitting(house, theirs) as other:
        assert (await callers.pop(theirs, "case")).status == 409
        await desk.say(popid=popid, outcome="refused", reason="busy")
        assert (await callers.pop(theirs, "case")).said["Result"]["Status"] == "sent"
        assert (await other.pop())["reference"] == "case"
        await desk.no_pop()


async def test_a_held_pop_is_checked_and_delivered_after_a_restart(
    house: Bridge, staff: list[Agent], callers: Callers
) -> None:
    mine, theirs, third, _ = staff
    held = await callers.pop(mine, "case", pop_ttl=600)
    await callers.pop(third, "taken", pop_ttl=600)
    house.kill()
    house.start()
    async with sitting(house, theirs) as other:
        await callers.pop(theirs, "taken")
        await other.show()
        async with sitting(house, mine) as desk, sitting(house, third) as late:
            assert (await desk.show())["popid"] == held.said["Result"]["PopId"]
            assert await late.told() == {"refused": "taken", "reason": "record_locked"}
    async with asyncio.timeout(WITHIN):
        listed = (await callers.read("/api/pops?status=refused")).said["items"]
    assert [one["reference"] for one in listed] == ["taken"]
    assert theirs.id in listed[0]["why"]


async def test_a_pop_that_gave_way_in_memory_does_not_silence_its_agents_desktops(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A desktop that tells no outcomes, and more pops than are kept in mind."""
    config = CONFIG.replace("delivery: {", "delivery: {max_open: 3, ")
    house = Bridge(tmp_path_factory.mktemp("small") / "data", config).start()
    try:
        silent, busy = issue_agents(house, "acme", 2)
        add_user(house, "caller")
        async with aiohttp.ClientSession(house.http) as http:
            token = (await Office(house, http, {}, {}).log_in("caller")).said["Result"]["IdToken"]
            office = Office(house, http, {"acme": token}, {})
            async with sitting(house, silent) as desk, sitting(house, busy) as other:
                await office.pop(silent, "case", pop_ttl=600)
                await desk.pop()
                for _ in range(5):
                    asking = office.start_pop(busy, pop_wait=8, pop_ttl=600)
                    await other.show()
                    assert (await asking).said["Result"]["Status"] == "shown"
                assert await desk.told() == {"current": "case", "activities": []}
    finally:
        assert house.stop() == 0


async def test_a_record_is_free_after_the_grace_if_its_agent_does_not_come_back_after_a_restart(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    house = Bridge(tmp_path_factory.mktemp("grace") / "data", CONFIG).start()
    try:
        mine, theirs = issue_agents(house, "acme", 2)
        add_user(house, "caller")
        async with aiohttp.ClientSession(house.http) as http:
            token = (await Office(house, http, {}, {}).log_in("caller")).said["Result"]["IdToken"]
        callers = Callers(house, token, house.token("observer"))
        async with sitting(house, mine) as desk:
            await callers.pop(mine, "case")
            await desk.show()
            assert (await callers.read(f"/api/agents/{mine.id}")).said["current"] == "case"
            house.kill()
        house.start()
        async with sitting(house, theirs) as other, asyncio.timeout(WITHIN):
            while (await callers.pop(theirs, "case")).status == 409:
                pass
            await other.show()
        assert (await callers.read(f"/api/agents/{mine.id}")).said["activities"] == ["case"]
    finally:
        assert house.stop() == 0
