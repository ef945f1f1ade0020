"""What the stories share: a real bridge process, its credentials, and clients."""

import asyncio
import base64
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import aiohttp
import pytest
from hypothesis import settings
from multidict import CIMultiDictProxy
from yarl import URL

from bridge.words import topics
from tests.broker.contract.client import Client
from tests.broker.contract.lines import TcpLine

# How long an example takes depends on what else the machine does: pytest's own time-out bounds a test.
settings.register_profile("house", deadline=None)
settings.load_profile("house")

WITHIN = 30.0
"""Seconds after which an effect that did not come is a failure."""

CONFIG = """\
http: {bind: 127.0.0.1:0}
mqtt: {bind: 127.0.0.1:0}
customers:
  acme:
    crm: [acme.example.com]
    cti: [env1]
    events: [On Ring, On Answer]
    unknown_event: warn
    origins: ["https://agents.example.com"]
  many:
    crm: [One.example.com, two.example.com]
    cti: [env1]
    events: [On Ring]
    unknown_event: reject
  free:
    require_crmid: false
    unknown_event: pass
  other:
    crm: [other.example.com]
"""


class Bridge:
    """A bridge in a process of its own."""

    def __init__(self, data: Path, config: str = CONFIG, command: tuple[str, ...] = ("serve",)) -> None:
        data.mkdir(parents=True, exist_ok=True)
        if command[0] == "serve":
            (data / "broker.yaml").write_text(config, encoding="utf-8")
        self.data = data
        self.command = command
        self.stderr = data.parent / f"{data.name}.stderr"
        self.printed: list[str] = []

    def start(self) -> "Bridge":
        with self.stderr.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bridge", *self.command, "--data", str(self.data)],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed.append(line.rstrip("\n"))
            found = re.fullmatch(r"popbridge ready http=(\S+):(\d+) mqtt=(\S+):(\d+)", self.printed[-1])
            if found:
                self.http = f"http://{found[1]}:{found[2]}"
                self.http_port, self.mqtt_port = int(found[2]), int(found[4])
                return self
        raise AssertionError(f"the bridge did not start: {self.log()}")

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(WITHIN)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(WITHIN)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def log(self) -> str:
        return self.stderr.read_text(encoding="utf-8", errors="replace")

    def cli(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "bridge", *words, "--data", str(self.data)],
            input=given,
            capture_output=True,
            text=True,
            timeout=WITHIN,
            check=False,
        )

    def secret(self, *words: str, given: str = "") -> str:
        """Run a command that makes a credential, and give the secret it printed."""
        done = self.cli(*words, given=given)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def key(self, customer: str = "acme") -> str:
        return self.secret("keys", "issue", "--customer", customer)

    def token(self, role: str, customer: str = "acme", agent: str | None = None) -> str:
        whose = () if agent is None else ("--agent", agent)
        return self.secret("tokens", "issue", "--customer", customer, "--role", role, *whose)


@pytest.fixture(scope="session")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """One bridge for all stories that leave it as they found it; each uses agents of its own."""
    running = Bridge(tmp_path_factory.mktemp("bridge") / "data").start()
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log(), running.log()


@pytest.fixture(scope="session")
def keys(bridge: Bridge) -> dict[str, str]:
    """An API key of each customer."""
    return {customer: bridge.key(customer) for customer in ("acme", "many", "free", "other")}


@pytest.fixture
async def http(bridge: Bridge) -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client of the shared bridge."""
    async with aiohttp.ClientSession(bridge.http) as session:
        yield session


def needed(program: str) -> str:
    """Find a program that a story needs: skip where it is missing, but fail on CI."""
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail(f"{program} is missing; .ci/run installs it")
        pytest.skip(f"{program} is not installed")
    return found


async def raw(port: int, sent: bytes) -> bytes:
    """Send bytes to the HTTP port and give all that comes back until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        await writer.drain()
        async with asyncio.timeout(WITHIN):
            return await until_closed(reader)
    finally:
        writer.transport.abort()  # what the bridge did not care to read need not be sent


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    """Read until the connection is closed, or reset because something of ours met it closed."""
    received = b""
    with contextlib.suppress(ConnectionError):
        while some := await reader.read(65_536):
            received += some
    return received


def basic(user: str, password: str) -> str:
    """Spell an Authorization header with user name and password."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Answer(NamedTuple):
    """What a trigger was answered."""

    status: int
    said: dict[str, Any]
    headers: CIMultiDictProxy[str]

    @property
    def codes(self) -> list[str]:
        """The codes of the warnings."""
        return [warning.partition(":")[0] for warning in self.said.get("warnings", ())]


class Caller:
    """A telephony platform: triggers pops, by GET unless there is a body, with what is required filled in.

    Each trigger is for an agent of its own unless one is named.
    """

    _agents = count()

    def __init__(self, http: aiohttp.ClientSession, keys: dict[str, str]) -> None:
        self.http = http
        self.keys = keys

    async def __call__(
        self,
        channel: str = "CTI",
        customer: str = "acme",
        *,
        json: object = None,
        data: object = None,
        query: str | None = None,
        headers: Mapping[str, str] | None = None,
        method: str | None = None,
        **parameters: object,
    ) -> Answer:
        """Trigger; a parameter that is None is left out. `query` and `json` or `data` are sent as they are given.

        A pop lives long enough for a slow machine unless the story says otherwise.
        """
        agentid = f"nobody-{next(self._agents)}"
        given = {"agentid": agentid, "event": "On Ring", "jwt": self.keys[customer], "pop_ttl": "60"} | parameters
        asked = urlencode({name: str(value) for name, value in given.items() if value is not None})
        target = f"/api/sendmessage/{channel}?{asked}" + ("" if query is None else f"&{query}")
        has_body = json is not None or data is not None
        async with self.http.request(
            method or ("POST" if has_body else "GET"),
            URL(target, encoded=True),
            json=json,
            data=data,
            headers=headers,
            allow_redirects=False,
        ) as response:
            return Answer(response.status, await response.json(content_type=None), response.headers)


@pytest.fixture
def trigger(http: aiohttp.ClientSession, keys: dict[str, str]) -> Caller:
    """Trigger pops at the shared bridge."""
    return Caller(http, keys)


class Agent(NamedTuple):
    """An agent of acme, and a token for their desktops."""

    id: str
    token: str


@pytest.fixture(scope="session")
def agents(bridge: Bridge) -> Iterator[Agent]:
    """Many agents, each for one story."""
    ids = [f"agent-{number}" for number in range(200)]
    issued = bridge.secret(
        "tokens", "issue", "--customer", "acme", "--role", "desktop", "--agents", "-", given="\n".join(ids)
    )
    return iter([Agent(*both) for both in zip(ids, issued.splitlines(), strict=True)])


@pytest.fixture
def agent(agents: Iterator[Agent]) -> Agent:
    """An agent whom no other story pops."""
    return next(agents)


@asynccontextmanager
async def mqtt(bridge: Bridge, username: str, token: str, *filters: tuple[str, int]) -> AsyncIterator[Client]:
    """Be an MQTT client that has subscribed."""
    client = Client(await TcpLine.open("127.0.0.1", bridge.mqtt_port))
    try:
        assert await client.connect(username=username, password=token) == (False, 0)
        if filters:
            assert await client.subscribe(*filters) == [qos for _, qos in filters]
        yield client
    finally:
        await client.drop()


@asynccontextmanager
async def desktop(bridge: Bridge, agent: Agent, qos: int = 1) -> AsyncIterator[Client]:
    """Be a desktop of an agent, subscribed as the documents say."""
    filters = [(name, qos) for name in topics.for_desktop("acme", agent.id)]
    async with mqtt(bridge, f"acme/{agent.id}", agent.token, *filters) as client:
        yield client


@pytest.fixture(scope="session")
def observers(bridge: Bridge) -> dict[str, str]:
    """An observer's token of each customer."""
    return {customer: bridge.token("observer", customer) for customer in ("acme", "many", "free", "other")}


@asynccontextmanager
async def observing(bridge: Bridge, observers: dict[str, str], customer: str = "acme") -> AsyncIterator[Client]:
    """Observe all pops of a customer."""
    filters = [(f"{kind}/{customer}/#", 1) for kind in ("CTI", "CRM")]
    async with mqtt(bridge, customer, observers[customer], *filters) as client:
        yield client


Watch = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture
async def published(bridge: Bridge, observers: dict[str, str], trigger: Caller) -> AsyncIterator[Watch]:
    """Trigger a pop and give the document as an observer gets it, with its `topic`, `payload` and `answer` added."""
    async with AsyncExitStack() as stack:
        watching: dict[str, Client] = {}

        async def publish(channel: str = "CTI", customer: str = "acme", **how: Any) -> dict[str, Any]:
            if customer not in watching:
                watching[customer] = await stack.enter_async_context(observing(bridge, observers, customer))
            answer = await trigger(channel, customer, **how)
            assert answer.status == 200, answer.said
            while True:
                message = await watching[customer].message()
                document: dict[str, Any] = json.loads(message.payload)
                if document["popid"] == answer.said["popid"]:
                    assert message.topic == answer.said["topic"]
                    return document | {"topic": message.topic, "payload": message.payload, "answer": answer}

        yield publish
