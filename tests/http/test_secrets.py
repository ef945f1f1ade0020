"""Secrets: a key that was sent in every place and every way is found nowhere."""

import base64
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.broker.contract.client import Client
from tests.broker.contract.lines import TcpLine
from tests.conftest import Agent, Bridge, Caller, basic, desktop, mqtt, raw

PASSWORD = "a password nobody may see"


@pytest.fixture(scope="module")
def telling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """A bridge that logs all it can."""
    config = "http: {bind: 127.0.0.1:0}\nmqtt: {bind: 127.0.0.1:0}\nlog: {level: debug}\ncustomers:\n  acme: {crm: [acme.example.com], events: [On Ring], unknown_event: reject}\n"
    running = Bridge(tmp_path_factory.mktemp("telling") / "data", config).start()
    yield running
    if running.process.poll() is None:
        assert running.stop() == 0


async def test_a_key_reaches_no_payload_log_error_metric_file_or_answer(telling: Bridge, tmp_path: Path) -> None:
    key = telling.key()
    agent = Agent("1001", telling.token("desktop", agent="1001"))
    observer = telling.token("observer")
    other = telling.key()
    add = ("users", "add", "--customer", "acme", "--username", "ann", "--agent", "1001", "--password-stdin")
    assert telling.cli(*add, given=PASSWORD).returncode == 0
    answers: list[str] = []
    async with (
        aiohttp.ClientSession(telling.http) as http,
        desktop(telling, agent) as client,
        mqtt(telling, "acme", observer, ("CTI/acme/#", 1), ("CRM/acme/#", 1), ("ACK/acme/#", 1)) as watching,
    ):
        trigger = Caller(http, {"acme": key})
        well = [
            {},
            {"jwt": None, "json": {"jwt": key}},
            {"jwt": None, "headers": {"Authorization": f"Bearer {key}"}},
            {"jwt": None, "headers": {"Authorization": basic("u", key)}},
            {"jwt": None, "headers": {"X-API-Key": key}},
            {"query": f"JWT={key}&Jwt={other}"},
            {"query": f"amp;JWT={key}"},
            {"query": f"url=https%3A%2F%2Fx%2F%3Fjwt%3D{key}&{key}=1&pop_{key}=1"},
            {"json": {"deep": [{key: key}], "escaped": key}},
            {"headers": {"Idempotency-Key": "plain", "traceparent": key, "Referer": f"http://x/?jwt={key}", "User-Agent": key}},
            {"headers": {"Cookie": f"jwt={key}"}},
            {"channel": "CRM", "data": f'{{"jwt": "{key}",}}'.encode(), "headers": {"Content-Type": "application/json"}},
        ]
        badly = [
            {"agentid": key},
            {"event": key},
            {"event": f"On Ring {key}"},
            {"crmid": key},
            {"crmid": f"https://{key}/"},
            {"ctiid": key.lower(), "event": "zzz"},
            {"pop_wait": key},
            {"pop_until": key},
            {"pop_key": key, "headers": {"Idempotency-Key": "other"}},
            {"query": f"jwt={other}"},
            {"query": f"a=%FF&b={key}"},
            {"jwt": key + "x"},
            {"jwt": key[:-8]},
            {"jwt": None, "query": f"JWT={key}&jWt={key}x"},
            {"data": f'{{"jwt": "{key}", "a": }}'.encode(), "headers": {"Content-Type": "application/json"}},
            {"data": f'{{"{key}": 1, "{key}": 2}}'.encode(), "headers": {"Content-Type": "application/json"}},
            {"data": key.encode(), "headers": {"Content-Type": f"text/{key}"}},
            {"data": key.encode(), "headers": {"Content-Type": f"application/json; charset={key}"}},
            {"data": key.encode(), "headers": {"Content-Encoding": key}},
            {"headers": {"Origin": f"https://{key}"}},
            {"method": "DELETE"},
            {"json": {"a": "x" * 140_000}},
            {"jwt": agent.token},
        ]
        for how in well:
            answer = await trigger(**({"agentid": "1001"} | how))  # type: ignore[arg-type]  # one call for all
            assert answer.status == 200, (how, answer.said)
            answers += [str(answer.said), str(answer.headers), (await client.message()).payload.decode()]
        for how in badly:
            answer = await trigger(**({"agentid": "1001"} | how))  # type: ignore[arg-type]
            assert 400 <= answer.status < 500, (how, answer.said)
            answers += [str(answer.said), str(answer.headers)]
        for sent in (
            f"GET /api/sendmessage/CTI?jwt={key}\xff HTTP/1.1\r\nHost: x\r\n\r\n",
            f"GET /api/sendmessage/CTI?jwt={key} HTTP/1.1\r\nX-API-Key {key}\r\n\r\n",
            f"GET /api/sendmessage/CTI?jwt={key} HTTP/7\r\n\r\n",
            f"{key} / HTTP/1.1\r\n\r\n",
            f"GET /{key} HTTP/1.1\r\nHost: {key}\r\nConnection: close\r\n\r\n",
            f"GET /api/sendmessage/CTI?jwt={key}&a={'a' * 300_000} HTTP/1.1\r\nHost: x\r\n\r\n",
            f"POST /api/sendmessage/CTI HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{key}\r\n",
            f"GET /mqtt?jwt={key} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        ):
            answers.append((await raw(telling.http_port, sent.encode("latin-1"))).decode("latin-1"))
        for username, password in (("acme", key), (key, key), (f"acme/{key}", agent.token), ("acme/1001", agent.token + "x")):
            stranger = Client(await TcpLine.open("127.0.0.1", telling.mqtt_port))
            assert (await stranger.connect(key, username=username, password=password))[1] in {4, 5}
            await stranger.drop()
        for password in (PASSWORD + "x", PASSWORD):
            async with http.post("/api/desktop/token", headers={"Authorization": basic("ann", password)}) as response:
                said = await response.json()
                given = str(said.pop("token", ""))
                answers.append(str(said))
        while len(heard := await watching.heard()) == 0:
            continue
        answers += [message.payload.decode() for message in heard]
        async with http.get("/metrics") as response:
            answers.append(await response.text())
    listed = [telling.cli(*words) for words in (("keys", "list"), ("tokens", "list"), ("users", "list", "--json"))]
    answers += [done.stdout + done.stderr for done in listed]
    assert telling.stop() == 0
    places = {"an answer or a payload": "\n".join(answers).encode(), "stderr": telling.stderr.read_bytes()}
    places |= {"stdout": "\n".join(telling.printed).encode()}
    places |= {str(path): path.read_bytes() for path in telling.data.rglob("*") if path.is_file()}
    secrets = {"the key": key, "another key": other, "a desktop's token": agent.token, "an observer's": observer}
    for name, secret in {**secrets, "a token got by password": given}.items():
        assert len(secret) > 100
        for spelled in (secret, secret.rpartition(".")[2], secret[-30:]):
            for place, content in places.items():
                assert spelled.encode() not in content, f"{name} is in {place}"
    for place, content in places.items():
        assert PASSWORD.encode() not in content, place
        assert base64.b64encode(f"ann:{PASSWORD}".encode()) not in content, place
    assert b"Traceback" not in places["stderr"]
