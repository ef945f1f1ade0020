"""What the desktop's stories need."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.agent_client.mosquitto import Caller, Mosquitto
from tests.agent_client.rules import Python, Rules
from tests.agent_client.web.stage import JavaScript, Stage


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path)
    broker.start()
    yield broker
    broker.kill()


@pytest_asyncio.fixture
async def caller(mosquitto: Mosquitto) -> AsyncIterator[Caller]:
    async with Caller(mosquitto.port) as playing:
        yield playing


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    playing = Stage()
    yield playing
    playing.close()


@pytest.fixture(scope="session", params=["python", "javascript"])
def rules(request: pytest.FixtureRequest) -> Rules:
    """The rules of a desktop in Python, and the same in JavaScript."""
    if request.param == "python":
        return Python()
    return JavaScript(request.getfixturevalue("stage"))
