"""CONNECT: who is let in, who is told why not, and who is simply shut out."""

import pytest

from . import packets
from .packets import Kind
from .targets import Target

CONNACK_OK = packets.packet(Kind.CONNACK, 0, b"\x00\x00")


async def test_a_client_is_let_in_without_a_session_of_before(target: Target) -> None:
    client = await target.stranger()

    assert await client.connect("fresh") == (False, 0)


async def test_a_client_without_id_gets_one_of_its_own(target: Target) -> None:
    first = await target.client("")
    second = await target.client("")

    await first.nothing()
    await second.nothing()


async def test_a_client_without_id_may_not_ask_for_a_session_that_lasts(target: Target) -> None:
    client = await target.stranger()

    assert await client.connect("", clean=False) == (False, 2)
    assert await client.ended() == []


@pytest.mark.parametrize("client_id", ["a" * 24, "id with / + # and $", "Ünïcødé-☃-😀", "x" * 65535], ids=len)
async def test_any_client_id_will_do(target: Target, client_id: str) -> None:
    first = await target.client(client_id, clean=False)
    await first.disconnect()
    again = await target.stranger()

    assert await again.connect(client_id, clean=False) == (True, 0)


async def test_a_user_name_and_a_password_do_no_harm_where_everybody_is_let_in(target: Target) -> None:
    client = await target.client("named", username="somebody", password="something")

    await client.nothing()


@pytest.mark.parametrize("level", [0, 1, 2, 6, 7, 127])
async def test_an_unknown_protocol_level_is_told_so(target: Target, level: int) -> None:
    client = await target.stranger()
    await client.send(packets.connect("later", level=level))

    await client.expect(packets.packet(Kind.CONNACK, 0, b"\x00\x01"))
    assert await client.ended() == []


@pytest.mark.parametrize("name", ["", "mqtt", "MQT", "MQTTT", "HTTP", "MQTT\u00e9"])
async def test_another_protocol_name_is_shut_out(target: Target, name: str) -> None:
    client = await target.stranger()
    await client.send(packets.connect("other", name=name))

    assert await client.ended() == []


@pytest.mark.parametrize(
    "first",
    [
        packets.packet(Kind.CONNACK, 0, b"\x00\x00"),
        packets.publish("a", b"x"),
        packets.publish("a", b"x", qos=1, mid=1),
        packets.publish("a", b"x", qos=2, mid=1),
        *(packets.reply(kind, 1) for kind in (Kind.PUBACK, Kind.PUBREC, Kind.PUBREL, Kind.PUBCOMP)),
        packets.subscribe(1, ("a", 0)),
        packets.packet(Kind.SUBACK, 0, b"\x00\x01\x00"),
        packets.unsubscribe(1, "a"),
        packets.reply(Kind.UNSUBACK, 1),
        packets.PINGREQ,
        packets.PINGRESP,
        packets.DISCONNECT,
        b"\x00\x00",
        b"\xf0\x00",
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
    ids=lambda first: first[:6].hex(),
)
async def test_whoever_begins_with_something_else_is_shut_out(target: Target, first: bytes) -> None:
    client = await target.stranger()
    await client.send(first)

    assert await client.ended() == []


async def test_a_second_connect_ends_the_connection(target: Target) -> None:
    client = await target.client("twice")
    await client.send(packets.connect("twice"))

    assert await client.ended() == []


async def test_disconnect_ends_the_connection_and_what_follows_it_is_not_read(target: Target) -> None:
    witness = await target.client("witness")
    await witness.subscribe(("a", 0))
    client = await target.client("leaving")
    await client.send(packets.DISCONNECT, packets.publish("a", b"too late"))

    assert await client.ended() == []
    await witness.nothing()


async def test_everything_may_come_in_one_segment(target: Target) -> None:
    client = await target.stranger()
    await client.send(
        packets.connect("hasty"),
        packets.subscribe(7, ("a/b", 1)),
        packets.publish("a/b", b"x", qos=1, mid=9),
        packets.PINGREQ,
    )
    await client.expect(CONNACK_OK, packets.packet(Kind.SUBACK, 0, b"\x00\x07\x01"))

    assert (await client.message()).payload == b"x"
    assert (await client.reply(Kind.PUBACK)).body == b"\x00\x09"
    await client.reply(Kind.PINGRESP)


async def test_everything_may_come_byte_by_byte(target: Target) -> None:
    client = await target.stranger()
    whole = packets.connect("patient", username="u", password="p") + packets.subscribe(7, ("a/b", 1)) + packets.PINGREQ
    for byte in whole:
        await client.send(bytes([byte]))

    await client.expect(CONNACK_OK, packets.packet(Kind.SUBACK, 0, b"\x00\x07\x01"), packets.PINGRESP)


async def test_a_client_that_only_connects_and_goes_does_no_harm(target: Target) -> None:
    for _ in range(20):
        line = await target.line()
        line.abort()
    client = await target.client("after")

    await client.nothing()
