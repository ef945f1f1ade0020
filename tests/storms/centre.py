"""Centre: a contact centre in a storm: a real bridge, desktops by the thousand, callers, and an observer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import aiohttp

from bridge import descriptors
from bridge.words import topics
from tests.conftest import Bridge
from tests.storms import account, vitals
from tests.storms.account import Account
from tests.storms.fleet import Board, Fleet, Login, Screens
from tests.storms.traffic import Traffic
from tests.storms.vitals import Metrics

CUSTOMER = "acme"
KEEPS_SESSION = 4
"""Every so manieth desktop asks for a session that outlives its connection."""

SESSION_EXPIRY = 2.0
"""Seconds such a session is kept, so that a story sees it go."""

CONFIG = """\
http: {{bind: 127.0.0.1:0}}
mqtt:
  bind: 127.0.0.1:0
  connect_timeout: {connect_timeout}
  max_connecting_per_address: {connecting}
  session_expiry: {session_expiry}s
  inflight: {inflight}
  queue: {queue}
customers:
  acme:
    cti: [env1]
    events: [On Ring]
    ttl: {{cti: {ttl}s}}
"""


class Credentials(NamedTuple):
    """What the centre's people and machines show."""

    tokens: dict[str, str]  # by agent
    key: str
    observer: str


class Centre:
    """Everything that is connected to one bridge."""

    def __init__(self, bridge: Bridge, credentials: Credentials, rate: float, http: aiohttp.ClientSession) -> None:
        self.bridge = bridge
        self.agents = list(credentials.tokens)
        self.screens = Screens()
        self.board = Board()
        self.desktops = Fleet(
            bridge.mqtt_port,
            (_desktop(number, agent, token) for number, (agent, token) in enumerate(credentials.tokens.items())),
            self.screens,
        )
        observer = Login(CUSTOMER, credentials.observer, "wallboard", (f"PRESENCE/{CUSTOMER}/#",))
        self.observer = Fleet(bridge.mqtt_port, [observer], self.board)
        self.traffic = Traffic(bridge.http, credentials.key, self.agents, rate)
        self._token = credentials.observer
        self._http = http

    def vitals(self) -> vitals.Vitals:
        """Ask the kernel about the bridge."""
        return vitals.of_process(self.bridge.process.pid)

    async def metrics(self) -> Metrics:
        """Ask the bridge about itself."""
        return await vitals.metrics(self._http)

    async def account(self) -> Account:
        """Tell what became of every pop so far."""
        return await account.of_pops(self._http, self._token, self.traffic.accepted, self.screens.popped)

    async def drained(self, seconds: float) -> bool:
        """Wait until no pop is open and the ledger has written everything; say whether that came."""

        async def quiet() -> bool:
            return not (await self.metrics()).undone

        return await _within(seconds, quiet)

    async def told(self, desktops: int, seconds: float = 30.0) -> list[str]:
        """Wait until the observer knows each agent with so many desktops; list the agents where it does not."""

        async def right() -> bool:
            return not self.board.wrong(self.agents, desktops)

        await _within(seconds, right)
        return self.board.wrong(self.agents, desktops)

    async def standing(self) -> dict[str, float]:
        """Tell what is there for as long as somebody is connected, and the bridge's descriptors."""
        return (await self.metrics()).standing | {"descriptors": self.vitals().descriptors}

    async def returned(self, before: dict[str, float], seconds: float = 30.0) -> dict[str, float]:
        """Wait until there is no more of anything than before; give what there is then."""
        now = before

        async def settled() -> bool:
            nonlocal now
            now = await self.standing()
            return all(now[name] <= much for name, much in before.items())

        await _within(seconds, settled)
        return now

    async def warm(self) -> None:
        """Use every part once, so that what is made once and kept is there; the pops of it are held."""
        await self.observer.enter()
        await self.observer.leave()
        async with self.traffic.flowing():
            await self.traffic.more(1)
        await self.account()


@asynccontextmanager
async def opened(
    folder: Path,
    agents: int,
    rate: float,
    *,
    ttl: int = 30,
    connecting: int = 2_000,
    connect_timeout: str = "10s",
    inflight: int = 100,
    queue: int = 1_000,
) -> AsyncIterator[Centre]:
    """Start a bridge with so many agents, nobody connected yet; `rate` is in triggers per second."""
    descriptors.raise_limit()
    config = CONFIG.format(
        connect_timeout=connect_timeout,
        connecting=connecting,
        session_expiry=SESSION_EXPIRY,
        inflight=inflight,
        queue=queue,
        ttl=ttl,
    )
    bridge = Bridge(folder / "data", config)
    credentials = _issued(bridge, [f"agent-{number}" for number in range(agents)])
    bridge.start()
    try:
        async with aiohttp.ClientSession(bridge.http) as http:
            centre = Centre(bridge, credentials, rate, http)
            try:
                yield centre
            finally:
                await centre.desktops.leave()
                await centre.observer.leave()
    finally:
        code = bridge.stop()
    assert code == 0
    assert "Traceback" not in bridge.log(), bridge.log()


def _issued(bridge: Bridge, agents: list[str]) -> Credentials:
    tokens = bridge.secret(
        "tokens", "issue", "--customer", CUSTOMER, "--role", "desktop", "--agents", "-", given="\n".join(agents)
    )
    return Credentials(
        tokens=dict(zip(agents, tokens.splitlines(), strict=True)),
        key=bridge.key(CUSTOMER),
        observer=bridge.token("observer", CUSTOMER),
    )


def _desktop(number: int, agent: str, token: str) -> Login:
    return Login(
        f"{CUSTOMER}/{agent}",
        token,
        f"seat-{number}",
        topics.for_desktop(CUSTOMER, agent)[:2],
        clean=bool(number % KEEPS_SESSION),
    )


async def _within(seconds: float, holds: Callable[[], Awaitable[bool]]) -> bool:
    try:
        async with asyncio.timeout(seconds):
            while not await holds():  # noqa: ASYNC110 - nothing tells when a descriptor is closed
                await asyncio.sleep(0.02)
    except TimeoutError:
        return False
    return True
