"""The documents: what /openapi.json and /asyncapi.json describe is what the bridge has, takes and answers."""

import asyncio
import inspect
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from jsonschema import Draft202012Validator

from agent_client import Desktop, State
from agent_client.messages import Gone, encode
from bridge import config, service
from bridge.http.doors.pages import PAGES as PAGE_PATHS
from bridge.http.doors.pages import SHELVES
from bridge.words import errors, topics
from bridge.words.settings import Settings
from tests.broker.contract.client import Client
from tests.conftest import WITHIN, Bridge, basic, mqtt

CONFIG = """\
http: {bind: 127.0.0.1:0}
mqtt: {bind: 127.0.0.1:0}
cloud: {pop_path: /remote/pop}
customers:
  acme:
    crm: [acme.example.com]
    events: [On Ring]
    cloud:
      enabled: true
      campaigns:
        Inbound Support: {external: true, fields: {Contact Name: contact_name}}
    cloudsync:
      feeds: [lsm, stt, cim]
      entities: [SupportTicket, ChatSession]
      statuses: {SupportTicket: {New: open}}
  hurried: {rate_limit: 1}
  without: {}
"""
PASSWORD = "a good password"
GROUP = "00G000000000001AAA"
OPERATION = {"get", "post", "delete"}


def closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse members that an object's schema does not name: an answer must have none."""
    open_ended = "properties" not in schema or "additionalProperties" in schema
    return {**schema} if open_ended else {**schema, "additionalProperties": False}


def validator(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Draft202012Validator:
    """Make what checks against a schema of a document, whose references are the document's."""
    components = {name: closed(inner) for name, inner in document["components"]["schemas"].items()}
    return Draft202012Validator({**closed(schema), "components": {"schemas": components}})


class Documents:
    """Both documents as the bridge serves them, and what they say of one answer or message."""

    def __init__(self, openapi: dict[str, Any], asyncapi: dict[str, Any]) -> None:
        self.openapi = openapi
        self.asyncapi = asyncapi

    def operation(self, method: str, path: str) -> dict[str, Any]:
        """Find what is described for a path as it was asked for."""
        for template, item in self.openapi["paths"].items():
            pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template))
            if re.fullmatch(pattern, path.partition("?")[0]) and method.lower() in item:
                found: dict[str, Any] = item[method.lower()]
                return found
        raise AssertionError(f"{method} {path} is not described")

    async def check(self, answer: aiohttp.ClientResponse) -> Any:
        """See that an answer is described with its status, media type, shape and header fields; give what it says."""
        described = self.operation(answer.method, answer.url.raw_path)["responses"]
        assert str(answer.status) in described, await answer.text()
        response = described[str(answer.status)]
        if answer.status in {204, 304}:
            return None
        assert answer.content_type in response["content"]
        schema = response["content"][answer.content_type]["schema"]
        said = await answer.json(content_type=None) if "json" in answer.content_type else await answer.text()
        validator(self.openapi, schema).validate(said)
        for field in ("Retry-After", "WWW-Authenticate", "Preference-Applied", "Idempotent-Replayed", "ETag"):
            assert field not in answer.headers or field in response.get("headers", {}), field
        return said


class Doors:
    """A bridge's HTTP doors; every answer is held against the document."""

    def __init__(self, bridge: Bridge, session: aiohttp.ClientSession, documents: Documents) -> None:
        self.bridge = bridge
        self.session = session
        self.documents = documents

    async def __call__(self, method: str, path: str, status: int, **how: Any) -> Any:
        async with self.session.request(method, path, **how) as answer:
            said = await self.documents.check(answer)
            assert answer.status == status, said
            return said

    async def cloud(self, agent: str, status: int, token: str, **more: object) -> Any:
        said = {"Username": agent, "Campaign": "Inbound Support", **more}
        return await self("POST", "/remote/pop", status, json=said, headers=bearer(token))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """A bridge that has a Cloud API, and a limit of its rate."""
    running = Bridge(tmp_path_factory.mktemp("described") / "data", CONFIG).start()
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log(), running.log()


@pytest.fixture(scope="module")
def secret(described: Bridge) -> dict[str, str]:
    """A credential of each kind."""
    for user, customer, *agent in (
        ("cloud", "acme"),
        ("cloudless", "without"),
        ("ada@example.com", "acme", "--agent", "ada"),
    ):
        words = ("--customer", customer, "--username", user, *agent, "--password-stdin")
        described.secret("users", "add", *words, given=PASSWORD)
    return {
        "key": described.key("acme"),
        "hurried": described.key("hurried"),
        **{role: described.token(role, "acme") for role in ("observer", "admin", "feed")},
        **{f"{role} without": described.token(role, "without") for role in ("observer", "feed")},
    }


@pytest.fixture
async def doors(described: Bridge) -> AsyncIterator[Doors]:
    async with aiohttp.ClientSession(described.http) as session:
        documents = [await (await session.get(f"/{name}.json")).json() for name in ("openapi", "asyncapi")]
        yield Doors(described, session, Documents(*documents))


@pytest.fixture
async def id_token(doors: Doors, secret: dict[str, str]) -> str:
    said = await doors("GET", "/api/cloud/token", 200, headers={"Authorization": basic("cloud", PASSWORD)})
    token: str = said["Result"]["IdToken"]
    return token


async def test_every_path_is_described_with_its_methods_and_no_other(tmp_path: Path) -> None:
    file = tmp_path / "broker.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    settings: Settings = config.load(file)
    pages = {"/about.json", *PAGE_PATHS, *(f"{shelf}*" for shelf in SHELVES)}
    async with service.running(file, tmp_path / "data", settings) as running:
        paths_there = running.dispatch.paths().items()
        there = {path: {*methods} for path, methods in paths_there if path != "/mqtt" and path not in pages}
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{running.http.address}/openapi.json") as got,
        ):
            paths = (await got.json())["paths"]
    told = {
        re.sub(r"{\w+}", "*", path).lower(): {method.upper() for method in item if method in OPERATION}
        for path, item in paths.items()
    }
    assert told == there


async def test_every_error_is_described_with_its_status(doors: Doors) -> None:
    operations = [
        operation
        for item in doors.documents.openapi["paths"].values()
        for operation in item.values()
        if "responses" in operation
    ]
    told = {
        (status, title)
        for operation in operations
        for status, response in operation["responses"].items()
        for title in response["description"].split("; ")
    }
    for row in errors.TABLE.values():
        assert (str(row.status), row.title) in told, row.code
        assert f"`{row.code}` ({row.status})" in doors.documents.openapi["info"]["description"]


async def test_every_schema_is_one_and_no_reference_dangles(doors: Doors) -> None:
    for document in (doors.documents.openapi, doors.documents.asyncapi):
        for schema in document["components"]["schemas"].values():
            Draft202012Validator.check_schema(schema)
        for found in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)):
            inside = document
            for part in found.split("/"):
                inside = inside[part]
        # Rows and the live floor have every member, always; elsewhere what does not apply is absent.
        for name, schema in document["components"]["schemas"].items():
            assert '"null"' not in json.dumps(schema) or re.fullmatch("Live.*|SttRow|CimRow", name), name


async def test_operation_ids_are_unique(doors: Doors) -> None:
    names = re.findall(r'"operationId": "(\w+)"', json.dumps(doors.documents.openapi))
    assert len(names) == len(set(names)) > len(doors.documents.openapi["paths"])


@pytest.mark.parametrize("channel", ["CTI", "CRM"])
async def test_triggers_are_answered_as_described(doors: Doors, secret: dict[str, str], channel: str) -> None:
    path = f"/api/sendmessage/{channel}"
    asked = {"agentid": f"nobody-{channel}", "event": "on ring", "jwt": secret["key"], "pop_ttl": "1"}
    key = {"Idempotency-Key": f"first-{channel}"}
    said = await doors("GET", path, 200, params=asked, headers={"Prefer": "wait=0"})
    assert said["warnings"]
    assert (await doors("POST", path, 200, json=asked))["status"] == "duplicate"
    assert (await doors("GET", path, 200, params=asked | {"pop_dryrun": "1"}))["dryrun"] is True
    first = await doors("POST", path, 200, json=asked | {"pop_wait": 0.1}, headers=key)
    assert first["ms"] >= 0
    assert await doors("POST", path, 200, json=asked, headers=key) == first
    await doors("POST", path, 422, json=asked | {"event": "On Ring"}, headers=key)
    await doors("GET", path, 204, params=asked, headers={"Sec-Purpose": "prefetch"})
    problem = {"Accept": "application/problem+json"}
    assert (await doors("GET", path, 400, headers=problem | bearer(secret["key"])))["status"] == 400
    await doors("POST", path, 400, data=b'{"a": 1,, }', headers={"Content-Type": "application/json"})
    await doors("GET", path, 401, params=asked | {"jwt": "wrong"})
    await doors("GET", path, 401)
    await doors("GET", path, 403, params=asked | {"jwt": secret["admin"]})
    await doors("GET", path, 404, params=asked | {"crmid": "acme.example.org"})
    await doors("POST", path, 413, data=b"x" * 300_000)
    await doors("GET", f"{path}?" + "x" * 300_000, 414)
    await doors("POST", path, 415, data=b"x", headers={"Content-Encoding": "gzip"})
    await doors("POST", path, 415, data=b"x", headers={"Content-Type": "image/png"})


async def test_a_hurried_caller_is_answered_as_described(doors: Doors, secret: dict[str, str]) -> None:
    asked = {"agentid": "nobody", "event": "x", "jwt": secret["hurried"], "pop_dryrun": "1"}
    async with asyncio.timeout(WITHIN):
        while True:
            async with doors.session.get("/api/sendmessage/CTI", params=asked) as answer:
                await doors.documents.check(answer)
                if answer.status == 429:
                    return


async def test_a_recall_and_a_request_at_work_are_answered_as_described(doors: Doors, secret: dict[str, str]) -> None:
    asked = {"agentid": "recalled", "event": "On Ring", "pop_wait": 8, "pop_key": "at work"}
    waiting = asyncio.create_task(doors("POST", "/api/sendmessage/CTI", 200, json=asked, headers=bearer(secret["key"])))
    admin = bearer(secret["admin"])
    async with asyncio.timeout(WITHIN):
        while not (found := (await doors("GET", "/api/pops?agent=recalled", 200, headers=admin))["items"]):
            pass
    await doors("POST", "/api/sendmessage/CTI", 409, json=asked, headers=bearer(secret["key"]))
    path = f"/api/pops/{found[0]['popid']}"
    await doors("DELETE", path, 403, headers=bearer(secret["observer"]))
    assert (await doors("DELETE", path, 200, headers=admin))["status"] == "recalled"
    assert (await waiting)["status"] == "recalled"
    assert (await doors("GET", path, 200, headers=bearer(secret["key"])))["status"] == "recalled"
    await doors("GET", path, 401)


async def test_the_cloud_api_answers_as_described(doors: Doors, secret: dict[str, str], id_token: str) -> None:
    login = {"Authorization": basic("cloud", PASSWORD)}
    tokens = (await doors("GET", "/api/cloud/token", 200, headers=login))["Result"]
    again = {"RefreshToken": tokens["RefreshToken"]}
    await doors("POST", "/api/cloud/token/refresh", 200, json=again)
    await doors("POST", "/api/cloud/token/refresh", 401, json=again)
    await doors("POST", "/api/cloud/token/refresh", 400, data=b"{")
    await doors("GET", "/api/cloud/token", 401)
    wrong = {"Authorization": basic("nobody", "wrong")}
    async with asyncio.timeout(WITHIN):
        while (await doors.session.get("/api/cloud/token", headers=wrong)).status == 401:
            pass
    await doors("GET", "/api/cloud/token", 429, headers=wrong)
    key = {"Idempotency-Key": "cloud"}
    said = {"Username": "nobody", "Campaign": "Inbound Support", "ScriptData": {"Contact Name": "Ada", "var_x": 1}}
    first = await doors("POST", "/remote/pop?pop_ttl=60", 200, json=said, headers=key | bearer(id_token))
    assert first["Result"]["Status"] == "held"
    assert await doors("POST", "/remote/pop", 200, json=said, headers=key | bearer(id_token)) == first
    await doors("POST", "/remote/pop", 422, json=said | {"Username": "other"}, headers=key | bearer(id_token))
    await doors.cloud("nobody", 400, id_token, Campaign="")
    await doors.cloud("nobody", 401, tokens["AccessToken"])
    refused = await doors.cloud("nobody", 404, id_token, Campaign="Inbound support")
    await doors("DELETE", f"/api/pops/{refused['Result']['PopId']}", 409, headers=bearer(secret["admin"]))
    without = await doors("GET", "/api/cloud/token", 200, headers={"Authorization": basic("cloudless", PASSWORD)})
    await doors.cloud("nobody", 403, without["Result"]["IdToken"])


async def test_who_reads_is_answered_as_described(doors: Doors, secret: dict[str, str]) -> None:
    observer, key = bearer(secret["observer"]), bearer(secret["key"])
    for agent in ("reader", "reader"):
        asked = {"agentid": agent, "event": "On Ring", "pop_ttl": "60", "pop_key": agent}
        popid = (await doors("GET", "/api/sendmessage/CTI", 200, params=asked, headers=key))["popid"]
    await doors("GET", f"/api/pops/{popid}", 200, headers=observer)
    listed = await doors("GET", "/api/pops?limit=1&status=held&since=2026-01-01T00:00:00Z", 200, headers=observer)
    assert len(listed["items"]) == 1
    await doors("GET", "/api/pops?limit=501", 400, headers=observer)
    await doors("GET", "/api/pops?cursor=none", 400, headers=observer)
    await doors("GET", f"/api/pops/{'x' * 22}", 404, headers=observer)
    await doors("GET", "/api/agents/nobody-at-all", 404, headers=observer)
    await doors("GET", "/api/licence", 200, headers=observer)
    await doors("GET", "/api/funnel?hours=1", 200, headers=observer)
    await doors("GET", "/api/funnel?hours=25", 400, headers=observer)
    for path in ("/api/pops", "/api/agents", "/api/agents/nobody", "/api/licence", "/api/funnel"):
        await doors("GET", path, 401)
        await doors("GET", path, 403, headers=key)


def ticket(number: int, at: datetime) -> dict[str, Any]:
    """Make the event of a ticket's creation."""
    fields = {"Status": "New", "Origin": "Web", "Priority": "High", "CreatedDate": at.isoformat(), "GroupId": GROUP}
    return created("SupportTicket", f"5000000000{number:05}", at, fields)


def chat(number: int, at: datetime) -> dict[str, Any]:
    """Make the event of a chat that begins to wait."""
    fields = {"Status": "Waiting", "GroupId": GROUP, "RequestTime": at.isoformat(), "ChannelType": "Chat"}
    return created("ChatSession", f"5700000000{number:05}", at, fields)


def created(entity: str, record: str, at: datetime, fields: dict[str, str]) -> dict[str, Any]:
    header = {
        "entityName": entity,
        "recordIds": [record],
        "changeType": "CREATE",
        "transactionKey": f"the creation of {record}",
        "sequenceNumber": 1,
        "commitTimestamp": int(at.timestamp() * 1000),
        "commitNumber": 1,
        "changedFields": [],
    }
    data = {"event": {"replayId": 1}, "payload": {"ChangeEventHeader": header, **fields}}
    return {"channel": f"/data/{entity}ChangeEvent", "data": data}


async def test_the_door_of_events_answers_as_described(doors: Doors, secret: dict[str, str]) -> None:
    path, feed = "/api/cloudsync/events", bearer(secret["feed"])
    now = datetime.now(UTC)
    said = await doors("POST", path, 200, json=ticket(1, now), headers=feed)
    assert (said["accepted"], said["duplicates"]) == (1, 0)
    again = await doors("POST", path, 200, json=[ticket(1, now), {"a": 1}], headers=feed)
    assert (again["duplicates"], again["quarantined"]) == (1, 1)
    await doors("POST", path, 200, data=b"[]", headers=feed)
    await doors("POST", path, 400, data=b"{", headers=feed)
    await doors("POST", path, 401, data=b"[]")
    await doors("POST", path, 403, data=b"[]", headers=bearer(secret["observer"]))
    await doors("POST", path, 404, data=b"[]", headers=bearer(secret["feed without"]))
    assert (await doors("POST", path, 413, json=[{}] * 10_001, headers=feed))["limit"] == 10_000
    await doors("POST", path, 415, data=b"[]", headers=feed | {"Content-Encoding": "gzip"})


async def test_who_reads_numbers_is_answered_as_described(doors: Doors, secret: dict[str, str]) -> None:
    observer, feed = bearer(secret["observer"]), bearer(secret["feed"])
    quarter = timedelta(minutes=15)
    start = datetime.fromtimestamp(datetime.now(UTC).timestamp() // 900 * 900, UTC) - 12 * quarter
    asked = {"from": start.isoformat(), "to": (start + quarter).isoformat(), "group": GROUP}
    for count in (1, 2):
        await doors("POST", "/api/cloudsync/events", 200, json=ticket(10 + count, start), headers=feed)
        counted: list[int] = []
        async with asyncio.timeout(WITHIN):
            while counted != [count]:
                told = await doors("GET", "/api/stt", 200, params=asked, headers=observer)
                counted = [row["created"] for row in told["rows"]]
    changes: list[Any] = []
    async with asyncio.timeout(WITHIN):
        while [1, 2] not in changes:
            listed = await doors("GET", "/api/restatements?limit=500&feed=stt", 200, headers=observer)
            changes = [item["changes"].get("created") for item in listed["items"] if item["group"] == GROUP]
    day = {"date": start.date().isoformat(), "agent": "*", "group": "*"}
    assert (await doors("GET", "/api/cim", 200, params=day, headers=observer))["rows"]
    for path, query in (("/api/stt", asked), ("/api/cim", day)):
        assert "group_name" in await doors("GET", path, 200, params=query, headers=observer | {"Accept": "text/csv"})
        async with doors.session.get(path, params=query, headers=observer) as answer:
            tag = {"If-None-Match": answer.headers["ETag"]}
        await doors("GET", path, 304, params=query, headers=observer | tag)
        await doors("GET", path, 400, params=query | {"changed_since": "yesterday"}, headers=observer)
        await doors("GET", path, 404, params=query, headers=bearer(secret["observer without"]))
    quality = await doors("GET", "/api/dq", 200, headers=observer)
    assert quality["coverage"]["feed_up"] is True
    await doors("GET", "/api/restatements?cursor=none", 400, headers=observer)
    for path in ("/api/stt", "/api/cim", "/api/dq", "/api/restatements"):
        await doors("GET", path, 401)
        await doors("GET", path, 403, headers=feed)


async def test_the_live_floor_is_answered_as_described(doors: Doors, secret: dict[str, str]) -> None:
    observer = bearer(secret["observer"])
    assert (await doors("GET", "/api/lsm", 200, headers=observer))["seq"]
    for path in ("/api/lsm", "/api/lsm/stream"):
        await doors("GET", f"{path}?group=1", 400, headers=observer)
        await doors("GET", path, 401)
        await doors("GET", path, 403, headers=bearer(secret["feed"]))
        await doors("GET", path, 404, headers=bearer(secret["observer without"]))
    described = doors.documents.operation("GET", "/api/lsm/stream")["responses"]["200"]
    names = dict(re.findall(r"`(\w+)` \((\w+)\)", described["description"]))
    missing = set(names)
    async with doors.session.get("/api/lsm/stream", headers=observer) as stream, asyncio.timeout(WITHIN):
        assert stream.content_type in described["content"]
        await doors(
            "POST", "/api/cloudsync/events", 200, json=chat(1, datetime.now(UTC)), headers=bearer(secret["feed"])
        )
        while missing:
            line = (await stream.content.readline()).decode()
            if line.startswith("event: "):
                name = line.removeprefix("event: ").strip()
            elif line.startswith("data: "):
                schema = {"$ref": f"#/components/schemas/{names[name]}"}
                validator(doors.documents.openapi, schema).validate(json.loads(line.removeprefix("data: ")))
                missing.discard(name)


async def test_a_desktop_token_is_answered_as_described(doors: Doors, secret: dict[str, str]) -> None:
    path = "/api/desktop/token"
    await doors("POST", path, 200, headers={"Authorization": basic("ada@example.com", PASSWORD)})
    await doors("POST", path, 401, headers={"Authorization": basic("cloud", PASSWORD)})
    await doors("POST", path, 413, data=b"x" * 300_000)


@pytest.mark.parametrize("name", ["healthz", "readyz", "metrics", "openapi.json", "asyncapi.json"])
async def test_the_open_doors_answer_as_described(doors: Doors, name: str) -> None:
    await doors("GET", f"/{name}", 200)


async def test_metrics_are_refused_as_described_to_who_comes_from_elsewhere(
    doors: Doors, secret: dict[str, str]
) -> None:
    elsewhere = {"X-Forwarded-For": "192.0.2.1"}
    await doors("GET", "/metrics", 401, headers=elsewhere)
    await doors("GET", "/metrics", 200, headers=elsewhere | bearer(secret["observer"]))


async def test_every_door_refuses_a_foreign_page_as_described(doors: Doors) -> None:
    for path, item in doors.documents.openapi["paths"].items():
        for method in OPERATION & item.keys():
            asked = re.sub(r"{\w+}", "x" * 22, path)
            await doors(method.upper(), asked, 403, headers={"Origin": "https://elsewhere.example.com"})


class Observer:
    """Who sees all topics of a customer; each message is held against the document."""

    def __init__(self, client: Client, document: dict[str, Any]) -> None:
        self.client = client
        self.document = document

    async def until(self, channel: str, kind: str) -> Any:
        """Read on to a message of this kind on this channel; all before it are described too."""
        while True:
            message = await self.client.message()
            said = json.loads(message.payload)
            if kind in self.kinds(message.topic, said)[channel]:
                return said

    def kinds(self, topic: str, said: object) -> dict[str, list[str]]:
        """Tell which messages of which channels this is."""
        found: dict[str, list[str]] = {name: [] for name in self.document["channels"]}
        for name, channel in self.document["channels"].items():
            if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(channel["address"])), topic):
                kinds = channel["messages"].items()
                found[name] = [kind for kind, one in kinds if validator(self.document, one["payload"]).is_valid(said)]
        assert any(found.values()), f"{topic}: {said} is not described"
        return found


async def test_every_topic_is_described(doors: Doors) -> None:
    addresses = {channel["address"] for channel in doors.documents.asyncapi["channels"].values()}
    spelled = set()
    for _, function in inspect.getmembers(topics, inspect.isfunction):
        names = list(inspect.signature(function).parameters)
        if names[:2] == ["customer", "agent"] and function is not topics.for_desktop:
            spelled.add(function("{CustomerID}", "{AgentId}"))
            spelled |= {function("{CustomerID}", "{AgentId}", "{CtiId}") for name in names if name == "ctiid"}
            spelled |= {function("{CustomerID}", "{AgentId}", "{CrmId}") for name in names if name == "crmid"}
    assert len(spelled) == 7
    assert addresses == spelled | {topics.live("{CustomerID}", "{Kind}", "{Item}"), *told_by_cloudsync()}


def told_by_cloudsync() -> set[str]:
    """List the topics on which CloudSync talks, with what stands in place of a name."""
    under = "CLOUDSYNC/{CustomerID}"
    return {
        f"{under}/data/{{Entity}}ChangeEvent",
        f"{under}/topic/{{PushTopicName}}",
        f"{under}/user/{{Mapped}}ChangeEvent",
        f"{under}/feed",
    }


async def test_what_cloudsync_and_the_live_floor_say_on_the_topics_is_described(
    doors: Doors, secret: dict[str, str]
) -> None:
    filters = [("LIVE/acme/#", 1), ("CLOUDSYNC/acme/#", 1)]
    async with (
        mqtt(doors.bridge, "acme", secret["observer"], *filters) as client,
        mqtt(doors.bridge, "acme", secret["feed"]) as feed,
        asyncio.timeout(WITHIN),
    ):
        observer = Observer(client, doors.documents.asyncapi)
        event = json.dumps(chat(2, datetime.now(UTC))).encode()
        await feed.publish("CLOUDSYNC/acme/feed", b'{"state": "up", "at": "2026-01-31T12:00:00Z"}', qos=1)
        await observer.until("cloudsync_feed", "FeedState")
        await feed.publish("CLOUDSYNC/acme/data/ChatSessionChangeEvent", event, qos=1)
        await observer.until("cloudsync_data", "Event")
        while (await observer.until("live", "LiveChangeTold"))["kind"] != "sessions":
            pass
    mapped = {
        "ChangeEventHeader": {"entityName": "Group", "recordIds": [GROUP], "changeType": "UPDATE"},
        "Name": "Billing",
    }
    assert observer.kinds("CLOUDSYNC/acme/user/GroupChangeEvent", {"payload": mapped})["cloudsync_user"] == ["Event"]
    pushed = {"event": {"replayId": 13, "type": "updated"}, "sobject": {"Id": "570000000000001"}}
    told = {"channel": "/topic/LiveChats", "data": pushed}
    assert observer.kinds("CLOUDSYNC/acme/topic/LiveChats", told)["cloudsync_topic"] == ["Event"]


async def test_what_is_said_on_the_topics_is_described(doors: Doors, secret: dict[str, str], id_token: str) -> None:
    filters = [(f"{kind}/acme/#", 1) for kind in ("CTI", "CRM", "ACK", "DESK", "PRESENCE")]
    token = doors.bridge.token("desktop", "acme", "here")
    server = f"mqtt://127.0.0.1:{doors.bridge.mqtt_port}"
    key = bearer(secret["key"])
    async with mqtt(doors.bridge, "acme", secret["observer"], *filters) as client:
        observer = Observer(client, doors.documents.asyncapi)
        async with Desktop(server, "acme", "here", token) as desktop:
            assert (await observer.until("presence", "Presence"))["online"] is True
            async with asyncio.timeout(WITHIN):
                await desktop.reached(State.CONNECTED)
                said = await doors.cloud("here", 200, id_token, Reference="case 1", ScriptData={"Contact Name": "Ada"})
                assert said["Result"]["Status"] == "sent"
                document = await observer.until("cti", "Pop")
                assert document["fields"] == {"contact_name": "Ada"}
                await anext(desktop)
                assert (await observer.until("ack", "Told"))["outcome"] == "shown"
                assert (await observer.until("desk", "Records"))["current"] == "case 1"
                assert (await doors("GET", "/api/agents/here", 200, headers=bearer(secret["observer"])))["online"]
                desktop.close("case 1")
                assert (await observer.until("ack", "Moved"))["state"] == "closed"
                asked = {"agentid": "here", "event": "On Ring", "crmid": "acme.example.com"}
                popid = (await doors("GET", "/api/sendmessage/CRM", 200, params=asked, headers=key))["popid"]
                await observer.until("crm", "Pop")
                await doors("DELETE", f"/api/pops/{popid}", 200, headers=bearer(secret["admin"]))
                assert (await observer.until("desk", "Recall"))["recall"] == popid
                asked |= {"ctiid": "env1"}
                await doors("GET", "/api/sendmessage/CTI", 200, params=asked, headers=key)
                await observer.until("cti_environment", "Pop")
        assert (await observer.until("presence", "Presence"))["online"] is False
        await doors("GET", "/api/agents", 200, headers=bearer(secret["observer"]))
        assert observer.kinds("ACK/acme/here", json.loads(encode(Gone("client"))))["ack"] == ["Gone"]


async def test_a_record_that_another_agent_has_is_answered_and_told_as_described(
    doors: Doors, secret: dict[str, str], id_token: str
) -> None:
    server = f"mqtt://127.0.0.1:{doors.bridge.mqtt_port}"
    ids = ("holder", "late")
    tokens = [doors.bridge.token("desktop", "acme", agent) for agent in ids]
    held = await doors.cloud("late", 200, id_token, Reference="locked")
    assert held["Result"]["Status"] == "held"
    async with (
        mqtt(doors.bridge, "acme", secret["observer"], ("DESK/acme/#", 1)) as client,
        Desktop(server, "acme", "holder", tokens[0]) as holder,
        asyncio.timeout(WITHIN),
    ):
        await holder.reached(State.CONNECTED)
        opened = await doors.cloud("holder", 200, id_token, Reference="locked")
        assert opened["Result"]["Status"] == "sent"
        refused = await doors.cloud("other", 409, id_token, Reference="locked")
        assert (refused["Result"]["Status"], refused["Result"]["Reason"]) == ("refused", "record_locked")
        observer = Observer(client, doors.documents.asyncapi)
        async with Desktop(server, "acme", "late", tokens[1]):
            assert (await observer.until("desk", "Refused"))["reason"] == "record_locked"
