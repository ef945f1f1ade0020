"""Tools: mosquitto_sub, mosquitto_pub and paho-mqtt work with their defaults, and one for MQTT 5 is told what to do."""

import asyncio
from collections.abc import AsyncIterator

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from bridge.broker.port import Message
from bridge.words.topics import permits

from .client import PATIENCE, eventually
from .ours import Ours, RoleGate, Watch, desktop, feed, running
from .targets import program

A = desktop("acme", "1001")
FEED = feed("acme")
TOPIC = "CTI/acme/1001"


@pytest.fixture
async def ours() -> AsyncIterator[Ours]:
    async with running("ours-tcp", RoleGate(A, FEED), permits=permits) as target:
        yield target


async def tool(name: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        program(name), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


async def finished(process: asyncio.subprocess.Process) -> tuple[int | None, str, str]:
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("qos", ["0", "1", "2"])
async def test_mosquitto_sub_prints_a_pop_and_proves_it(ours: Ours, qos: str) -> None:
    at = ("-h", "127.0.0.1", "-p", str(ours.port), "-u", "acme/1001", "-P", A.id)
    process = await tool(
        "mosquitto_sub", *at, "-q", qos, "-t", TOPIC, "-t", "CTI/acme/+/1001", "-C", "1", "-F", "%t %p"
    )
    await eventually(lambda: ours.broker.desktops("CTI/acme/env1/1001") == 1)
    watch = Watch()
    await ours.broker.publish(Message("CTI/acme/env1/1001", b"pop"), watcher=watch)

    assert await finished(process) == (0, "CTI/acme/env1/1001 pop\n", "")
    if qos != "0":
        await watch.until("acknowledged")


@pytest.mark.parametrize("qos", ["0", "1", "2"])
async def test_mosquitto_pub_publishes(ours: Ours, qos: str) -> None:
    at = ("-h", "127.0.0.1", "-p", str(ours.port), "-u", "acme", "-P", FEED.id)
    process = await tool("mosquitto_pub", *at, "-q", qos, "-t", "CLOUDSYNC/acme/x", "-m", "event")

    assert await finished(process) == (0, "", "")
    await ours.recorder.until("arrived", None, "CLOUDSYNC/acme/x", b"event")


async def test_mosquitto_sub_for_mqtt_5_is_told_what_to_set(ours: Ours, caplog: pytest.LogCaptureFixture) -> None:
    at = ("-h", "127.0.0.1", "-p", str(ours.port), "-u", "acme/1001", "-P", A.id, "-V", "mqttv5")
    code, _, _ = await finished(await tool("mosquitto_sub", *at, "-t", TOPIC, "-C", "1", "-W", "5"))

    assert code
    assert "mqttv311" in caplog.text


async def test_mosquitto_sub_with_a_bad_token_says_so(ours: Ours) -> None:
    at = ("-h", "127.0.0.1", "-p", str(ours.port), "-u", "acme/1001", "-P", "wrong")
    code, _, err = await finished(await tool("mosquitto_sub", *at, "-t", TOPIC, "-C", "1", "-W", "5"))

    assert code
    assert "user name or password" in err.lower() or "not authori" in err.lower()


@pytest.mark.parametrize("transport", ["tcp", "websockets"])
async def test_paho_receives_a_pop_and_answers(ours: Ours, transport: str) -> None:
    loop = asyncio.get_running_loop()
    arrived: asyncio.Future[tuple[str, bytes]] = loop.create_future()
    client = paho.Client(CallbackAPIVersion.VERSION2, transport="tcp" if transport == "tcp" else "websockets")
    client.username_pw_set("acme/1001", A.id)

    def on_connect(own: paho.Client, *_: object) -> None:
        own.subscribe(TOPIC, 1)

    def on_message(own: paho.Client, _: object, message: paho.MQTTMessage) -> None:
        own.publish("ACK/acme/1001", b"shown", 1)
        loop.call_soon_threadsafe(arrived.set_result, (message.topic, bytes(message.payload)))

    client.on_connect = on_connect
    client.on_message = on_message
    port = ours.port if transport == "tcp" else int(ours.url.rpartition(":")[2].partition("/")[0])
    await asyncio.to_thread(client.connect, "127.0.0.1", port)
    client.loop_start()
    try:
        await ours.recorder.until("listening", "1001", (TOPIC,))
        watch = Watch()
        await ours.broker.publish(Message(TOPIC, b"pop"), watcher=watch)

        async with asyncio.timeout(PATIENCE):
            assert await arrived == (TOPIC, b"pop")
        await watch.until("acknowledged")
        await ours.recorder.until("arrived", "1001", "ACK/acme/1001", b"shown")
    finally:
        client.disconnect()
        await asyncio.to_thread(client.loop_stop)
