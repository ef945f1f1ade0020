"""Live: what an observer sees of pops, floor, quarter hours, days and data quality; in a real browser."""

import asyncio
import csv
import datetime as dt
import io
import json
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from playwright.async_api import Locator, Page, expect

from bridge.cloudsync.events.ids import long
from tests.conftest import Agent, Bridge, desktop
from tests.pages import centre
from tests.pages.centre import BILLING, HOSTILE, Line, Presence, Source, user
from tests.pages.conftest import Window, accessible, fits_a_phone, shot

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]

PATIENCE = 60_000
expect.set_options(timeout=PATIENCE)

DAY = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=2)
"""A day that is over, whatever time it is."""
COVERED = (f"{DAY}T10:00:00Z", f"{DAY}T11:00:00Z")


@pytest.fixture(scope="module")
def hall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """A bridge with a contact centre."""
    running = Bridge(tmp_path_factory.mktemp("hall") / "data", centre.CONFIG).start()
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log(), running.log()


@pytest.fixture(scope="module")
def tokens(hall: Bridge) -> dict[str, str]:
    """A token of each kind that the stories need."""
    return {role: hall.token(role) for role in ("observer", "feed")}


@pytest.fixture(scope="module")
def source(hall: Bridge, tokens: dict[str, str]) -> Source:
    """Whoever tells what happens at acme."""
    return Source(hall, tokens)


async def opened(window: Window, address: str, token: str) -> Page:
    """Open the page, and sign in."""
    page = await window.page()
    await page.goto(f"{address}/live")
    await sign_in(page, token)
    await expect(page.locator("#parts")).to_be_visible()
    return page


async def sign_in(page: Page, token: str) -> None:
    await page.get_by_label("Observer's token").fill(token)
    await page.get_by_role("button", name="Sign in").click()


def rows(where: Locator) -> Locator:
    return where.locator("tbody tr:not(.space)")


def agents(page: Page) -> Locator:
    return page.get_by_role("region", name="Agents", exact=True)


async def cells(row: Locator) -> list[str]:
    return [text.strip() for text in await row.locator("th, td").all_inner_texts()]


async def press_csv(page: Page, where: Locator) -> tuple[str, str]:
    """Press a part's CSV button; give the file's name and what is in it."""
    async with page.expect_download() as coming:
        await where.click()
    download = await coming.value
    path = await download.path()
    return download.suggested_filename, await asyncio.to_thread(path.read_text, encoding="utf-8")


# Pops


async def test_the_funnel_counts_pops_as_they_go(window: Window, hall: Bridge, tokens: dict[str, str]) -> None:
    key = hall.key()
    agent = Agent("live-1", hall.token("desktop", agent="live-1"))

    async def trigger(agentid: str, number: int) -> str:
        asked = {"agentid": agentid, "event": "On Ring", "crmid": "acme.example.com", "n": str(number), "jwt": key}
        async with (
            aiohttp.ClientSession(hall.http) as http,
            http.get("/api/sendmessage/CTI", params=asked | {"pop_ttl": "3600"}) as response,
        ):
            assert response.status == 200
            popid: str = (await response.json())["popid"]
            return popid

    async with desktop(hall, agent) as client:
        popid = await trigger(agent.id, 1)
        await client.message()
        told = json.dumps({"popid": popid, "outcome": "shown"}).encode()
        await client.publish(f"ACK/acme/{agent.id}", told, qos=1)
    await trigger("nobody", 2)
    page = await opened(window, hall.http, tokens["observer"])
    funnel = page.locator("#funnel table.funnel")
    await expect(rows(funnel).filter(has_text="Accepted")).to_contain_text(re.compile(r"Accepted\s*2\s*100 %"))
    await expect(rows(funnel).filter(has_text="Shown")).to_contain_text(re.compile(r"Shown\s*1\s*50 %"))
    await expect(page.locator("#funnel")).to_contain_text("1 held: no desktop was there yet")
    await expect(page.locator("#funnel")).to_contain_text(re.compile(r"To shown \(1 pop\): half of them within"))
    # Asked again by itself.
    await trigger("nobody", 3)
    await expect(rows(funnel).filter(has_text="Accepted")).to_contain_text(re.compile(r"Accepted\s*3\s*100 %"))
    part = page.locator("#funnel .part").first
    await part.get_by_role("button", name="Table").click()
    table = part.locator("table")
    await expect(rows(table)).to_have_count(96)
    name, text = await press_csv(page, part.get_by_role("button", name="CSV"))
    assert name == "pops.csv"
    lines = list(csv.DictReader(io.StringIO(text)))
    assert sum(int(line["accepted"]) for line in lines) == 3
    assert sum(int(line["shown"]) for line in lines) == 1


# The floor


async def test_what_the_feed_tells_is_seen_as_it_happens(
    window: Window, hall: Bridge, tokens: dict[str, str], source: Source
) -> None:
    now = time.time()
    ann = user(1)
    await source.tell([centre.named(ann, "Ann", now), *Presence(ann).change("available", now - 60)])
    page = await opened(window, hall.http, tokens["observer"])
    await expect(page.locator("#feed")).to_have_text(re.compile("^The feed is up"))
    billing = rows(page.get_by_role("region", name="Queues")).filter(has_text="Billing")
    await expect(billing).to_be_visible()
    row = rows(agents(page)).filter(has_text="Ann")
    await expect(row).to_contain_text("available")

    await source.tell([centre.chat(1, now - 30)])
    await expect(page.locator("#figure-waiting")).to_have_text("1")
    # By the bridge's clock the chat has waited too long already, and its seconds tick here.
    await expect(page.locator("#figure-over-the-service-level")).to_have_text("1")
    waiting = rows(page.get_by_role("region", name="Sessions")).filter(has_text="waiting")
    await expect(waiting).to_contain_text("over the service level")
    before = (await cells(waiting))[5]
    await expect(waiting.locator("td").nth(4)).not_to_have_text(before)
    await expect(billing.locator("td").nth(1)).to_have_text(re.compile(r"^\d+:\d\d"))

    await source.tell([centre.chat_answered(1, time.time(), ann)])
    await expect(page.locator("#figure-waiting")).to_have_text("0")
    await expect(page.locator("#figure-in-progress")).to_have_text("1")
    await expect(row.locator("td").nth(3)).to_have_text("1")
    await accessible(page)
    await shot(page, "live")
    await source.tell([centre.chat_ended(1, time.time())])
    await expect(page.locator("#figure-in-progress")).to_have_text("0")
    await expect(page.get_by_role("region", name="Sessions")).to_contain_text("No session is open.")


async def test_ten_thousand_agents_are_counted_and_only_those_in_sight_are_in_the_page(
    window: Window, tmp_path: Path
) -> None:
    many = Bridge(tmp_path / "data", centre.CONFIG).start()
    try:
        source = Source(many, {role: many.token(role) for role in ("observer", "feed")})
        now = time.time() - 60
        crowd = [Presence(user(number)) for number in range(1, 10_001)]
        states = list(centre.STATES)
        await source.tell(
            told for number, one in enumerate(crowd) for told in one.change(states[number % len(states)], now)
        )
        page = await opened(window, many.http, many.token("observer"))
        await expect(page.locator("#figure-agents")).to_have_text("10,000")
        group = page.get_by_role("group", name="Agents by state")
        for shown in ("available", "busy", "away", "on a break", "in training"):
            await expect(group.get_by_role("button", name=f"{shown} 2,000", exact=True)).to_be_visible()
        region = agents(page)
        assert await rows(region).count() < 100
        assert int(await region.locator("table").get_attribute("aria-rowcount") or 0) == 10_001
        # What changes is counted, and seen where one looks.
        await source.tell(crowd[0].change("busy", now + 30, reason="a long call"))
        await expect(group.get_by_role("button", name="available 1,999", exact=True)).to_be_visible()
        await expect(group.get_by_role("button", name="busy 2,001", exact=True)).to_be_visible()
        await expect(rows(region).filter(has_text=user(1))).to_contain_text("a long call")
        # The end is as near as the beginning.
        await region.evaluate("one => one.scrollTop = one.scrollHeight")
        await expect(rows(region).last).to_contain_text(user(10_000))
        assert await rows(region).count() < 100
        await region.evaluate("one => one.scrollTop = 0")
        await group.get_by_role("button", name=re.compile("^in training")).click()
        await expect(page.locator("#agent-count")).to_have_text("2,000 of 10,000 agents")
        await page.get_by_label("Agent's name or id").first.fill(user(9_995))
        await expect(rows(region)).to_have_count(1)
        _, text = await press_csv(page, page.get_by_role("button", name="CSV of all agents"))
        assert len(list(csv.DictReader(io.StringIO(text)))) == 10_000
    finally:
        assert many.stop() == 0


async def test_names_are_text_whatever_is_in_them(
    window: Window, hall: Bridge, tokens: dict[str, str], source: Source
) -> None:
    now = time.time()
    eve = user(66)
    await source.tell(
        [
            centre.named(eve, f"Eve {HOSTILE}", now, centre.HOSTILE_GROUP),
            *Presence(eve).change("away", now, reason=f"=1+1 {HOSTILE}"),
            centre.chat(66, now, centre.HOSTILE_GROUP),
        ]
    )
    page = await opened(window, hall.http, tokens["observer"])
    row = rows(agents(page)).filter(has_text="Eve")
    await expect(row).to_contain_text(f"Eve {HOSTILE}")
    await expect(row).to_contain_text(f"=1+1 {HOSTILE}")
    await expect(page.get_by_role("region", name="Queues")).to_contain_text(HOSTILE)
    await expect(page.get_by_role("region", name="Sessions")).to_contain_text(HOSTILE)
    await expect(page.get_by_label("Group", exact=True).locator("option").filter(has_text=HOSTILE)).to_have_count(1)
    assert await page.locator("img").count() == 0
    assert await page.title() == "Live floor · popbridge"
    _, text = await press_csv(page, page.get_by_role("button", name="CSV of all agents"))
    told = {line["agent"]: line["reason"] for line in csv.DictReader(io.StringIO(text))}
    assert told[eve] == f"'=1+1 {HOSTILE}"  # no spreadsheet runs it
    await source.tell([centre.chat_ended(66, time.time())])


async def test_a_tab_that_nobody_sees_paints_nothing_and_is_current_once_it_is_seen(
    window: Window, hall: Bridge, tokens: dict[str, str], source: Source
) -> None:
    eva = Presence(user(5))
    await source.tell(eva.change("available", time.time() - 30))
    page, other = [await opened(window, hall.http, tokens["observer"]) for _ in range(2)]
    row, beside = (rows(agents(one)).filter(has_text=user(5)) for one in (page, other))
    await expect(row).to_contain_text("available")
    await page.evaluate(
        """() => {
            Object.defineProperty(document, "hidden", {get: () => window.away, configurable: true});
            window.away = true;
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    # What was under way is painted first.
    await source.tell(eva.change("busy", time.time() - 20))
    await expect(beside).to_contain_text("busy")
    await page.evaluate(
        """() => {
            window.painted = 0;
            new MutationObserver((all) => (window.painted += all.length)).observe(
                document.querySelector("#floor"),
                {subtree: true, childList: true, characterData: true, attributes: true}
            );
        }"""
    )
    await source.tell(eva.change("away", time.time() - 10))
    await expect(beside).to_contain_text("away")
    await source.tell(eva.change("training", time.time()))
    await expect(beside).to_contain_text("in training")
    assert await page.evaluate("window.painted") == 0
    await page.evaluate("() => { window.away = false; document.dispatchEvent(new Event('visibilitychange')); }")
    await expect(row).to_contain_text("in training")


# Quarter hours


@pytest.fixture(scope="module")
def filled(hall: Bridge) -> None:
    """One hour of a day is covered, with two tickets in it; further ones in hours of which nobody told."""
    at = dt.datetime.combine(DAY, dt.time(10, 5), dt.UTC).timestamp()
    events = [centre.ticket(1, at), centre.ticket(2, at + 60), centre.ticket(3, at + 2 * 3600)]
    events += [centre.ticket(number, at - 7 * 86_400) for number in range(11, 15)]
    lines = "".join(f"{json.dumps(one)}\n" for one in events)
    span = ("--from", COVERED[0], "--to", COVERED[1])
    done = hall.cli("cloudsync", "backfill", "--customer", "acme", *span, "-", given=lines)
    assert done.returncode == 0, done.stderr


async def day_shown(page: Page, source: Source) -> Locator:
    """Choose the day that is filled, once it is computed; give the table of its quarter hours."""

    async def computed() -> None:
        before, day = await of_the_api(source, "*", DAY - dt.timedelta(days=7)), await of_the_api(source, "*")
        assert [row["created"] for row in before + day if row["created"]] == [4, 2, 1]
        assert [row["backlog_close"] for row in before] == [0] * 40 + [4] * 56
        assert [row["backlog_close"] for row in day] == [4] * 40 + [6] * 8 + [7] * 48

    await until(computed)
    part = page.locator("#intervals")
    await part.get_by_label("Day", exact=True).fill(DAY.isoformat())
    await part.get_by_role("button", name="Table").click()
    table = part.locator("table")
    await expect(rows(table).filter(has_text="10:00")).to_contain_text("complete")
    return table


async def of_the_api(source: Source, group: str, day: dt.date = DAY) -> list[dict[str, Any]]:
    span = f"from={day}T00:00:00Z&to={day + dt.timedelta(days=1)}T00:00:00Z"
    found: list[dict[str, Any]] = json.loads(await source.read(f"/api/stt?{span}&group={group}"))["rows"]
    return found


async def test_the_table_has_what_the_api_has_and_no_data_is_no_zero(
    window: Window, hall: Bridge, tokens: dict[str, str], source: Source, filled: None
) -> None:
    page = await opened(window, hall.http, tokens["observer"])
    table = await day_shown(page, source)
    await expect(rows(table).filter(has_text="10:00")).to_contain_text(
        re.compile(r"10:00\s*2\s*0\s*6\s*4\s*no data\s*4\s*complete")
    )
    wanted = await of_the_api(source, "*")
    shown = await rows(table).evaluate_all("rows => rows.map((row) => [...row.cells].map((cell) => cell.textContent))")
    assert len(shown) == len(wanted) == 96
    heads = await table.locator("thead th").all_inner_texts()
    assert heads[:4] == ["From", "created", "closed", "open at the end"]
    for cell, row in zip(shown, wanted, strict=True):
        assert cell[0] == row["local_start"][11:16]
        for name, text in zip(("created", "closed", "backlog_close"), cell[1:4], strict=True):
            nobody_told = not row["complete"] and row["coverage_s"] == 0 and row[name] == 0
            assert text == ("no data" if nobody_told else str(row[name])), (cell, name)
        assert cell[-1] == ("complete" if row["complete"] else "no data")
    assert heads[4:] == [f"{name}, a week before" for name in heads[1:4]] + ["Data"]
    # Also in the picture: it says how many gaps there are, and what is where one points.
    part = page.locator("#intervals")
    await expect(part.locator(".legend")).to_contain_text("no data, or not all")
    picture = part.get_by_role("img")
    await expect(picture).to_have_attribute("aria-label", re.compile("92 quarter hours without data"))
    over = part.locator(".u-over")
    for place, told in ((41, "10:15: created 0, closed 0"), (30, "07:30: created no data")):

        async def pointed(place: int = place, told: str = told) -> None:
            # What stands above may still grow, and push the picture from under the pointer.
            await page.mouse.move(0, 0)
            area = await over.bounding_box()
            assert area is not None
            await over.hover(position={"x": area["width"] * (place + 0.5) / 96, "y": 40})
            await expect(part.locator(".readout")).to_contain_text(told, timeout=3_000)

        await until(pointed)


async def test_one_number_of_one_group_can_be_chosen(
    window: Window, hall: Bridge, tokens: dict[str, str], source: Source, filled: None
) -> None:
    page = await opened(window, hall.http, tokens["observer"])
    table = await day_shown(page, source)
    part = page.locator("#intervals")
    await part.get_by_label("Group", exact=True).select_option(label="Billing")
    await part.get_by_label("Numbers").select_option("escalated")
    await part.get_by_label("a week before").uncheck()
    await expect(table.locator("thead th")).to_have_text(["From", "escalated", "Data"])
    await expect(part.get_by_role("img")).to_have_attribute("aria-label", re.compile("Billing"))
    await part.get_by_label("Numbers").select_option("contacts")
    await expect(table.locator("thead th")).to_have_text(["From", "offered", "answered", "abandoned", "Data"])
    name, text = await press_csv(page, part.get_by_role("button", name="CSV"))
    assert name == "stt.csv"
    span = f"from={DAY}T00:00:00Z&to={DAY + dt.timedelta(days=1)}T00:00:00Z"
    wanted = await source.read(f"/api/stt?{span}&group={BILLING}", "text/csv")
    assert list(csv.reader(io.StringIO(text))) == list(csv.reader(io.StringIO(wanted)))


# Days and quality


async def test_a_day_of_the_agents_is_sorted_and_saved(
    window: Window, hall: Bridge, tokens: dict[str, str], source: Source
) -> None:
    at = dt.datetime.combine(DAY, dt.time(12), dt.UTC).timestamp()
    for number, (name, minutes) in enumerate((("Zoe", 90), ("Abe", 30)), 70):
        agent = user(number)
        record = f"0N7{number:012}AAA"
        lasted: dict[str, Any] = {
            "UserId": agent,
            "PresenceStatusId": centre.STATES["available"],
            "StatusStartDate": centre.spelled(at),
            "StatusEndDate": centre.spelled(at + minutes * 60),
            "IsCurrentState": False,
        }
        await source.tell([centre.named(agent, name, at), centre.event("UserPresence", "CREATE", at, record, **lasted)])
    page = await opened(window, hall.http, tokens["observer"])
    part = page.locator("#days")
    region = part.get_by_role("region", name="Agents' day")

    async def whole() -> None:
        # The numbers follow their events a little later: it is asked again by choosing again.
        await part.get_by_label("Day", exact=True).fill((DAY - dt.timedelta(days=1)).isoformat())
        await part.get_by_label("Day", exact=True).fill(DAY.isoformat())
        await expect(rows(region).filter(has_text="Abe")).to_contain_text("30:00", timeout=5_000)
        await expect(rows(region).filter(has_text="Zoe")).to_contain_text("1:30:00", timeout=5_000)

    await until(whole)
    logged_in = region.get_by_role("button", name="Logged in")
    await logged_in.click()
    await expect(rows(region).first).to_contain_text("Zoe")
    await expect(region.locator("th[aria-sort=descending]")).to_have_text("Logged in")
    await logged_in.click()
    await expect(rows(region).first).to_contain_text("Abe")
    await part.get_by_label("Agent's name or id").fill("zo")
    await expect(rows(region)).to_have_count(1)
    name, text = await press_csv(page, part.get_by_role("button", name="CSV"))
    assert name == f"cim-{DAY}.csv"
    told = {line["agent_name"]: line["login_s"] for line in csv.DictReader(io.StringIO(text))}
    assert told == {"Zoe": "5400", "Abe": "1800"}


async def until(holds: Callable[[], Awaitable[None]]) -> None:
    """Try until it holds."""
    end = time.monotonic() + PATIENCE / 1000
    while True:
        try:
            await holds()
        except AssertionError:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.1)
        else:
            return


async def test_what_is_in_doubt_is_told_with_what_to_do(
    window: Window, hall: Bridge, tokens: dict[str, str], source: Source
) -> None:
    at = time.time()
    stranger = "005000000000999"
    await source.tell([*Presence(long(stranger)).change("away", at)])
    unknown = centre.ticket(99, at)
    unknown["data"]["payload"]["Status"] = "Strange"
    await source.tell([unknown])
    page = await opened(window, hall.http, tokens["observer"])
    part = page.locator("#quality")

    async def told() -> None:
        await page.reload()
        await expect(rows(part).filter(has_text="Ids without a name")).to_contain_text("cloudsync sync", timeout=5_000)
        await expect(rows(part).filter(has_text="whose status is not known")).to_contain_text("map", timeout=5_000)

    await until(told)
    await part.get_by_text(re.compile(r"^Ids without a name \(")).click()
    await expect(part.locator("details[open]")).to_contain_text(stranger)
    await expect(part).to_contain_text("The feed is up")


# Who may look, and for how long


async def test_a_wrong_token_is_said_and_asked_again(window: Window, hall: Bridge, tokens: dict[str, str]) -> None:
    page = await window.page()
    await page.goto(f"{hall.http}/live")
    await sign_in(page, "nonsense")
    await expect(page.get_by_role("alert")).to_contain_text(re.compile("token|credential|key", re.IGNORECASE))
    await expect(page.locator("#parts")).to_be_hidden()
    await sign_in(page, hall.key())  # it opens another door
    await expect(page.get_by_role("alert")).to_contain_text("observer")
    await sign_in(page, tokens["observer"])
    await expect(page.locator("#feed")).to_contain_text("The feed is")
    await expect(page.locator("#who")).to_have_text("acme, observer")


async def test_a_token_that_ends_ends_the_look(window: Window, hall: Bridge, tokens: dict[str, str]) -> None:
    issued = hall.cli("tokens", "issue", "--customer", "acme", "--role", "observer")
    id_ = re.search(r"observer-[0-9a-z]+|tok[a-z]*-[0-9a-z]+", issued.stderr)
    assert id_ is not None, issued.stderr
    page = await opened(window, hall.http, issued.stdout.strip())
    await expect(page.locator("#feed")).to_contain_text("The feed is")
    assert hall.cli("tokens", "revoke", id_[0]).returncode == 0
    await expect(page.get_by_label("Observer's token")).to_be_visible()
    await expect(page.get_by_role("alert")).to_contain_text(re.compile("revoked|ended|no longer"))
    await expect(page.locator("#parts")).to_be_hidden()
    await page.reload()
    await expect(page.get_by_label("Observer's token")).to_be_visible()  # it was forgotten
    await sign_in(page, tokens["observer"])
    await expect(page.locator("#feed")).to_contain_text("The feed is")


async def test_a_customer_without_feeds_is_told_what_switches_them_on(window: Window, hall: Bridge) -> None:
    page = await opened(window, hall.http, hall.token("observer", "bare"))
    for part, feeds in (("floor", "lsm"), ("intervals", "stt"), ("days", "cim"), ("quality", "lsm, stt, cim")):
        await expect(page.locator(f"#{part} pre")).to_have_text(
            re.compile(rf"customers:\s+bare:\s+cloudsync:\s+feeds: \[{feeds}\]")
        )
    await expect(rows(page.locator("#funnel table.funnel")).first).to_contain_text("Accepted")
    assert await page.get_by_role("alert").count() == 0
    await accessible(page)
    await fits_a_phone(page)


async def test_each_feed_stands_alone(window: Window, hall: Bridge) -> None:
    page = await opened(window, hall.http, hall.token("observer", "floorless"))
    await expect(page.locator("#floor pre")).to_contain_text("feeds: [lsm]")
    await expect(page.locator("#days pre")).to_contain_text("feeds: [cim]")
    await expect(page.locator("#intervals .picture canvas")).to_be_visible()
    assert await page.locator("#intervals pre").count() == 0
    await expect(page.locator("#quality table")).to_be_visible()


# Breaks


async def test_a_stream_that_breaks_goes_on_where_it_was(
    window: Window, hall: Bridge, tokens: dict[str, str], source: Source
) -> None:
    line = Line(hall)
    async with line.running() as address:
        bob = Presence(user(2))
        await source.tell(bob.change("available", time.time() - 10))
        page = await opened(window, address, tokens["observer"])
        row = rows(agents(page)).filter(has_text=user(2))
        await expect(row).to_contain_text("available")
        line.cut()
        await expect(page.locator("#feed")).to_have_text(re.compile("^The connection to the bridge is lost"))
        await expect(row).to_contain_text("available")  # as it was then
        await source.tell(bob.change("break", time.time()))
        line.mend()
        await expect(row).to_contain_text("on a break")
        await expect(page.locator("#feed")).to_have_text(re.compile("^The feed is"))
        streams = [head for head in line.heads if head.startswith("GET /api/lsm/stream")]
        assert re.search(r"\r\nLast-Event-ID: \d+\r\n", streams[-1], re.IGNORECASE)
        await page.close()


async def test_a_bridge_that_starts_anew_is_found_again(window: Window, tmp_path: Path) -> None:
    bridge = Bridge(tmp_path / "data", centre.CONFIG).start()
    line = Line(bridge)
    try:
        source = Source(bridge, {role: bridge.token(role) for role in ("observer", "feed")})
        await source.tell(Presence(user(3)).change("training", time.time() - 10))
        async with line.running() as address:
            page = await opened(window, address, bridge.token("observer"))
            row = rows(agents(page)).filter(has_text=user(3))
            await expect(row).to_contain_text("in training")
            line.cut()
            assert bridge.stop() == 0
            await expect(page.locator("#feed")).to_contain_text("lost")
            bridge.start()
            line.mend()
            await expect(page.locator("#feed")).to_have_text(re.compile("^The feed is"))
            await expect(row).to_contain_text("in training")
            await source.tell(Presence(user(4)).change("busy", time.time() - 5))
            await expect(rows(agents(page)).filter(has_text=user(4))).to_contain_text("busy")
            await page.close()
    finally:
        assert bridge.stop() == 0


async def test_whoever_goes_away_while_an_answer_begins_is_no_fault_of_the_bridge(
    hall: Bridge, tokens: dict[str, str], source: Source
) -> None:
    days = f"/api/stt?from={DAY - dt.timedelta(days=20)}T00:00:00Z&to={DAY}T00:00:00Z"
    for path in (days, "/api/lsm/stream"):
        for number in range(20):
            _, writer = await asyncio.open_connection("127.0.0.1", hall.http_port)
            head = f"GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {tokens['observer']}\r\n\r\n"
            writer.write(head.encode())
            await writer.drain()
            await asyncio.sleep(number / 2_000)  # at another moment each time
            writer.transport.abort()
    await source.read(days)  # behind all of them
    assert "a handler failed" not in hall.log()


# For everybody


async def test_the_demo_asks_for_nothing(window: Window, demo: Bridge) -> None:
    page = await window.page()
    await page.goto(f"{demo.http}/live")
    await expect(page.locator("#who")).to_have_text("acme, observer")
    await expect(page.locator("#feed")).to_contain_text("The feed is down")  # there is no simulator beside it
    await expect(page.locator("#intervals .picture canvas")).to_be_visible()


async def test_it_fits_a_phone_and_anybody_can_use_it(
    window: Window, hall: Bridge, tokens: dict[str, str], source: Source, filled: None
) -> None:
    page = await opened(window, hall.http, tokens["observer"])
    await page.emulate_media(color_scheme="dark")
    await expect(page.locator("#feed")).to_contain_text("The feed is")
    await day_shown(page, source)
    for button in await page.locator("#funnel").get_by_role("button", name="Table").all():
        await button.click()
    await expect(page.locator("#quality table")).to_be_visible()
    await accessible(page)
    await page.emulate_media(color_scheme="light")
    await fits_a_phone(page)
    await accessible(page)


async def test_it_is_used_by_keyboard_alone(
    window: Window, hall: Bridge, tokens: dict[str, str], source: Source, filled: None
) -> None:
    began = time.time() - 20
    await source.tell([*Presence(user(8)).change("away", began), *Presence(user(9)).change("busy", began)])
    page = await window.page()
    await page.goto(f"{hall.http}/live")
    await expect(page.get_by_label("Observer's token")).to_be_visible()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="To the content")).to_be_focused()

    async def tab_to(wanted: Locator) -> None:
        for _ in range(200):
            if await wanted.evaluate("one => one === document.activeElement"):
                return
            await page.keyboard.press("Tab")
        raise AssertionError(f"the Tab key never comes to {wanted}")

    await tab_to(page.get_by_label("Observer's token"))
    await page.keyboard.type(tokens["observer"])
    await page.keyboard.press("Enter")
    await expect(page.locator("#feed")).to_contain_text("The feed is")
    for number in (8, 9):
        await expect(rows(agents(page)).filter(has_text=user(number))).to_be_visible()
    away = page.get_by_role("group", name="Agents by state").get_by_role("button", name=re.compile("^away"))
    await tab_to(away)
    await page.keyboard.press("Enter")
    await expect(away).to_have_attribute("aria-pressed", "true")
    await expect(page.locator("#agent-count")).to_contain_text(" of ")
    await tab_to(agents(page).get_by_role("button", name="State"))
    await page.keyboard.press("Enter")
    await expect(agents(page).locator("th[aria-sort=ascending]")).to_have_text("State")
    toggle = page.locator("#intervals").get_by_role("button", name="Table")
    await tab_to(toggle)
    await page.keyboard.press("Enter")
    await expect(toggle).to_have_attribute("aria-expanded", "true")
    await expect(page.locator("#intervals table")).to_be_visible()
