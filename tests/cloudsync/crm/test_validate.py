import datetime as dt
import re
import shutil
import time
from pathlib import Path

from bridge.cloudsync.mapping.asked import FIELDS
from bridge.cloudsync.simulator.endpoints import Endpoints
from bridge.crm import keypair, validate
from bridge.crm.validate import Finding
from bridge.words.settings import Crm
from tests.cloudsync.crm.conftest import Settings

ENTITIES = ("SupportTicket", "VideoSession", "UserPresence")


async def tried(crm: Crm, folder: Path, ahead: float = 0.0) -> list[Finding]:
    return [one async for one in validate.findings(crm, folder, ENTITIES, FIELDS, lambda: time.time() + ahead)]


async def test_everything_is_tried_in_order(settings: Settings, folder: Path, crm: Endpoints) -> None:
    found = await tried(settings(), folder)
    assert [one.step for one in found] == [
        *("key", "certificate", "endpoint", "network", "token"),
        *ENTITIES,
        *("User", "Group", "Status", "PresenceStatus"),
    ]
    assert all(one.ok for one in found), found
    assert [method for method, _ in crm.asked] == ["GET", "POST", *["GET"] * 7]
    fingerprint = keypair.certificate(folder, dt.datetime.now(dt.UTC)).fingerprint
    assert fingerprint in found[1].said


async def test_it_stops_at_the_first_failure(settings: Settings, folder: Path, crm: Endpoints, tmp_path: Path) -> None:
    for crm_settings, where, step, hint in (
        (settings(), tmp_path, "key", "keypair"),
        (settings(token_endpoint=None, sandbox=True), folder, "endpoint", "audience"),
        (settings(token_endpoint="https://test.cloudsync.com/services/oauth2/token"), folder, "endpoint", "sandbox"),
        (settings(token_endpoint="http://login.cloudsync.com/x"), folder, "endpoint", "https"),
        (settings(consumer_key="another"), folder, "token", "consumer_key"),
        (settings(query_path="/elsewhere?q={query}"), folder, "SupportTicket", "query_path"),
        (settings(records_path="/elsewhere?q={ids}"), folder, "User", "records_path"),
    ):
        found = await tried(crm_settings, where)
        assert [one.ok for one in found] == [True] * (len(found) - 1) + [False], found
        assert found[-1].step == step, found
        assert hint in found[-1].said


async def test_a_login_page_in_place_of_tokens_is_recognised(settings: Settings, folder: Path, crm: Endpoints) -> None:
    crm.say("token", 200, "<!DOCTYPE html><html>Login</html>")
    found = await tried(settings(), folder)
    assert (found[-1].step, found[-1].ok) == ("token", False)
    assert found[-1].said.startswith("login_page")


async def test_a_clock_far_off_stops_it_and_a_little_off_warns(settings: Settings, folder: Path) -> None:
    far = await tried(settings(), folder, ahead=600)
    assert (far[-1].step, far[-1].ok) == ("network", False)
    assert re.search(r"(59|60)\d s ahead", far[-1].said)
    near = await tried(settings(), folder, ahead=-60)
    assert near[3].warning
    assert "behind" in near[3].said
    assert near[-1].ok


async def test_nothing_secret_is_told(settings: Settings, folder: Path, crm: Endpoints, tmp_path: Path) -> None:
    for name in ("cloudsync.key", "cloudsync.crt"):
        shutil.copy(folder / name, tmp_path / name)
    told = repr(await tried(settings(), tmp_path))
    key = (tmp_path / "cloudsync.key").read_text().splitlines()
    assert not [line for line in key[1:-1] if line in told]
    assert "eyJ" not in told
    assert crm.app.consumer_key not in told
    assert not [token for token in crm._tokens if token in told]
