"""Benchmark: the live floor in a browser, while 10,000 agents change their presence 500 times a second.

    python -m tests.benchmarks.floor [--agents 10000] [--rate 500] [--seconds 30] [--slower 1] [--image FILE]

A real bridge, a feed that posts each change as the platform tells it (two events: one record ends, another begins), and
Chromium with `/live` open, in which somebody scrolls, sorts and searches meanwhile. The browser tells of each task of
the main thread over 50 ms by the clock, what else the machine does included; the longest by its CPU time is read from a
trace. In the end the page must show what the changes add up to. `--slower` lets Chromium run so many times slower than
it could.
"""

import argparse
import asyncio
import io
import json
import os
import platform
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
from playwright.async_api import Browser, CDPSession, Page, async_playwright

from tests.conftest import Bridge, needed
from tests.pages import centre
from tests.pages.centre import STATES, Presence, user

EVERY = 0.2  # seconds between two posts
PATIENCE = 120.0
SHOWN = {"break": "on a break", "training": "in training"}

WATCH = """
    window.watched = {tasks: [], frames: 0, gap: 0, last: performance.now()};
    new PerformanceObserver((list) => {
        for (const task of list.getEntries()) watched.tasks.push(task.duration);
    }).observe({type: "longtask", buffered: true});
    const frame = (now) => {
        watched.frames += 1;
        watched.gap = Math.max(watched.gap, now - watched.last);
        watched.last = now;
        requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
"""
RESET = "Object.assign(watched, {tasks: [], frames: 0, gap: 0, last: performance.now()})"


class Crowd:
    """All agents, and what each is doing now."""

    def __init__(self, count: int) -> None:
        self._chance = random.Random(1)  # noqa: S311 - the same crowd each time
        self._agents = [Presence(user(number)) for number in range(1, count + 1)]
        self._states = [""] * count

    def begin(self, at: float) -> list[list[dict[str, Any]]]:
        """Let everybody come; give the events, some at a time."""
        told = [event for place in range(len(self._agents)) for event in self._change(place, at)]
        return [told[start : start + 1_000] for start in range(0, len(told), 1_000)]

    def changes(self, count: int, at: float) -> list[dict[str, Any]]:
        """Let so many change, each to something else."""
        places = self._chance.sample(range(len(self._agents)), min(count, len(self._agents)))
        return [event for place in places for event in self._change(place, at)]

    def counts(self) -> Counter[str]:
        """Count them by state."""
        return Counter(self._states)

    def _change(self, place: int, at: float) -> list[dict[str, Any]]:
        others = [state for state in STATES if state != self._states[place]]
        self._states[place] = self._chance.choice(others)
        return self._agents[place].change(self._states[place], at)


class Feed:
    """Posts events."""

    def __init__(self, http: aiohttp.ClientSession, token: str) -> None:
        self._http = http
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.slowest = 0.0

    async def post(self, events: list[dict[str, Any]]) -> None:
        """Post some, and see that they were taken."""
        begun = time.perf_counter()
        content = io.BytesIO(json.dumps(events).encode())
        async with self._http.post("/api/cloudsync/events", data=content, headers=self._headers) as response:
            assert response.status == 200, await response.text()
        self.slowest = max(self.slowest, time.perf_counter() - begun)

    async def change(self, crowd: Crowd, rate: int, seconds: float) -> int:
        """Post so many changes a second; give how many it was."""
        begun = time.perf_counter()
        done = 0
        while (passed := time.perf_counter() - begun) < seconds:
            due = int((passed + EVERY) * rate) - done
            if due > 0:
                await self.post(crowd.changes(due, time.time()))
                done += due
            await asyncio.sleep(max(0.0, EVERY - (time.perf_counter() - begun - passed)))
        return done


async def shown(page: Page) -> dict[str, int]:
    """Read the agents by state off the page."""
    texts = await page.locator(".states button").evaluate_all(
        "all => all.map((one) => [one.dataset.state, one.lastChild.textContent])"
    )
    return {state: int(text.replace(",", "")) for state, text in texts}


async def until_shown(page: Page, wanted: Counter[str]) -> float:
    """Wait until the page shows these counts; give how many seconds that took."""
    begun = time.perf_counter()
    while time.perf_counter() - begun < PATIENCE:
        counts = await shown(page)
        if {state: count for state, count in counts.items() if count} == dict(wanted):
            return time.perf_counter() - begun
        await asyncio.sleep(0.1)
    raise AssertionError(f"the page shows {await shown(page)}, where it is {dict(wanted)}")


async def busy(session: CDPSession) -> float:
    """Ask how many seconds the page's main thread has worked."""
    told = await session.send("Performance.getMetrics")
    return float(next(one["value"] for one in told["metrics"] if one["name"] == "TaskDuration"))


async def use(page: Page, seconds: float) -> None:
    """Scroll, sort and search, as somebody who looks for something."""
    region = page.get_by_role("region", name="Agents", exact=True)
    search = page.locator("#agent-search")
    heads = region.locator("thead button")
    begun = time.perf_counter()
    turn = 0
    while time.perf_counter() - begun < seconds:
        turn += 1
        await region.evaluate("(one, part) => one.scrollTop = one.scrollHeight * part", turn % 10 / 10)
        if turn % 5 == 0:
            await heads.nth(turn // 5 % 6).click()
        if turn % 7 == 0:
            await search.fill("" if turn % 14 == 0 else str(turn % 100))
        await asyncio.sleep(0.25)
    await search.fill("")


class Watch:
    """Watches the page's main thread for a while."""

    def __init__(self, page: Page, browser: Browser, session: CDPSession) -> None:
        self._page = page
        self._browser = browser
        self._session = session

    async def begin(self) -> None:
        """Begin anew."""
        await self._browser.start_tracing(page=self._page, categories=["toplevel"])
        await self._page.evaluate(RESET)
        self._worked = await busy(self._session)
        self._begun = time.perf_counter()

    async def end(self, what: str) -> float:
        """End; print what there was, and give the seconds."""
        seconds = time.perf_counter() - self._begun
        worked = await busy(self._session) - self._worked
        told = await self._page.evaluate("watched")
        longest = longest_by_cpu(await self._browser.stop_tracing())
        tasks = told["tasks"]
        print(
            f"{what:20} longest task: {f'{max(tasks):.0f} ms' if tasks else 'under 50 ms'} by the clock "
            f"({len(tasks)} over 50 ms), {longest:.0f} ms of CPU; frames/s {told['frames'] / seconds:.1f}, longest gap "
            f"{told['gap']:.0f} ms; main thread busy {100 * worked / seconds:.1f} %"
        )
        return seconds


def longest_by_cpu(trace: bytes) -> float:
    """Find how many ms of CPU the longest task of a page's main thread took."""
    events = json.loads(trace)["traceEvents"]
    mains = {
        (one["pid"], one["tid"])
        for one in events
        if one.get("name") == "thread_name" and one["args"]["name"] == "CrRendererMain"
    }
    return max(float(one.get("tdur", 0)) / 1000 for one in events if (one["pid"], one["tid"]) in mains)


async def measure(asked: argparse.Namespace, bridge: Bridge, browser: Browser) -> None:
    """Measure, and print."""
    crowd = Crowd(asked.agents)
    async with aiohttp.ClientSession(bridge.http) as http:
        feed = Feed(http, bridge.token("feed"))
        for some in crowd.begin(time.time() - 60):
            await feed.post(some)
        page = await browser.new_page(viewport={"width": 1280, "height": 1000})
        complaints: list[str] = []
        page.on("pageerror", lambda error: complaints.append(str(error)))
        session = await page.context.new_cdp_session(page)
        await session.send("Performance.enable")
        await session.send("Emulation.setCPUThrottlingRate", {"rate": asked.slower})
        await page.add_init_script(WATCH)
        await page.goto(f"{bridge.http}/live")
        await page.locator("#observer-token").fill(bridge.token("observer"))
        watch = Watch(page, browser, session)
        await watch.begin()
        await page.get_by_role("button", name="Sign in").click()
        await until_shown(page, crowd.counts())
        await watch.end("opened, all counted")

        for what, hands in (("changing", False), ("changing, and used", True)):
            await watch.begin()
            async with asyncio.TaskGroup() as group:
                changing = group.create_task(feed.change(crowd, asked.rate, asked.seconds))
                if hands:
                    group.create_task(use(page, asked.seconds))
            passed = await watch.end(what)
            late = await until_shown(page, crowd.counts())
            rows = await page.locator("tbody tr").count()
            print(
                f"{'':20} {changing.result() / passed:.0f} changes/s posted, on the page {late:.1f} s after the last; "
                f"{rows} rows in the page's tables; slowest post {feed.slowest * 1000:.0f} ms"
            )
            if asked.image:
                await page.screenshot(path=asked.image)
        assert complaints == [], complaints


async def run(asked: argparse.Namespace) -> None:
    """Start everything, and end it."""
    with tempfile.TemporaryDirectory() as folder:
        bridge = Bridge(Path(folder) / "data", centre.CONFIG).start()
        try:
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(
                    executable_path=needed("chromium"), args=["--no-sandbox", "--disable-dev-shm-usage"]
                )
                print(
                    f"{asked.agents} agents, {asked.rate} changes/s, {asked.seconds:g} s each, Chromium "
                    f"{browser.version}, {asked.slower:g} times slower; {os.cpu_count()} cores, load "
                    f"{os.getloadavg()[0]:.1f}, {platform.platform()}"
                )
                await measure(asked, bridge, browser)
                await browser.close()
        finally:
            bridge.stop()


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--rate", type=int, default=500, help="changes a second")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--slower", type=float, default=1.0, help="how many times")
    parser.add_argument("--image", help="keep a picture of the page here")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
