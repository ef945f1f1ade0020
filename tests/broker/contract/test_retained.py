"""Retained messages: the last word on a topic, for those who subscribe later."""

import asyncio

import pytest

from .targets import Target


@pytest.mark.parametrize("published", [0, 1, 2])
@pytest.mark.parametrize("granted", [0, 1, 2])
async def test_the_last_word_is_told_to_who_subscribes_later(target: Target, published: int, granted: int) -> None:
    writer = await target.client("writer")
    await writer.publish("a", b"first", qos=published, retain=True)
    await writer.publish("a", b"last", qos=published, retain=True)
    await writer.publish("a", b"not retained", qos=1)
    await writer.disconnect()
    reader = await target.client("reader")
    await reader.subscribe(("a", granted))

    found = await reader.message()
    assert (found.payload, found.retain, found.qos) == (b"last", True, min(published, granted))
    await reader.nothing()


async def test_whoever_is_subscribed_already_gets_it_as_an_ordinary_message(target: Target) -> None:
    reader = await target.client("reader")
    await reader.subscribe(("a", 1))
    await (await target.client("writer")).publish("a", b"x", qos=1, retain=True)

    found = await reader.message()
    assert (found.payload, found.retain) == (b"x", False)
    await reader.nothing()


async def test_an_empty_one_takes_it_back(target: Target) -> None:
    live = await target.client("live")
    await live.subscribe(("a", 1))
    writer = await target.client("writer")
    await writer.publish("a", b"x", qos=1, retain=True)
    await writer.publish("a", b"", qos=1, retain=True)
    later = await target.client("later")
    await later.subscribe(("a", 1), ("#", 1))

    assert [((one := await live.message()).payload, one.retain) for _ in range(2)] == [(b"x", False), (b"", False)]
    await later.nothing()


async def test_taking_back_what_is_not_there_is_no_matter(target: Target) -> None:
    client = await target.client("client")
    await client.publish("a", b"", qos=1, retain=True)
    await client.subscribe(("a", 1))

    await client.nothing()


async def test_a_wildcard_gets_all_that_it_matches(target: Target) -> None:
    writer = await target.client("writer")
    for topic in ("a/1", "a/2", "a/2/x", "b/1"):
        await writer.publish(topic, topic.encode(), qos=1, retain=True)
    reader = await target.client("reader")
    await reader.subscribe(("a/+", 1))

    found = [await reader.message() for _ in range(2)]
    assert sorted((one.topic, one.payload, one.retain) for one in found) == [
        ("a/1", b"a/1", True),
        ("a/2", b"a/2", True),
    ]
    await reader.nothing()


async def test_subscribing_again_tells_it_again(target: Target) -> None:
    await (await target.client("writer")).publish("a", b"x", qos=1, retain=True)
    reader = await target.client("reader")
    for _ in range(3):
        await reader.subscribe(("a", 1))
        assert (await reader.message()).retain
        await reader.nothing()


async def test_resuming_a_session_does_not_tell_it_again(target: Target) -> None:
    reader = await target.client("reader", clean=False)
    await reader.subscribe(("a", 1))
    await (await target.client("writer")).publish("b", b"x", qos=1, retain=True)
    await reader.disconnect()
    again = await target.client("reader", clean=False)

    await again.nothing()


async def test_who_has_not_subscribed_is_told_nothing(target: Target) -> None:
    reader = await target.client("reader")
    await reader.subscribe(("a", 1), ("#", 0))
    await (await target.client("writer")).publish("a", b"x", qos=1, retain=True)
    stranger = await target.client("stranger")

    await stranger.nothing()


async def test_a_retained_message_waits_for_nobody_as_retained(target: Target) -> None:
    first = await target.client("me", clean=False)
    await first.subscribe(("a", 1))
    await first.disconnect()
    await (await target.client("writer")).publish("a", b"x", qos=1, retain=True)
    again = await target.client("me", clean=False)

    found = await again.message()
    assert (found.payload, found.retain) == (b"x", False)
    await again.nothing()


async def test_many_retained_messages_come_though_nobody_acknowledges_at_once(target: Target) -> None:
    writer = await target.client("writer")
    for number in range(300):
        await writer.publish(f"a/{number}", b"%d" % number, qos=1, retain=True)
    reader = await target.client("reader")
    await reader.subscribe(("a/#", 1))

    found = {(await reader.message()).topic for _ in range(300)}
    assert len(found) == 300
    await reader.nothing()


async def test_a_login_storm_does_not_disturb_the_retained_messages(target: Target) -> None:
    writer = await target.client("writer")
    for number in range(100):
        await writer.publish(f"a/{number}", b"x", retain=True)
    await writer.publish("a/last", b"x", qos=1, retain=True)

    async def reads(number: int) -> None:
        reader = await target.client(f"reader {number}")
        await reader.subscribe((f"a/{number}", 0), ("b/#", 0))
        await reader.publish(f"b/{number}", b"y", retain=True)
        while (await reader.message()).topic != f"a/{number}":
            pass

    await asyncio.gather(*(reads(number) for number in range(100)))
