import asyncio
import datetime as dt
import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from bridge.cli.cloudsync import cloudsync
from bridge.cli.house import House, furnish
from bridge.cloudsync.simulator import world
from bridge.cloudsync.simulator.centre import Centre, Size
from bridge.cloudsync.simulator.endpoints import TOKEN_PATH, App, Endpoints
from bridge.cloudsync.simulator.shelf import Shelf

SMALL = ("--agents", "6", "--tickets", "20", "--sessions", "40")
CONFIG = """\
customers:
  acme:
    cloudsync:
      feeds: [lsm, stt, cim]
      entities: [SupportTicket, ChatSession, VideoSession, UserPresence]
      crm: {crm}
  other: {{}}
"""

Run = Callable[..., Result]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "broker.yaml").write_text(CONFIG.format(crm="null"))
    return folder


@pytest.fixture
def run(data: Path) -> Run:
    @click.group()
    def popbridge() -> None:
        pass

    popbridge.add_command(furnish(cloudsync))

    def invoke(*words: str, exit_code: int = 0, stdin: bytes = b"") -> Result:
        arguments = ["cloudsync", *words, "--data", str(data)]
        result = CliRunner().invoke(popbridge, arguments, obj=House(), input=stdin)
        assert result.exit_code == exit_code, (result.output, result.exception)
        return result

    return invoke


@pytest.fixture
def crm(data: Path, run: Run) -> Iterator[Endpoints]:
    """A CRM in a thread of its own, which the configuration names."""
    run("keypair")
    app = App(certificate=data / "cloudsync.crt")
    endpoints = Endpoints(app, Shelf(world.make(1)))
    ready, over = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        async with endpoints.running():
            loops.append(asyncio.get_running_loop())
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(20)
    said = {
        "consumer_key": app.consumer_key,
        "user_id": app.user_id,
        "token_endpoint": f"{endpoints.url}{TOKEN_PATH}",
        "audience": app.audience,
    }
    (data / "broker.yaml").write_text(CONFIG.format(crm=json.dumps(said)))
    yield endpoints
    loops[0].call_soon_threadsafe(over.set)
    thread.join(20)


def test_a_key_pair_is_made_and_not_lost(run: Run, data: Path) -> None:
    made = run("keypair", "--customer", "acme")
    assert made.stdout.strip() == str(data / "cloudsync.crt")
    assert re.search(r"SHA-256 ([0-9A-F]{2}:){31}[0-9A-F]{2}", made.stderr)
    assert (data / "cloudsync.key").stat().st_mode & 0o777 == 0o600
    key = (data / "cloudsync.key").read_bytes()
    assert "exists" in run("keypair", exit_code=3).stderr
    assert (data / "cloudsync.key").read_bytes() == key
    run("keypair", "--replace")
    assert (data / "cloudsync.key").read_bytes() != key


def test_validate_tries_everything_and_writes_a_result_without_secrets(run: Run, data: Path, crm: Endpoints) -> None:
    tried = run("validate")
    assert [line.split()[1] for line in tried.stdout.splitlines()] == [
        *("key", "certificate", "endpoint", "network", "token"),
        *("SupportTicket", "ChatSession", "VideoSession", "UserPresence"),
        *("User", "Group", "Status", "PresenceStatus"),
    ]
    told = (data / "cloudsync-validate-acme.json").read_text()
    assert json.loads(told)["success"] is True
    pem = (data / "cloudsync.key").read_text().splitlines()[1:-1]
    for text in (told, tried.output):
        assert not [line for line in pem if line in text]
        assert "eyJ" not in text
        assert not [token for token in crm._tokens if token in text]


def test_validate_stops_and_says_what_to_change(run: Run, data: Path, crm: Endpoints, tmp_path: Path) -> None:
    crm.say("token", 400, '{"error": "invalid_grant", "error_description": "user hasn\'t approved this consumer"}')
    result = tmp_path / "result.json"
    tried = run("validate", "--customer", "acme", "--result", str(result), exit_code=1)
    last = tried.stdout.splitlines()[-1]
    assert last.startswith("failed  token")
    assert "Admin approved users are pre-authorized" in last
    assert json.loads(result.read_text())["findings"][-1]["ok"] is False


def test_validate_of_the_sandbox_sees_that_the_settings_agree(run: Run, data: Path) -> None:
    run("keypair")
    said = '{consumer_key: k, user_id: u, token_endpoint: "https://login.cloudsync.com/services/oauth2/token"}'
    (data / "broker.yaml").write_text(CONFIG.format(crm=said))
    tried = run("validate", "--sandbox", exit_code=1)
    assert "`token_endpoint` is the production endpoint, but `sandbox` is true" in tried.stdout


def test_who_has_no_crm_is_told_so(run: Run) -> None:
    assert "cloudsync.crm" in run("validate", "--customer", "acme", exit_code=3).stderr
    assert "cloudsync.crm" in run("sync", "--customer", "acme", exit_code=3).stderr
    assert "did you mean 'acme'" in run("status", "--customer", "acmee", exit_code=3).stderr


def test_sync_waits_for_a_bridge_that_takes_it(run: Run, data: Path, crm: Endpoints) -> None:
    wish = data / "cloudsync-sync-acme.wish"

    def take() -> None:
        while not wish.exists():
            pass
        wish.unlink()

    taker = threading.Thread(target=take)
    taker.start()
    assert "asks the CRM anew" in run("sync").stderr
    taker.join(20)


def test_a_simulated_day_goes_into_a_file_with_its_truth(run: Run, data: Path, tmp_path: Path) -> None:
    events, truth, mapping = (tmp_path / name for name in ("events", "truth", "mapping"))
    out = ("--out", str(events), "--truth", str(truth), "--mapping", str(mapping))
    done = run("simulate", "--seed", "4", "--day", "2026-06-01", "--speed", "0", *SMALL, *out, "--duplicates", "0.3")
    count = int(done.stderr.split()[0])
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    assert len(lines) == count
    assert lines[0]["channel"].startswith("data/")
    day = Centre(4, dt.date(2026, 6, 1), Size(agents=6, tickets=20, sessions=40))
    told = [json.loads(line) for line in truth.read_text().splitlines()]
    assert [one["id"] for one in told] == [one.id for one in day.truth()]
    assert told[0].keys() == {"entity", "id", "history"}
    assert {entity: len(records) for entity, records in json.loads(mapping.read_text()).items()}["User"] == 6


def test_a_simulated_day_can_be_filled_in_later_twice(run: Run, data: Path, tmp_path: Path) -> None:
    events = tmp_path / "events"
    day = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=2)
    run("simulate", "--day", f"{day}", "--speed", "0", *SMALL, "--out", str(events))
    count = len(events.read_text().splitlines())
    span = ("--from", f"{day}T00:00:00Z", "--to", f"{day}T23:59:00Z")
    first = run("backfill", *span, str(events)).stderr
    assert f"{count} events are new, 0 were known, 0 could not be read" in first
    again = run("backfill", "-", stdin=events.read_bytes() + b"nonsense\n").stderr
    assert f"0 events are new, {count} were known, 1 could not be read" in again
    status = json.loads(run("status", "--json").stdout)
    assert status["store"]["quarantined"] == 1
    assert status["store"]["records"] > 60
    assert "quarantined 1" in re.sub(" +", " ", run("status").stdout)
    run("recompute", *span)
    assert "0 events were read" in run("replay").stderr
    contact = re.search(rb"003[0-9]{12}AAA", events.read_bytes())
    assert contact
    erased = run("erase-contact", contact[0].decode()).stderr
    assert int(erased.split()[0]) >= 1
    run("erase-contact", "nonsense", exit_code=3)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("recompute", "--from", "2026-06-01", "--to", "2026-06-02T00:00:00Z"), "has no zone"),
        (("recompute", "--from", "yesterday", "--to", "2026-06-02T00:00:00Z"), "is not a time"),
        (("recompute", "--from", "2026-06-03T00:00:00Z", "--to", "2026-06-02T00:00:00Z"), "before"),
        (("simulate", "--days", "0", "--truth", "truth"), "--days"),
        (("simulate", "--crm", "nowhere", "--out", "-"), "HOST:PORT"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(
    run: Run, words: tuple[str, ...], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert why in run(*words, exit_code=2).stderr
