"""What the contract's tests run against."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from . import ours as embedded
from . import targets
from .ours import OpenGate, Ours
from .targets import Target

ROADS = ("ours-tcp", "ours-ws")


@pytest.fixture(params=("mosquitto", *ROADS))
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], AbstractAsyncContextManager[Target]]:
    """Give the way to start a broker that lets everybody in."""
    if request.param == "mosquitto":
        return lambda: targets.mosquitto(tmp_path)
    return lambda: embedded.running(request.param, OpenGate())


@pytest.fixture
async def target(opened: Callable[[], AbstractAsyncContextManager[Target]]) -> AsyncIterator[Target]:
    """Run a broker that lets everybody in: one client's word is as good as another's."""
    async with opened() as running:
        yield running


@pytest.fixture(params=ROADS)
def road(request: pytest.FixtureRequest) -> str:
    """Give the way to our broker, for tests that start it their own way."""
    found: str = request.param
    return found


@pytest.fixture
async def ours(road: str) -> AsyncIterator[Ours]:
    """Run our broker with everybody let in."""
    async with embedded.running(road, OpenGate()) as running:
        yield running
