"""Login: who may have a connection, by its CONNECT and by the bounds, and what those are answered who may not."""

import uuid
from time import monotonic

from bridge.broker.conversation import Shared
from bridge.broker.core.packets import Connect
from bridge.broker.port import LoginRefused
from bridge.words.principal import Principal
from bridge.words.topics import Action


class Refusal(Exception):  # noqa: N818 - an answer
    """A client is answered CONNACK `code`; with a `kind` a bound is why, which is one warning in a while."""

    def __init__(self, code: int, reason: str, kind: str | None = None) -> None:
        super().__init__(reason)
        self.code = code
        self.kind = kind


def begin(shared: Shared, live: int, address: str) -> None:
    """Count a new connection as not yet logged in, or raise Refusal. `live` counts those that are served."""
    settings = shared.settings
    if live >= settings.max_connections + settings.max_connecting_per_address:
        raise Refusal(3, f"{live} connections (mqtt.max_connections)", "connections")
    if not shared.logins.began(address):
        limit = settings.max_connecting_per_address
        reason = f"{limit} of {address} are not logged in (mqtt.max_connecting_per_address)"
        raise Refusal(3, reason, "connecting")


def judge(shared: Shared, connect: Connect, live: int, address: str, origin: str | None) -> tuple[str, Principal]:
    """Say by which client id and as whom a client comes in, or raise Refusal."""
    settings = shared.settings
    if live - shared.logins.connecting >= settings.max_connections:
        raise Refusal(3, f"{settings.max_connections} are connected (mqtt.max_connections)", "connections")
    if shared.logins.blocked(address, monotonic()):
        limit = settings.max_failed_logins_per_address
        reason = f"{limit} logins from {address} failed within a minute (mqtt.max_failed_logins_per_address)"
        raise Refusal(3, reason, "failed")
    if not connect.client_id and not connect.clean:
        raise Refusal(2, "an empty client id needs a clean session")
    try:
        principal = shared.authentication.login(connect, origin)
    except LoginRefused as refusal:
        raise failed(shared, address, refusal.code, str(refusal)) from None
    will = connect.will
    if will is not None and (will.topic.startswith("$") or not shared.permits(principal, Action.PUBLISH, will.topic)):
        raise Refusal(5, "its will may not be published")
    return connect.client_id or f"auto-{uuid.uuid4().hex}", principal


def failed(shared: Shared, address: str, code: int, reason: str) -> Refusal:
    """Count a credential that is refused; give the answer."""
    shared.counters.logins_failed += 1
    shared.logins.failed(address, monotonic())
    return Refusal(code, reason)


def seat(shared: Shared, principal: Principal, client_id: str) -> None:
    """Raise Refusal if there is no room for this client's session."""
    if not shared.exchange.has_room(principal, client_id):
        raise Refusal(3, f"{shared.settings.max_sessions} sessions (mqtt.max_sessions)", "sessions")
