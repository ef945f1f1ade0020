"""Reading agents: who was seen, whether they are online, and what they have open."""

import asyncio
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from tests.conftest import WITHIN, Agent, Bridge, Caller, desktop
from tests.pops.conftest import Reader
from tests.pops.test_reading import STAMP

ODD = "$site/12+#%Zoë ?&"


async def offline(reader: Reader, agent: str) -> dict[str, Any]:
    async with asyncio.timeout(WITHIN):
        while (said := (await reader(f"/api/agents/{agent}")).said)["online"]:
            pass
    return said


async def test_an_agent_is_told_with_all_that_is_known(
    bridge: Bridge, trigger: Caller, agent: Agent, observer: Reader
) -> None:
    async with desktop(bridge, agent), desktop(bridge, agent):
        popids = [(await trigger(agentid=agent.id, n=number)).said["popid"] for number in range(22)]
        said = (await observer(f"/api/agents/{agent.id}")).said
        assert list(said) == ["agentid", "online", "desktops", "since", "activities", "pops"]
        assert (said["agentid"], said["online"], said["desktops"]) == (agent.id, True, 2)
        assert STAMP.fullmatch(said["since"])
        assert said["activities"] == []
        assert said["pops"] == popids[:1:-1]
        assert len(said["pops"]) == 20
    gone = await offline(observer, agent.id)
    assert (gone["desktops"], gone["since"] >= said["since"]) == (0, True)


async def test_the_agent_heard_of_last_comes_first_in_parts(bridge: Bridge, agents: Any, observer: Reader) -> None:
    seen = [next(agents) for _ in range(3)]
    for agent in seen:
        async with desktop(bridge, agent):
            pass
        await offline(observer, agent.id)
    part = await observer("/api/agents", limit=2)
    assert [one["agentid"] for one in part.said["items"]] == [seen[2].id, seen[1].id]
    rest = await observer("/api/agents", limit=2, cursor=part.said["next"])
    assert rest.said["items"][0]["agentid"] == seen[0].id
    for bad in ({"limit": 0}, {"limit": 501}, {"cursor": "x"}, {"agent": "1001"}):
        assert (await observer("/api/agents", **bad)).status == 400


async def test_an_id_with_reserved_characters_is_found(bridge: Bridge, observer: Reader) -> None:
    odd = Agent(ODD, bridge.token("desktop", agent=ODD))
    async with (
        desktop(bridge, odd),
        observer.http.get(
            URL(f"/api/agents/{quote(ODD, safe='')}", encoded=True),
            headers={"Authorization": f"Bearer {observer.token}"},
        ) as response,
    ):
        assert response.status == 200
        assert (await response.json())["agentid"] == ODD


async def test_one_who_was_never_seen_is_a_404(observer: Reader, trigger: Caller) -> None:
    for agent in ("never-seen", "%FF", "x" * 4000):
        answer = await observer(f"/api/agents/{agent}")
        assert (answer.status, answer.said["code"]) == (404, "not_found")


async def test_customers_and_agents_are_apart(
    bridge: Bridge, http: aiohttp.ClientSession, agents: Any, observers: dict[str, str]
) -> None:
    mine, theirs = next(agents), next(agents)
    async with desktop(bridge, mine), desktop(bridge, theirs):
        foreign = Reader(http, observers["other"])
        assert (await foreign(f"/api/agents/{mine.id}")).status == 404
        assert (await foreign("/api/agents")).said == {"items": []}
        own = Reader(http, mine.token)
        assert (await own(f"/api/agents/{mine.id}")).said["online"] is True
        assert (await own(f"/api/agents/{theirs.id}")).status == 403


@pytest.mark.parametrize("path", ["/api/agents", "/api/licence", "/api/pops"])
async def test_only_get_is_allowed(http: aiohttp.ClientSession, observer: Reader, path: str) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        answer = await observer(path, method)
        assert (answer.status, answer.said["code"]) == (405, "method_not_allowed")
