"""Stories of one agent with two desktops at the real bridge: what one shows, the other still shows."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Protocol

import aiohttp
import pytest

from agent_client import Current, Desktop, Notice, Recall, Records, State
from bridge.words.pop import Pop
from tests.agent_client.web.tab import Tab, TabDesktop, chrome
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


pytestmark = pytest.mark.timeout(240)


class House(NamedTuple):
    """A bridge, and what opens its doors."""

    bridge: Bridge
    user: str
    admin: str
    agents: Iterator[Agent]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    bridge = Bridge(tmp_path_factory.mktemp("two") / "data", CONFIG).start()
    yield House(bridge, add_user(bridge, "platform"), bridge.token("admin"), iter(issue_agents(bridge, "acme", 20)))
    assert bridge.stop() == 0
    assert "Traceback" not in bridge.log(), bridge.log()


class Seat(Protocol):
    """One desktop of an agent, which remembers what the bridge told it."""

    async def caught_up(self) -> None:
        """Wait until what was held has arrived."""

    async def shows(self) -> str | None:
        """Take the next pop and give its reference."""

    async def is_told(self, expected: Notice) -> None:
        """Wait until the bridge told this."""

    async def forget(self) -> None:
        """Count from now on only what the bridge tells anew."""

    async def records(self) -> Records:
        """Give the record that is open here, and the Activities."""

    async def close(self, reference: str) -> None:
        """Be done with a record."""


class PythonSeat:
    """A desktop in Python."""

    def __init__(self, bridge: Bridge, agent: Agent) -> None:
        server = f"mqtt://127.0.0.1:{bridge.mqtt_port}"
        self.desktop = Desktop(server, "acme", agent.id, agent.token, on_notice=self._hear)
        self._told: list[Notice] = []
        self._news = asyncio.Event()

    async def caught_up(self) -> None:
        await self.desktop.reached(State.CAUGHT_UP)

    async def shows(self) -> str | None:
        pop: Pop = await asyncio.wait_for(anext(self.desktop), WITHIN)
        return pop.reference

    async def is_told(self, expected: Notice) -> None:
        async with asyncio.timeout(WITHIN):
            while expected not in self._told:
                self._news.clear()
                await self._news.wait()

    async def forget(self) -> None:
        self._told.clear()

    async def records(self) -> Records:
        return self.desktop.records

    async def close(self, reference: str) -> None:
        self.desktop.close(reference)

    def _hear(self, notice: Notice) -> None:
        self._told.append(notice)
        self._news.set()


class JavaScriptSeat:
    """A desktop in a browser."""

    def __init__(self, desktop: TabDesktop) -> None:
        self._desktop = desktop
        self.is_told = desktop.is_told
        self.forget = desktop.forget
        self.records = desktop.records

    async def caught_up(self) -> None:
        await self._desktop.reached("caught up")

    async def shows(self) -> str | None:
        return (await asyncio.wait_for(self._desktop.taken(), WITHIN)).reference

    async def close(self, reference: str) -> None:
        await self._desktop.do("close", reference)


@asynccontextmanager
async def python_seats(bridge: Bridge, agent: Agent) -> AsyncIterator[tuple[Seat, Seat]]:
    first, second = PythonSeat(bridge, agent), PythonSeat(bridge, agent)
    async with first.desktop, second.desktop:
        yield first, second


@asynccontextmanager
async def javascript_seats(bridge: Bridge, agent: Agent) -> AsyncIterator[tuple[Seat, Seat]]:
    async with chrome() as browser:
        tabs = [await Tab.open(browser, bridge.http) for _ in range(2)]
        first, second = [JavaScriptSeat(await tab.desktop(agent.id, agent.token)) for tab in tabs]
        yield first, second


class Pair:
    """An agent's two desktops, and the platform that pops them."""

    def __init__(self, house: House, office: Office, agent: Agent, seats: tuple[Seat, Seat]) -> None:
        self.agent = agent
        self.first, self.second = seats
        self._office = office
        self._admin = house.admin

    def case(self, name: str) -> str:
        """Name a record that no other story opens."""
        return f"{self.agent.id} {name}"

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


@pytest.fixture(params=[python_seats, javascript_seats])
async def pair(house: House, request: pytest.FixtureRequest) -> AsyncIterator[Pair]:
    agent = next(house.agents)
    async with aiohttp.ClientSession(house.bridge.http) as http, request.param(house.bridge, agent) as seats:
        office = Office(house.bridge, http, {}, {})
        office.tokens = {"acme": (await office.log_in(house.user)).said["Result"]["IdToken"]}
        for seat in seats:
            await seat.caught_up()
        yield Pair(house, office, agent, seats)


async def test_a_desktop_shows_what_it_got_before_it_heard_that_another_had_shown_it(pair: Pair) -> None:
    popid = (await pair.pop(pair.case("a")))["PopId"]
    assert await pair.first.shows() == pair.case("a")
    await pair.first.is_told(Current(pair.case("a"), ()))
    await pair.recall_one()
    assert await pair.second.shows() == pair.case("a")
    await pair.second.is_told(Current(pair.case("a"), ()))
    for seat in (pair.first, pair.second):
        assert await seat.records() == Records(pair.case("a"))
    assert await pair.account() == Records(pair.case("a"))
    assert await pair.status(popid) == "shown"


async def test_a_late_desktop_shows_each_pop_and_ends_with_the_same_account(pair: Pair) -> None:
    courses = [pair.case("b"), pair.case("c"), pair.case("b")]
    for reference in courses:
        asked = asyncio.create_task(pair.pop(reference, pop_wait=8))
        assert await pair.first.shows() == reference
        assert (await asked)["Status"] == "shown"
    await pair.first.is_told(Current(pair.case("b"), (pair.case("c"),)))
    await pair.first.close(pair.case("c"))
    await pair.first.is_told(Current(pair.case("b"), ()))
    await pair.recall_one()
    assert [await pair.second.shows() for _ in courses] == courses
    await pair.second.is_told(Current(pair.case("b"), ()))
    assert await pair.first.records() == await pair.second.records() == await pair.account() == Records(pair.case("b"))


async def test_a_record_that_was_closed_elsewhere_pops_again(pair: Pair) -> None:
    for _ in range(2):
        asked = asyncio.create_task(pair.pop(pair.case("d"), pop_wait=8))
        assert await pair.first.shows() == pair.case("d")
        assert (await asked)["Status"] == "shown"
        await pair.first.is_told(Current(pair.case("d"), ()))
        await pair.first.close(pair.case("d"))
        await pair.first.is_told(Current(None, ()))
        await pair.first.forget()
    await pair.recall_one()
    assert [await pair.second.shows() for _ in range(2)] == [pair.case("d"), pair.case("d")]
    await pair.second.is_told(Current(None, ()))
    assert await pair.second.records() == await pair.account() == Records()
