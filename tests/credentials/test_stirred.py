"""The gate says when live connections must be looked at: a credential ended before its time, or a customer is gone."""

from bridge.credentials.authority import Credentials
from bridge.gate import Gate
from bridge.words.principal import Role
from bridge.words.settings import CloudPaths, Customer
from tests.credentials.conftest import Clock

DAY = 86_400.0


async def test_revocations_graces_and_customers_stir_and_nothing_else(credentials: Credentials, clock: Clock) -> None:
    customers = {"acme": Customer()}
    gate = Gate(credentials, lambda: customers, CloudPaths(), clock)
    first = await credentials.issue(Role.DESKTOP, "acme", agent="1001", expires_in=30 * DAY)
    second = await credentials.issue(Role.DESKTOP, "acme", agent="1002", expires_in=30 * DAY)
    assert gate.stirred(clock())
    assert not gate.stirred(clock())

    await credentials.revoke(first.id)
    assert gate.stirred(clock())
    assert not gate.stirred(clock())

    await credentials.regenerate(second.id, grace=60.0)
    principal = credentials.verify(second.token, {Role.DESKTOP}, clock())
    assert not gate.stirred(clock())
    clock.now += 60.0
    assert gate.stirred(clock())
    assert not gate.alive(principal, clock())

    customers = {"acme": Customer()}
    assert gate.stirred(clock())
    assert not gate.stirred(clock())
