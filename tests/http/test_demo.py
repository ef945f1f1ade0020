"""The demo: what it prints works as printed, and nobody else's bridge takes its credentials."""

import asyncio
import contextlib
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.broker.contract.client import Client
from tests.broker.contract.lines import TcpLine
from tests.conftest import CONFIG, WITHIN, Bridge, basic, needed

ANY_PORT = ("--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0")
LOOPBACK_ONLY = [("--http", "0.0.0.0:0"), ("--mqtt", "0.0.0.0:0"), ("--http", "[::]:0"), ("--http", "192.0.2.1:0")]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    running = Bridge(tmp_path_factory.mktemp("demo") / "data", command=("demo", *ANY_PORT, "--no-simulator")).start()
    yield running
    assert running.stop() == 0


def printed(demo: Bridge, beginning: str) -> list[str]:
    found = [line for line in demo.printed if line.startswith(beginning)]
    assert found, demo.printed
    return found


def passwords(demo: Bridge) -> dict[str, str]:
    found = (re.fullmatch(r"password of (\S+): (\S+)", line) for line in demo.printed)
    return {one[1]: one[2] for one in found if one}


async def shell(line: str) -> str:
    process = await asyncio.create_subprocess_exec("sh", "-c", line, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(WITHIN):
        out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()


@asynccontextmanager
async def running(line: str) -> AsyncIterator[asyncio.StreamReader]:
    """Run a command that does not end by itself, and end it."""
    process = await asyncio.create_subprocess_exec("sh", "-c", f"exec {line}", stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.communicate()


async def next_pop(lines: asyncio.StreamReader) -> dict[str, Any]:
    async with asyncio.timeout(WITHIN):
        line = (await lines.readline()).decode()
    found: dict[str, Any] = json.loads(line[line.index("{") :])
    return found


async def test_every_printed_curl_line_works_as_printed(demo: Bridge) -> None:
    needed("curl")
    answers = [json.loads(out) for out in await asyncio.gather(*map(shell, printed(demo, "curl ")))]
    assert all(answer["success"] for answer in answers), answers
    assert not any("warnings" in answer for answer in answers)
    assert sum("popid" in answer for answer in answers) >= 2
    assert any("token" in answer for answer in answers)


async def test_every_printed_mosquitto_sub_line_hears_a_printed_trigger(demo: Bridge) -> None:
    needed("curl")
    needed("mosquitto_sub")
    trigger = printed(demo, "curl ")[1]
    for line in printed(demo, "mosquitto_sub -V mqttv311 -q 1 "):
        async with running(line) as lines:
            hearing = asyncio.create_task(next_pop(lines))
            while not hearing.done():
                # The subscription may not be there yet: trigger until it hears.
                await shell(trigger)
                await asyncio.wait({hearing}, timeout=0.2)
            assert (await hearing)["agentid"] == "1001"


async def test_a_second_start_prints_the_same_passwords_and_tokens(demo: Bridge, tmp_path: Path) -> None:
    first = Bridge(tmp_path / "data", command=demo.command).start()
    assert first.stop() == 0
    second = Bridge(tmp_path / "data", command=demo.command).start()
    assert second.stop() == 0
    assert set(passwords(first)) == {"demo-cloud", "1001", "1002"}
    assert passwords(first) == passwords(second)
    assert not set(passwords(first).values()) & set(passwords(demo).values())
    assert credentials(first) == credentials(second)


def credentials(demo: Bridge) -> list[str]:
    return re.findall(r"eyJ[\w.-]+", "\n".join(demo.printed))


async def test_serve_refuses_the_demos_credentials_on_the_same_data(tmp_path: Path) -> None:
    seeded = Bridge(tmp_path / "data", command=("demo", *ANY_PORT)).start()
    assert seeded.stop() == 0
    serving = Bridge(tmp_path / "data", CONFIG).start()
    try:
        found = set(credentials(seeded))
        assert len(found) >= 4
        async with aiohttp.ClientSession(serving.http) as http:
            for token in found:
                async with http.get(f"/api/sendmessage/CTI?agentid=1001&event=On+Ring&jwt={token}") as answer:
                    assert (answer.status, (await answer.json())["code"]) == (401, "invalid_key")
                for username in ("acme", "acme/1001", "acme/1002"):
                    client = Client(await TcpLine.open("127.0.0.1", serving.mqtt_port))
                    assert await client.connect(username=username, password=token) == (False, 4)
                    await client.drop()
            for user, password in passwords(seeded).items():
                async with http.post("/api/desktop/token", headers={"Authorization": basic(user, password)}) as answer:
                    assert answer.status == 401
    finally:
        assert serving.stop() == 0


async def test_a_cloud_user_gets_no_desktop_token(demo: Bridge) -> None:
    async with aiohttp.ClientSession(demo.http) as http:
        for user, status in (("1001", 200), ("1002", 200), ("demo-cloud", 401)):
            headers = {"Authorization": basic(user, passwords(demo)[user])}
            async with http.post("/api/desktop/token", headers=headers) as answer:
                assert answer.status == status


@pytest.mark.parametrize("words", LOOPBACK_ONLY)
def test_it_binds_loopback_only(tmp_path: Path, words: tuple[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "demo", *ANY_PORT, *words, "--data", str(tmp_path / "data")],
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert "loopback" in done.stderr


def test_it_writes_its_configuration_unless_one_is_there(demo: Bridge, tmp_path: Path) -> None:
    written = (demo.data / "broker.yaml").read_text(encoding="utf-8")
    assert "acme.example.com" in written
    (tmp_path / "data").mkdir()
    mine = CONFIG.replace("[On Ring, On Answer]", "[On Ring, Mine]")
    (tmp_path / "data" / "broker.yaml").write_text(mine, encoding="utf-8")
    other = Bridge(tmp_path / "data", command=demo.command).start()
    assert other.stop() == 0
    assert (tmp_path / "data" / "broker.yaml").read_text(encoding="utf-8") == mine


def test_what_it_keeps_is_for_its_owner_only(demo: Bridge) -> None:
    assert demo.data.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o077 == 0 for path in demo.data.iterdir() if path.name != "broker.yaml")


def test_the_written_configuration_serves(demo: Bridge, tmp_path: Path) -> None:
    config = (demo.data / "broker.yaml").read_text(encoding="utf-8")
    ports = re.sub(r"127\.0\.0\.1:(8080|1883)", "127.0.0.1:0", config)
    serving = Bridge(tmp_path / "data", ports).start()
    assert serving.stop() == 0
