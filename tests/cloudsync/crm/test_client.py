import asyncio
import time
from email.utils import formatdate
from pathlib import Path

import pytest

from bridge.cloudsync.simulator.centre import Centre
from bridge.cloudsync.simulator.endpoints import BASE, TOKEN_PATH, Endpoints
from bridge.crm import keypair
from bridge.crm.client import Client, opened
from bridge.crm.troubles import Trouble
from tests.cloudsync.crm.conftest import Settings

USER = ("Id", "Name", "Username")


async def test_records_are_fetched_by_id_and_what_is_not_there_is_none(client: Client, centre: Centre) -> None:
    first, second = centre.world.agents[:2]
    ids = [first.id, "005000000000000AAA", second.id]
    found = await client.records("User", ids, USER)
    assert list(found) == ids
    assert found["005000000000000AAA"] is None
    record = found[first.id]
    assert record is not None
    assert {name: record[name] for name in USER} == {"Id": first.id, "Name": first.name, "Username": first.username}


async def test_a_template_may_take_one_record_at_a_time(settings: Settings, folder: Path, centre: Centre) -> None:
    crm = settings(records_path=f"{BASE}/sobjects/{{entity}}/{{id}}")
    async with opened(crm, keypair.private_key(folder)) as client:
        assert client.at_once == 1
        agent = centre.world.agents[0]
        found = await client.records("User", [agent.id], USER)
        assert found[agent.id]
        assert await client.records("User", ["005000000000000AAA"], USER) == {"005000000000000AAA": None}


async def test_a_query_comes_page_by_page(
    client: Client, crm: Endpoints, centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.cloudsync.simulator.shelf.PAGE", 15)
    pages = [page async for page in client.query("SELECT Id, LastModifiedDate FROM SupportTicket")]
    assert len(pages) > 2
    ids = [record["Id"] for page in pages for record in page]
    there = {step.record for step in centre.steps if step.entity == "SupportTicket"}
    assert len(ids) == len(set(ids))
    assert set(ids) == {id_ for id_ in there if crm.records.get("SupportTicket", id_)}


async def test_one_token_serves_for_many_requests_at_once(client: Client, crm: Endpoints, centre: Centre) -> None:
    ids = [agent.id for agent in centre.world.agents]
    await asyncio.gather(*(client.records("User", [id_], USER) for id_ in ids))
    assert crm.minted == 1


async def test_a_token_that_has_ended_is_minted_again_once(client: Client, crm: Endpoints, centre: Centre) -> None:
    ids = [agent.id for agent in centre.world.agents]
    await client.records("User", ids, USER)
    crm.forget_tokens()
    await asyncio.gather(*(client.records("User", [id_], USER) for id_ in ids))
    assert crm.minted == 2


async def test_a_token_that_is_never_taken_is_not_minted_for_ever(client: Client, crm: Endpoints) -> None:
    crm.say("get", 401, "[]", times=10)
    with pytest.raises(Trouble, match=r"^refused_token") as refused:
        await client.records("User", ["005000000000000AAA"], USER)
    assert refused.value.permanent
    assert crm.minted == 2


@pytest.mark.parametrize(
    ("changed", "code", "hint"),
    [
        ({"consumer_key": "another"}, "invalid_client_id", "consumer_key"),
        ({"user_id": "another@example.com"}, "invalid_grant", "pre-authorized"),
        ({"audience": "https://test.cloudsync.com"}, "invalid_grant", "audience"),
    ],
)
async def test_what_the_token_endpoint_refuses_is_explained(
    settings: Settings, folder: Path, changed: dict[str, str], code: str, hint: str
) -> None:
    async with opened(settings(**changed), keypair.private_key(folder)) as client:
        with pytest.raises(Trouble) as refused:
            await client.token()
    assert refused.value.row.code == code
    assert refused.value.permanent
    assert refused.value.token
    assert hint in str(refused.value)


async def test_a_clock_that_is_wrong_is_explained(settings: Settings, folder: Path) -> None:
    async with opened(settings(), keypair.private_key(folder), lambda: time.time() - 3600) as client:
        with pytest.raises(Trouble, match="clock"):
            await client.token()
        assert client.skew is not None
        assert 3500 < client.skew < 3700


@pytest.mark.parametrize(
    ("status", "body", "code", "permanent"),
    [
        (400, '{"error": "invalid_client", "error_description": "invalid client credentials"}', "invalid_client", True),
        (400, '{"error": "unsupported_grant_type"}', "unsupported_grant_type", True),
        (400, '{"error": "invalid_grant", "error_description": "something new"}', "invalid_grant", True),
        (400, '{"error": "something_new"}', "something_new", True),
        (200, "<html>Login</html>", "login_page", True),
        (302, "", "redirected", True),
        (200, "{}", "unreadable", True),
        (200, "nonsense", "unreadable", True),
        (500, "nonsense", "server_error", False),
        (503, "", "too_many_requests", False),
        (429, "", "too_many_requests", False),
    ],
)
async def test_each_answer_to_the_post_has_a_meaning(
    client: Client, crm: Endpoints, status: int, body: str, code: str, *, permanent: bool
) -> None:
    crm.say("token", status, body)
    with pytest.raises(Trouble) as refused:
        await client.token()
    assert (refused.value.row.code, refused.value.permanent) == (code, permanent)


@pytest.mark.parametrize(
    ("status", "body", "code", "permanent"),
    [
        (403, '[{"errorCode": "INSUFFICIENT_ACCESS"}]', "no_access", True),
        (403, '[{"errorCode": "REQUEST_LIMIT_EXCEEDED"}]', "limit_exceeded", False),
        (404, "[]", "no_such_path", True),
        (400, '[{"errorCode": "INVALID_FIELD"}]', "refused_request", True),
        (302, "", "redirected", True),
        (502, "<html>", "server_error", False),
        (200, "<html>", "unreadable", True),
    ],
)
async def test_each_answer_to_a_get_has_a_meaning(
    client: Client, crm: Endpoints, status: int, body: str, code: str, *, permanent: bool
) -> None:
    crm.say("get", status, body)
    with pytest.raises(Trouble) as refused:
        await client.records("User", ["005000000000000AAA"], USER)
    assert (refused.value.row.code, refused.value.permanent, refused.value.token) == (code, permanent, False)


@pytest.mark.parametrize("seconds", [60.0, 600.0])
async def test_retry_after_is_read_as_seconds_or_as_a_date(client: Client, crm: Endpoints, seconds: float) -> None:
    for said in (f"{seconds:.0f}", formatdate(time.time() + seconds, usegmt=True)):
        crm.say("get", 429, "[]", Retry_After=said)
        with pytest.raises(Trouble) as refused:
            await client.records("User", ["005000000000000AAA"], USER)
        assert refused.value.retry_after is not None
        assert seconds - 30 < refused.value.retry_after <= seconds


async def test_an_answer_that_does_not_come_is_a_time_out(settings: Settings, folder: Path, crm: Endpoints) -> None:
    crm.say("token", 0)
    async with opened(settings(timeout=0.2), keypair.private_key(folder)) as client:
        with pytest.raises(Trouble, match=r"^time_out") as late:
            await client.token()
    assert not late.value.permanent


async def test_a_host_that_is_not_there_is_explained(settings: Settings, folder: Path, crm: Endpoints) -> None:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    server.close()
    await server.wait_closed()
    for endpoint in (f"http://{host}:{port}{TOKEN_PATH}", crm.url.replace("http", "https")):
        async with opened(settings(token_endpoint=endpoint), keypair.private_key(folder)) as client:
            with pytest.raises(Trouble, match=r"^no_(connection|tls)"):
                await client.token()


async def test_no_trouble_ever_repeats_what_the_crm_said(client: Client, crm: Endpoints) -> None:
    secret = "eyJhbGciOiJSUzI1NiJ9.c2VjcmV0.c2VjcmV0"
    for body in (f'{{"error": "{secret}"}}', f'{{"error": "invalid_grant", "error_description": "{secret}"}}', secret):
        crm.say("token", 400, body)
        with pytest.raises(Trouble) as refused:
            await client.token()
        assert secret not in str(refused.value)
        assert secret not in repr(refused.value.__cause__)
