"""The first page: what is running, who is there, and where to go."""

import asyncio
import json
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from agent_client import Desktop, State
from tests.conftest import CONFIG, WITHIN, Bridge
from tests.pages.conftest import Window, accessible, fits_a_phone, links, shot

pytestmark = pytest.mark.asyncio(loop_scope="module")
expect.set_options(timeout=WITHIN * 1000)


async def opened(window: Window, bridge: Bridge) -> Page:
    page = await window.page()
    await page.goto(bridge.http)
    await expect(page.locator("#ready li")).to_have_count(4)
    return page


async def test_it_says_what_is_running(window: Window, demo: Bridge) -> None:
    page = await opened(window, demo)
    about = page.locator("#about")
    await expect(about).to_contain_text(f"127.0.0.1:{demo.mqtt_port} over TCP")
    await expect(about).to_contain_text("the demo, customer acme")
    for text in await page.locator("#ready li").all_inner_texts():
        assert text.startswith("Works: ")
    for name in ("Playground", "Desktop", "Live floor", "Docs"):
        await expect(page.locator("main").get_by_role("link", name=name)).to_be_visible()
    await shot(page, "home")


async def test_agents_and_pops_are_counted(window: Window, demo: Bridge) -> None:
    kept = json.loads((demo.data / "demo.json").read_text(encoding="utf-8"))
    server = f"mqtt://127.0.0.1:{demo.mqtt_port}"
    async with Desktop(server, "acme", "1001", kept["desktops"]["1001"]) as desktop:
        await asyncio.wait_for(desktop.reached(State.CONNECTED), WITHIN)
        page = await opened(window, demo)
        asked = {"agentid": "1001", "event": "On Ring", "jwt": kept["key"]}
        answer = await page.request.get(f"{demo.http}/api/sendmessage/CTI", params=asked)
        assert (await answer.json())["status"] == "sent"
        popid = (await asyncio.wait_for(anext(desktop), WITHIN)).popid
        bearer = {"Authorization": f"Bearer {kept['observer']}"}
        async with asyncio.timeout(WITHIN):
            while "shown" not in await (await page.request.get(f"{demo.http}/api/pops/{popid}", headers=bearer)).text():
                pass
        await page.reload()
        await expect(page.locator("#online")).to_have_text("1")
        await expect(page.locator("#pops")).to_contain_text("1 shown")


async def test_the_demos_commands_are_copied_whole_and_shown_without_their_secrets(
    window: Window, demo: Bridge
) -> None:
    page = await opened(window, demo)
    kept = json.loads((demo.data / "demo.json").read_text(encoding="utf-8"))
    shown = await page.content()
    for secret in (kept["key"], kept["observer"], *kept["desktops"].values(), *kept["passwords"].values()):
        assert secret not in shown
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    copied = []
    for button in await page.locator("#lines").get_by_role("button", name="Copy").all():
        await button.click()
        await expect(button).to_have_text("Copied")
        copied.append(await page.evaluate("navigator.clipboard.readText()"))
    printed = [line for line in demo.printed if not line.startswith(("#", "popbridge ready"))]
    assert copied == [line.partition(": ")[2] if line.startswith("password of ") else line for line in printed]


async def test_a_desktop_link_opens_the_desktop(window: Window, demo: Bridge) -> None:
    page = await opened(window, demo)
    assert len(links(demo)) == 2
    async with page.context.expect_page() as another:
        await page.get_by_role("button", name="Open as 1002").click()
    await (await another.value).wait_for_url(f"{demo.http}/desktop**")


async def test_figures_are_shown_to_an_observer_and_a_wrong_token_is_said(window: Window, house: Bridge) -> None:
    page = await opened(window, house)
    await expect(page.locator("#about")).to_contain_text("a bridge with customers of its own")
    await expect(page.locator("#demo")).to_be_hidden()
    await page.get_by_role("button", name="Sign in as an observer").click()
    await page.get_by_label("Observer's token").fill("wrong")
    await page.keyboard.press("Enter")
    await expect(page.locator("#sign-in .bad")).to_be_visible()
    await page.get_by_label("Observer's token").fill(house.token("observer"))
    await page.keyboard.press("Enter")
    await expect(page.locator("#pops")).to_have_text("0")


async def test_a_bridge_that_is_gone_is_said(window: Window, tmp_path: Path) -> None:
    leaving = Bridge(tmp_path / "data", CONFIG).start()
    page = await opened(window, leaving)
    assert leaving.stop() == 0
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    await expect(page.locator("#ready")).to_contain_text("The bridge cannot be reached.")


async def test_it_is_accessible_and_fits_a_phone(window: Window, demo: Bridge) -> None:
    page = await opened(window, demo)
    await expect(page.locator("#online")).to_be_visible()
    await accessible(page)
    await fits_a_phone(page)
    await page.emulate_media(color_scheme="dark")
    await accessible(page)


async def test_the_keyboard_is_enough(window: Window, demo: Bridge) -> None:
    page = await opened(window, demo)
    for _ in range(20):
        await page.keyboard.press("Tab")
        if (
            await page.evaluate("document.activeElement.closest('.links') && document.activeElement.textContent")
            == "Docs"
        ):
            break
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{demo.http}/docs")
