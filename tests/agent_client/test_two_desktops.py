"""Stories of one agent with two desktops at the real bridge: what one shows, the other still shows."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import aiohttp
import pytest

from agent_client import Current, Desktop, Notice, Recall, Records, State
from bridge.words.pop import Pop
from tests.cloud.office import Office, add_user, issue_agents
from tests.conftest import WITHIN, Agent, Bridge

CONFIG = """\
http: {bind: 127.0.0.1:0}
mqtt: {bind: 127.0.0.1:0}
customers:
  acme:
    crm: [acme.example.com]
    cloud:
      enabled: true
      licence: {kind: per_system}
      campaigns:
        Inbound Support: {external: true, fields: {Contact Name: contact_name}}
"""


class House(NamedTuple):
    """A bridge, and what opens its doors."""

    bridge: Bridge
    user: str
    admin: str
    agents: Iterator[Agent]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    bridge = Bridge(tmp_path_factory.mktemp("two") / "data", CONFIG).start()
    yield House(bridge, add_user(bridge, "platform"), bridge.token("admin"), iter(issue_agents(bridge, "acme", 10)))
    assert bridge.stop() == 0
    assert "Traceback" not in bridge.log(), bridge.log()


class Seat:
    """One desktop of an agent, which remembers what the bridge told it."""

    def __init__(self, bridge: Bridge, agent: Agent) -> None:
        server = f"mqtt://127.0.0.1:{bridge.mqtt_port}"
        self.desktop = Desktop(server, "acme", agent.id, agent.token, on_notice=self._hear)
        self._told: list[Notice] = []
        self._news = asyncio.Event()

    async def shows(self) -> str | None:
        """Take the next pop and give its reference."""
        pop: Pop = await asyncio.wait_for(anext(self.desktop), WITHIN)
        return pop.reference

    async def is_told(self, expected: Notice) -> None:
        """Wait until the bridge told this."""
        async with asyncio.timeout(WITHIN):
            while expected not in self._told:
                self._news.clear()
                await self._news.wait()

    def forget(self) -> None:
        """Count from now on only what the bridge tells anew."""
        self._told.clear()

    def _hear(self, notice: Notice) -> None:
        self._told.append(notice)
        self._news.set()


class Pair:
    """An agent's two desktops, and the platform that pops them."""

    def __init__(self, house: House, office: Office, agent: Agent) -> None:
        self.agent = agent
        self.first = Seat(house.bridge, agent)
        self.second = Seat(house.bridge, agent)
        self._office = office
        self._admin = house.admin

    async def pop(self, reference: str, **how: Any) -> dict[str, Any]:
        """Ask for a pop, and give the result."""
        answer = await self._office.pop(self.agent, reference, campaign="Inbound Support", **how)
        assert answer.status == 200, answer.said
        result: dict[str, Any] = answer.said["Result"]
        return result

    async def recall_one(self) -> None:
        """Let a pop come and be recalled: both desktops have then got whatever the bridge said before."""
        popid = (await self.pop("never shown"))["PopId"]
        given = {"Authorization": f"Bearer {self._admin}"}
        async with self._office.http.delete(f"/api/pops/{popid}", headers=given) as response:
            assert response.status == 200
        for seat in (self.first, self.second):
            await seat.is_told(Recall(popid))

    async def status(self, popid: str) -> str:
        """Ask the bridge what became of a pop."""
        status: str = (await self._office.get(f"/api/pops/{popid}", self._admin)).said["status"]
        return status

    async def account(self) -> Records:
        """Ask the bridge for the agent's records."""
        said = (await self._office.get(f"/api/agents/{self.agent.id}", self._admin)).said
        return Records(said.get("current"), tuple(said["activities"]))


@pytest.fixture
async def pair(house: House) -> AsyncIterator[Pair]:
    async with aiohttp.ClientSession(house.bridge.http) as http:
        office = Office(house.bridge, http, {}, {})
        office.tokens = {"acme": (await office.log_in(house.user)).said["Result"]["IdToken"]}
        both = Pair(house, office, next(house.agents))
        async with both.first.desktop, both.second.desktop:
            for seat in (both.first, both.second):
                await seat.desktop.reached(State.CAUGHT_UP)
            yield both


async def test_a_desktop_shows_what_it_got_before_it_heard_that_another_had_shown_it(pair: Pair) -> None:
    popid = (await pair.pop("case a"))["PopId"]
    assert await pair.first.shows() == "case a"
    await pair.first.is_told(Current("case a", ()))
    await pair.recall_one()
    assert await pair.second.shows() == "case a"
    await pair.second.is_told(Current("case a", ()))
    for seat in (pair.first, pair.second):
        assert seat.desktop.records == Records("case a")
    assert await pair.account() == Records("case a")
    assert await pair.status(popid) == "shown"


async def test_a_late_desktop_shows_each_pop_and_ends_with_the_same_account(pair: Pair) -> None:
    courses = ["case b", "case c", "case b"]
    for reference in courses:
        asked = asyncio.create_task(pair.pop(reference, pop_wait=8))
        assert await pair.first.shows() == reference
        assert (await asked)["Status"] == "shown"
    await pair.first.is_told(Current("case b", ("case c",)))
    pair.first.desktop.close("case c")
    await pair.first.is_told(Current("case b", ()))
    await pair.recall_one()
    assert [await pair.second.shows() for _ in courses] == courses
    await pair.second.is_told(Current("case b", ()))
    assert pair.first.desktop.records == pair.second.desktop.records == await pair.account() == Records("case b")


async def test_a_record_that_was_closed_elsewhere_pops_again(pair: Pair) -> None:
    for _ in range(2):
        asked = asyncio.create_task(pair.pop("case d", pop_wait=8))
        assert await pair.first.shows() == "case d"
        assert (await asked)["Status"] == "shown"
        await pair.first.is_told(Current("case d", ()))
        pair.first.desktop.close("case d")
        await pair.first.is_told(Current(None, ()))
        pair.first.forget()
    await pair.recall_one()
    assert [await pair.second.shows() for _ in range(2)] == ["case d", "case d"]
    await pair.second.is_told(Current(None, ()))
    assert pair.second.desktop.records == await pair.account() == Records()
