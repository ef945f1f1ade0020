"""Keep-alive: who says nothing for one and a half times as long is gone."""

import asyncio

from . import packets
from .packets import Will
from .targets import Target


async def test_a_silent_client_is_let_go_and_one_that_pings_is_not(target: Target) -> None:
    pings = await target.client("pings", keepalive=2)
    await pings.subscribe(("gone", 1))
    silent = await target.client("silent", clean=False, keepalive=2, will=Will("gone", b"farewell", qos=1))
    await silent.subscribe(("a", 1))
    end = asyncio.ensure_future(silent.ended())
    while not end.done():
        await asyncio.wait([end], timeout=0.2)
        await pings.send(packets.PINGREQ)

    assert await end == []
    assert (await pings.message()).payload == b"farewell"
    await pings.publish("a", b"x", qos=1)
    again = await target.client("silent", clean=False)
    assert (await again.message()).payload == b"x"


async def test_neither_half_a_packet_nor_what_it_hears_keeps_a_client_alive(target: Target) -> None:
    rude = [packets.PINGREQ[:1], packets.publish("a", b"x" * 10)[:5], packets.publish("a", b"x" * 200)[:2]]
    halfway = [await target.client(f"halfway {number}", keepalive=1) for number in range(len(rude))]
    for client, half in zip(halfway, rude, strict=True):
        await client.send(half)
    listens = await target.client("listens", keepalive=1)
    await listens.subscribe(("a", 0))
    writer = await target.client("writer")
    end = asyncio.gather(*(client.ended() for client in (listens, *halfway)))
    while not end.done():
        await asyncio.wait([end], timeout=0.2)
        await writer.publish("a", b"x")

    heard, *others = await end
    assert {packets.message(one).topic for one in heard} <= {"a"}
    assert others == [[], [], []]
