"""Credentials at the doors: where the key may stand, and everything that is none."""

import asyncio
import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from tests.broker.contract.client import Client
from tests.broker.contract.lines import TcpLine
from tests.conftest import CONFIG, WITHIN, Agent, Bridge, Caller, basic, mqtt


@pytest.mark.parametrize(
    "spell",
    [
        lambda key: {"jwt": key},
        lambda key: {"json": {"jwt": key}},
        lambda key: {"query": f"JWT={key}"},
        lambda key: {"headers": {"Authorization": f"Bearer {key}"}},
        lambda key: {"headers": {"Authorization": f"bearer  {key} "}},
        lambda key: {"headers": {"X-API-Key": key}},
        lambda key: {"headers": {"Authorization": basic("anybody", key)}},
        lambda key: {"headers": {"Authorization": basic("", key)}},
        lambda key: {"data": f"jwt={key}".encode(), "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
    ],
    ids=[
        "query",
        "body",
        "other casing",
        "bearer",
        "bearer in lower case",
        "x-api-key",
        "basic",
        "basic without user",
        "form",
    ],
)
async def test_the_key_may_stand_in_any_of_these_places(
    trigger: Caller, keys: dict[str, str], spell: Callable[[str], dict[str, Any]]
) -> None:
    answer = await trigger(**({"jwt": None} | spell(keys["acme"])))
    assert answer.status == 200, answer.said
    assert "jwt" not in str(answer.said.get("warnings", "")).replace("`JWT` was read as `jwt`", "")


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Basic", "Basic !!!", "Basic " + "QQ==" * 4000, "Digest x", basic("u", "")]
)
async def test_a_header_without_a_key_is_none(trigger: Caller, header: str) -> None:
    answer = await trigger(jwt=None, headers={"Authorization": header})
    assert (answer.status, answer.said["code"]) in {(401, "missing_key"), (401, "invalid_key")}


async def test_a_credential_over_8_kb_is_401(trigger: Caller) -> None:
    long = "k" * 8193
    cases: list[dict[str, Any]] = [
        {"jwt": long},
        {"jwt": None, "headers": {"X-API-Key": long}},
        {"jwt": None, "headers": {"Authorization": f"Bearer {long}"}},
    ]
    for how in cases:
        answer = await trigger(**how)
        assert (answer.status, answer.said["code"]) == (401, "invalid_key")


def part(spelled: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(spelled).encode()).rstrip(b"=").decode()


def read(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, claims = (json.loads(base64.urlsafe_b64decode(text + "==")) for text in token.split(".")[:2])
    return header, claims


def signing_key(data: Path) -> ec.EllipticCurvePrivateKey:
    key = load_pem_private_key((data / "signing.key").read_bytes(), password=None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


def forgeries(good: str, data: Path) -> dict[str, str]:
    """Make tokens of a good one, each wrong in one way."""
    header, claims = read(good)
    private = signing_key(data)
    stranger = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def signed(header: dict[str, Any], claims: object, key: Any = pem) -> str:
        return jwt.api_jws.encode(json.dumps(claims).encode(), key, "ES256", header)

    confused = f"{part(header | {'alg': 'HS256'})}.{part(claims)}"
    mac = base64.urlsafe_b64encode(hmac.new(public, confused.encode(), hashlib.sha256).digest()).rstrip(b"=").decode()
    head, body, signature = good.split(".")
    return {
        "alg none": f"{part(header | {'alg': 'none'})}.{part(claims)}.",
        "alg None": f"{part(header | {'alg': 'None'})}.{part(claims)}.{signature}",
        "hs256 with the public key": f"{confused}.{mac}",
        "a stranger's key": signed(header, claims, stranger),
        "an unknown kid": signed(header | {"kid": "unknown"}, claims),
        "a kid that is a path": signed(header | {"kid": "../../signing.key"}, claims),
        "no kid": f"{part({'alg': 'ES256', 'typ': header['typ']})}.{body}.{signature}",
        "a jku": signed(header | {"jku": "http://127.0.0.1:1/keys"}, claims),
        "a jwk": signed(header | {"jwk": {}}, claims),
        "a crit": signed(header | {"crit": ["exp"]}, claims),
        "another customer": signed(header, claims | {"sub": "other"}),
        "another expiry": signed(header, claims | {"exp": claims["exp"] + 1e6}),
        "expired": signed(header, claims | {"exp": 1.0}),
        "another id": signed(header, claims | {"jti": "key-0000000000000000"}),
        "another kind": signed(header, claims | {"kind": "admin", "aud": "popbridge/admin"}),
        "another audience": signed(header, claims | {"aud": "popbridge/other"}),
        "another issuer": signed(header, claims | {"iss": "somebody"}),
        "other claims under the old signature": f"{head}.{part(claims | {'sub': 'other'})}.{signature}",
        "a torn signature": good[:-4],
        "another last letter": good[:-1] + ("A" if good[-1] != "A" else "Q"),
        "a signature too much": good + "." + signature,
        "no signature": f"{head}.{body}.",
        "two parts": f"{head}.{body}",
        "claims that are a list": signed(header, [1]),
        "blanks inside": f"{head} .{body}.{signature}",
        "not ascii": good[:-1] + "é",
        "words": "insert_api_key",
        "json": '{"alg":"none"}',
        "dots": "...",
        "nul": good + "\0",
    }


async def test_no_forgery_opens_the_door(bridge: Bridge, trigger: Caller, keys: dict[str, str]) -> None:
    forged = forgeries(keys["acme"], bridge.data)
    answers = await asyncio.gather(*(trigger(jwt=token) for token in forged.values()))
    for name, answer in zip(forged, answers, strict=True):
        assert (answer.status, answer.said["code"]) == (401, "invalid_key"), name
        assert "API key" in answer.said["hint"]
    assert (await trigger()).status == 200


async def test_a_key_of_another_data_directory_is_refused(tmp_path: Path, trigger: Caller) -> None:
    (tmp_path / "broker.yaml").write_text(CONFIG, encoding="utf-8")
    stranger = Bridge(tmp_path).key()
    assert (await trigger(jwt=stranger)).said["code"] == "invalid_key"


async def test_an_expired_key_is_refused(bridge: Bridge, trigger: Caller) -> None:
    short = bridge.secret("keys", "issue", "--customer", "acme", "--expires", "1500ms")
    async with asyncio.timeout(WITHIN):
        while (answer := await trigger(jwt=short)).status == 200:
            pass
    assert "expired" in answer.said["detail"]


@pytest.mark.parametrize("role", ["observer", "feed", "admin"])
async def test_other_kinds_are_403_at_the_connect_door(bridge: Bridge, trigger: Caller, role: str) -> None:
    answer = await trigger(jwt=bridge.token(role))
    assert (answer.status, answer.said["code"]) == (403, "forbidden")
    assert "an API key" in answer.said["detail"]


async def test_a_desktops_token_is_403_too(trigger: Caller, agent: Agent) -> None:
    assert (await trigger(jwt=agent.token, agentid=agent.id)).said["code"] == "forbidden"


async def test_a_key_reaches_its_own_customers_agents_only(trigger: Caller) -> None:
    assert (await trigger("CTI", "other", agentid="1001")).said["topic"] == "CTI/other/1001"


@pytest.mark.parametrize("role", ["key", "admin"])
async def test_keys_and_admin_tokens_do_not_open_mqtt(bridge: Bridge, keys: dict[str, str], role: str) -> None:
    token = keys["acme"] if role == "key" else bridge.token("admin")
    for username in ("acme", "acme/1001"):
        client = Client(await TcpLine.open("127.0.0.1", bridge.mqtt_port))
        assert await client.connect(username=username, password=token) == (False, 4)
        await client.drop()


async def test_no_forgery_opens_mqtt(bridge: Bridge, agent: Agent) -> None:
    async def knock(token: str) -> tuple[bool, int]:
        client = Client(await TcpLine.open("127.0.0.1", bridge.mqtt_port))
        answer = await client.connect(username=f"acme/{agent.id}", password=token)
        await client.drop()
        return answer

    forged = forgeries(agent.token, bridge.data)
    for name, answer in zip(forged, await asyncio.gather(*map(knock, forged.values())), strict=True):
        assert answer == (False, 4), name


async def test_a_token_of_another_user_name_is_connack_5(
    bridge: Bridge, agent: Agent, observers: dict[str, str]
) -> None:
    cases = [
        ("acme", agent.token),
        ("acme/other", agent.token),
        (f"other/{agent.id}", agent.token),
        ("acme/1001", observers["acme"]),
    ]
    for username, token in cases:
        client = Client(await TcpLine.open("127.0.0.1", bridge.mqtt_port))
        assert await client.connect(username=username, password=token) == (False, 5), username
        await client.drop()


@pytest.fixture
async def issued(bridge: Bridge) -> tuple[str, str]:
    """A fresh API key, and its id."""
    done = await asyncio.to_thread(bridge.cli, "keys", "issue", "--customer", "acme", "--name", "story")
    found = re.search(r"key-[0-9a-f]+", done.stderr)
    assert found
    return done.stdout.strip(), found[0]


async def test_a_key_issued_in_another_process_counts_without_a_restart(
    trigger: Caller, issued: tuple[str, str]
) -> None:
    async with asyncio.timeout(WITHIN):
        while (await trigger(jwt=issued[0])).status != 200:
            pass


async def test_a_key_revoked_in_another_process_ends_without_a_restart(
    bridge: Bridge, trigger: Caller, issued: tuple[str, str]
) -> None:
    key, key_id = issued
    async with asyncio.timeout(WITHIN):
        while (await trigger(jwt=key)).status != 200:
            pass
    done = await asyncio.to_thread(bridge.cli, "keys", "revoke", key_id)
    assert done.returncode == 0, done.stderr
    async with asyncio.timeout(WITHIN):
        while (answer := await trigger(jwt=key)).status == 200:
            pass
    assert (answer.status, answer.said["code"]) == (401, "invalid_key")
    assert "revoked" in answer.said["detail"]


async def test_a_regenerated_key_may_have_a_grace(bridge: Bridge, trigger: Caller, issued: tuple[str, str]) -> None:
    first, first_id = issued
    second, second_id = await regenerated(bridge, first_id, "1h")
    async with asyncio.timeout(WITHIN):
        while (await trigger(jwt=second)).status != 200:
            pass
    assert (await trigger(jwt=first)).status == 200
    third, _ = await regenerated(bridge, second_id, "1s")
    async with asyncio.timeout(WITHIN):
        while (answer := await trigger(jwt=second)).status == 200:
            pass
        assert answer.said["code"] == "invalid_key"
        while (await trigger(jwt=third)).status != 200:
            pass
    assert (await trigger(jwt=first)).status == 200


async def regenerated(bridge: Bridge, key_id: str, grace: str) -> tuple[str, str]:
    """Regenerate an API key; give the new one and its id."""
    done = await asyncio.to_thread(bridge.cli, "keys", "regenerate", key_id, "--grace", grace)
    found = re.search(r"key-[0-9a-f]+", done.stderr.replace(key_id, ""))
    assert found, done.stderr
    return done.stdout.strip(), found[0]


async def test_rotating_the_signing_key_ends_nobody(
    bridge: Bridge, trigger: Caller, keys: dict[str, str], agent: Agent
) -> None:
    done = await asyncio.to_thread(bridge.cli, "keys", "rotate-signing")
    assert done.returncode == 0, done.stderr
    fresh = await asyncio.to_thread(bridge.key)
    assert read(fresh)[0]["kid"] != read(keys["acme"])[0]["kid"]
    async with asyncio.timeout(WITHIN):
        while (await trigger(jwt=fresh)).status != 200:
            pass
    assert (await trigger(jwt=keys["acme"])).status == 200
    async with mqtt(bridge, f"acme/{agent.id}", agent.token):
        pass


async def test_a_revoked_desktops_live_connection_is_ended(bridge: Bridge) -> None:
    done = await asyncio.to_thread(
        bridge.cli, "tokens", "issue", "--customer", "acme", "--role", "desktop", "--agent", "revoked"
    )
    found = re.search(r"desktop-[0-9a-f]+", done.stderr)
    assert found
    async with asyncio.timeout(WITHIN), mqtt_when_known(bridge, "acme/revoked", done.stdout.strip()) as client:
        revoked = await asyncio.to_thread(bridge.cli, "tokens", "revoke", found[0])
        assert revoked.returncode == 0, revoked.stderr
        await client.ended()


class mqtt_when_known:  # noqa: N801 - reads as the function it replaces
    """Connect by a token that another process has just issued."""

    def __init__(self, bridge: Bridge, username: str, token: str) -> None:
        self._bridge = bridge
        self._username = username
        self._token = token

    async def __aenter__(self) -> Client:
        while True:
            self._client = Client(await TcpLine.open("127.0.0.1", self._bridge.mqtt_port))
            if await self._client.connect(username=self._username, password=self._token) == (False, 0):
                return self._client
            await self._client.drop()

    async def __aexit__(self, *_: object) -> None:
        await self._client.drop()


async def test_a_customer_that_left_broker_yaml_is_forbidden(tmp_path: Path) -> None:
    bridge = Bridge(tmp_path / "data").start()
    try:
        key = await asyncio.to_thread(bridge.key, "other")
        without = CONFIG.replace("  other:\n    crm: [other.example.com]\n", "")
        (bridge.data / "broker.yaml").write_text(without, encoding="utf-8")
        bridge.process.send_signal(1)
        async with aiohttp.ClientSession(bridge.http) as http, asyncio.timeout(WITHIN):
            trigger = Caller(http, {"other": key})
            while (answer := await trigger("CTI", "other")).status != 403:
                assert answer.status in {200, 401}
        assert answer.said["code"] == "forbidden"
    finally:
        assert bridge.stop() == 0
