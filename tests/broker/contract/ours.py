"""Ours: the embedded broker as a target, over both roads, with gates, a listener and watchers that tests can ask."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

from aiohttp import web

from bridge.broker.embedded import EmbeddedBroker
from bridge.broker.port import Gate, LoginRefused, Ticket
from bridge.words.principal import Principal, Role
from bridge.words.settings import Address, Mqtt
from bridge.words.topics import Action

from .client import PATIENCE, Client, Line
from .lines import TcpLine, WebSocketLine
from .packets import Will
from .targets import Target

ANYWHERE = Address("127.0.0.1", 0)


class OpenGate:
    """Lets everybody in as one and the same, so that the client id alone decides, as in plain MQTT."""

    everybody = Principal(role=Role.OBSERVER, customer="any", id="any", expires=math.inf)

    def login(self, *_credential: object) -> Principal:
        return self.everybody

    def alive(self, *_principal: object) -> bool:
        return True


class RoleGate:
    """Knows its tokens by heart: the password is a principal's id, the user name must fit it."""

    def __init__(self, *known: Principal) -> None:
        self._known = {principal.id: principal for principal in known}
        self.revoked: set[str] = set()
        self.origins: dict[str, str] = {}  # which foreign Origin is for which customer's credentials

    def login(self, username: str | None, password: bytes | None, origin: str | None) -> Principal:
        principal = self._known.get((password or b"").decode(errors="replace"))
        if principal is None or principal.id in self.revoked:
            raise LoginRefused(4, "unknown token")
        if username != name(principal):
            raise LoginRefused(5, "token of another user name")
        if origin is not None and self.origins.get(origin) != principal.customer:
            raise LoginRefused(5, "foreign origin")
        return principal

    def alive(self, principal: Principal, now: float) -> bool:
        return principal.id not in self.revoked and now < principal.expires


def name(principal: Principal) -> str:
    """Spell the user name of CONTRACT.md section 5."""
    return principal.customer if principal.agent is None else f"{principal.customer}/{principal.agent}"


def desktop(customer: str, agent: str, *, token: str = "", expires: float = math.inf) -> Principal:
    return Principal(
        role=Role.DESKTOP, customer=customer, agent=agent, id=token or f"{customer}-{agent}", expires=expires
    )


def observer(customer: str) -> Principal:
    return Principal(role=Role.OBSERVER, customer=customer, id=f"{customer}-observer", expires=math.inf)


def feed(customer: str) -> Principal:
    return Principal(role=Role.FEED, customer=customer, id=f"{customer}-feed", expires=math.inf)


class Recorder:
    """A listener that remembers what it was told; with `keeps` it keeps acknowledgements back."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []
        self.tickets: list[Ticket] = []
        self.keeps = False
        self._news = asyncio.Event()

    def listening(self, principal: Principal, filters: Collection[str]) -> None:
        self._tell("listening", principal.agent, tuple(sorted(filters)))

    def arrived(self, principal: Principal, topic: str, payload: bytes, ticket: Ticket) -> bool:
        self.tickets.append(ticket)
        self._tell("arrived", principal.agent, topic, payload)
        return self.keeps

    def left(self, principal: Principal, remaining: int) -> None:
        self._tell("left", principal.agent, remaining)

    async def until(self, *event: object, times: int = 1) -> None:
        """Wait until an event was told so many times."""
        async with asyncio.timeout(PATIENCE):
            while self.told.count(event) < times:
                self._news.clear()
                await self._news.wait()

    def _tell(self, *event: object) -> None:
        self.told.append(event)
        self._news.set()


class Watch:
    """A watcher that remembers what became of one message."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.is_stale = False
        self._news = asyncio.Event()

    def written(self, qos: int) -> None:
        self._tell(f"written {qos}")

    def acknowledged(self) -> None:
        self._tell("acknowledged")

    def lost(self) -> None:
        self._tell("lost")

    def stale(self) -> bool:
        return self.is_stale

    async def until(self, *told: str) -> None:
        """Wait until exactly this was told, in this order."""
        async with asyncio.timeout(PATIENCE):
            while len(self.told) < len(told):
                self._news.clear()
                await self._news.wait()
        assert self.told == list(told)

    def _tell(self, what: str) -> None:
        self.told.append(what)
        self._news.set()


class Ours(Target):
    """Our broker in this process, with its listener."""

    def __init__(self, name: str, broker: EmbeddedBroker, recorder: Recorder, url: str) -> None:
        host, port = broker.address
        super().__init__(name, port, self._tcp if name == "ours-tcp" else self._websocket)
        self.broker = broker
        self.recorder = recorder
        self.url = url
        self._host = host

    async def enter(
        self,
        principal: Principal,
        client_id: str = "",
        *,
        clean: bool = True,
        keepalive: int = 60,
        will: Will | None = None,
    ) -> Client:
        """Log a principal's client in."""
        return await self.client(
            client_id, clean=clean, keepalive=keepalive, will=will, username=name(principal), password=principal.id
        )

    async def _tcp(self) -> Line:
        return await TcpLine.open(self._host, self.port)

    async def _websocket(self) -> Line:
        return await WebSocketLine.open(self.url)


def everything(*_: object) -> bool:
    return True


@asynccontextmanager
async def running(
    road: str,
    gate: Gate,
    *,
    settings: Mqtt | None = None,
    permits: Callable[[Principal, Action, str], bool] | None = None,
) -> AsyncIterator[Ours]:
    """Run our broker, with `/mqtt` on an HTTP port beside it. Without `permits` everything is allowed."""
    recorder = Recorder()
    own = settings or Mqtt(bind=ANYWHERE)
    if permits is None:
        broker = EmbeddedBroker(own, gate, recorder, permits=everything, retain=everything)
    else:
        broker = EmbeddedBroker(own, gate, recorder, permits=permits)
    await broker.start()
    runner = web.AppRunner(_door(broker))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    target = Ours(road, broker, recorder, f"ws://{host}:{port}/mqtt")
    try:
        yield target
    finally:
        await target.close()
        try:
            await broker.stop()
        finally:
            await runner.cleanup()


def _door(broker: EmbeddedBroker) -> web.Application:
    async def mqtt(request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse(protocols=("mqtt",), max_msg_size=0)
        await websocket.prepare(request)
        transport = request.transport
        peer = ("127.0.0.1", 0) if transport is None else transport.get_extra_info("peername")
        origin = request.headers.get("Origin")
        own = origin == f"http://{request.host}"
        await broker.serve_websocket(websocket, peer=peer, origin=None if own else origin)
        return websocket

    app = web.Application()
    app.router.add_get("/mqtt", mqtt)
    return app
