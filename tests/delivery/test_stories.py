"""What becomes of a pop, told truthfully: a real bridge, real desktops, real callers."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.broker.contract import packets
from tests.broker.contract.client import Client
from tests.broker.contract.lines import TcpLine
from tests.broker.contract.packets import Kind, Message
from tests.conftest import WITHIN, Agent, Bridge, Caller, desktop, mqtt, observing


def document(message: Message) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(message.payload)
    return said


async def acknowledge(client: Client, message: Message) -> None:
    await client.send(packets.reply(Kind.PUBACK, message.mid))


async def tell(client: Client, agent: Agent, **said: object) -> None:
    """Tell an outcome as a desktop does."""
    await client.publish(f"ACK/acme/{agent.id}", json.dumps(said).encode(), qos=1)


async def test_without_a_desktop_a_pop_is_held_and_goes_to_the_first_that_subscribes(
    bridge: Bridge, trigger: Caller, agent: Agent
) -> None:
    answer = await trigger(agentid=agent.id, pop_ttl=60)
    assert (answer.said["status"], answer.said["receivers"]) == ("held", 0)
    async with desktop(bridge, agent) as first:
        message = await first.message()
        assert document(message)["popid"] == answer.said["popid"]
        assert (message.topic, message.qos, message.retain) == (f"CTI/acme/{agent.id}", 1, False)
        async with desktop(bridge, agent) as second:
            await second.nothing()
            await first.nothing()


async def test_a_held_pop_waits_for_a_desktop_whose_filters_match(
    bridge: Bridge, trigger: Caller, agent: Agent
) -> None:
    answer = await trigger(agentid=agent.id, ctiid="env1", pop_ttl=60)
    async with mqtt(bridge, f"acme/{agent.id}", agent.token, (f"CTI/acme/{agent.id}", 1)) as client:
        await client.nothing()
        assert await client.subscribe((f"CTI/acme/env1/{agent.id}", 1)) == [1]
        assert document(await client.message())["popid"] == answer.said["popid"]


async def test_held_pops_are_released_in_their_order(bridge: Bridge, trigger: Caller, agent: Agent) -> None:
    accepted = [(await trigger(agentid=agent.id, pop_ttl=60, n=number)).said["popid"] for number in range(10)]
    async with desktop(bridge, agent) as client:
        assert [document(await client.message())["popid"] for _ in range(10)] == accepted


async def test_a_held_pop_goes_to_a_resumed_session(bridge: Bridge, trigger: Caller, agent: Agent) -> None:
    username, filters = f"acme/{agent.id}", (f"CTI/acme/{agent.id}", 1)
    client = Client(await TcpLine.open("127.0.0.1", bridge.mqtt_port))
    assert await client.connect("kept", clean=False, username=username, password=agent.token) == (False, 0)
    assert await client.subscribe(filters) == [1]
    await client.disconnect()
    await client.drop()
    answer = await trigger(agentid=agent.id, pop_ttl=60)
    assert answer.said["status"] == "held"
    again = Client(await TcpLine.open("127.0.0.1", bridge.mqtt_port))
    assert await again.connect("kept", clean=False, username=username, password=agent.token) == (True, 0)
    message = await again.message()
    assert document(message)["popid"] == answer.said["popid"]
    assert not message.dup
    await again.nothing()
    await again.drop()


async def test_a_connected_desktop_gets_it_at_once(bridge: Bridge, trigger: Caller, agent: Agent) -> None:
    async with desktop(bridge, agent) as client:
        answer = await trigger(agentid=agent.id)
        assert (answer.said["status"], answer.said["receivers"]) == ("sent", 1)
        assert document(await client.message())["popid"] == answer.said["popid"]


async def test_a_puback_proves_delivery_within_the_wait(bridge: Bridge, trigger: Caller, agent: Agent) -> None:
    async with desktop(bridge, agent) as client:
        waiting = asyncio.create_task(trigger(agentid=agent.id, pop_wait=8, pop_until="delivered"))
        await client.message()
        async with asyncio.timeout(WITHIN):
            answer = await waiting
        assert answer.said["status"] == "delivered"
        assert 0 <= answer.said["ms"] < 8_000


async def test_a_desktop_at_qos_0_proves_nothing(bridge: Bridge, trigger: Caller, agent: Agent) -> None:
    async with desktop(bridge, agent, qos=0) as client:
        answer = await trigger(agentid=agent.id, pop_wait="0.3", pop_until="delivered")
        assert (answer.said["status"], answer.said["receivers"]) == ("sent", 1)
        assert (await client.message()).qos == 0


async def test_at_qos_2_the_pop_is_sent_at_qos_1_and_its_puback_proves_it(
    bridge: Bridge, trigger: Caller, agent: Agent
) -> None:
    async with desktop(bridge, agent, qos=2) as client:
        waiting = asyncio.create_task(trigger(agentid=agent.id, pop_wait=8, pop_until="delivered"))
        assert (await client.message()).qos == 1
        assert (await waiting).said["status"] == "delivered"


async def test_shown_ends_a_wait_at_once(bridge: Bridge, trigger: Caller, agent: Agent) -> None:
    async with desktop(bridge, agent) as client:
        waiting = asyncio.create_task(trigger(agentid=agent.id, headers={"Prefer": "wait=8"}))
        popid = document(await client.message())["popid"]
        await tell(client, agent, popid=popid, outcome="shown")
        async with asyncio.timeout(WITHIN):
            answer = await waiting
        assert answer.said["status"] == "shown"
        assert answer.headers["Preference-Applied"] == "wait=8"


@pytest.mark.parametrize("outcome", ["unchanged", "refused"])
async def test_unchanged_and_refused_end_a_wait_too(
    bridge: Bridge, trigger: Caller, agent: Agent, outcome: str
) -> None:
    async with desktop(bridge, agent) as client:
        waiting = asyncio.create_task(trigger(agentid=agent.id, pop_wait=8))
        popid = document(await client.message())["popid"]
        await tell(client, agent, popid=popid, outcome=outcome, reason="busy")
        async with asyncio.timeout(WITHIN):
            assert (await waiting).said["status"] == outcome


async def test_a_wait_ends_after_its_time_with_the_furthest_status(
    bridge: Bridge, trigger: Caller, agent: Agent
) -> None:
    async with desktop(bridge, agent) as client:
        waiting = asyncio.create_task(trigger(agentid=agent.id, pop_wait=3, pop_ttl=60))
        await client.message()
        answer = await waiting
        assert answer.said["status"] == "delivered"
        assert answer.said["ms"] >= 3_000


async def test_a_wait_of_0_and_none_answer_at_once_without_ms(trigger: Caller) -> None:
    cases: list[dict[str, Any]] = [
        {},
        {"pop_wait": "0"},
        {"headers": {"Prefer": "wait=soon"}},
        {"pop_wait": "0", "headers": {"Prefer": "wait=5"}},
    ]
    for how in cases:
        answer = await trigger(**how)
        assert "ms" not in answer.said
        assert "Preference-Applied" not in answer.headers


async def test_prefer_may_stand_among_other_preferences_and_fields(trigger: Caller) -> None:
    async with asyncio.timeout(WITHIN):
        answer = await trigger(headers={"Prefer": "respond-async, wait=1; strict"})
    assert answer.headers["Preference-Applied"] == "wait=1"
    assert answer.said["ms"] >= 1


async def test_a_wait_ends_when_the_pop_expires(trigger: Caller) -> None:
    answer = await trigger(pop_wait=8, pop_ttl=1)
    assert answer.said["status"] == "expired"
    assert answer.said["ms"] < 8_000


async def test_many_wait_at_once(bridge: Bridge, trigger: Caller, agent: Agent) -> None:
    async with desktop(bridge, agent) as client:
        waiting = [asyncio.create_task(trigger(agentid=agent.id, pop_wait=8, n=number)) for number in range(20)]
        for _ in waiting:
            await tell(client, agent, popid=document(await client.message())["popid"], outcome="shown")
        async with asyncio.timeout(WITHIN):
            assert {answer.said["status"] for answer in await asyncio.gather(*waiting)} == {"shown"}


async def test_a_pop_past_its_time_is_never_delivered(bridge: Bridge, trigger: Caller, agent: Agent) -> None:
    answer = await trigger(agentid=agent.id, pop_ttl=1, pop_wait=8)
    assert answer.said["status"] == "expired"
    async with desktop(bridge, agent) as client:
        await client.nothing()


async def test_sent_without_puback_is_held_again_and_goes_out_anew(
    bridge: Bridge, trigger: Caller, agent: Agent
) -> None:
    async with desktop(bridge, agent) as first:
        answer = await trigger(agentid=agent.id, pop_ttl=60)
        assert answer.said["status"] == "sent"
        message = await first.message(acknowledge=False)
    async with desktop(bridge, agent) as second:
        again = await second.message()
        assert again.payload == message.payload
        assert not again.dup
    async with desktop(bridge, agent) as third:
        await third.nothing()


async def test_sent_without_puback_expires(bridge: Bridge, trigger: Caller, agent: Agent) -> None:
    async with desktop(bridge, agent) as client:
        waiting = asyncio.create_task(trigger(agentid=agent.id, pop_ttl=2, pop_wait=8))
        await client.message(acknowledge=False)
        assert (await waiting).said["status"] == "expired"


async def test_sent_at_qos_0_and_delivered_keep_their_status_past_the_time(
    bridge: Bridge, trigger: Caller, agents: Iterator[Agent]
) -> None:
    async def story(agent: Agent, qos: int) -> str:
        async with desktop(bridge, agent, qos=qos) as client:
            waiting = asyncio.create_task(trigger(agentid=agent.id, pop_ttl=3, pop_wait=5))
            await client.message()
            return str((await waiting).said["status"])

    at_qos_0, at_qos_1 = await asyncio.gather(story(next(agents), 0), story(next(agents), 1))
    assert (at_qos_0, at_qos_1) == ("sent", "delivered")


@pytest.mark.parametrize("qos", [0, 1])
async def test_an_outcome_counts_after_the_time_of_a_pop_that_a_desktop_has(
    bridge: Bridge, trigger: Caller, agent: Agent, qos: int
) -> None:
    """The time is for delivery: an agent may look at a pop later."""
    async with desktop(bridge, agent, qos=qos) as client:
        waiting = asyncio.create_task(trigger(agentid=agent.id, pop_ttl=2, pop_wait=8))
        popid = document(await client.message())["popid"]
        late = await trigger(pop_ttl=2, pop_wait=8)
        assert late.said["status"] == "expired"
        await tell(client, agent, popid=popid, outcome="shown")
        assert (await waiting).said["status"] == "shown"


async def test_several_desktops_count_and_one_puback_is_enough(bridge: Bridge, trigger: Caller, agent: Agent) -> None:
    async with desktop(bridge, agent) as one, desktop(bridge, agent) as other, desktop(bridge, agent, qos=0) as third:
        waiting = asyncio.create_task(trigger(agentid=agent.id, pop_wait=8, pop_until="delivered"))
        assert document(await one.message(acknowledge=False))
        assert document(await third.message())
        message = await other.message()
        answer = await waiting
        assert (answer.said["status"], answer.said["receivers"]) == ("delivered", 3)
        assert document(message)["popid"] == answer.said["popid"]


async def test_observers_get_each_pop_once_and_never_count(
    bridge: Bridge, observers: dict[str, str], trigger: Caller, agent: Agent
) -> None:
    async with observing(bridge, observers) as observer:
        held = await trigger(agentid=agent.id, pop_ttl=60)
        assert (held.said["status"], held.said["receivers"]) == ("held", 0)
        assert document(await observer.message())["popid"] == held.said["popid"]
        async with desktop(bridge, agent) as client:
            assert document(await client.message())["popid"] == held.said["popid"]
            await observer.nothing()
            sent = await trigger(agentid=agent.id, n=2)
            assert sent.said["receivers"] == 1
            assert document(await observer.message())["popid"] == sent.said["popid"]
            await client.message()
    async with observing(bridge, observers) as late:
        await late.nothing()


async def test_an_observers_puback_proves_nothing(
    bridge: Bridge, observers: dict[str, str], trigger: Caller, agent: Agent
) -> None:
    async with observing(bridge, observers) as observer:
        waiting = asyncio.create_task(trigger(agentid=agent.id, pop_wait="0.4", pop_until="delivered"))
        await observer.message()
        assert (await waiting).said["status"] == "held"


async def test_nobody_else_gets_it(
    bridge: Bridge, observers: dict[str, str], trigger: Caller, agents: Iterator[Agent]
) -> None:
    mine, theirs = next(agents), next(agents)
    async with (
        desktop(bridge, mine) as client,
        desktop(bridge, theirs) as other,
        observing(bridge, observers, "other") as spy,
    ):
        await trigger(agentid=mine.id)
        await client.message()
        await other.nothing()
        await spy.nothing()


async def test_two_copies_of_overlapping_filters_are_one(bridge: Bridge, trigger: Caller, agent: Agent) -> None:
    async with desktop(bridge, agent) as client:
        answer = await trigger(agentid=agent.id, ctiid="env1")
        assert answer.said["receivers"] == 1
        await client.message()
        await client.nothing()


async def test_an_outcome_counts_only_from_whom_it_was_sent_to(
    bridge: Bridge, trigger: Caller, agents: Iterator[Agent]
) -> None:
    mine, theirs = next(agents), next(agents)
    async with desktop(bridge, mine) as client, desktop(bridge, theirs) as stranger:
        waiting = asyncio.create_task(trigger(agentid=mine.id, pop_wait=8))
        popid = document(await client.message())["popid"]
        await tell(stranger, theirs, popid=popid, outcome="shown")
        await tell(client, mine, popid="A" * 22, outcome="shown")
        await tell(client, mine, popid=popid, outcome="unchanged")
        assert (await waiting).said["status"] == "unchanged"
    assert f"agent '{theirs.id}'" in bridge.log()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"shown"',
        b'{"popid": 1, "outcome": "shown"}',
        b'{"outcome": "shown"}',
        b'{"popid": "POPID", "outcome": "eaten"}',
        b'{"popid": "POPID"}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
async def test_an_acknowledgement_that_is_none_changes_nothing(
    bridge: Bridge, trigger: Caller, agent: Agent, payload: bytes
) -> None:
    async with desktop(bridge, agent) as client:
        waiting = asyncio.create_task(trigger(agentid=agent.id, pop_wait=8))
        popid = document(await client.message())["popid"]
        await client.publish(f"ACK/acme/{agent.id}", payload.replace(b"POPID", popid.encode()), qos=1)
        await tell(client, agent, popid=popid, outcome="unchanged")
        assert (await waiting).said["status"] == "unchanged"
        await client.nothing()


async def test_the_first_shown_is_final(bridge: Bridge, trigger: Caller, agent: Agent) -> None:
    async with desktop(bridge, agent) as client:
        waiting = asyncio.create_task(trigger(agentid=agent.id, pop_wait=8))
        popid = document(await client.message())["popid"]
        for outcome in ("shown", "refused", "unchanged"):
            await tell(client, agent, popid=popid, outcome=outcome)
        assert (await waiting).said["status"] == "shown"


async def test_a_trigger_is_published_even_if_its_caller_hangs_up(
    bridge: Bridge, keys: dict[str, str], agent: Agent
) -> None:
    async with desktop(bridge, agent) as client:
        _, writer = await asyncio.open_connection("127.0.0.1", bridge.http_port)
        target = f"/api/sendmessage/CTI?agentid={agent.id}&event=On+Ring&pop_wait=8&jwt={keys['acme']}"
        writer.write(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        message = await client.message()
        writer.transport.abort()
        await tell(client, agent, popid=document(message)["popid"], outcome="shown")
        await client.nothing()


async def test_a_burst_for_one_agent_arrives_in_order_and_once(bridge: Bridge, trigger: Caller, agent: Agent) -> None:
    """More than the window of unacknowledged messages: the rest waits, nothing is lost or doubled."""
    async with desktop(bridge, agent) as client:
        accepted = [(await trigger(agentid=agent.id, pop_ttl=60, n=number)).said["popid"] for number in range(150)]
        arrived = [await client.message(acknowledge=False) for _ in range(100)]
        await client.nothing()
        for message in arrived:
            await acknowledge(client, message)
        arrived += [await client.message() for _ in range(50)]
        assert [document(message)["popid"] for message in arrived] == accepted
        await client.nothing()


async def test_a_desktop_that_reads_nothing_is_cut_off_and_the_others_are_served(
    bridge: Bridge, trigger: Caller, agents: Iterator[Agent]
) -> None:
    mine, theirs = next(agents), next(agents)
    async with (
        mqtt(bridge, f"acme/{mine.id}", mine.token, (f"CTI/acme/{mine.id}", 1)) as deaf,
        desktop(bridge, theirs) as other,
    ):
        assert isinstance(deaf.line, TcpLine)
        deaf.line.deaf()
        receivers, number = 1, 0
        while receivers:
            answer = await trigger(agentid=mine.id, pop_ttl=2, json={"n": number, "a": "x" * 120_000})
            receivers, number = answer.said["receivers"], number + 1
        assert answer.said["status"] == "held"
        answer = await trigger(agentid=theirs.id)
        assert document(await other.message())["popid"] == answer.said["popid"]
