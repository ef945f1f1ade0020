"""The glue that a user would write: aiohttp takes the trigger, paho publishes it to mosquitto at QoS 1.

It answers when mosquitto acknowledged, or with `--at-once` when paho has it.
"""

import asyncio

from aiohttp import web
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from tests.benchmarks.peers import trigger

INFLIGHT = 1_000  # paho's default of 20 would be fewer than the callers' connections
PATIENCE = 10.0


class Publisher:
    """paho's client with its own thread, and who waits for which PUBACK."""

    def __init__(self, port: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="glue")
        self._client.max_inflight_messages_set(INFLIGHT)
        self._client.on_publish = self._acknowledged
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    async def publish(self, topic: str, payload: str, *, wait: bool) -> None:
        """Publish at QoS 1, and wait for PUBACK if asked to."""
        if not wait:
            self._client.publish(topic, payload, qos=1)
            return
        mid = self._client.publish(topic, payload, qos=1).mid
        # The PUBACK reaches this loop by call_soon_threadsafe, so never before this line.
        future = self._waiting[mid] = self._loop.create_future()
        async with asyncio.timeout(PATIENCE):
            await future

    def stop(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def _acknowledged(self, _client: paho.Client, _data: object, mid: int, _reason: ReasonCode, _: Properties) -> None:
        self._loop.call_soon_threadsafe(self._resolve, mid)

    def _resolve(self, mid: int) -> None:
        if (future := self._waiting.pop(mid, None)) and not future.done():
            future.set_result(None)


async def main() -> None:
    """Serve until SIGTERM."""
    given = trigger.options()
    keys = trigger.Keys(given.public.read_text())
    publisher = Publisher(given.mqtt)

    async def send(request: web.Request) -> web.Response:
        popid, topic, document = await trigger.read(request, keys)
        await publisher.publish(topic, document, wait=not given.at_once)
        return trigger.answer(popid, topic)

    await trigger.serve(send, given.mqtt)
    publisher.stop()


if __name__ == "__main__":
    asyncio.run(main())
