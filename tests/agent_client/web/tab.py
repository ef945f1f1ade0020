"""Tab: a real browser's tab that holds desktops in JavaScript, connected to a real bridge."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from playwright.async_api import Browser, Page, async_playwright

from agent_client.messages import Current, Notice, Recall, Refused
from agent_client.records import Records
from bridge.words.pop import Pop
from tests.conftest import WITHIN, needed

_POP = msgspec.json.Decoder(Pop)

# One desktop under a name: what it was told collects beside it.
_OPEN = """async ([name, server, customer, agent, token, how]) => {
    const { Desktop } = await import("/client/desktop.js");
    const kept = { states: [], notices: [], warnings: [] };
    const refusal = how.refuses === undefined ? undefined : () => how.refuses;
    kept.desktop = new Desktop(server, customer, agent, token, {
        ...how,
        refusal,
        onState: (state, why) => kept.states.push([state, why]),
        onNotice: (notice) => kept.notices.push(notice),
    });
    (window.kept ??= {})[name] = kept;
    kept.desktop.open();
}"""

_TAKE = """async (name) => {
    try {
        return (await window.kept[name].desktop.take()).document;
    } catch (error) {
        return { error: error.name, why: error.message };
    }
}"""

_REACHED = """async ([name, state]) => {
    try {
        await window.kept[name].desktop.reached(state);
        return null;
    } catch (error) {
        return { error: error.name, why: error.message };
    }
}"""


@asynccontextmanager
async def chrome() -> AsyncIterator[Browser]:
    """Run a browser."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=needed("chromium"), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        await browser.close()


class WasRefusedError(Exception):
    """The desktop in the tab threw; the first argument is the error's name."""


class Tab:
    """One tab at the bridge's own origin, under the policy of its pages."""

    def __init__(self, page: Page, http: str) -> None:
        self.page = page
        self.http = http

    @classmethod
    async def open(cls, browser: Browser, http: str) -> "Tab":
        page = await browser.new_page()
        page.set_default_timeout(WITHIN * 1000)
        await page.goto(f"{http}/pages/style.css")
        return cls(page, http)

    async def desktop(self, agent: str, token: str, *, name: str = "desktop", **how: object) -> "TabDesktop":
        """Open a desktop of an agent of acme in this tab."""
        server = self.http.replace("http", "ws") + "/mqtt"
        await self.page.evaluate(_OPEN, [name, server, "acme", agent, token, how])
        return TabDesktop(self.page, name)


class TabDesktop:
    """A desktop in a tab."""

    def __init__(self, page: Page, name: str) -> None:
        self.page = page
        self._name = name

    async def taken(self) -> Pop:
        """Take the next pop. Raises WasRefusedError."""
        said = await self.page.evaluate(_TAKE, self._name)
        if isinstance(said, Mapping):
            raise WasRefusedError(said["error"], said["why"])
        return _POP.decode(said)

    async def reached(self, state: str) -> None:
        """Wait for a state. Raises WasRefusedError."""
        said = await self.page.evaluate(_REACHED, [self._name, state])
        if said is not None:
            raise WasRefusedError(said["error"], said["why"])

    async def is_told(self, expected: Notice) -> None:
        """Wait until the bridge told this."""
        found = """([name, spelled]) => window.kept[name].notices.some((each) => {
            const { kind, ...rest } = each;
            return JSON.stringify([kind, rest]) === spelled;
        })"""
        await self.page.wait_for_function(found, arg=[self._name, _spelled(expected)])

    async def forget(self) -> None:
        """Count from now on only what the bridge tells anew."""
        await self.page.evaluate("(name) => { window.kept[name].notices = []; }", self._name)

    async def records(self) -> Records:
        """Give the record that is open here, and the Activities."""
        return msgspec.convert(await self._get("desktop.records"), Records)

    async def states(self) -> list[str]:
        """Give the states so far."""
        return [state for state, _ in await self._get("states")]

    async def do(self, deed: str, *arguments: object) -> None:
        """Call a method: close, suspend, resume, wake, leave."""
        call = "async ([name, deed, given]) => { await window.kept[name].desktop[deed](...given); }"
        await self.page.evaluate(call, [self._name, deed, arguments])

    async def _get(self, path: str) -> Any:
        return await self.page.evaluate(f"(name) => window.kept[name].{path}", self._name)


def _spelled(notice: Notice) -> str:
    match notice:
        case Recall(popid):
            told: object = ["recall", {"popid": popid}]
        case Refused(reference, reason):
            told = ["refused", {"reference": reference, "reason": reason}]
        case Current(current, activities):
            told = ["current", {"reference": current, "activities": activities}]
    return msgspec.json.encode(told).decode()
