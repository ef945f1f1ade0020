"""Gate: who comes in, by HTTP and by MQTT; a credential becomes a principal, or a refusal in the door's own words."""

import logging
import time
from collections.abc import Callable, Mapping

import msgspec

from bridge.broker.port import LoginRefused
from bridge.credentials.authority import Credentials
from bridge.credentials.refusals import OverloadedError, Reason, Refused, UnknownUserError, UnusableError
from bridge.credentials.throttle import Throttle
from bridge.credentials.users import UserKind
from bridge.words import errors
from bridge.words.principal import Principal, Role
from bridge.words.settings import Customer

DESKTOP_TOKEN_LIVES = 12 * 3600.0

_MQTT_ROLES = frozenset({Role.DESKTOP, Role.OBSERVER, Role.FEED})
_CONNACK_BAD_CREDENTIAL = 4
_CONNACK_NOT_AUTHORISED = 5

log = logging.getLogger("popbridge.gate")


class Grant(msgspec.Struct, frozen=True):
    """A desktop token for a person; `expires` in seconds since the epoch."""

    token: str
    expires: float
    customer: str
    agent: str


class Gate:
    """Verifies by the credentials room; knows the customers of broker.yaml, which may change while running."""

    def __init__(
        self,
        credentials: Credentials,
        customers: Callable[[], Mapping[str, Customer]],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._credentials = credentials
        self._customers = customers
        self._now = now
        self._throttle = Throttle()
        self.refused: dict[str, int] = {}

    def verify(self, token: str, address: str, *roles: Role) -> Principal:
        """Verify a credential at an HTTP door that takes these kinds; raise `invalid_key` or `forbidden`."""
        now = self._now()
        try:
            principal = self._credentials.verify(token, roles, now)
        except Refused as refused:
            self._count(refused.reason)
            if refused.reason is Reason.WRONG_KIND:
                raise errors.wrong_kind(roles) from None
            raise errors.invalid_key(refused.reason.replace("_", " ")) from None
        if principal.customer not in self._customers():
            raise errors.forbidden("This credential's customer is not in broker.yaml")
        self._credentials.used(principal.id, address, now)
        return principal

    async def grant_desktop(self, username: str, password: str, address: str) -> Grant:
        """Give a desktop token to a person with an agent; raise `invalid_credentials` or `rate_limited`."""
        now = self._now()
        blocked = self._throttle.blocked_for(username, address, now)
        if blocked > 0:
            raise errors.rate_limited("Too many failed logins of this user from this address", blocked)
        try:
            user = await self._credentials.check(username, password, UserKind.AGENT)
            if user is not None and user.agent is not None and user.customer in self._customers():
                self._throttle.succeeded(username, address)
                issued = await self._credentials.issue(
                    Role.DESKTOP, user.customer, agent=user.agent, user=user, expires_in=DESKTOP_TOKEN_LIVES
                )
                return Grant(issued.token, issued.expires, user.customer, user.agent)
        except OverloadedError:
            raise errors.overloaded("Too many logins at once") from None
        except UnusableError as error:
            log.warning("credentials: %s", error)
            raise errors.overloaded("The credentials cannot be read or written for now") from None
        except UnknownUserError:
            log.info("a user was removed, or got another password, while logging in from %s", address)
        self._throttle.failed(username, address, self._now())
        self._count(Reason.UNKNOWN_ID)
        raise errors.invalid_credentials("User name or password is wrong, or this user has no desktop")

    def login(self, username: str | None, password: bytes | None, origin: str | None) -> Principal:
        """Let an MQTT client in; see `bridge.broker.port.Gate`."""
        if not username or not password:
            raise LoginRefused(_CONNACK_BAD_CREDENTIAL, "no user name or no token")
        try:
            principal = self._credentials.verify(password.decode("ascii"), _MQTT_ROLES, self._now())
        except UnicodeDecodeError:
            raise LoginRefused(_CONNACK_BAD_CREDENTIAL, "the password is not a token") from None
        except Refused as refused:
            self._count(refused.reason)
            raise LoginRefused(_CONNACK_BAD_CREDENTIAL, f"token refused: {refused.reason}") from None
        expected = principal.customer if principal.agent is None else f"{principal.customer}/{principal.agent}"
        if username != expected:
            raise LoginRefused(_CONNACK_NOT_AUTHORISED, "the token is of another user name")
        customer = self._customers().get(principal.customer)
        if customer is None:
            raise LoginRefused(_CONNACK_NOT_AUTHORISED, "the token's customer is not in broker.yaml")
        if origin is not None and not customer.lists(origin):
            raise LoginRefused(_CONNACK_NOT_AUTHORISED, "the token's customer does not list the web page's origin")
        self._credentials.used(principal.id, "mqtt", self._now())
        return principal

    def alive(self, principal: Principal, now: float) -> bool:
        """Say whether the credential behind a live connection still counts; see `bridge.broker.port.Gate`."""
        return self._credentials.alive(principal, now) and principal.customer in self._customers()

    def _count(self, reason: Reason) -> None:
        self.refused[reason] = self.refused.get(reason, 0) + 1
