"""Messages: QoS 0, 1 and 2 both ways, their handshakes, their order and their sizes."""

import pytest

from . import packets
from .packets import Kind
from .targets import Target


@pytest.mark.parametrize("published", [0, 1, 2])
@pytest.mark.parametrize("granted", [0, 1, 2])
async def test_a_message_arrives_at_the_lower_of_both_qos(target: Target, published: int, granted: int) -> None:
    reader = await target.client("reader")
    assert await reader.subscribe(("a/b", granted)) == [granted]
    writer = await target.client("writer")
    await writer.publish("a/b", b"x", qos=published)

    found = await reader.message()
    assert (found.topic, found.payload, found.qos) == ("a/b", b"x", min(published, granted))
    assert not found.retain
    assert not found.dup
    await reader.nothing()


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_whoever_publishes_hears_itself(target: Target, qos: int) -> None:
    client = await target.client("both")
    await client.subscribe(("a", qos))
    await client.publish("a", b"x", qos=qos)

    assert (await client.message()).payload == b"x"
    await client.nothing()


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("payload", [b"", b"\x00", bytes(range(256)), b"x" * 127, b"x" * 128, b"x" * 16384])
async def test_any_payload_arrives_as_it_was_sent(target: Target, qos: int, payload: bytes) -> None:
    reader = await target.client("reader")
    await reader.subscribe(("a", 2))
    await (await target.client("writer")).publish("a", payload, qos=qos)

    assert (await reader.message()).payload == payload


async def test_a_large_message_arrives_as_it_was_sent(target: Target) -> None:
    reader = await target.client("reader")
    await reader.subscribe(("a", 1))
    payload = bytes(range(256)) * 1000
    await (await target.client("writer")).publish("a", payload, qos=1)

    assert (await reader.message()).payload == payload


@pytest.mark.parametrize("topic", ["/", "//", " ", "a/ /b", "Ünï/☃/😀", "x" * 65535], ids=len)
async def test_any_topic_will_do(target: Target, topic: str) -> None:
    reader = await target.client("reader")
    assert await reader.subscribe((topic, 1)) == [1]
    await (await target.client("writer")).publish(topic, b"x", qos=1)

    assert (await reader.message()).topic == topic


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_messages_arrive_in_the_order_they_were_sent(target: Target, qos: int) -> None:
    reader = await target.client("reader")
    await reader.subscribe(("a/#", qos))
    writer = await target.client("writer")
    for number in range(60):
        await writer.publish(f"a/{number % 3}", b"%d" % number, qos=qos)

    assert [(await reader.message()).payload for _ in range(60)] == [b"%d" % number for number in range(60)]


async def test_packet_ids_in_flight_are_distinct_and_never_nought(target: Target) -> None:
    reader = await target.client("reader")
    await reader.subscribe(("a", 1))
    writer = await target.client("writer")
    for _ in range(15):
        await writer.publish("a", b"x", qos=1)
    mids = [(await reader.message(acknowledge=False)).mid for _ in range(15)]

    assert len(set(mids)) == 15
    assert 0 not in mids


async def test_a_reader_that_acknowledges_late_gets_everything_in_order(target: Target) -> None:
    reader = await target.client("reader")
    await reader.subscribe(("a", 1))
    writer = await target.client("writer")
    for number in range(110):
        await writer.publish("a", b"%d" % number, qos=1)

    assert [(await reader.message()).payload for _ in range(110)] == [b"%d" % number for number in range(110)]
    await reader.nothing()


async def test_acknowledgements_may_come_in_any_order(target: Target) -> None:
    reader = await target.client("reader", clean=False)
    await reader.subscribe(("a", 1))
    writer = await target.client("writer")
    for number in range(4):
        await writer.publish("a", b"%d" % number, qos=1)
    mids = [(await reader.message(acknowledge=False)).mid for _ in range(4)]
    for mid in (mids[2], mids[0]):
        await reader.send(packets.reply(Kind.PUBACK, mid))
    await reader.nothing()
    await reader.drop()
    again = await target.client("reader", clean=False)

    assert [(await again.message()).payload for _ in range(2)] == [b"1", b"3"]
    await again.nothing()


async def test_a_packet_id_may_be_used_again_once_it_is_acknowledged(target: Target) -> None:
    reader = await target.client("reader")
    await reader.subscribe(("a", 2))
    writer = await target.client("writer")
    for payload in (b"1", b"2"):
        await writer.send(packets.publish("a", payload, qos=2, mid=1))
        await writer.expect(packets.reply(Kind.PUBREC, 1))
        await writer.send(packets.reply(Kind.PUBREL, 1))
        await writer.expect(packets.reply(Kind.PUBCOMP, 1))

    assert [(await reader.message()).payload for _ in range(2)] == [b"1", b"2"]


async def test_the_same_packet_id_may_be_in_use_both_ways(target: Target) -> None:
    client = await target.client("both")
    await client.subscribe(("a", 2))
    await client.send(packets.publish("a", b"x", qos=2, mid=1), packets.reply(Kind.PUBREL, 1))
    await client.reply(Kind.PUBREC)
    await client.reply(Kind.PUBCOMP)

    assert (await client.message()).payload == b"x"
    await client.nothing()


async def test_a_repeated_message_at_qos_2_is_delivered_once(target: Target) -> None:
    reader = await target.client("reader")
    await reader.subscribe(("a", 2))
    writer = await target.client("writer")
    await writer.send(packets.publish("a", b"x", qos=2, mid=9))
    await writer.send(packets.publish("a", b"x", qos=2, mid=9, dup=True))
    await writer.expect(packets.reply(Kind.PUBREC, 9), packets.reply(Kind.PUBREC, 9))
    await writer.send(packets.reply(Kind.PUBREL, 9))
    await writer.expect(packets.reply(Kind.PUBCOMP, 9))

    assert (await reader.message()).payload == b"x"
    await reader.nothing()


async def test_a_repeated_release_is_completed_again(target: Target) -> None:
    writer = await target.client("writer")
    await writer.publish("a", b"x", qos=2)
    await writer.send(packets.reply(Kind.PUBREL, 1))

    await writer.expect(packets.reply(Kind.PUBCOMP, 1))


async def test_several_messages_at_qos_2_may_be_on_their_way(target: Target) -> None:
    reader = await target.client("reader")
    await reader.subscribe(("a", 0))
    writer = await target.client("writer")
    mids = range(1, 11)
    await writer.send(*(packets.publish("a", b"%d" % mid, qos=2, mid=mid) for mid in mids))
    await writer.expect(*(packets.reply(Kind.PUBREC, mid) for mid in mids))
    await writer.send(*(packets.reply(Kind.PUBREL, mid) for mid in mids))
    await writer.expect(*(packets.reply(Kind.PUBCOMP, mid) for mid in mids))

    assert sorted([int((await reader.message()).payload) for _ in mids]) == list(mids)


async def test_a_publishers_dup_is_its_own_affair(target: Target) -> None:
    reader = await target.client("reader")
    await reader.subscribe(("a", 1))
    writer = await target.client("writer")
    await writer.send(packets.publish("a", b"x", qos=1, mid=3, dup=True))
    await writer.expect(packets.reply(Kind.PUBACK, 3))

    assert not (await reader.message()).dup


async def test_an_acknowledgement_of_nothing_does_not_disturb_the_others(target: Target) -> None:
    reader = await target.client("reader")
    await reader.subscribe(("a", 1))
    rude = await target.client("rude")
    await rude.send(packets.reply(Kind.PUBACK, 4711), packets.reply(Kind.PUBCOMP, 4711), packets.PINGREQ)
    await (await target.client("writer")).publish("a", b"x", qos=1)

    assert (await reader.message()).payload == b"x"


async def test_messages_are_acknowledged_in_the_order_they_came(target: Target) -> None:
    writer = await target.client("writer")
    mids = [5, 3, 9, 1, 7]
    await writer.send(*(packets.publish("a", b"x", qos=1, mid=mid) for mid in mids))

    await writer.expect(*(packets.reply(Kind.PUBACK, mid) for mid in mids))


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_everybody_who_subscribed_gets_a_copy(target: Target, qos: int) -> None:
    readers = [await target.client(f"reader {number}") for number in range(20)]
    for number, reader in enumerate(readers):
        await reader.subscribe((("a/b", "a/+", "#", "a/b/#")[number % 4], number % 3))
    await (await target.client("writer")).publish("a/b", b"x", qos=qos)

    for number, reader in enumerate(readers):
        found = await reader.message()
        assert (found.payload, found.qos) == (b"x", min(qos, number % 3))
        await reader.nothing()
