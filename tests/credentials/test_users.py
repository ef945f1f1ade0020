import asyncio
from pathlib import Path

import pytest

from bridge.credentials import passwords
from bridge.credentials.authority import ALL_ROLES, Credentials
from bridge.credentials.passwords import Passwords
from bridge.credentials.refusals import OverloadedError, Refused, UnknownUserError, UserExistsError
from bridge.credentials.users import UserKind
from bridge.words.principal import Role
from tests.credentials.conftest import Clock

PASSWORD = "correct horse"


async def test_only_the_right_password_of_the_right_kind_opens(credentials: Credentials) -> None:
    cloud = await credentials.add_user("crm", PASSWORD, "acme")
    agent = await credentials.add_user("ann", PASSWORD, "acme", agent="1001")
    assert await credentials.check("crm", PASSWORD, UserKind.CLOUD) == cloud
    assert await credentials.check("ann", PASSWORD, UserKind.AGENT) == agent
    for username, password, kind in (
        ("crm", PASSWORD, UserKind.AGENT),
        ("ann", PASSWORD, UserKind.CLOUD),
        ("crm", PASSWORD + " ", UserKind.CLOUD),
        ("crm", "", UserKind.CLOUD),
        ("CRM", PASSWORD, UserKind.CLOUD),
        ("nobody", PASSWORD, UserKind.CLOUD),
        ("", "", UserKind.CLOUD),
        ("crm", PASSWORD * 100, UserKind.CLOUD),
        ("crm", "\ud800", UserKind.CLOUD),
    ):
        assert await credentials.check(username, password, kind) is None


async def test_a_user_name_is_unique_over_all_customers(credentials: Credentials) -> None:
    await credentials.add_user("crm", PASSWORD, "acme")
    with pytest.raises(UserExistsError):
        await credentials.add_user("crm", "another password", "globex", agent="1")
    assert [one.customer for one in await credentials.list_users()] == ["acme"]


async def test_an_unknown_user_is_answered_with_the_nearest(credentials: Credentials) -> None:
    with pytest.raises(UnknownUserError, match="there is none at all"):
        await credentials.remove_user("crm")
    await credentials.add_user("crm", PASSWORD, "acme")
    with pytest.raises(UnknownUserError) as unknown:
        await credentials.set_password("crn", PASSWORD)
    assert unknown.value.nearest == "crm"
    with pytest.raises(UnknownUserError, match="there is none at all"):
        await credentials.remove_user("crm", customer="globex")


async def test_a_new_password_ends_the_old_one_and_what_it_gave(credentials: Credentials, clock: Clock) -> None:
    user = await credentials.add_user("ann", PASSWORD, "acme", agent="1001")
    minted = await credentials.issue(Role.DESKTOP, "acme", agent="1001", user=user, expires_in=60)
    clock.now += 1
    assert await credentials.set_password("ann", "staple battery") == 1
    with pytest.raises(Refused, match="revoked"):
        credentials.verify(minted.token, ALL_ROLES, clock.now)
    assert await credentials.check("ann", PASSWORD, UserKind.AGENT) is None
    now_known = await credentials.check("ann", "staple battery", UserKind.AGENT)
    assert now_known is not None
    assert now_known.updated > now_known.created == user.created


@pytest.mark.parametrize("what", ["removed", "password changed"])
async def test_a_login_that_was_overtaken_gives_nothing(credentials: Credentials, what: str) -> None:
    await credentials.add_user("ann", PASSWORD, "acme", agent="1001")
    user = await credentials.check("ann", PASSWORD, UserKind.AGENT)
    if what == "removed":
        await credentials.remove_user("ann")
    else:
        await credentials.set_password("ann", "staple battery")
    with pytest.raises(UnknownUserError):
        await credentials.issue(Role.DESKTOP, "acme", agent="1001", user=user, expires_in=60)
    assert await credentials.list_credentials() == []


async def test_a_demos_users_are_unknown_to_everyone_else(data: Path) -> None:
    async with Credentials.open(data, demo=True) as demo:
        await demo.add_user("demo-cloud", PASSWORD, "acme")
        assert await demo.check("demo-cloud", PASSWORD, UserKind.CLOUD) is not None
    async with Credentials.open(data) as serving:
        assert await serving.check("demo-cloud", PASSWORD, UserKind.CLOUD) is None


async def test_the_hash_of_nobody_costs_what_a_real_one_does() -> None:
    with Passwords() as room:
        real = await room.hash(PASSWORD)
        nobodys = room._nobodys
        assert nobodys.split("$")[:4] == real.split("$")[:4]
        assert [len(part) for part in nobodys.split("$")] == [len(part) for part in real.split("$")]
        assert not await room.fits(PASSWORD, None)


async def test_more_logins_than_may_wait_are_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_WAITING", 3)
    with Passwords() as room:
        kept = await room.hash(PASSWORD)
        answers = await asyncio.gather(*(room.fits(PASSWORD, kept) for _ in range(5)), return_exceptions=True)
        assert answers[:3] == [True] * 3
        assert [type(answer) for answer in answers[3:]] == [OverloadedError] * 2
        assert await room.fits(PASSWORD, kept)
