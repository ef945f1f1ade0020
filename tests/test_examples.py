"""Examples: every one runs against a real bridge, as it is written."""

import asyncio
import base64
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from bridge.words import errors
from tests.conftest import CONFIG, WITHIN, Bridge, basic, needed, raw

EXAMPLES = Path(__file__).parents[1] / "examples"
COLLECTION = json.loads((EXAMPLES / "postman_collection.json").read_text(encoding="utf-8"))
RECIPES = re.split(r"^## ", (EXAMPLES / "connections" / "README.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[
    1:
]
PLATFORMS = [
    "8x8",
    "Amazon Connect",
    "Avaya",
    "Cisco UCCE",
    "Cisco UCCX",
    "Cisco WebEx Contact Center",
    "Five9",
    "Genesys PureCloud",
    "Genesys PureConnect",
    "Genesys PureEngage",
    "InContact Central",
    "InContact Hub",
    "TalkDesk",
    "Twilio Flex",
]


CLOUD = CONFIG.replace(
    "    unknown_event: warn\n",
    "    unknown_event: warn\n    cloud: {enabled: true, campaigns: {Inbound Support: {}}}\n"
    "    cloudsync: {feeds: [lsm, stt, cim], zone: America/New_York}\n",
)
PASSWORD = 'a good \\ "password"'


@pytest.fixture(scope="module")
def cloudy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """A bridge whose customer acme has a Cloud API, with the demo's user, and CloudSync's feeds."""
    running = Bridge(tmp_path_factory.mktemp("cloudy") / "data", CLOUD).start()
    running.secret(
        *("users", "add", "--customer", "acme", "--username", "demo-cloud", "--password-stdin"), given=PASSWORD
    )
    yield running
    assert running.stop() == 0


def environment(bridge: Bridge, **more: str) -> dict[str, str]:
    return os.environ | {
        "POPBRIDGE_URL": bridge.http,
        "POPBRIDGE_MQTT_PORT": str(bridge.mqtt_port),
        "PYTHONPATH": str(EXAMPLES.parent),
        **more,
    }


def run(command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=WITHIN, check=False)


@asynccontextmanager
async def desktop(*command: str, env: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A desktop in a process of its own, subscribed; what is done with it has time for processes of its own."""
    process = await asyncio.create_subprocess_exec(
        *command, env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(2 * WITHIN):
            told = await process.stderr.readline()
            assert told.startswith(b"connected"), told
            yield process
    finally:
        process.terminate()
        await process.communicate()


@pytest.mark.parametrize("script", ["trigger_get.sh", "trigger_post.sh"])
def test_the_curl_examples_trigger_a_pop(script: str, bridge: Bridge, keys: dict[str, str]) -> None:
    done = run([str(EXAMPLES / script), f"example-{script}"], environment(bridge, POPBRIDGE_KEY=keys["acme"]))
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["status"]) == (0, "held"), done.stderr
    assert "warnings" not in answer


@pytest.mark.parametrize("script", ["trigger_get.sh", "trigger_post.sh"])
def test_the_curl_examples_fail_with_the_bridge_s_words(script: str, bridge: Bridge) -> None:
    done = run([str(EXAMPLES / script)], environment(bridge, POPBRIDGE_KEY="wrong"))
    assert done.returncode == 22
    assert json.loads(done.stdout)["code"] == "invalid_key"


@pytest.mark.parametrize(
    ("example", "server"),
    [("desktop.py", ["mqtt://127.0.0.1:{mqtt}"]), ("desktop_paho.py", ["127.0.0.1", "{mqtt}"])],
)
async def test_a_desktop_example_shows_what_the_trigger_example_asks_for(
    example: str, server: list[str], bridge: Bridge, keys: dict[str, str]
) -> None:
    agent = f"site/{example}"
    env = environment(
        bridge, POPBRIDGE_KEY=keys["acme"], POPBRIDGE_TOKEN=bridge.token("desktop", "acme", agent), PYTHONUNBUFFERED="1"
    )
    command = [sys.executable, str(EXAMPLES / example), *(each.format(mqtt=bridge.mqtt_port) for each in server)]
    async with desktop(*command, "acme", agent, env=env) as process:
        trigger = [sys.executable, str(EXAMPLES / "trigger.py"), agent, "On Answer", "caller=+15551234567"]
        done = await asyncio.to_thread(run, trigger, env)
        assert (done.returncode, done.stdout.split()[0]) == (0, "shown"), done.stderr
        assert process.stdout is not None
        shown = (await process.stdout.readline()).decode()
    assert shown.split()[0] == done.stdout.split()[1]
    assert "+15551234567" in shown


def test_the_trigger_example_tells_why_a_pop_did_not_appear(bridge: Bridge, keys: dict[str, str]) -> None:
    env = environment(bridge, POPBRIDGE_KEY=keys["acme"])
    done = run([sys.executable, str(EXAMPLES / "trigger.py"), "example-absent", "On Answer"], env)
    assert (done.returncode, done.stdout.split()[0]) == (0, "held"), done.stderr
    assert "It waits for a desktop to subscribe to CTI/acme/example-absent" in done.stderr
    told = run([str(EXAMPLES / "story.sh"), done.stdout.split()[1]], env | {"POPBRIDGE_TOKEN": keys["acme"]})
    assert json.loads(told.stdout)["steps"][0]["status"] == "accepted"
    another = run([str(EXAMPLES / "story.sh"), done.stdout.split()[1]], env | {"POPBRIDGE_TOKEN": keys["other"]})
    assert (another.returncode, json.loads(another.stdout)["code"]) == (22, "not_found")


async def test_the_trigger_example_pops_once_although_its_answer_was_lost(bridge: Bridge, keys: dict[str, str]) -> None:
    async with losing_the_first_answer(bridge) as port:
        env = environment(bridge, POPBRIDGE_KEY=keys["acme"], POPBRIDGE_URL=f"http://127.0.0.1:{port}")
        command = [sys.executable, str(EXAMPLES / "trigger.py"), "example-lost", "On Answer"]
        done = await asyncio.to_thread(run, command, env)
    assert (done.returncode, done.stdout.split()[0]) == (0, "held"), done.stderr
    observer = {"Authorization": f"Bearer {bridge.token('observer')}"}
    async with aiohttp.ClientSession(bridge.http, headers=observer) as http:
        found = await (await http.get("/api/pops?agent=example-lost")).json()
    assert [pop["popid"] for pop in found["items"]] == [done.stdout.split()[1]]


@asynccontextmanager
async def losing_the_first_answer(bridge: Bridge) -> AsyncIterator[int]:
    """A line to the bridge that breaks after the first request was answered, before the caller hears of it."""
    broken = False

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal broken
        there, back = await asyncio.open_connection("127.0.0.1", bridge.http_port)
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head.lower())
        back.write(head + (await reader.readexactly(int(length[1])) if length else b""))
        answer = await there.read()
        if broken:
            writer.write(answer)
        broken = True
        back.close()
        writer.close()

    server = await asyncio.start_server(carry, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def test_the_trigger_example_says_what_to_correct(bridge: Bridge) -> None:
    env = environment(bridge, POPBRIDGE_KEY="wrong")
    done = run([sys.executable, str(EXAMPLES / "trigger.py"), "1001", "On Answer"], env)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("invalid_key: ")


@pytest.mark.parametrize(
    ("example", "server"),
    [("desktop.py", ["mqtt://127.0.0.1:{mqtt}"]), ("desktop_paho.py", ["127.0.0.1", "{mqtt}"])],
)
async def test_a_desktop_example_shows_what_the_cloud_example_asks_for(
    example: str, server: list[str], cloudy: Bridge
) -> None:
    env = environment(
        cloudy,
        POPBRIDGE_CLOUD_PASSWORD=PASSWORD,
        POPBRIDGE_TOKEN=cloudy.token("desktop", "acme", example),
        PYTHONUNBUFFERED="1",
    )
    command = [sys.executable, str(EXAMPLES / example), *(each.format(mqtt=cloudy.mqtt_port) for each in server)]
    async with desktop(*command, "acme", example, env=env) as process:
        done = await asyncio.to_thread(run, [str(EXAMPLES / "cloud_pop.sh"), example, f"case of {example}"], env)
        assert done.returncode == 0, done.stdout + done.stderr
        result = json.loads(done.stdout)["Result"]
        assert result["Status"] == "shown"
        locked = await asyncio.to_thread(run, [str(EXAMPLES / "cloud_pop.sh"), "late", f"case of {example}"], env)
        assert (locked.returncode, json.loads(locked.stdout)["Result"]["Reason"]) == (22, "record_locked")
        assert process.stdout is not None
        shown = (await process.stdout.readline()).decode()
    assert shown.startswith(f"{result['PopId']} Inbound Support ")


def test_the_cloud_example_fails_with_the_bridge_s_words(cloudy: Bridge) -> None:
    done = run([str(EXAMPLES / "cloud_pop.sh")], environment(cloudy, POPBRIDGE_CLOUD_PASSWORD="wrong"))
    assert (done.returncode, json.loads(done.stdout)["Result"]["Reason"]) == (22, "invalid_credentials")


def test_the_mqttjs_example_is_sound_and_uses_the_topics_of_a_desktop() -> None:
    # Running it needs a package that is not Python's; its syntax and its topics are checked.
    example = EXAMPLES / "desktop_mqttjs.mjs"
    done = run([needed("node"), "--check", str(example)], dict(os.environ))
    assert done.returncode == 0, done.stderr
    text = example.read_text(encoding="utf-8")
    assert '["CTI", "CRM"]' in text
    assert "`${kind}/${customer}/${level}`, `${kind}/${customer}/+/${level}`" in text


async def test_the_observer_s_recipes_see_presence_pop_and_outcome(bridge: Bridge, keys: dict[str, str]) -> None:
    needed("mosquitto_sub")
    observer = environment(bridge, POPBRIDGE_TOKEN=bridge.token("observer", "free"), POPBRIDGE_CUSTOMER="free")
    env = environment(bridge, POPBRIDGE_TOKEN=bridge.token("desktop", "free", "seen"))
    command = [sys.executable, str(EXAMPLES / "desktop.py"), f"mqtt://127.0.0.1:{bridge.mqtt_port}", "free", "seen"]
    async with desktop(*command, env=env), watching(observer) as lines:
        # The retained presence is the sign that the observer is subscribed.
        presence = await following(lines, "PRESENCE/free/seen")
        async with aiohttp.ClientSession(bridge.http) as http:
            query = {"agentid": "seen", "event": "x", "jwt": keys["free"], "pop_wait": "8"}
            answer = await (await http.get("/api/sendmessage/CTI", params=query)).json()
        pop = await following(lines, "CTI/free/seen")
        outcome = await following(lines, "ACK/free/seen")
    assert presence["online"] is True
    assert pop["popid"] == answer["popid"]
    assert outcome == {"popid": answer["popid"], "outcome": "shown"}


@asynccontextmanager
async def watching(env: dict[str, str]) -> AsyncIterator[asyncio.StreamReader]:
    """The recipe for everything, and what it prints."""
    process = await asyncio.create_subprocess_exec(
        EXAMPLES / "observe.sh", "all", env=env, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        process.terminate()
        await process.communicate()


async def following(lines: asyncio.StreamReader, topic: str) -> Any:
    """Read on to the next message on a topic."""
    async with asyncio.timeout(WITHIN):
        async for line in lines:
            said, _, payload = line.decode().partition(" ")
            if said == topic:
                return json.loads(payload)
    raise AssertionError(f"nothing came on {topic}")


def test_each_of_the_observer_s_recipes_is_granted(bridge: Bridge) -> None:
    needed("mosquitto_sub")
    env = environment(bridge, POPBRIDGE_TOKEN=bridge.token("observer"))
    for recipe in ("pops", "outcomes", "presence", "live", "cloudsync", "all"):
        assert run([str(EXAMPLES / "observe.sh"), recipe, "-E"], env).returncode == 0


def test_the_observer_s_recipes_explain_themselves(bridge: Bridge) -> None:
    done = run([str(EXAMPLES / "observe.sh")], environment(bridge))
    assert done.returncode == 2
    assert "outcomes" in done.stderr


def folders() -> Iterator[tuple[str, dict[str, Any]]]:
    for folder in COLLECTION["item"]:
        for item in folder["item"]:
            yield folder["name"], item


TO_THE_BRIDGE = [item for name, item in folders() if name not in {"CloudSync token", "CloudSync feeds", "Cloud API"}]
TO_THE_CLOUD_API = [item for name, item in folders() if name == "Cloud API"]
OF_THE_FEEDS = [item for name, item in folders() if name == "CloudSync feeds"]
TO_CLOUDSYNC = [item for name, item in folders() if name == "CloudSync token"]


def filled(text: str, variables: dict[str, str]) -> str:
    """Substitute as Postman does: unknown names stay as they are."""
    return re.sub(r"\{\{(\w+)\}\}", lambda found: variables.get(found[1], found[0]), text)


async def replay(request: dict[str, Any], variables: dict[str, str], http: aiohttp.ClientSession) -> tuple[int, Any]:
    """Send one request of the collection."""
    headers = {each["key"]: filled(each["value"], variables) for each in request["header"]}
    if request.get("auth", {}).get("type") == "basic":
        said = {each["key"]: filled(each["value"], variables) for each in request["auth"]["basic"]}
        headers["Authorization"] = basic(said["username"], said["password"])
    url = request["url"]
    where = "/".join(filled(part, variables) for part in (url["host"][0], *url["path"]))
    query = {each["key"]: filled(each["value"], variables) for each in url.get("query", [])}
    body = filled(request["body"]["raw"], variables) if "body" in request else None
    sent = http.request(request["method"], where, params=query, headers=headers, data=body)
    async with sent as response:
        return response.status, await response.json()


@pytest.mark.parametrize("item", TO_THE_BRIDGE, ids=lambda item: item["name"])
async def test_each_postman_request_is_answered_as_its_saved_example(
    item: dict[str, Any], bridge: Bridge, keys: dict[str, str], http: aiohttp.ClientSession
) -> None:
    variables = {each["key"]: each["value"] for each in COLLECTION["variable"]}
    agent = f"postman-{item['name']}"
    variables |= {"base_url": bridge.http, "jwt": keys["acme"], "agentid": agent}
    if "auth" in item["request"]:
        variables |= {"username": "postman", "password": "a good password"}
        added = bridge.cli(
            *("users", "add", "--customer", "acme", "--username", "postman", "--agent", agent, "--password-stdin"),
            given=variables["password"],
        )
        assert added.returncode == 0, added.stderr
    if "{{popid}}" in item["request"]["url"]["raw"]:
        query = {"agentid": agent, "event": "On Ring", "jwt": keys["acme"]}
        variables["popid"] = (await (await http.get("/api/sendmessage/CTI", params=query)).json())["popid"]
    status, answer = await replay(item["request"], variables, http)
    (example,) = item["response"]
    saved = json.loads(example["body"])
    assert status == example["code"]
    assert list(answer) == list(saved)
    for name in ("success", "dryrun", "status", "receivers", "warnings", "code", "title", "detail", "hint", "customer"):
        assert answer.get(name) == saved.get(name)
    if "topic" in saved:
        assert answer["topic"] == saved["topic"].replace("1001", agent)


async def test_the_postman_requests_of_the_cloud_api_are_answered_as_their_saved_examples(cloudy: Bridge) -> None:
    variables = {each["key"]: each["value"] for each in COLLECTION["variable"]}
    variables |= {"base_url": cloudy.http, "cloud_password": PASSWORD, "agentid": "postman"}
    async with aiohttp.ClientSession() as http:
        for item in TO_THE_CLOUD_API:
            status, answer = await replay(item["request"], variables, http)
            (example,) = item["response"]
            saved = json.loads(example["body"])
            assert status == example["code"]
            assert (list(answer), list(answer["Result"])) == (list(saved), list(saved["Result"]))
            for name in ("Status", "Reason", "Detail", "ExpiresIn"):
                assert answer["Result"].get(name) == saved["Result"].get(name)
            # What the request's own test does in Postman.
            for line in item["event"][0]["script"]["exec"]:
                kept = re.fullmatch(
                    r'pm\.collectionVariables\.set\("(\w+)", pm\.response\.json\(\)\.Result\.(\w+)\);', line
                )
                if kept:
                    variables[kept[1]] = answer["Result"][kept[2]]


async def test_the_postman_requests_of_the_feeds_are_answered_as_their_saved_examples(cloudy: Bridge) -> None:
    variables = {each["key"]: each["value"] for each in COLLECTION["variable"]}
    variables |= {"base_url": cloudy.http, **{role: cloudy.token(role, "acme") for role in ("feed", "observer")}}
    variables["date"] = (datetime.now(UTC).date() - timedelta(days=2)).isoformat()
    async with aiohttp.ClientSession() as http:
        for item in OF_THE_FEEDS:
            status, answer = await replay(item["request"], variables, http)
            (example,) = item["response"]
            saved = json.loads(example["body"])
            assert (status, list(answer)) == (example["code"], list(saved))
            assert [list(row) for row in answer.get("rows", [])] == [list(row) for row in saved.get("rows", [])]


@pytest.mark.parametrize("item", [*TO_THE_BRIDGE, *TO_THE_CLOUD_API, *OF_THE_FEEDS], ids=lambda item: item["name"])
def test_each_postman_request_is_what_its_raw_url_and_its_own_test_say(item: dict[str, Any]) -> None:
    url = item["request"]["url"]
    query = "&".join(f"{each['key']}={each['value']}" for each in url.get("query", []))
    assert url["raw"] == "/".join([*url["host"], *url["path"]]) + (f"?{query}" if query else "")
    (example,) = item["response"]
    assert f"have.status({example['code']})" in "".join(item["event"][0]["script"]["exec"])
    code = json.loads(example["body"]).get("code")
    assert code is None or errors.TABLE[code].status == example["code"]


SECRETS = {"jwt", "password", "assertion", "cloud_password", "id_token", "refresh_token", "feed", "observer"}


def test_the_collection_is_postman_2_1_and_every_variable_is_there_and_used() -> None:
    assert COLLECTION["info"]["schema"].endswith("/collection/v2.1.0/collection.json")
    names = [each["key"] for each in COLLECTION["variable"]]
    assert len(set(names)) == len(names)
    text = json.dumps(COLLECTION["item"])
    explained = {"userID", "consumerKey"}  # they go into the assertion, which is signed elsewhere
    assert set(re.findall(r"\{\{(\w+)\}\}", text)) | explained == set(names)
    assert not [each for each in COLLECTION["variable"] if each["key"] in SECRETS and each["value"]]


def test_the_cloudsync_request_has_the_shape_that_the_document_prescribes() -> None:
    (item,) = TO_CLOUDSYNC
    request = item["request"]
    assert (request["method"], request["url"]["raw"]) == ("POST", "{{cloudsyncTokenEndpoint}}")
    sent = {each["key"]: each["value"] for each in request["body"]["urlencoded"]}
    assert sent == {"grant_type": "{{grant_type}}", "assertion": "{{assertion}}"}
    variables = {each["key"]: each["value"] for each in COLLECTION["variable"]}
    assert variables["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assert {"userID", "consumerKey"} <= set(variables)
    assert variables["cloudsyncTokenEndpoint"] == "https://login.cloudsync.com/services/oauth2/token"
    assert "https://test.cloudsync.com/services/oauth2/token" in request["description"]


def test_there_is_a_recipe_for_each_connection_set() -> None:
    assert [recipe.partition("\n")[0] for recipe in RECIPES] == PLATFORMS


@pytest.mark.parametrize("recipe", RECIPES, ids=PLATFORMS)
def test_a_recipe_tells_all_that_a_form_asks_for(recipe: str) -> None:
    told = set(re.findall(r"^\| ([^|]+) \|", recipe, flags=re.MULTILINE))
    assert {"where", "method and URL", "body", "key", "event", "time-out, retries"} <= told


@pytest.mark.parametrize("recipe", RECIPES, ids=PLATFORMS)
async def test_a_recipe_s_request_is_accepted_without_a_warning(
    recipe: str, bridge: Bridge, keys: dict[str, str]
) -> None:
    (request,) = re.findall(r"^```http\n(.*?)^```$", recipe, flags=re.MULTILINE | re.DOTALL)
    key = keys["acme"]
    encoded = base64.b64encode(f"popbridge:{key}".encode()).decode()
    filled_in = re.sub(r"\bKEY\b", key, request.replace("BASE64(popbridge:KEY)", encoded))
    head, _, body = filled_in.replace("BRIDGE", f"127.0.0.1:{bridge.http_port}").partition("\n\n")
    body = body.rstrip("\n")
    lines = [*head.split("\n"), f"Content-Length: {len(body)}"] if body else head.split("\n")
    if "Connection: close" not in lines:
        lines.append("Connection: close")  # so that the end of the answer can be seen
    came = await raw(bridge.http_port, "\r\n".join([*lines, "", body]).encode())
    answered, _, content = came.decode().partition("\r\n\r\n")
    assert " 200 " in answered.splitlines()[0], content
    answer = json.loads(content)
    assert answer["status"] == "held"
    assert "warnings" not in answer
    event = re.search(r"On(?:%20|\+| )(Ring|Answer)", request)
    assert event, "the request names an event of the example's catalogue"
    assert quote(key) not in content
