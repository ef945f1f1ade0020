"""Traffic: telephony platforms that trigger pops for agents at random, steadily, over keep-alive connections."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count

import aiohttp

CONNECTIONS = 8

ENVIRONMENTS: tuple[dict[str, str], ...] = ({}, {"ctiid": "env1"})
"""By turns: the topics without and with a CtiId, so that both of a desktop's filters are used."""


class Traffic:
    """`accepted` are the popids answered 200, by agent; `refused` counts every other end of a trigger.

    A trigger that is late, because the bridge or this process was busy, goes out as soon as a connection is free.
    """

    def __init__(self, http: str, key: str, agents: Sequence[str], rate: float) -> None:
        self.accepted: dict[str, str] = {}
        self.statuses: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.slowest = 0.0  # seconds from sending to answer, since whoever reads it set it to 0
        self._http = http
        self._headers = {"Authorization": f"Bearer {key}"}
        self._agents = agents
        self._rate = rate
        self._numbers = count()
        self._random = random.Random(7)  # noqa: S311 - the same agents in each run
        self._flowing = False
        self._more = asyncio.Event()

    @asynccontextmanager
    async def flowing(self) -> AsyncIterator[None]:
        """Trigger as long as the block lasts; at its end every trigger has its answer."""
        self._flowing = True
        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        async with (
            aiohttp.ClientSession(self._http, connector=connector, headers=self._headers) as session,
            asyncio.TaskGroup() as group,
        ):
            begun = time.monotonic()
            for number in range(CONNECTIONS):
                group.create_task(self._call(session, begun), name=f"traffic {number}")
            try:
                yield
            finally:
                self._flowing = False

    async def more(self, pops: int) -> None:
        """Wait until so many further pops are accepted."""
        wanted = len(self.accepted) + pops
        while len(self.accepted) < wanted:
            self._more.clear()
            await self._more.wait()

    async def _call(self, session: aiohttp.ClientSession, begun: float) -> None:
        while self._flowing:
            number = next(self._numbers)
            ahead = begun + number / self._rate - time.monotonic()
            if ahead > 0:
                await asyncio.sleep(ahead)
            await self._trigger(session, number)

    async def _trigger(self, session: aiohttp.ClientSession, number: int) -> None:
        agent = self._random.choice(self._agents)
        asked = {"agentid": agent, "event": "On Ring", "caller": f"+1555{number:07}"} | ENVIRONMENTS[number % 2]
        sent = time.monotonic()
        try:
            async with session.post("/api/sendmessage/CTI", json=asked) as response:
                said = await response.json(content_type=None)
        except aiohttp.ClientError as error:
            self.refused[type(error).__name__] += 1
            return
        self.slowest = max(self.slowest, time.monotonic() - sent)
        if response.status == 200 and "popid" in said:
            self.accepted[said["popid"]] = agent
            self.statuses[said["status"]] += 1
            self._more.set()
        else:
            self.refused[f"{response.status} {said.get('code')}"] += 1
