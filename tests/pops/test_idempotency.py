"""Idempotency: the same key with the same request replays the first answer; nothing is popped twice."""

import asyncio
import sqlite3
from collections.abc import Mapping
from itertools import count
from typing import Any

import aiohttp
import pytest

from tests.conftest import WITHIN, Agent, Bridge, Caller, desktop
from tests.delivery.test_stories import document, tell
from tests.pops.conftest import REPEATS

_NUMBERS = count()

WAYS: tuple[dict[str, dict[str, str]], ...] = (
    {"query": {}, "headers": {"Idempotency-Key": "KEY"}},
    {"query": {}, "headers": {"I-Twilio-Idempotency-Token": "KEY"}},
    {"query": {"pop_key": "KEY"}, "headers": {}},
)


@pytest.fixture
def key() -> str:
    return f"key {next(_NUMBERS)}"


@pytest.fixture
def who(key: str) -> str:
    return f"agent of {key}"


def spelled(fields: Mapping[str, str], key: str) -> dict[str, str]:
    return {name: value.replace("KEY", key) for name, value in fields.items()}


async def test_whichever_way_the_key_comes_the_answer_is_replayed(
    bridge: Bridge, trigger: Caller, agent: Agent, key: str
) -> None:
    async with desktop(bridge, agent) as client:
        first = await trigger(agentid=agent.id, pop_key=key)
        assert first.said["status"] == "sent"
        assert "Idempotent-Replayed" not in first.headers
        for way in WAYS:
            again = await trigger(agentid=agent.id, headers=spelled(way["headers"], key), **spelled(way["query"], key))
            assert (again.status, again.said) == (200, first.said)
            assert again.headers["Idempotent-Replayed"] == "true"
        again = await trigger(agentid=agent.id, event="On Ring", json={"pop_key": key})
        assert again.said == first.said
        await client.message()
        await client.nothing()


async def test_another_request_with_the_key_is_a_mismatch(trigger: Caller, who: str, key: str) -> None:
    await trigger(agentid=who, a="1", pop_key=key)
    for channel, how in (
        ("CTI", {"a": "2"}),
        ("CTI", {"a": None}),
        ("CTI", {"b": "1"}),
        ("CTI", {"event": "On Answer"}),
        ("CTI", {"agentid": f"{who}x"}),
        ("CTI", {"ctiid": "env1"}),
        ("CRM", {}),
    ):
        given: dict[str, Any] = {"agentid": who, "a": "1", "pop_key": key, **how}
        answer = await trigger(channel, **given)
        assert (answer.status, answer.said["code"]) == (422, "idempotency_mismatch"), (channel, how)
        assert answer.said["success"] is False


async def test_credential_and_controls_are_not_part_of_the_request(
    bridge: Bridge, trigger: Caller, who: str, key: str
) -> None:
    first = await trigger(agentid=who, pop_key=key)
    for how in ({"jwt": bridge.key()}, {"pop_ttl": "60"}, {"pop_wait": "1"}, {"pop_until": "delivered"}):
        given: dict[str, Any] = {"agentid": who, "pop_key": key, **how}
        answer = await trigger(**given)
        assert answer.said == first.said
        assert answer.headers["Idempotent-Replayed"] == "true"


async def test_two_different_keys_in_one_request_are_a_400(trigger: Caller, who: str) -> None:
    for headers, query in (
        ({"Idempotency-Key": "a"}, {"pop_key": "b"}),
        ({"I-Twilio-Idempotency-Token": "a"}, {"pop_key": "b"}),
        ({"I-Twilio-Idempotency-Token": "a", "Idempotency-Key": "b"}, {}),
    ):
        answer = await trigger(agentid=who, headers=headers, **query)
        assert (answer.status, answer.said["success"]) == (400, False)
    same = {"I-Twilio-Idempotency-Token": f"{who} same", "Idempotency-Key": f"{who} same"}
    assert (await trigger(agentid=who, headers=same, pop_key=f"{who} same")).status == 200


@pytest.mark.parametrize("bad", ["", " ", "x" * 257, "a\tb", "a\x7fb"])
async def test_a_key_that_is_none_is_a_400(trigger: Caller, who: str, bad: str) -> None:
    assert (await trigger(agentid=who, pop_key=bad)).status == 400


async def test_a_long_key_in_any_script_is_a_key(trigger: Caller, who: str) -> None:
    for key in ("x" * 256, "ключ"):
        first = await trigger(agentid=who, pop_key=key)
        assert (await trigger(agentid=who, pop_key=key)).said == first.said


async def test_while_the_first_is_at_work_others_are_told_so(
    bridge: Bridge, trigger: Caller, agent: Agent, key: str
) -> None:
    async with desktop(bridge, agent) as client:
        waiting = asyncio.create_task(trigger(agentid=agent.id, pop_key=key, pop_wait=8))
        message = await client.message()
        answer = await trigger(agentid=agent.id, pop_key=key)
        assert (answer.status, answer.said["code"]) == (409, "idempotency_in_flight")
        answer = await trigger(agentid=agent.id, pop_key=key, other="request")
        assert (answer.status, answer.said["code"]) == (422, "idempotency_mismatch")
        await tell(client, agent, popid=document(message)["popid"], outcome="shown")
        first = await waiting
        again = await trigger(agentid=agent.id, pop_key=key)
        assert again.said == first.said
        assert (again.said["status"], "ms" in again.said) == ("shown", True)
        await client.nothing()


async def test_of_a_hundred_simultaneous_requests_one_pops(
    bridge: Bridge, trigger: Caller, agent: Agent, key: str
) -> None:
    async with desktop(bridge, agent) as client:
        answers = await asyncio.gather(*(trigger(agentid=agent.id, pop_key=key) for _ in range(100)))
        assert {answer.status for answer in answers} <= {200, 409}
        assert len({answer.said["popid"] for answer in answers if answer.status == 200}) == 1
        assert {answer.said["code"] for answer in answers if answer.status == 409} <= {"idempotency_in_flight"}
        assert sum("Idempotent-Replayed" not in answer.headers for answer in answers if answer.status == 200) == 1
        await client.message()
        await client.nothing()


async def test_the_scope_is_the_customer(trigger: Caller, key: str) -> None:
    popids = {
        (await trigger(customer=customer, agentid="same", crmid=crm, pop_key=key)).said["popid"]
        for customer, crm in (("acme", None), ("other", None), ("free", None))
    }
    assert len(popids) == 3


async def test_different_keys_pop_the_same_request_again(trigger: Caller, who: str, key: str) -> None:
    popids = {(await trigger(agentid=who, pop_key=f"{key} {number}")).said["popid"] for number in range(3)}
    assert len(popids) == 3


async def test_only_success_is_remembered(trigger: Caller, who: str, key: str) -> None:
    answer = await trigger(customer="many", agentid=who, crmid="One.example.com", event="None such", pop_key=key)
    assert answer.status == 404
    answer = await trigger(agentid=who, pop_key=f"{key} too", json={"a": "x" * 140_000})
    assert answer.status == 413
    for customer, crm, used in (("many", "one.example.com", key), ("acme", None, f"{key} too")):
        answer = await trigger(customer=customer, agentid=who, crmid=crm, pop_key=used)
        assert answer.status == 200
        assert "Idempotent-Replayed" not in answer.headers


async def test_a_dry_run_neither_uses_nor_fills_a_key(trigger: Caller, who: str, key: str) -> None:
    assert "popid" not in (await trigger(agentid=who, pop_key=key, pop_dryrun=1)).said
    first = await trigger(agentid=who, pop_key=key)
    assert "popid" in first.said
    assert "popid" not in (await trigger(agentid=who, pop_key=key, pop_dryrun=1)).said
    assert (await trigger(agentid=who, pop_key=key)).said == first.said


async def test_a_caller_who_hung_up_gets_the_answer_with_the_same_key(
    bridge: Bridge, trigger: Caller, keys: dict[str, str], agent: Agent, key: str
) -> None:
    async with desktop(bridge, agent) as client:
        _, writer = await asyncio.open_connection("127.0.0.1", bridge.http_port)
        target = f"/api/sendmessage/CTI?agentid={agent.id}&event=On+Ring&pop_wait=8&jwt={keys['acme']}"
        writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\nIdempotency-Key: {key}\r\n\r\n".encode())
        popid = document(await client.message())["popid"]
        writer.transport.abort()
        assert (await trigger(agentid=agent.id, pop_key=key)).status in {200, 409}
        await tell(client, agent, popid=popid, outcome="shown")
        async with asyncio.timeout(WITHIN):
            while (answer := await trigger(agentid=agent.id, pop_key=key)).status == 409:
                pass
        assert (answer.said["popid"], answer.headers["Idempotent-Replayed"]) == (popid, "true")
        await client.nothing()


async def test_it_lasts_a_day_across_restarts_and_a_key_that_is_a_secret_is_not_written_down(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    bridge = Bridge(tmp_path_factory.mktemp("day") / "data", REPEATS).start()
    try:
        keys = {"acme": bridge.key()}

        async def ask(session: aiohttp.ClientSession, number: int) -> str:
            answer = await Caller(session, keys)(agentid="1001", pop_key=f"{keys['acme'][-60:]}{number}", pop_ttl=600)
            assert answer.status == 200
            return f"{answer.said['popid']} {answer.headers.get('Idempotent-Replayed')}"

        async with aiohttp.ClientSession(bridge.http) as http:
            first, second = [(await ask(http, number)).split()[0] for number in range(2)]
        for end in (bridge.kill, bridge.stop):
            end()
            bridge.start()
            async with aiohttp.ClientSession(bridge.http) as http:
                assert await ask(http, 0) == f"{first} true"
        bridge.stop()
        for path in bridge.data.glob("ledger.db*"):
            assert keys["acme"][-60:].encode() not in path.read_bytes()
        assert keys["acme"][-60:] not in bridge.log()
        with sqlite3.connect(bridge.data / "ledger.db") as ledger:
            changed = ledger.execute("UPDATE answers SET at = at - 86100 WHERE body LIKE ?", (f"%{first}%",))
            assert changed.rowcount == 1
            changed = ledger.execute("UPDATE answers SET at = at - 86401 WHERE body LIKE ?", (f"%{second}%",))
            assert changed.rowcount == 1
        ledger.close()
        bridge.start()
        async with aiohttp.ClientSession(bridge.http) as http:
            assert await ask(http, 1) != f"{second} true"
            assert (await ask(http, 0)).split()[0] == first
    finally:
        assert bridge.stop() == 0
