# ruff: noqa: ASYNC240 - the event loop has nothing else to do

import asyncio
import sqlite3
from pathlib import Path

import pytest

from bridge.credentials import authority
from bridge.credentials.authority import ALL_ROLES, Credentials
from bridge.credentials.refusals import EndedError, Reason, Refused, TooManyError, UnknownIdError, UnusableError
from bridge.words.principal import Role
from tests.credentials.conftest import Clock

DAY = 86_400.0


def refused(credentials: Credentials, token: str, now: float) -> Reason | None:
    try:
        credentials.verify(token, ALL_ROLES, now)
    except Refused as refusal:
        return refusal.reason
    return None


async def test_ten_thousand_tokens_come_in_the_order_of_the_agents(credentials: Credentials, clock: Clock) -> None:
    agents = [f"agent {number}" for number in range(10_000)]
    issued = await credentials.issue_many(Role.DESKTOP, "acme", agents, expires_in=3600)
    assert [credentials.verify(one.token, ALL_ROLES, clock.now).agent for one in issued] == agents
    assert len({one.id for one in issued}) == 10_000


async def test_a_list_shows_what_is_known_newest_first(credentials: Credentials, clock: Clock) -> None:
    key = await credentials.issue(Role.KEY, "acme", name="switchboard", expires_in=DAY)
    clock.now += 1
    desktop = await credentials.issue(Role.DESKTOP, "globex", agent="1001", expires_in=60)
    assert [one.id for one in await credentials.list_credentials()] == [desktop.id, key.id]
    assert [one.id for one in await credentials.list_credentials({Role.KEY})] == [key.id]
    (listed,) = await credentials.list_credentials(customer="acme")
    assert (listed.role, listed.name, listed.agent, listed.uses, listed.last_used) == (
        *(Role.KEY, "switchboard", None),
        *(0, None),
    )
    assert [one.state(clock.now + 60) for one in await credentials.list_credentials()] == ["expired", "active"]


async def test_revoking_is_at_once_and_for_good(credentials: Credentials, data: Path, clock: Clock) -> None:
    issued = await credentials.issue(Role.KEY, "acme", expires_in=DAY)
    assert await credentials.revoke(issued.id)
    assert not await credentials.revoke(issued.id)
    assert (await credentials.find(issued.id)).state(clock.now) == "revoked"
    async with Credentials.open(data, clock=clock) as restarted:
        assert refused(restarted, issued.token, clock.now) is Reason.REVOKED


async def test_an_unknown_id_is_answered_with_the_nearest_of_its_kind(credentials: Credentials) -> None:
    with pytest.raises(UnknownIdError, match="there is none at all"):
        await credentials.revoke("key-1")
    key = await credentials.issue(Role.KEY, "acme", expires_in=DAY)
    desktop = await credentials.issue(Role.DESKTOP, "acme", agent="1", expires_in=DAY)
    with pytest.raises(UnknownIdError) as unknown:
        await credentials.revoke(key.id[:-1])
    assert unknown.value.nearest == key.id
    with pytest.raises(UnknownIdError):
        await credentials.revoke(desktop.id, {Role.KEY})
    assert (await credentials.find(desktop.id)).ends is None


async def test_a_regenerated_key_ends_at_once(credentials: Credentials, clock: Clock) -> None:
    old = await credentials.issue(Role.KEY, "acme", name="switchboard", expires_in=DAY)
    clock.now += 3600
    new, _ = await credentials.regenerate(old.id)
    assert refused(credentials, old.token, clock.now) is Reason.REVOKED
    assert refused(credentials, new.token, clock.now) is None
    listed = await credentials.find(new.id)
    assert (listed.name, listed.customer, listed.expires - listed.issued) == ("switchboard", "acme", DAY)


async def test_a_grace_keeps_the_old_key_for_so_long_and_no_longer(
    credentials: Credentials, data: Path, clock: Clock
) -> None:
    old = await credentials.issue(Role.KEY, "acme", expires_in=30 * DAY)
    new, ending = await credentials.regenerate(old.id, grace=DAY)
    assert ending.state(clock.now) == "ending"
    assert ending.ends == clock.now + DAY
    async with Credentials.open(data, clock=clock) as restarted:
        for one in (credentials, restarted):
            assert refused(one, old.token, clock.now + DAY - 0.001) is None
            assert refused(one, old.token, clock.now + DAY) is Reason.REVOKED
            assert refused(one, new.token, clock.now + DAY) is None


async def test_a_grace_lengthens_no_life(credentials: Credentials, clock: Clock) -> None:
    old = await credentials.issue(Role.KEY, "acme", expires_in=60)
    _, still = await credentials.regenerate(old.id, grace=DAY)
    assert still.ends is None
    assert refused(credentials, old.token, clock.now + 60) is Reason.EXPIRED
    another = await credentials.issue(Role.KEY, "acme", expires_in=DAY)
    await credentials.regenerate(another.id, grace=60)
    _, ending = await credentials.regenerate(another.id, grace=3600)
    assert ending.ends == clock.now + 60


async def test_what_was_revoked_is_not_regenerated_but_what_expired_is(credentials: Credentials, clock: Clock) -> None:
    revoked = await credentials.issue(Role.KEY, "acme", expires_in=DAY)
    await credentials.revoke(revoked.id)
    with pytest.raises(EndedError, match="issue a new one"):
        await credentials.regenerate(revoked.id)
    expired = await credentials.issue(Role.KEY, "acme", expires_in=60)
    clock.now += 60
    new, _ = await credentials.regenerate(expired.id)
    assert refused(credentials, new.token, clock.now) is None


async def test_uses_are_listed_once_they_are_written(data: Path, clock: Clock) -> None:
    async with Credentials.open(data, clock=clock) as credentials:
        issued = await credentials.issue(Role.KEY, "acme", expires_in=DAY)
        for second in range(3):
            credentials.used(issued.id, f"192.0.2.{second}", clock.now + second)
    async with Credentials.open(data, clock=clock) as credentials:
        credentials.used(issued.id, "192.0.2.9", clock.now + 9)
        credentials.used("key-unknown", "192.0.2.9", clock.now + 9)
    async with Credentials.open(data, clock=clock) as credentials:
        (listed,) = await credentials.list_credentials()
    assert (listed.last_used, listed.last_address, listed.uses) == (clock.now + 9, "192.0.2.9", 4)


async def test_a_credential_is_forgotten_a_month_after_its_end(credentials: Credentials, clock: Clock) -> None:
    revoked = await credentials.issue(Role.KEY, "acme", expires_in=365 * DAY)
    kept = await credentials.issue(Role.KEY, "acme", expires_in=365 * DAY)
    await credentials.revoke(revoked.id)
    clock.now += authority.KEPT_AFTER_END - 1
    await credentials.purge()
    assert len(await credentials.list_credentials()) == 2
    clock.now += 1
    await credentials.purge()
    assert [one.id for one in await credentials.list_credentials()] == [kept.id]
    assert refused(credentials, revoked.token, clock.now) is Reason.REVOKED
    assert refused(credentials, kept.token, clock.now) is None


async def test_the_registry_has_a_bound(credentials: Credentials, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authority, "MAX_LIVE", 2)
    await credentials.issue(Role.KEY, "acme", expires_in=60)
    with pytest.raises(TooManyError):
        await credentials.issue_many(Role.DESKTOP, "acme", ["1", "2"], expires_in=60)
    await credentials.issue(Role.KEY, "acme", expires_in=60)
    assert len(await credentials.list_credentials()) == 2


async def test_no_secret_is_in_any_file(data: Path, clock: Clock) -> None:
    secrets: list[str] = []
    async with Credentials.open(data, clock=clock) as credentials:
        many = await credentials.issue_many(Role.DESKTOP, "acme", ["1", "2"], expires_in=60)
        key = await credentials.issue(Role.KEY, "acme", name="switchboard", expires_in=60)
        new, _ = await credentials.regenerate(key.id, grace=5)
        await credentials.add_user("ann", "correct horse battery", "acme")
        await credentials.set_password("ann", "staple staple staple", "acme")
        for one in (*many, key, new):
            credentials.verify(one.token, ALL_ROLES, clock.now)
            credentials.used(one.id, "192.0.2.1", clock.now)
            secrets += [one.token, *one.token.split(".")[1:]]
        secrets += ["correct horse battery", "staple staple staple"]
        open_files = {file.name: file.read_bytes() for file in data.iterdir()}
    closed_files = {file.name: file.read_bytes() for file in data.iterdir()}
    assert {"credentials.db-wal", "credentials.db", "signing.key"} <= set(open_files)
    for content in (*open_files.values(), *closed_files.values()):
        assert not [secret for secret in secrets if secret.encode() in content]
    assert key.id.encode() in closed_files["credentials.db"]


async def test_a_database_that_is_not_ours_stops_the_start_with_its_name(data: Path) -> None:
    data.mkdir()
    (data / "credentials.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(UnusableError, match="not a database"):
        async with Credentials.open(data):
            pass
    (data / "credentials.db").unlink()
    with sqlite3.connect(data / "credentials.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(UnusableError, match=r"credentials\.db was made by another version"):
        async with Credentials.open(data):
            pass


async def test_a_data_directory_that_is_a_file_stops_the_start_with_its_name(data: Path) -> None:
    data.write_text("")
    with pytest.raises(UnusableError, match=r"data cannot be used: File exists"):
        async with Credentials.open(data):
            pass


async def test_what_the_caller_raises_comes_out_as_it_is(data: Path) -> None:
    with pytest.raises(LookupError, match="mine"):
        async with Credentials.open(data):
            raise LookupError("mine")


async def test_a_database_that_breaks_takes_the_caller_down(data: Path) -> None:
    with pytest.raises(ExceptionGroup) as group:  # noqa: PT012 - the waiting is the test
        async with Credentials.open(data):
            with sqlite3.connect(data / "credentials.db") as connection:
                connection.execute("DROP TABLE changes")
            connection.close()
            await asyncio.Event().wait()
    assert group.group_contains(UnusableError, match="changes")
