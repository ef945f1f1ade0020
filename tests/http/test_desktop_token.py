"""A person's way to a desktop token: user name and password."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import aiohttp
import pytest

from tests.broker.contract.client import Client
from tests.broker.contract.lines import TcpLine
from tests.conftest import WITHIN, Bridge, basic

PASSWORD = "correct: horse ünd battery"


@pytest.fixture(scope="module")
def people(bridge: Bridge) -> Iterator[None]:
    """Ann has a desktop; cloud-ann uses the Cloud API."""
    for words in (("ann@example.com", "--agent", "site/12"), ("cloud-ann",)):
        done = bridge.cli(
            "users", "add", "--customer", "acme", "--username", *words, "--password-stdin", given=PASSWORD
        )
        assert done.returncode == 0, done.stderr
    yield
    for name in ("ann@example.com", "cloud-ann"):
        assert bridge.cli("users", "remove", name).returncode == 0


async def ask(http: aiohttp.ClientSession, user: str, password: str) -> tuple[int, dict[str, object], str | None]:
    async with http.post("/api/desktop/token", headers={"Authorization": basic(user, password)}) as answer:
        return answer.status, await answer.json(), answer.headers.get("Retry-After")


@pytest.mark.usefixtures("people")
async def test_a_person_gets_a_token_that_opens_their_agents_desktop(
    bridge: Bridge, http: aiohttp.ClientSession
) -> None:
    status, said, _ = await ask(http, "ann@example.com", PASSWORD)
    assert status == 200
    assert list(said) == ["success", "token", "expires", "customer", "agentid", "username"]
    assert (said["customer"], said["agentid"], said["username"]) == ("acme", "site/12", "ann@example.com")
    assert datetime.fromisoformat(str(said["expires"])) > datetime.now(UTC)
    client = Client(await TcpLine.open("127.0.0.1", bridge.mqtt_port))
    assert await client.connect(username="acme/site/12", password=str(said["token"])) == (False, 0)
    assert await client.subscribe(("CTI/acme/site%2F12", 1), ("CTI/acme/site/12", 1)) == [1, 0x80]
    await client.drop()


@pytest.mark.usefixtures("people")
async def test_whatever_is_wrong_is_answered_alike(http: aiohttp.ClientSession) -> None:
    cases = [
        ("ann@example.com", "wrong"),
        ("nobody", PASSWORD),
        ("cloud-ann", PASSWORD),
        ("Ann@example.com", PASSWORD),
        ("", ""),
    ]
    answers = await asyncio.gather(*(ask(http, *case) for case in cases))
    assert {(status, said["code"]) for status, said, _ in answers} == {(401, "invalid_credentials")}
    assert len({said["detail"] for _, said, _ in answers}) == 1


async def test_without_basic_auth_it_is_401_and_says_what_it_wants(http: aiohttp.ClientSession) -> None:
    for headers in (
        {},
        {"Authorization": "Bearer x"},
        {"Authorization": "Basic !"},
        {"Authorization": "Basic bm9jb2xvbg=="},
    ):
        async with http.post("/api/desktop/token", headers=headers) as answer:
            assert answer.status == 401
            assert (await answer.json())["code"] == "invalid_credentials"
            assert answer.headers["WWW-Authenticate"].startswith("Basic")


async def test_get_is_no_way_to_a_token(http: aiohttp.ClientSession) -> None:
    async with http.get("/api/desktop/token") as answer:
        assert answer.status == 405


@pytest.mark.usefixtures("people")
async def test_many_failures_are_throttled_and_the_wait_is_told(bridge: Bridge, http: aiohttp.ClientSession) -> None:
    failures = 0
    async with asyncio.timeout(WITHIN):
        # On a slow machine a first, short wait may be over before the next try: it doubles with every failure.
        while (answer := await ask(http, "victim", "wrong"))[0] == 401:
            failures += 1
    status, said, after = answer
    assert failures >= 5
    assert (status, said["code"]) == (429, "rate_limited")
    assert after is not None
    assert int(after) >= 1
    assert (await ask(http, "ann@example.com", PASSWORD))[0] == 200


@pytest.mark.usefixtures("people")
async def test_a_changed_password_and_a_removed_user_end_their_tokens(
    bridge: Bridge, http: aiohttp.ClientSession
) -> None:
    add = ("users", "add", "--customer", "acme", "--username", "bob", "--agent", "bob", "--password-stdin")
    assert (await asyncio.to_thread(bridge.cli, *add, given=PASSWORD)).returncode == 0
    for words in (("users", "passwd", "bob", "--password-stdin"), ("users", "remove", "bob")):
        _, said, _ = await ask(http, "bob", PASSWORD if words[1] == "passwd" else "another password")
        client = Client(await TcpLine.open("127.0.0.1", bridge.mqtt_port))
        assert await client.connect(username="acme/bob", password=str(said["token"])) == (False, 0)
        done = await asyncio.to_thread(bridge.cli, *words, given="another password")
        assert done.returncode == 0, done.stderr
        async with asyncio.timeout(WITHIN):
            await client.ended()
        await client.drop()
        assert (await ask(http, "bob", PASSWORD))[0] == 401
