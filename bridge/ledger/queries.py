"""Queries: what is read, each as one row of JSON that is decoded into words."""

from typing import TypeVar

import msgspec

from bridge.ledger import cursors
from bridge.ledger.database import Database, Value
from bridge.ledger.group import storable
from bridge.words.ledger import Entry, Fingerprint, Page, Pop, Record, Remembered, SeenAgent

MOST_LISTED = 500
MOST_FINGERPRINTS = 200_000
_CHUNK = 1_000  # open pops or records fetched at once
_LIVES = 250  # lives fetched at once: decoding and counting them keeps the event loop for about 1 ms
_FIRST = -1
_NEWEST = 2**63 - 1
_LAST_TIME = 8e9  # in 2223; the numbers of later pops would not fit

POP = "SELECT described FROM described_pops WHERE popid = ? AND customer = ?"
POPS = """
    SELECT json_group_array(json(described)) FROM (
        SELECT described FROM described_pops
        WHERE customer = ?1 AND number < ?2 AND number >= ?3 AND sent >= ?4
        ORDER BY number DESC LIMIT ?5
    )
"""
POPS_OF_STATUS = """
    SELECT json_group_array(json(described)) FROM (
        SELECT described FROM described_pops
        WHERE customer = ?1 AND number < ?2 AND number >= ?3 AND sent >= ?4 AND status = ?6
        ORDER BY number DESC LIMIT ?5
    )
"""
POPS_OF_AGENT = """
    SELECT json_group_array(json(described)) FROM (
        SELECT described FROM described_pops
        WHERE customer = ?1 AND agent = ?6 AND number < ?2 AND number >= ?3 AND sent >= ?4
        ORDER BY number DESC LIMIT ?5
    )
"""
# Each of the agent's pops is looked for among those of the status: both are read from their indexes alone, and no row
# of a pop that is not listed, of which an agent may have very many, all over the file.
POPS_OF_AGENT_AND_STATUS = """
    SELECT json_group_array(json(described)) FROM (
        SELECT described
        FROM pops AS mine INDEXED BY pops_of_agent
            CROSS JOIN pops AS alike INDEXED BY pops_of_status
            CROSS JOIN described_pops
        WHERE mine.customer = ?1 AND mine.agent = ?6 AND mine.number < ?2 AND mine.number >= ?3
            AND alike.customer = ?1 AND alike.status = ?7 AND alike.number = mine.number
            AND described_pops.number = alike.number AND described_pops.sent >= ?4
        ORDER BY mine.number DESC LIMIT ?5
    )
"""
OPEN = """
    SELECT json_group_array(json_object('payload', CAST(payload AS TEXT), 'fingerprint', fingerprint,
        'pop', json(described)))
    FROM (
        SELECT described, fingerprint, payload FROM described_pops JOIN documents ON documents.pop = number
        WHERE number IN (SELECT number FROM pops WHERE open = 1) AND number > ? ORDER BY number LIMIT ?
    )
"""
# As they were when ?3 was the last number given; each is an array in the order of Life.
LIVES = """
    SELECT json_group_array(json_array(number, customer, json(quote(sent)), json(steps))) FROM (
        SELECT number, customer, sent, (
            SELECT json_group_array(json_array(
                status, json(quote(at)), CASE status WHEN 'refused' THEN detail ELSE '' END
            ))
            FROM (SELECT status, at, detail FROM steps WHERE pop = pops.number AND steps.number <= ?3 ORDER BY number)
        ) AS steps
        FROM pops WHERE number <= ?1 AND number >= ?2 ORDER BY number DESC LIMIT ?4
    )
"""
REMEMBERED = """
    SELECT json_object('fingerprint', fingerprint, 'status', status, 'body', body, 'at', json(quote(at)))
    FROM answers WHERE customer = ? AND api = ? AND key = ? AND at > ?
"""
FINGERPRINTS = """
    SELECT json_group_array(json_array(customer, fingerprint, popid, json(quote(sent)))) FROM (
        SELECT * FROM pops WHERE number >= ? AND sent >= ? AND fingerprint IS NOT NULL ORDER BY number DESC LIMIT ?
    )
"""
RECORDS = """
    SELECT json_group_array(json_object('customer', customer, 'agent', agent, 'reference', reference,
        'state', state, 'popid', popid, 'at', json(quote(at))))
    FROM (
        SELECT * FROM records WHERE (customer, agent, reference) > (?, ?, ?)
        ORDER BY customer, agent, reference LIMIT ?
    )
"""
AGENTS = """
    SELECT json_group_array(json_object('agent', agent, 'at', json(quote(at)))) FROM (
        SELECT agent, at FROM agents INDEXED BY agents_by_time
        WHERE customer = ?1 AND at >= ?2 AND (at, agent) < (?3, ?4) ORDER BY at DESC, agent DESC LIMIT ?5
    )
"""
AGENT = "SELECT json_object('agent', agent, 'at', json(quote(at))) FROM agents WHERE customer = ? AND agent = ?"
LAST = "SELECT json_object('last', last) FROM numbers"
COUNT = "SELECT json_object('count', count(*)) FROM pops"

T = TypeVar("T")


class Life(msgspec.Struct, frozen=True, array_like=True):
    """What became of a pop: its steps as status, time, and why it was refused; the first one first."""

    number: int
    customer: str
    sent: float
    steps: list[tuple[str, float, str]]


class _Listed(Pop, frozen=True, kw_only=True):
    number: int


class _Open(msgspec.Struct, frozen=True):
    payload: str
    fingerprint: str | None
    pop: _Listed


class _Answer(msgspec.Struct, frozen=True):
    fingerprint: str
    status: int
    body: str
    at: float


def first_number(sent: float) -> int:
    """Give the lowest number that a pop of this time can have."""
    return int(max(0.0, min(sent, _LAST_TIME)) * 1000) << 20


async def last_number(database: Database) -> int:
    """Read the last number that was given."""
    return (await database.read(dict[str, int], LAST) or {})["last"]


async def count_pops(database: Database) -> int:
    """Count all pops."""
    return (await database.read(dict[str, int], COUNT) or {})["count"]


async def pop(database: Database, popid: str, customer: str) -> Pop | None:
    """Read one pop of a customer."""
    found = await database.read(_Listed, POP, popid, customer)
    return None if found is None else _plain(found)


async def pops(
    database: Database,
    customer: str,
    *,
    agent: str | None,
    status: str | None,
    since: float | None,
    limit: int,
    cursor: str | None,
) -> Page[Pop]:
    """List pops, the newest first. ValueError: the cursor is none."""
    before = _NEWEST if cursor is None else _place(cursor)
    after = 0.0 if since is None else since
    limit = _within(limit)
    values: tuple[Value, ...] = (customer, before, first_number(after), after, limit + 1)
    if agent is not None and status is not None:
        sql, values = POPS_OF_AGENT_AND_STATUS, (*values, agent, status)
    elif agent is not None:
        sql, values = POPS_OF_AGENT, (*values, agent)
    elif status is not None:
        sql, values = POPS_OF_STATUS, (*values, status)
    else:
        sql = POPS
    found = await database.read(list[_Listed], sql, *values) or []
    further = cursors.spell(found[limit - 1].number) if len(found) > limit else None
    return Page([_plain(one) for one in found[:limit]], further)


async def open_pops(database: Database) -> list[tuple[Entry, str]]:
    """Read every open pop with its document, in the order of acceptance."""
    entries: list[tuple[Entry, str]] = []
    number = _FIRST
    while found := await database.read(list[_Open], OPEN, number, _CHUNK) or []:
        entries += [(_entry(one), one.pop.status) for one in found]
        number = found[-1].pop.number
    return entries


async def lives(database: Database, last: int, since: float, before: int | None) -> list[Life]:
    """List pops since a time as they were at the number `last`, the newest first; go on `before` a pop's number."""
    newest = last if before is None else before - 1
    return await database.read(list[Life], LIVES, newest, first_number(since), last, _LIVES) or []


async def remembered(database: Database, customer: str, api: str, key: str, after: float) -> Remembered | None:
    """Read the answer to an idempotency key, if it was given after a time."""
    found = await database.read(_Answer, REMEMBERED, customer, api, storable(key), after)
    if found is None:
        return None
    return Remembered(
        customer=customer,
        api=api,
        key=key,
        fingerprint=bytes.fromhex(found.fingerprint),
        status=found.status,
        body=found.body.encode(),
        at=found.at,
    )


async def fingerprints(database: Database, since: float) -> list[Fingerprint]:
    """List the fingerprints of pops since a time, the newest first."""
    found = await database.read(
        list[tuple[str, str, str, float]], FINGERPRINTS, first_number(since), since, MOST_FINGERPRINTS
    )
    return [Fingerprint(customer, bytes.fromhex(print_), popid, sent) for customer, print_, popid, sent in found or []]


async def records(database: Database) -> list[Record]:
    """List the records of all agents."""
    listed: list[Record] = []
    last = ("", "", "")
    while found := await database.read(list[Record], RECORDS, *last, _CHUNK) or []:
        listed += found
        last = (found[-1].customer, found[-1].agent, found[-1].reference)
    return listed


async def agents(database: Database, customer: str, since: float, limit: int, cursor: str | None) -> Page[SeenAgent]:
    """List the agents seen since a time, the latest first. ValueError: the cursor is none."""
    before = (1e300, "") if cursor is None else cursors.read(cursor, tuple[float, str])
    limit = _within(limit)
    found = await database.read(list[SeenAgent], AGENTS, customer, since, *before, limit + 1) or []
    further = cursors.spell((found[limit - 1].at, found[limit - 1].agent)) if len(found) > limit else None
    return Page(found[:limit], further)


async def agent(database: Database, customer: str, agent_id: str) -> SeenAgent | None:
    """Read when an agent was seen last."""
    return await database.read(SeenAgent, AGENT, customer, agent_id)


def _within(limit: int) -> int:
    return max(1, min(limit, MOST_LISTED))


def _place(cursor: str) -> int:
    number = cursors.read(cursor, int)
    if not 0 <= number <= _NEWEST:
        raise ValueError("is not a cursor")
    return number


def _plain(listed: _Listed) -> Pop:
    return Pop(**{name: getattr(listed, name) for name in Pop.__struct_fields__})


def _entry(one: _Open) -> Entry:
    pop = one.pop
    return Entry(
        popid=pop.popid,
        customer=pop.customer,
        agent=pop.agent,
        channel=pop.channel,
        event=pop.event,
        campaign=pop.campaign,
        reference=pop.reference,
        topic=pop.topic,
        payload=one.payload.encode(),
        sent=pop.sent,
        expires=pop.expires,
        key=pop.key,
        fingerprint=None if one.fingerprint is None else bytes.fromhex(one.fingerprint),
    )
