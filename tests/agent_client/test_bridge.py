"""Stories of the desktop at the real bridge: from an HTTP request to the screen, and back to the caller."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from agent_client import Desktop, NotAuthorised, State
from bridge.words.pop import Pop
from tests.conftest import CONFIG, WITHIN, Bridge


class Site:
    """A bridge, a caller with a key, and desktops with tokens."""

    def __init__(self, bridge: Bridge, session: aiohttp.ClientSession, key: str) -> None:
        self.bridge = bridge
        self.session = session
        self.key = key

    def desktop(self, agent: str, scheme: str = "mqtt", **options: Any) -> Desktop:
        token = self.bridge.token("desktop", agent=agent)
        port = self.bridge.mqtt_port if scheme == "mqtt" else self.bridge.http_port
        return Desktop(f"{scheme}://127.0.0.1:{port}", "acme", agent, token, **options)

    async def trigger(self, agent: str, **more: Any) -> dict[str, Any]:
        asked = {"agentid": agent, "event": "On Ring", "jwt": self.key, **more}
        async with self.session.post(f"{self.bridge.http}/api/sendmessage/CTI", json=asked) as response:
            answer: dict[str, Any] = await response.json()
            assert response.status == 200, answer
            return answer


@pytest.fixture
async def site(bridge: Bridge, keys: dict[str, str]) -> AsyncIterator[Site]:
    async with aiohttp.ClientSession() as session:
        yield Site(bridge, session, keys["acme"])


async def taken(desktop: Desktop) -> Pop:
    return await asyncio.wait_for(anext(desktop), WITHIN)


@pytest.mark.parametrize("scheme", ["mqtt", "ws"])
async def test_the_caller_learns_that_the_desktop_shows_the_pop(site: Site, scheme: str) -> None:
    async with site.desktop(f"shown-{scheme}", scheme) as desktop:
        await desktop.reached(State.CONNECTED)
        asking = asyncio.create_task(site.trigger(f"shown-{scheme}", pop_wait=8, long="x" * 100_000))
        shown = await taken(desktop)
        answer = await asking
    assert (answer["status"], answer["popid"]) == ("shown", shown.popid)


async def test_an_id_with_reserved_characters_finds_its_desktop(site: Site) -> None:
    agent = "$site/12+#%Zoë"
    async with site.desktop(agent) as desktop:
        await desktop.reached(State.CONNECTED)
        answer = await site.trigger(agent, ctiid="env1")
        assert (await taken(desktop)).popid == answer["popid"]


async def test_what_was_held_arrives_before_it_is_caught_up(site: Site) -> None:
    held = [(await site.trigger("held", number=number))["popid"] for number in range(5)]
    async with site.desktop("held") as desktop:
        await desktop.reached(State.CAUGHT_UP)
        assert [(await taken(desktop)).popid for _ in held] == held


async def test_pops_that_one_desktop_did_not_take_go_to_the_next(site: Site) -> None:
    first, second = await site.trigger("heir", number=1), await site.trigger("heir", number=2)
    async with site.desktop("heir") as desktop:
        await desktop.reached(State.CAUGHT_UP)
        assert (await taken(desktop)).popid == first["popid"]
    async with site.desktop("heir") as desktop:
        assert (await taken(desktop)).popid == second["popid"]


async def refused(site: Site) -> dict[str, Any]:
    async with site.desktop("refusing", refusal=lambda _pop: "on_break") as desktop:
        await desktop.reached(State.CONNECTED)
        taking = asyncio.create_task(desktop.take())
        answer = await site.trigger("refusing", pop_wait=8, duplicate=secrets.token_hex())
        taking.cancel()
        await asyncio.wait([taking])
    return answer


async def test_the_caller_learns_that_the_desktop_refused(site: Site) -> None:
    assert (await refused(site))["status"] == "refused"


async def test_the_caller_learns_why_the_desktop_refused(site: Site) -> None:
    assert (await refused(site))["reason"] == "on_break"


async def test_a_token_of_another_agent_or_of_nobody_is_an_error(site: Site) -> None:
    server = f"mqtt://127.0.0.1:{site.bridge.mqtt_port}"
    for token in (site.bridge.token("desktop", agent="somebody else"), site.key, "nonsense"):
        async with Desktop(server, "acme", "1001", token) as desktop:
            with pytest.raises(NotAuthorised):
                await asyncio.wait_for(desktop.take(), WITHIN)


async def test_a_revoked_token_ends_the_desktop(site: Site) -> None:
    issued = site.bridge.cli("tokens", "issue", "--customer", "acme", "--role", "desktop", "--agent", "leaver")
    found = re.search(r"desktop-[0-9a-f]+", issued.stderr)
    assert found
    server = f"mqtt://127.0.0.1:{site.bridge.mqtt_port}"
    async with Desktop(server, "acme", "leaver", issued.stdout.strip()) as desktop:
        await asyncio.wait_for(desktop.reached(State.CONNECTED), WITHIN)
        assert site.bridge.cli("tokens", "revoke", found[0]).returncode == 0
        with pytest.raises(NotAuthorised):
            await asyncio.wait_for(desktop.take(), WITHIN)


async def test_it_survives_the_sudden_death_of_the_bridge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Where the bridge takes long to start, the desktop would have come to long waits.
    monkeypatch.setattr("agent_client.desktop.LONGEST_WAIT", 1.0)
    bridge = Bridge(tmp_path / "data").start()
    try:
        async with aiohttp.ClientSession() as session:
            site = Site(bridge, session, bridge.key())
            async with site.desktop("1001") as desktop:
                await desktop.reached(State.CAUGHT_UP)
                before = await site.trigger("1001", number=1, pop_ttl=300)
                bridge.kill()
                await desktop.reached(State.LOST)
                mqtt = f"mqtt: {{bind: 127.0.0.1:{bridge.mqtt_port}}}"
                (bridge.data / "broker.yaml").write_text(CONFIG.replace("mqtt: {bind: 127.0.0.1:0}", mqtt))
                bridge.start()
                after = await site.trigger("1001", number=2)
                assert [(await taken(desktop)).popid for _ in range(2)] == [before["popid"], after["popid"]]
    finally:
        bridge.stop()
