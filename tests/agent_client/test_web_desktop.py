"""Stories of the desktop in JavaScript: a real browser at the real bridge."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser

from agent_client.messages import Current, Recall
from agent_client.records import Records
from tests.agent_client.web.tab import Tab, TabDesktop, WasRefusedError, chrome
from tests.agent_client.web.wire import Wire
from tests.cloud.office import PASSWORD, add_user, issue_agents
from tests.conftest import WITHIN, Agent, Bridge, basic

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

CONFIG = """\
http: {bind: 127.0.0.1:HTTP}
mqtt: {bind: 127.0.0.1:0}
delivery: {record_grace: 10m}
customers:
  acme:
    crm: [acme.example.com]
    cti: [env1]
    origins: ["ORIGIN"]
    cloud:
      enabled: true
      campaigns: {Support: {}}
"""


class Site:
    """A bridge, who calls it, and a browser."""

    _numbers = count()

    def __init__(self, bridge: Bridge, browser: Browser, http: aiohttp.ClientSession) -> None:
        self.bridge = bridge
        self.browser = browser
        self._http = http
        self._key = bridge.key()
        self._agents = iter(issue_agents(bridge, "acme", 30))
        self._cloud = ""

    def agent(self) -> Agent:
        """Give an agent whom no other story pops."""
        return next(self._agents)

    async def desktop(self, agent: Agent, **how: object) -> TabDesktop:
        """Open a desktop in a tab of its own."""
        tab = await Tab.open(self.browser, self.bridge.http)
        return await tab.desktop(agent.id, agent.token, **how)  # type: ignore[arg-type]

    async def trigger(self, agent: Agent, **more: Any) -> dict[str, Any]:
        """Trigger a pop by the Connect API. With a wait of 8 s, what becomes of it is awaited, however slow it is."""
        asked = {"agentid": agent.id, "event": "On Ring", "number": next(self._numbers), "pop_ttl": 600, **more}
        given = {"X-API-Key": self._key}
        async with self._http.post(f"{self.bridge.http}/api/sendmessage/CTI", json=asked, headers=given) as response:
            answer: dict[str, Any] = await response.json()
            assert response.status == 200, answer
        async with asyncio.timeout(WITHIN):
            while more.get("pop_wait") == 8 and answer["status"] in {"held", "sent", "delivered"}:
                async with self._http.get(f"{self.bridge.http}/api/pops/{answer['popid']}", headers=given) as response:
                    told = await response.json()
                    answer |= {"status": told["status"], "reason": told["steps"][-1]["detail"]}
        return answer

    async def cloud(self, agent: Agent, reference: str, **query: str) -> dict[str, Any]:
        """Trigger a pop by the Cloud API."""
        if not self._cloud:
            given = {"Authorization": basic(add_user(self.bridge, "platform"), PASSWORD)}
            async with self._http.get(f"{self.bridge.http}/api/cloud/token", headers=given) as response:
                self._cloud = (await response.json())["Result"]["IdToken"]
        asked = {"Username": agent.id, "Campaign": "Support", "Reference": reference}
        given = {"Authorization": f"Bearer {self._cloud}"}
        address = f"{self.bridge.http}/api/cloud/pop"
        async with self._http.post(address, json=asked, headers=given, params=query) as response:
            answer: dict[str, Any] = (await response.json())["Result"]
        own = {"Authorization": f"Bearer {agent.token}"}
        async with asyncio.timeout(WITHIN):
            while answer["Status"] in {"held", "sent", "delivered"}:
                async with self._http.get(f"{self.bridge.http}/api/pops/{answer['PopId']}", headers=own) as response:
                    answer["Status"] = (await response.json())["status"]
        return answer

    async def recall(self, popid: str) -> None:
        """Withdraw a pop."""
        given = {"Authorization": f"Bearer {self.bridge.token('admin')}"}
        async with self._http.delete(f"{self.bridge.http}/api/pops/{popid}", headers=given) as response:
            assert response.status == 200


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def elsewhere() -> AsyncIterator[str]:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>elsewhere</title>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, elsewhere: str) -> Iterator[Bridge]:
    config = CONFIG.replace("HTTP", "0").replace("ORIGIN", elsewhere)
    bridge = Bridge(tmp_path_factory.mktemp("web") / "data", config).start()
    yield bridge
    assert bridge.stop() == 0
    assert "Traceback" not in bridge.log(), bridge.log()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(running: Bridge) -> AsyncIterator[Site]:
    async with chrome() as browser, aiohttp.ClientSession() as http:
        yield Site(running, browser, http)


async def taken(desktop: TabDesktop) -> str:
    # Who comes back after some failed attempts may wait half a minute before the next.
    return (await asyncio.wait_for(desktop.taken(), 4 * WITHIN)).popid


async def test_the_caller_learns_that_the_desktop_shows_the_pop(site: Site) -> None:
    agent = site.agent()
    desktop = await site.desktop(agent)
    await desktop.reached("connected")
    asking = asyncio.create_task(site.trigger(agent, pop_wait=8, long="x" * 100_000))
    shown = await taken(desktop)
    answer = await asking
    assert (answer["status"], answer["popid"]) == ("shown", shown)


async def test_an_id_with_reserved_characters_finds_its_desktop(site: Site) -> None:
    name = "$site/12+#%Zoë"
    agent = Agent(name, site.bridge.token("desktop", agent=name))
    desktop = await site.desktop(agent, cti="env1")
    await desktop.reached("connected")
    answer = await site.trigger(agent, ctiid="env1")
    assert await taken(desktop) == answer["popid"]


async def test_what_was_held_arrives_before_it_is_caught_up(site: Site) -> None:
    agent = site.agent()
    held = [(await site.trigger(agent))["popid"] for _ in range(5)]
    desktop = await site.desktop(agent)
    await desktop.reached("caught up")
    assert [await taken(desktop) for _ in held] == held
    assert await desktop.states() == ["connected", "caught up"]


async def test_a_pop_is_acknowledged_only_when_it_is_taken_and_else_goes_to_the_next_desktop(site: Site) -> None:
    agent = site.agent()
    first = await site.desktop(agent)
    await first.reached("caught up")
    answer = await site.trigger(agent, pop_wait=1, pop_until="delivered")
    assert answer["status"] == "sent"
    await first.do("leave")
    second = await site.desktop(agent)
    assert await taken(second) == answer["popid"]


async def test_a_recalled_pop_is_not_shown(site: Site) -> None:
    agent = site.agent()
    desktop = await site.desktop(agent)
    await desktop.reached("caught up")
    recalled = await site.trigger(agent)
    await site.recall(recalled["popid"])
    await desktop.is_told(Recall(recalled["popid"]))
    after = await site.trigger(agent)
    assert await taken(desktop) == after["popid"]


async def test_the_caller_learns_why_the_desktop_refused(site: Site) -> None:
    agent = site.agent()
    desktop = await site.desktop(agent, refuses="on_break")
    await desktop.reached("connected")
    taking = asyncio.create_task(desktop.taken())
    answer = await site.trigger(agent, pop_wait=8)
    assert (answer["status"], answer["reason"]) == ("refused", "on_break")
    await desktop.do("leave")
    with pytest.raises(WasRefusedError, match="Left"):
        await taking


async def test_records_are_suspended_resumed_and_closed_and_a_new_session_is_told_of_them(site: Site) -> None:
    agent = site.agent()
    desktop = await site.desktop(agent)
    await desktop.reached("connected")
    for reference in ("first", "second"):
        asking = asyncio.create_task(site.cloud(agent, f"{agent.id} {reference}", pop_wait="8"))
        await taken(desktop)
        assert (await asking)["Status"] == "shown"
    first, second = f"{agent.id} first", f"{agent.id} second"
    assert (await site.cloud(agent, second, pop_wait="8"))["Status"] == "unchanged"
    await desktop.is_told(Current(second, (first,)))
    await desktop.do("resume", first)
    await desktop.is_told(Current(first, (second,)))
    await desktop.do("leave")
    other = await site.desktop(agent)
    await other.is_told(Current(first, (second,)))
    assert await other.records() == Records(first, (second,))
    await other.do("close", first)
    await other.is_told(Current(None, (second,)))


@pytest.mark.parametrize("token", ["nonsense", "of another agent"])
async def test_a_wrong_token_ends_it(site: Site, token: str) -> None:
    agent = site.agent()
    desktop = await site.desktop(Agent(agent.id, site.agent().token if token == "of another agent" else token))
    with pytest.raises(WasRefusedError, match="NotAuthorised") as caught:
        await asyncio.wait_for(desktop.taken(), WITHIN)
    assert "token is not accepted" in str(caught.value)
    assert await desktop.states() == []


async def test_a_revoked_token_ends_it(site: Site) -> None:
    issued = site.bridge.cli("tokens", "issue", "--customer", "acme", "--role", "desktop", "--agent", "leaver")
    found = re.search(r"desktop-[0-9a-f]+", issued.stderr)
    assert found
    desktop = await site.desktop(Agent("leaver", issued.stdout.strip()))
    await desktop.reached("caught up")
    assert site.bridge.cli("tokens", "revoke", found[0]).returncode == 0
    with pytest.raises(WasRefusedError, match="NotAuthorised"):
        await asyncio.wait_for(desktop.taken(), WITHIN)


async def test_a_dead_line_is_replaced_as_soon_as_the_machine_is_back(site: Site) -> None:
    agent = site.agent()
    async with Wire(site.bridge.http_port) as wire:
        tab = await Tab.open(site.browser, wire.http)
        # It would ask by itself only after an hour.
        desktop = await tab.desktop(agent.id, agent.token, keepalive=3600)
        await desktop.reached("caught up")
        wire.silence()
        await tab.page.evaluate("window.dispatchEvent(new Event('online'))")
        await asyncio.wait_for(desktop.reached("lost"), WITHIN)
        await asyncio.wait_for(desktop.reached("caught up"), WITHIN)
        answer = await site.trigger(agent)
        assert await taken(desktop) == answer["popid"]
        await desktop.do("leave")


@pytest.mark.parametrize("clean", [True, False])
async def test_a_pop_that_comes_again_on_another_line_is_shown_once(site: Site, clean: bool) -> None:  # noqa: FBT001
    agent = site.agent()
    async with Wire(site.bridge.http_port) as wire:
        tab = await Tab.open(site.browser, wire.http)
        desktop = await tab.desktop(agent.id, agent.token, clientId=f"steady {clean}", clean=clean)
        await desktop.reached("caught up")
        first = await site.trigger(agent, pop_wait=1, pop_until="delivered")
        assert first["status"] == "sent"
        wire.silence()
        await desktop.do("wake")
        await asyncio.wait_for(desktop.reached("lost"), WITHIN)
        await asyncio.wait_for(desktop.reached("caught up"), WITHIN)
        second = await site.trigger(agent)
        assert [await taken(desktop), await taken(desktop)] == [first["popid"], second["popid"]]
        third = await site.trigger(agent)
        assert await taken(desktop) == third["popid"]
        await desktop.do("leave")


async def test_a_line_that_stands_outlives_the_question(site: Site) -> None:
    agent = site.agent()
    desktop = await site.desktop(agent)
    await desktop.reached("caught up")
    for _ in range(3):
        await desktop.do("wake")
    answer = await site.trigger(agent)
    assert await taken(desktop) == answer["popid"]
    assert await desktop.states() == ["connected", "caught up"]


async def test_a_page_of_a_listed_origin_imports_it(site: Site, elsewhere: str) -> None:
    agent = site.agent()
    page = await site.browser.new_page()
    await page.goto(elsewhere)
    take = """async ([bridge, agent, token]) => {
        const { Desktop } = await import(`${bridge}/client/desktop.js`);
        const desktop = new Desktop(bridge, "acme", agent, token);
        for await (const pop of desktop) {
            await desktop.leave();
            return pop.popid;
        }
    }"""
    taking = asyncio.create_task(page.evaluate(take, [site.bridge.http, agent.id, agent.token]))
    answer = await site.trigger(agent, pop_wait=8)
    assert answer["status"] == "shown"
    assert await asyncio.wait_for(taking, WITHIN) == answer["popid"]


async def test_it_runs_on_an_mqtt_js_of_ones_own(site: Site) -> None:
    agent = site.agent()
    tab = await Tab.open(site.browser, site.bridge.http)
    take = """async ([agent, token]) => {
        const { default: mqtt } = await import("/vendor/mqtt.esm.js");
        const { Desktop } = await import("/client/desktop.js");
        const desktop = new Desktop(location.origin, "acme", agent, token, { mqtt });
        const { pop } = await desktop.take();
        await desktop.leave();
        return pop.popid;
    }"""
    taking = asyncio.create_task(tab.page.evaluate(take, [agent.id, agent.token]))
    answer = await site.trigger(agent, pop_wait=8)
    assert answer["status"] == "shown"
    assert await asyncio.wait_for(taking, WITHIN) == answer["popid"]


@pytest.mark.parametrize(
    "given",
    [
        ["ftp://127.0.0.1", "acme", "1001"],
        ["ws://user:secret@127.0.0.1/mqtt", "acme", "1001"],
        ["ws://127.0.0.1", "a/b", "1001"],
        ["ws://127.0.0.1", "acme", ""],
        ["ws://127.0.0.1", "acme", "x" * 129],
    ],
)
async def test_what_cannot_be_is_refused_at_once(site: Site, given: list[str]) -> None:
    tab = await Tab.open(site.browser, site.bridge.http)
    make = """async (given) => {
        const { Desktop } = await import("/client/desktop.js");
        try {
            new Desktop(...given, "token");
        } catch (error) {
            return `${error.name}: ${error.message}`;
        }
    }"""
    said = await tab.page.evaluate(make, given)
    assert said.startswith("TypeError: ")
    assert "secret" not in said


async def test_it_survives_the_sudden_death_of_the_bridge(site: Site, tmp_path: Path) -> None:
    bridge = Bridge(tmp_path / "data", CONFIG.replace("HTTP", "0").replace("ORIGIN", "https://example.com")).start()
    try:
        async with aiohttp.ClientSession() as http:
            own = Site(bridge, site.browser, http)
            agent = own.agent()
            desktop = await own.desktop(agent)
            await desktop.reached("caught up")
            before = await own.trigger(agent)
            bridge.kill()
            await asyncio.wait_for(desktop.reached("lost"), WITHIN)
            again = CONFIG.replace("HTTP", str(bridge.http_port)).replace("ORIGIN", "https://example.com")
            (bridge.data / "broker.yaml").write_text(again)
            bridge.start()
            after = await own.trigger(agent)
            assert [await taken(desktop), await taken(desktop)] == [before["popid"], after["popid"]]
            await asyncio.wait_for(desktop.reached("caught up"), WITHIN)
            assert await desktop.states() == ["connected", "caught up", "lost", "connected", "caught up"]
            await desktop.do("leave")
    finally:
        bridge.stop()
