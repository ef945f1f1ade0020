"""A house with the live floor: the real CloudSync, broker, server, gate and credentials; its clock goes when told."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.broker.embedded import EmbeddedBroker
from bridge.cloudsync.floor.live import Live
from bridge.cloudsync.floor.today import TodayFromStt
from bridge.credentials.authority import Credentials
from bridge.gate import Gate
from bridge.http.dispatch import Dispatch, Route
from bridge.http.doors.floor import FloorDoors
from bridge.http.server import Server
from bridge.words.cloudsync import Mapping
from bridge.words.principal import Role
from bridge.words.settings import Address, Customer, Http, Mqtt, Settings
from tests.broker.contract.client import Client
from tests.broker.contract.lines import TcpLine
from tests.broker.contract.ours import Recorder
from tests.cloudsync.flow.events import ANN, BILLING, SETTINGS, Clock, House, cdc, ms, opened, record, spelled

WITHIN = 30.0
NOW = ms("2026-11-10T15:07:00Z")
ANYWHERE = Address("127.0.0.1", 0)
MAPPING = Mapping(
    presence={"0N5000000000001AAA": "available"},
    default_group={ANN: BILLING},
    sl_threshold={BILLING: 20_000},
    names={ANN: "Ann", BILLING: "Billing"},
)


class Stream:
    """One who follows by SSE."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def event(self, *names: str) -> tuple[str, int | None, dict[str, Any]]:
        """Give the next event of one of these names, else the next change or snapshot: name, id, data."""
        wanted = names or ("change", "snapshot")
        async with asyncio.timeout(WITHIN):
            while True:
                found: dict[str, str] = {}
                while line := (await self._line()):
                    name, _, value = line.partition(": ")
                    found[name] = value
                if found.get("event") in wanted:
                    number = int(found["id"]) if "id" in found else None
                    return found["event"], number, json.loads(found["data"])

    async def change(self, kind: str) -> dict[str, Any]:
        """Give the next change of an item of this kind."""
        while True:
            name, number, told = await self.event("change")
            assert (name, number) == ("change", told["seq"])
            if told["kind"] == kind:
                return told

    async def ended(self) -> None:
        """Wait until the bridge ends it."""
        async with asyncio.timeout(WITHIN):
            while await self.response.content.readany():
                pass

    async def _line(self) -> str:
        line = await self.response.content.readline()
        assert line, "the stream ended"
        return line.decode().rstrip("\n")


class Hall:
    """The house, and clients of it."""

    def __init__(self, house: House, live: Live, http: aiohttp.ClientSession, credentials: Credentials) -> None:
        self.house = house
        self.live = live
        self.http = http
        self.credentials = credentials
        self.doors: FloorDoors
        self.broker: EmbeddedBroker
        self.settings: Settings
        self.tokens: dict[str, str] = {}
        self.ids: dict[str, str] = {}

    def bearer(self, who: str = "observer") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[who]}"}

    async def lsm(self, who: str = "observer") -> dict[str, Any]:
        async with self.http.get("/api/lsm", headers=self.bearer(who)) as response:
            assert response.status == 200, await response.text()
            told: dict[str, Any] = await response.json()
            return told

    @asynccontextmanager
    async def following(self, who: str = "observer", last: int | None = None) -> AsyncIterator[Stream]:
        resumed = {} if last is None else {"Last-Event-ID": str(last)}
        async with self.http.get("/api/lsm/stream", headers=self.bearer(who) | resumed) as response:
            assert response.status == 200
            yield Stream(response)

    @asynccontextmanager
    async def observing(self, wanted: str) -> AsyncIterator[Client]:
        client = Client(await TcpLine.open(*self.broker.address))
        try:
            assert await client.connect(username="acme", password=self.tokens["observer"]) == (False, 0)
            assert await client.subscribe((wanted, 1)) == [1]
            yield client
        finally:
            await client.drop()

    async def queued(self, number: int = 1, at: int | None = None) -> None:
        """Let a chat wait."""
        at = self.house.clock.at if at is None else at
        told = {"GroupId": BILLING, "OwnerId": BILLING, "RequestTime": spelled(at), "LastModifiedDate": spelled(at)}
        await self.house.settled(cdc("ChatSession", "CREATE", at, record(number, "570"), **told))

    async def answered(self, number: int = 1) -> None:
        at = self.house.clock.at
        told = {"OwnerId": ANN, "AcceptTime": spelled(at), "LastModifiedDate": spelled(at)}
        await self.house.settled(cdc("ChatSession", "UPDATE", at, record(number, "570"), **told))

    async def ended(self, number: int = 1, by: str = "Agent") -> None:
        at = self.house.clock.at
        told = {"EndTime": spelled(at), "EndedBy": by, "LastModifiedDate": spelled(at)}
        await self.house.settled(cdc("ChatSession", "UPDATE", at, record(number, "570"), **told))


@pytest.fixture
async def hall(tmp_path: Path) -> AsyncIterator[Hall]:
    clock = Clock(NOW)
    settings = Settings(
        http=Http(bind=ANYWHERE),
        mqtt=Mqtt(bind=ANYWHERE),
        customers={"acme": Customer(cloudsync=SETTINGS), "other": Customer(cloudsync=SETTINGS), "none": Customer()},
    )

    def customers() -> dict[str, Customer]:
        return settings.customers

    async with (
        Credentials.open(tmp_path, follow=False) as credentials,
        opened(tmp_path, clock, mapping=MAPPING) as house,
        asyncio.TaskGroup() as group,
    ):
        house.customers.update(settings.customers)
        gate = Gate(credentials, customers, settings.cloud)
        broker = EmbeddedBroker(settings.mqtt, gate, Recorder())
        now = house.cloudsync.now
        live = Live(
            lambda: broker,
            house.cloudsync,
            lambda _: MAPPING,
            TodayFromStt(house.cloudsync.stt, lambda _: MAPPING, customers, now),
            customers,
            now,
        )
        house.cloudsync.hooks.on_folded = live.take
        doors = FloorDoors(lambda: settings, gate, live, heartbeat=0.3, look=0.05, patience=0.5)
        dispatch = Dispatch(lambda: settings)
        dispatch.open(
            {"/api/lsm": Route("lsm", doors.snapshot), "/api/lsm/stream": Route("lsm_stream", doors.stream)}, {}
        )
        server = Server(settings.http, dispatch.handle, None)
        await broker.start()
        await server.start()
        running = group.create_task(live.run())
        try:
            async with aiohttp.ClientSession(f"http://{server.address}") as http:
                made = Hall(house, live, http, credentials)
                made.broker, made.doors, made.settings = broker, doors, settings
                for role, customer in (("observer", "acme"), ("admin", "acme"), ("feed", "acme"), ("key", "acme")):
                    issued = await credentials.issue(Role(role), customer, expires_in=3600.0)
                    made.tokens[role], made.ids[role] = issued.token, issued.id
                for customer in ("other", "none"):
                    issued = await credentials.issue(Role.OBSERVER, customer, expires_in=3600.0)
                    made.tokens[customer] = issued.token
                yield made
        finally:
            doors.end_all()
            await server.stop()
            await broker.stop()
            running.cancel()
