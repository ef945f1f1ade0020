"""The bridge dies by kill -9, or is stopped, and comes back: what was going on goes on."""

import asyncio
import json
import sqlite3
from typing import Any

import aiohttp
import pytest

from bridge.words import topics
from tests.broker.contract import packets
from tests.broker.contract.client import Client
from tests.broker.contract.lines import TcpLine
from tests.broker.contract.packets import Kind
from tests.conftest import WITHIN, basic, desktop
from tests.faults.conftest import PASSWORD, House
from tests.faults.locks import locked


def popid_of(message: packets.Message) -> str:
    popid: str = json.loads(message.payload)["popid"]
    return popid


async def tell_shown(client: Client, house: House, popid: str) -> None:
    said = json.dumps({"popid": popid, "outcome": "shown"}).encode()
    await client.publish(topics.ack("acme", house.agent.id), said, qos=1)


async def reaches_the_agent(house: House, popid: str) -> None:
    async with desktop(house.bridge, house.agent) as client:
        message = await client.message()
        assert popid_of(message) == popid
        await tell_shown(client, house, popid)
        await client.nothing()
    await house.until_status(popid, "shown")


async def test_a_held_pop_is_held_on(house: House) -> None:
    popid = (await house.trigger())["popid"]
    await house.die()
    await house.start()
    assert (await house.read(f"/api/pops/{popid}"))["status"] == "held"
    await reaches_the_agent(house, popid)


async def test_a_sent_pop_that_nobody_acknowledged_is_sent_again(house: House) -> None:
    async with desktop(house.bridge, house.agent) as client:
        popid = (await house.trigger())["popid"]
        await client.message(acknowledge=False)
        await house.die()
    await house.start()
    await reaches_the_agent(house, popid)


async def test_a_delivered_pop_is_not_sent_again_and_may_still_be_shown(house: House) -> None:
    async with desktop(house.bridge, house.agent) as client:
        popid = (await house.trigger())["popid"]
        await client.message()
        await house.until_status(popid, "delivered")
        await house.die()
    await house.start()
    async with desktop(house.bridge, house.agent) as client:
        await client.nothing()
        await tell_shown(client, house, popid)
    await house.until_status(popid, "shown")


async def test_a_pop_that_a_desktop_had_in_its_time_is_not_expired_by_a_start_after_that(house: House) -> None:
    statuses = {}
    for qos, status in ((1, "delivered"), (0, "sent")):
        async with desktop(house.bridge, house.agent, qos) as client:
            popid = (await house.trigger(pop_ttl=1, qos=qos))["popid"]
            assert popid_of(await client.message()) == popid
            await house.until_status(popid, status)
            statuses[popid] = status
    await house.until_status((await house.trigger(pop_ttl=1, qos="nobody"))["popid"], "expired")
    await house.die()
    await house.start()
    for popid, status in statuses.items():
        assert (await house.read(f"/api/pops/{popid}"))["status"] == status
    async with desktop(house.bridge, house.agent) as client:
        await client.nothing()


async def test_a_shown_pop_stays_shown(house: House) -> None:
    async with desktop(house.bridge, house.agent) as client:
        popid = (await house.trigger())["popid"]
        await tell_shown(client, house, popid_of(await client.message()))
        await house.until_status(popid, "shown")
        await house.die()
    await house.start()
    async with desktop(house.bridge, house.agent) as client:
        await client.nothing()
    assert (await house.read(f"/api/pops/{popid}"))["status"] == "shown"


async def test_what_a_desktop_says_of_a_pop_counts_though_the_bridge_forgot_that_it_sent_it(house: House) -> None:
    """A pop leaves before that is written down: the process that died may have sent what the ledger calls held."""
    popid = (await house.trigger())["popid"]
    await house.until_status(popid, "held")
    with locked(house.ledger):
        async with desktop(house.bridge, house.agent) as client:
            assert popid_of(await client.message()) == popid
        await house.die()
    await house.start()
    again = Client(await TcpLine.open("127.0.0.1", house.bridge.mqtt_port))
    assert await again.connect(username=f"acme/{house.agent.id}", password=house.agent.token) == (False, 0)
    await tell_shown(again, house, popid)  # as our client does: before it subscribes
    await house.until_status(popid, "shown")
    await again.drop()


async def test_a_shown_that_the_bridge_acknowledged_is_not_forgotten(house: House) -> None:
    """A desktop says until PUBACK that it showed a pop, and shows or says nothing of the copy that comes then."""
    async with desktop(house.bridge, house.agent) as client:
        popid = (await house.trigger())["popid"]
        await client.message()
        await house.until_status(popid, "delivered")
        said = json.dumps({"popid": popid, "outcome": "shown"}).encode()
        ack = topics.ack("acme", house.agent.id)
        with locked(house.ledger):
            await client.send(packets.publish(ack, said, qos=1, mid=99), packets.PINGREQ)
            acknowledged = (await client.packet()).kind is Kind.PUBACK
            await house.die()
    await house.start()
    async with desktop(house.bridge, house.agent) as client:
        if not acknowledged:
            await client.publish(ack, said, qos=1)
        await client.nothing()
    await house.until_status(popid, "shown")


async def cloud_pop(house: House, reference: str) -> dict[str, Any]:
    async with aiohttp.ClientSession(house.bridge.http) as http:
        login = {"Authorization": basic("cloud", PASSWORD)}
        async with http.get("/api/cloud/token", headers=login) as response:
            token = (await response.json())["Result"]["IdToken"]
        asked = {"Username": house.agent.id, "Campaign": "Support", "Reference": reference, "ScriptData": {}}
        bearer = {"Authorization": f"Bearer {token}"}
        async with http.post("/api/cloud/pop?pop_ttl=300", json=asked, headers=bearer) as response:
            result: dict[str, Any] = (await response.json())["Result"]
            return result


async def test_a_cloud_pop_whose_record_was_locked_for_it_is_not_taken_for_unchanged(house: House) -> None:
    async with desktop(house.bridge, house.agent) as client:
        result = await cloud_pop(house, "R-1")
        assert result["Status"] == "sent"
        await client.message(acknowledge=False)
        await house.until_status(result["PopId"], "sent")
        await house.die()
    await house.start()
    async with desktop(house.bridge, house.agent) as client:
        message = await client.message()
        if message.topic.startswith("DESK/"):
            message = await client.message()
        assert popid_of(message) == result["PopId"]
        await tell_shown(client, house, result["PopId"])
    await house.until_status(result["PopId"], "shown")
    assert (await house.read(f"/api/agents/{house.agent.id}"))["current"] == "R-1"


async def test_a_cloud_pop_that_was_shown_keeps_its_record_and_another_for_it_is_unchanged(house: House) -> None:
    async with desktop(house.bridge, house.agent) as client:
        popid = (await cloud_pop(house, "R-1"))["PopId"]
        await client.message()
        await tell_shown(client, house, popid)
        await house.until_status(popid, "shown")
        await house.die()
    await house.start()
    async with desktop(house.bridge, house.agent):
        assert (await cloud_pop(house, "R-1"))["Status"] == "unchanged"


async def test_sigterm_answers_every_wait_with_what_is_known(house: House) -> None:
    async with desktop(house.bridge, house.agent) as client:
        waiting = [asyncio.create_task(house.trigger(n=number, pop_wait=8)) for number in range(20)]
        popids = {popid_of(await client.message(acknowledge=number % 2 == 0)) for number in range(20)}
        await client.nothing()  # the bridge has read the acknowledgements
        assert await asyncio.to_thread(house.bridge.stop) == 0
        async with asyncio.timeout(WITHIN):
            answers = await asyncio.gather(*waiting)
    assert {answer["popid"] for answer in answers} == popids
    assert {(answer["http"], answer["status"]) for answer in answers} <= {
        (200, "held"),
        (200, "sent"),
        (200, "delivered"),
    }
    assert all(0 <= answer["ms"] < 8_000 for answer in answers)
    await house.start()
    async with desktop(house.bridge, house.agent) as client:
        again = {popid_of(message) for message in await client.heard()}
    undelivered = {answer["popid"] for answer in answers if answer["status"] != "delivered"}
    assert again == undelivered


async def test_a_caller_whose_wait_was_cut_off_asks_again_by_its_key_and_gets_the_same_pop(house: House) -> None:
    by_key = {"Idempotency-Key": "call-4711"}
    async with desktop(house.bridge, house.agent) as client:
        waiting = asyncio.create_task(house.trigger(pop_wait=8, headers=by_key))
        popid = popid_of(await client.message(acknowledge=False))
        await house.die()
        with pytest.raises((aiohttp.ClientError, OSError)):
            await waiting
    await house.start()
    again = await house.trigger(pop_wait=8, headers=by_key)
    assert (again["http"], again["popid"]) == (200, popid)
    await reaches_the_agent(house, popid)


async def test_the_duplicate_guard_remembers_beyond_the_death(house: House) -> None:
    first = await house.trigger()
    await house.die()
    await house.start()
    again = await house.trigger()
    assert (again["status"], again["popid"]) == ("duplicate", first["popid"])
    assert (await house.trigger(n=1))["status"] == "held"


async def test_held_pops_keep_their_order(house: House) -> None:
    popids = [(await house.trigger(n=number))["popid"] for number in range(30)]
    await house.die()
    await house.start()
    async with desktop(house.bridge, house.agent) as client:
        assert [popid_of(await client.message()) for _ in popids] == popids


async def test_a_ledger_that_the_bridge_was_killed_over_is_whole(house: House) -> None:
    await house.trigger()
    await house.die()
    connection = sqlite3.connect(house.ledger)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
