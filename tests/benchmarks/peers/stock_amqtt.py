"""amqtt as it comes, with aiohttp in the same process: a trigger is published through the broker's internal client."""

import asyncio

from aiohttp import web
from amqtt.broker import Broker

from tests.benchmarks.peers import trigger


async def main() -> None:
    """Serve until SIGTERM."""
    given = trigger.options()
    keys = trigger.Keys(given.public.read_text())
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{given.mqtt}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    await broker.start()

    async def send(request: web.Request) -> web.Response:
        popid, topic, document = await trigger.read(request, keys)
        await broker.internal_message_broadcast(topic, document.encode(), 1)
        return trigger.answer(popid, topic)

    await trigger.serve(send, given.mqtt)
    await broker.shutdown()


if __name__ == "__main__":
    asyncio.run(main())
