"""Gate: who comes in, by HTTP and by MQTT; a credential becomes a principal, or a refusal in the door's own words."""

import logging
import time
from collections.abc import Callable, Mapping

import msgspec

from bridge.broker.port import LoginRefused
from bridge.credentials.authority import Credentials, Issued
from bridge.credentials.refusals import (
    OverloadedError,
    Reason,
    Refused,
    UnknownIdError,
    UnknownUserError,
    UnusableError,
)
from bridge.credentials.throttle import Throttle
from bridge.credentials.users import User, UserKind
from bridge.words import errors
from bridge.words.principal import Principal, Role
from bridge.words.settings import CloudPaths, Customer

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


class CloudGrant(msgspec.Struct, frozen=True):
    """A Cloud user's tokens; `expires_in` is the IdToken's life in seconds, times are epoch seconds."""

    id_token: str
    access_token: str
    refresh_token: str
    expires_in: int
    username: str
    created: float
    updated: float


class Gate:
    """Verifies by the credentials room; knows the customers of broker.yaml, which may change while running."""

    def __init__(
        self,
        credentials: Credentials,
        customers: Callable[[], Mapping[str, Customer]],
        cloud: CloudPaths,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._credentials = credentials
        self._customers = customers
        self._cloud = cloud
        self._now = now
        self._throttle = Throttle()
        self.refused: dict[str, int] = {}
        self._state: tuple[int, Mapping[str, Customer]] = (-1, {})  # when it was asked last whether anything stirred

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
        user = await self._login(username, password, address, UserKind.AGENT)
        issued = await self._issue(Role.DESKTOP, user, DESKTOP_TOKEN_LIVES)
        return Grant(issued.token, issued.expires, user.customer, user.agent or "")

    async def grant_cloud(self, username: str, password: str, address: str) -> CloudGrant:
        """Give a Cloud user's tokens; raise `invalid_credentials` or `rate_limited`."""
        user = await self._login(username, password, address, UserKind.CLOUD)
        return await self._grant_cloud(user)

    async def refresh_cloud(self, token: str, address: str) -> CloudGrant:
        """Give new tokens for a RefreshToken, which ends; raise `invalid_credentials`."""
        principal = self._verify_cloud(token, address, Role.REFRESH)
        try:
            known = await self._credentials.find(principal.id)
            if not await self._credentials.revoke(principal.id):
                # Somebody else used it between our look and our revoking it.
                raise errors.invalid_credentials("The RefreshToken was used already")
            user = await self._credentials.find_user(known.user or "", principal.customer)
            return await self._grant_cloud(user)
        except UnusableError as error:
            log.warning("credentials: %s", error)
            raise errors.overloaded("The credentials cannot be read or written for now") from None
        except (UnknownIdError, UnknownUserError):
            raise errors.invalid_credentials("The RefreshToken's user is gone") from None

    def verify_cloud(self, token: str, address: str) -> Principal:
        """Verify an IdToken; raise `invalid_credentials` for anything else."""
        return self._verify_cloud(token, address, Role.CLOUD)

    def _verify_cloud(self, token: str, address: str, role: Role) -> Principal:
        try:
            return self.verify(token, address, role)
        except errors.Fault:
            raise errors.invalid_credentials(
                "The token was refused: it is none of this kind, ended, or revoked"
            ) from None

    async def _grant_cloud(self, user: User) -> CloudGrant:
        lives = {
            Role.CLOUD: self._cloud.id_token_lives,
            Role.ACCESS: self._cloud.id_token_lives,
            Role.REFRESH: self._cloud.refresh_token_lives,
        }
        tokens = {role: await self._issue(role, user, seconds) for role, seconds in lives.items()}
        return CloudGrant(
            id_token=tokens[Role.CLOUD].token,
            access_token=tokens[Role.ACCESS].token,
            refresh_token=tokens[Role.REFRESH].token,
            expires_in=round(self._cloud.id_token_lives),
            username=user.username,
            created=user.created,
            updated=user.updated,
        )

    async def _login(self, username: str, password: str, address: str, kind: UserKind) -> User:
        blocked = self._throttle.blocked_for(username, address, self._now())
        if blocked > 0:
            raise errors.rate_limited("Too many failed logins of this user from this address", blocked)
        try:
            user = await self._credentials.check(username, password, kind)
        except OverloadedError:
            raise errors.overloaded("Too many logins at once") from None
        except UnusableError as error:
            log.warning("credentials: %s", error)
            raise errors.overloaded("The credentials cannot be read for now") from None
        if user is None or user.customer not in self._customers():
            self._throttle.failed(username, address, self._now())
            self._count(Reason.UNKNOWN_ID)
            raise errors.invalid_credentials("User name or password is wrong, or this user does not log in here")
        self._throttle.succeeded(username, address)
        return user

    async def _issue(self, role: Role, user: User, seconds: float) -> Issued:
        try:
            return await self._credentials.issue(role, user.customer, agent=user.agent, user=user, expires_in=seconds)
        except UnknownUserError:
            raise errors.invalid_credentials("The user was removed, or got another password, a moment ago") from None
        except UnusableError as error:
            log.warning("credentials: %s", error)
            raise errors.overloaded("The credentials cannot be written for now") from None

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

    def stirred(self, now: float) -> bool:
        """Say whether, since this was asked last, a credential may have ended before its time, or its customer gone."""
        state = (self._credentials.ended_early(now), self._customers())
        ended, customers = self._state
        self._state = state
        return state[0] != ended or state[1] is not customers

    def _count(self, reason: Reason) -> None:
        self.refused[reason] = self.refused.get(reason, 0) + 1
