"""Events as the platform sends them, and a house of CloudSync with a clock that goes only when told."""

import datetime as dt
import itertools
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from bridge.cloudsync.flow.answers.questions import CimQuestion, SttQuestion
from bridge.cloudsync.flow.cloudsync import Cloudsync
from bridge.cloudsync.flow.ingest import Accepted
from bridge.words.cloudsync import Mapping
from bridge.words.principal import Principal, Role
from bridge.words.settings import Cloudsync as Settings
from bridge.words.settings import Customer

ENTITIES = ["SupportTicket", "ChatSession", "VideoSession", "UserPresence"]
BILLING, SALES = "00G000000000001AAA", "00G000000000002AAA"
ANN, BOB = "005000000000001AAA", "005000000000002AAA"

SETTINGS = Settings(
    feeds=["lsm", "stt", "cim"],
    entities=["SupportTicket", "ChatSession", "VideoSession", "UserPresence"],
    zone="America/New_York",
    statuses={"SupportTicket": {"New": "open", "Open": "open", "Closed": "closed", "Solved": "closed"}},
    presence={"0N5000000000001AAA": "available"},
)
MARKS = ("revision", "status", "complete", "coverage_s", "computed_at")

_numbers = itertools.count(1)


def ms(text: str) -> int:
    return round(dt.datetime.fromisoformat(text).timestamp() * 1000)


def spelled(at: int) -> str:
    return dt.datetime.fromtimestamp(at / 1000, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def record(number: int, prefix: str = "500") -> str:
    return f"{prefix}{number:012}AAA"


def cdc(
    entity: str,
    change: str,
    at: int,
    *records: str,
    changed: Iterable[str] | None = None,
    key: str | None = None,
    **told: Any,
) -> bytes:
    """Spell a change event; `changed` names the fields of an UPDATE, by default all that are told."""
    header = {
        "entityName": entity,
        "recordIds": list(records),
        "changeType": change,
        "changeOrigin": "",
        "transactionKey": key or f"key-{next(_numbers):08}",
        "sequenceNumber": 1,
        "commitTimestamp": at,
        "commitUser": ANN,
        "commitNumber": at,
        "changedFields": list(told if changed is None else changed) if change == "UPDATE" else [],
    }
    payload = {"ChangeEventHeader": header, **told}
    message = {
        "channel": f"/data/{entity}ChangeEvent",
        "data": {"schema": "s", "event": {"replayId": next(_numbers)}, "payload": payload},
    }
    return json.dumps(message).encode()


def created(number: int, at: int, group: str = BILLING, **told: Any) -> bytes:
    fields = {
        "Status": "New",
        "Priority": "High",
        "Origin": "Email",
        "OwnerId": group,
        "CreatedDate": spelled(at),
    } | told
    return cdc("SupportTicket", "CREATE", at, record(number), **fields)


def closed(number: int, at: int, **told: Any) -> bytes:
    return cdc("SupportTicket", "UPDATE", at, record(number), Status="Closed", ClosedDate=spelled(at), **told)


def reopened(number: int, at: int) -> bytes:
    return cdc("SupportTicket", "UPDATE", at, record(number), Status="Open", ClosedDate=None)


class Clock:
    """A clock that goes only when told; seconds."""

    def __init__(self, at: int) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at / 1000

    def go(self, milliseconds: int) -> None:
        self.at += milliseconds


class Receipt:
    """The ticket of a message."""

    def __init__(self) -> None:
        self.released = False

    def release(self) -> None:
        self.released = True


FEED = Principal(Role.FEED, "acme", "feed-1", 4e9)


class House:
    """An open CloudSync of the customer acme."""

    def __init__(self, cloudsync: Cloudsync, clock: Clock, customers: dict[str, Customer]) -> None:
        self.cloudsync = cloudsync
        self.clock = clock
        self.customers = customers

    async def post(self, *events: bytes) -> Accepted:
        return await self.cloudsync.accept("acme", events)

    def publish(self, channel: str, payload: bytes) -> Receipt:
        receipt = Receipt()
        if not self.cloudsync.arrived(FEED, f"CLOUDSYNC/acme/{channel}", payload, receipt):
            receipt.release()
        return receipt

    async def settled(self, *events: bytes) -> Accepted:
        told = await self.post(*events)
        await self.cloudsync.settle()
        return told

    def live(self, minutes: float) -> None:
        """Let time go by while the bridge runs."""
        for _ in range(round(minutes * 2)):
            self.clock.go(30_000)
            self.cloudsync.feed_up("acme")
            self.cloudsync._feeds.look()

    async def stt(self, start: str, until: str, **asked: Any) -> list[dict[str, Any]]:
        question = SttQuestion(start=ms(start), until=ms(until), **asked)
        answer = self.cloudsync.stt("acme", question)
        return [msgspec.json.decode(row) async for day in answer.rows() for row in day]

    async def row(self, start: str, group: str = BILLING, **asked: Any) -> dict[str, Any]:
        until = spelled(ms(start) + 900_000)
        rows = await self.stt(start, until, group=group, **asked)
        assert len(rows) == 1, rows
        return rows[0]

    async def cim(self, date: str, **asked: Any) -> list[dict[str, Any]]:
        question = CimQuestion(first=date, last=date, dates=(date,), **asked)
        answer = self.cloudsync.cim("acme", question)
        return [msgspec.json.decode(row) async for day in answer.rows() for row in day]

    async def table(self, start: str, until: str, *, marks: bool = False) -> dict[tuple[str, ...], dict[str, Any]]:
        """Give every row of STT and CIM, by its key."""
        found: dict[tuple[str, ...], dict[str, Any]] = {}
        for group in ("each", "*"):
            for channel in ("each", "*"):
                for priority in ("each", "*"):
                    for row in await self.stt(start, until, group=group, channel=channel, priority=priority):
                        found["stt", row["interval_start"], row["group"], row["channel"], row["priority"]] = row
                for agent in ("each", "*"):
                    for day in (start[:10], until[:10]):
                        for row in await self.cim(day, group=group, channel=channel, agent=agent):
                            found["cim", row["date"], row["agent"], row["group"], row["channel"]] = row
        if marks:
            return found
        return {key: {name: row[name] for name in row if name not in MARKS} for key, row in found.items()}


@asynccontextmanager
async def opened(
    data: Path, clock: Clock, settings: Settings = SETTINGS, mapping: Mapping | None = None
) -> AsyncIterator[House]:
    customers = {"acme": Customer(cloudsync=settings)}
    async with Cloudsync.open(data, lambda: customers, clock) as cloudsync:
        if mapping is not None:
            cloudsync.set_mapping(lambda _: mapping)
        yield House(cloudsync, clock, customers)
