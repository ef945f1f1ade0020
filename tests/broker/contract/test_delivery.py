"""Delivery: what the bridge publishes, what it is told at once, and what it is told of each copy later."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from bridge.broker.port import Audience, Message, Receipt
from bridge.words.settings import Mqtt, Size
from bridge.words.topics import permits

from . import packets
from .client import Client
from .lines import TcpLine
from .ours import ANYWHERE, Ours, RoleGate, Watch, desktop, feed, observer, running
from .packets import Kind, Will

A = desktop("acme", "1001")
B = desktop("acme", "1002")
OBSERVER = observer("acme")
FEED = feed("acme")
TOPIC = "CTI/acme/1001"
POP = Message(TOPIC, b"pop")


@pytest.fixture
async def ours(road: str) -> AsyncIterator[Ours]:
    async with running(road, RoleGate(A, B, OBSERVER, FEED), permits=permits) as target:
        yield target


async def listening(ours: Ours, qos: int = 1, client_id: str = "", *, clean: bool = True) -> Client:
    client = await ours.enter(A, client_id, clean=clean)
    assert await client.subscribe((TOPIC, qos)) == [qos]
    return client


async def test_without_a_desktop_nothing_is_written(ours: Ours) -> None:
    observing = await ours.enter(OBSERVER)
    await observing.subscribe(("CTI/acme/#", 1))
    watch = Watch()

    assert await ours.broker.publish(POP, watcher=watch) == Receipt(desktops=0, written=0, awaiting=0)
    assert (await observing.message()).payload == b"pop"
    await observing.nothing()
    assert watch.told == []


async def test_a_pop_is_written_at_once_and_its_puback_is_known(ours: Ours) -> None:
    agent = await listening(ours)
    watch = Watch()

    assert await ours.broker.publish(POP, watcher=watch) == Receipt(desktops=1, written=1, awaiting=1)
    found = await agent.message()
    assert (found.topic, found.payload, found.qos, found.retain, found.dup) == (TOPIC, b"pop", 1, False, False)
    await watch.until("acknowledged")
    await agent.drop()
    await ours.recorder.until("left", "1001", 0)
    assert watch.told == ["acknowledged"]


async def test_at_qos_0_nothing_is_awaited(ours: Ours) -> None:
    agent = await listening(ours, qos=0)
    watch = Watch()

    assert await ours.broker.publish(POP, watcher=watch) == Receipt(desktops=1, written=1, awaiting=0)
    assert (await agent.message()).qos == 0
    await agent.drop()
    await ours.recorder.until("left", "1001", 0)
    assert watch.told == []


async def test_a_pop_subscribed_at_qos_2_comes_at_qos_1(ours: Ours) -> None:
    agent = await listening(ours, qos=2)
    watch = Watch()
    await ours.broker.publish(POP, watcher=watch)

    assert (await agent.message()).qos == 1
    await watch.until("acknowledged")


async def test_a_message_at_qos_2_counts_as_acknowledged_at_pubrec(ours: Ours) -> None:
    agent = await listening(ours, qos=2)
    watch = Watch()
    await ours.broker.publish(Message(TOPIC, b"pop", qos=2), watcher=watch)
    mid = (await agent.message(acknowledge=False)).mid
    await agent.send(packets.reply(Kind.PUBREC, mid))

    await watch.until("acknowledged")
    await agent.expect(packets.reply(Kind.PUBREL, mid))
    await agent.send(packets.reply(Kind.PUBCOMP, mid))
    await agent.drop()
    await ours.recorder.until("left", "1001", 0)
    assert watch.told == ["acknowledged"]


async def test_every_desktop_of_the_agent_gets_it_and_is_counted_once(ours: Ours) -> None:
    first, second = await listening(ours), await listening(ours, qos=0)
    await first.subscribe(("CTI/acme/+/1001", 1), (TOPIC, 1))
    other = await ours.enter(B)
    await other.subscribe(("CTI/acme/1002", 1))
    watch = Watch()

    assert await ours.broker.publish(POP, watcher=watch) == Receipt(desktops=2, written=2, awaiting=1)
    assert [(await one.message()).payload for one in (first, second)] == [b"pop", b"pop"]
    await watch.until("acknowledged")
    for one in (first, second, other):
        await one.nothing()


async def test_observers_get_what_is_for_everybody_and_never_count(ours: Ours) -> None:
    observing = await ours.enter(OBSERVER)
    await observing.subscribe(("CTI/acme/#", 1))
    agent = await listening(ours)

    assert await ours.broker.publish(POP, Audience.EVERYBODY, Watch()) == Receipt(desktops=1, written=1, awaiting=1)
    assert await ours.broker.publish(POP, Audience.DESKTOPS, Watch()) == Receipt(desktops=1, written=1, awaiting=1)
    assert [(await agent.message()).payload for _ in range(2)] == [b"pop", b"pop"]
    assert (await observing.message()).payload == b"pop"
    await observing.nothing()
    assert ours.broker.desktops(TOPIC) == 1


async def test_an_observers_acknowledgement_proves_nothing(ours: Ours) -> None:
    observing = await ours.enter(OBSERVER)
    await observing.subscribe(("CTI/acme/#", 1))
    watch = Watch()
    await ours.broker.publish(POP, watcher=watch)
    await observing.message()
    await observing.nothing()
    await observing.drop()
    await (await ours.enter(B)).nothing()

    assert watch.told == []


async def test_a_desktop_that_goes_without_puback_has_lost_it(ours: Ours) -> None:
    agent = await listening(ours)
    watch = Watch()
    await ours.broker.publish(POP, watcher=watch)
    await agent.message(acknowledge=False)
    agent.line.abort()

    await watch.until("lost")


async def test_a_desktop_that_says_disconnect_without_puback_has_lost_it(ours: Ours) -> None:
    agent = await listening(ours)
    watch = Watch()
    await ours.broker.publish(POP, watcher=watch)
    await agent.message(acknowledge=False)
    await agent.disconnect()

    await watch.until("lost")


async def test_a_pop_never_waits_for_a_desktop_that_is_away(ours: Ours) -> None:
    agent = await listening(ours, client_id="seat", clean=False)
    lost, missed = Watch(), Watch()
    await ours.broker.publish(POP, watcher=lost)
    await agent.message(acknowledge=False)
    await agent.drop()
    await lost.until("lost")
    assert await ours.broker.publish(POP, watcher=missed) == Receipt(desktops=0, written=0, awaiting=0)
    again = await ours.enter(A, "seat", clean=False)

    await again.nothing()
    assert (lost.told, missed.told) == (["lost"], [])


async def test_a_pop_never_waits_for_an_observer_that_is_away(ours: Ours) -> None:
    observing = await ours.enter(OBSERVER, "watch", clean=False)
    await observing.subscribe(("CTI/acme/#", 1))
    await observing.disconnect()
    await ours.broker.publish(POP, watcher=Watch())
    again = await ours.enter(OBSERVER, "watch", clean=False)

    await again.nothing()


async def test_a_take_over_loses_what_the_older_had_not_acknowledged(ours: Ours) -> None:
    older = await listening(ours, client_id="seat", clean=False)
    watch = Watch()
    await ours.broker.publish(POP, watcher=watch)
    await older.message(acknowledge=False)
    later = await ours.enter(A, "seat", clean=False)

    await watch.until("lost")
    await later.nothing()
    assert await ours.broker.publish(POP) == Receipt(desktops=1, written=1, awaiting=1)
    assert (await later.message()).payload == b"pop"


async def test_what_the_window_keeps_waiting_is_written_when_there_is_room(road: str) -> None:
    async with running(road, RoleGate(A), permits=permits, settings=Mqtt(bind=ANYWHERE, inflight=2)) as ours:
        agent = await listening(ours)
        watches = [Watch() for _ in range(4)]
        receipts = [await ours.broker.publish(POP, watcher=watch) for watch in watches]
        assert [(one.desktops, one.written, one.awaiting) for one in receipts] == [(1, 1, 1)] * 2 + [(1, 0, 1)] * 2
        first, second = [await agent.message(acknowledge=False) for _ in range(2)]
        await agent.nothing()
        watches[2].is_stale = True
        await agent.send(packets.reply(Kind.PUBACK, first.mid))
        # The third has become stale meanwhile: it is passed over for the fourth.
        fourth = await agent.message(acknowledge=False)
        await agent.send(packets.reply(Kind.PUBACK, second.mid), packets.reply(Kind.PUBACK, fourth.mid))

        await watches[0].until("acknowledged")
        await watches[1].until("acknowledged")
        await watches[3].until("written 1", "acknowledged")
        await agent.nothing()
        assert "acknowledged" not in watches[2].told
        assert "written 1" not in watches[2].told


async def test_what_still_waits_when_the_desktop_goes_is_lost_too(road: str) -> None:
    async with running(road, RoleGate(A), permits=permits, settings=Mqtt(bind=ANYWHERE, inflight=1)) as ours:
        agent = await listening(ours)
        watches = [Watch() for _ in range(3)]
        for watch in watches:
            await ours.broker.publish(POP, watcher=watch)
        await agent.message(acknowledge=False)
        await agent.drop()

        for watch in watches:
            await watch.until("lost")


async def test_pops_reach_a_desktop_in_the_order_they_were_published(ours: Ours) -> None:
    agent = await listening(ours)
    for number in range(250):
        await ours.broker.publish(Message(TOPIC, b"%d" % number))

    assert [(await agent.message()).payload for _ in range(250)] == [b"%d" % number for number in range(250)]


async def test_a_desktop_is_told_to_be_listening_after_its_suback(ours: Ours) -> None:
    agent = await ours.enter(A, "seat", clean=False)
    await agent.subscribe((TOPIC, 1), ("CTI/acme/#", 1), ("DESK/acme/1001", 1))
    await ours.recorder.until("listening", "1001", (TOPIC, "DESK/acme/1001"))
    await agent.drop()
    await ours.recorder.until("left", "1001", 0)
    await ours.enter(A, "seat", clean=False)

    await ours.recorder.until("listening", "1001", (TOPIC, "DESK/acme/1001"), times=2)


async def test_what_is_published_on_hearing_so_comes_after_the_suback(ours: Ours) -> None:
    agent = await ours.enter(A)
    waiting = asyncio.ensure_future(ours.recorder.until("listening", "1001", (TOPIC,)))
    await agent.send(packets.subscribe(1, (TOPIC, 1)))
    await waiting
    await ours.broker.publish(POP)

    assert [(await agent.packet()).kind for _ in range(2)] == [Kind.SUBACK, Kind.PUBLISH]


async def test_nobody_hears_of_an_observers_filters(ours: Ours) -> None:
    observing = await ours.enter(OBSERVER)
    await observing.subscribe(("CTI/acme/#", 1))
    await observing.drop()
    await listening(ours)
    await ours.recorder.until("listening", "1001", (TOPIC,))

    assert ours.recorder.told == [("listening", "1001", (TOPIC,))]


async def test_leaving_tells_how_many_desktops_remain(ours: Ours) -> None:
    first, second = await listening(ours), await listening(ours)
    await first.disconnect()
    await ours.recorder.until("left", "1001", 1)
    second.line.abort()

    await ours.recorder.until("left", "1001", 0)


async def test_what_a_desktop_says_arrives_with_its_name(ours: Ours) -> None:
    agent = await ours.enter(A)
    await agent.publish("ACK/acme/1001", b"shown", qos=1)

    assert ("arrived", "1001", "ACK/acme/1001", b"shown") in ours.recorder.told


async def test_a_will_arrives_like_what_was_said(ours: Ours) -> None:
    agent = await ours.enter(A, will=Will("ACK/acme/1001", b"gone", qos=1))
    agent.line.abort()

    await ours.recorder.until("arrived", "1001", "ACK/acme/1001", b"gone")


async def test_an_acknowledgement_kept_back_leaves_when_it_is_released(ours: Ours) -> None:
    ours.recorder.keeps = True
    publisher = await ours.enter(FEED)
    topic = "CLOUDSYNC/acme/x"
    await publisher.send(*(packets.publish(topic, b"%d" % mid, qos=1, mid=mid) for mid in (1, 2, 3)))
    await ours.recorder.until("arrived", None, topic, b"3")
    await publisher.nothing()
    first, second, third = ours.recorder.tickets
    third.release()
    second.release()
    await publisher.nothing()
    first.release()

    await publisher.expect(*(packets.reply(Kind.PUBACK, mid) for mid in (1, 2, 3)))
    first.release()
    await publisher.nothing()


async def test_a_ticket_of_a_client_that_is_gone_is_worth_nothing(ours: Ours) -> None:
    ours.recorder.keeps = True
    publisher = await ours.enter(FEED, "feed", clean=False)
    await publisher.send(packets.publish("CLOUDSYNC/acme/x", b"1", qos=1, mid=1))
    await ours.recorder.until("arrived", None, "CLOUDSYNC/acme/x", b"1")
    await publisher.drop()
    again = await ours.enter(FEED, "feed", clean=False)
    ours.recorder.tickets[0].release()

    await again.nothing()


async def test_a_slow_desktop_is_cut_off_and_delays_nobody(road: str) -> None:
    settings = Mqtt(bind=ANYWHERE, write_buffer=Size(64 * 1024), queue=50, inflight=20)
    async with running(road, RoleGate(A, B), permits=permits, settings=settings) as ours:
        slow = await listening(ours)
        brisk = await ours.enter(B)
        await brisk.subscribe(("CTI/acme/1002", 1))
        awaited: list[Watch] = []
        # It neither reads nor acknowledges; what it may hold up is bounded by its queue.
        for number in range(200):
            watch = Watch()
            receipt = await ours.broker.publish(Message(TOPIC, b"x" * 4096), watcher=watch)
            if receipt.awaiting:
                awaited.append(watch)
            await ours.broker.publish(Message("CTI/acme/1002", b"%d" % number))
            assert (await brisk.message()).payload == b"%d" % number
        assert len(awaited) < 100
        await ours.recorder.until("left", "1001", 0)
        for watch in awaited:
            await watch.until("lost")
        assert ours.broker.counters.slow_cut == 1
        await slow.ended()


async def test_a_desktop_that_does_not_read_is_cut_off_at_qos_0() -> None:
    settings = Mqtt(bind=ANYWHERE, write_buffer=Size(64 * 1024))
    async with running("ours-tcp", RoleGate(A), permits=permits, settings=settings) as ours:
        slow = await listening(ours, qos=0)
        assert isinstance(slow.line, TcpLine)
        slow.line.deaf()
        sent = 0
        while ours.broker.desktops(TOPIC) and sent < 64 * 1024 * 1024:
            await ours.broker.publish(Message(TOPIC, b"x" * 65536))
            await asyncio.sleep(0)  # the broker's own tasks have their turn
            sent += 65536

        assert sent < 64 * 1024 * 1024
        await ours.recorder.until("left", "1001", 0)


async def test_a_desktop_that_neither_reads_nor_sends_any_more_has_left_at_once() -> None:
    settings = Mqtt(bind=ANYWHERE, write_buffer=Size(64 * 1024 * 1024))
    async with running("ours-tcp", RoleGate(A), permits=permits, settings=settings) as ours:
        leaving = await ours.enter(A)
        await leaving.subscribe((TOPIC, 1), ("CRM/acme/1001", 0))
        assert isinstance(leaving.line, TcpLine)
        leaving.line.deaf()
        # Beyond what the system's own buffers take, so that something waits in ours.
        for _ in range(32):
            await ours.broker.publish(Message("CRM/acme/1001", b"x" * 524_288))
            await asyncio.sleep(0)  # the broker's own tasks have their turn
        watch = Watch()
        assert (await ours.broker.publish(Message(TOPIC, b"pop"), watcher=watch)).awaiting == 1
        leaving.line.finish()

        # Long before its keep-alive ends, and before what waits is given up.
        await ours.recorder.until("left", "1001", 0)
        await watch.until("lost")
        assert ours.broker.counters.keepalive_timeouts == 0


async def test_nobody_is_passed_over_while_others_come_and_go(ours: Ours) -> None:
    observing = [await ours.enter(OBSERVER) for _ in range(30)]
    for client in observing:
        await client.subscribe(("CTI/acme/#", 0))

    async def comes_and_goes(number: int) -> None:
        client = await ours.enter(A, f"seat {number}")
        await client.subscribe((TOPIC, 1), ("CTI/acme/+/1001", 1))
        await client.unsubscribe(TOPIC)
        await client.drop()

    async def publishes() -> None:
        for number in range(40):
            await ours.broker.publish(Message("CTI/acme/1002", b"%d" % number))
            await asyncio.sleep(0)  # so that it happens between the logins

    await asyncio.gather(publishes(), *(comes_and_goes(number) for number in range(40)))

    expected = [b"%d" % number for number in range(40)]
    for client in observing:
        assert [one.payload for one in await client.heard()] == expected
