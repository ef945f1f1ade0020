"""Start and stop: what the process promises to those who run it."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.broker.contract.client import Client
from tests.broker.contract.lines import WebSocketLine
from tests.conftest import CONFIG, WITHIN, Agent, Bridge, Caller, desktop

GONE_WITHIN = 5.0
"""Seconds that the contract gives a stop."""


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Bridge]:
    """A bridge that the story may stop."""
    running = Bridge(tmp_path / "data").start()
    yield running
    assert running.stop() == 0


def run(*words: str, cwd: Path, config: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command that is expected to end by itself."""
    if config is not None:
        (cwd / "popbridge-data").mkdir(exist_ok=True)
        (cwd / "popbridge-data" / "broker.yaml").write_text(config, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "bridge", *words],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )


def test_the_ready_line_is_all_that_serve_prints_on_stdout(own: Bridge) -> None:
    assert own.printed == [f"popbridge ready http=127.0.0.1:{own.http_port} mqtt=127.0.0.1:{own.mqtt_port}"]
    own.process.send_signal(signal.SIGTERM)
    assert own.process.stdout is not None
    assert own.process.stdout.read() == ""
    assert own.stop() == 0


def test_stderr_says_what_is_bound_what_is_refused_and_how_many_fit(own: Bridge) -> None:
    log = own.log()
    assert f"127.0.0.1:{own.http_port}" in log
    assert f"127.0.0.1:{own.mqtt_port}" in log
    assert "refused: " in log
    assert re.search(r"about \d+ agents fit", log)


async def test_sigterm_answers_every_wait_and_ends_everything_in_time(own: Bridge) -> None:
    key, token = own.key(), own.token("desktop", agent="1001")
    idle = [await asyncio.open_connection("127.0.0.1", own.http_port) for _ in range(20)]
    half = await asyncio.open_connection("127.0.0.1", own.http_port)
    half[1].write(b"POST /api/sendmessage/CTI HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
    websocket = Client(await WebSocketLine.open(f"{own.http}/mqtt"))
    assert await websocket.connect(username="acme/1001", password=token) == (False, 0)
    silent = await asyncio.open_connection("127.0.0.1", own.mqtt_port)
    async with aiohttp.ClientSession(own.http) as http, desktop(own, Agent("1001", token)) as client:
        trigger = Caller(http, {"acme": key})
        waiting = [asyncio.create_task(trigger(agentid="1001", pop_wait=8, pop_ttl=60, n=n)) for n in range(10)]
        held = [asyncio.create_task(trigger(agentid=f"away-{n}", pop_wait=8, pop_ttl=60)) for n in range(10)]
        for _ in waiting:
            await client.message()
        async with asyncio.timeout(WITHIN):
            while 'status="accepted"} 20.0' not in await metrics(http):
                pass
        own.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(WITHIN):
            assert {answer.said["status"] for answer in await asyncio.gather(*waiting)} == {"delivered"}
            assert {answer.said["status"] for answer in await asyncio.gather(*held)} == {"held"}
            await client.ended()
            await websocket.ended()
            for reader, _ in [*idle, half, silent]:
                await reader.read()
    assert await asyncio.to_thread(own.process.wait, GONE_WITHIN) == 0
    for _, writer in [*idle, half, silent]:
        writer.close()
    await websocket.drop()
    assert "Traceback" not in own.log()


async def metrics(http: aiohttp.ClientSession) -> str:
    async with http.get("/metrics") as response:
        return await response.text()


def test_sigint_stops_it_too_and_a_second_signal_does_no_harm(own: Bridge) -> None:
    own.process.send_signal(signal.SIGINT)
    own.process.send_signal(signal.SIGTERM)
    assert own.stop() == 0
    assert "Traceback" not in own.log()


async def test_a_stopped_bridge_starts_again_on_its_data(own: Bridge) -> None:
    key = own.key()
    assert own.stop() == 0
    own.start()
    async with aiohttp.ClientSession(own.http) as http:
        assert (await Caller(http, {"acme": key})()).status == 200


async def test_sighup_reads_the_customers_again(own: Bridge) -> None:
    key = own.key()
    async with aiohttp.ClientSession(own.http) as http, asyncio.timeout(WITHIN):
        trigger = Caller(http, {"acme": key})
        assert (await trigger(event="On Hold")).codes == ["unknown_event"]
        path = own.data / "broker.yaml"
        path.write_text(CONFIG.replace("[On Ring, On Answer]", "[On Ring, On Hold]"), encoding="utf-8")
        own.process.send_signal(signal.SIGHUP)
        while (await trigger(event="On Hold")).codes:
            pass
        path.write_text(CONFIG.replace("customers", "custommers"), encoding="utf-8")
        own.process.send_signal(signal.SIGHUP)
        while "was not taken over" not in own.log():
            assert (await trigger(event="On Hold")).codes == []
        assert (await trigger(event="On Hold")).codes == []
    assert "custommers" in own.log()


@pytest.mark.parametrize(
    ("config", "line", "column", "said"),
    [
        (CONFIG.replace("unknown_event: pass", "unknown_evnt: pass"), 17, 5, "unknown_event"),
        (CONFIG.replace("unknown_event: pass", "unknown_event: warm"), 17, 20, "warn"),
        (CONFIG.replace("http:", "htpp:"), 1, 1, "http"),
        (CONFIG + "  acme: {}\n", 20, 3, "acme"),
        (CONFIG.replace("{bind: 127.0.0.1:0}", "{bind: nowhere}"), 1, 14, "HOST:PORT"),
        ("customers: {acme: {ttl: {cti: 30}}}", 1, 31, "30s"),
        ("a: [1", 1, 6, ""),
    ],
)
def test_a_wrong_configuration_exits_3_with_its_place_and_the_nearest_name(
    tmp_path: Path, config: str, line: int, column: int, said: str
) -> None:
    for command in ("serve", "demo", "check-config"):
        done = run(command, cwd=tmp_path, config=config)
        assert (done.returncode, done.stdout) == (3, ""), done.stderr
        assert f"broker.yaml:{line}:{column}" in done.stderr or f"line {line}, column {column}" in done.stderr
        assert said in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [("serve",), ("keys", "issue", "--customer", "acme"), ("check-config",)])
def test_no_configuration_exits_3_naming_the_places_and_the_demo(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = run(*words, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    assert "popbridge-data/broker.yaml" in done.stderr
    assert "popbridge demo" in done.stderr


def test_an_unknown_customer_exits_3_with_the_nearest(tmp_path: Path) -> None:
    done = run("keys", "issue", "--customer", "amce", cwd=tmp_path, config=CONFIG)
    assert (done.returncode, done.stdout) == (3, "")
    assert "acme" in done.stderr


def test_a_port_in_use_exits_3_in_words(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for name in ("http", "mqtt"):
            done = run(
                "serve",
                cwd=tmp_path,
                config=CONFIG.replace(f"{name}: {{bind: 127.0.0.1:0}}", f"{name}: {{bind: 127.0.0.1:{port}}}"),
            )
            assert (done.returncode, done.stdout) == (3, "")
            assert f"127.0.0.1:{port}" in done.stderr
            assert "Traceback" not in done.stderr


def test_keys_are_made_on_first_start_for_their_owner_only(own: Bridge) -> None:
    own.key()
    assert own.data.stat().st_mode & 0o777 == 0o700
    for path in own.data.iterdir():
        if path.name != "broker.yaml":
            assert path.stat().st_mode & 0o077 == 0, path
