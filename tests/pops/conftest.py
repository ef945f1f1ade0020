"""What the stories of repeats and of reading share."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import aiohttp
import pytest

from tests.conftest import Answer, Bridge

REPEATS = """\
http: {bind: 127.0.0.1:0}
mqtt: {bind: 127.0.0.1:0}
customers:
  acme: {require_crmid: false, duplicate_window: 1h, cti: [env1]}
  brief: {require_crmid: false, duplicate_window: 200ms}
  off: {require_crmid: false, duplicate_window: 0s}
  strict: {require_crmid: false, events: [On Ring], unknown_event: reject}
  limited: {require_crmid: false, rate_limit: 3}
"""
CUSTOMERS = ("acme", "brief", "off", "strict", "limited")


@pytest.fixture(scope="session")
def repeats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """A bridge whose customers have different duplicate windows."""
    running = Bridge(tmp_path_factory.mktemp("repeats") / "data", REPEATS).start()
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log(), running.log()


@pytest.fixture(scope="session")
def repeat_keys(repeats: Bridge) -> dict[str, str]:
    """An API key of each customer."""
    return {customer: repeats.key(customer) for customer in CUSTOMERS}


@pytest.fixture
async def repeat_http(repeats: Bridge) -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client."""
    connector = aiohttp.TCPConnector(limit=100)
    async with aiohttp.ClientSession(repeats.http, connector=connector) as session:
        yield session


class Reader(NamedTuple):
    """Reads and steers by a token."""

    http: aiohttp.ClientSession
    token: str | None

    async def __call__(self, path: str, method: str = "GET", **query: object) -> Answer:
        """Ask."""
        given = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        asked = {name: str(value) for name, value in query.items()}
        async with self.http.request(method, path, headers=given, params=asked) as response:
            return Answer(response.status, await response.json(content_type=None), response.headers)

    async def pop(self, popid: str) -> dict[str, Any]:
        """Read a pop."""
        answer = await self(f"/api/pops/{popid}")
        assert answer.status == 200, answer.said
        return answer.said


@pytest.fixture(scope="session")
def admins(bridge: Bridge) -> dict[str, str]:
    """An administrator's token of two customers."""
    return {customer: bridge.token("admin", customer) for customer in ("acme", "other")}


@pytest.fixture
def admin(http: aiohttp.ClientSession, admins: dict[str, str]) -> Reader:
    """The administrator of acme."""
    return Reader(http, admins["acme"])


@pytest.fixture
def observer(http: aiohttp.ClientSession, observers: dict[str, str]) -> Reader:
    """An observer of acme."""
    return Reader(http, observers["acme"])
