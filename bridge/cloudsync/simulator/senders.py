"""Senders: how a simulated CRM's events reach the bridge: by MQTT, or by HTTP."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from bridge.cloudsync.simulator.centre import Event
from bridge.cloudsync.simulator.runner import Send
from bridge.cloudsync.simulator.spelling import iso

WINDOW = 400
"""Messages that may wait for their PUBACK."""

_WITHIN = 10.0  # seconds to connect, and to be acknowledged at the end
_HEARTBEAT = 60.0  # seconds after which an HTTP feed that has nothing to tell says so


class CannotSendError(Exception):
    """The bridge does not take events; the text says why."""


@asynccontextmanager
async def by_mqtt(host: str, port: int, customer: str, token: str) -> AsyncIterator[Send]:
    """Be a feed over MQTT: say that it is up (retained), and that it is down at the end, also by a will."""
    feed = f"CLOUDSYNC/{customer}/feed"
    link = _Link(customer, feed)
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
    client.username_pw_set(customer, token)
    client.max_inflight_messages_set(WINDOW)
    client.will_set(feed, _state("down"), qos=1, retain=True)
    client.on_connect = link.on_connect
    client.on_publish = link.on_publish
    try:
        await asyncio.to_thread(client.connect, host, port, 60)
    except OSError as error:
        raise CannotSendError(f"There is no MQTT at {host}:{port}: {error.strerror or error}") from None
    client.loop_start()
    try:
        await link.connected()

        async def send(events: Sequence[Event]) -> None:
            for event in events:
                await link.take()
                client.publish(f"CLOUDSYNC/{customer}/{event.channel}", event.payload, qos=1)

        yield send
        await link.settled()
        client.publish(feed, _state("down"), qos=1, retain=True)
        await link.take()
        await link.settled()
    finally:
        client.disconnect()
        await asyncio.to_thread(client.loop_stop)


@asynccontextmanager
async def by_http(url: str, token: str) -> AsyncIterator[Send]:
    """Be a feed over HTTP: arrays of events, and an empty one where nothing has happened for a minute."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(headers=headers) as session:
        target = f"{url.rstrip('/')}/api/cloudsync/events"
        await _post(session, target, b"[]")

        async def send(events: Sequence[Event]) -> None:
            await _post(session, target, b"[" + b",".join(event.payload for event in events) + b"]")

        async with _beating(lambda: _post(session, target, b"[]")):
            yield send


@asynccontextmanager
async def by_call(accept: Callable[[Sequence[bytes]], Awaitable[object]]) -> AsyncIterator[Send]:
    """Be a feed inside the bridge's own process: `accept` takes payloads, and none where nothing has happened."""
    await accept([])

    async def send(events: Sequence[Event]) -> None:
        await accept([event.payload for event in events])

    async with _beating(lambda: accept([])):
        yield send


@asynccontextmanager
async def _beating(beat_once: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    async def beat() -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT)
            await beat_once()

    task = asyncio.create_task(beat(), name="heartbeats of the simulated feed")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _post(session: aiohttp.ClientSession, target: str, body: bytes) -> None:
    try:
        async with session.post(target, data=body) as response:
            if response.status != 200:
                raise CannotSendError(f"The bridge answered {response.status} to {target}.")
    except aiohttp.ClientError as error:
        raise CannotSendError(f"There is no bridge at {target}: {type(error).__name__}.") from None


class _Link:
    """What paho's thread tells, brought into the event loop."""

    def __init__(self, customer: str, feed: str) -> None:
        self._customer = customer
        self._feed = feed
        self._states: set[int] = set()  # packets that nobody took room for
        self._loop = asyncio.get_running_loop()
        self._room = asyncio.Semaphore(WINDOW)
        self._answer: asyncio.Future[bool] = self._loop.create_future()

    def on_connect(self, client: paho.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if not reason.is_failure:
            # After each lost connection again: the will has said that the feed is down.
            self._states.add(client.publish(self._feed, _state("up"), qos=1, retain=True).mid)
        self._loop.call_soon_threadsafe(self._answered, not reason.is_failure)

    def on_publish(self, _client: paho.Client, _data: Any, mid: int, _reason: Any, _properties: Any) -> None:
        if mid in self._states:
            self._states.discard(mid)
            return
        self._loop.call_soon_threadsafe(self._room.release)

    async def connected(self) -> None:
        """Wait for CONNACK."""
        try:
            async with asyncio.timeout(_WITHIN):
                accepted = await self._answer
        except TimeoutError:
            raise CannotSendError("The broker did not answer CONNECT.") from None
        if not accepted:
            raise CannotSendError(f"The broker refuses this feed token of {self._customer}.")

    async def take(self) -> None:
        """Wait until one more message may be unacknowledged."""
        await self._room.acquire()

    async def settled(self) -> None:
        """Wait until all are acknowledged."""
        try:
            async with asyncio.timeout(_WITHIN):
                for _ in range(WINDOW):
                    await self._room.acquire()
        except TimeoutError:
            raise CannotSendError("The broker did not acknowledge everything.") from None
        for _ in range(WINDOW):
            self._room.release()

    def _answered(self, accepted: bool) -> None:  # noqa: FBT001 - a callback
        if not self._answer.done():
            self._answer.set_result(accepted)


def _state(state: str) -> bytes:
    return msgspec.json.encode({"state": state, "at": iso(int(time.time() * 1000))})
