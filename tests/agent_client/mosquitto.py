"""A mosquitto of the tests' own, on loopback, and who plays the bridge there."""

import asyncio
import os
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from bridge.words import pop as documents
from bridge.words import topics
from bridge.words.pop import Pop
from tests.conftest import WITHIN, needed


class Mosquitto:
    """One broker process, which can be killed and started again on its port."""

    def __init__(
        self, directory: Path, *, users: dict[str, str] | None = None, certificate: Path | None = None
    ) -> None:
        self._command = needed("mosquitto")
        self._config = directory / "mosquitto.conf"
        self._process: subprocess.Popen[str] | None = None
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.ws_port = probe.getsockname()[1]
        served = [f"certfile {certificate}", f"keyfile {certificate}"] if certificate else []
        lines = [
            f"listener {self.port} 127.0.0.1",
            *served,
            f"listener {self.ws_port} 127.0.0.1",
            "protocol websockets",
            *served,
            f"allow_anonymous {'false' if users else 'true'}",
            "log_dest stderr",
            # Not every message: nobody reads the log once it runs, and a full pipe would stop it.
            *(f"log_type {kind}" for kind in ("error", "warning", "notice", "information")),
            "persistence false",
        ]
        if users:
            secrets = directory / "passwords"
            secrets.touch(mode=0o600)
            for name, password in users.items():
                subprocess.run([needed("mosquitto_passwd"), "-b", str(secrets), name, password], check=True)
            lines.append(f"password_file {secrets}")
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            lines.append("user root")
        self._config.write_text("\n".join(lines) + "\n")

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.ws_port}/mqtt"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._command, "-c", str(self._config)], stderr=subprocess.PIPE, text=True, errors="replace"
        )
        assert self._process.stderr is not None
        said = []
        for line in self._process.stderr:
            said.append(line)
            if " running" in line:
                return
        pytest.fail("mosquitto did not start: " + "".join(said))

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


class Caller:
    """Publishes to desktops, and hears what they answer."""

    def __init__(self, port: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._answers: asyncio.Queue[Any] = asyncio.Queue()
        self._ready = asyncio.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
        self._client.on_connect = lambda client, *_: client.subscribe("ACK/#", qos=1)
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)

    def _on_subscribe(self, *_: Any) -> None:
        self._loop.call_soon_threadsafe(self._ready.set)

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        self._loop.call_soon_threadsafe(self._answers.put_nowait, msgspec.json.decode(message.payload))

    async def __aenter__(self) -> Self:
        self._client.loop_start()
        await self._ready.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    async def publish(self, topic: str, payload: bytes | str) -> None:
        info = self._client.publish(topic, payload, qos=1)
        await asyncio.to_thread(info.wait_for_publish, WITHIN)

    async def send(self, pop: Pop) -> Pop:
        await self.publish(topics.cti("acme", "1001"), documents.encode(pop))
        return pop

    async def tell(self, **desk: object) -> None:
        await self.publish(topics.desk("acme", "1001"), msgspec.json.encode(desk))

    async def hears(self) -> dict[str, Any]:
        answer: dict[str, Any] = await asyncio.wait_for(self._answers.get(), WITHIN)
        return answer
