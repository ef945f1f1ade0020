"""A house with only CloudSync's doors: the real server, gate and credentials, and a clock that goes when told."""

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
from multidict import CIMultiDictProxy

from bridge.credentials.authority import Credentials
from bridge.gate import Gate
from bridge.http.dispatch import Dispatch, Route
from bridge.http.doors.cloudsync import CloudsyncDoors
from bridge.http.server import Server
from bridge.words.principal import Role
from bridge.words.settings import Address, Customer, Http, Settings
from tests.cloudsync.flow.events import SETTINGS, Clock, House, ms, opened


class Told(NamedTuple):
    """What was answered."""

    status: int
    said: Any
    headers: CIMultiDictProxy[str]
    text: str


class Doors:
    """A client with a token of each kind."""

    def __init__(self, http: aiohttp.ClientSession, tokens: dict[str, str], house: House) -> None:
        self.http = http
        self.tokens = tokens
        self.house = house

    async def get(self, path: str, role: str = "observer", headers: Any = None, **asked: str) -> Told:
        given = {"Authorization": f"Bearer {self.tokens[role]}"} | (headers or {})
        query = {"from" if name == "start" else "to" if name == "until" else name: asked[name] for name in asked}
        async with self.http.get(path, params=query, headers=given) as response:
            text = await response.text()
            said = await response.json(content_type=None) if "json" in response.content_type else None
            return Told(response.status, said, response.headers, text)

    async def post(self, body: bytes, role: str = "feed", headers: dict[str, str] | None = None) -> Told:
        given = {"Authorization": f"Bearer {self.tokens[role]}"} | (headers or {})
        async with self.http.post("/api/cloudsync/events", data=io.BytesIO(body), headers=given) as response:
            return Told(
                response.status, await response.json(content_type=None), response.headers, await response.text()
            )


@pytest.fixture
async def doors(tmp_path: Path) -> AsyncIterator[Doors]:
    clock = Clock(ms("2026-11-10T15:07:00Z"))
    settings = Settings(
        http=Http(bind=Address("127.0.0.1", 0)),
        customers={
            "acme": Customer(cloudsync=SETTINGS, origins=["https://pages.example.com"]),
            "none": Customer(),
        },
    )
    async with Credentials.open(tmp_path, follow=False) as credentials, opened(tmp_path, clock) as house:
        house.customers.update(settings.customers)
        gate = Gate(credentials, lambda: settings.customers, settings.cloud)
        tokens = {
            role: (await credentials.issue(Role(role), "acme", expires_in=3600.0)).token
            for role in ("observer", "feed", "admin", "key")
        }
        tokens["none"] = (await credentials.issue(Role.ADMIN, "none", expires_in=3600.0)).token
        dispatch = Dispatch(lambda: settings)
        door = CloudsyncDoors(lambda: settings, gate, house.cloudsync)
        dispatch.open(
            {
                "/api/cloudsync/events": Route("cloudsync_events", door.events, ("POST",), "POST, OPTIONS"),
                "/api/stt": Route("stt", door.stt),
                "/api/cim": Route("cim", door.cim),
                "/api/dq": Route("dq", door.quality),
                "/api/restatements": Route("restatements", door.restatements),
            },
            {},
        )
        server = Server(settings.http, dispatch.handle, None)
        await server.start()
        try:
            async with aiohttp.ClientSession(f"http://{server.address}") as http:
                yield Doors(http, tokens, house)
        finally:
            await server.stop()
