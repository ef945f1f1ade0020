import asyncio
import datetime as dt
import json
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from aiohttp import web

from bridge.cloudsync.simulator import senders
from bridge.cloudsync.simulator.centre import Centre, Event, Size
from bridge.cloudsync.simulator.senders import CannotSendError
from tests.agent_client.mosquitto import Mosquitto
from tests.broker.contract.client import Client
from tests.broker.contract.lines import TcpLine

WITHIN = 20.0


@pytest.fixture
def events() -> list[Event]:
    return list(Centre(3, dt.date(2026, 6, 1), Size(agents=8, tickets=100, sessions=200)).events())


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path)
    broker.start()
    assert broker._process is not None
    # Its log must be read, or it stops when the pipe is full.
    reading = threading.Thread(target=deque, args=(broker._process.stderr, 0))
    reading.start()
    yield broker
    broker._process.kill()
    reading.join(WITHIN)
    broker.kill()


async def test_over_mqtt_each_event_goes_to_its_topic_and_the_feed_says_up_and_down(
    mosquitto: Mosquitto, events: list[Event]
) -> None:
    client = Client(await TcpLine.open("127.0.0.1", mosquitto.port))
    await client.connect(username="acme", password="x")
    await client.subscribe(("CLOUDSYNC/acme/#", 1))
    arrived: dict[str, list[bytes]] = {}

    async def hear() -> None:
        for _ in range(len(events) + 2):
            message = await client.message()
            arrived.setdefault(message.topic, []).append(message.payload)

    async with asyncio.timeout(WITHIN):
        hearing = asyncio.create_task(hear())
        async with senders.by_mqtt("127.0.0.1", mosquitto.port, "acme", "token") as send:
            await send(events)
        await hearing
    assert [json.loads(said)["state"] for said in arrived.pop("CLOUDSYNC/acme/feed")] == ["up", "down"]
    wanted: dict[str, list[bytes]] = {}
    for event in events:
        wanted.setdefault(f"CLOUDSYNC/acme/{event.channel}", []).append(event.payload)
    assert arrived == wanted
    await client.drop()


async def test_a_broker_that_refuses_or_is_not_there_is_explained(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path, users={"acme": "right"})
    broker.start()
    try:
        with pytest.raises(CannotSendError, match="refuses this feed token"):
            async with senders.by_mqtt("127.0.0.1", broker.port, "acme", "wrong"):
                pass
    finally:
        broker.kill()
    with pytest.raises(CannotSendError, match="no MQTT"):
        async with senders.by_mqtt("127.0.0.1", broker.port, "acme", "right"):
            pass


async def test_over_http_events_go_as_arrays_with_the_token(events: list[Event]) -> None:
    taken: list[list[object]] = []
    tokens: set[str] = set()

    async def door(request: web.Request) -> web.Response:
        tokens.add(request.headers["Authorization"])
        taken.append(await request.json())
        return web.json_response({"success": True}, status=200 if len(taken) < 4 else 503)

    application = web.Application(client_max_size=1 << 24)
    application.router.add_post("/api/cloudsync/events", door)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        async with senders.by_http(f"http://{host}:{port}/", "secret") as send:
            await send(events[:10])
            await send(events[10:15])
            with pytest.raises(CannotSendError, match="503"):
                await send(events[:1])
    finally:
        await runner.cleanup()
    assert [len(array) for array in taken] == [0, 10, 5, 1]
    assert taken[1] == [json.loads(event.payload) for event in events[:10]]
    assert tokens == {"Bearer secret"}
    with pytest.raises(CannotSendError, match="no bridge"):
        async with senders.by_http(f"http://{host}:{port}", "secret"):
            pass


async def test_inside_the_process_payloads_are_handed_over(events: list[Event]) -> None:
    taken: list[list[bytes]] = []

    async def accept(payloads: Sequence[bytes]) -> None:
        taken.append(list(payloads))

    async with senders.by_call(accept) as send:
        await send(events[:3])
    assert taken == [[], [event.payload for event in events[:3]]]
