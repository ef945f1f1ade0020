"""What the pages' stories share: Debian's Chromium, a page that must not complain, and axe."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page

from tests.agent_client.web.tab import chrome
from tests.conftest import CONFIG, WITHIN, Bridge

PHONE = {"width": 360, "height": 740}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def chromium() -> AsyncIterator[Browser]:
    """One browser for the stories of a module, which say `pytestmark = pytest.mark.asyncio(loop_scope="module")`."""
    async with chrome() as browser:
        yield browser


class Window:
    """A browser window of its own: own storage, own pages. What a page complains of is collected."""

    def __init__(self, context: BrowserContext) -> None:
        self.context = context
        self.complaints: list[str] = []

    async def page(self) -> Page:
        """Open another tab."""
        page = await self.context.new_page()
        page.set_default_timeout(WITHIN * 1000)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.on("console", self._heard)
        return page

    def _heard(self, message: ConsoleMessage) -> None:
        # A refused request is logged by the browser itself; which ones are refused is each story's own matter.
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            self.complaints.append(message.text)


@pytest_asyncio.fixture(loop_scope="module")
async def window(chromium: Browser) -> AsyncIterator[Window]:
    """One window; at the end no page may have thrown, or broken the Content-Security-Policy."""
    context = await chromium.new_context()
    opened = Window(context)
    yield opened
    await context.close()
    assert opened.complaints == []


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """A bridge for the stories of one module."""
    running = Bridge(tmp_path_factory.mktemp("house") / "data", CONFIG).start()
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log(), running.log()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """A demo without the simulator."""
    command = ("demo", "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0", "--no-simulator")
    running = Bridge(tmp_path_factory.mktemp("demo") / "data", command=command).start()
    yield running
    assert running.stop() == 0


async def accessible(page: Page) -> None:
    """Hold the page, as it stands, against axe-core: no serious or critical finding."""
    found = (await Axe().run(page)).response["violations"]
    serious = [f"{one['id']}: {one['nodes'][0]['html']}" for one in found if one["impact"] in {"serious", "critical"}]
    assert serious == []


async def fits_a_phone(page: Page) -> None:
    """See that nothing needs scrolling to the side at 360 pixels."""
    await page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0


def links(demo: Bridge) -> list[str]:
    """Give the desktop links that the demo printed."""
    return [line for line in demo.printed if line.startswith("http")]


SHOTS = Path(os.environ["POPBRIDGE_SHOTS"]) if "POPBRIDGE_SHOTS" in os.environ else None


async def shot(page: Page, name: str) -> None:
    """Keep a screenshot for README, where POPBRIDGE_SHOTS names a directory."""
    if SHOTS is not None:
        await page.screenshot(path=SHOTS / f"{name}.png")
