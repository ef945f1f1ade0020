"""A trigger as a sane author of the glue would take it: the key verified once and then remembered, JSON in and out."""

import argparse
import asyncio
import json
import secrets
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import jwt
from aiohttp import web

REMEMBERED = 10_000  # keys
TTL = 30.0  # seconds


class Keys:
    """API keys: ES256, each verified once."""

    def __init__(self, public: str) -> None:
        self._public = public
        self._known: dict[str, dict[str, Any]] = {}

    def customer(self, request: web.Request) -> str:
        """Tell whose key it is; 401 if it is none."""
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        claims = self._known.get(token)
        if claims is None:
            try:
                claims = jwt.decode(token, self._public, algorithms=["ES256"])
            except jwt.InvalidTokenError as refused:
                raise web.HTTPUnauthorized from refused
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            self._known[token] = claims
        if claims["exp"] < time.time():
            raise web.HTTPUnauthorized
        return str(claims["customer"])


async def read(request: web.Request, keys: Keys) -> tuple[str, str, str]:
    """Give popid, topic and document of a trigger."""
    customer = keys.customer(request)
    data = await request.json()
    agent, event = data.pop("agentid", None), data.pop("event", None)
    if not isinstance(agent, str) or not isinstance(event, str):
        raise web.HTTPBadRequest
    popid = secrets.token_urlsafe(16)
    now = time.time()
    document = {"popid": popid, "event": event, "agentid": agent, "sent": now, "expires": now + TTL, "data": data}
    return popid, f"CTI/{customer}/{agent}", json.dumps(document, separators=(",", ":"))


def answer(popid: str, topic: str) -> web.Response:
    """Say that it was sent."""
    return web.json_response({"success": True, "popid": popid, "status": "sent", "topic": topic})


def options() -> argparse.Namespace:
    """Read the command line that all peers have."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--public", type=Path, required=True, help="PEM of the key that signs tokens")
    parser.add_argument("--mqtt", type=int, help="port of the broker")
    parser.add_argument("--at-once", action="store_true", help="answer without waiting for the broker's PUBACK")
    return parser.parse_args()


async def serve(send: Callable[[web.Request], Awaitable[web.StreamResponse]], mqtt: int) -> None:
    """Take triggers on a free port until SIGTERM, after one line on stdout that tells the ports."""
    app = web.Application()
    app.router.add_post("/api/sendmessage/CTI", send)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    print(f"ready http=127.0.0.1:{runner.addresses[0][1]} mqtt=127.0.0.1:{mqtt}", flush=True)
    await ended.wait()
    await runner.cleanup()
