"""Office: the Cloud API as a telephony platform meets it, and the desktops of its agents."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import aiohttp

from bridge.words import topics
from tests.broker.contract import packets
from tests.broker.contract.client import Client
from tests.broker.contract.lines import TcpLine
from tests.broker.contract.packets import Kind
from tests.conftest import Agent, Answer, Bridge, basic

PASSWORD = "a password of sufficient length"

CONFIG = """\
http: {bind: 127.0.0.1:0}
mqtt: {bind: 127.0.0.1:0}
delivery: {record_grace: 3s}
customers:
  acme:
    crm: [acme.example.com]
    cloud:
      enabled: true
      campaigns:
        Support: {}
        Linked:
          external: true
          fields: {Contact Name: contact_name, Number: number, Same: number_too}
        Plain: {fields: {Contact Name: contact_name}}
  exact:
    cloud:
      enabled: true
      vendor_exact: true
      campaigns: {Support: {}}
  seats:
    cloud:
      enabled: true
      licence: {kind: concurrent, seats: 2}
      campaigns: {Support: {}}
  named:
    cloud:
      enabled: true
      licence: {kind: named, seats: 2, users: [named-0, named-1]}
      campaigns: {Support: {}}
  off:
    cloud:
      campaigns: {Support: {}}
  storm:
    cloud:
      enabled: true
      licence: {kind: concurrent, seats: 4}
      campaigns: {Support: {}}
  slow:
    rate_limit: 2
    cloud:
      enabled: true
      campaigns: {Support: {}}
"""

AGENTS = {"acme": 200, "exact": 20, "seats": 40, "storm": 6}
USERS = ("acme", "exact", "seats", "named", "off", "storm", "slow")
READERS = ("acme", "seats", "named", "off", "storm")


class Desk:
    """One desktop, told apart what it hears: pops, and what the bridge says on DESK."""

    def __init__(self, client: Client, customer: str, agent: str) -> None:
        self.client = client
        self.customer = customer
        self.agent = agent
        self._pops: deque[dict[str, Any]] = deque()
        self._told: deque[dict[str, Any]] = deque()

    async def pop(self, *, acknowledge: bool = True) -> dict[str, Any]:
        """Take the next pop."""
        while not self._pops:
            await self._take(acknowledge=acknowledge)
        return self._pops.popleft()

    async def told(self) -> dict[str, Any]:
        """Take what the bridge says next of pops and records."""
        while not self._told:
            await self._take()
        return self._told.popleft()

    async def told_until(self, said: Mapping[str, Any]) -> None:
        """Take what the bridge says up to this."""
        while await self.told() != said:
            pass

    async def say(self, **said: object) -> None:
        """Say something on the ACK topic, and see that the bridge has it."""
        await self.client.publish(topics.ack(self.customer, self.agent), json.dumps(said).encode(), qos=1)

    async def show(self, suspended: str | None = None) -> dict[str, Any]:
        """Take the next pop and open it."""
        found = await self.pop()
        await self.say(popid=found["popid"], outcome="shown", **({"suspended": suspended} if suspended else {}))
        return found

    async def nothing(self) -> None:
        """Assert that no pop and no word is on its way."""
        assert not self._pops
        assert not self._told
        await self.client.nothing()

    async def no_pop(self) -> None:
        """Assert that no pop is on its way; words may be."""
        assert not await self.pops()

    async def pops(self) -> list[dict[str, Any]]:
        """Take the pops that came up to now."""
        for message in await self.client.heard():
            if message.qos:
                await self.client.send(packets.reply(Kind.PUBACK, message.mid))
            self._sort(message.topic, message.payload)
        taken, self._pops = list(self._pops), deque()
        return taken

    async def _take(self, *, acknowledge: bool = True) -> None:
        message = await self.client.message(acknowledge=acknowledge)
        self._sort(message.topic, message.payload)

    def _sort(self, topic: str, payload: bytes) -> None:
        (self._told if topic.startswith("DESK/") else self._pops).append(json.loads(payload))


class Office:
    """Pops by the Cloud API, by a user of each customer, for agents of whom each story has its own."""

    _numbers = count()

    def __init__(
        self,
        bridge: Bridge,
        http: aiohttp.ClientSession,
        tokens: Mapping[str, str],
        agents: Mapping[str, Iterator[Agent]],
    ) -> None:
        self.bridge = bridge
        self.http = http
        self.tokens = tokens
        self._agents = agents

    def agent(self, customer: str = "acme") -> Agent:
        """Give an agent whom no other story pops."""
        return next(self._agents[customer])

    def reference(self) -> str:
        """Name a record that no other story opens."""
        return f"case {next(self._numbers)}"

    async def pop(
        self,
        agent: Agent | str,
        reference: str | None = None,
        customer: str = "acme",
        *,
        campaign: str = "Support",
        data: object = None,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        **query: object,
    ) -> Answer:
        """Ask for a pop."""
        said: dict[str, object] = {"Username": agent if isinstance(agent, str) else agent.id, "Campaign": campaign}
        if reference is not None:
            said["Reference"] = reference
        if data is not None:
            said["ScriptData"] = data
        return await self.post("/api/cloud/pop", said, token or self.tokens[customer], headers, **query)

    def start_pop(self, agent: Agent | str, *rest: Any, **how: Any) -> asyncio.Task[Answer]:
        """Ask for a pop, and go on before it is answered."""
        return asyncio.create_task(self.pop(agent, *rest, **how))

    async def post(
        self,
        path: str,
        said: object,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        **query: object,
    ) -> Answer:
        """Post a body, as JSON unless it is bytes."""
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        asked = {name: str(value) for name, value in query.items()}
        given = {"Content-Type": "application/json"} | _bearer(token) | dict(headers or {})
        async with self.http.post(path, data=body, params=asked, headers=given) as response:
            return Answer(response.status, await response.json(content_type=None), response.headers)

    async def get(self, path: str, token: str | None = None, **query: object) -> Answer:
        """Read something."""
        asked = {name: str(value) for name, value in query.items()}
        async with self.http.get(path, headers=_bearer(token), params=asked) as response:
            return Answer(response.status, await response.json(content_type=None), response.headers)

    async def log_in(
        self, username: str, password: str = PASSWORD, http: aiohttp.ClientSession | None = None
    ) -> Answer:
        """Ask for the tokens of a Cloud API user."""
        given = {"Authorization": basic(username, password)}
        async with (http or self.http).get(f"{self.bridge.http}/api/cloud/token", headers=given) as response:
            return Answer(response.status, await response.json(), response.headers)

    @asynccontextmanager
    async def desk(self, agent: Agent, customer: str = "acme", qos: int = 1) -> AsyncIterator[Desk]:
        """Be a desktop of an agent."""
        async with sitting(self.bridge, agent, customer, qos) as desk:
            yield desk


def _bearer(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}


@asynccontextmanager
async def sitting(bridge: Bridge, agent: Agent, customer: str = "acme", qos: int = 1) -> AsyncIterator[Desk]:
    """Be a desktop of an agent at a bridge."""
    client = Client(await TcpLine.open("127.0.0.1", bridge.mqtt_port))
    try:
        username = f"{customer}/{agent.id}"
        assert await client.connect(username=username, password=agent.token) == (False, 0)
        # DESK first: what is held is not released before the desktop hears everything.
        filters = [(name, qos) for name in topics.for_desktop(customer, agent.id)]
        assert await client.subscribe(*reversed(filters)) == [qos for _ in filters]
        yield Desk(client, customer, agent.id)
    finally:
        await client.drop()


def issue_agents(bridge: Bridge, customer: str, number: int) -> list[Agent]:
    """Issue a token for each of so many agents."""
    ids = [f"{customer}-{each}" for each in range(number)]
    issued = bridge.secret(
        "tokens", "issue", "--customer", customer, "--role", "desktop", "--agents", "-", given="\n".join(ids)
    )
    return [Agent(*both) for both in zip(ids, issued.splitlines(), strict=True)]


def add_user(bridge: Bridge, username: str, customer: str = "acme", agent: str | None = None) -> str:
    """Add a user with PASSWORD; give the name."""
    who = () if agent is None else ("--agent", agent)
    given = ("users", "add", "--customer", customer, "--username", username, "--password-stdin", *who)
    done = bridge.cli(*given, given=PASSWORD)
    assert done.returncode == 0, done.stderr
    return username
