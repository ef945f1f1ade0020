"""Filters: which topics they match, and what subscribing twice or no longer means."""

import pytest

from . import packets
from .packets import Kind
from .targets import Target

MATCHING = [
    ("#", "a"),
    ("#", "/"),
    ("#", "a//b"),
    ("#", "/a/b"),
    ("+", "a"),
    ("+/+", "/"),
    ("+/+", "a/"),
    ("/+", "/a"),
    ("/#", "/a/b"),
    ("a/#", "a"),
    ("a/#", "a/"),
    ("a/#", "a/b/c"),
    ("a/+", "a/"),
    ("a/+", "a/b"),
    ("a/+/c", "a/b/c"),
    ("a/+/c", "a//c"),
    ("a/+/#", "a/b"),
    ("a/+/#", "a/b/c/d"),
    ("+/b/#", "a/b"),
    ("a/b", "a/b"),
    ("a/b/", "a/b/"),
    ("a//b", "a//b"),
    ("a/ b", "a/ b"),
    ("+/+/+/+/+/+/+/+", "1/2/3/4/5/6/7/8"),
    ("$own/#", "$own/a"),
    ("$own/+", "$own/a"),
    ("$own/a", "$own/a"),
    ("+/$own", "a/$own"),
]

NOT_MATCHING = [
    ("+", "/"),
    ("+", "/a"),
    ("+", "a/b"),
    ("+/+", "a"),
    ("+/+", "a/b/c"),
    ("/+", "a"),
    ("/#", "a/b"),
    ("a/#", "ab"),
    ("a/#", "b/a"),
    ("a/+", "a"),
    ("a/+", "a/b/c"),
    ("a/+/c", "a/c"),
    ("a/+/#", "a"),
    ("a/b", "a/b/"),
    ("a/b", "/a/b"),
    ("a/b", "A/b"),
    ("a/b", "a/bc"),
    ("a/b/", "a/b"),
    ("#", "$own/a"),
    ("+/a", "$own/a"),
    ("+/#", "$own/a"),
    ("+", "$own"),
]


@pytest.mark.parametrize("retained", [False, True], ids=["live", "retained"])
async def test_what_a_filter_matches_and_what_it_does_not(target: Target, *, retained: bool) -> None:
    writer = await target.client("writer")
    wrong: list[str] = []
    for number, (name, topic) in enumerate(MATCHING + NOT_MATCHING):
        reader = await target.client(f"reader {number}")
        if retained:
            await writer.publish(topic, b"x", qos=1, retain=True)
            await reader.subscribe((name, 0))
            await writer.publish(topic, b"", qos=1, retain=True)
            await reader.unsubscribe(name)
        else:
            await reader.subscribe((name, 0))
            await writer.publish(topic, b"x", qos=1)
        await reader.send(packets.publish("$end", b"", qos=1, mid=99))
        await reader.reply(Kind.PUBACK)
        await reader.send(packets.DISCONNECT)
        came = [packets.message(one) for one in await reader.ended()]
        if [one.topic for one in came if one.payload] != [topic] * ((name, topic) in MATCHING):
            wrong.append(f"{name!r} and {topic!r}: {came}")
    assert wrong == []


@pytest.mark.parametrize("name", ["a/#/b", "a#", "a/b#", "#/a", "a/b+", "+a", "a/+b/c", "a+/b", ""])
async def test_a_filter_with_a_wildcard_in_the_wrong_place_ends_the_connection(target: Target, name: str) -> None:
    client = await target.client("wrong")
    await client.send(packets.subscribe(1, (name, 0)))

    assert await client.ended() == []


async def test_suback_answers_filter_by_filter(target: Target) -> None:
    client = await target.client("many")

    assert await client.subscribe(("a", 2), ("b/+", 0), ("c/#", 1), ("a", 0)) == [2, 0, 1, 0]


async def test_a_message_that_several_filters_match_comes_once_at_the_highest_qos(target: Target) -> None:
    reader = await target.client("reader")
    # mosquitto 2.0.11 takes the QoS of the most specific filter instead, which is the same here.
    await reader.subscribe(("a/b", 2), ("a/+", 0), ("#", 1))
    await (await target.client("writer")).publish("a/b", b"x", qos=2)

    assert (await reader.message()).qos == 2
    await reader.nothing()


async def test_subscribing_again_replaces_the_qos(target: Target) -> None:
    reader = await target.client("reader")
    writer = await target.client("writer")
    for qos in (2, 0, 1):
        assert await reader.subscribe(("a", qos)) == [qos]
        await writer.publish("a", b"x", qos=2)
        assert (await reader.message()).qos == qos
        await reader.nothing()


async def test_an_unsubscribed_filter_is_heard_no_more(target: Target) -> None:
    reader = await target.client("reader")
    await reader.subscribe(("a", 1), ("b", 1), ("c/#", 1), ("d/+", 1))
    await reader.unsubscribe("a", "c/#")
    writer = await target.client("writer")
    for topic in ("a", "b", "c/x", "d/x"):
        await writer.publish(topic, b"x", qos=1)

    assert [(await reader.message()).topic for _ in range(2)] == ["b", "d/x"]
    await reader.nothing()


async def test_unsubscribing_from_one_filter_leaves_those_that_overlap(target: Target) -> None:
    reader = await target.client("reader")
    await reader.subscribe(("a/b", 1), ("a/+", 1))
    await reader.unsubscribe("a/b")
    await (await target.client("writer")).publish("a/b", b"x", qos=1)

    assert (await reader.message()).payload == b"x"
    await reader.nothing()


async def test_unsubscribing_from_what_was_never_subscribed_is_answered(target: Target) -> None:
    client = await target.client("client")
    await client.unsubscribe("never", "never/+", "#")

    await client.nothing()


async def test_unsubscribing_leaves_the_others_alone(target: Target) -> None:
    first = await target.client("first")
    second = await target.client("second")
    for client in (first, second):
        await client.subscribe(("a", 1), ("b/#", 1))
    await first.unsubscribe("a", "b/#")
    writer = await target.client("writer")
    await writer.publish("a", b"1", qos=1)
    await writer.publish("b/c", b"2", qos=1)

    assert [(await second.message()).payload for _ in range(2)] == [b"1", b"2"]
    await first.nothing()


async def test_unsubscribing_lasts_as_long_as_the_session(target: Target) -> None:
    first = await target.client("me", clean=False)
    await first.subscribe(("a", 1), ("b", 1))
    await first.unsubscribe("a")
    await first.disconnect()
    writer = await target.client("writer")
    await writer.publish("a", b"1", qos=1)
    await writer.publish("b", b"2", qos=1)
    again = await target.client("me", clean=False)

    assert (await again.message()).payload == b"2"
    await again.nothing()
