"""Stricter: where our contract, or the standard, asks for more than mosquitto 2.0.11 gives."""

import logging

import pytest

from . import packets
from .ours import Ours
from .packets import Kind


@pytest.mark.parametrize("order", [(0, 2, 1), (2, 0, 1), (1, 0, 2), (0, 1, 2)])
async def test_of_overlapping_filters_the_highest_qos_counts(ours: Ours, order: tuple[int, int, int]) -> None:
    reader = await ours.client("reader")
    await reader.subscribe(*zip(("a/b", "a/+", "#"), order, strict=True))
    await (await ours.client("writer")).publish("a/b", b"x", qos=2)

    assert (await reader.message()).qos == 2
    await reader.nothing()


@pytest.mark.parametrize(
    "hello",
    [
        packets.connect("five", level=5),
        # The same with an empty property block, as an MQTT 5 client spells it.
        packets.packet(Kind.CONNECT, 0, packets.text("MQTT") + b"\x05\x02\x00\x3c\x00" + packets.text("five")),
    ],
    ids=["plain", "with properties"],
)
async def test_an_mqtt_5_client_is_refused_and_the_log_says_what_to_set(
    ours: Ours, hello: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    client = await ours.stranger()
    with caplog.at_level(logging.INFO, logger="popbridge.broker"):
        await client.send(hello)
        await client.expect(packets.packet(Kind.CONNACK, 0, b"\x00\x01"))
        assert await client.ended() == []

    assert "3.1.1" in caplog.text


async def test_an_mqtt_3_1_client_is_refused_too(ours: Ours) -> None:
    client = await ours.stranger()
    await client.send(packets.connect("old", name="MQIsdp", level=3))

    await client.expect(packets.packet(Kind.CONNACK, 0, b"\x00\x01"))
    assert await client.ended() == []


@pytest.mark.parametrize("level", [3, 0x83, 0x84, 255])
async def test_every_other_protocol_level_is_refused(ours: Ours, level: int) -> None:
    client = await ours.stranger()
    await client.send(packets.connect("other", level=level))

    await client.expect(packets.packet(Kind.CONNACK, 0, b"\x00\x01"))
    assert await client.ended() == []
