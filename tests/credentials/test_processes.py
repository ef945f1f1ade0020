"""What one process does counts in another that is running."""

import time
from pathlib import Path

from bridge.credentials.authority import ALL_ROLES, Credentials
from bridge.credentials.refusals import Reason, Refused
from bridge.credentials.users import UserKind
from bridge.words.principal import Role
from tests.credentials.conftest import Command, eventually

DAY = 86_400.0


def refused(credentials: Credentials, token: str, now: float) -> Reason | None:
    try:
        credentials.verify(token, ALL_ROLES, now)
    except Refused as refusal:
        return refusal.reason
    return None


async def test_a_key_counts_from_when_another_process_issued_it_to_when_it_revoked_it(
    data: Path, popbridge: Command
) -> None:
    async with Credentials.open(data) as serving:
        stdout, stderr = await popbridge("keys", "issue", "--customer", "acme")
        token, key_id = stdout.strip(), stderr.split()[0]
        now = (await serving.find(key_id)).issued
        await eventually(lambda: refused(serving, token, now) is None)
        principal = serving.verify(token, ALL_ROLES, now)
        later = now + DAY
        await popbridge("keys", "revoke", key_id)
        await eventually(lambda: refused(serving, token, later) is Reason.REVOKED)
        assert not serving.alive(principal, later)


async def test_what_another_process_issued_counts_at_once(data: Path, popbridge: Command) -> None:
    async with Credentials.open(data, follow=False) as serving:
        await serving.issue(Role.KEY, "acme", expires_in=DAY)
        stdout, _ = await popbridge("keys", "issue", "--customer", "acme")
        assert serving.verify(stdout.strip(), {Role.KEY}, time.time()).customer == "acme"


async def test_a_regenerated_key_and_its_grace_count_in_the_running_process(data: Path, popbridge: Command) -> None:
    async with Credentials.open(data) as serving:
        old = await serving.issue(Role.KEY, "acme", expires_in=30 * DAY)
        stdout, _ = await popbridge("keys", "regenerate", old.id, "--grace", "1d")
        now = old.expires - 30 * DAY
        assert refused(serving, stdout.strip(), now) is None
        await eventually(lambda: refused(serving, old.token, now + 2 * DAY) is Reason.REVOKED)
        assert refused(serving, old.token, now) is None
        assert refused(serving, stdout.strip(), now + 2 * DAY) is None


async def test_the_running_process_signs_with_the_key_that_another_rotated_to(data: Path, popbridge: Command) -> None:
    async with Credentials.open(data) as serving:
        old = await serving.issue(Role.KEY, "acme", expires_in=DAY)
        await popbridge("keys", "rotate-signing")
        new = await serving.issue(Role.KEY, "acme", expires_in=DAY)
        theirs, _ = await popbridge("keys", "issue", "--customer", "acme")
        now = new.expires - DAY
        await eventually(lambda: refused(serving, theirs.strip(), now) is None)
        assert refused(serving, old.token, now) is None
        assert refused(serving, new.token, now) is None
        kids = [one.kid for one in await serving.list_credentials()]
        assert kids[0] == kids[1] != kids[2]


async def test_removing_a_user_elsewhere_ends_what_their_logins_gave(data: Path, popbridge: Command) -> None:
    async with Credentials.open(data) as serving:
        await popbridge(
            *("users", "add", "--customer", "acme", "--username", "ann", "--agent", "1001", "--password-stdin"),
            stdin="correct horse\n",
        )
        user = await serving.check("ann", "correct horse", UserKind.AGENT)
        assert user is not None
        minted = await serving.issue(Role.DESKTOP, "acme", agent=user.agent, user=user, expires_in=DAY)
        own = await serving.issue(Role.DESKTOP, "acme", agent=user.agent, expires_in=DAY)
        later = minted.expires - 1
        assert refused(serving, minted.token, later) is None
        await popbridge("users", "remove", "ann")
        await eventually(lambda: refused(serving, minted.token, later) is Reason.REVOKED)
        assert refused(serving, own.token, later) is None
        assert await serving.check("ann", "correct horse", UserKind.AGENT) is None


async def test_uses_in_the_running_process_are_listed_by_another(data: Path, popbridge: Command) -> None:
    async with Credentials.open(data) as serving:
        issued = await serving.issue(Role.KEY, "acme", expires_in=DAY)
        serving.used(issued.id, "192.0.2.1", issued.expires - DAY)
        serving.used(issued.id, "192.0.2.1", issued.expires - DAY)
        await eventually(lambda: not serving._uses._uses)
    stdout, _ = await popbridge("keys", "list")
    assert "192.0.2.1 2x" in stdout
