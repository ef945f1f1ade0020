import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.credentials.house import House, commands

Run = Callable[..., Result]

JWT = re.compile(r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\n")
PASSWORD = "correct horse"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def invoke(*arguments: str, stdin: str | bytes = "", exit_code: int = 0) -> Result:
        result = CliRunner().invoke(commands, arguments, obj=House(tmp_path / "data"), input=stdin)
        assert result.exit_code == exit_code, result.output
        assert exit_code == 0 or result.stdout == ""
        return result

    return invoke


def id_of(result: Result) -> str:
    return result.stderr.split()[0]


def test_the_secret_is_alone_on_stdout(run: Run) -> None:
    for arguments in (
        ("keys", "issue", "--customer", "acme", "--name", "switchboard", "--expires", "30d"),
        ("tokens", "issue", "--customer", "acme", "--role", "desktop", "--agent", "a 1/ü"),
        ("tokens", "issue", "--customer", "acme", "--role", "observer"),
        ("tokens", "issue", "--customer", "acme", "--role", "feed", "--expires", "500ms"),
        ("tokens", "issue", "--customer", "acme", "--role", "admin"),
    ):
        issued = run(*arguments)
        assert JWT.fullmatch(issued.stdout)
        assert issued.stdout.strip() not in issued.stderr
        assert re.match(r"(key|desktop|observer|feed|admin)-[0-9a-f]{16}  ", issued.stderr)


def test_a_key_goes_through_its_life(run: Run) -> None:
    issued = run("keys", "issue", "--customer", "acme", "--name", "switchboard")
    grown = run("keys", "regenerate", id_of(issued), "--grace", "24h")
    assert JWT.fullmatch(grown.stdout)
    assert f"{id_of(issued)} ends " in grown.stderr
    run("keys", "rotate-signing")
    assert "is revoked" in run("keys", "revoke", id_of(grown)).stderr
    assert "had ended already" in run("keys", "revoke", id_of(grown)).stderr
    heading, newest, oldest = run("keys", "list").stdout.splitlines()
    assert heading.split("  ")[0] == "KIND"
    assert re.fullmatch(rf"key +{id_of(grown)} +acme +switchboard +\S+Z +\S+Z +revoked +never", newest)
    assert re.fullmatch(rf"key +{id_of(issued)} +acme +switchboard +\S+Z +\S+Z +ends \S+Z +never", oldest)


def test_a_list_never_shows_a_secret(run: Run) -> None:
    secrets = [
        run("keys", "issue", "--customer", "acme").stdout.strip(),
        run("tokens", "issue", "--customer", "acme", "--role", "desktop", "--agent", "1").stdout.strip(),
    ]
    run("users", "add", "--customer", "acme", "--username", "ann", "--password-stdin", stdin=PASSWORD)
    for group in ("keys", "tokens", "users"):
        for form in ((), ("--json",)):
            listed = run(group, "list", *form).output
            assert not [secret for secret in (*secrets, PASSWORD, "argon2") if secret in listed]


def test_a_list_is_also_json(run: Run) -> None:
    issued = run("tokens", "issue", "--customer", "acme", "--role", "desktop", "--agent", "ü\u202e")
    run("tokens", "issue", "--customer", "globex", "--role", "feed")
    (listed,) = json.loads(run("tokens", "list", "--customer", "acme", "--json").stdout)
    assert re.fullmatch(r"....-..-..T..:..:..\....Z", listed.pop("issued"))
    assert re.fullmatch(r"....-..-..T..:..:..\....Z", listed.pop("expires"))
    assert listed == {
        "kind": "desktop",
        "id": id_of(issued),
        "customer": "acme",
        "agent": "ü\u202e",
        "state": "active",
        "uses": 0,
    }
    assert r"ü\u202e" in run("tokens", "list").stdout
    assert json.loads(run("keys", "list", "--json").stdout) == []


def test_a_token_a_line_in_the_order_of_the_ids(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "agents.txt"
    file.write_text("1001\na 2\n1001\nü\n", encoding="utf-8")
    printed = run("tokens", "issue", "--customer", "acme", "--role", "desktop", "--agents", str(file))
    assert len(printed.stdout.splitlines()) == len(printed.stderr.splitlines()) == 4
    assert [line.split("  ")[1] for line in printed.stderr.splitlines()] == [
        f"desktop of acme/{agent}" for agent in ("1001", "a 2", "1001", "ü")
    ]
    piped = run("tokens", "issue", "--customer", "acme", "--role", "desktop", "--agents", "-", stdin="1\r\n2")
    assert len(piped.stdout.splitlines()) == 2


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"1\n\n2\n", "line 2: the agent id is empty"),
        (b"1\nb\x07\n", "line 2: the agent id has the character U+0007 at place 2"),
        (b"1\n" + b"x" * 5000, "line 2: the agent id has"),
        (b"1\n\xff\n", "not UTF-8"),
        (b"", "no agent id"),
    ],
)
def test_a_wrong_line_among_the_agents_issues_nothing(run: Run, content: bytes, complaint: str) -> None:
    arguments = ("tokens", "issue", "--customer", "acme", "--role", "desktop", "--agents", "-")
    assert complaint in run(*arguments, stdin=content, exit_code=2).stderr
    assert json.loads(run("tokens", "list", "--json").stdout) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ("keys", "issue"),
        ("keys", "issue", "--customer", "acme", "--expires", "30"),
        ("keys", "issue", "--customer", "acme", "--expires", "0s"),
        ("keys", "issue", "--customer", "acme", "--expires", "9999d"),
        ("keys", "issue", "--customer", "acme", "--name", "\x1b[2J"),
        ("keys", "regenerate", "key-1", "--grace", "soon"),
        ("tokens", "issue", "--customer", "acme", "--role", "key"),
        ("tokens", "issue", "--customer", "acme", "--role", "desktop"),
        ("tokens", "issue", "--customer", "acme", "--role", "feed", "--agent", "1"),
        ("tokens", "issue", "--customer", "acme", "--role", "feed", "--agents", "-"),
        ("tokens", "issue", "--customer", "acme", "--role", "desktop", "--agent", "1", "--agents", "-"),
        ("users", "add", "--customer", "acme", "--username", "ann"),
        ("users", "add", "--customer", "acme", "--username", "a:b", "--password-stdin"),
        ("users", "remove"),
        ("users", "remove", "ann", "--username", "bob"),
        ("users", "passwd", "ann"),
    ],
)
def test_what_cannot_be_understood_is_exit_2(run: Run, arguments: tuple[str, ...]) -> None:
    assert "Error: " in run(*arguments, stdin=PASSWORD, exit_code=2).stderr


@pytest.mark.parametrize("agent", ["", "x" * 129, "a\nb", "\x7f", "\x85", "\ufffe", "\uffff", "\udc80"])
def test_an_agent_id_that_cannot_be_is_exit_2(run: Run, agent: str) -> None:
    run("tokens", "issue", "--customer", "acme", "--role", "desktop", "--agent", agent, exit_code=2)
    run(
        *("users", "add", "--customer", "acme", "--username", "ann", "--agent", agent, "--password-stdin"),
        stdin=PASSWORD,
        exit_code=2,
    )


@pytest.mark.parametrize("agent", ["x" * 128, " ", "#", "+/%$", "😀"])
def test_an_agent_id_is_opaque(run: Run, agent: str) -> None:
    run("tokens", "issue", "--customer", "acme", "--role", "desktop", "--agent", agent)
    assert json.loads(run("tokens", "list", "--json").stdout)[0]["agent"] == agent


def test_what_cannot_be_done_is_exit_3_with_the_nearest(run: Run) -> None:
    key = id_of(run("keys", "issue", "--customer", "acme"))
    token = id_of(run("tokens", "issue", "--customer", "acme", "--role", "feed"))
    assert f"nearest is '{key}'" in run("keys", "revoke", key[:-2], exit_code=3).stderr
    assert f"nearest is '{key}'" in run("keys", "regenerate", token, exit_code=3).stderr
    assert f"nearest is '{token}'" in run("tokens", "revoke", key, exit_code=3).stderr
    assert "nearest is 'acme'" in run("keys", "issue", "--customer", "acne", exit_code=3).stderr
    run("keys", "revoke", key)
    assert "issue a new one" in run("keys", "regenerate", key, exit_code=3).stderr


def test_a_user_goes_through_its_life(run: Run) -> None:
    add = ("users", "add", "--customer", "acme", "--password-stdin", "--username")
    assert "may use the Cloud API" in run(*add, "crm", stdin=PASSWORD + "\n").stderr
    assert "opens the desktop of agent 1001" in run(*add, "ann", "--agent", "1001", stdin=PASSWORD).stderr
    assert "already" in run(*add, "ann", stdin=PASSWORD, exit_code=3).stderr
    listed = json.loads(run("users", "list", "--json").stdout)
    assert [(one["username"], one["kind"], one.get("agent")) for one in listed] == [
        ("ann", "agent", "1001"),
        ("crm", "cloud", None),
    ]
    assert re.search(r"agent +ann +acme +1001 +\S+Z +\S+Z\n", run("users", "list", "--customer", "acme").stdout)
    assert "new password" in run("users", "passwd", "ann", "--password-stdin", stdin=PASSWORD).stderr
    assert "new password" in run("users", "passwd", "--username", "ann", "--password-stdin", stdin=PASSWORD).stderr
    assert "nearest is 'ann'" in run("users", "remove", "anna", exit_code=3).stderr
    run("users", "remove", "ann", "--customer", "globex", exit_code=3)
    assert "is removed" in run("users", "remove", "ann").stderr
    assert "is removed" in run("users", "remove", "--username", "crm").stderr
    assert json.loads(run("users", "list", "--json").stdout) == []


@pytest.mark.parametrize("password", ["", "1234567", "1234567\n", "x" * 1025, b"\xff" * 10])
def test_a_password_that_cannot_be_is_exit_2_and_not_repeated(run: Run, password: str | bytes) -> None:
    refused = run(
        "users", "add", "--customer", "acme", "--username", "ann", "--password-stdin", stdin=password, exit_code=2
    )
    assert "The password on stdin" in refused.stderr
    assert not password or str(password) not in refused.stderr


def test_only_one_newline_is_not_part_of_the_password(run: Run) -> None:
    run("users", "add", "--customer", "acme", "--username", "ann", "--password-stdin", stdin="1234567\n\n")
    run("users", "passwd", "ann", "--password-stdin", stdin="é" * 1024 + "\r\n")


def test_importing_the_commands_loads_nothing_slow() -> None:
    program = (
        "import sys, bridge.cli.keys, bridge.cli.tokens, bridge.cli.users\n"
        "print(sorted({'jwt', 'cryptography', 'argon2', 'aiosqlite', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
