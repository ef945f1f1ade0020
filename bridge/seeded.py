"""Seeded: what the demo has beside a plain bridge: credentials kept across runs, and lines that work as printed."""

import datetime as dt
import json
import os
import secrets
import shlex
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

import msgspec

from bridge import simulated
from bridge.credentials.refusals import Refused, UserExistsError
from bridge.service import Service
from bridge.words.principal import Role

CUSTOMER = "acme"
AGENTS = ("1001", "1002")
CLOUD_USER = "demo-cloud"

_LIVES = 30 * 86_400.0
_AT_LEAST = 86_400.0  # a credential that ends sooner is issued anew


class _Kept(msgspec.Struct):
    """`demo.json` in the data directory, mode 0600."""

    key: str = ""
    observer: str = ""
    desktops: dict[str, str] = {}
    passwords: dict[str, str] = {}
    simulated: bool = False


@asynccontextmanager
async def beside(service: Service, data: Path, *, simulator: bool) -> AsyncIterator[Iterable[str]]:
    """See that the demo's credentials and users exist; give the lines to print; let the simulated CloudSync run."""
    path = data / "demo.json"
    kept = _read(path)
    kept.key = await _token(service, kept.key, Role.KEY)
    kept.observer = await _token(service, kept.observer, Role.OBSERVER)
    for agent in AGENTS:
        kept.desktops[agent] = await _token(service, kept.desktops.get(agent, ""), Role.DESKTOP, agent)
    for user in (CLOUD_USER, *AGENTS):
        if user not in kept.passwords:
            kept.passwords[user] = secrets.token_urlsafe(12)
            await _user(service, user, kept.passwords[user])
    # The first start plays yesterday too, so that there is a whole day to look at.
    today = dt.datetime.fromtimestamp(service.now(), dt.UTC).date()
    since = today if kept.simulated else today - dt.timedelta(days=1)
    kept.simulated = kept.simulated or simulator
    _write(path, kept)
    async with AsyncExitStack() as stack:
        if simulator:
            await stack.enter_async_context(simulated.running(service, data, CUSTOMER, since=since))
        lines = list(_lines(service, kept, simulator=simulator))
        service.pages.show(
            {
                "customer": CUSTOMER,
                "key": kept.key,
                "observer": kept.observer,
                "desktops": kept.desktops,
                "cloud": {"username": CLOUD_USER, "password": kept.passwords[CLOUD_USER]},
                "lines": lines,
            }
        )
        yield lines


async def _token(service: Service, kept: str, role: Role, agent: str | None = None) -> str:
    """Take a kept token if it is still good for a while, else issue one."""
    now = service.now()
    if kept:
        try:
            if service.credentials.verify(kept, {role}, now).expires > now + _AT_LEAST:
                return kept
        except Refused:
            pass
    issued = await service.credentials.issue(role, CUSTOMER, name="demo", agent=agent, expires_in=_LIVES)
    return issued.token


async def _user(service: Service, name: str, password: str) -> None:
    try:
        await service.credentials.add_user(name, password, CUSTOMER, agent=name if name in AGENTS else None)
    except UserExistsError:
        await service.credentials.set_password(name, password, CUSTOMER)


def _read(path: Path) -> _Kept:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Kept)
    except (FileNotFoundError, msgspec.DecodeError):
        # None yet, or torn: everything in it can be made anew.
        return _Kept()


def _write(path: Path, kept: _Kept) -> None:
    draft = path.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(kept))
    draft.replace(path)


def _lines(service: Service, kept: _Kept, *, simulator: bool) -> Iterable[str]:
    http, mqtt = service.http.address, service.mqtt
    base = f"http://{http}/api/sendmessage"
    yield f"# Look at it: http://{http}/ tells what there is. The desktops of agents 1001 and 1002 in a browser:"
    for agent in AGENTS:
        yield f"http://{http}/desktop#{kept.desktops[agent]}"
    answered = {"agentid": "1001", "event": "On Answer", "caller": "+15551234567", "jwt": kept.key}
    waiting = answered | {"pop_wait": "5"}
    button = {
        "agentid": "1001",
        "crmid": "acme.example.com",
        "event": "On Ring",
        "caller": "+15551234567",
        "jwt": kept.key,
    }
    yield "# Trigger a pop for agent 1001: by GET, by POST from a CRM, and one that waits up to 5 s to be shown"
    yield f"curl -sS {shlex.quote(f'{base}/CTI?{urlencode(answered)}')}"
    yield (
        f"curl -sS -X POST {shlex.quote(f'{base}/CRM')} -H 'Content-Type: application/json' "
        f"-d {shlex.quote(json.dumps(button))}"
    )
    yield f"curl -sS {shlex.quote(f'{base}/CTI?{urlencode(waiting)}')}"
    yield "# Watch every pop of the customer as an observer; be the desktop of agent 1001"
    subscriber = f"mosquitto_sub -V mqttv311 -q 1 -h {mqtt.host} -p {mqtt.port}"
    yield f"{subscriber} -u {CUSTOMER} -P {kept.observer} -v -t 'CTI/{CUSTOMER}/#' -t 'CRM/{CUSTOMER}/#'"
    yield (
        f"{subscriber} -u {CUSTOMER}/1001 -P {kept.desktops['1001']} "
        f"-t CTI/{CUSTOMER}/1001 -t CTI/{CUSTOMER}/+/1001 -t CRM/{CUSTOMER}/+/1001"
    )
    for agent in AGENTS:
        yield (
            f"agent-client listen --server mqtt://{mqtt} --customer {CUSTOMER} --agent {agent} "
            f"--token {kept.desktops[agent]}"
        )
    if simulator:
        day = dt.datetime.fromtimestamp(service.now(), dt.UTC).date() - dt.timedelta(days=1)
        bearer = f"-H 'Authorization: Bearer {kept.observer}'"
        yield "# See the simulated contact centre: its floor now, a day's quarter hours, a day of its agents (as CSV)"
        yield f"curl -sS {bearer} http://{http}/api/lsm"
        span = f"from={day}T00:00:00Z&to={day + dt.timedelta(days=1)}T00:00:00Z"
        yield f"curl -sS {bearer} 'http://{http}/api/stt?{span}'"
        yield f"curl -sS {bearer} -H 'Accept: text/csv' 'http://{http}/api/cim?date={day}'"
    yield "# Get a desktop token as a person does, by user name and password"
    yield f"curl -sS -X POST -u 1001:{kept.passwords['1001']} http://{http}/api/desktop/token"
    for user, password in kept.passwords.items():
        yield f"password of {user}: {password}"
