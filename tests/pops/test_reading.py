"""Reading pops: lists and single ones, each with its steps and why; and who may see what."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest

from tests.conftest import WITHIN, Agent, Answer, Bridge, Caller, basic, desktop
from tests.delivery.test_stories import document, tell
from tests.pops.conftest import Reader

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def popids(answer: Answer) -> list[str]:
    assert answer.status == 200, answer.said
    return [one["popid"] for one in answer.said["items"]]


async def popped(trigger: Caller, agent: Agent, number: int = 1, **how: Any) -> list[str]:
    """Pop so many times; the newest first, as lists have them."""
    answers = [await trigger(agentid=agent.id, n=each, pop_ttl=600, **how) for each in range(number)]
    return [answer.said["popid"] for answer in reversed(answers)]


async def test_a_pop_is_told_with_all_that_is_known(trigger: Caller, agent: Agent, observer: Reader) -> None:
    answer = await trigger(agentid=agent.id, ctiid="env1", pop_ttl=60, secret="4711")
    said = await observer.pop(answer.said["popid"])
    assert list(said) == ["popid", "status", "agentid", "event", "topic", "sent", "expires", "steps", "why"]
    assert (said["status"], said["agentid"], said["event"]) == ("held", agent.id, "On Ring")
    assert said["topic"] == f"CTI/acme/env1/{agent.id}"
    assert STAMP.fullmatch(said["sent"])
    assert datetime.fromisoformat(said["expires"]) - datetime.fromisoformat(said["sent"]) == timedelta(seconds=60)
    assert [step["status"] for step in said["steps"]] == ["accepted", "held"]
    for step in said["steps"]:
        assert list(step) == ["status", "at", "detail"]
        assert STAMP.fullmatch(step["at"])
    assert said["topic"] in said["why"]
    assert "4711" not in str(said)


async def lives(bridge: Bridge, trigger: Caller, agents: Any, admin: Reader) -> dict[str, str]:
    """Let pops come to each end; give their popids by status."""
    found: dict[str, str] = {}
    found["held"] = (await trigger(agentid=next(agents).id, pop_ttl=600)).said["popid"]
    expiring = asyncio.create_task(trigger(agentid=next(agents).id, pop_ttl=1, pop_wait=8))
    recalled = (await trigger(agentid=next(agents).id, pop_ttl=600)).said["popid"]
    await admin(f"/api/pops/{recalled}", "DELETE")
    found["recalled"] = recalled
    for outcome in ("shown", "unchanged", "refused"):
        agent = next(agents)
        async with desktop(bridge, agent) as client:
            await trigger(agentid=agent.id)
            found[outcome] = document(await client.message())["popid"]
            await tell(client, agent, popid=found[outcome], outcome=outcome, reason="on a break")
    agent = next(agents)
    async with desktop(bridge, agent, qos=0) as client:
        found["sent"] = (await trigger(agentid=agent.id)).said["popid"]
    agent = next(agents)
    async with desktop(bridge, agent) as client:
        waiting = asyncio.create_task(trigger(agentid=agent.id, pop_wait=8, pop_until="delivered"))
        await client.message()
        found["delivered"] = (await waiting).said["popid"]
    found["expired"] = (await expiring).said["popid"]
    return found


async def test_every_status_says_why_and_what_to_change(
    bridge: Bridge, trigger: Caller, agents: Any, admin: Reader
) -> None:
    said = {status: await admin.pop(popid) for status, popid in (await lives(bridge, trigger, agents, admin)).items()}
    assert {status: one["status"] for status, one in said.items()} == {status: status for status in said}
    why = {status: one["why"] for status, one in said.items()}
    assert len(set(why.values())) == len(why)
    for sentence in why.values():
        assert sentence.endswith(".")
        assert sentence[0].isupper()
    assert "on a break" in why["refused"]
    assert "open at" not in why["refused"]
    for status in ("held", "expired"):
        assert said[status]["topic"] in why[status]
    for status, one in said.items():
        steps = [step["status"] for step in one["steps"]]
        assert steps[0] == "accepted"
        assert steps[-1] == status
        assert [step["at"] for step in one["steps"]] == sorted(step["at"] for step in one["steps"])
    for status, one in said.items():
        listed = await admin("/api/pops", agent=one["agentid"], status=status)
        assert listed.said["items"] == [one]


async def test_lists_are_newest_first_in_parts(trigger: Caller, agent: Agent, observer: Reader) -> None:
    expected = await popped(trigger, agent, 7)
    assert popids(await observer("/api/pops", agent=agent.id)) == expected
    part = await observer("/api/pops", agent=agent.id, limit=3)
    assert popids(part) == expected[:3]
    newer = await popped(trigger, agent, 2, later="yes")
    part = await observer("/api/pops", agent=agent.id, limit=3, cursor=part.said["next"])
    assert popids(part) == expected[3:6]
    part = await observer("/api/pops", agent=agent.id, limit=3, cursor=part.said["next"])
    assert popids(part) == expected[6:]
    assert list(part.said) == ["items"]
    assert popids(await observer("/api/pops", agent=agent.id, limit=9)) == newer + expected
    assert "next" not in (await observer("/api/pops", agent=agent.id, limit=9)).said
    assert popids(await observer("/api/pops", limit=9)) == newer + expected


async def test_50_are_listed_unless_asked_otherwise(trigger: Caller, agent: Agent, observer: Reader) -> None:
    expected = await popped(trigger, agent, 52)
    part = await observer("/api/pops", agent=agent.id)
    assert popids(part) == expected[:50]
    assert popids(await observer("/api/pops", agent=agent.id, cursor=part.said["next"])) == expected[50:]
    assert popids(await observer("/api/pops", agent=agent.id, limit=500)) == expected


async def test_since_counts_to_the_millisecond_in_any_zone(trigger: Caller, agent: Agent, observer: Reader) -> None:
    (oldest,) = await popped(trigger, agent)
    before = (await observer.pop(oldest))["sent"]
    number = 0
    while (sent_last := (await observer.pop((await popped(trigger, agent, late=number))[0]))["sent"]) == before:
        number += 1
    expected = popids(await observer("/api/pops", agent=agent.id))
    newest, middle = (await popped(trigger, agent, later="yes"))[0], expected[0]
    sent = datetime.fromisoformat(sent_last)
    assert popids(await observer("/api/pops", agent=agent.id, since=sent_last)) == [newest, middle]
    elsewhere = (sent.replace(tzinfo=None) + timedelta(hours=2)).isoformat(timespec="milliseconds") + "+02:00"
    assert popids(await observer("/api/pops", agent=agent.id, since=elsewhere)) == [newest, middle]
    future = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    assert popids(await observer("/api/pops", agent=agent.id, since=future)) == []
    assert popids(await observer("/api/pops", agent=agent.id, since="1970-01-01T00:00:00Z"))[-1] == oldest


@pytest.mark.parametrize(
    "bad",
    [
        {"limit": "0"},
        {"limit": "501"},
        {"limit": "-1"},
        {"limit": "ten"},
        {"limit": ""},
        {"limit": "1" * 5000},
        {"limit": "１"},  # noqa: RUF001 - a digit, but not one of ASCII's
        {"status": "gone"},
        {"status": "Held"},
        {"status": "duplicate"},
        {"since": "yesterday"},
        {"since": "2026-01-01T00:00:00"},
        {"since": "9" * 400},
        {"cursor": "x"},
        {"cursor": ""},
        {"cursor": "LTE"},
        {"cursor": "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")},
        {"agents": "1001"},
    ],
)
async def test_what_makes_no_sense_is_a_400(observer: Reader, bad: dict[str, str]) -> None:
    answer = await observer("/api/pops", **bad)
    assert (answer.status, answer.said["code"]) == (400, "invalid_parameter")


async def test_of_two_values_for_one_filter_neither_counts(observer: Reader) -> None:
    answer = await observer("/api/pops?limit=1&limit=2")
    assert (answer.status, answer.said["code"]) == (400, "ambiguous_parameter")


async def test_who_may_see_what(
    bridge: Bridge,
    http: aiohttp.ClientSession,
    trigger: Caller,
    agents: Any,
    keys: dict[str, str],
    observers: dict[str, str],
    admins: dict[str, str],
) -> None:
    mine, theirs = next(agents), next(agents)
    (popid,) = await popped(trigger, mine)
    one = f"/api/pops/{popid}"
    table = {
        mine.token: {one: 200, "/api/pops": 200, f"/api/pops?agent={mine.id}": 200, "/api/agents": 403},
        theirs.token: {one: 404, "/api/pops": 200, f"/api/pops?agent={mine.id}": 403, f"/api/agents/{mine.id}": 403},
        keys["acme"]: {one: 200, "/api/pops": 403, "/api/agents": 403, "/api/licence": 403},
        bridge.key(): {one: 404},
        keys["other"]: {one: 404},
        observers["acme"]: {one: 200, "/api/pops": 200, "/api/agents": 200, "/api/licence": 200},
        observers["other"]: {one: 404, "/api/pops": 200, "/api/agents": 200},
        admins["acme"]: {one: 200, "/api/pops": 200, "/api/agents": 200, "/api/licence": 200},
        admins["other"]: {one: 404},
        bridge.token("feed"): {one: 403, "/api/pops": 403, "/api/agents": 403, "/api/licence": 403},
        "nonsense": {one: 401, "/api/pops": 401, "/api/agents": 401, "/api/licence": 401},
    }
    for token, expected in table.items():
        reader = Reader(http, token)
        assert {path: (await reader(path)).status for path in expected} == expected
    assert popids(await Reader(http, theirs.token)("/api/pops")) == []
    assert popids(await Reader(http, mine.token)("/api/pops")) == [popid]
    assert popid not in popids(await Reader(http, observers["other"])("/api/pops", agent=mine.id))


async def test_a_token_comes_as_bearer_only(http: aiohttp.ClientSession, observers: dict[str, str]) -> None:
    token = observers["acme"]
    for given in ({}, {"X-API-Key": token}, {"Authorization": basic("x", token)}):
        for query in ("", f"?jwt={token}"):
            async with http.get(f"/api/pops{query}", headers=given) as response:
                said = await response.json()
                assert (response.status, said["code"]) == (401, "missing_key")
                assert token not in str(said)


@pytest.mark.parametrize("odd", ["x", "a" * 22, "%00" * 20, "..%2F..%2Fetc%2Fpasswd%2F", "a" * 5000])
async def test_an_id_that_is_none_is_a_404(observer: Reader, odd: str) -> None:
    answer = await observer(f"/api/pops/{odd}")
    assert (answer.status, answer.said["code"]) == (404, "not_found")


async def test_held_and_sent_again_are_steps(bridge: Bridge, trigger: Caller, agent: Agent, observer: Reader) -> None:
    async with desktop(bridge, agent) as client:
        popid = (await trigger(agentid=agent.id, pop_ttl=600)).said["popid"]
        await client.message(acknowledge=False)
    async with asyncio.timeout(WITHIN):
        while (await observer.pop(popid))["status"] != "held":
            pass
    async with desktop(bridge, agent) as client:
        await tell(client, agent, popid=document(await client.message())["popid"], outcome="shown", suspended="case 7")
    said = await observer.pop(popid)
    steps = [step["status"] for step in said["steps"]]
    assert steps == ["accepted", "sent", "held", "sent", "delivered", "shown"]
    assert "case 7" in said["why"]
