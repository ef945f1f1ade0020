"""What the faults share: a bridge of one's own, to be hurt."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from tests.conftest import WITHIN, Agent, Bridge

CONFIG = """\
http: {bind: 127.0.0.1:0}
mqtt: {bind: 127.0.0.1:0}
ledger: {busy_timeout: 100ms}
customers:
  acme:
    duplicate_window: 60s
    cloud: {enabled: true, campaigns: {Support: {}}}
"""

PASSWORD = "correct horse battery staple"


class Secrets(NamedTuple):
    """What opens a house's doors."""

    key: str
    desktop: str
    observer: str


class House:
    """A bridge with one agent, one caller and one observer. Its ports change with every start."""

    def __init__(self, bridge: Bridge, secrets: Secrets) -> None:
        self.bridge = bridge
        self.agent = Agent("1001", secrets.desktop)
        self.key = secrets.key
        self.observer = secrets.observer
        self.ledger = bridge.data / "ledger.db"

    async def trigger(self, agent: str = "1001", headers: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
        """Trigger a pop, and give the answer with its HTTP status and Retry-After added."""
        asked = {"agentid": agent, "event": "On Ring", "jwt": self.key, "pop_ttl": 300, **more}
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{self.bridge.http}/api/sendmessage/CTI", json=asked, headers=headers) as response,
        ):
            said: dict[str, Any] = await response.json()
            return said | {"http": response.status, "retry": response.headers.get("Retry-After")}

    async def read(self, path: str) -> dict[str, Any]:
        """Read something as an observer."""
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {self.observer}"}) as http,
            http.get(self.bridge.http + path) as response,
        ):
            said: dict[str, Any] = await response.json()
            return said | {"http": response.status}

    async def until_status(self, popid: str, *wanted: str) -> dict[str, Any]:
        """Wait until a pop has one of these statuses."""
        said: dict[str, Any] = {}
        try:
            async with asyncio.timeout(WITHIN):
                while said.get("status") not in wanted:
                    said = await self.read(f"/api/pops/{popid}")
        except TimeoutError:
            pytest.fail(f"it is {said.get('status')}, not {' or '.join(wanted)}: {said}")
        return said

    async def until_ready(self, status: int) -> None:
        """Wait until `/readyz` answers so."""
        async with asyncio.timeout(WITHIN):
            while (await self.read("/readyz"))["http"] != status:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)

    async def die(self) -> None:
        """Die by kill -9."""
        await asyncio.to_thread(self.bridge.kill)

    async def start(self) -> None:
        """Be there again."""
        await asyncio.to_thread(self.bridge.start)


@pytest.fixture(scope="session")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Secrets]:
    """Make the credentials of all houses once; the process that starts for each of them takes its time."""
    bridge = Bridge(tmp_path_factory.mktemp("house") / "data", CONFIG)
    secrets = Secrets(bridge.key(), bridge.token("desktop", agent="1001"), bridge.token("observer"))
    bridge.secret("users", "add", "--customer", "acme", "--username", "cloud", "--password-stdin", given=PASSWORD)
    return bridge.data, secrets


@pytest.fixture
def house(credentials: tuple[Path, Secrets], tmp_path: Path) -> Iterator[House]:
    """Give a house of one's own; its bridge may be killed and is gone afterwards."""
    made, secrets = credentials
    shutil.copytree(made, tmp_path / "data", dirs_exist_ok=True)
    bridge = Bridge(tmp_path / "data", CONFIG).start()
    try:
        yield House(bridge, secrets)
    finally:
        bridge.kill()
    assert "Traceback" not in bridge.log(), bridge.log()
