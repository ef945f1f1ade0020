"""Stories of the page /desktop: an agent in a real browser, from the sign-in to the records."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from tests.cloud.office import PASSWORD, add_user, issue_agents
from tests.conftest import WITHIN, Agent, Bridge, basic
from tests.pages.conftest import Window, accessible, fits_a_phone, links, shot

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

expect.set_options(timeout=WITHIN * 1000)

CONFIG = """\
http: {bind: 127.0.0.1:0}
mqtt: {bind: 127.0.0.1:0}
delivery: {record_grace: 10m}
customers:
  acme:
    crm: [acme.example.com]
    cti: [env1]
    cloud:
      enabled: true
      campaigns:
        Inbound Support: {external: true, fields: {Contact Name: contact_name}}
"""


class Centre:
    """A bridge, its agents, and the platform that pops them."""

    _numbers = count()

    def __init__(self, bridge: Bridge) -> None:
        self.bridge = bridge
        self._key = bridge.key()
        self._agents = iter(issue_agents(bridge, "acme", 40))
        self._cloud = ""

    def agent(self) -> Agent:
        """Give an agent whom no other story pops."""
        return next(self._agents)

    async def sits(self, page: Page, agent: Agent) -> None:
        """Open the agent's link, and wait until the desktop is ready."""
        await page.goto(f"{self.bridge.http}/desktop#{agent.token}")
        await caught_up(page)

    async def trigger(self, agent: Agent, channel: str = "CTI", **more: Any) -> dict[str, Any]:
        """Trigger a pop by the Connect API. With a wait, what becomes of it is awaited, however slow the machine is."""
        asked = {"agentid": agent.id, "event": "On Ring", "number": next(self._numbers), "pop_ttl": 600, **more}
        given = {"X-API-Key": self._key}
        async with aiohttp.ClientSession(self.bridge.http, headers=given) as http:
            async with http.post(f"/api/sendmessage/{channel}", json=asked) as response:
                answer: dict[str, Any] = await response.json()
                assert response.status == 200, answer
            async with asyncio.timeout(WITHIN):
                while "pop_wait" in more and answer["status"] in {"held", "sent", "delivered"}:
                    async with http.get(f"/api/pops/{answer['popid']}") as response:
                        answer["status"] = (await response.json())["status"]
        return answer

    async def cloud(self, agent: Agent, reference: str, **data: str) -> dict[str, Any]:
        """Trigger a pop by the Cloud API, and wait for what becomes of it."""
        async with aiohttp.ClientSession(self.bridge.http) as http:
            if not self._cloud:
                given = {"Authorization": basic(add_user(self.bridge, "platform"), PASSWORD)}
                async with http.get("/api/cloud/token", headers=given) as response:
                    self._cloud = (await response.json())["Result"]["IdToken"]
            asked = {
                "Username": agent.id,
                "Campaign": "Inbound Support",
                "Reference": reference,
                "ScriptData": data,
            }
            given = {"Authorization": f"Bearer {self._cloud}", "Prefer": "wait=8"}
            async with http.post("/api/cloud/pop?pop_ttl=600", json=asked, headers=given) as response:
                answer: dict[str, Any] = (await response.json())["Result"]
            own = {"Authorization": f"Bearer {agent.token}"}
            async with asyncio.timeout(WITHIN):
                while answer["Status"] in {"held", "sent", "delivered"}:
                    async with http.get(f"/api/pops/{answer['PopId']}", headers=own) as response:
                        answer["Status"] = (await response.json())["status"]
        return answer

    async def recall(self, popid: str) -> None:
        """Withdraw a pop."""
        given = {"Authorization": f"Bearer {self.bridge.token('admin')}"}
        address = f"{self.bridge.http}/api/pops/{popid}"
        async with aiohttp.ClientSession() as http, http.delete(address, headers=given) as response:
            assert response.status == 200


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    bridge = Bridge(tmp_path_factory.mktemp("desktop") / "data", CONFIG).start()
    yield Centre(bridge)
    assert bridge.stop() == 0
    assert "Traceback" not in bridge.log(), bridge.log()


@pytest_asyncio.fixture(loop_scope="module")
async def page(window: Window) -> AsyncIterator[Page]:
    yield await window.page()


async def caught_up(page: Page) -> None:
    await expect(page.locator("#state")).to_have_text(re.compile("Connected and caught up"))


def card(page: Page, popid: str) -> Any:
    return page.locator(f'[data-popid="{popid}"]')


async def test_an_agent_signs_in_by_password_and_the_caller_learns_that_the_pop_is_shown(
    centre: Centre, page: Page
) -> None:
    agent = centre.agent()
    add_user(centre.bridge, "ada@example.com", agent=agent.id)
    await page.goto(f"{centre.bridge.http}/desktop")
    await accessible(page)
    await page.get_by_label("User name").fill("ada@example.com")
    await page.get_by_label("Password").fill("wrong")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_be_visible()
    await page.get_by_label("Password").fill(PASSWORD)
    await page.keyboard.press("Enter")
    await caught_up(page)
    await expect(page.locator("#who")).to_have_text(f"agent {agent.id} · acme")
    answer = await centre.trigger(agent, pop_wait=8, caller="+15551234567", ticket=4711)
    assert answer["status"] == "shown"
    pop = card(page, answer["popid"])
    await expect(pop.get_by_role("heading")).to_have_text("On Ring")
    await expect(pop.get_by_role("row", name="caller")).to_have_text(re.compile(r"\+15551234567"))
    await expect(pop.get_by_role("row", name="ticket")).to_have_text(re.compile("4711"))
    await page.reload()
    await caught_up(page)
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_label("User name")).to_be_focused()
    await page.reload()
    await expect(page.get_by_label("User name")).to_be_visible()


async def test_a_links_token_leaves_the_address_bar_and_is_not_in_the_page(centre: Centre, page: Page) -> None:
    agent = centre.agent()
    await centre.sits(page, agent)
    assert page.url == f"{centre.bridge.http}/desktop"
    assert agent.token not in await page.content()
    assert await page.evaluate("history.length") <= 2
    await page.get_by_role("link", name="To the content").focus()
    await page.keyboard.press("Enter")
    answer = await centre.trigger(agent, pop_wait=8)
    assert answer["status"] == "shown"


async def test_a_link_that_is_not_a_desktops_is_said(centre: Centre, page: Page) -> None:
    await page.goto(f"{centre.bridge.http}/desktop#{centre.bridge.token('observer')}")
    await expect(page.get_by_role("alert")).to_have_text(re.compile("not a desktop's"))


async def test_everything_that_a_pop_says_is_shown(centre: Centre, page: Page) -> None:
    agent = centre.agent()
    await centre.sits(page, agent)
    more = {"crmid": "acme.example.com", "ctiid": "env1", "10": "ten", "2": "two", "account": 12345678901234567890}
    answer = await centre.trigger(agent, "CRM", pop_wait=8, **more)
    pop = card(page, answer["popid"])
    for said in ("acme.example.com", "env1", answer["popid"]):
        await expect(pop.get_by_role("definition").filter(has_text=said)).to_be_visible()
    await expect(pop.get_by_role("row", name="account")).to_have_text(re.compile("12345678901234567890"))
    names = await pop.get_by_role("rowheader").all_text_contents()
    assert names.index("10") < names.index("2")
    given = {"Contact Name": "Ada Example", "var_Reason": "invoice"}
    result = await centre.cloud(agent, f"{agent.id} case", **given)
    assert result["Status"] == "shown"
    pop = card(page, result["PopId"])
    await expect(pop.get_by_role("row", name="contact_name")).to_have_text(re.compile("Ada Example"))
    await expect(pop.get_by_role("table", name="Variables of the campaign")).to_contain_text("invoice")
    await expect(pop.get_by_role("definition").filter(has_text=f"{agent.id} case")).to_be_visible()
    await accessible(page)
    await shot(page, "desktop")
    await fits_a_phone(page)
    await accessible(page)
    await shot(page, "desktop-phone")


async def test_records_are_opened_put_aside_resumed_and_closed(centre: Centre, page: Page) -> None:
    agent = centre.agent()
    first, second = f"{agent.id} first", f"{agent.id} second"
    await centre.sits(page, agent)
    current, activities = page.locator("#current"), page.locator("#activities")
    assert (await centre.cloud(agent, first))["Status"] == "shown"
    await expect(current).to_contain_text(first)
    assert (await centre.cloud(agent, first))["Status"] == "unchanged"
    await expect(page.locator("#pops article")).to_have_count(1)
    assert (await centre.cloud(agent, second))["Status"] == "shown"
    await expect(current).to_contain_text(second)
    await expect(activities).to_contain_text(first)
    await page.get_by_role("button", name=f"Resume: {first}").press("Enter")
    await expect(current).to_contain_text(first)
    await expect(activities).to_contain_text(second)
    await page.get_by_role("button", name=f"Close: {first}").press("Enter")
    await expect(page.get_by_text("No record is open.")).to_be_visible()
    await page.reload()
    await expect(activities).to_contain_text(second)
    await page.get_by_role("button", name=f"Resume: {second}").click()
    await expect(current).to_contain_text(second)
    await page.get_by_role("button", name=f"Put aside: {second}").click()
    await expect(activities).to_contain_text(second)


async def test_a_record_that_another_agent_has_is_not_resumed_and_that_is_said(
    centre: Centre, page: Page, window: Window
) -> None:
    agent, other = centre.agent(), centre.agent()
    case = f"{agent.id} case"
    await centre.sits(page, agent)
    theirs = await window.page()
    await centre.sits(theirs, other)
    assert (await centre.cloud(agent, case))["Status"] == "shown"
    await page.get_by_role("button", name=f"Put aside: {case}").click()
    await expect(page.locator("#activities")).to_contain_text(case)
    async with asyncio.timeout(WITHIN):
        while (await centre.cloud(other, case))["Status"] != "shown":
            pass  # the bridge has not heard yet that it was put aside
    await page.get_by_role("button", name=f"Resume: {case}").click()
    await expect(page.locator("#records-said")).to_have_text(f"{case} was not opened: another agent has it open.")
    await expect(page.locator("#activities")).to_contain_text(case)


async def test_a_recalled_pop_that_was_held_is_not_shown(centre: Centre, page: Page) -> None:
    agent = centre.agent()
    recalled = await centre.trigger(agent)
    await centre.recall(recalled["popid"])
    kept = await centre.trigger(agent)
    await centre.sits(page, agent)
    await expect(card(page, kept["popid"])).to_be_visible()
    await expect(card(page, recalled["popid"])).to_have_count(0)
    await expect(page.locator("#history")).to_contain_text("It was recalled before it was shown.")


async def test_hostile_data_is_text(centre: Centre, page: Page) -> None:
    agent = centre.agent()
    await centre.sits(page, agent)
    hostile = "<img src=x onerror=\"document.title='gone'\"><script>document.title='gone'</script>"
    named: dict[str, Any] = {hostile: hostile, "nested": {"a": [hostile]}, "__proto__": {"polluted": "yes"}}
    answer = await centre.trigger(agent, **named, event=hostile, pop_wait=8)
    assert answer["status"] == "shown"
    pop = card(page, answer["popid"])
    await expect(pop.get_by_role("heading")).to_have_text(hostile)
    await expect(pop.get_by_role("cell").filter(has_text=hostile).first).to_be_visible()
    result = await centre.cloud(agent, f"{agent.id} {hostile}")
    assert result["Status"] == "shown"
    await expect(page.locator("#current")).to_contain_text(hostile)
    await expect(page.locator("#history")).to_contain_text(hostile)
    assert await page.locator("main img, main script").count() == 0
    assert await page.evaluate("({}).polluted") is None
    assert "gone" not in await page.title()


async def test_a_pop_announces_itself_and_takes_no_focus(centre: Centre, page: Page, window: Window) -> None:
    agent = centre.agent()
    await centre.sits(page, agent)
    await page.get_by_role("button", name="Ask again").focus()
    answer = await centre.trigger(agent, pop_wait=8)
    await expect(page.locator("#announcements")).to_have_text(re.compile(r"New pop, .*: On Ring\."))
    await expect(page.get_by_role("button", name="Ask again")).to_be_focused()
    await card(page, answer["popid"]).get_by_role("button", name="Dismiss").press("Enter")
    await expect(page.locator("#no-pops")).to_be_visible()


async def test_pops_that_nobody_saw_are_counted_in_the_title(centre: Centre, page: Page) -> None:
    agent = centre.agent()
    await centre.sits(page, agent)
    await page.evaluate("document.hasFocus = () => false")
    for _ in range(2):
        assert (await centre.trigger(agent, pop_wait=8))["status"] == "shown"
    await expect(page).to_have_title("(2) Desktop · popbridge")
    await page.evaluate("window.dispatchEvent(new Event('focus'))")
    await expect(page).to_have_title("Desktop · popbridge")


async def test_one_tab_has_the_desktop_another_may_take_it_over(centre: Centre, page: Page, window: Window) -> None:
    agent = centre.agent()
    await centre.sits(page, agent)
    second = await window.page()
    await second.goto(f"{centre.bridge.http}/desktop#{agent.token}")
    await expect(second.get_by_role("heading", name="This desktop is in another tab")).to_be_visible()
    await accessible(second)
    answer = await centre.trigger(agent, pop_wait=8)
    assert (answer["status"], answer["receivers"]) == ("shown", 1)
    await expect(card(page, answer["popid"])).to_be_visible()
    await second.get_by_role("button", name="Take over here").click()
    await caught_up(second)
    await expect(page.get_by_text("Another tab took this desktop over.")).to_be_visible()
    answer = await centre.trigger(agent, pop_wait=8)
    assert answer["status"] == "shown"
    await expect(card(second, answer["popid"])).to_be_visible()
    await second.close()
    await caught_up(page)


async def test_a_revoked_token_leads_to_the_sign_in_with_the_reason(centre: Centre, page: Page) -> None:
    issued = centre.bridge.cli("tokens", "issue", "--customer", "acme", "--role", "desktop", "--agent", "leaver")
    found = re.search(r"desktop-[0-9a-f]+", issued.stderr)
    assert found
    await centre.sits(page, Agent("leaver", issued.stdout.strip()))
    assert centre.bridge.cli("tokens", "revoke", found[0]).returncode == 0
    await expect(page.get_by_role("alert")).to_have_text(re.compile("You were signed out: .* may have been revoked"))
    await expect(page.get_by_label("User name")).to_be_focused()


async def test_a_token_that_ends_leads_to_the_sign_in_with_the_reason(centre: Centre, page: Page) -> None:
    whose = ("--customer", "acme", "--role", "desktop", "--agent", "night shift")
    token = centre.bridge.secret("tokens", "issue", *whose, "--expires", "5s")
    await page.goto(f"{centre.bridge.http}/desktop#{token}")
    await expect(page.get_by_role("alert")).to_have_text("Your sign-in has expired. Sign in again.")


async def test_a_clock_that_is_wrong_shows_pops_all_the_same(centre: Centre, page: Page) -> None:
    agent = centre.agent()
    await page.clock.install()
    await page.clock.set_system_time("2031-01-01T12:00:00Z")
    await centre.sits(page, agent)
    answer = await centre.trigger(agent, pop_wait=8)
    assert answer["status"] == "shown"


async def test_the_demos_agents_are_a_click_or_a_link_away(demo: Bridge, page: Page, window: Window) -> None:
    await page.goto(f"{demo.http}/desktop")
    await page.get_by_role("button", name="Be agent 1001").click()
    await caught_up(page)
    other = await window.page()
    await other.goto(links(demo)[1])
    await caught_up(other)
    await expect(other.locator("#who")).to_have_text("agent 1002 · acme")


async def test_it_survives_a_restart_and_gets_what_was_held(page: Page, tmp_path: Path) -> None:
    bridge = Bridge(tmp_path / "data", CONFIG).start()
    try:
        centre = Centre(bridge)
        agent = centre.agent()
        await centre.sits(page, agent)
        assert bridge.stop() == 0
        await expect(page.locator("#state")).to_have_text(re.compile("Not connected: trying again"))
        address = f"127.0.0.1:{bridge.http_port}"
        (bridge.data / "broker.yaml").write_text(
            CONFIG.replace("http: {bind: 127.0.0.1:0}", f"http: {{bind: {address}}}")
        )
        bridge.start()
        held = await centre.trigger(agent)
        await expect(card(page, held["popid"])).to_be_visible(timeout=4 * WITHIN * 1000)
        await caught_up(page)
        answer = await asyncio.wait_for(centre.trigger(agent, pop_wait=8), WITHIN)
        assert answer["status"] == "shown"
    finally:
        bridge.stop()
