"""The embedded broker as operators and everyday clients meet it: plugins, amqtt's doors, paho, mosquitto, TLS."""

import asyncio
import contextlib
import logging
import os
import shutil
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar

import paho.mqtt.client as paho
import pytest
import trustme
from amqtt.broker import BrokerContext
from amqtt.contexts import Action
from amqtt.errors import BrokerError, PluginImportError
from amqtt.plugins.base import BaseAuthPlugin, BasePlugin, BaseTopicPlugin
from amqtt.session import Session
from paho.mqtt.enums import CallbackAPIVersion

from bridge.broker.connection import LINGER
from bridge.broker.embedded import EmbeddedBroker
from bridge.broker.port import Audience, Message, Ticket
from bridge.words import topics
from bridge.words.principal import Principal
from bridge.words.settings import Mqtt

from .contract import packets
from .contract.client import PATIENCE, Client, Ended, eventually
from .contract.lines import TcpLine
from .contract.ours import ANYWHERE, OpenGate, Recorder, RoleGate, Watch, desktop, observer

A, B, WATCHING = desktop("acme", "1001"), desktop("acme", "1002"), observer("acme")


class Bouncer(BaseAuthPlugin):  # type: ignore[misc]
    """Refuses who is named, abstains for others."""

    seen: ClassVar[list[Session]] = []

    @dataclass
    class Config:
        refuses: str = ""

    async def authenticate(self, *, session: Session) -> bool | None:
        assert session.password
        self.seen.append(session)
        return False if session.username == self.config.refuses else None


class Censor(BaseTopicPlugin):  # type: ignore[misc]
    """Forbids CRM topics and publishing of one desktop; grants everything else, even what is not its to grant."""

    async def topic_filtering(
        self, *, session: Session | None = None, topic: str | None = None, action: Action | None = None
    ) -> bool | None:
        if session is None or topic is None:
            return None
        if action == Action.PUBLISH:
            return bool(session.username != "acme/1002")
        return not topic.startswith("CRM/")


class Broken(BaseAuthPlugin):  # type: ignore[misc]
    """Breaks."""

    async def authenticate(self, *, session: Session) -> bool | None:
        raise RuntimeError(f"no directory for {session.username}")


class Witness(BasePlugin[BrokerContext]):  # type: ignore[misc]
    """Hears events, and speaks through amqtt's context."""

    instance: ClassVar["Witness"]

    def __init__(self, context: BrokerContext) -> None:
        super().__init__(context)
        type(self).instance = self
        self.told: list[tuple[str, str]] = []

    async def on_broker_client_connected(self, *, client_id: str, client_session: Session) -> None:
        assert client_session.client_id == client_id
        self.told.append(("connected", client_id))

    async def on_broker_client_subscribed(self, *, client_id: str, topic: str, qos: int) -> None:
        self.told.append((f"subscribed {topic} {qos}", client_id))

    async def on_broker_client_unsubscribed(self, *, client_id: str, topic: str) -> None:
        self.told.append((f"unsubscribed {topic}", client_id))

    async def on_broker_message_received(self, *, client_id: str, message: Any) -> None:
        self.told.append((f"received {message.topic}", client_id))

    async def on_broker_client_disconnected(self, *, client_id: str, client_session: Session) -> None:
        self.told.append((f"disconnected {client_session.transitions.state}", client_id))


class Forgetful(Recorder):
    """A listener with a mistake in it."""

    def arrived(self, principal: Principal, topic: str, payload: bytes, ticket: Ticket) -> bool:
        raise KeyError(principal, topic, payload, ticket)


def plugin(kind: type) -> str:
    return f"{__name__}.{kind.__qualname__}"


class House:
    """A running broker."""

    def __init__(self, broker: EmbeddedBroker, recorder: Recorder) -> None:
        self.broker = broker
        self.recorder = recorder
        self._lines: list[TcpLine] = []

    async def client(self) -> Client:
        line = await TcpLine.open(*self.broker.address)
        self._lines.append(line)
        return Client(line)

    async def enter(self, username: str, password: str, client_id: str = "") -> Client:
        client = await self.client()
        assert await client.connect(client_id, username=username, password=password) == (False, 0)
        return client

    async def close(self) -> None:
        for line in self._lines:
            await line.close()


@asynccontextmanager
async def house(
    *, gate: Any = None, tls: ssl.SSLContext | None = None, **plugins: dict[str, object]
) -> AsyncIterator[House]:
    recorder = Recorder()
    settings = Mqtt(bind=ANYWHERE, plugins={plugin(globals()[name]): options for name, options in plugins.items()})
    broker = EmbeddedBroker(settings, gate or RoleGate(A, B, WATCHING), recorder, topics.permits, tls=tls)
    await broker.start()
    running = House(broker, recorder)
    try:
        yield running
    finally:
        await running.close()
        await broker.stop()


@asynccontextmanager
async def open_house() -> AsyncIterator[EmbeddedBroker]:
    broker = EmbeddedBroker(Mqtt(bind=ANYWHERE), OpenGate(), Recorder(), lambda *_: True, retain=lambda *_: True)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()


async def test_an_operators_plugin_narrows_and_abstains() -> None:
    async with house(Bouncer={"refuses": "acme/1002"}, Censor={}) as running:
        refused = await running.client()
        assert await refused.connect(username="acme/1002", password=B.id) == (False, 5)
        await refused.ended()
        client = await running.enter("acme/1001", A.id)
        assert await client.subscribe(("CTI/acme/1001", 1), ("CRM/acme/1001", 1)) == [1, 0x80]
        await client.publish("ACK/acme/1001", b"{}", qos=1)
        assert running.broker.counters.logins_failed == 1


async def test_an_operators_plugin_cannot_widen() -> None:
    async with house(Bouncer={}, Censor={}) as running:
        client = await running.enter("acme/1001", A.id)
        assert await client.subscribe(("CTI/acme/1002", 1), ("#", 1)) == [0x80, 0x80]
        await client.send(packets.publish("CTI/acme/1001", b"forged"))
        await client.ended()
        wrong = await running.client()
        assert await wrong.connect(username="acme/1001", password="guess") == (False, 4)
        assert running.broker.counters.forbidden == 1


async def test_a_publish_an_operators_plugin_forbids_closes_the_connection() -> None:
    async with house(Censor={}) as running:
        client = await running.enter("acme/1002", B.id)
        await client.send(packets.publish("ACK/acme/1002", b"{}", qos=1, mid=1))
        assert await client.ended() == []
        assert [told for told in running.recorder.told if told[0] == "arrived"] == []


async def test_the_password_is_wiped_after_the_login() -> None:
    Bouncer.seen.clear()
    async with house(Bouncer={}) as running:
        await running.enter("acme/1001", A.id)
        [session] = Bouncer.seen
        assert session.password is None
        assert session.username == "acme/1001"
        assert session.remote_address == "127.0.0.1"


async def test_a_plugin_that_breaks_lets_nobody_in() -> None:
    async with house(Broken={}) as running:
        asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
        client = await running.client()
        with pytest.raises(Ended):
            await client.connect(username="acme/1001", password=A.id)
        await eventually(lambda: running.broker.gauges().connecting == 0)
        assert running.broker.gauges().sessions == 0


async def test_plugins_hear_events_and_speak_through_amqtts_context() -> None:
    async with house(Witness={}) as running:
        witness = Witness.instance
        client = await running.enter("acme/1001", A.id, "seat")
        assert await client.subscribe(("DESK/acme/1001", 1)) == [1]
        await client.publish("ACK/acme/1001", b"{}", qos=1)
        await witness.context.broadcast_message("DESK/acme/1001", b"hello", 1)
        assert (await client.message()).payload == b"hello"
        await witness.context.retain_message("DESK/acme/1001", b"kept", 1)
        assert await client.subscribe(("DESK/acme/1001", 1)) == [1]
        assert (await client.message()).payload == b"kept"
        known = witness.context.get_session("seat")
        assert known is not None
        assert witness.context.subscriptions == {"DESK/acme/1001": [(known, 1)]}
        assert witness.context.retained_messages["DESK/acme/1001"].data == b"kept"
        await witness.context.add_subscription("seat", "CTI/acme/1001", 0)
        assert running.broker.desktops("CTI/acme/1001") == 1
        with pytest.raises(BrokerError):
            await witness.context.add_subscription("nobody", "CTI/acme/1001", 0)
        await client.unsubscribe("DESK/acme/1001")
        await client.drop()
        await eventually(lambda: ("disconnected disconnected", "seat") in witness.told)
        assert witness.told == [
            ("connected", "seat"),
            ("subscribed DESK/acme/1001 1", "seat"),
            ("received ACK/acme/1001", "seat"),
            ("subscribed DESK/acme/1001 1", "seat"),
            ("unsubscribed DESK/acme/1001", "seat"),
            ("disconnected disconnected", "seat"),
        ]


async def test_a_client_may_come_by_a_reader_of_asyncios() -> None:
    async with open_house() as broker:
        door = partial(broker.stream_connected, listener_name="own")
        async with await asyncio.start_server(door, "127.0.0.1", 0) as server:
            client = Client(await TcpLine.open(*server.sockets[0].getsockname()[:2]))
            assert await client.connect("me") == (False, 0)
            assert await client.subscribe(("a", 1)) == [1]
            await client.publish("a", b"x", qos=1)
            assert (await client.message()).payload == b"x"
            await client.drop()
            await eventually(lambda: broker.gauges().connections == 0)


async def test_a_failure_of_ours_ends_that_connection_alone_and_is_told() -> None:
    told: list[BaseException | None] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context.get("exception")))
    broker = EmbeddedBroker(Mqtt(bind=ANYWHERE), OpenGate(), Forgetful(), lambda *_: True)
    await broker.start()
    running = House(broker, Recorder())
    try:
        hit, other = await running.enter("any", "any", "hit"), await running.enter("any", "any", "other")
        await hit.send(packets.publish("a", b"x", qos=1, mid=1))
        assert await hit.ended() == []
        await eventually(lambda: broker.gauges().sessions == 1)
        assert await other.subscribe(("a", 1)) == [1]
        assert [type(failure) for failure in told] == [KeyError]
    finally:
        await running.close()
        await broker.stop()


async def test_an_expiry_ends_a_connection_though_nothing_stirs() -> None:
    soon, later = desktop("acme", "1001", expires=time.time() + 1.0), desktop("acme", "1002")
    broker = EmbeddedBroker(Mqtt(bind=ANYWHERE), RoleGate(soon, later), Recorder(), stirred=lambda _: False)
    await broker.start()
    running = House(broker, Recorder())
    try:
        ending, staying = await running.client(), await running.client()
        assert await ending.connect(username="acme/1001", password=soon.id) == (False, 0)
        assert await staying.connect(username="acme/1002", password=later.id) == (False, 0)
        assert await ending.ended() == []
        assert (broker.counters.ended_dead, broker.gauges().connections) == (1, 1)
    finally:
        await running.close()
        await broker.stop()


async def test_what_expires_as_the_clock_is_set_ends_at_once() -> None:
    set_forward = [0.0]
    hourly = desktop("acme", "1001", expires=time.time() + 3600)
    broker = EmbeddedBroker(
        Mqtt(bind=ANYWHERE),
        RoleGate(hourly),
        Recorder(),
        clock=lambda: time.time() + set_forward[0],
        stirred=lambda _: False,
    )
    await broker.start()
    running = House(broker, Recorder())
    try:
        client = await running.enter("acme/1001", hourly.id)
        set_forward[0], begun = 7200.0, time.monotonic()
        assert await client.ended() == []
        assert time.monotonic() - begun < 5  # all are looked at every 10 s in any case
        assert broker.counters.ended_dead == 1
    finally:
        await running.close()
        await broker.stop()


@pytest.mark.skipif(sys.platform == "win32", reason="no uvloop for Windows")
def test_whoever_sends_much_at_once_gives_way_to_the_others() -> None:
    import uvloop  # noqa: PLC0415 - there is none for Windows

    message = packets.publish("a", b"x" * 1000)

    async def story() -> None:
        async with open_house() as broker:
            client = Client(await TcpLine.open(*broker.address))
            assert await client.connect("polite") == (False, 0)
            with socket.create_connection(broker.address) as flood:
                flood.sendall(packets.connect("much"))
                await eventually(lambda: broker.gauges().connections == 2)
                flood.setblocking(False)
                sent, taken = 0, [0]
                with contextlib.suppress(BlockingIOError):
                    while True:  # as much as the system holds
                        sent += flood.send(message * 1000)
                async with asyncio.timeout(PATIENCE):
                    while broker.counters.messages_in < sent // len(message):
                        await asyncio.sleep(0)
                        taken.append(broker.counters.messages_in)
                most = max(after - before for before, after in pairwise(taken)) * len(message)
                assert sent > 1_000_000
                assert most < 600_000
            await client.drop()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(story())


async def test_a_plugin_that_cannot_be_had_stops_the_start() -> None:
    with pytest.raises(PluginImportError):
        EmbeddedBroker(Mqtt(plugins={"no.such.Plugin": {}}), OpenGate(), Recorder())


async def test_one_address_is_bound_and_no_other() -> None:
    async with house() as running:
        bound = [
            place.getsockname()
            for server in running.broker._servers.values()
            if server.instance is not None
            for place in server.instance.sockets
        ]
        assert bound == [running.broker.address]


async def test_an_address_in_use_is_an_os_error(caplog: pytest.LogCaptureFixture) -> None:
    async with house() as running:
        taken = Mqtt(bind=type(ANYWHERE)(*running.broker.address))
        with pytest.raises(OSError, match="address"):
            await EmbeddedBroker(taken, OpenGate(), Recorder()).start()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_a_broker_that_is_not_started_has_no_address_and_stops_quietly() -> None:
    broker = EmbeddedBroker(Mqtt(bind=ANYWHERE), OpenGate(), Recorder())
    with pytest.raises(RuntimeError):
        _ = broker.address
    await broker.stop()


def authority() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Make the two sides of TLS."""
    issuing = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issuing.issue_cert("127.0.0.1").configure_cert(server)
    trusting = ssl.create_default_context()
    issuing.configure_trust(trusting)
    return server, trusting


async def test_a_pop_goes_out_over_tls() -> None:
    server, trusting = authority()
    async with house(tls=server) as running:
        reader, writer = await asyncio.open_connection(*running.broker.address, ssl=trusting)
        client = Client(TcpLine(reader, writer))
        assert await client.connect(username="acme/1001", password=A.id) == (False, 0)
        assert await client.subscribe(("CTI/acme/1001", 1)) == [1]
        tracker = Watch()
        receipt = await running.broker.publish(Message("CTI/acme/1001", b"pop"), Audience.EVERYBODY, tracker)
        assert (receipt.desktops, receipt.written, receipt.awaiting) == (1, 1, 1)
        assert (await client.message()).payload == b"pop"
        await tracker.until("acknowledged")
        await client.drop()


async def test_a_reset_below_tls_leaves_nothing() -> None:
    server, trusting = authority()
    async with house(tls=server) as running:
        line = TcpLine(*await asyncio.open_connection(*running.broker.address, ssl=trusting))
        assert await Client(line).connect(username="acme/1001", password=A.id) == (False, 0)
        line.abort()
        await running.recorder.until("left", "1001", 0)
        await eventually(lambda: running.broker.gauges().connections == 0)


async def test_who_is_refused_over_tls_and_does_not_say_goodbye_has_a_place_for_a_moment_only() -> None:
    server, trusting = authority()
    async with house(tls=server) as running:
        line = TcpLine(*await asyncio.open_connection(*running.broker.address, ssl=trusting))
        await line.send(packets.connect(username="acme/1001", password="guess"))
        line.deaf()
        begun = time.monotonic()
        await eventually(lambda: running.broker.counters.logins_failed == 1)
        await eventually(lambda: running.broker.gauges().connecting == 0)
        assert time.monotonic() - begun < 4 * LINGER  # asyncio would wait for 30 s
        line.abort()


async def test_paho_works_with_its_defaults() -> None:
    loop, heard = asyncio.get_running_loop(), asyncio.Queue[tuple[str, bytes, int]]()
    async with open_house() as broker:
        client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)

        def publish(*_: object) -> None:
            for qos in range(3):
                client.publish("a/b", b"x", qos)

        def hear(_client: paho.Client, _data: object, message: paho.MQTTMessage) -> None:
            loop.call_soon_threadsafe(heard.put_nowait, (message.topic, bytes(message.payload), message.qos))

        client.on_connect = lambda *_: client.subscribe("a/#", 2) and None
        client.on_subscribe = publish
        client.on_message = hear
        client.connect_async(*broker.address)
        client.loop_start()
        async with asyncio.timeout(PATIENCE):
            assert sorted([await heard.get() for _ in range(3)]) == [("a/b", b"x", qos) for qos in range(3)]
        client.disconnect()
        await asyncio.to_thread(client.loop_stop)
        await eventually(lambda: broker.gauges().connections == 0)


@pytest.mark.skipif(shutil.which("mosquitto_sub") is None and "CI" not in os.environ, reason="no mosquitto-clients")
async def test_mosquittos_tools_work_with_their_defaults() -> None:
    async with open_house() as broker:
        where = ("-V", "mqttv311", "-h", broker.address[0], "-p", str(broker.address[1]))
        listening = await asyncio.create_subprocess_exec(
            "mosquitto_sub", *where, "-t", "a/+", "-q", "2", "-C", "3", "-v", stdout=asyncio.subprocess.PIPE
        )
        await eventually(lambda: broker.gauges().subscriptions == 1)
        for qos in "012":
            speaking = await asyncio.create_subprocess_exec(
                "mosquitto_pub", *where, "-t", f"a/{qos}", "-m", "x", "-q", qos
            )
            assert await speaking.wait() == 0
        out, _ = await listening.communicate()
        assert out == b"a/0 x\na/1 x\na/2 x\n"
        assert listening.returncode == 0


@pytest.mark.skipif(shutil.which("mosquitto_pub") is None and "CI" not in os.environ, reason="no mosquitto-clients")
async def test_an_mqtt_5_client_is_told_what_to_do_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async with open_house() as broker:
        speaking = await asyncio.create_subprocess_exec(
            "mosquitto_pub",
            *("-V", "mqttv5", "-h", broker.address[0], "-p", str(broker.address[1]), "-t", "a", "-m", "x"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert await speaking.wait() != 0
        [line] = [record.getMessage() for record in caplog.records if record.name == "popbridge.broker"]
        assert "MQTT 5" in line
        assert "-V mqttv311" in line
