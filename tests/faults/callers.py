"""Callers: telephony platforms and Cloud users that keep on triggering over kept connections, bridge or no bridge."""

import asyncio
import base64
import json
import re
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any, NamedTuple

from tests.faults.book import Book

LONG, SHORT = 300, 1  # seconds a pop stays worth showing; one in ten is short
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Said(NamedTuple):
    """An HTTP answer."""

    status: int
    body: dict[str, Any]


class Line:
    """A kept HTTP connection, opened when it is needed; its errors are OSError or EOFError."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, target: str, headers: dict[str, str], body: bytes = b"") -> Said:
        """Send a request and read its answer."""
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port)
            reader, writer = self._streams
            fields = {"Host": "bridge", "Content-Length": str(len(body))} | headers
            head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            writer.write(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + body)
            answer = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(answer)
            assert length is not None
            said = await reader.readexactly(int(length[1]))
            return Said(int(answer[9:12]), json.loads(said))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


class Caller:
    """One caller. An order with an idempotency key is asked for until it is answered, others once."""

    def __init__(self, line: Line, key: str, agents: Sequence[str], orders: Iterator[int], book: Book) -> None:
        self._line = line
        self._key = key
        self._agents = agents
        self._orders = orders
        self._book = book
        self.answers: dict[int, int] = {}
        self.cloud: str | None = None

    async def call(self, chance: Random, most: int) -> None:
        """Trigger pop after pop while no more than `most` are open; until cancelled."""
        try:
            while True:
                await self._book.until(lambda: self._book.open < most)
                await self._order(next(self._orders), chance)
        finally:
            self._line.close()

    async def _order(self, order: int, chance: Random) -> None:
        agent = chance.choice(self._agents)
        ttl = SHORT if chance.random() < 0.1 else LONG
        wait = chance.random() < 0.05
        again = chance.random() < 0.5
        headers = {"Content-Type": "application/json"}
        controls = f"pop_ttl={ttl}" + ("&pop_wait=1" if wait else "")
        if self.cloud is None:
            asked = {"agentid": agent, "event": "On Ring", "jwt": self._key, "n": order}
            target = f"/api/sendmessage/CTI?{controls}"
        else:
            asked = {"Username": agent, "Campaign": "Support", "Reference": f"R-{order}", "ScriptData": {"n": order}}
            target = f"/api/cloud/pop?{controls}"
            headers["Authorization"] = f"Bearer {self.cloud}"
        if again:
            headers["Idempotency-Key"] = f"order-{order}"
        while True:
            try:
                said = await self._line.ask("POST", target, headers, json.dumps(asked).encode())
            except (OSError, EOFError):
                await asyncio.sleep(0.02)  # before the next try
                if again:
                    continue
                return
            self.answers[said.status] = self.answers.get(said.status, 0) + 1
            if said.status == 200:
                popid, status = _of(said.body)
                self._book.answer(order, popid, status, ttl)
            elif again and said.status in {409, 503}:
                await asyncio.sleep(0.02)
                continue
            return


def _of(body: dict[str, Any]) -> tuple[str, str]:
    result = body.get("Result")
    return (result["PopId"], result["Status"]) if result else (body["popid"], body["status"])


async def id_token(line: Line, username: str, password: str) -> str:
    """Log a Cloud user in."""
    basic = base64.b64encode(f"{username}:{password}".encode()).decode()
    said = await line.ask("GET", "/api/cloud/token", {"Authorization": f"Basic {basic}"})
    assert said.status == 200, said.body
    token: str = said.body["Result"]["IdToken"]
    return token
