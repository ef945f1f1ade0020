"""Recall: an administrator withdraws a pop, before or after a desktop has it, until it is shown."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from bridge.words import topics
from tests.broker.contract.client import Client
from tests.conftest import WITHIN, Agent, Bridge, Caller, desktop
from tests.delivery.test_stories import document, tell
from tests.pops.conftest import Reader


async def word(client: Client, agent: Agent) -> dict[str, Any]:
    """Take the next message, which is one on DESK."""
    message = await client.message()
    assert message.topic == topics.desk("acme", agent.id)
    assert (message.qos, message.retain) == (1, False)
    said: dict[str, Any] = json.loads(message.payload)
    return said


async def test_a_held_pop_is_recalled_and_never_delivered(
    bridge: Bridge, trigger: Caller, agent: Agent, admin: Reader
) -> None:
    popid = (await trigger(agentid=agent.id, pop_ttl=600)).said["popid"]
    kept = (await trigger(agentid=agent.id, pop_ttl=600, n=2)).said["popid"]
    for _ in range(2):
        answer = await admin(f"/api/pops/{popid}", "DELETE")
        assert (answer.status, answer.said["popid"], answer.said["status"]) == (200, popid, "recalled")
        assert [step["status"] for step in answer.said["steps"]] == ["accepted", "held", "recalled"]
    async with desktop(bridge, agent) as client:
        assert document(await client.message())["popid"] == kept
        await client.nothing()


async def test_a_delivered_pop_is_recalled_and_the_desktops_are_told(
    bridge: Bridge, trigger: Caller, agent: Agent, admin: Reader
) -> None:
    async with desktop(bridge, agent) as client, desktop(bridge, agent) as other:
        await trigger(agentid=agent.id, pop_ttl=600)
        popid = document(await client.message())["popid"]
        await other.message()
        assert (await admin(f"/api/pops/{popid}", "DELETE")).status == 200
        assert await word(client, agent) == {"recall": popid}
        assert await word(other, agent) == {"recall": popid}
        await tell(client, agent, popid=popid, outcome="shown")
        assert (await admin.pop(popid))["status"] == "recalled"


@pytest.mark.parametrize("outcome", ["shown", "unchanged", "refused"])
async def test_after_its_outcome_it_is_too_late(
    bridge: Bridge, trigger: Caller, agent: Agent, admin: Reader, outcome: str
) -> None:
    async with desktop(bridge, agent) as client:
        await trigger(agentid=agent.id)
        popid = document(await client.message())["popid"]
        await tell(client, agent, popid=popid, outcome=outcome)
        answer = await admin(f"/api/pops/{popid}", "DELETE")
        assert (answer.status, answer.said["code"], answer.said["success"]) == (409, "too_late", False)
        assert outcome in answer.said["detail"]
        await client.nothing()


async def test_after_its_time_it_is_too_late(trigger: Caller, admin: Reader) -> None:
    popid = (await trigger(pop_ttl=1, pop_wait=8)).said["popid"]
    answer = await admin(f"/api/pops/{popid}", "DELETE")
    assert (answer.status, answer.said["code"]) == (409, "too_late")


async def test_only_an_administrator_of_the_customer_recalls(
    http: aiohttp.ClientSession,
    trigger: Caller,
    agent: Agent,
    keys: dict[str, str],
    observer: Reader,
    admins: dict[str, str],
    admin: Reader,
) -> None:
    popid = (await trigger(agentid=agent.id, pop_ttl=600)).said["popid"]
    for token, status in (
        (agent.token, 403),
        (keys["acme"], 403),
        (observer.token, 403),
        (admins["other"], 404),
        (None, 401),
        ("x", 401),
    ):
        assert (await Reader(http, token)(f"/api/pops/{popid}", "DELETE")).status == status
    assert (await admin.pop(popid))["status"] == "held"
    for absent in ("a" * 22, "x"):
        assert (await admin(f"/api/pops/{absent}", "DELETE")).status == 404
    assert (await admin("/api/pops", "DELETE")).status == 405


async def test_a_recall_and_a_desktop_that_comes_at_the_same_moment_agree(
    bridge: Bridge, trigger: Caller, agents: Any, admin: Reader
) -> None:
    for _ in range(10):
        agent = next(agents)
        popid = (await trigger(agentid=agent.id, pop_ttl=600)).said["popid"]
        recalling = asyncio.create_task(admin(f"/api/pops/{popid}", "DELETE"))
        async with desktop(bridge, agent) as client:
            assert (await recalling).status == 200
            heard = [message.topic for message in await client.heard()]
            if f"CTI/acme/{agent.id}" in heard and topics.desk("acme", agent.id) not in heard:
                assert await word(client, agent) == {"recall": popid}
            await tell(client, agent, popid=popid, outcome="shown")
        assert (await admin.pop(popid))["status"] == "recalled"


async def test_it_works_across_a_restart(tmp_path_factory: pytest.TempPathFactory) -> None:
    bridge = Bridge(tmp_path_factory.mktemp("recall") / "data").start()
    try:
        keys, token = {"acme": bridge.key()}, bridge.token("admin")
        agent = Agent("1001", bridge.token("desktop", agent="1001"))
        late = Agent("1002", bridge.token("desktop", agent="1002"))
        async with aiohttp.ClientSession(bridge.http) as http, desktop(bridge, agent) as client:
            trigger = Caller(http, keys)
            held = (await trigger(agentid=late.id, pop_ttl=600)).said["popid"]
            waiting = asyncio.create_task(trigger(agentid=agent.id, pop_ttl=600, pop_wait=8, pop_until="delivered"))
            await client.message()
            delivered = (await waiting).said["popid"]
            # Who reads it sees what is on disk; what is not might be delivered again.
            assert (await Reader(http, token).pop(delivered))["status"] == "delivered"
        bridge.kill()
        bridge.start()
        async with desktop(bridge, agent) as client, aiohttp.ClientSession(bridge.http) as http:
            admin = Reader(http, token)
            for popid in (held, delivered):
                assert (await admin(f"/api/pops/{popid}", "DELETE")).said["status"] == "recalled"
            assert await word(client, agent) == {"recall": delivered}
        bridge.stop()
        bridge.start()
        async with aiohttp.ClientSession(bridge.http) as http, desktop(bridge, late) as client:
            admin = Reader(http, token)
            async with asyncio.timeout(WITHIN):
                for popid in (held, delivered):
                    assert (await admin(f"/api/pops/{popid}", "DELETE")).said["status"] == "recalled"
            await client.nothing()
    finally:
        assert bridge.stop() == 0
