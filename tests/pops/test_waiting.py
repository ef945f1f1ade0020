"""Waiting: every end of it, and an answer that carries what applies and nothing else."""

import asyncio
from typing import Any

import pytest

from tests.conftest import WITHIN, Agent, Bridge, Caller, desktop
from tests.delivery.test_stories import document, tell
from tests.pops.conftest import Reader

FIELDS = ["success", "dryrun", "popid", "status", "topic", "receivers"]
ALWAYS = {"success", "popid", "status", "topic", "receivers"}


def plain(said: dict[str, Any]) -> bool:
    """Say whether an answer is flat, in order, and without nulls."""
    first = [name for name in said if name in FIELDS]
    return None not in said.values() and first == [name for name in FIELDS if name in said]


async def test_shown_carries_what_was_put_aside(bridge: Bridge, trigger: Caller, agent: Agent) -> None:
    async with desktop(bridge, agent) as client:
        waiting = asyncio.create_task(trigger(agentid=agent.id, pop_wait=8))
        popid = document(await client.message())["popid"]
        await tell(client, agent, popid=popid, outcome="shown", suspended="case 7")
        answer = await waiting
    assert answer.said["suspended"] == "case 7"
    assert set(answer.said) == ALWAYS | {"ms", "suspended"}
    assert plain(answer.said)


async def test_refused_carries_the_desktops_reason(bridge: Bridge, trigger: Caller, agent: Agent) -> None:
    async with desktop(bridge, agent) as client:
        for reason in ("on a break", None):
            waiting = asyncio.create_task(trigger(agentid=agent.id, pop_wait=8, n=reason))
            popid = document(await client.message())["popid"]
            await tell(client, agent, popid=popid, outcome="refused", reason=reason)
            answer = await waiting
            assert answer.status == 200
            assert answer.said["status"] == "refused"
            assert answer.said.get("reason") == reason
            assert plain(answer.said)


async def test_without_anything_to_tell_the_answer_is_short(trigger: Caller) -> None:
    answer = await trigger()
    assert set(answer.said) == ALWAYS
    assert plain(answer.said)
    answer = await trigger(pop_dryrun=1)
    assert set(answer.said) == ALWAYS - {"popid"} | {"dryrun"}
    assert plain(answer.said)


async def test_a_wait_ends_with_a_recall(bridge: Bridge, trigger: Caller, agent: Agent, admin: Reader) -> None:
    async with desktop(bridge, agent) as client:
        waiting = asyncio.create_task(trigger(agentid=agent.id, pop_wait=8))
        popid = document(await client.message())["popid"]
        assert (await admin(f"/api/pops/{popid}", "DELETE")).status == 200
        async with asyncio.timeout(WITHIN):
            assert (await waiting).said["status"] == "recalled"


@pytest.mark.parametrize("until", ["shown", "delivered"])
async def test_a_pop_that_was_held_may_be_shown_within_the_wait(
    bridge: Bridge, trigger: Caller, agent: Agent, admin: Reader, until: str
) -> None:
    waiting = asyncio.create_task(trigger(agentid=agent.id, pop_wait=8, pop_until=until, pop_ttl=60))
    async with asyncio.timeout(WITHIN):
        while not (await admin("/api/pops", agent=agent.id)).said["items"]:
            pass
    async with desktop(bridge, agent) as client:
        popid = document(await client.message())["popid"]
        if until == "shown":
            await tell(client, agent, popid=popid, outcome="shown")
        answer = await waiting
    assert (answer.said["status"], answer.said["popid"], answer.said["receivers"]) == (until, popid, 0)


async def test_until_delivered_ends_with_any_outcome_too(bridge: Bridge, trigger: Caller, agents: Any) -> None:
    for outcome in ("shown", "unchanged", "refused"):
        agent = next(agents)
        async with desktop(bridge, agent) as client:
            waiting = asyncio.create_task(trigger(agentid=agent.id, pop_wait=8, pop_until="delivered"))
            message = await client.message(acknowledge=False)
            await tell(client, agent, popid=document(message)["popid"], outcome=outcome)
            async with asyncio.timeout(WITHIN):
                assert (await waiting).said["status"] == outcome


@pytest.mark.parametrize(
    ("header", "applied"),
    [
        ("wait=9", "wait=8"),
        ("wait=100000000000000000000", "wait=8"),
        ("WAIT=8", "wait=8"),
        ('wait="8"', "wait=8"),
        ("wait=-1", None),
        ("wait=0.5", None),
        ("wait", None),
        ("wait=x", None),
        ("await=3", None),
    ],
)
async def test_a_preference_over_8_counts_as_8_and_a_malformed_one_not(
    bridge: Bridge, trigger: Caller, agent: Agent, header: str, applied: str | None
) -> None:
    async with desktop(bridge, agent) as client:
        waiting = asyncio.create_task(trigger(agentid=agent.id, headers={"Prefer": header}))
        await tell(client, agent, popid=document(await client.message())["popid"], outcome="shown")
        answer = await waiting
    assert answer.headers.get("Preference-Applied") == applied
    assert ("ms" in answer.said) is (applied is not None)


@pytest.mark.parametrize(
    "bad", [{"pop_wait": "8.1"}, {"pop_wait": "-1"}, {"pop_wait": "x"}, {"pop_wait": "1", "pop_until": "seen"}]
)
async def test_a_wait_out_of_range_is_a_400(trigger: Caller, bad: dict[str, str]) -> None:
    answer = await trigger(**bad)  # type: ignore[arg-type]  # parameters, not how to send them
    assert (answer.status, answer.said["code"]) == (400, "invalid_parameter")


async def test_those_who_hang_up_leave_nothing_behind(
    bridge: Bridge, trigger: Caller, keys: dict[str, str], agent: Agent
) -> None:
    async with desktop(bridge, agent) as client:
        popids = []
        for number in range(20):
            _, writer = await asyncio.open_connection("127.0.0.1", bridge.http_port)
            target = f"/api/sendmessage/CTI?agentid={agent.id}&event=On+Ring&n={number}&pop_wait=8&jwt={keys['acme']}"
            writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            popids.append(document(await client.message())["popid"])
            writer.transport.abort()
        for popid in popids:
            await tell(client, agent, popid=popid, outcome="shown")
        waiting = asyncio.create_task(trigger(agentid=agent.id, pop_wait=8))
        await tell(client, agent, popid=document(await client.message())["popid"], outcome="shown")
        assert (await waiting).said["status"] == "shown"
