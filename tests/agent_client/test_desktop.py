"""Stories of a desktop at a real broker."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme

from agent_client import Current, Desktop, NotAuthorised, Notice, Recall, Records, State
from agent_client.desktop import FIRST_WAIT, LONGEST_WAIT, wait_before
from bridge.words import pop as documents
from bridge.words import topics
from bridge.words.pop import Pop
from tests.agent_client.mosquitto import Caller, Mosquitto
from tests.agent_client.pops import pop
from tests.conftest import WITHIN


@pytest.fixture
def url(mosquitto: Mosquitto) -> str:
    return mosquitto.url


def a_desktop(url: str, **options: object) -> Desktop:
    return Desktop(url, "acme", "1001", "any", **options)  # type: ignore[arg-type]


async def taken(desktop: Desktop) -> Pop:
    return await asyncio.wait_for(anext(desktop), WITHIN)


def cut(desktop: Desktop) -> None:
    """Break the connection as a network would, without a word."""
    assert desktop._connection is not None
    sock = desktop._connection._client.socket()
    assert isinstance(sock, socket.socket)
    sock.shutdown(socket.SHUT_RDWR)


@asynccontextmanager
async def a_broker_that_answers(connack: bytes) -> AsyncIterator[str]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1_000)
        writer.write(connack)
        writer.write_eof()
        with contextlib.suppress(ConnectionError):
            await reader.read(1_000)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_pops_reach_the_application_in_order_and_are_told_as_shown(url: str, caller: Caller) -> None:
    async with a_desktop(url) as desktop:
        await desktop.reached(State.CONNECTED)
        sent = [await caller.send(pop(number=number)) for number in range(30)]
        assert [await taken(desktop) for _ in sent] == sent
        assert [await caller.hears() for _ in sent] == [{"popid": each.popid, "outcome": "shown"} for each in sent]


@pytest.mark.parametrize(
    "topic",
    [
        topics.cti("acme", "1001"),
        topics.cti("acme", "1001", "env1"),
        topics.crm("acme", "1001"),
        topics.crm("acme", "1001", "acme.example.com"),
    ],
)
async def test_each_kind_of_topic_is_heard(url: str, caller: Caller, topic: str) -> None:
    async with a_desktop(url, cti="env1") as desktop:
        await desktop.reached(State.CONNECTED)
        sent = pop()
        await caller.publish(topic, documents.encode(sent))
        assert await taken(desktop) == sent


async def test_a_desktop_of_one_environment_does_not_hear_another(url: str, caller: Caller) -> None:
    async with a_desktop(url, cti="env1") as desktop:
        await desktop.reached(State.CONNECTED)
        await caller.publish(topics.cti("acme", "1001", "env2"), documents.encode(pop()))
        mine = await caller.send(pop())
        assert await taken(desktop) == mine


async def test_web_sockets_carry_pops_too(mosquitto: Mosquitto, caller: Caller) -> None:
    async with a_desktop(mosquitto.ws_url) as desktop:
        await desktop.reached(State.CONNECTED)
        sent = await caller.send(pop(long="x" * 5_000))
        assert await taken(desktop) == sent


async def test_a_redelivered_pop_is_shown_once_and_an_expired_one_never(url: str, caller: Caller) -> None:
    async with a_desktop(url) as desktop:
        await desktop.reached(State.CONNECTED)
        expired = await caller.send(pop(lives=-1))
        first = await caller.send(pop())
        await caller.send(first)
        second = await caller.send(pop())
        assert [await taken(desktop), await taken(desktop)] == [first, second]
        answers = [await caller.hears() for _ in range(3)]
        assert [(each["popid"], each["outcome"]) for each in answers] == [
            (expired.popid, "refused"),
            (first.popid, "shown"),
            (second.popid, "shown"),
        ]


async def test_records_are_suspended_resumed_and_closed(url: str, caller: Caller) -> None:
    async with a_desktop(url) as desktop:
        await desktop.reached(State.CONNECTED)
        first = await caller.send(pop("CASE-1", campaign="Support"))
        again = await caller.send(pop("CASE-1", campaign="Support"))
        other = await caller.send(pop("CASE-2", campaign="Support"))
        assert [await taken(desktop), await taken(desktop)] == [first, other]
        assert desktop.records == Records("CASE-2", ("CASE-1",))
        desktop.resume("CASE-1")
        desktop.close("CASE-1")
        assert [await caller.hears() for _ in range(6)] == [
            {"popid": first.popid, "outcome": "shown"},
            {"popid": again.popid, "outcome": "unchanged"},
            {"popid": other.popid, "outcome": "shown", "suspended": "CASE-1"},
            {"record": "CASE-2", "state": "suspended"},
            {"record": "CASE-1", "state": "resumed"},
            {"record": "CASE-1", "state": "closed"},
        ]
        assert desktop.records == Records(None, ("CASE-2",))


async def test_what_the_bridge_says_is_obeyed_and_told_to_the_application(url: str, caller: Caller) -> None:
    notices: asyncio.Queue[Notice] = asyncio.Queue()
    async with a_desktop(url, on_notice=notices.put_nowait) as desktop:
        await desktop.reached(State.CONNECTED)
        recalled, kept = await caller.send(pop()), await caller.send(pop())
        await caller.tell(recall=recalled.popid)
        await caller.tell(current="CASE-7", activities=["CASE-8"])
        assert await notices.get() == Recall(recalled.popid)
        assert await notices.get() == Current("CASE-7", ("CASE-8",))
        assert await taken(desktop) == kept
        assert desktop.records == Records("CASE-7", ("CASE-8",))


async def test_what_is_not_a_pop_is_one_warning_and_nothing_more(
    url: str, caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_desktop(url) as desktop:
        await desktop.reached(State.CONNECTED)
        await caller.publish("CTI/acme/1001", b"\xff not a pop")
        await caller.publish("DESK/acme/1001", b"[" * 10_000)
        sent = await caller.send(pop())
        assert await taken(desktop) == sent
    assert [(record.levelno, record.args and record.args[0]) for record in caplog.records] == [  # type: ignore[index]
        (logging.WARNING, "CTI/acme/1001"),
        (logging.WARNING, "DESK/acme/1001"),
    ]


async def test_a_pop_that_was_not_taken_stays_with_the_broker(url: str, caller: Caller) -> None:
    options: dict[str, object] = {"client_id": "steady", "clean": False}
    async with a_desktop(url, **options) as desktop:
        await desktop.reached(State.CONNECTED)
        first, second = await caller.send(pop()), await caller.send(pop())
        assert await taken(desktop) == first
    async with a_desktop(url, **options) as desktop:
        assert await taken(desktop) == second


async def test_a_slow_application_still_gets_each_pop(url: str, caller: Caller) -> None:
    async with a_desktop(url) as desktop:
        await desktop.reached(State.CONNECTED)
        sent = [await caller.send(pop()) for _ in range(60)]  # three times mosquitto's window
        assert [await taken(desktop) for _ in sent] == sent


async def test_it_comes_back_when_the_broker_does(mosquitto: Mosquitto) -> None:
    states: list[State] = []
    async with a_desktop(mosquitto.url, on_state=lambda state, _why: states.append(state)) as desktop:
        async with Caller(mosquitto.port) as caller:
            await desktop.reached(State.CAUGHT_UP)
            before = await caller.send(pop())
            assert await taken(desktop) == before
            assert (await caller.hears())["outcome"] == "shown"
        mosquitto.kill()
        await desktop.reached(State.LOST)
        mosquitto.start()
        async with Caller(mosquitto.port) as caller:
            await desktop.reached(State.CAUGHT_UP)
            await caller.send(before)
            after = await caller.send(pop())
            assert await taken(desktop) == after
            while (await caller.hears())["popid"] != after.popid:
                pass  # the outcome of before, if its acknowledgement was cut off
    assert states == [State.CONNECTED, State.CAUGHT_UP, State.LOST, State.CONNECTED, State.CAUGHT_UP]


async def test_what_could_not_be_said_is_said_after_the_outage(url: str, caller: Caller) -> None:
    async with a_desktop(url, client_id="cut") as desktop:
        await desktop.reached(State.CONNECTED)
        shown = await caller.send(pop("CASE-1", campaign="Support"))
        await taken(desktop)
        assert await caller.hears() == {"popid": shown.popid, "outcome": "shown"}
        cut(desktop)
        await desktop.reached(State.LOST)
        desktop.close("CASE-1")
        answers = [await caller.hears()]
        while answers[-1] != {"record": "CASE-1", "state": "closed"}:
            answers.append(await caller.hears())
        # An outcome whose acknowledgement was cut off is told again: at least once.
        again = {"popid": shown.popid, "outcome": "shown"}
        assert [each for each in answers[:-1] if each != again] == [{"desktop": "cut", "state": "gone"}]


async def test_a_broken_connection_is_told_by_the_will_and_a_wanted_end_is_not(url: str, caller: Caller) -> None:
    async with a_desktop(url, client_id="left") as desktop:
        await desktop.reached(State.CONNECTED)
    async with a_desktop(url, client_id="cut") as desktop:
        await desktop.reached(State.CONNECTED)
        cut(desktop)
        assert await caller.hears() == {"desktop": "cut", "state": "gone"}


async def test_a_wrong_token_is_an_error_not_a_loop(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, users={"acme/1001": "right"})
    broker.start()
    try:
        async with Desktop(broker.url, "acme", "1001", "right") as desktop:
            await desktop.reached(State.CONNECTED)
        async with Desktop(broker.url, "acme", "1001", "wrong") as desktop:
            with pytest.raises(NotAuthorised, match="token") as caught:
                await taken(desktop)
            with pytest.raises(NotAuthorised):
                await desktop.reached(State.CONNECTED)
        assert "wrong" not in str(caught.value)
    finally:
        broker.kill()


@pytest.mark.parametrize("code", [4, 5])
async def test_both_refusals_of_a_login_are_errors(code: int) -> None:
    async with a_broker_that_answers(bytes([0x20, 2, 0, code])) as url, a_desktop(url) as desktop:
        with pytest.raises(NotAuthorised):
            await taken(desktop)


async def test_a_refused_subscription_is_an_error() -> None:
    suback = bytes([0x90, 7, 0, 1, 1, 1, 1, 1, 0x80])
    async with a_broker_that_answers(bytes([0x20, 2, 0, 0]) + suback) as url, a_desktop(url) as desktop:
        with pytest.raises(NotAuthorised, match="subscription"):
            await taken(desktop)


@pytest.mark.parametrize(
    "answer", [bytes([0x20, 2, 0, 3]), bytes([0x20, 2, 0, 1]), b"HTTP/1.1 400 Bad Request\r\n\r\n"]
)
async def test_a_broker_that_cannot_now_is_tried_again(answer: bytes) -> None:
    told: asyncio.Queue[tuple[State, str]] = asyncio.Queue()
    async with (
        a_broker_that_answers(answer) as url,
        a_desktop(url, on_state=lambda state, why: told.put_nowait((state, why))) as desktop,
    ):
        state, why = await asyncio.wait_for(told.get(), WITHIN)
        assert state is State.LOST
        assert why
        assert desktop.state is State.LOST


# paho leaves it to reference counting to close a socket whose TLS or WebSocket handshake failed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("scheme", ["mqtt", "mqtts", "ws", "wss"])
async def test_a_server_that_is_not_there_or_speaks_otherwise_is_tried_again(scheme: str) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    async with a_broker_that_answers(b"nonsense\r\n\r\n") as url:
        address = url.replace("mqtt", scheme)
        async with a_desktop(address, on_state=lambda _state, why: told.put_nowait(why)):
            assert await asyncio.wait_for(told.get(), WITHIN)
    async with a_desktop(address, on_state=lambda _state, why: told.put_nowait(why)):
        assert await asyncio.wait_for(told.get(), WITHIN)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # as above
@pytest.mark.parametrize("scheme", ["mqtts", "wss"])
async def test_tls_is_used_and_certificates_are_checked(tmp_path: Path, scheme: str) -> None:
    authority = trustme.CA()
    certificate = tmp_path / "certificate.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(certificate)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    broker = Mosquitto(tmp_path, certificate=certificate)
    broker.start()
    url = f"{scheme}://127.0.0.1:{broker.port if scheme == 'mqtts' else broker.ws_port}"
    told: asyncio.Queue[str] = asyncio.Queue()
    try:
        async with a_desktop(url, tls=trusting) as desktop:
            await desktop.reached(State.CONNECTED)
        async with a_desktop(url, on_state=lambda _state, why: told.put_nowait(why)) as desktop:
            assert "CERTIFICATE_VERIFY_FAILED" in await asyncio.wait_for(told.get(), WITHIN)
            assert desktop.state is State.LOST
    finally:
        broker.kill()


async def test_a_desktop_that_was_left_says_so(url: str) -> None:
    async with a_desktop(url) as desktop:
        await desktop.reached(State.CONNECTED)
    with pytest.raises(RuntimeError, match="left"):
        await desktop.take()


@pytest.mark.parametrize("customer", ["", "a/b", "a" * 65])
def test_a_customer_that_cannot_be_is_refused_at_once(customer: str) -> None:
    with pytest.raises(ValueError, match="CustomerID"):
        Desktop("mqtt://127.0.0.1", customer, "1001", "any")


def test_a_session_that_survives_needs_a_name() -> None:
    with pytest.raises(ValueError, match="client_id"):
        Desktop("mqtt://127.0.0.1", "acme", "1001", "any", clean=False)


def test_the_token_is_not_in_what_a_debugger_prints() -> None:
    desktop = Desktop("mqtt://127.0.0.1", "acme", "1001", "geheim")
    assert "geheim" not in repr(desktop) + repr(desktop._login) + str(desktop._login)


def test_waits_double_up_to_a_limit_and_use_the_whole_range() -> None:
    assert [wait_before(attempt, 1.0) for attempt in (1, 2, 3)] == [FIRST_WAIT, FIRST_WAIT * 2, FIRST_WAIT * 4]
    assert wait_before(1_000_000, 1.0) == LONGEST_WAIT
    assert wait_before(5, 0.0) == 0.0
