"""Targets: a broker under test and the lines to it. The reference is a real mosquitto, started for one test."""

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from .client import PATIENCE, Client, Line
from .lines import TcpLine
from .packets import Will


class Target:
    """A running broker and the lines to it, which end with it."""

    def __init__(self, name: str, port: int, road: Callable[[], Awaitable[Line]]) -> None:
        self.name = name
        self.port = port
        self._road = road
        self._lines: list[Line] = []

    async def line(self) -> Line:
        """Open a line that says nothing yet."""
        line = await self._road()
        self._lines.append(line)
        return line

    async def stranger(self) -> Client:
        """Open a client that has not logged in."""
        return Client(await self.line())

    async def client(
        self,
        client_id: str | bytes = "",
        *,
        clean: bool = True,
        keepalive: int = 60,
        will: Will | None = None,
        username: str | None = None,
        password: str | None = None,
    ) -> Client:
        """Log a client in; a refusal fails the test."""
        client = await self.stranger()
        _, code = await client.connect(
            client_id, clean=clean, keepalive=keepalive, will=will, username=username, password=password
        )
        assert code == 0, f"CONNACK {code}"
        return client

    async def close(self) -> None:
        """Close every line, those that a test left open too."""
        await asyncio.gather(*(line.close() for line in self._lines))
        self._lines.clear()


def program(name: str) -> str:
    """Find a program of mosquitto's; without it the test is skipped, but not in CI."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is not None:
        return found
    if os.environ.get("CI"):
        pytest.fail(f"{name} is not installed, and this suite proves little in CI without it")
    pytest.skip(f"{name} is not installed")


@asynccontextmanager
async def mosquitto(directory: Path) -> AsyncIterator[Target]:
    """Run mosquitto with everybody allowed in."""
    port = _free_port()
    config = directory / f"mosquitto-{port}.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\nlog_dest none\n"
    )
    process = await asyncio.create_subprocess_exec(program("mosquitto"), "-c", str(config))
    target = Target("mosquitto", port, lambda: TcpLine.open("127.0.0.1", port))
    try:
        await _answers(port)
        yield target
    finally:
        await target.close()
        process.kill()  # it takes 0.1 s to end when asked, and has nothing to lose
        await process.wait()


def _free_port() -> int:
    # mosquitto takes no port 0; nobody else gets this one so soon, since the kernel hands them out in turn.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _answers(port: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(ConnectionRefusedError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                await writer.wait_closed()
                return
            await asyncio.sleep(0.005)
