"""Secrets: a key that was sent in every place and every way is found nowhere."""

import base64
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest

from tests.broker.contract.client import Client
from tests.broker.contract.lines import TcpLine
from tests.conftest import Agent, Bridge, Caller, basic, desktop, mqtt, raw

PASSWORD = "a password nobody may see"
CONFIG = """\
http: {bind: 127.0.0.1:0}
mqtt: {bind: 127.0.0.1:0}
log: {level: debug}
customers:
  acme: {crm: [acme.example.com], events: [On Ring], unknown_event: reject}
"""
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def telling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """A bridge that logs all it can."""
    running = Bridge(tmp_path_factory.mktemp("telling") / "data", CONFIG).start()
    yield running
    assert running.stop() == 0


def accepted(key: str, other: str) -> list[dict[str, Any]]:
    """List triggers that are published, with the key wherever it may stand, and where it should not."""
    return [
        {},
        {"jwt": None, "json": {"jwt": key}},
        {"jwt": None, "headers": {"Authorization": f"Bearer {key}"}},
        {"jwt": None, "headers": {"Authorization": basic("u", key)}},
        {"jwt": None, "headers": {"X-API-Key": key}},
        {"query": f"JWT={key}&Jwt={other}"},
        {"query": f"amp;JWT={key}"},
        {"query": f"url=https%3A%2F%2Fx%2F%3Fjwt%3D{key}&{key}=1&pop_{key}=1"},
        {"json": {"deep": [{key: key}], "escaped": key}},
        {"headers": {"traceparent": key, "Referer": f"http://x/?jwt={key}", "User-Agent": key}},
        {"headers": {"Cookie": f"jwt={key}"}},
        {"channel": "CRM", "data": f'{{"jwt": "{key}",}}'.encode(), "headers": JSON},
    ]


def refused(key: str, other: str) -> list[dict[str, Any]]:
    """List triggers that are refused, the key in each."""
    return [
        {"agentid": key},
        {"event": key},
        {"event": f"On Ring {key}"},
        {"crmid": key},
        {"crmid": f"https://{key}/"},
        {"event": "zzz"},
        {"pop_wait": key},
        {"pop_until": key},
        {"pop_key": key, "headers": {"Idempotency-Key": "other"}},
        {"headers": {"Idempotency-Key": key}},
        {"query": f"jwt={other}"},
        {"query": f"a=%FF&b={key}"},
        {"jwt": key + "x"},
        {"jwt": key[:-8]},
        {"jwt": None, "query": f"JWT={key}&jWt={key}x"},
        {"data": f'{{"jwt": "{key}", "a": }}'.encode(), "headers": JSON},
        {"data": f'{{"{key}": 1, "{key}": 2}}'.encode(), "headers": JSON},
        {"data": key.encode(), "headers": {"Content-Type": f"text/{key}"}},
        {"data": key.encode(), "headers": {"Content-Type": f"application/json; charset={key}"}},
        {"data": key.encode(), "headers": {"Content-Encoding": key}},
        {"headers": {"Origin": f"https://{key}"}},
        {"method": "DELETE"},
        {"json": {"a": "x" * 140_000}},
    ]


def spoilt(key: str) -> list[str]:
    """List what aiohttp's parser refuses, and paths that lead nowhere."""
    return [
        f"GET /api/sendmessage/CTI?jwt={key}\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        f"GET /api/sendmessage/CTI?jwt={key} HTTP/1.1\r\nX-API-Key {key}\r\n\r\n",
        f"GET /api/sendmessage/CTI?jwt={key} HTTP/7\r\n\r\n",
        f"{key} / HTTP/1.1\r\n\r\n",
        f"GET /{key} HTTP/1.1\r\nHost: {key}\r\nConnection: close\r\n\r\n",
        f"GET /api/sendmessage/CTI?jwt={key}&a={'a' * 300_000} HTTP/1.1\r\nHost: x\r\n\r\n",
        f"POST /api/sendmessage/CTI HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{key}\r\n",
        f"GET /mqtt?jwt={key} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ]


async def by_http(telling: Bridge, key: str, other: str, agent: Agent) -> AsyncIterator[str]:
    """Trigger well and badly; give every answer, and what the desktop gets."""
    async with aiohttp.ClientSession(telling.http) as http, desktop(telling, agent) as client:
        trigger = Caller(http, {"acme": key})
        for number, how in enumerate(accepted(key, other)):
            answer = await trigger(**({"agentid": agent.id, "n": str(number)} | how))
            assert answer.status == 200, (how, answer.said)
            yield f"{answer.said} {answer.headers} {(await client.message()).payload.decode()}"
        for how in [*refused(key, other), {"jwt": agent.token}]:
            answer = await trigger(**({"agentid": agent.id} | how))
            assert 400 <= answer.status < 500, (how, answer.said)
            yield f"{answer.said} {answer.headers}"
        for sent in spoilt(key):
            yield (await raw(telling.http_port, sent.encode("latin-1"))).decode("latin-1")
        async with http.get("/metrics") as response:
            yield await response.text()


async def by_password(telling: Bridge) -> tuple[str, str]:
    """Log in as a person, well and badly; give the token, and what else was answered."""
    add = ("users", "add", "--customer", "acme", "--username", "ann", "--agent", "1001", "--password-stdin")
    assert telling.cli(*add, given=PASSWORD).returncode == 0
    answers = []
    async with aiohttp.ClientSession(telling.http) as http:
        for password in (PASSWORD + "x", PASSWORD):
            async with http.post("/api/desktop/token", headers={"Authorization": basic("ann", password)}) as response:
                answers.append(await response.json())
    return answers[1].pop("token"), str(answers)


async def by_mqtt(telling: Bridge, key: str, token: str) -> None:
    """Knock at the MQTT door with credentials in every field."""
    cases = [("acme", key), (key, key), (f"acme/{key}", token), ("acme/1001", token + "x")]
    for username, password in cases:
        client = Client(await TcpLine.open("127.0.0.1", telling.mqtt_port))
        assert (await client.connect(key, username=username, password=password))[1] in {4, 5}
        await client.drop()


async def test_a_key_reaches_no_payload_log_error_metric_file_or_answer(telling: Bridge) -> None:
    key, other, observer = telling.key(), telling.key(), telling.token("observer")
    agent = Agent("1001", telling.token("desktop", agent="1001"))
    filters = [(f"{kind}/acme/#", 1) for kind in ("CTI", "CRM", "ACK", "DESK", "PRESENCE")]
    async with mqtt(telling, "acme", observer, *filters) as watching:
        said = [answer async for answer in by_http(telling, key, other, agent)]
        said += [message.payload.decode() for message in await watching.heard()]
    await by_mqtt(telling, key, agent.token)
    token, answered = await by_password(telling)
    lists = [telling.cli(*words) for words in (("keys", "list"), ("tokens", "list"), ("users", "list", "--json"))]
    said += [answered, *(done.stdout + done.stderr for done in lists)]
    assert telling.stop() == 0
    places = {
        "an answer or a payload": "\n".join(said).encode(),
        "stderr": telling.stderr.read_bytes(),
        "stdout": "\n".join(telling.printed).encode(),
    } | {str(path): path.read_bytes() for path in telling.data.rglob("*") if path.is_file()}
    for secret in (key, other, observer, agent.token, token):
        assert len(secret) > 100
        # The header is common to all credentials and no secret; the signature is what makes one.
        for spelled in (secret, secret.rpartition(".")[2], secret[-30:]):
            assert not [place for place, content in places.items() if spelled.encode() in content]
    for spelled in (PASSWORD, base64.b64encode(f"ann:{PASSWORD}".encode()).decode()):
        assert not [place for place, content in places.items() if spelled.encode() in content]
    assert b"Traceback" not in places["stderr"]
