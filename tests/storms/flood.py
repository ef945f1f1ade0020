"""Flood: connections that say nothing, or half of a CONNECT, and wait until somebody ends them."""

import asyncio
from collections import Counter
from typing import cast

from tests.broker.contract import packets

HALF = packets.connect("seat-0", username="acme/agent-0", password="x" * 300)[:200]

SAYINGS = (b"", HALF[:1], HALF)
"""By turns: silence, a first byte, and all but the end of a password."""


class _HalfOpen(asyncio.Protocol):
    def __init__(self, flood: "Flood", says: bytes) -> None:
        self._flood = flood
        self._says = says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(self._says)

    def data_received(self, data: bytes) -> None:
        self._flood.heard[data.hex()] += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._flood.ended(exc)


class Flood:
    """So many half-open connections; `heard` is what the bridge said to them."""

    def __init__(self, port: int, lines: int) -> None:
        self.heard: Counter[str] = Counter()
        self.open = 0
        self._port = port
        self._lines = lines
        self._over = asyncio.Event()

    async def rise(self) -> None:
        """Open all of them."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            for number in range(self._lines):
                says = SAYINGS[number % len(SAYINGS)]
                self.open += 1
                group.create_task(
                    loop.create_connection(lambda says=says: _HalfOpen(self, says), "127.0.0.1", self._port)  # type: ignore[misc]
                )

    async def over(self) -> None:
        """Wait until the bridge has ended the last one."""
        await self._over.wait()

    def ended(self, error: Exception | None) -> None:
        """Note one that was ended."""
        del error
        self.open -= 1
        if not self.open:
            self._over.set()
