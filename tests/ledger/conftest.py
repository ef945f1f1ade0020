from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.ledger.ledger import Ledger
from tests.ledger.pops import NOON


class Clock:
    """A clock that goes only when told."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def ledger(data: Path, clock: Clock) -> AsyncIterator[Ledger]:
    async with Ledger.open(data, clock=clock) as opened:
        yield opened
