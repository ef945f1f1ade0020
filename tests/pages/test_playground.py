"""The playground: what it spells really works, what it sends is seen to its end, and it keeps secrets to itself."""

import asyncio
import base64
import json
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from agent_client import Desktop, State
from tests.broker.contract.client import Client
from tests.conftest import WITHIN, Bridge, mqtt, needed, raw
from tests.pages.conftest import Window, accessible, fits_a_phone, shot

pytestmark = pytest.mark.asyncio(loop_scope="module")
expect.set_options(timeout=WITHIN * 1000)

NASTY = 'it\'s "quoted" `id` $(id) $HOME \\ %41 + & ü € 漢 😀 [1-2] {a,b} #? ;|<>!*~'


def kept(demo: Bridge) -> Any:
    """Give the demo's credentials."""
    return json.loads((demo.data / "demo.json").read_text(encoding="utf-8"))


async def opened(window: Window, bridge: Bridge) -> Page:
    page = await window.page()
    await page.goto(f"{bridge.http}/playground")
    # The last thing that the page does at its start.
    await expect(page.locator("#whose, #sign-in form").first).not_to_be_empty()
    return page


async def fill(page: Page, agent: str, **data: str) -> None:
    await page.get_by_label("agentid").fill(agent)
    await with_data(page, **data)


async def with_data(page: Page, **data: str) -> None:
    while await page.locator(".row").count():
        await page.locator(".row button").first.click()
    for name, value in data.items():
        await page.get_by_role("button", name="Add a row").click()
        row = page.locator(".row").last
        await row.get_by_label("Name").fill(name.replace("_", " "))
        await row.get_by_label("Value").fill(value)


async def shell(line: str, **environment: str) -> Any:
    """Run a line as it was shown; give what it printed, as JSON."""
    process = await asyncio.create_subprocess_exec(
        needed("sh"), "-c", line, stdout=asyncio.subprocess.PIPE, env={**os.environ, **environment}
    )
    printed, _ = await asyncio.wait_for(process.communicate(), WITHIN)
    assert process.returncode == 0
    return json.loads(printed)


async def of_agent(observer: Client, agent: str) -> dict[str, Any]:
    """Give the next pop of an agent."""
    while True:
        document: dict[str, Any] = json.loads((await observer.message()).payload)
        if document["agentid"] == agent:
            return document


async def send(page: Page) -> None:
    await page.get_by_role("button", name="Send", exact=True).click()


async def test_the_curl_lines_and_the_url_run_as_they_are_shown(window: Window, demo: Bridge) -> None:
    needed("curl")
    page = await opened(window, demo)
    await fill(page, "o'neill/ü 7", nasty_name=NASTY, phone="+15551234567")
    key = kept(demo)["key"]
    url = await page.locator("#get-url").inner_text()
    lines = [await page.locator(f"#{name}").inner_text() for name in ("curl-post", "curl-get")]
    lines.append("curl -sS " + shlex.quote(url.replace("$POPBRIDGE_KEY", key)))
    async with mqtt(demo, "acme", kept(demo)["observer"], ("CTI/acme/#", 1)) as observer:
        for number, line in enumerate(lines):
            # Another event each: the same trigger again would be a duplicate.
            event = f"On Ring {number}"
            said = await shell(
                line.replace("On%20Ring", f"On%20Ring%20{number}").replace("On Ring", event), POPBRIDGE_KEY=key
            )
            assert said["status"] == "held", said
            document = await of_agent(observer, "o'neill/ü 7")
            assert document["popid"] == said["popid"]
            assert document["data"] == {"nasty name": NASTY, "phone": "+15551234567"}


async def test_json_keeps_its_spelling(window: Window, demo: Bridge) -> None:
    needed("curl")
    page = await opened(window, demo)
    await page.get_by_label("agentid").fill("speller")
    await page.get_by_label("JSON", exact=True).check()
    data = '{"amount": 10.50, "big": 12345678901234567890, "list": [1, {"a": "]}"}], "it\'s": null}'
    await page.get_by_label("A JSON object").fill(data)
    async with mqtt(demo, "acme", kept(demo)["observer"], ("CTI/acme/speller", 1)) as observer:
        await shell(await page.locator("#curl-post").inner_text(), POPBRIDGE_KEY=kept(demo)["key"])
        payload = (await observer.message()).payload.decode()
        assert '{"amount":10.50,"big":12345678901234567890,"list":[1,{"a":"]}"}],"it\'s":null}' in payload
    await page.get_by_label("A JSON object").fill('{"a": }')
    await expect(page.locator("#unsaid")).to_contain_text("not JSON")
    await expect(page.get_by_role("button", name="Send", exact=True)).to_be_disabled()
    await page.get_by_label("A JSON object").fill('{"jwt": "x"}')
    await expect(page.locator("#unsaid")).to_contain_text("reserved, or begins with pop_: jwt")


async def test_a_dry_run_publishes_nothing(window: Window, demo: Bridge) -> None:
    page = await opened(window, demo)
    await fill(page, "dry", what="dry")
    async with mqtt(demo, "acme", kept(demo)["observer"], ("CTI/acme/dry", 1)) as observer:
        await page.get_by_label("dry run").check()
        await send(page)
        await expect(page.locator("#answer pre")).to_contain_text('"dryrun": true')
        await page.get_by_label("dry run").uncheck()
        await page.locator(".row").get_by_label("Value").fill("wet")
        await send(page)
        await expect(page.locator("#answer pre")).to_contain_text("popid")
        assert json.loads((await observer.message()).payload)["data"] == {"what": "wet"}


@pytest.mark.parametrize("method", ["by POST", "by GET"])
async def test_the_steps_are_drawn_until_a_desktop_showed_it(window: Window, demo: Bridge, method: str) -> None:
    page = await opened(window, demo)
    await fill(page, "1001", caller="+15551234567", method=method)
    await page.get_by_label(method, exact=True).check()
    token = kept(demo)["desktops"]["1001"]
    await send(page)
    steps = page.locator(".steps li")
    await expect(steps.nth(1)).to_have_attribute("data-status", "held")
    async with Desktop(f"mqtt://127.0.0.1:{demo.mqtt_port}", "acme", "1001", token) as desktop:
        await asyncio.wait_for(desktop.reached(State.CONNECTED), WITHIN)
        async with asyncio.timeout(WITHIN):
            # Another story's pop may be held for the same agent.
            while bytes((await anext(desktop)).data.get("method", b"")) != json.dumps(method).encode():
                pass
        await expect(page.locator(".steps [data-status=shown]")).to_be_visible()
    told = await steps.evaluate_all("all => all.map(one => one.dataset.status)")
    assert told[:2] == ["accepted", "held"]
    assert told[-1] == "shown"
    assert re.search(r"\+[\d,]+ ms", await steps.last.inner_text())
    await expect(page.locator("#why")).to_contain_text("The agent's desktop opened it")
    await page.evaluate("scrollTo(0, 0)")
    await shot(page, "playground")


async def test_a_pop_that_nobody_took_says_why(window: Window, demo: Bridge) -> None:
    page = await opened(window, demo)
    await fill(page, "absent", a="b")
    await page.get_by_text("Controls:").click()
    await page.get_by_label("Time to live").fill("1")
    await send(page)
    await expect(page.locator("#why")).to_contain_text("No desktop subscribed to CTI/acme/absent in time")
    await expect(page.locator(".steps li").last).to_have_attribute("data-status", "expired")


async def test_a_wait_is_answered_and_an_idempotency_key_used(window: Window, demo: Bridge) -> None:
    page = await opened(window, demo)
    await fill(page, "waited for", a="b")
    await page.get_by_text("Controls:").click()
    await page.get_by_label("Wait, seconds").fill("0.1")
    await page.get_by_label("Wait until").select_option("delivered")
    await page.get_by_label("Idempotency key").fill("only once")
    await send(page)
    await expect(page.locator("#answer pre")).to_contain_text('"ms": ')
    first = await page.locator("#answer pre").inner_text()
    await send(page)
    await expect(page.locator("#story")).to_contain_text("held")
    await expect(page.locator("#answer pre")).to_have_text(first)


async def test_a_cloud_pop_is_spelled_sent_and_followed(window: Window, demo: Bridge) -> None:
    needed("curl")
    page = await opened(window, demo)
    await page.get_by_label("Cloud API").check()
    await page.get_by_label("Username", exact=True).fill("clouded")
    await page.get_by_label("Reference").fill("it's case 1")
    await with_data(page, Contact_Name=NASTY)
    token = await page.locator("#curl-token").inner_text()
    pop = await page.locator("#curl-pop").inner_text()
    async with mqtt(demo, "acme", kept(demo)["observer"], ("CTI/acme/clouded", 1)) as observer:
        said = await shell(f"{token}\n{pop}", POPBRIDGE_PASSWORD=kept(demo)["passwords"]["demo-cloud"])
        assert (said["Success"], said["Result"]["Status"]) == (True, "held")
        document = json.loads((await observer.message()).payload)
        assert (document["reference"], document["fields"]) == ("it's case 1", {"contact_name": NASTY})
        await send(page)
        await expect(page.locator(".steps li").last).to_have_attribute("data-status", "held")
        assert json.loads((await observer.message()).payload)["data"] == {"Contact Name": NASTY}
    assert kept(demo)["passwords"]["demo-cloud"] not in await page.content()


async def test_a_cloud_pop_is_refused_with_its_reason_and_a_wrong_password_said(window: Window, demo: Bridge) -> None:
    page = await opened(window, demo)
    await page.get_by_label("Cloud API").check()
    await page.get_by_label("Campaign").fill("Inbound support")
    await send(page)
    await expect(page.locator("#answer")).to_contain_text("unknown_campaign")
    await expect(page.locator("#why")).to_contain_text("the campaign is not configured")
    await page.get_by_label("Password").fill("certainly wrong")
    await send(page)
    await expect(page.locator("#answer")).to_contain_text("Check user name and password")


async def test_without_an_observers_token_a_cloud_pops_steps_are_explained(window: Window, house: Bridge) -> None:
    config = (house.data / "broker.yaml").read_text(encoding="utf-8")
    assert "cloud" not in config
    house.secret("users", "add", "--customer", "acme", "--username", "clouded", "--password-stdin", given="a good one")
    page = await opened(window, house)
    await page.get_by_label("Cloud API").check()
    await page.get_by_label("Cloud user").fill("clouded")
    await page.get_by_label("Password").fill("a good one")
    await send(page)
    await expect(page.locator("#answer")).to_contain_text("plugin_disabled")
    await expect(page.locator("#story")).to_contain_text("observer's token")


async def test_a_refusal_is_shown_with_what_to_do(window: Window, demo: Bridge) -> None:
    page = await opened(window, demo)
    await page.get_by_label("crmid").fill("acme.example.org")
    await send(page)
    answer = page.locator("#answer")
    await expect(answer).to_contain_text("The CRM instance is unknown")
    await expect(answer).to_contain_text("did you mean `acme.example.com`?")
    await expect(answer).to_contain_text("Use the host name of a CRM instance listed in broker.yaml.")
    await page.get_by_label("crmid").fill("")
    await page.get_by_label("event", exact=True).fill("on ring")
    await send(page)
    await expect(answer).to_contain_text("Warning unknown_event")
    await expect(answer).to_contain_text("differs in case")


async def test_hostile_data_is_text(window: Window, demo: Bridge) -> None:
    hostile = '<img src="/x" onerror="window.hurt=1"><script>window.hurt=1</script>'
    page = await opened(window, demo)
    await fill(page, hostile[:128], **{hostile: hostile})
    await page.get_by_label("event", exact=True).fill(hostile)
    await send(page)
    await expect(page.locator("#why")).to_contain_text("<img")
    await page.get_by_label("Platform", exact=True).select_option("Five9")
    await expect(page.locator("#recipe")).to_contain_text("img")
    assert await page.evaluate("window.hurt") is None
    assert await page.locator("main img, main script").count() == 0


async def test_the_key_is_nowhere_until_it_is_asked_for(window: Window, demo: Bridge) -> None:
    page = await opened(window, demo)
    key = kept(demo)["key"]
    await fill(page, "secretive", a="b")
    await page.get_by_label("by GET", exact=True).check()
    await send(page)
    await expect(page.locator("#why")).to_be_visible()
    for secret in (key, kept(demo)["observer"], *kept(demo)["passwords"].values()):
        assert secret not in await page.content()
    assert page.url == f"{demo.http}/playground"
    await page.get_by_label("show my key").check()
    await expect(page.locator("#get-url")).to_contain_text(f"jwt={key}")
    await expect(page.locator("#curl-post")).to_contain_text(f"X-API-Key: {key}")
    assert (await shell(await page.locator("#curl-post").inner_text()))["topic"] == "CTI/acme/secretive"
    await page.get_by_label("show my key").uncheck()
    await expect(page.locator("#get-url")).to_contain_text("$POPBRIDGE_KEY")
    assert key not in await page.content()


async def test_a_key_is_asked_for_kept_for_the_tab_and_asked_for_again_when_it_ended(
    window: Window, house: Bridge
) -> None:
    page = await opened(window, house)
    first, second = house.key(), house.key()
    await page.get_by_label("API key", exact=True).fill(first)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator("#whose")).to_contain_text("API key of acme: kept in this tab only")
    assert first not in await page.content()
    await send(page)
    await expect(page.locator("#why")).to_be_visible()
    await page.reload()
    await expect(page.locator("#whose")).to_contain_text("kept in this tab only")
    house.secret("keys", "revoke", identity(first))
    async with asyncio.timeout(WITHIN):
        while await refused_not_yet(page):
            await send(page)
            await expect(page.locator("#answer")).to_contain_text("HTTP")
    await expect(page.locator("#sign-in")).to_contain_text("The key was refused")
    await page.get_by_label("API key", exact=True).fill(second)
    await page.keyboard.press("Enter")
    await with_data(page, another="one")
    await send(page)
    await expect(page.locator("#why")).to_be_visible()
    other = await (await window.page()).context.new_page()
    await other.goto(f"{house.http}/playground")
    await expect(other.locator("#sign-in form")).to_be_visible()


async def refused_not_yet(page: Page) -> bool:
    return "HTTP 401" not in await page.locator("#answer").inner_text()


def identity(token: str) -> str:
    """Give the id of a token."""
    middle = token.split(".")[1]
    claims: dict[str, str] = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    return claims["jti"]


async def test_the_line_that_watches_the_topic_hears_the_pop(window: Window, demo: Bridge) -> None:
    page = await opened(window, demo)
    await fill(page, "site/12 $1", a="b")
    await page.get_by_label("ctiid").fill("ENV1")
    await page.get_by_label("dry run").check()
    await send(page)
    # Once the bridge has named the topic, the line has its spelling.
    await expect(page.locator("#watch")).to_contain_text("'CTI/acme/env1/site%2F12 $1'")
    line = await page.locator("#watch").inner_text()
    needed("mosquitto_sub")
    printing = asyncio.create_subprocess_exec(
        "sh",
        "-c",
        f"exec {line} -C 1 -W {WITHIN:.0f}",
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "POPBRIDGE_OBSERVER": kept(demo)["observer"]},
    )
    watching = await printing
    printed = asyncio.create_task(watching.communicate())
    await page.get_by_label("dry run").uncheck()
    # Whether it has subscribed yet cannot be seen from outside: another pop is sent until one is heard.
    number = 0
    while not printed.done():
        number += 1
        await page.locator(".row").get_by_label("Value").fill(str(number))
        await send(page)
        await expect(page.locator("#answer pre")).to_contain_text("popid")
        await asyncio.wait({printed}, timeout=0.2)
    assert "CTI/acme/env1/site%2F12 $1 {" in (await printed)[0].decode()


async def test_the_request_of_every_platform_is_taken(window: Window, demo: Bridge) -> None:
    page = await opened(window, demo)
    await fill(page, "DOMAIN\\ada", caller_name='Ada "Countess" ü', phone="+15551234567")
    names = await page.locator("#platform option").all_inner_texts()
    recipes = Path(__file__).parents[2] / "examples" / "connections" / "README.md"
    assert sorted(names) == sorted(re.findall("^## (.+)$", recipes.read_text(encoding="utf-8"), flags=re.MULTILINE))
    key = kept(demo)["key"]
    async with mqtt(demo, "acme", kept(demo)["observer"], ("CTI/acme/#", 1)) as observer:
        for name in names:
            await page.get_by_label("Platform", exact=True).select_option(name)
            await page.get_by_label("event", exact=True).fill(f"On {name}")
            text = await page.locator("#arriving").text_content()
            assert text is not None
            head, body = text.split("\n\n", 1)
            basic = base64.b64encode(f"popbridge:{key}".encode()).decode()
            head, body = (part.replace("BASE64(popbridge:KEY)", basic).replace("KEY", key) for part in (head, body))
            lines = [line for line in head.split("\n") if not line.startswith("Connection:")]
            if body:
                lines.append(f"Content-Length: {len(body.encode())}")
            lines.append("Connection: close")
            answer = await raw(demo.http_port, "\r\n".join([*lines, "", body]).encode())
            assert b" 200 OK\r\n" in answer, (name, answer)
            document = await of_agent(observer, "DOMAIN\\ada")
            assert document["event"] == f"On {name}"
            assert document["data"] == {"caller name": 'Ada "Countess" ü', "phone": "+15551234567"}


async def test_the_lambda_function_pops(window: Window, demo: Bridge) -> None:
    page = await opened(window, demo)
    await fill(page, "lambda's", what=NASTY)
    await page.get_by_label("Platform", exact=True).select_option("Amazon Connect")
    code = await page.locator("#code").text_content()
    contact = {"Details": {"ContactData": {"ContactId": "contact 1"}, "Parameters": {"agentid": "from the flow"}}}
    async with mqtt(demo, "acme", kept(demo)["observer"], ("CTI/acme/from the flow", 1)) as observer:
        run = f"{code}\nprint(json.dumps(lambda_handler({contact!r}, None)))"
        said = await shell(
            f"{shlex.quote(sys.executable)} -c {shlex.quote(run)}", POPBRIDGE_KEY=kept(demo)["key"], no_proxy="*"
        )
        assert (said["status"], said["receivers"]) == ("held", "0")
        assert json.loads((await observer.message()).payload)["data"] == {"what": NASTY, "ContactId": "contact 1"}


async def test_it_is_accessible_and_fits_a_phone(window: Window, demo: Bridge) -> None:
    page = await opened(window, demo)
    await fill(page, "accessible", a="b" * 300)
    await send(page)
    await expect(page.locator("#why")).to_be_visible()
    await accessible(page)
    await fits_a_phone(page)
    await page.get_by_label("Cloud API").check()
    await accessible(page)
    await fits_a_phone(page)
    await page.emulate_media(color_scheme="dark")
    await accessible(page)


async def test_the_keyboard_is_enough(window: Window, demo: Bridge) -> None:
    page = await opened(window, demo)
    reached: list[str] = []
    for _ in range(60):
        await page.keyboard.press("Tab")
        reached.append(await page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()"))
        if reached[-1] == "agent":
            await page.keyboard.press("Control+a")
            await page.keyboard.type("keyboard")
        elif reached[-1] == "send":
            await page.keyboard.press("Enter")
            break
    assert "To the content" in reached
    assert "add" in reached
    await expect(page.locator("#answer pre")).to_contain_text("CTI/acme/keyboard")
    await expect(page.locator("#announcements")).to_contain_text("held")
