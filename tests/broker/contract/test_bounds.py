"""Bounds: nothing grows without one, and each is told to whom it stops."""

import pytest

from bridge.words.settings import Duration, Mqtt, Size
from bridge.words.topics import permits

from . import packets
from .client import eventually
from .ours import ANYWHERE, OpenGate, Ours, RoleGate, desktop, feed, running
from .packets import Kind

A = desktop("acme", "1001")
FEED = feed("acme")


async def refused(ours: Ours, client_id: str = "", *, clean: bool = True) -> None:
    client = await ours.stranger()
    assert await client.connect(client_id, clean=clean) == (False, 3)
    assert await client.ended() == []


@pytest.mark.parametrize("begun", [0, 1, 2, 10], ids=lambda begun: f"{begun} bytes")
async def test_connect_must_be_complete_in_time(road: str, begun: int) -> None:
    settings = Mqtt(bind=ANYWHERE, connect_timeout=Duration(1.0))
    async with running(road, OpenGate(), settings=settings) as ours:
        client = await ours.stranger()
        if begun:
            await client.send(packets.connect("slow")[:begun])

        assert await client.ended() == []
        assert ours.broker.counters.connect_timeouts == 1
        await (await ours.client("brisk")).nothing()


async def test_whoever_logged_in_in_time_stays(road: str) -> None:
    async with running(road, OpenGate(), settings=Mqtt(bind=ANYWHERE, connect_timeout=Duration(1.0))) as ours:
        client = await ours.client("brisk")
        await (await ours.stranger()).ended()

        await client.nothing()


async def test_a_packet_too_large_is_refused_by_its_head(road: str) -> None:
    async with running(road, OpenGate(), settings=Mqtt(bind=ANYWHERE, max_packet=Size(2000))) as ours:
        client = await ours.client("large")
        await client.publish("a", b"x" * 1900, qos=1)
        await client.send(b"\x30" + packets.length(2100))

        assert await client.ended() == []


@pytest.mark.parametrize("claimed", [2_100, 20_000_000, 268_435_455])
async def test_before_the_login_the_ordinary_size_is_the_limit(road: str, claimed: int) -> None:
    async with running(road, OpenGate(), settings=Mqtt(bind=ANYWHERE, max_packet=Size(2000))) as ours:
        client = await ours.stranger()
        await client.send(b"\x10" + packets.length(claimed))

        assert await client.ended() == []


async def test_a_feed_may_send_more_than_a_desktop(road: str) -> None:
    settings = Mqtt(bind=ANYWHERE, max_packet=Size(2000), max_packet_feed=Size(3_000_000))
    async with running(road, RoleGate(A, FEED), settings=settings, permits=permits) as ours:
        publisher = await ours.enter(FEED)
        await publisher.publish("CLOUDSYNC/acme/x", b"x" * 2_900_000, qos=1)
        await publisher.send(b"\x30" + packets.length(3_100_000))
        assert await publisher.ended() == []
        agent = await ours.enter(A)
        await agent.send(b"\x30" + packets.length(2_100))

        assert await agent.ended() == []


async def test_over_the_number_of_connections_the_next_is_refused(road: str) -> None:
    async with running(road, OpenGate(), settings=Mqtt(bind=ANYWHERE, max_connections=3)) as ours:
        clients = [await ours.client(f"client {number}") for number in range(3)]
        await refused(ours)
        for client in clients:
            await client.nothing()
        await clients[0].disconnect()
        await eventually(lambda: ours.broker.gauges().connections < 3)

        await (await ours.client("next")).nothing()


async def test_over_the_number_of_connections_not_logged_in_the_next_is_refused(road: str) -> None:
    async with running(road, OpenGate(), settings=Mqtt(bind=ANYWHERE, max_connecting_per_address=3)) as ours:
        for number in range(5):
            await ours.client(f"client {number}")
        waiting = [await ours.stranger() for _ in range(3)]
        await eventually(lambda: ours.broker.gauges().connecting == 3)
        await refused(ours)
        assert await waiting[0].connect("let in") == (False, 0)

        await (await ours.client("next")).nothing()


async def test_over_the_number_of_sessions_only_known_ones_come_back(road: str) -> None:
    async with running(road, OpenGate(), settings=Mqtt(bind=ANYWHERE, max_sessions=3)) as ours:
        for number in range(3):
            await (await ours.client(f"client {number}", clean=False)).disconnect()
        await refused(ours, "another", clean=False)
        await refused(ours, "another")
        client = await ours.stranger()

        assert await client.connect("client 1", clean=False) == (True, 0)


async def test_a_session_unused_for_long_is_dropped(road: str) -> None:
    settings = Mqtt(bind=ANYWHERE, session_expiry=Duration(0.1))
    async with running(road, OpenGate(), settings=settings) as ours:
        client = await ours.client("me", clean=False)
        await client.subscribe(("a", 1))
        await client.disconnect()
        await eventually(lambda: ours.broker.gauges().sessions == 0)
        assert ours.broker.gauges().subscriptions == 0
        again = await ours.stranger()

        assert await again.connect("me", clean=False) == (False, 0)


async def test_over_the_number_of_filters_the_next_is_refused(road: str) -> None:
    async with running(road, OpenGate(), settings=Mqtt(bind=ANYWHERE, max_subscriptions=3)) as ours:
        client = await ours.client("many")
        assert await client.subscribe(*((f"a/{number}", 1) for number in range(5))) == [1, 1, 1, 0x80, 0x80]
        assert await client.subscribe(("a/1", 2)) == [2]
        await client.unsubscribe("a/0")

        assert await client.subscribe(("a/3", 0)) == [0]


async def test_over_the_number_of_retained_messages_a_new_topic_is_only_delivered(road: str) -> None:
    async with running(road, OpenGate(), settings=Mqtt(bind=ANYWHERE, max_retained=2)) as ours:
        client = await ours.client("client")
        for topic, payload in (("a", b"1"), ("b", b"2"), ("c", b"3"), ("a", b"4")):
            await client.publish(topic, payload, qos=1, retain=True)
        first = await ours.client("first")
        await first.subscribe(("#", 0))
        assert sorted(one.payload for one in await first.heard()) == [b"2", b"4"]
        await client.publish("a", b"", qos=1, retain=True)
        await client.publish("c", b"5", qos=1, retain=True)
        second = await ours.client("second")
        await second.subscribe(("#", 0))

        assert sorted(one.payload for one in await second.heard()) == [b"2", b"5"]


async def test_a_session_that_waits_keeps_no_more_than_its_queue(road: str) -> None:
    async with running(road, OpenGate(), settings=Mqtt(bind=ANYWHERE, queue=5)) as ours:
        first = await ours.client("me", clean=False)
        await first.subscribe(("a", 1))
        await first.disconnect()
        writer = await ours.client("writer")
        for number in range(8):
            await writer.publish("a", b"%d" % number, qos=1)
        again = await ours.client("me", clean=False)

        assert [(await again.message()).payload for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]
        await again.nothing()
        assert ours.broker.counters.dropped_queue_full == 3


async def test_no_more_is_in_flight_than_the_window(road: str) -> None:
    async with running(road, OpenGate(), settings=Mqtt(bind=ANYWHERE, inflight=3)) as ours:
        reader = await ours.client("reader")
        await reader.subscribe(("a", 2))
        writer = await ours.client("writer")
        for number in range(6):
            await writer.publish("a", b"%d" % number, qos=1)
        first = [await reader.message(acknowledge=False) for _ in range(3)]
        await reader.nothing()
        await reader.send(packets.reply(Kind.PUBACK, first[1].mid))
        fourth = await reader.message(acknowledge=False)
        await reader.nothing()

        assert [one.payload for one in (*first, fourth)] == [b"0", b"1", b"2", b"3"]


async def test_retained_messages_never_count_as_a_queue(road: str) -> None:
    async with running(road, OpenGate(), settings=Mqtt(bind=ANYWHERE, inflight=3, queue=5)) as ours:
        writer = await ours.client("writer")
        for number in range(100):
            await writer.publish(f"a/{number}", b"x", qos=1, retain=True)
        reader = await ours.client("reader")
        await reader.subscribe(("a/#", 1))
        found = [await reader.message(acknowledge=False) for _ in range(3)]
        await reader.nothing()
        await reader.send(*(packets.reply(Kind.PUBACK, one.mid) for one in found))
        found += [await reader.message() for _ in range(97)]

        assert len({one.topic for one in found}) == 100
        await reader.nothing()


async def test_what_a_client_leaves_unreleased_is_bounded(road: str) -> None:
    async with running(road, OpenGate(), settings=Mqtt(bind=ANYWHERE, queue=10)) as ours:
        rude = await ours.client("rude")
        await rude.send(*(packets.publish("a", b"x", qos=2, mid=mid) for mid in range(1, 200)))

        assert len(await rude.ended()) <= 20
        await (await ours.client("next")).nothing()


async def test_a_publisher_whose_acknowledgements_are_kept_back_is_not_read_for_ever(road: str) -> None:
    async with running(road, OpenGate(), settings=Mqtt(bind=ANYWHERE)) as ours:
        ours.recorder.keeps = True
        publisher = await ours.client("flood")
        for start in range(1, 60_001, 6_000):
            await publisher.send(*(packets.publish("a", qos=1, mid=mid) for mid in range(start, start + 6_000)))
        await (await ours.client("other")).nothing()
        assert len(ours.recorder.tickets) < 60_000
        ours.recorder.keeps = False
        for ticket in list(ours.recorder.tickets):
            ticket.release()
        for mid in range(1, 60_001):
            assert (await publisher.reply(Kind.PUBACK)).body == packets.short(mid)
