"""A contact centre for the live floor's stories: its configuration, and its events by HTTP; and a line that breaks."""

import asyncio
import contextlib
import datetime as dt
import itertools
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.conftest import Bridge

BILLING, HOSTILE_GROUP = "00G000000000001AAA", "00G000000000002AAA"
HOSTILE = "<img src=x onerror=document.title='run'>"
STATES = {
    "available": "0N5000000000001AAA",
    "busy": "0N5000000000002AAA",
    "away": "0N5000000000003AAA",
    "break": "0N5000000000004AAA",
    "training": "0N5000000000005AAA",
}

CONFIG = json.dumps(  # JSON is YAML
    {
        "http": {"bind": "127.0.0.1:0"},
        "mqtt": {"bind": "127.0.0.1:0"},
        "customers": {
            "acme": {
                "crm": ["acme.example.com"],
                "cloudsync": {
                    "feeds": ["lsm", "stt", "cim"],
                    "entities": ["SupportTicket", "ChatSession", "VideoSession", "UserPresence"],
                    "zone": "UTC",
                    "groups": {
                        BILLING: {"name": "Billing", "zone": "UTC", "sl_threshold": "20s", "short_abandon": "5s"},
                        HOSTILE_GROUP: {"name": HOSTILE, "zone": "UTC"},
                    },
                    "statuses": {"SupportTicket": {"New": "open", "Closed": "closed"}},
                    "presence": {id_: state for state, id_ in STATES.items()},
                },
            },
            "bare": {},
            "floorless": {"cloudsync": {"feeds": ["stt"], "entities": ["SupportTicket"]}},
        },
    }
)

_numbers = itertools.count(1)


def spelled(at: float) -> str:
    """Spell a time in seconds."""
    return dt.datetime.fromtimestamp(at, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def event(entity: str, change: str, at: float, record: str, kind: str = "data", **told: Any) -> dict[str, Any]:
    """Spell a change event."""
    number = next(_numbers)
    header = {
        "entityName": entity,
        "recordIds": [record],
        "changeType": change,
        "changeOrigin": "",
        "transactionKey": f"live-{number:09}",
        "sequenceNumber": 1,
        "commitTimestamp": round(at * 1000),
        "commitUser": "005000000000000AAA",
        "commitNumber": number,
        "changedFields": list(told) if change == "UPDATE" else [],
    }
    data = {"schema": "s", "event": {"replayId": number}, "payload": {"ChangeEventHeader": header, **told}}
    return {"channel": f"/{kind}/{entity}ChangeEvent", "data": data}


def user(number: int) -> str:
    """Give an agent's id."""
    return f"005{number:012}AAA"


def named(agent: str, name: str, at: float, group: str = BILLING) -> dict[str, Any]:
    """Tell of a user."""
    return event("User", "CREATE", at, agent, "user", Name=name, Username=f"{agent}@example.com", DefaultGroupId=group)


class Presence:
    """One agent's presence, as the platform tells it: each change ends a record and makes another."""

    _records = itertools.count(1)

    def __init__(self, agent: str) -> None:
        self.agent = agent
        self._record = ""

    def change(self, state: str, at: float, reason: str | None = None) -> list[dict[str, Any]]:
        """Tell that the state is another from `at` on."""
        told = []
        if self._record:
            ended: dict[str, Any] = {"UserId": self.agent, "IsCurrentState": False, "StatusEndDate": spelled(at)}
            told.append(event("UserPresence", "UPDATE", at, self._record, **ended))
        self._record = f"0N6{next(self._records):012}AAA"
        begun: dict[str, Any] = {
            "UserId": self.agent,
            "PresenceStatusId": STATES[state],
            "StatusStartDate": spelled(at),
            "IsCurrentState": True,
            "StatusReason": reason,
            "ConfiguredCapacity": 3,
        }
        told.append(event("UserPresence", "CREATE", at, self._record, **begun))
        return told


def chat(number: int, at: float, group: str = BILLING) -> dict[str, Any]:
    """Tell of a chat that waits."""
    record = f"570{number:012}AAA"
    told = {"GroupId": group, "OwnerId": group, "RequestTime": spelled(at), "LastModifiedDate": spelled(at)}
    return event("ChatSession", "CREATE", at, record, **told)


def chat_answered(number: int, at: float, agent: str) -> dict[str, Any]:
    """Tell that an agent accepted a chat."""
    told = {"OwnerId": agent, "AcceptTime": spelled(at), "LastModifiedDate": spelled(at)}
    return event("ChatSession", "UPDATE", at, f"570{number:012}AAA", **told)


def chat_ended(number: int, at: float) -> dict[str, Any]:
    """Tell that a chat is over."""
    told = {"EndTime": spelled(at), "EndedBy": "Agent", "LastModifiedDate": spelled(at)}
    return event("ChatSession", "UPDATE", at, f"570{number:012}AAA", **told)


def ticket(number: int, at: float, group: str = BILLING) -> dict[str, Any]:
    """Tell of a new ticket."""
    told = {"Status": "New", "Priority": "High", "Origin": "Web", "GroupId": group, "CreatedDate": spelled(at)}
    return event("SupportTicket", "CREATE", at, f"500{number:012}AAA", **told)


class Source:
    """Whoever tells the bridge what happens, and an observer who reads what came of it."""

    def __init__(self, bridge: Bridge, tokens: dict[str, str]) -> None:
        self._bridge = bridge
        self._tokens = tokens

    async def tell(self, events: Iterable[dict[str, Any]]) -> None:
        """Post events, and see that they were taken."""
        for some in _parts(list(events), 1_000):
            async with (
                aiohttp.ClientSession(self._bridge.http) as http,
                http.post("/api/cloudsync/events", json=some, headers=self._bearer("feed")) as response,
            ):
                said = await response.json()
                assert said["success"] is True, said
                assert said["quarantined"] == 0, said

    async def read(self, path: str, accept: str = "application/json") -> str:
        """Read as the observer does."""
        async with (
            aiohttp.ClientSession(self._bridge.http) as http,
            http.get(path, headers=self._bearer("observer") | {"Accept": accept}) as response,
        ):
            assert response.status == 200, await response.text()
            return await response.text()

    def _bearer(self, role: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._tokens[role]}"}


def _parts(events: Sequence[dict[str, Any]], size: int) -> Iterator[Sequence[dict[str, Any]]]:
    for start in range(0, len(events), size):
        yield events[start : start + size]


class Line:
    """A way to the bridge that can be cut, and leads to it again wherever it is started anew."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._open = True
        self._writers: set[asyncio.StreamWriter] = set()
        self.heads: list[str] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Listen; give the address."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            self.cut()

    def cut(self) -> None:
        """End all connections, and let none come."""
        self._open = False
        for writer in self._writers:
            writer.transport.abort()

    def mend(self) -> None:
        """Let connections come again."""
        self._open = True

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if not self._open:
                writer.transport.abort()
                return
            there, back = await asyncio.open_connection("127.0.0.1", self._bridge.http_port)
            self._writers.add(back)
            try:
                await asyncio.gather(self._pass(reader, back, keep=True), self._pass(there, writer))
            finally:
                self._writers.discard(back)
                back.close()
        except ConnectionError:
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, keep: bool = False) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                if keep:
                    self.heads.append(data.decode("latin-1"))
                writer.write(data)
                await writer.drain()
        writer.close()
