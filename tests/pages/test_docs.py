"""The docs: everything the documents describe is there, and every example is sent and answered as they say."""

import asyncio
import json
import os
import re
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Locator, Page, expect

from bridge.words import errors
from tests.conftest import WITHIN, Bridge, needed
from tests.pages.conftest import Window, accessible, fits_a_phone, shot

pytestmark = pytest.mark.asyncio(loop_scope="module")
expect.set_options(timeout=WITHIN * 1000)

METHODS = ("get", "post", "delete")
PASSWORD = "a good password"


async def opened(window: Window, bridge: Bridge, fragment: str = "") -> Page:
    page = await window.page()
    await page.goto(f"{bridge.http}/docs{fragment}")
    await expect(page.locator("#shapes .entry").first).to_be_attached()
    return page


async def document(bridge: Bridge, name: str) -> Any:
    async with aiohttp.ClientSession() as http, http.get(f"{bridge.http}/{name}.json") as answer:
        return await answer.json()


def kept(demo: Bridge) -> Any:
    return json.loads((demo.data / "demo.json").read_text(encoding="utf-8"))


async def entry(page: Page, name: str) -> Locator:
    """Open an entry."""
    found = page.locator(f"[id='{name}']")
    if await found.get_attribute("open") is None:
        await found.locator("summary").first.click()
    return found


async def answered(found: Locator) -> int:
    """Wait for an answer, and give its status."""
    await expect(found.locator(".answer .told")).to_be_visible()
    status = re.search(r"HTTP (\d+)", await found.locator(".answer .told").inner_text())
    assert status
    return int(status[1])


async def send(found: Locator) -> None:
    await found.get_by_role("button", name="Send").click()


async def test_every_path_topic_error_and_shape_is_there(window: Window, demo: Bridge) -> None:
    page = await opened(window, demo)
    openapi, asyncapi = await document(demo, "openapi"), await document(demo, "asyncapi")
    doors = await page.locator("#doors").inner_text()
    for path, item in openapi["paths"].items():
        for method in METHODS:
            if method in item:
                assert f"{method.upper()} {path} {item[method]['summary']}" in re.sub(r"\s+", " ", doors)
    topics = await page.locator("#topics").inner_text()
    for channel in asyncapi["channels"].values():
        assert channel["address"] in topics
    for code, row in errors.TABLE.items():
        found = await entry(page, f"error-{code}")
        await expect(found).to_contain_text(str(row.status))
        await expect(found).to_contain_text(row.title)
        await expect(found).to_contain_text(row.hint.replace("`", ""))
    for name in [*openapi["components"]["schemas"], *asyncapi["components"]["schemas"]]:
        await expect(page.locator(f"[id='schema-{name}']")).to_be_attached()


async def test_every_doors_example_is_sent_and_answered_as_described(window: Window, demo: Bridge) -> None:
    words = ("--customer", "acme", "--username", "ada@example.com", "--agent", "ada", "--password-stdin")
    demo.secret("users", "add", *words, given=PASSWORD)
    secrets = {"Admin's": demo.token("admin"), "Feed's": demo.token("feed"), "A person's": PASSWORD}
    page = await opened(window, demo)
    openapi = await document(demo, "openapi")
    known = {"recall": await a_pop(demo), "pop": await a_pop(demo)}
    for item in openapi["paths"].values():
        for operation in (item[method] for method in METHODS if method in item):
            name = operation["operationId"]
            found = await entry(page, name)
            if name in known:
                await send(found)
                await expect(found.locator(".answer")).to_contain_text("Fill in popid.")
                await found.get_by_label("popid").fill(known[name])
            await send(found)
            await expect(found.locator(".answer").locator(".told, [role=status]").first).to_be_visible()
            asked = found.locator("fieldset")
            if await asked.count():
                whose = (await asked.locator("legend").inner_text()).split(" ")[0]
                whose = "A person's" if whose == "A" else whose
                if whose == "A person's":
                    await asked.get_by_label("User name").fill("ada@example.com")
                await asked.locator("input[type=password]").fill(secrets[whose])
                await send(found)
            status = await answered(found)
            # Nobody was heard of yet under the example's id.
            assert status == 200 or (name == "agent" and status == 404), (name, await found.inner_text())
    await expect(page.locator("[id=recall] .answer")).to_contain_text("recalled")
    await expect(page.locator("[id=lsm_stream] .answer")).to_contain_text("event: snapshot")
    await expect(page.locator("[id=cloud_token] .answer")).to_contain_text('"IdToken": "eyJ…"')
    for secret in (*secrets.values(), *kept(demo)["passwords"].values(), kept(demo)["key"], kept(demo)["observer"]):
        assert secret not in await page.content()
    assert "eyJ" not in (await page.content()).replace("eyJ…", "")


async def a_pop(demo: Bridge) -> str:
    """Trigger a pop, and give its popid."""
    asked = {"agentid": "nobody", "event": "On Ring", "jwt": kept(demo)["key"], "pop_ttl": "600"}
    async with aiohttp.ClientSession() as http:
        while True:
            async with http.get(f"{demo.http}/api/sendmessage/CTI", params=asked) as answer:
                said = await answer.json()
            if said["status"] != "duplicate":
                return str(said["popid"])
            asked["number"] = asked.get("number", "") + "1"


async def test_every_refusals_example_provokes_it(window: Window, demo: Bridge) -> None:
    page = await opened(window, demo)
    for row in (await document(demo, "openapi"))["x-errors"]:
        found = await entry(page, f"error-{row['code']}")
        if "happens" in row:
            await expect(found).to_contain_text("How it comes about")
            continue
        if "needs" in row["example"]:
            await expect(found).to_contain_text("The customer needs this in broker.yaml")
        await send(found)
        status = await answered(found)
        if "needs" in row["example"] and row["code"] != "unknown_crmid":
            assert status in {200, row["status"]}, await found.inner_text()
            continue
        assert status == row["status"], await found.inner_text()
        await expect(found.locator(".answer")).to_contain_text(row["code"])


async def test_an_example_may_be_changed(window: Window, demo: Bridge) -> None:
    page = await opened(window, demo, "#cti_post")
    found = page.locator("[id=cti_post]")
    await found.get_by_label("Body").fill('{"agentid": "changed", "event": "On Ring"}')
    await send(found)
    await expect(found.locator(".answer")).to_contain_text("CTI/acme/changed")
    await expect(found.locator(".answer")).to_contain_text("popid")
    await found.get_by_text("Try it").scroll_into_view_if_needed()
    await shot(page, "docs")
    # What was learnt from the answer may be read at once.
    pop = await entry(page, "pop")
    await pop.get_by_label("popid").focus()
    await expect(pop.get_by_label("popid")).to_have_value(re.compile("^[A-Za-z0-9_-]{22}$"))
    await send(pop)
    await expect(pop.locator(".answer")).to_contain_text('"agentid": "changed"')
    await found.get_by_label("Method").select_option("OPTIONS")
    await send(found)
    await expect(found.locator(".answer")).to_contain_text("Allow: GET, POST, HEAD, OPTIONS")


async def test_a_fragment_opens_its_entry(window: Window, demo: Bridge) -> None:
    page = await opened(window, demo, "#error-unknown_event")
    await expect(page.locator("#error-unknown_event")).to_have_attribute("open", "")
    await expect(page.locator("#error-unknown_event .inside")).to_be_in_viewport()
    await page.locator("#filter").fill("no such words anywhere")
    await page.evaluate("location.hash = '#topic-ack'")
    topic = page.locator("#topic-ack")
    await expect(topic).to_have_attribute("open", "")
    await expect(topic).to_contain_text('{"popid":"-OkQLm20l4XyVh9dZ0pT3k","outcome":"shown"}')
    await expect(topic).to_contain_text("mosquitto_pub")
    await topic.get_by_role("link", name="Told").click()
    await expect(page.locator("#schema-Told")).to_have_attribute("open", "")


async def test_the_filter_shows_what_has_the_words(window: Window, demo: Bridge) -> None:
    page = await opened(window, demo)
    await page.get_by_label("Filter").fill("idempotency mismatch")
    await expect(page.locator("#error-idempotency_mismatch")).to_be_visible()
    await expect(page.locator("#error-not_found")).to_be_hidden()
    await expect(page.locator("#topics")).to_be_hidden()
    await expect(page.locator("#found")).to_contain_text(" of ")
    await page.get_by_label("Filter").fill("<img src=x>")
    await expect(page.locator("#found")).to_contain_text("0 of ")
    await page.get_by_label("Filter").fill("")
    await expect(page.locator("#error-not_found")).to_be_visible()


async def test_a_wrong_credential_is_said_and_asked_for_again(window: Window, house: Bridge) -> None:
    page = await opened(window, house)
    found = await entry(page, "pops")
    await send(found)
    await expect(found.locator("fieldset legend")).to_have_text("Observer's token")
    await found.get_by_label("Token").fill("wrong")
    await send(found)
    assert await answered(found) == 401
    await found.get_by_label("Token").fill(house.token("observer"))
    await send(found)
    await expect(found.locator(".answer")).to_contain_text("HTTP 200")
    await page.reload()
    found = await entry(page, "pops")
    await send(found)
    assert await answered(found) == 200


async def test_the_lines_of_the_topics_work(window: Window, demo: Bridge) -> None:
    needed("mosquitto_sub")
    page = await opened(window, demo)
    observer = kept(demo)["observer"]
    for channel in (await document(demo, "asyncapi"))["channels"]:
        found = await entry(page, f"topic-{channel}")
        line = await found.get_by_label("Listen to it as an observer").inner_text()
        process = await asyncio.create_subprocess_exec(
            "sh",
            "-c",
            f"exec {line} -E",
            env={**os.environ, "POPBRIDGE_OBSERVER": observer},
            stderr=asyncio.subprocess.PIPE,
        )
        # With -E it ends as soon as its subscription is granted.
        _, said = await asyncio.wait_for(process.communicate(), WITHIN)
        assert (process.returncode, said) == (0, b""), line


async def test_it_is_accessible_fits_a_phone_and_the_keyboard_is_enough(window: Window, demo: Bridge) -> None:
    page = await opened(window, demo)
    for name in ("cti_post", "stt", "recall", "topic-ack", "error-uri_too_long", "schema-PopTold"):
        await entry(page, name)
    await accessible(page)
    await fits_a_phone(page)
    await page.emulate_media(color_scheme="dark")
    await accessible(page)
    await page.locator("#healthz > summary").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#healthz form")).to_be_visible()
    for _ in range(12):
        await page.keyboard.press("Tab")
        if await page.evaluate("document.activeElement.textContent") == "Send":
            break
    await page.keyboard.press("Enter")
    await expect(page.locator("#healthz .answer")).to_contain_text("alive")
