"""Authority: the one entry to the room. Issues credentials, verifies them, ends them, and knows the users."""

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Collection, Container, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import msgspec

from bridge.credentials import files, keyring, registry, signing, tokens, users
from bridge.credentials.database import Database, Transaction
from bridge.credentials.live import LiveCredentials
from bridge.credentials.passwords import Passwords
from bridge.credentials.refusals import EndedError, TooManyError, UnknownUserError, UnusableError
from bridge.credentials.registry import Credential
from bridge.credentials.users import User, UserKind
from bridge.credentials.uses import Uses
from bridge.words.principal import Principal, Role

MAX_LIVE = 1_000_000  # credentials that have not ended, all customers together
POLLED_EVERY = 0.25  # seconds until what another process did counts here; 1 s is promised
USES_WRITTEN_EVERY = 2.0
PURGED_EVERY = 3_600.0
KEPT_AFTER_END = 30 * 86_400.0  # an ended credential stays listed for as long
MINTED_KEPT_AFTER_END = 86_400.0  # the same for what logins minted: many, and of little interest

ALL_ROLES = frozenset(Role)

_log = logging.getLogger(__name__)


class Issued(msgspec.Struct, frozen=True):
    """A new credential; `token` is the secret, and exists nowhere else."""

    id: str
    token: str
    expires: float

    def __repr__(self) -> str:
        """Leave out the token."""
        return f"Issued(id={self.id!r}, expires={self.expires!r})"


class Credentials:
    """Everything about credentials for one data directory; make it with `Credentials.open`."""

    def __init__(
        self, database: Database, key_file: Path, passwords: Passwords, *, demo: bool, clock: Callable[[], float]
    ) -> None:
        self._database = database
        self._key_file = key_file
        self._passwords = passwords
        self._clock = clock
        self._demo = demo
        self._live = LiveCredentials()
        self._verifier = tokens.Verifier(self._live, demo=demo, look_up=self._look_up)
        self._public_keys: keyring.Keyring = {}
        self._change_known = -1  # even the first number is news
        self._uses = Uses()
        self._closing = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, data: Path, *, demo: bool = False, follow: bool = True, clock: Callable[[], float] = time.time
    ) -> AsyncIterator[Self]:
        """Open the credentials in a data directory, made on first start. UnusableError: its files are no good.

        A demo's credentials and users are refused by everyone else. With `follow`, a task takes over what other
        processes do, within 0.25 s, and writes down uses; should it die, it takes the caller down. A command that
        does one thing and ends needs no `follow`.
        """
        try:
            await asyncio.to_thread(files.make_private, data)
            await asyncio.to_thread(signing.obtain, data / "signing.key")
        except OSError as error:
            raise UnusableError(f"{error.filename or data} cannot be used: {error.strerror}.") from error
        with Passwords() as passwords:
            async with Database.open(data / "credentials.db") as database:
                credentials = cls(database, data / "signing.key", passwords, demo=demo, clock=clock)
                if follow:
                    await credentials._enter_key()
                await credentials._refresh()
                try:
                    async with credentials._following(follow=follow):
                        yield credentials
                finally:
                    await credentials._write_uses()

    def verify(self, token: str, roles: Container[Role], now: float) -> Principal:
        """Return whose token it is, if it counts and its kind is one of `roles`; else raise `refusals.Refused`."""
        return self._verifier.verify(token, roles, now)

    def alive(self, principal: Principal, now: float) -> bool:
        """Say whether the credential behind a live connection still counts."""
        return self._live.alive(principal.id, now)

    def ended_early(self, now: float) -> int:
        """Count the ends before an expiry: as long as this stays, nothing was revoked and no grace ran out."""
        return self._live.ended_early(now)

    def used(self, credential_id: str, address: str, now: float) -> None:
        """Note a use, for the lists."""
        self._uses.note(credential_id, address, now)

    async def issue(
        self,
        role: Role,
        customer: str,
        *,
        name: str | None = None,
        agent: str | None = None,
        user: User | None = None,
        expires_in: float,
        demo: bool | None = None,
    ) -> Issued:
        """Issue one credential: `agent` for desktops, `user` for whom a login mints it, and with whom it ends.

        A demo issues demo credentials unless told otherwise. UnknownUserError: the user, or that password, is gone.
        """
        order = self._order(role, customer, expires_in, demo=demo, name=name, agent=agent, user=user)
        return (await self._issue([order], user))[0]

    async def issue_many(
        self, role: Role, customer: str, agents: Sequence[str], *, expires_in: float, demo: bool | None = None
    ) -> list[Issued]:
        """Issue one credential per agent, in their order, all or none."""
        return await self._issue([self._order(role, customer, expires_in, demo=demo, agent=agent) for agent in agents])

    async def list_credentials(
        self, roles: Collection[Role] = ALL_ROLES, customer: str | None = None
    ) -> list[Credential]:
        """List credentials of these kinds, newest first; at most `registry.LISTED`."""
        async with self._database.reading() as reading:
            return await registry.listed(reading, roles, customer)

    async def find(self, credential_id: str, roles: Collection[Role] = ALL_ROLES) -> Credential:
        """Find a credential by its id, or raise UnknownIdError."""
        async with self._database.reading() as reading:
            return await registry.find(reading, credential_id, roles)

    async def revoke(self, credential_id: str, roles: Collection[Role] = ALL_ROLES) -> bool:
        """End a credential now; False if it had ended already. UnknownIdError: there is none."""
        async with self._database.writing() as writing:
            await registry.find(writing, credential_id, roles)
            ended = await registry.end(writing, credential_id, self._clock())
        await self._refresh()
        return ended

    async def regenerate(
        self, credential_id: str, grace: float = 0.0, roles: Collection[Role] = ALL_ROLES
    ) -> tuple[Issued, Credential]:
        """Issue its successor with as long a life, and end it now or after the grace; return both.

        UnknownIdError: there is none. EndedError: it was revoked.
        """
        now = self._clock()
        async with self._database.writing() as writing:
            old = await registry.find(writing, credential_id, roles)
            if old.state(now) == "revoked":
                raise EndedError(credential_id)
            new = msgspec.structs.replace(
                old,
                id=_new_id(old.role),
                issued=now,
                expires=_milliseconds(now + old.expires - old.issued),
                ends=None,
                last_used=None,
                last_address=None,
                uses=0,
            )
            issued = await self._enter(writing, [new])
            await registry.end(writing, credential_id, now + grace)
            old = await registry.find(writing, credential_id, roles)
        await self._refresh()
        return issued[0], old

    async def rotate_signing(self) -> str:
        """Sign with a new key from now on, and return its kid; what the old one signed keeps its time."""
        async with self._database.writing() as writing:
            key = await asyncio.to_thread(signing.replace, self._key_file)
            await keyring.enter(writing, key, self._clock())
            await keyring.retire_others(writing, key, self._clock())
            await registry.next_change(writing)
        await self._refresh()
        return key.kid

    async def add_user(self, username: str, password: str, customer: str, agent: str | None = None) -> User:
        """Add a Cloud API user, or with `agent` a person at that agent's desktop. UserExistsError: name taken."""
        kept = await self._passwords.hash(password)
        now = self._clock()
        user = User(username, customer, agent, self._demo, created=now, updated=now)
        async with self._database.writing() as writing:
            await users.insert(writing, user, kept)
        return user

    async def list_users(self, customer: str | None = None) -> list[User]:
        """List the users by name."""
        async with self._database.reading() as reading:
            return [user async for user in users.listed(reading, customer)]

    async def find_user(self, username: str, customer: str | None = None) -> User:
        """Find a user, or raise UnknownUserError."""
        async with self._database.reading() as reading:
            return await users.find(reading, username, customer)

    async def remove_user(self, username: str, customer: str | None = None) -> int:
        """Remove a user, with all that their logins minted: return how many credentials that ended."""
        async with self._database.writing() as writing:
            await users.find(writing, username, customer)
            await users.remove(writing, username)
            ended = await registry.end_of_user(writing, username, self._clock())
        await self._refresh()
        return ended

    async def set_password(self, username: str, password: str, customer: str | None = None) -> int:
        """Change a password, which ends all that logins minted with the old one: return how many."""
        kept = await self._passwords.hash(password)
        async with self._database.writing() as writing:
            await users.find(writing, username, customer)
            await users.set_hash(writing, username, kept, self._clock())
            ended = await registry.end_of_user(writing, username, self._clock())
        await self._refresh()
        return ended

    async def check(self, username: str, password: str, kind: UserKind) -> User | None:
        """Return the user of this kind if the password is right. OverloadedError: too many logins wait.

        It costs the same time whether the name exists, is of the other kind, or the password is wrong.
        """
        async with self._database.reading() as reading:
            found = await users.find_with_hash(reading, username)
        if found is None or found[0].kind is not kind or (found[0].demo and not self._demo):
            await self._passwords.fits(password, None)
            return None
        user, kept = found
        return user if await self._passwords.fits(password, kept) else None

    async def purge(self) -> None:
        """Forget what ended long ago, and the public keys that nothing needs any more."""
        now = self._clock()
        async with self._database.writing() as writing:
            await registry.purge(writing, now - KEPT_AFTER_END, now - MINTED_KEPT_AFTER_END)
            await keyring.purge(writing, now)
            await registry.next_change(writing)
        await self._refresh()

    def _order(
        self,
        role: Role,
        customer: str,
        expires_in: float,
        *,
        demo: bool | None,
        name: str | None = None,
        agent: str | None = None,
        user: User | None = None,
    ) -> Credential:
        now = self._clock()
        return Credential(
            id=_new_id(role),
            role=role,
            customer=customer,
            name=name,
            agent=agent,
            user=None if user is None else user.username,
            demo=self._demo if demo is None else demo,
            kid="",
            issued=_milliseconds(now),
            expires=_milliseconds(now + expires_in),
        )

    async def _issue(self, orders: Sequence[Credential], user: User | None = None) -> list[Issued]:
        async with self._database.writing() as writing:
            if user is not None and await users.find(writing, user.username) != user:
                raise UnknownUserError(user.username, None)
            if len(self._live) + len(orders) > MAX_LIVE:
                raise TooManyError(MAX_LIVE)
            issued = await self._enter(writing, orders)
        await self._refresh()
        return issued

    async def _enter(self, writing: Transaction, orders: Iterable[Credential]) -> list[Issued]:
        # The key is read inside the transaction: nothing is signed with a key that was rotated away meanwhile.
        key = await asyncio.to_thread(signing.obtain, self._key_file)
        await keyring.enter(writing, key, self._clock())
        signed = [msgspec.structs.replace(order, kid=key.kid) for order in orders]
        issued = await asyncio.to_thread(_mint, key, signed)
        await registry.insert(writing, signed)
        return issued

    async def _enter_key(self) -> None:
        # Before the first token is issued, so that it counts at once wherever it was issued.
        key = await asyncio.to_thread(signing.obtain, self._key_file)
        async with self._database.writing() as writing:
            await keyring.enter(writing, key, self._clock())

    def _look_up(self, credential_id: str) -> None:
        found = self._database.look_up(registry.FIND, credential_id)
        if found is not None:
            credential = registry.read(found)
            self._live.put(credential.principal, credential.ends or credential.expires)

    async def _refresh(self) -> None:
        async with self._database.reading() as reading:
            # First the number, then what it covers: what is committed in between is read again, not missed.
            newest = await registry.last_change(reading)
            if newest == self._change_known:
                return
            self._public_keys = await keyring.load(reading, self._public_keys)
            self._verifier.trust(self._public_keys)
            async for credential in registry.changed(reading, self._change_known, self._clock()):
                self._live.put(credential.principal, credential.ends or credential.expires)
            self._change_known = newest

    @asynccontextmanager
    async def _following(self, *, follow: bool) -> AsyncIterator[None]:
        if not follow:
            yield
            return
        failure: Exception | None = None
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow(), name="credentials: follow")
            try:
                yield
            except Exception as error:  # noqa: BLE001 - the caller's own comes out as it is, not in a group
                failure = error
            finally:
                self._closing.set()
        if failure is not None:
            raise failure

    async def _follow(self) -> None:
        purge_at, write_at = 0.0, 0.0
        while not self._closing.is_set():
            await self._refresh()
            self._live.forget_expired(self._clock())
            try:
                if time.monotonic() >= write_at:
                    await self._write_uses()
                    write_at = time.monotonic() + USES_WRITTEN_EVERY
                if time.monotonic() >= purge_at:
                    await self.purge()
                    purge_at = time.monotonic() + PURGED_EVERY
            except UnusableError as error:
                # A disk that is full, or a lock held for long, costs statistics only: they are kept and tried again.
                _log.warning("credentials: uses are not written for now: %s", error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLLED_EVERY):
                    await self._closing.wait()

    async def _write_uses(self) -> None:
        uses = self._uses.take()
        if not uses:
            return
        try:
            async with self._database.writing() as writing:
                await registry.note_uses(writing, uses)
        except BaseException:
            self._uses.give_back(uses)
            raise


def _mint(key: signing.SigningKey, credentials: Iterable[Credential]) -> list[Issued]:
    return [
        Issued(new.id, tokens.mint(key, new.principal, issued=new.issued, demo=new.demo), new.expires)
        for new in credentials
    ]


def _new_id(role: Role) -> str:
    return f"{role.value}-{secrets.token_hex(8)}"


def _milliseconds(seconds: float) -> float:
    return round(seconds, 3)
