"""Malformed packets: every one ends the connection, and none does anything else."""

import random

import pytest

from . import packets
from .ours import Ours
from .packets import Kind, Will
from .targets import Target

CONNACK_OK = packets.packet(Kind.CONNACK, 0, b"\x00\x00")

CONNECTS = {
    "flags in the fixed header": b"\x11" + packets.connect("me")[1:],
    "the reserved connect flag": packets.connect("me", flags=0x03),
    "will QoS 3": packets.connect("me", will=Will("w", b"x"), flags=0x02 | 0x04 | 0x18),
    "will QoS without a will": packets.connect("me", flags=0x02 | 0x08),
    "will retain without a will": packets.connect("me", flags=0x02 | 0x20),
    "a password without a user name": packets.connect("me", password="p", flags=0x02 | 0x40),
    "a user name announced but missing": packets.connect("me", flags=0x02 | 0x80),
    "a password announced but missing": packets.connect("me", username="u", flags=0x02 | 0xC0),
    "a will announced but missing": packets.connect("me", flags=0x02 | 0x04),
    "a will without its payload": packets.packet(
        Kind.CONNECT, 0, packets.text("MQTT") + b"\x04\x06\x00\x3c" + packets.text("me") + packets.text("w")
    ),
    "nothing after the fixed header": b"\x10\x00",
    "nothing after the protocol name": packets.packet(Kind.CONNECT, 0, packets.text("MQTT")),
    "nothing after the level": packets.packet(Kind.CONNECT, 0, packets.text("MQTT") + b"\x04"),
    "no client id": packets.packet(Kind.CONNECT, 0, packets.text("MQTT") + b"\x04\x02\x00\x3c"),
    "a client id longer than the packet": packets.packet(
        Kind.CONNECT, 0, packets.text("MQTT") + b"\x04\x02\x00\x3c" + b"\x00\x09me"
    ),
    "a client id that is not UTF-8": packets.connect(b"\xff\xfe"),
    "a client id with an overlong encoding": packets.connect(b"\xc0\xaf"),
    "a client id with a surrogate": packets.connect(b"\xed\xa0\x80"),
    "a client id with NUL": packets.connect(b"m\x00e"),
    "a length of five bytes": b"\x10\x80\x80\x80\x80\x01" + packets.connect("me")[2:],
    "a length that never ends": b"\x10\xff\xff\xff\xff\xff",
}

PACKETS = {
    "type 0": b"\x00\x00",
    "type 15": b"\xf0\x00",
    "CONNACK from a client": packets.packet(Kind.CONNACK, 0, b"\x00\x00"),
    "PUBLISH at QoS 3": packets.packet(Kind.PUBLISH, 0x06, packets.text("a") + b"\x00\x01x"),
    "PUBLISH at QoS 1 with packet id 0": packets.publish("a", b"x", qos=1, mid=0),
    "PUBLISH at QoS 2 with packet id 0": packets.publish("a", b"x", qos=2, mid=0),
    "PUBLISH at QoS 1 without packet id": packets.packet(Kind.PUBLISH, 0x02, packets.text("a")),
    "PUBLISH at QoS 1 with half a packet id": packets.packet(Kind.PUBLISH, 0x02, packets.text("a") + b"\x00"),
    "PUBLISH to no topic": packets.publish("", b"x"),
    "PUBLISH to +": packets.publish("a/+", b"x"),
    "PUBLISH to #": packets.publish("#", b"x"),
    "PUBLISH to a/#/b": packets.publish("a/#/b", b"x"),
    "PUBLISH to a+b": packets.publish("a+b", b"x"),
    "PUBLISH to what is not UTF-8": packets.publish(b"a\xff", b"x"),
    "PUBLISH to an overlong encoding": packets.publish(b"a\xc0\x80", b"x"),
    "PUBLISH to a surrogate": packets.publish(b"a\xed\xbf\xbf", b"x"),
    "PUBLISH to NUL": packets.publish(b"a\x00b", b"x"),
    "PUBLISH with a topic longer than itself": packets.packet(Kind.PUBLISH, 0, b"\x00\x09a"),
    "PUBLISH of nothing": packets.packet(Kind.PUBLISH),
    "PUBLISH of one byte": packets.packet(Kind.PUBLISH, 0, b"\x00"),
    "PUBACK with packet id 0": packets.reply(Kind.PUBACK, 0),
    "PUBACK of nothing": packets.packet(Kind.PUBACK),
    "PUBACK of one byte": packets.packet(Kind.PUBACK, 0, b"\x00"),
    "PUBREC with packet id 0": packets.reply(Kind.PUBREC, 0),
    "PUBREL without its flag": packets.packet(Kind.PUBREL, 0x00, b"\x00\x01"),
    "PUBREL with other flags": packets.packet(Kind.PUBREL, 0x03, b"\x00\x01"),
    "PUBREL with packet id 0": packets.reply(Kind.PUBREL, 0),
    "PUBCOMP with packet id 0": packets.reply(Kind.PUBCOMP, 0),
    "SUBSCRIBE without its flag": packets.packet(Kind.SUBSCRIBE, 0x00, b"\x00\x01" + packets.text("a") + b"\x00"),
    "SUBSCRIBE with packet id 0": packets.subscribe(0, ("a", 0)),
    "SUBSCRIBE to nothing": packets.subscribe(1),
    "SUBSCRIBE of nothing": packets.packet(Kind.SUBSCRIBE, 0x02),
    "SUBSCRIBE without a QoS": packets.packet(Kind.SUBSCRIBE, 0x02, b"\x00\x01" + packets.text("a")),
    "SUBSCRIBE at QoS 3": packets.subscribe(1, ("a", 3)),
    "SUBSCRIBE with reserved bits": packets.subscribe(1, ("a", 0x81)),
    "SUBSCRIBE with a filter longer than itself": packets.packet(Kind.SUBSCRIBE, 0x02, b"\x00\x01\x00\x09a\x00"),
    "SUBSCRIBE to what is not UTF-8": packets.subscribe(1, (b"\xff", 0)),
    "SUBSCRIBE to NUL": packets.subscribe(1, (b"a\x00", 0)),
    "UNSUBSCRIBE without its flag": packets.packet(Kind.UNSUBSCRIBE, 0x00, b"\x00\x01" + packets.text("a")),
    "UNSUBSCRIBE with packet id 0": packets.unsubscribe(0, "a"),
    "UNSUBSCRIBE from nothing": packets.unsubscribe(1),
    "UNSUBSCRIBE from what is not UTF-8": packets.unsubscribe(1, b"\xff"),
    "UNSUBSCRIBE with a filter longer than itself": packets.packet(Kind.UNSUBSCRIBE, 0x02, b"\x00\x01\x00\x09a"),
    "DISCONNECT with flags": packets.packet(Kind.DISCONNECT, 0x01),
    "a length of five bytes": b"\x30\x80\x80\x80\x80\x01\x00\x01a",
}


# mosquitto 2.0.11 lets these pass.
STRICTER = {
    "SUBACK from a client": packets.packet(Kind.SUBACK, 0, b"\x00\x01\x00"),
    "UNSUBACK from a client": packets.reply(Kind.UNSUBACK, 1),
    "PINGRESP from a client": packets.PINGRESP,
    "PUBACK with flags": packets.packet(Kind.PUBACK, 0x02, b"\x00\x01"),
    "PUBREC with flags": packets.packet(Kind.PUBREC, 0x01, b"\x00\x01"),
    "PUBCOMP with flags": packets.packet(Kind.PUBCOMP, 0x08, b"\x00\x01"),
    "PINGREQ with flags": packets.packet(Kind.PINGREQ, 0x01),
}


@pytest.mark.parametrize("what", CONNECTS)
async def test_a_malformed_connect_is_not_let_in(target: Target, what: str) -> None:
    client = await target.stranger()
    await client.send(CONNECTS[what])

    assert CONNACK_OK not in [packets.packet(*one) for one in await client.ended()]


@pytest.mark.parametrize("what", PACKETS)
async def test_a_malformed_packet_ends_the_connection_and_does_nothing(target: Target, what: str) -> None:
    witness = await target.client("witness")
    await witness.subscribe(("#", 0))
    client = await target.client("rude")
    # What follows looks like a message: a broker that lost its place, or reads on, would publish it.
    await client.send(PACKETS[what], packets.publish("smuggled", b"x"))

    assert await client.ended() == []
    await witness.nothing()


@pytest.mark.parametrize("what", STRICTER)
async def test_what_mosquitto_lets_pass_ends_the_connection_too(ours: Ours, what: str) -> None:
    client = await ours.client("rude")
    await client.send(STRICTER[what])

    assert await client.ended() == []


@pytest.mark.parametrize("whole", ["plain", "full"])
async def test_a_connect_cut_off_at_any_byte_leaves_nothing_behind(target: Target, whole: str) -> None:
    full = {
        "plain": packets.connect("me", clean=False),
        "full": packets.connect("me", clean=False, will=Will("gone", b"x", 1), username="u", password="p"),
    }[whole]
    witness = await target.client("witness")
    await witness.subscribe(("gone", 1))
    for cut in range(len(full)):
        line = await target.line()
        await line.send(full[:cut])
        if cut % 2:
            line.abort()
        else:
            await line.close()
    client = await target.stranger()

    assert await client.connect("me", clean=False) == (False, 0)
    await witness.nothing()


async def test_a_packet_cut_off_at_any_byte_does_nothing(target: Target) -> None:
    witness = await target.client("witness")
    await witness.subscribe(("#", 0))
    for one in (
        packets.publish("a", b"cut", qos=1, mid=1),
        packets.subscribe(1, ("a", 1)),
        packets.unsubscribe(1, "a"),
    ):
        for cut in range(1, len(one)):
            client = await target.client("rude")
            await client.send(one[:cut])
            await client.drop()
    await target.client("after")

    await witness.nothing()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("known", [False, True], ids=["stranger", "client"])
async def test_garbage_does_not_disturb_the_others(target: Target, seed: int, *, known: bool) -> None:
    noise = random.Random(seed)  # noqa: S311 - the same garbage each time
    witness = await target.client("witness")
    await witness.subscribe(("a", 1))
    for _ in range(20):
        client = await (target.client("rude") if known else target.stranger())
        await client.send(noise.randbytes(noise.randrange(1, 200)))
        client.line.abort()
    await (await target.client("writer")).publish("a", b"x", qos=1)

    assert (await witness.message()).payload == b"x"
