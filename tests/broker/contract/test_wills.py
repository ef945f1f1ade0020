"""Wills: what is said for a client that is gone without a word, and when nothing is said."""

import pytest

from . import packets
from .packets import Kind, Will
from .targets import Target


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_line_that_breaks_fires_the_will(target: Target, qos: int) -> None:
    witness = await target.client("witness")
    await witness.subscribe(("gone/#", 2))
    client = await target.client("client", will=Will("gone/client", b"farewell", qos=qos))
    client.line.abort()

    found = await witness.message()
    assert (found.topic, found.payload, found.qos, found.retain) == ("gone/client", b"farewell", qos, False)
    await witness.nothing()


async def test_a_line_that_is_closed_without_a_word_fires_the_will(target: Target) -> None:
    witness = await target.client("witness")
    await witness.subscribe(("gone", 1))
    client = await target.client("client", will=Will("gone", b"farewell", qos=1))
    await client.drop()

    assert (await witness.message()).payload == b"farewell"


async def test_disconnect_takes_the_will_back(target: Target) -> None:
    witness = await target.client("witness")
    await witness.subscribe(("gone", 1))
    client = await target.client("client", will=Will("gone", b"farewell", qos=1))
    await client.disconnect()

    await witness.nothing()


async def test_a_breach_of_protocol_fires_the_will(target: Target) -> None:
    witness = await target.client("witness")
    await witness.subscribe(("gone", 1))
    client = await target.client("client", will=Will("gone", b"farewell", qos=1))
    await client.send(packets.publish("#", b"no topic"))

    assert (await witness.message()).payload == b"farewell"


async def test_a_malformed_disconnect_fires_the_will(target: Target) -> None:
    witness = await target.client("witness")
    await witness.subscribe(("gone", 1))
    client = await target.client("client", will=Will("gone", b"farewell", qos=1))
    await client.send(packets.packet(Kind.DISCONNECT, 0x01))

    assert (await witness.message()).payload == b"farewell"


async def test_a_take_over_fires_the_will_of_the_older_once(target: Target) -> None:
    witness = await target.client("witness")
    await witness.subscribe(("gone", 1))
    older = await target.client("client", will=Will("gone", b"older", qos=1))
    later = await target.client("client", will=Will("gone", b"later", qos=1))
    await older.ended()

    assert (await witness.message()).payload == b"older"
    await witness.nothing()
    await later.disconnect()
    await witness.nothing()


async def test_a_will_of_before_is_forgotten(target: Target) -> None:
    witness = await target.client("witness")
    await witness.subscribe(("gone", 1))
    first = await target.client("client", clean=False, will=Will("gone", b"farewell", qos=1))
    await first.disconnect()
    second = await target.client("client", clean=False)
    await second.drop()
    third = await target.client("client", clean=False)

    await third.nothing()
    await witness.nothing()


async def test_a_will_is_retained_where_it_says_so(target: Target) -> None:
    witness = await target.client("witness")
    await witness.subscribe(("gone", 1))
    client = await target.client("client", will=Will("gone", b"farewell", qos=1, retain=True))
    client.line.abort()
    assert not (await witness.message()).retain
    later = await target.client("later")
    await later.subscribe(("gone", 1))

    found = await later.message()
    assert (found.payload, found.retain) == (b"farewell", True)


async def test_a_will_may_be_empty_or_binary(target: Target) -> None:
    witness = await target.client("witness")
    await witness.subscribe(("gone/#", 1))
    for payload in (b"", b"\x00\xff\xfe"):
        client = await target.client("client", will=Will("gone/x", payload, qos=1))
        client.line.abort()
        assert (await witness.message()).payload == payload


async def test_a_will_waits_for_a_session_that_lasts(target: Target) -> None:
    reader = await target.client("reader", clean=False)
    await reader.subscribe(("gone", 1))
    await reader.disconnect()
    client = await target.client("client", will=Will("gone", b"farewell", qos=1))
    await client.drop()
    await (await target.client("after")).nothing()
    again = await target.client("reader", clean=False)

    assert (await again.message()).payload == b"farewell"


@pytest.mark.parametrize("topic", ["a/+", "a/#", "#", "", "a\x00b"])
async def test_a_will_to_no_topic_is_not_accepted(target: Target, topic: str) -> None:
    client = await target.stranger()
    await client.send(packets.connect("client", will=Will(topic, b"farewell")))

    # Some brokers answer with a refusal before they close; none may let it in.
    assert [one.body[1] for one in await client.ended() if one.kind is Kind.CONNACK] in ([], [5])
