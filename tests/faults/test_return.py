"""A desktop comes back after its pops' time: it shows nothing, however the time went by."""

import asyncio
import time

import pytest

from agent_client import Desktop, State
from tests.broker.contract import packets
from tests.broker.contract.client import Client
from tests.broker.contract.lines import TcpLine
from tests.broker.contract.packets import Kind
from tests.conftest import WITHIN, desktop
from tests.faults.conftest import House


async def time_is_over(seconds: float = 1.0) -> None:
    """Let a `pop_ttl` go by, the shortest unless told: time itself is waited for, no effect."""
    over = time.time() + seconds + 0.1
    while (left := over - time.time()) > 0:  # noqa: ASYNC110 - see above
        await asyncio.sleep(left)


async def several(house: House) -> list[str]:
    return [(await house.trigger(n=number, pop_ttl=1))["popid"] for number in range(5)]


async def test_a_desktop_that_comes_after_the_time_gets_nothing(house: House) -> None:
    popids = await several(house)
    for popid in popids:
        await house.until_status(popid, "expired")
    async with desktop(house.bridge, house.agent) as client:
        await client.nothing()
        lasting = (await house.trigger(n="lasting"))["popid"]
        assert lasting in (await client.message()).payload.decode()
        await client.nothing()


async def test_neither_does_one_that_had_it_and_did_not_acknowledge(house: House) -> None:
    async with desktop(house.bridge, house.agent) as client:
        popids = await several(house)
        assert len([await client.message(acknowledge=False) for _ in popids]) == 5
    for popid in popids:
        await house.until_status(popid, "expired")
    async with desktop(house.bridge, house.agent) as client:
        await client.nothing()


async def test_neither_does_a_session_that_was_kept(house: House) -> None:
    async def kept(port: int) -> Client:
        client = Client(await TcpLine.open("127.0.0.1", port))
        username = f"acme/{house.agent.id}"
        session, code = await client.connect("kept", clean=False, username=username, password=house.agent.token)
        assert code == 0
        if not session:
            assert await client.subscribe((f"CTI/acme/{house.agent.id}", 1)) == [1]
        return client

    client = await kept(house.bridge.mqtt_port)
    first = await several(house)
    assert len([await client.message(acknowledge=False) for _ in first]) == 5
    await client.drop()
    second = [(await house.trigger(n=f"offline {number}", pop_ttl=1))["popid"] for number in range(5)]
    for popid in first + second:
        await house.until_status(popid, "expired")
    again = await kept(house.bridge.mqtt_port)
    await again.nothing()
    await again.drop()


async def test_pops_waiting_behind_a_full_window_are_not_written_after_their_time(house: House) -> None:
    async with desktop(house.bridge, house.agent) as client:
        popids = [(await house.trigger(n=number, pop_ttl=2))["popid"] for number in range(120)]
        window = [await client.message(acknowledge=False) for _ in range(100)]
        for popid in popids:
            await house.until_status(popid, "expired")
        lasting = (await house.trigger(n="lasting"))["popid"]
        for message in window:
            await client.send(packets.reply(Kind.PUBACK, message.mid))
        assert lasting in (await client.message()).payload.decode()
        await client.nothing()


@pytest.mark.parametrize("had_it", [False, True])
async def test_the_time_goes_by_while_the_bridge_is_dead(house: House, had_it: bool) -> None:  # noqa: FBT001 - a case
    if had_it:
        async with desktop(house.bridge, house.agent) as client:
            popids = await several(house)
            assert len([await client.message(acknowledge=False) for _ in popids]) == 5
            await house.die()
    else:
        popids = await several(house)
        await house.die()
    await time_is_over()
    await house.start()
    async with desktop(house.bridge, house.agent) as client:
        await client.nothing()
    for popid in popids:
        said = await house.read(f"/api/pops/{popid}")
        assert said["status"] == "expired"
        assert [step["status"] for step in said["steps"]].count("expired") == 1
    assert (await house.read("/api/pops?status=held"))["items"] == []


async def test_a_pop_delivered_before_the_death_stays_delivered_when_its_time_goes_by(house: House) -> None:
    async with desktop(house.bridge, house.agent) as client:
        popid = (await house.trigger(pop_ttl=3))["popid"]
        await client.message()
        await house.until_status(popid, "delivered")
        await house.die()
    await time_is_over(3)
    await house.start()
    assert (await house.read(f"/api/pops/{popid}"))["status"] == "delivered"
    async with desktop(house.bridge, house.agent) as client:
        await client.nothing()


async def test_our_own_client_shows_what_is_in_time_and_nothing_else(house: House) -> None:
    gone = await several(house)
    lasting = (await house.trigger(n="lasting"))["popid"]
    for popid in gone:
        await house.until_status(popid, "expired")
    server = f"mqtt://127.0.0.1:{house.bridge.mqtt_port}"
    async with Desktop(server, "acme", house.agent.id, house.agent.token) as own:
        async with asyncio.timeout(WITHIN):
            assert (await anext(own)).popid == lasting
            await own.reached(State.CAUGHT_UP)
        assert own._screen._waiting == {}
    await house.until_status(lasting, "shown")
