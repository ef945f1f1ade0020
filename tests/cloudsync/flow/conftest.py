from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cloudsync.flow.events import Clock, House, ms, opened

NOW = "2026-11-10T15:07:00Z"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def clock() -> Clock:
    return Clock(ms(NOW))


@pytest.fixture
async def house(data: Path, clock: Clock) -> AsyncIterator[House]:
    async with opened(data, clock) as open_house:
        yield open_house
