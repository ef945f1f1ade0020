"""The documents' examples: each request may be sent as it stands, each refusal's provokes it, each message is one."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest
from jsonschema import Draft202012Validator
from yarl import URL

from bridge.words import errors
from tests.conftest import Bridge, basic

CONFIG = """\
http: {bind: 127.0.0.1:0}
mqtt: {bind: 127.0.0.1:0}
customers:
  acme:
    crm: [acme.example.com]
    cloud: {enabled: true, campaigns: {Inbound Support: {}}}
    cloudsync: {feeds: [lsm, stt, cim], entities: [SupportTicket]}
  strict:
    crm: [strict.example.com]
    events: [On Ring]
    unknown_event: reject
  hurried: {rate_limit: 1}
"""
PASSWORD = "a good password"
METHODS = {"get", "post", "delete"}
NEEDED = {"unknown_event": "strict", "feed_disabled": "strict", "rate_limited": "hurried"}
"""Which customer has what an example needs."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    running = Bridge(tmp_path_factory.mktemp("told") / "data", CONFIG).start()
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log(), running.log()


@pytest.fixture
async def session(told: Bridge) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(told.http) as session:
        yield session


@pytest.fixture
async def openapi(session: aiohttp.ClientSession) -> Any:
    async with session.get("/openapi.json") as answer:
        return await answer.json()


class Credentials:
    """A credential of each kind, by the words of `x-credential`."""

    def __init__(self, bridge: Bridge) -> None:
        self.bridge = bridge
        self.made: dict[tuple[str, str], str] = {}

    def fields(self, kind: str, customer: str = "acme") -> dict[str, str]:
        match kind:
            case "none":
                return {}
            case "key":
                return {"X-API-Key": self.of("key", customer)}
            case "bearer_key":
                return {"Authorization": f"Bearer {self.of('key', customer)}"}
            case "cloud_user" | "person":
                return {"Authorization": basic(self.of(kind, customer), PASSWORD)}
            case "id_token":
                return {"Authorization": f"Bearer {self.made['id_token', customer]}"}
            case _:
                return {"Authorization": f"Bearer {self.of(kind, customer)}"}

    def of(self, kind: str, customer: str) -> str:
        if (kind, customer) not in self.made:
            self.made[kind, customer] = self._make(kind, customer)
        return self.made[kind, customer]

    def _make(self, kind: str, customer: str) -> str:
        if kind == "key":
            return self.bridge.key(customer)
        if kind in {"cloud_user", "person"}:
            agent = ("--agent", "1001") if kind == "person" else ()
            words = ("--customer", customer, "--username", kind, *agent, "--password-stdin")
            self.bridge.secret("users", "add", *words, given=PASSWORD)
            return kind
        return self.bridge.token(kind, customer)


@pytest.fixture(scope="module")
def credentials(told: Bridge) -> Credentials:
    return Credentials(told)


def request(path: str, item: dict[str, Any], operation: dict[str, Any]) -> tuple[str, dict[str, str], object]:
    """Put an example together: path, query, body."""
    query: dict[str, str] = {}
    for parameter in [*item.get("parameters", []), *operation.get("parameters", [])]:
        example = parameter.get("example")
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", example or "x" * 22)
        elif isinstance(example, dict):
            query |= example
        elif example is not None:
            query[parameter["name"]] = str(example)
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    return path, query, content.get("example")


async def test_each_doors_example_is_answered_as_described(
    openapi: dict[str, Any], session: aiohttp.ClientSession, credentials: Credentials
) -> None:
    fields = credentials.fields("cloud_user")
    async with session.get("/api/cloud/token", headers=fields) as answer:
        tokens = (await answer.json())["Result"]
    credentials.made["id_token", "acme"] = tokens["IdToken"]
    for path, item in openapi["paths"].items():
        for method in METHODS & item.keys():
            operation = item[method]
            target, query, body = request(path, item, operation)
            if isinstance(body, dict) and "RefreshToken" in body:
                assert body["RefreshToken"] == "{RefreshToken}"
                body = {"RefreshToken": tokens["RefreshToken"]}
            async with session.request(
                method, target, params=query, json=body, headers=credentials.fields(operation["x-credential"])
            ) as answer:
                nothing_there = "{" in path  # no pop and no agent was heard of yet
                assert answer.status == (404 if nothing_there else 200), (path, await answer.text())


@pytest.mark.parametrize("code", errors.TABLE)
async def test_each_refusals_example_provokes_it(
    openapi: dict[str, Any], session: aiohttp.ClientSession, credentials: Credentials, code: str
) -> None:
    row = next(row for row in openapi["x-errors"] if row["code"] == code)
    assert {name: row[name] for name in ("status", "title", "hint")} == {
        name: getattr(errors.TABLE[code], name) for name in ("status", "title", "hint")
    }
    if "happens" in row:
        return
    example = row["example"]
    assert ("needs" in example) or code not in NEEDED
    fields = credentials.fields(example.get("credential", "none"), NEEDED.get(code, "acme"))
    fill = "x" * example.get("fill", 0)
    while True:
        async with session.request(
            example.get("method", "GET"),
            URL(example["path"].replace("{fill}", fill), encoded=True),
            headers=example.get("headers", {}) | fields,
            data=example["body"].replace("{fill}", fill).encode() if "body" in example else None,
        ) as answer:
            said = await answer.json(content_type=None)
            if code == "rate_limited" and answer.status == 200:
                continue
            assert answer.status == row["status"], said
            assert code in {said.get("code"), said.get("Result", {}).get("Reason")}
            return


async def test_each_messages_example_is_one(session: aiohttp.ClientSession) -> None:
    async with session.get("/asyncapi.json") as answer:
        document = await answer.json()
    for channel in document["channels"].values():
        for kind, message in channel["messages"].items():
            for example in message["examples"]:
                schema = message["payload"] | {"components": document["components"]}
                Draft202012Validator(schema).validate(example["payload"])
                named = document["components"]["schemas"][kind].get("properties")
                assert named is None or example["payload"].keys() <= named.keys()


async def test_no_example_pops(openapi: dict[str, Any]) -> None:
    for row in openapi["x-errors"]:
        path = row.get("example", {}).get("path", "")
        if row["code"] in {"missing_parameter", "ambiguous_parameter", "unknown_event", "rate_limited"}:
            assert "pop_dryrun=1" in path
    for path, item in openapi["paths"].items():
        if "sendmessage" in path or path == "/api/cloud/pop":
            for method in METHODS & item.keys():
                assert re.search("pop_dryrun.{,5}1", json.dumps(request(path, item, item[method])))
