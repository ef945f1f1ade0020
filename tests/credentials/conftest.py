import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from bridge.credentials.authority import Credentials

PATIENCE = 30.0

Command = Callable[..., Awaitable[tuple[str, str]]]


class Clock:
    """A clock that goes only when told."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def credentials(data: Path, clock: Clock) -> AsyncIterator[Credentials]:
    async with Credentials.open(data, clock=clock) as opened:
        yield opened


@pytest.fixture
def popbridge(data: Path) -> Command:
    """Run a command in a process of its own; return its stdout and stderr."""

    async def run(*arguments: str, stdin: str = "") -> tuple[str, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.credentials.house", str(data), *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(PATIENCE):
            stdout, stderr = await process.communicate(stdin.encode())
        assert process.returncode == 0, stderr.decode()
        return stdout.decode(), stderr.decode()

    return run


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait for what another process did to count here."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - nothing tells when it counts
            await asyncio.sleep(0.005)
