"""Permissions: CONTRACT.md section 5 as a truth table, on the wire, for filters, topics, wills and the retained."""

from collections.abc import AsyncIterator

import pytest

from bridge.broker.port import Message
from bridge.words.principal import Principal
from bridge.words.topics import permits

from . import packets
from .ours import Ours, RoleGate, desktop, feed, name, observer, running
from .packets import Will

A = desktop("acme", "1001")
ODD = desktop("acme", "site/12+#%")
OBSERVER = observer("acme")
FEED = feed("acme")
STRANGER = observer("acme2")
FOREIGN_FEED = feed("acme2")

SUBSCRIBE = {
    A: {
        True: [
            "CTI/acme/1001",
            "CTI/acme/+/1001",
            "CTI/acme/env1/1001",
            "CRM/acme/1001",
            "CRM/acme/+/1001",
            "CRM/acme/acme.example.com/1001",
            "DESK/acme/1001",
        ],
        False: [
            "#",
            "+",
            "+/#",
            "$SYS/#",
            "CTI/#",
            "CTI/acme/#",
            "CTI/acme/+",
            "CTI/acme",
            "CTI/+/1001",
            "+/acme/1001",
            "CTI/+/+/1001",
            "CTI/acme/+/+",
            "CTI/acme/env1/+",
            "CTI/acme/env1/#",
            "CTI/acme/1001/#",
            "CTI/acme/1001/+",
            "CTI/acme/1002",
            "CTI/acme/+/1002",
            "CTI/acme/+/+/1001",
            "CTI/acme/a/b/1001",
            "CTI/acme2/1001",
            "CTI/acme2/+/1001",
            "cti/acme/1001",
            "CTI/ACME/1001",
            "/CTI/acme/1001",
            "CTI/acme/1001/",
            "CTI//1001",
            "CRM/acme/#",
            "CRM/acme/1002",
            "DESK/acme/+",
            "DESK/acme/+/1001",
            "DESK/acme/#",
            "DESK/acme/1002",
            "ACK/acme/1001",
            "PRESENCE/acme/1001",
            "PRESENCE/acme/+",
            "LIVE/acme/agents/1001",
            "CLOUDSYNC/acme/feed",
            "x/1001",
        ],
    },
    ODD: {
        True: ["CTI/acme/site%2F12%2B%23%25", "CTI/acme/+/site%2F12%2B%23%25", "DESK/acme/site%2F12%2B%23%25"],
        False: ["CTI/acme/site/12", "CTI/acme/site%2f12%2b%23%25", "CTI/acme/+", "CTI/acme/#"],
    },
    OBSERVER: {
        True: [
            *(f"{kind}/acme/#" for kind in ("CTI", "CRM", "DESK", "ACK", "PRESENCE", "LIVE", "CLOUDSYNC")),
            "CTI/acme/1001",
            "CTI/acme/+",
            "CTI/acme/+/+",
            "CTI/acme",
            "LIVE/acme/agents/+",
            "PRESENCE/acme/1001",
        ],
        False: [
            "#",
            "+/#",
            "+/acme/#",
            "CTI/#",
            "CTI/+",
            "CTI/+/#",
            "CTI/acme2/#",
            "CTI/acm/#",
            "$SYS/#",
            "cti/acme/#",
            "/CTI/acme/#",
            "OTHER/acme/#",
            "PRESENCE/+/1001",
            "PRESENCE/acme2/1001",
            "CTI/ACME/#",
        ],
    },
    FEED: {
        True: ["CLOUDSYNC/acme/#", "CLOUDSYNC/acme/feed", "CLOUDSYNC/acme/+/x"],
        False: [
            "#",
            "CLOUDSYNC/#",
            "CLOUDSYNC/+/feed",
            "+/acme/feed",
            "CLOUDSYNC/acme2/#",
            "CTI/acme/#",
            "CTI/acme/1001",
            "ACK/acme/1001",
            "LIVE/acme/#",
            "PRESENCE/acme/#",
        ],
    },
}

PUBLISH = {
    A: {
        True: ["ACK/acme/1001"],
        False: [
            "ACK/acme/1002",
            "ACK/acme2/1001",
            "ACK/acme",
            "ACK/acme/x/1001",
            "ACK/acme/1001/x",
            "ack/acme/1001",
            "CTI/acme/1001",
            "CTI/acme/env1/1001",
            "CRM/acme/1001",
            "DESK/acme/1001",
            "PRESENCE/acme/1001",
            "LIVE/acme/agents/1001",
            "CLOUDSYNC/acme/feed",
            "$SYS/x",
            "x",
        ],
    },
    ODD: {True: ["ACK/acme/site%2F12%2B%23%25"], False: ["ACK/acme/site/12", "ACK/acme/1001"]},
    OBSERVER: {
        True: [],
        False: ["ACK/acme/1001", "CTI/acme/1001", "CLOUDSYNC/acme/feed", "PRESENCE/acme/1001", "x", "$SYS/x"],
    },
    FEED: {
        True: ["CLOUDSYNC/acme/feed", "CLOUDSYNC/acme/SupportTicket/x"],
        False: ["CLOUDSYNC/acme2/feed", "CLOUDSYNC/feed", "CTI/acme/1001", "ACK/acme/1001", "LIVE/acme/x", "$SYS/x"],
    },
}


@pytest.fixture
async def ours(road: str) -> AsyncIterator[Ours]:
    gate = RoleGate(A, ODD, OBSERVER, FEED, STRANGER, FOREIGN_FEED)
    async with running(road, gate, permits=permits) as target:
        yield target


@pytest.mark.parametrize("who", SUBSCRIBE, ids=name)
async def test_what_each_role_may_subscribe_to(ours: Ours, who: Principal) -> None:
    client = await ours.enter(who)
    table = {one: allowed for allowed, some in SUBSCRIBE[who].items() for one in some}

    assert {one: await client.subscribe((one, 1)) for one in table} == {
        one: [1 if allowed else 0x80] for one, allowed in table.items()
    }


async def test_a_refused_filter_does_not_spoil_those_beside_it(ours: Ours) -> None:
    client = await ours.enter(A)

    assert await client.subscribe(("CTI/acme/1001", 1), ("CTI/acme/#", 1), ("DESK/acme/1001", 2)) == [1, 0x80, 2]


async def test_a_refused_filter_hears_nothing(ours: Ours) -> None:
    client = await ours.enter(A)
    await client.subscribe(("CTI/acme/#", 1), ("#", 0), ("CTI/acme/1002", 1), ("+/acme/1002", 1))
    await ours.broker.publish(Message("CTI/acme/1002", b"secret"))

    assert ours.broker.desktops("CTI/acme/1002") == 0
    await client.nothing()


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("who", PUBLISH, ids=name)
async def test_what_each_role_may_publish(ours: Ours, who: Principal, qos: int) -> None:
    observing = await ours.enter(OBSERVER)
    await observing.subscribe(*((f"{kind}/acme/#", 0) for kind in ("CTI", "CRM", "DESK", "ACK", "LIVE", "CLOUDSYNC")))
    for topic in PUBLISH[who][True]:
        client = await ours.enter(who)
        await client.publish(topic, b"x", qos=qos)
        await client.nothing()
        await client.disconnect()
        assert (await observing.message()).topic == topic
    for topic in PUBLISH[who][False]:
        client = await ours.enter(who)
        await client.send(packets.publish(topic, b"x", qos=qos, mid=1 if qos else 0))
        # At QoS 2 a broker may answer PUBREC and look at the topic on release; ours must not even do that.
        assert await client.ended() == [], topic
    await observing.nothing()


@pytest.mark.parametrize("who", PUBLISH, ids=name)
async def test_what_each_role_may_leave_as_its_will(ours: Ours, who: Principal) -> None:
    table = {topic: allowed for allowed, some in PUBLISH[who].items() for topic in some}
    answers: dict[str, int] = {}
    for topic in table:
        client = await ours.stranger()
        answers[topic] = (
            await client.connect(username=name(who), password=who.id, will=Will(topic, b"farewell", qos=1))
        )[1]

    assert answers == {topic: 0 if allowed else 5 for topic, allowed in table.items()}


async def test_no_client_sees_another_customers_topics(ours: Ours) -> None:
    stranger = await ours.enter(STRANGER)
    await stranger.subscribe(*((f"{kind}/acme2/#", 1) for kind in ("CTI", "PRESENCE", "ACK", "CLOUDSYNC")))
    publisher = await ours.enter(FEED)
    await publisher.publish("CLOUDSYNC/acme/feed", b"x", qos=1, retain=True)
    agent = await ours.enter(A)
    await agent.publish("ACK/acme/1001", b"x", qos=1)
    await ours.broker.publish(Message("CTI/acme/1001", b"x"))

    await stranger.nothing()


async def test_retained_messages_are_told_to_whom_they_concern(ours: Ours) -> None:
    await ours.broker.publish(Message("PRESENCE/acme/7", b"7", retain=True))
    await ours.broker.publish(Message("PRESENCE/acme2/8", b"8", retain=True))
    seen: dict[str, list[str]] = {}
    for who in (A, OBSERVER, STRANGER):
        client = await ours.enter(who)
        await client.nothing()
        for one in ("#", "PRESENCE/#", "PRESENCE/+/7", "PRESENCE/acme/7", "PRESENCE/acme2/8"):
            await client.subscribe((one, 0))
        seen[name(who)] = [message.topic for message in await client.heard()]

    assert seen == {"acme/1001": [], "acme": ["PRESENCE/acme/7"], "acme2": ["PRESENCE/acme2/8"]}


@pytest.mark.parametrize(
    ("who", "topic", "kept"),
    [
        (A, "ACK/acme/1001", False),
        (FEED, "CLOUDSYNC/acme/SupportTicket", False),
        (FEED, "CLOUDSYNC/acme/SupportTicket/feed", True),
        (FEED, "CLOUDSYNC/acme/feed", True),
    ],
)
@pytest.mark.parametrize("as_will", [False, True], ids=["publish", "will"])
async def test_retain_is_cleared_but_for_a_feeds_on_feed(
    ours: Ours, who: Principal, topic: str, *, kept: bool, as_will: bool
) -> None:
    observing = await ours.enter(OBSERVER)
    await observing.subscribe((topic, 1))
    if as_will:
        client = await ours.enter(who, will=Will(topic, b"x", qos=1, retain=True))
        client.line.abort()
    else:
        await (await ours.enter(who)).publish(topic, b"x", qos=1, retain=True)
    assert (await observing.message()).payload == b"x"
    later = await ours.enter(OBSERVER)
    await later.subscribe((topic, 1))

    assert [(one.payload, one.retain) for one in await later.heard()] == ([(b"x", True)] if kept else [])
