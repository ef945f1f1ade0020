"""Tokens of the Cloud API: who gets them, what each opens, and when they end."""

import asyncio

import aiohttp
import pytest

from tests.cloud.office import PASSWORD, Office, add_user
from tests.conftest import WITHIN, Answer, Bridge, basic, mqtt

ENVELOPE = ["Success", "Result", "Version"]


async def refresh(office: Office, token: str) -> Answer:
    return await office.post("/api/cloud/token/refresh", {"RefreshToken": token})


def is_refused(answer: Answer, status: int = 401, reason: str = "invalid_credentials") -> bool:
    return (
        answer.status == status
        and list(answer.said) == ENVELOPE
        and answer.said["Success"] is False
        and answer.said["Result"]["Reason"] == reason
        and "PopId" not in answer.said["Result"]
    )


@pytest.fixture
def user(office: Office, request: pytest.FixtureRequest) -> str:
    """A Cloud API user of acme, for one story."""
    return add_user(office.bridge, f"{request.node.name}@example.com")


async def test_the_answer_has_the_documents_names_in_their_order(office: Office, user: str) -> None:
    answer = await office.log_in(user)
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert list(answer.said) == ENVELOPE
    result = answer.said["Result"]
    assert list(result) == ["Authenticated", "IdToken", "AccessToken", "RefreshToken", "ExpiresIn", "User"]
    assert list(result["User"]) == ["Username", "Email", "Attributes", "Created", "LastUpdated", "Status"]
    assert answer.said["Success"] is True
    assert result["Authenticated"] is True
    assert result["ExpiresIn"] == 3600
    assert isinstance(result["ExpiresIn"], int)
    assert isinstance(answer.said["Version"], str)
    assert (result["User"]["Username"], result["User"]["Email"]) == (user, user)
    assert result["User"]["Created"].endswith("Z")
    assert len({result["IdToken"], result["AccessToken"], result["RefreshToken"]}) == 3


async def test_without_or_with_wrong_credentials_there_is_no_token(office: Office, user: str) -> None:
    for header in (None, "Basic !!!", f"Bearer {office.tokens['acme']}", basic(user, "wrong"), basic("nobody", "x")):
        async with office.http.get("/api/cloud/token", headers={"Authorization": header} if header else {}) as response:
            answer = Answer(response.status, await response.json(), response.headers)
        assert is_refused(answer), answer.said
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")
        assert "wrong" not in str(answer.said).replace("is wrong", "")


async def test_a_cloud_user_and_a_person_at_a_desktop_are_not_interchangeable(office: Office, user: str) -> None:
    person = add_user(office.bridge, "person", agent="1001")
    assert is_refused(await office.log_in(person))
    for name, status in ((person, 200), (user, 401)):
        given = {"Authorization": basic(name, PASSWORD)}
        async with office.http.post("/api/desktop/token", headers=given) as response:
            assert response.status == status
            said = await response.json()
            assert ("token" in said) is (status == 200)


async def test_only_the_id_token_pops(office: Office, user: str) -> None:
    result = (await office.log_in(user)).said["Result"]
    assert (await office.pop("nobody", token=result["IdToken"], pop_dryrun=1)).status == 200
    for kind in ("AccessToken", "RefreshToken"):
        assert is_refused(await office.pop("nobody", token=result[kind]))


async def test_no_other_credential_pops(office: Office, readers: dict[str, str]) -> None:
    agent = office.agent()
    for token in (office.bridge.key(), readers["acme"], readers["admin"], agent.token, "x", "a.b.c", " "):
        assert is_refused(await office.pop(agent, token=token))
    assert is_refused(await office.post("/api/cloud/pop", {"Username": agent.id, "Campaign": "Support"}))


async def test_cloud_tokens_open_no_other_door(office: Office, user: str) -> None:
    result = (await office.log_in(user)).said["Result"]
    for kind in ("IdToken", "AccessToken", "RefreshToken"):
        token = result[kind]
        for path in ("/api/pops", f"/api/pops/{'a' * 22}", "/api/agents", "/api/licence"):
            assert (await office.get(path, token)).status == 403
        said = {"agentid": "1001", "event": "On Ring", "jwt": token}
        assert (await office.post("/api/sendmessage/CTI", said)).status == 403
        for username in ("acme", "acme/1001", user):
            with pytest.raises(AssertionError, match="4"):
                async with mqtt(office.bridge, username, token):
                    pass


async def test_a_refresh_gives_the_same_answer_and_rotates(office: Office, user: str) -> None:
    first = (await office.log_in(user)).said
    second = await refresh(office, first["Result"]["RefreshToken"])
    assert second.status == 200
    assert list(second.said) == ENVELOPE
    assert list(second.said["Result"]) == list(first["Result"])
    assert second.said["Result"]["User"] == first["Result"]["User"]
    for kind in ("IdToken", "AccessToken", "RefreshToken"):
        assert second.said["Result"][kind] != first["Result"][kind]
    assert is_refused(await refresh(office, first["Result"]["RefreshToken"]))
    assert (await refresh(office, second.said["Result"]["RefreshToken"])).status == 200


async def test_of_simultaneous_refreshes_with_one_token_one_succeeds(office: Office, user: str) -> None:
    token = (await office.log_in(user)).said["Result"]["RefreshToken"]
    answers = await asyncio.gather(*(refresh(office, token) for _ in range(10)))
    assert sorted(answer.status for answer in answers) == [200] + [401] * 9


async def test_only_a_refresh_token_refreshes(office: Office, user: str) -> None:
    result = (await office.log_in(user)).said["Result"]
    for token in (result["IdToken"], result["AccessToken"], office.bridge.key(), "x"):
        assert is_refused(await refresh(office, token))
    for body, reason in ((b"{}", "missing_parameter"), (b"", "malformed_body"), (b"[]", "malformed_body")):
        assert is_refused(await office.post("/api/cloud/token/refresh", body), 400, reason)
    assert is_refused(await office.post("/api/cloud/token/refresh", {"refreshtoken": "x"}), 400, "missing_parameter")


@pytest.mark.parametrize("how", ["remove", "passwd"])
async def test_everything_ends_with_the_user_or_the_password(office: Office, user: str, how: str) -> None:
    result = (await office.log_in(user)).said["Result"]
    agent = office.agent()
    assert (await office.pop(agent, token=result["IdToken"], pop_dryrun=1)).status == 200
    more = ("--password-stdin",) if how == "passwd" else ()
    assert office.bridge.cli("users", how, user, *more, given="another long password").returncode == 0
    async with asyncio.timeout(WITHIN):
        while (await office.pop(agent, token=result["IdToken"], pop_dryrun=1)).status == 200:
            pass
    assert is_refused(await refresh(office, result["RefreshToken"]))
    assert is_refused(await office.log_in(user))
    assert (await office.log_in(user, "another long password")).status == (200 if how == "passwd" else 401)


async def test_failed_logins_are_throttled_by_user_and_address(office: Office, user: str) -> None:
    async with asyncio.timeout(WITHIN):
        right = 200
        while right == 200:  # the first wait is short: a machine that stalls may miss it
            while (answer := await office.log_in(user, "wrong")).status == 401:
                pass
            blocked = await office.log_in(user)
            right = blocked.status
    assert is_refused(answer, 429, "rate_limited")
    assert int(answer.headers["Retry-After"]) >= 1
    assert is_refused(blocked, 429, "rate_limited"), "the right password is not even looked at"
    assert (await office.log_in("user-of-acme")).status == 200
    elsewhere = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
    async with aiohttp.ClientSession(connector=elsewhere) as http:
        assert (await office.log_in(user, http=http)).status == 200


async def test_no_secret_is_logged(office: Office, user: str) -> None:
    result = (await office.log_in(user)).said["Result"]
    await refresh(office, result["RefreshToken"])
    await refresh(office, result["RefreshToken"])
    await office.pop("nobody", token=result["AccessToken"])
    log = office.bridge.log()
    assert PASSWORD not in log
    for kind in ("IdToken", "AccessToken", "RefreshToken"):
        assert result[kind].rpartition(".")[2] not in log


async def test_the_paths_are_configurable_and_the_refresh_is_below(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    config = """\
http: {bind: 127.0.0.1:0}
mqtt: {bind: 127.0.0.1:0}
cloud: {token_path: /vendor/v1/auth, pop_path: /vendor/v1/pop}
customers: {acme: {cloud: {enabled: true, campaigns: {Support: {}}}}}
"""
    bridge = Bridge(tmp_path_factory.mktemp("paths") / "data", config).start()
    try:
        add_user(bridge, "caller")
        async with aiohttp.ClientSession(bridge.http) as http:
            async with http.get("/vendor/v1/auth", headers={"Authorization": basic("caller", PASSWORD)}) as response:
                result = (await response.json())["Result"]
            again = {"RefreshToken": result["RefreshToken"]}
            async with http.post("/Vendor/V1/Auth/Refresh/", json=again) as response:
                assert response.status == 200
            bearer = {"Authorization": f"Bearer {result['IdToken']}"}
            said = {"Username": "1001", "Campaign": "Support"}
            async with http.post("/vendor/v1/pop", json=said, headers=bearer) as response:
                assert (await response.json())["Result"]["Status"] == "held"
            async with http.post("/api/cloud/pop", json=said, headers=bearer) as response:
                assert response.status == 404
    finally:
        assert bridge.stop() == 0


async def test_a_head_request_makes_no_tokens(office: Office, user: str) -> None:
    given = {"Authorization": basic(user, PASSWORD)}
    async with office.http.head("/api/cloud/token", headers=given) as response:
        assert response.status == 200
    assert user not in office.bridge.cli("tokens", "list").stdout
