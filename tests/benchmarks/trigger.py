"""Benchmark: from an HTTP trigger to a connected desktop, the start, and `--help`; each beside a bare yardstick.

    python -m tests.benchmarks.trigger [--triggers 2000] [--rate 200]

Prints one table. The yardstick of the latency is a bare asyncio echo over TCP on the same machine in the same run.
"""

import argparse
import asyncio
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import aiohttp
import amqtt

from tests.conftest import Bridge


async def _desktop(port: int, user: str, token: str, topic: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    def text(value: str) -> bytes:
        return len(value.encode()).to_bytes(2) + value.encode()

    def packet(kind: int, body: bytes) -> bytes:
        length, size = b"", len(body)
        while True:
            size, digit = divmod(size, 128)
            length += bytes([digit | (0x80 if size else 0)])
            if not size:
                return bytes([kind]) + length + body

    writer.write(packet(0x10, text("MQTT") + b"\x04\xc2\x00\x3c" + text("bench") + text(user) + text(token)))
    if await reader.readexactly(4) != b"\x20\x02\x00\x00":
        raise RuntimeError("the desktop was not let in")
    writer.write(packet(0x82, b"\x00\x01" + text(topic) + b"\x01"))
    await reader.readexactly(5)
    return reader, writer


async def _received(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> float:
    """Wait for one PUBLISH at QoS 1, acknowledge it, and give the time when it had come."""
    await reader.readexactly(1)
    length = shift = 0
    while True:
        digit = (await reader.readexactly(1))[0]
        length |= (digit & 0x7F) << shift
        shift += 7
        if not digit & 0x80:
            break
    body = await reader.readexactly(length)
    at = time.perf_counter()
    topic = int.from_bytes(body[:2])
    writer.write(b"\x40\x02" + body[2 + topic : 4 + topic])
    return at


async def _latencies(bridge: Bridge, triggers: int, rate: float) -> tuple[list[float], list[float]]:
    key, token = bridge.key(), bridge.token("desktop", agent="bench")
    await asyncio.sleep(1)  # what another process issued counts within a second
    reader, writer = await _desktop(bridge.mqtt_port, "acme/bench", token, "CTI/acme/bench")
    body: dict[str, object] = {
        "agentid": "bench",
        "event": "On Ring",
        "jwt": key,
        **{f"prop_{n}": f"value {n}" for n in range(12)},
    }
    headers = {"Content-Type": "application/json"}
    to_desktop, to_answer = [], []
    async with aiohttp.ClientSession(bridge.http) as session:
        for count in range(triggers + 50):
            begun = time.perf_counter()
            arrival = asyncio.create_task(_received(reader, writer))
            async with session.post(
                "/api/sendmessage/CTI", data=json.dumps(body | {"n": count}), headers=headers
            ) as answer:
                if answer.status != 200:
                    raise RuntimeError(await answer.text())
                await answer.read()
            answered = time.perf_counter()
            arrived = await arrival
            if count >= 50:
                to_desktop.append((arrived - begun) * 1000)
                to_answer.append((answered - begun) * 1000)
            await asyncio.sleep(max(0.0, 1 / rate - (time.perf_counter() - begun)))
    writer.close()
    return to_desktop, to_answer


async def _echoes(count: int) -> list[float]:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(4096):
            writer.write(data)
        writer.close()
        done.set()

    done = asyncio.Event()
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    times = []
    for _ in range(count):
        begun = time.perf_counter()
        writer.write(b"x" * 500)
        await reader.readexactly(500)
        times.append((time.perf_counter() - begun) * 1000)
    writer.close()
    await done.wait()
    server.close()
    return times


def _timed(*command: str) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return (time.perf_counter() - begun) * 1000


def _row(name: str, values: list[float]) -> None:
    ordered = sorted(values)
    p99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    print(f"{name:<44} {statistics.median(ordered):>9.2f} {p99:>9.2f} {ordered[-1]:>9.2f}")


def main() -> None:
    """Run everything once and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--triggers", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=200.0)
    options = parser.parse_args()
    versions = f"aiohttp {aiohttp.__version__}, amqtt {amqtt.__version__}"
    print(f"Python {platform.python_version()}, {versions}, {platform.system()}")
    print(f"{'milliseconds':<44} {'p50':>9} {'p99':>9} {'max':>9}")
    with tempfile.TemporaryDirectory() as folder:
        starts = []
        for number in range(5):
            begun = time.perf_counter()
            bridge = Bridge(Path(folder) / "data").start()
            if number:
                starts.append((time.perf_counter() - begun) * 1000)
            bridge.stop()
        bridge.start()
        to_desktop, to_answer = asyncio.run(_latencies(bridge, options.triggers, options.rate))
        bridge.stop()
    _row("trigger to desktop, 500 bytes, QoS 1", to_desktop)
    _row("trigger to answer", to_answer)
    _row("yardstick: echo of 500 bytes over TCP", asyncio.run(_echoes(options.triggers)))
    _row("start to ready", starts)
    _row("popbridge --help", [_timed(sys.executable, "-m", "bridge", "--help") for _ in range(10)])
    _row("yardstick: python -c pass", [_timed(sys.executable, "-c", "pass") for _ in range(10)])


if __name__ == "__main__":
    main()
