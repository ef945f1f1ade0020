"""Registry: every credential that was issued, as rows: who, what kind, since when, until when, last used."""

import difflib
from collections.abc import AsyncIterator, Collection, Iterable

import msgspec

from bridge.credentials.database import Row, Transaction
from bridge.credentials.refusals import UnknownIdError
from bridge.words.principal import Principal, Role

LISTED = 100_000  # a list is never longer
_COMPARED = 5_000  # the newest ids in which the nearest is looked for

LAST_CHANGE = "SELECT seq FROM changes"
NEXT_CHANGE = "UPDATE changes SET seq = seq + 1 RETURNING seq"
INSERT = """
    INSERT INTO credentials (id, kind, customer, name, agent, user, demo, kid, issued, expires, seq)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
FIND = "SELECT * FROM credentials WHERE id = ?"
LIST = """
    SELECT * FROM credentials
    WHERE kind IN (SELECT value FROM json_each(?1)) AND (?2 IS NULL OR customer = ?2)
    ORDER BY issued DESC, rowid DESC LIMIT ?3
"""
IDS = "SELECT id FROM credentials WHERE kind IN (SELECT value FROM json_each(?)) ORDER BY issued DESC LIMIT ?"
CHANGED = "SELECT * FROM credentials WHERE seq > ? AND expires > ?"
END = "UPDATE credentials SET ends = ?1, seq = ?2 WHERE id = ?3 AND coalesce(ends, expires) > ?1"
END_OF_USER = "UPDATE credentials SET ends = ?1, seq = ?2 WHERE user = ?3 AND coalesce(ends, expires) > ?1"
NOTE_USES = "UPDATE credentials SET last_used = ?, last_address = ?, uses = uses + ? WHERE id = ?"
PURGE = "DELETE FROM credentials WHERE coalesce(ends, expires) <= CASE WHEN user IS NULL THEN ? ELSE ? END"


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about a credential. Times are epoch seconds; `ends` is an end before `expires`."""

    id: str
    role: Role = msgspec.field(name="kind")
    customer: str
    name: str | None = None
    agent: str | None = None
    user: str | None = None
    demo: bool = False
    kid: str
    issued: float
    expires: float
    ends: float | None = None
    last_used: float | None = None
    last_address: str | None = None
    uses: int = 0

    @property
    def principal(self) -> Principal:
        """Who its token speaks for."""
        return Principal(self.role, self.customer, self.id, self.expires, self.agent)

    def state(self, now: float) -> str:
        """Say in a word: active, ending (a grace runs), expired or revoked."""
        if self.ends is not None and self.ends < self.expires:
            return "revoked" if self.ends <= now else "ending"
        return "expired" if self.expires <= now else "active"


class Use(msgspec.Struct):
    """When and from where a credential was used last, and how often since the last writing."""

    at: float
    address: str
    count: int


async def last_change(reading: Transaction) -> int:
    """Number the last transaction that changed something."""
    return msgspec.convert(await reading.one(LAST_CHANGE), dict[str, int])["seq"]


async def next_change(writing: Transaction) -> int:
    """Number this transaction, so that running processes read what it changes."""
    return msgspec.convert(await writing.one(NEXT_CHANGE), dict[str, int])["seq"]


async def insert(writing: Transaction, credentials: Iterable[Credential]) -> None:
    """Enter new credentials."""
    seq = await next_change(writing)
    await writing.run_each(
        INSERT,
        [(*_who(new), new.demo, new.kid, new.issued, new.expires, seq) for new in credentials],
    )


async def find(reading: Transaction, credential_id: str, roles: Collection[Role]) -> Credential:
    """Find one of these kinds by its id, or raise UnknownIdError with the nearest."""
    row = await reading.one(FIND, credential_id)
    if row is not None and row["kind"] in roles:
        return read(row)
    known = [str(row["id"]) async for row in reading.each(IDS, _json(roles), _COMPARED)]
    raise UnknownIdError(credential_id, next(iter(difflib.get_close_matches(credential_id, known, 1, 0.0)), None))


async def listed(reading: Transaction, roles: Collection[Role], customer: str | None) -> list[Credential]:
    """List the credentials of these kinds, newest first."""
    return [read(row) async for row in reading.each(LIST, _json(roles), customer, LISTED)]


async def changed(reading: Transaction, after: int, now: float) -> AsyncIterator[Credential]:
    """Fetch what is new or ends earlier since the change number `after`, but for what has expired anyway."""
    async for row in reading.each(CHANGED, after, now):
        yield read(row)


async def end(writing: Transaction, credential_id: str, at: float) -> bool:
    """End a credential at `at`; False if it ends no later anyway."""
    return await writing.run(END, at, await next_change(writing), credential_id) > 0


async def end_of_user(writing: Transaction, username: str, at: float) -> int:
    """End every credential that a user's logins minted; return how many."""
    return await writing.run(END_OF_USER, at, await next_change(writing), username)


async def note_uses(writing: Transaction, uses: dict[str, Use]) -> None:
    """Enter uses. That is no change: nobody needs to reload anything."""
    await writing.run_each(NOTE_USES, [(use.at, use.address, use.count, id_) for id_, use in uses.items()])


async def purge(writing: Transaction, ended_before: float, minted_ended_before: float) -> int:
    """Forget credentials that ended before a time; those that logins minted, before a later one."""
    return await writing.run(PURGE, ended_before, minted_ended_before)


def read(row: Row) -> Credential:
    """Read one row of FIND or LIST."""
    return msgspec.convert(row, Credential, strict=False)


def _who(credential: Credential) -> tuple[str | None, ...]:
    return (
        credential.id,
        credential.role.value,
        credential.customer,
        credential.name,
        credential.agent,
        credential.user,
    )


def _json(roles: Collection[Role]) -> str:
    return msgspec.json.encode(sorted(roles)).decode()
