"""Sessions: what outlives a connection, what does not, and who may carry on."""

from . import packets
from .packets import Kind
from .targets import Target


async def test_a_clean_session_is_forgotten(target: Target) -> None:
    first = await target.client("me", clean=True)
    await first.subscribe(("news", 1))
    await first.disconnect()
    writer = await target.client("writer")
    await writer.publish("news", b"missed", qos=1)
    again = await target.stranger()

    assert await again.connect("me", clean=False) == (False, 0)
    await writer.publish("news", b"missed too", qos=1)
    await again.nothing()


async def test_a_session_that_lasts_keeps_its_filters(target: Target) -> None:
    first = await target.client("me", clean=False)
    await first.subscribe(("news", 1), ("other/+", 0))
    await first.disconnect()
    again = await target.stranger()
    assert await again.connect("me", clean=False) == (True, 0)
    writer = await target.client("writer")
    await writer.publish("news", b"1", qos=1)
    await writer.publish("other/x", b"2", qos=1)

    assert [(await again.message()).payload for _ in range(2)] == [b"1", b"2"]


async def test_a_session_lasts_however_the_connection_ended(target: Target) -> None:
    first = await target.client("me", clean=False)
    await first.subscribe(("news", 1))
    first.line.abort()
    again = await target.stranger()

    assert await again.connect("me", clean=False) == (True, 0)


async def test_a_clean_login_forgets_the_session_of_before(target: Target) -> None:
    first = await target.client("me", clean=False)
    await first.subscribe(("news", 1))
    await first.disconnect()
    writer = await target.client("writer")
    await writer.publish("news", b"missed", qos=1)
    clean = await target.stranger()
    assert await clean.connect("me", clean=True) == (False, 0)
    await writer.publish("news", b"missed too", qos=1)
    await clean.nothing()
    await clean.disconnect()
    again = await target.stranger()

    assert await again.connect("me", clean=False) == (False, 0)
    await again.nothing()


async def test_what_came_meanwhile_at_qos_1_and_2_is_delivered_in_order(target: Target) -> None:
    first = await target.client("me", clean=False)
    await first.subscribe(("news/#", 2))
    await first.disconnect()
    writer = await target.client("writer")
    for number in range(12):
        await writer.publish(f"news/{number}", b"%d" % number, qos=number % 3)
    again = await target.client("me", clean=False)

    found = [await again.message() for _ in range(8)]
    assert [(one.topic, one.qos) for one in found] == [(f"news/{n}", n % 3) for n in range(12) if n % 3]
    assert not any(one.retain or one.dup for one in found)
    await again.nothing()


async def test_what_came_meanwhile_is_delivered_once(target: Target) -> None:
    first = await target.client("me", clean=False)
    await first.subscribe(("news", 1))
    await first.disconnect()
    await (await target.client("writer")).publish("news", b"1", qos=1)
    second = await target.client("me", clean=False)
    await second.message()
    await second.nothing()
    await second.disconnect()
    third = await target.client("me", clean=False)

    await third.nothing()


async def test_messages_not_acknowledged_come_again_in_order_and_say_so(target: Target) -> None:
    first = await target.client("me", clean=False)
    await first.subscribe(("news/#", 1))
    writer = await target.client("writer")
    for number in range(5):
        await writer.publish(f"news/{number}", qos=1)
    before = [await first.message(acknowledge=False) for _ in range(5)]
    assert not any(one.dup for one in before)
    await first.drop()
    again = await target.client("me", clean=False)
    after = [await again.message(acknowledge=False) for _ in range(5)]

    assert [one.topic for one in after] == [one.topic for one in before]
    assert [one.mid for one in after] == [one.mid for one in before]
    assert all(one.dup for one in after)


async def test_only_what_is_not_acknowledged_comes_again(target: Target) -> None:
    first = await target.client("me", clean=False)
    await first.subscribe(("news/#", 1))
    writer = await target.client("writer")
    for number in range(4):
        await writer.publish(f"news/{number}", qos=1)
    before = [await first.message(acknowledge=False) for _ in range(4)]
    await first.send(packets.reply(Kind.PUBACK, before[0].mid), packets.reply(Kind.PUBACK, before[1].mid))
    await first.nothing()
    await first.drop()
    again = await target.client("me", clean=False)

    assert [(await again.message()).topic for _ in range(2)] == ["news/2", "news/3"]
    await again.nothing()


async def test_a_message_not_received_at_qos_2_comes_again(target: Target) -> None:
    first = await target.client("me", clean=False)
    await first.subscribe(("news", 2))
    await (await target.client("writer")).publish("news", b"1", qos=2)
    before = await first.message(acknowledge=False)
    await first.drop()
    again = await target.client("me", clean=False)
    after = await again.message()

    assert (after.dup, after.mid, after.payload) == (True, before.mid, b"1")
    await again.nothing()


async def test_a_message_received_but_not_completed_at_qos_2_is_only_released_again(target: Target) -> None:
    first = await target.client("me", clean=False)
    await first.subscribe(("news", 2))
    await (await target.client("writer")).publish("news", b"1", qos=2)
    mid = (await first.message(acknowledge=False)).mid
    await first.send(packets.reply(Kind.PUBREC, mid))
    await first.expect(packets.reply(Kind.PUBREL, mid))
    await first.drop()
    again = await target.client("me", clean=False)
    await again.expect(packets.reply(Kind.PUBREL, mid))
    await again.send(packets.reply(Kind.PUBCOMP, mid))
    await again.nothing()
    await again.drop()

    await (await target.client("me", clean=False)).nothing()


async def test_a_message_sent_at_qos_2_over_a_broken_line_arrives_once(target: Target) -> None:
    reader = await target.client("reader")
    await reader.subscribe(("news", 2))
    first = await target.client("me", clean=False)
    await first.send(packets.publish("news", b"1", qos=2, mid=77))
    await first.expect(packets.reply(Kind.PUBREC, 77))
    await first.drop()
    again = await target.client("me", clean=False)
    await again.send(packets.publish("news", b"1", qos=2, mid=77, dup=True))
    await again.expect(packets.reply(Kind.PUBREC, 77))
    await again.send(packets.reply(Kind.PUBREL, 77))
    await again.expect(packets.reply(Kind.PUBCOMP, 77))

    assert (await reader.message()).payload == b"1"
    await reader.nothing()


async def test_a_release_over_a_new_line_completes_what_the_old_one_began(target: Target) -> None:
    reader = await target.client("reader")
    await reader.subscribe(("news", 2))
    first = await target.client("me", clean=False)
    await first.send(packets.publish("news", b"1", qos=2, mid=5))
    await first.expect(packets.reply(Kind.PUBREC, 5))
    await first.drop()
    again = await target.client("me", clean=False)
    await again.send(packets.reply(Kind.PUBREL, 5))
    await again.expect(packets.reply(Kind.PUBCOMP, 5))

    assert (await reader.message()).payload == b"1"
    await reader.nothing()


async def test_a_later_connection_takes_the_place_of_the_older(target: Target) -> None:
    older = await target.client("me")
    later = await target.client("me")

    assert await older.ended() == []
    await later.nothing()


async def test_after_a_take_over_the_session_goes_on_and_the_later_hears_everything(target: Target) -> None:
    older = await target.client("me", clean=False)
    await older.subscribe(("news/#", 1))
    later = await target.stranger()
    assert await later.connect("me", clean=False) == (True, 0)
    await older.ended()
    writer = await target.client("writer")
    for number in range(5):
        await writer.publish(f"news/{number}", qos=1)

    assert [(await later.message()).topic for _ in range(5)] == [f"news/{n}" for n in range(5)]


async def test_after_a_clean_take_over_the_later_hears_what_it_subscribes_to(target: Target) -> None:
    older = await target.client("me")
    await older.subscribe(("old", 1))
    later = await target.client("me")
    await older.ended()
    await later.subscribe(("new", 1))
    writer = await target.client("writer")
    await writer.publish("old", b"1", qos=1)
    await writer.publish("new", b"2", qos=1)

    assert (await later.message()).payload == b"2"
    await later.nothing()


async def test_many_take_overs_leave_one_that_hears(target: Target) -> None:
    clients = [await target.client("me", clean=False)]
    await clients[0].subscribe(("news", 1))
    for _ in range(20):
        clients.append(await target.client("me", clean=False))  # noqa: PERF401 - they must come one after another
    for older in clients[:-1]:
        await older.ended()
    await (await target.client("writer")).publish("news", b"1", qos=1)

    assert (await clients[-1].message()).payload == b"1"
    await clients[-1].nothing()


async def test_what_the_older_did_not_acknowledge_the_later_gets(target: Target) -> None:
    older = await target.client("me", clean=False)
    await older.subscribe(("news", 1))
    await (await target.client("writer")).publish("news", b"1", qos=1)
    await older.message(acknowledge=False)
    later = await target.client("me", clean=False)

    found = await later.message()
    assert (found.payload, found.dup) == (b"1", True)
    await later.nothing()
