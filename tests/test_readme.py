"""README: what is written there is true, and what can be run is run."""

import asyncio
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

import aiohttp
import click
import msgspec
import pytest

from agent_client.cli import main as agent_client
from bridge import config, service
from bridge.cli.main import main as popbridge
from bridge.cloud.reading import CAMPAIGN, DATA, REFERENCE, USERNAME
from bridge.cloudsync.flow.answers.days import COLUMNS as CIM_COLUMNS
from bridge.cloudsync.flow.quality import Quality
from bridge.connect import controls, reading
from bridge.delivery import story
from bridge.delivery.lifecycle import Status
from bridge.delivery.triggers import DUPLICATE
from bridge.http.doors import cloud, cloudsync
from bridge.words import errors, warnings
from bridge.words.answers import Accepted
from bridge.words.pop import Pop
from bridge.words.settings import Address, Crm, Settings
from tests.conftest import WITHIN, Bridge, needed

HOUSE = Path(__file__).parents[1]
TEXT = (HOUSE / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)(?: ([^\n]*))?\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)

BY_HAND = {
    "pip install . && popbridge demo\n": "needs a new environment; .ci/run installs, and the other blocks run a demo",
    "pip install '.[test]' && pytest\n": "it is what runs this test",
    "npm install mqtt\nPOPBRIDGE_TOKEN=$TOKEN node examples/desktop_mqttjs.mjs ws://127.0.0.1:8080/mqtt acme 1001\n": (
        "needs a package that is not Python's; tests/test_examples.py checks its syntax and topics"
    ),
    (
        "curl --cacert popbridge-data/dev.crt https://localhost:8080/healthz\n"
        "agent-client listen --server mqtts://localhost:1883 --cafile popbridge-data/dev.crt "
        '--customer acme --agent 1001 --token "$TOKEN"\n'
    ): "needs the bridge started anew with TLS; tests/test_tls.py does that",
    "popbridge keys regenerate KEYID --grace 24h\n": "KEYID is the reader's",
    "mkdir -p popbridge-data && cp broker.yaml popbridge-data/broker.yaml\npopbridge serve\n": (
        "overwrites the demo's configuration and takes its ports; tests/conftest.py serves for the other stories"
    ),
    "python -m tests.benchmarks --agents 1000 --only throughput,latency\n": (
        "takes minutes and installs packages that are not Python's; tests/benchmarks/test_command.py runs a tiny one"
    ),
}
BY_HAND |= {
    f"popbridge cloudsync {command} --customer acme\n": reason
    for command, reason in {
        "keypair": "the demo has a key pair; tests/cloudsync/crm makes others",
        "validate": "asks the reader's CRM; tests/cloudsync/crm asks a simulated one",
        "sync": "the same",
    }.items()
}
VOLATILE = {"popid", "ms", "token", "sent", "expires", "at", "since", "pops"}
VOLATILE |= {"as_of", "interval_start", "interval_end", "local_start", "computed_at"}
VOLATILE |= {"PopId", "IdToken", "AccessToken", "RefreshToken", "Created", "LastUpdated"}


def section(title: str) -> str:
    """Give what stands under a heading, up to the next of the same level or above."""
    level = re.search(rf"^(#+) {re.escape(title)}$", TEXT, flags=re.MULTILINE)
    assert level, f"README has no section {title}"
    rest = TEXT[level.end() :]
    following = re.search(rf"^#{{1,{len(level[1])}}} ", rest, flags=re.MULTILINE)
    return rest[: following.start()] if following else rest


def table(title: str, first: str) -> list[list[str]]:
    """Give the rows of the table under a heading whose first column is called so."""
    lines = iter(section(title).splitlines())
    for line in lines:
        if line.startswith(f"| {first} |"):
            next(lines)
            break
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split(" |")])
    assert rows, f"README has no table of {first} under {title}"
    return rows


def codes(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_error_is_told_with_its_status_and_its_hint() -> None:
    told = [(int(status), codes(code)[0], hint) for status, code, _, hint in table("Errors", "status")]
    assert told == [(row.status, row.code, row.hint) for row in errors.TABLE.values()]


def test_every_warning_is_told() -> None:
    functions = dict(inspect.getmembers(warnings, inspect.isfunction))
    for name, function in functions.items():
        (sentence,) = [function(*[name for _ in inspect.signature(function).parameters])]
        assert sentence.startswith(f"{name}: ")
    assert sorted(codes(row[0])[0] for row in table("Warnings", "code")) == sorted(functions)


def test_every_status_is_told() -> None:
    reached = [status.value for status in Status if status is not Status.ACCEPTED]
    assert [codes(row[0])[0] for row in table("Statuses", "status")] == [*reached, DUPLICATE]


def test_every_reason_of_the_bridge_is_told() -> None:
    told = [codes(row[0])[0] for row in table("Statuses", "reason") if codes(row[0])]
    assert set(told) == set(cloud._REFUSED) == set(story._REFUSED)


def test_the_answer_is_told_member_by_member() -> None:
    told = [codes(row[0])[0] for row in table("Connect API", "member")]
    assert told == [field.encode_name for field in msgspec.structs.fields(Accepted)]


def test_the_cloud_api_s_members_are_told() -> None:
    assert [codes(row[0])[0] for row in table("Cloud API", "member")] == [USERNAME, CAMPAIGN, REFERENCE, DATA]


def test_every_parameter_and_control_is_told() -> None:
    told = [codes(row[0])[0] for row in table("Connect API", "parameter") if codes(row[0])]
    assert sorted(told) == sorted(reading.RESERVED)
    assert [codes(row[0])[0] for row in table("Connect API", "control")] == list(reading.CONTROLS)
    assert f"0 to {controls.LONGEST_WAIT:g}, default 0" in section("Connect API")


def test_the_document_is_told_key_by_key() -> None:
    keys = [field.encode_name for field in msgspec.structs.fields(Pop)]
    assert codes(section("The document"))[: len(keys)] == keys


def test_every_question_of_the_feeds_is_told() -> None:
    told = {(name, row[1]) for row in table("STT and CIM", "parameter") for name in codes(row[0])}
    asked = {name: {feed for one, feed in told if one == name} for name, _ in told}
    assert {name for name, feeds in asked.items() if feeds & {"STT", "both"}} == cloudsync._STT
    assert {name for name, feeds in asked.items() if feeds & {"CIM", "both"}} == cloudsync._CIM


def test_every_number_of_a_day_is_told() -> None:
    marks = [codes(row[0])[0] for row in table("STT and CIM", "mark")]
    assert sorted(marks) == sorted(CIM_COLUMNS[-5:])
    assert set(CIM_COLUMNS) <= set(codes(section("STT and CIM")))


def test_every_count_of_the_data_quality_is_told() -> None:
    told = [codes(row[0])[0] for row in table("Data quality", "count")]
    assert told == [field.encode_name for field in msgspec.structs.fields(Quality)][1:-1]


def test_onboarding_has_the_eight_steps_of_the_document() -> None:
    text = section("Onboarding")
    assert re.findall(r"^(\d)\. \*\*", text, flags=re.MULTILINE) == list("12345678")
    for key in codes(" ".join(row[1] for row in table("Onboarding", "the document's variable")))[1:]:
        assert key.partition(":")[0] in Crm.__struct_fields__


def sections(kind: Any, where: str = "top") -> Iterator[tuple[str, list[str]]]:
    """Give each section of the settings as README calls it, with its keys."""
    fields = msgspec.structs.fields(kind)
    yield where, [field.encode_name for field in fields]
    inside = "" if where == "top" else f"{where}."
    names = {"customers": ".C", "campaigns": ".NAME", "groups": ".ID"}
    for field in fields:
        for inner in structs(field.type):
            name = field.encode_name
            yield from sections(inner, f"{inside}{name}{names.get(name, '')}")


def structs(kind: Any) -> Iterator[type[msgspec.Struct]]:
    if get_origin(kind) is dict or isinstance(kind, UnionType):
        for inner in get_args(kind):
            yield from structs(inner)
    elif isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind is not Address:
        yield kind


def test_every_key_of_the_configuration_is_told() -> None:
    told = {
        name: codes(keys) for names, keys in table("Configuration", "section") for name in (codes(names) or [names])
    }
    assert told == dict(sections(Settings))


async def test_every_path_is_told_with_its_methods(tmp_path: Path) -> None:
    file = tmp_path / "broker.yaml"
    file.write_text("http: {bind: 127.0.0.1:0}\nmqtt: {bind: 127.0.0.1:0}\n", encoding="utf-8")
    async with service.running(file, tmp_path / "data", config.load(file)) as running:
        routes = running.dispatch.paths()
    told = {re.sub(r"{\w+}", "*", codes(row[0])[0]): {*row[1].split(", ")} for row in table("Paths", "path")}
    assert told.keys() == routes.keys()
    for path, methods in routes.items():
        expected = {*methods} | ({"HEAD"} if "GET" in methods and path != "/mqtt" else set())
        assert told[path] == expected, path


def commands(group: click.Group, words: tuple[str, ...]) -> Iterator[tuple[str, set[str]]]:
    """Give each command line with its options, but for those that all have."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, (*words, name))
            continue
        arguments = [
            each.make_metavar(context).strip("[]") for each in command.params if isinstance(each, click.Argument)
        ]
        options = [each for each in command.params if isinstance(each, click.Option)]
        spelled = {spelling for each in options for spelling in (*each.opts, *each.secondary_opts)}
        yield " ".join([*words, name, *arguments]), spelled - {"--data", "--config"}


def test_every_command_is_told_with_its_options() -> None:
    told = {codes(row[0])[0]: set(codes(row[1])) for row in table("Commands", "command")}
    exist = dict(commands(popbridge, ("popbridge",))) | dict(commands(agent_client, ("agent-client",)))
    assert told == exist


def test_every_command_has_data_and_config() -> None:
    for words in ("serve", "keys issue", "users passwd"):
        command: click.Command = popbridge
        for word in words.split():
            assert isinstance(command, click.Group)
            found = command.get_command(click.Context(command), word)
            assert found is not None
            command = found
        assert {"data", "config"} <= {each.name for each in command.params}


async def test_every_metric_is_told_with_its_labels(bridge: Bridge, http: aiohttp.ClientSession) -> None:
    refused = await http.get("/api/sendmessage/CTI", headers={"X-API-Key": "wrong"})
    assert refused.status == 401
    shown = await (await http.get("/metrics")).text()
    labels: dict[str, set[str]] = {name: set() for name in re.findall(r"^# TYPE (\S+)", shown, flags=re.MULTILINE)}
    for name, inside in re.findall(r"^(\w+)\{(.*)\}", shown, flags=re.MULTILINE):
        labels[name].update(re.findall(r'(\w+)="', inside))
    told = {codes(row[0])[0]: set(codes(row[1])) for row in table("Metrics", "metric")}
    assert told == labels


def anchors(text: str) -> set[str]:
    return {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)}


@pytest.mark.parametrize("page", ["README.md", "examples/connections/README.md"])
def test_every_link_leads_to_a_file(page: str) -> None:
    text = (HOUSE / page).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)]+)\)", text):
        file, _, anchor = link.partition("#")
        assert (HOUSE / page).parent.joinpath(file).exists(), link
        assert not anchor or anchor in anchors(text), link


def test_every_example_is_linked() -> None:
    linked = re.findall(r"\]\((examples/[^)]+)\)", TEXT)
    there = [path for path in (HOUSE / "examples").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert sorted(linked) == sorted(path.relative_to(HOUSE).as_posix() for path in there)


def test_what_is_run_by_hand_has_a_reason() -> None:
    assert {text for language, how, text in BLOCKS if language == "sh" and how == "by hand"} == set(BY_HAND)
    assert {language for language, _, _ in BLOCKS} <= {"sh", "json"}
    assert {how for language, how, _ in BLOCKS if language == "sh"} <= {"", "watch", "by hand"}


class Reader:
    """Who follows README from top to bottom in one terminal, with the demo and the watchers in others."""

    def __init__(self, folder: Path, bridge: Bridge) -> None:
        self._folder = folder
        self._bridge = bridge
        self._watching: list[asyncio.subprocess.Process] = []
        programs = folder / "bin"
        programs.mkdir()
        for name, call in {"popbridge": "-m bridge", "agent-client": "-m agent_client", "python": ""}.items():
            program = programs / name
            program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {call} "$@"\n', encoding="utf-8")
            program.chmod(0o755)
        self._environment = os.environ | {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(HOUSE),
        }
        (folder / "examples").symlink_to(HOUSE / "examples")
        (folder / "variables").touch()

    def run(self, commands: str) -> str:
        """Run a block; its variables are there for the next one."""
        script = f"set -euo pipefail\nsource ./variables\nset -a\n{self._here(commands)}\nexport -p >./variables\n"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=2 * WITHIN,
            check=False,
        )
        assert done.returncode == 0, f"{commands}{done.stdout}{done.stderr}"
        return done.stdout

    async def watch(self, commands: str) -> None:
        """Run a block beside the others; it is there once the bridge has its subscriptions."""
        before = await self._figure("popbridge_mqtt_subscriptions_now")
        script = f"source ./variables\nexec env {self._here(commands)}"
        process = await asyncio.create_subprocess_exec(
            "bash", "-c", script, cwd=self._folder, env=self._environment, stdout=subprocess.PIPE
        )
        self._watching.append(process)
        async with asyncio.timeout(WITHIN):
            while await self._figure("popbridge_mqtt_subscriptions_now") <= before:
                assert process.returncode is None, f"{commands} ended"

    async def settle(self) -> None:
        """See that what was issued counts: credentials come into effect in the order in which they were made."""
        key = self._bridge.key()
        async with aiohttp.ClientSession(self._bridge.http) as http, asyncio.timeout(WITHIN):
            query = {"agentid": "nobody", "event": "On Ring", "pop_dryrun": "1", "jwt": key}
            while (await http.get("/api/sendmessage/CTI", params=query)).status != 200:
                pass

    async def leave(self) -> list[str]:
        """End what was watched; give what each has seen."""
        for process in self._watching:
            process.terminate()
        return [(await process.communicate())[0].decode() for process in self._watching]

    async def _figure(self, name: str) -> float:
        async with aiohttp.ClientSession(self._bridge.http) as http, http.get("/metrics") as answer:
            found = re.search(rf"^{name} (\S+)$", await answer.text(), flags=re.MULTILINE)
        assert found
        return float(found[1])

    def _here(self, commands: str) -> str:
        http, mqtt = f"127.0.0.1:{self._bridge.http_port}", f"127.0.0.1:{self._bridge.mqtt_port}"
        moved = commands.replace("127.0.0.1:8080", http).replace("127.0.0.1:1883", mqtt)
        return moved.replace("-p 1883", f"-p {self._bridge.mqtt_port}").replace(
            "127.0.0.1 1883", f"127.0.0.1 {self._bridge.mqtt_port}"
        )


def lasting(said: Any) -> Any:
    """Blank out what is another at each run; members stay in their order."""
    if isinstance(said, list):
        return [lasting(each) for each in said]
    if isinstance(said, dict):
        return [(name, None if name in VOLATILE else lasting(value)) for name, value in said.items()]
    return said


@pytest.mark.timeout(300)
async def test_who_follows_readme_gets_what_it_says(tmp_path: Path) -> None:
    for program in ("bash", "curl", "mosquitto_sub", "mosquitto_pub"):
        needed(program)
    demo = ("demo", "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0")
    bridge = Bridge(tmp_path / "popbridge-data", command=demo).start()
    reader = Reader(tmp_path, bridge)
    printed = ""
    try:
        for language, how, text in BLOCKS:
            if (language, how) == ("sh", ""):
                printed = reader.run(text)
                if " issue " in text:
                    await reader.settle()
            elif (language, how) == ("sh", "watch"):
                await reader.watch(text)
            elif language == "json":
                assert lasting(json.loads(printed)) == lasting(json.loads(text))
    finally:
        seen = await reader.leave()
        assert bridge.stop() == 0
    assert "caller=+15551234567  ticket=4711" in seen[0]
    assert any("PRESENCE/acme/1001 " in each for each in seen)


@pytest.mark.timeout(300)
def test_what_the_demo_prints_works_as_printed(tmp_path: Path) -> None:
    for program in ("bash", "curl", "mosquitto_sub"):
        needed(program)
    demo = ("demo", "--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0")
    bridge = Bridge(tmp_path / "popbridge-data", command=demo).start()
    try:
        (tmp_path / "there").mkdir()
        reader = Reader(tmp_path / "there", bridge)
        lines = [line for line in bridge.printed if line.startswith("curl ")]
        assert len(lines) == 7
        for line in lines:
            said = reader.run(line)
            if "Bearer" in line:
                assert said.startswith(('{"as_of":"', "date,agent,"))
            else:
                assert json.loads(said)["success"] is True
        # The desktop first, for which these pops are held: whoever subscribes next would get them.
        (listen,) = (line for line in bridge.printed if line.startswith("agent-client ") and "--agent 1001" in line)
        assert "caller=+15551234567" in reader.run(f"{listen} -C 1 -W 25")
        for line in bridge.printed:
            if line.startswith("mosquitto_sub "):
                reader.run(f"{line} -E")  # ends once every filter is granted, with an error if one is not
    finally:
        assert bridge.stop() == 0


def test_an_address_in_use_stops_the_start_with_exit_code_3(bridge: Bridge, tmp_path: Path) -> None:
    (tmp_path / "broker.yaml").write_text(
        f"http: {{bind: 127.0.0.1:{bridge.http_port}}}\nmqtt: {{bind: 127.0.0.1:0}}\n", encoding="utf-8"
    )
    done = subprocess.run(
        [sys.executable, "-m", "bridge", "serve", "--data", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert "Traceback" not in done.stderr
    assert f"127.0.0.1:{bridge.http_port}" in done.stderr
