"""What the desktop's stories need."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.agent_client.mosquitto import Caller, Mosquitto


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
