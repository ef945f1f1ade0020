"""Login: the credential is checked before anything is touched, and no name of a client opens another's session."""

from collections.abc import AsyncIterator

import pytest

from bridge.words.principal import Principal
from bridge.words.settings import Mqtt
from bridge.words.topics import permits

from . import packets
from .client import Client
from .lines import WebSocketLine
from .ours import ANYWHERE, Ours, RoleGate, desktop, feed, name, observer, running
from .packets import Kind, Will

A = desktop("acme", "1001")
B = desktop("acme", "1002")
OTHER = desktop("other", "1001")
OBSERVER = observer("acme")
FEED = feed("acme")


@pytest.fixture
def gate() -> RoleGate:
    return RoleGate(A, B, OTHER, OBSERVER, FEED)


@pytest.fixture
async def ours(road: str, gate: RoleGate) -> AsyncIterator[Ours]:
    async with running(road, gate, permits=permits) as target:
        yield target


async def refused(
    ours: Ours,
    code: int,
    client_id: str,
    *,
    username: str | None,
    password: str | bytes | None,
    will: Will | None = None,
    clean: bool = True,
) -> None:
    client = await ours.stranger()
    assert await client.connect(client_id, clean=clean, username=username, password=password, will=will) == (
        False,
        code,
    )
    assert await client.ended() == []


@pytest.mark.parametrize("who", [A, B, OTHER, OBSERVER, FEED], ids=name)
async def test_who_has_the_token_of_its_user_name_is_let_in(ours: Ours, who: Principal) -> None:
    await (await ours.enter(who)).nothing()


@pytest.mark.parametrize("password", ["wrong", "", None, b"\xff\x00\xfe"], ids=repr)
async def test_a_bad_token_is_refused(ours: Ours, password: str | bytes | None) -> None:
    await refused(ours, 4, "me", username="acme/1001", password=password)


@pytest.mark.parametrize("username", ["acme", "acme/1002", "other/1001", "acme/1001/", "ACME/1001", ""])
async def test_the_token_of_another_user_name_is_refused(ours: Ours, username: str) -> None:
    await refused(ours, 5, "me", username=username, password=A.id)


async def test_nobody_is_let_in_without_a_name(ours: Ours) -> None:
    client = await ours.stranger()
    session, code = await client.connect("me")

    assert (session, code) in {(False, 4), (False, 5)}
    assert await client.ended() == []


async def test_what_follows_a_refused_connect_in_the_same_segment_is_not_read(ours: Ours) -> None:
    agent = await ours.enter(A, "me")
    await agent.subscribe(("CTI/acme/1001", 1))
    thief = await ours.stranger()
    await thief.send(
        packets.connect("me", username="acme/1001", password="wrong"),
        packets.publish("CTI/acme/1001", b"forged"),
        packets.subscribe(1, ("CTI/acme/1001", 1)),
    )
    await thief.expect(packets.packet(Kind.CONNACK, 0, b"\x00\x04"))

    assert await thief.ended() == []
    await agent.nothing()


async def test_nothing_may_be_said_before_the_login_is_answered(ours: Ours) -> None:
    """A client may pipeline, but what it says is done only once it is let in."""
    client = await ours.stranger()
    await client.send(
        packets.connect("me", username="acme/1001", password=A.id), packets.subscribe(1, ("CTI/acme/1001", 1))
    )
    await client.expect(packets.packet(Kind.CONNACK, 0, b"\x00\x00"), packets.packet(Kind.SUBACK, 0, b"\x00\x01\x01"))


@pytest.mark.parametrize("clean", [True, False], ids=["clean", "lasting"])
async def test_a_wrong_password_with_an_agents_client_id_does_not_touch_the_agent(ours: Ours, *, clean: bool) -> None:
    observing = await ours.enter(OBSERVER)
    await observing.subscribe(("ACK/acme/#", 1))
    agent = await ours.enter(A, "seat 7", clean=clean)
    await agent.subscribe(("CTI/acme/1001", 1))
    for forged_clean in (True, False):
        await refused(
            ours,
            4,
            "seat 7",
            username="acme/1001",
            password="wrong",
            clean=forged_clean,
            will=Will("CTI/acme/1001", b"forged", qos=1),
        )
    await agent.nothing()
    agent.line.abort()
    await ours.recorder.until("left", "1001", 0)

    await observing.nothing()


async def test_a_wrong_password_does_not_take_a_session_that_waits(ours: Ours) -> None:
    agent = await ours.enter(A, "seat 7", clean=False)
    await agent.subscribe(("CTI/acme/1001", 1))
    await agent.disconnect()
    await refused(ours, 4, "seat 7", username="acme/1001", password="wrong", clean=True)
    again = await ours.stranger()

    assert await again.connect("seat 7", clean=False, username="acme/1001", password=A.id) == (True, 0)


@pytest.mark.parametrize("stranger", [B, OTHER, OBSERVER], ids=name)
async def test_nobody_takes_over_by_anothers_client_id(ours: Ours, stranger: Principal) -> None:
    agent = await ours.enter(A, "seat 7", clean=False)
    await agent.subscribe(("CTI/acme/1001", 1))
    other = await ours.stranger()

    assert await other.connect("seat 7", clean=False, username=name(stranger), password=stranger.id) == (False, 0)
    await other.nothing()
    await agent.nothing()


@pytest.mark.parametrize("stranger", [B, OTHER, OBSERVER], ids=name)
async def test_nobody_inherits_by_anothers_client_id(ours: Ours, stranger: Principal) -> None:
    publisher = await ours.enter(FEED)
    first = await ours.enter(OBSERVER, "watch", clean=False)
    await first.subscribe(("CLOUDSYNC/acme/#", 1))
    await first.disconnect()
    await publisher.publish("CLOUDSYNC/acme/x", b"queued", qos=1)
    thief = await ours.stranger()
    if stranger is not OBSERVER:
        assert await thief.connect("watch", clean=False, username=name(stranger), password=stranger.id) == (False, 0)
        await thief.nothing()
    again = await ours.enter(OBSERVER, "watch", clean=False)

    assert (await again.message()).payload == b"queued"


async def test_failed_logins_leave_no_session_behind(ours: Ours) -> None:
    before = ours.broker.gauges().sessions
    for number in range(50):
        await refused(ours, 4, f"guess {number}", username="acme/1001", password="wrong", clean=False)

    assert ours.broker.gauges().sessions == before


async def test_too_many_failed_logins_from_an_address_are_refused_unseen(road: str, gate: RoleGate) -> None:
    settings = Mqtt(bind=ANYWHERE, max_failed_logins_per_address=5)
    async with running(road, gate, permits=permits, settings=settings) as ours:
        for _ in range(5):
            await refused(ours, 4, "guess", username="acme/1001", password="wrong")

        await refused(ours, 3, "guess", username="acme/1001", password="wrong")


async def test_an_operator_who_revokes_a_token_ends_its_connection(ours: Ours, gate: RoleGate) -> None:
    agent = await ours.enter(A)
    other = await ours.enter(B)
    gate.revoked.add(A.id)

    assert await agent.ended() == []
    await other.nothing()
    await refused(ours, 4, "me", username="acme/1001", password=A.id)


async def test_the_will_of_a_revoked_connection_is_published(ours: Ours, gate: RoleGate) -> None:
    witness = await ours.enter(OBSERVER)
    await witness.subscribe(("ACK/acme/+", 1))
    agent = await ours.enter(A, will=Will("ACK/acme/1001", b"gone", qos=1))
    gate.revoked.add(A.id)
    await agent.ended()

    assert (await witness.message()).payload == b"gone"


async def test_end_dead_ends_what_expired_and_counts_it(ours: Ours, road: str) -> None:
    soon = desktop("acme", "1003", token="soon", expires=4e9)
    later = desktop("acme", "1004", token="later", expires=5e9)
    async with running(road, RoleGate(soon, later), permits=permits) as own:
        first = await own.enter(soon)
        second = await own.enter(later)

        assert own.broker.end_dead(4.5e9) == 1
        assert await first.ended() == []
        await second.nothing()


async def test_a_foreign_origin_is_the_gates_to_judge(gate: RoleGate) -> None:
    gate.origins["https://crm.example.com"] = "acme"
    async with running("ours-ws", gate, permits=permits) as ours:
        answers = []
        for who, origin in ((A, "https://crm.example.com"), (OTHER, "https://crm.example.com"), (A, "https://evil")):
            line = await WebSocketLine.open(ours.url, origin=origin)
            client = Client(line)
            answers.append((await client.connect(username=name(who), password=who.id))[1])
            await line.close()

        assert answers == [0, 5, 5]


async def test_no_log_line_has_a_password_in_it(ours: Ours, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("DEBUG"):
        await refused(ours, 4, "me", username="acme/1001", password="s3cret-guess")
        agent = await ours.enter(A, will=Will("ACK/acme/1001", b"s3cret-payload"))
        await agent.drop()
        await ours.recorder.until("left", "1001", 0)

    own = [record.getMessage() for record in caplog.records if record.name.startswith(("popbridge", "amqtt"))]
    assert not [line for line in own if "s3cret" in line or A.id in line]
