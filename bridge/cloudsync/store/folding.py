"""Folding: what the processor reads and writes of records and their facts."""

from collections.abc import Sequence

import msgspec

from bridge.cloudsync.store.database import Own, Statement
from bridge.words.cloudsync import Change, Fact, Folded

FAR = 1 << 62
"""Where something ends that still lasts."""

LONG = 3_600_000
"""Milliseconds from which a fact counts as long: it is found by its end."""

_QUARTER = 900_000

PENDING = """
    SELECT '[' || group_concat('[' || number || ',"' || customer || '",' || body || ']') || ']'
    FROM (SELECT number, customer, body FROM changes WHERE number > ? ORDER BY number LIMIT ?)
"""
HISTORY = """
    SELECT '[' || group_concat(changes.body) || ']'
    FROM json_each(?2) AS key CROSS JOIN changes ON changes.customer = ?1
        AND changes.entity = json_extract(key.value, '$[0]') AND changes.record = json_extract(key.value, '$[1]')
"""
KNOWN = """
    SELECT json_group_array(json_array(records.id, records.entity, records.record, records.since, records.sealed))
    FROM json_each(?2) AS key CROSS JOIN records ON records.customer = ?1
        AND records.entity = json_extract(key.value, '$[0]') AND records.record = json_extract(key.value, '$[1]')
"""
FACTS_OF = """
    SELECT '[' || group_concat('[' || facts.id || ',' || owner || ',' || facts.body || ']') || ']'
    FROM json_each(?) AS key CROSS JOIN facts ON facts.owner = key.value
"""
# The long ones by their end, which few have after a time that is not long ago; the short ones by their beginning.
FACTS_IN = """
    SELECT '[' || group_concat(body) || ']' FROM (
        SELECT body FROM facts WHERE customer = ?1 AND long = 0 AND at >= ?2 - 3600000 AND at < ?3 AND until >= ?2
        UNION ALL
        SELECT body FROM facts WHERE customer = ?1 AND long = 1 AND until >= ?2 AND at < ?3
    )
"""
# Beside these, what is posted in the arrival view where it is not in the event view.
FACTS_ARRIVED = """
    SELECT '[' || group_concat(body) || ']' FROM (
        SELECT body FROM facts WHERE customer = ?1 AND long = 0 AND at >= ?2 - 3600000 AND at < ?3 AND until >= ?2
        UNION ALL
        SELECT body FROM facts WHERE customer = ?1 AND long = 1 AND until >= ?2 AND at < ?3
        UNION ALL
        SELECT body FROM facts WHERE customer = ?1 AND arrival <> 0 AND arrival >= ?2 AND arrival < ?3
            AND until = at AND NOT (at >= ?2 - 3600000 AND at < ?3 AND until >= ?2)
    )
"""
# An agent's presence without an end was ended by the next one, which may lie before the range.
PRESENCES_BEFORE = """
    SELECT '[' || group_concat(body) || ']' FROM (
        SELECT (
            SELECT body FROM facts AS before
            WHERE before.customer = ?1 AND before.agent = lasting.agent AND before.at < ?2
            ORDER BY before.at DESC LIMIT 1
        ) AS body
        FROM (
            SELECT DISTINCT agent FROM facts
            WHERE customer = ?1 AND long = 1 AND until = 4611686018427387904 AND at < ?2 AND agent IS NOT NULL
        ) AS lasting
    )
"""
SAVE_RECORDS = """
    INSERT INTO records (id, customer, entity, record, folded, dirty, unclassified, flagged, open, since, groups, last)
    SELECT json_extract(value, '$[0]'), ?1, json_extract(value, '$[1]'), json_extract(value, '$[2]'),
        json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'),
        json_extract(value, '$[6]'), json_extract(value, '$[7]'), json_extract(value, '$[8]'),
        json_extract(value, '$[9]'), json_extract(value, '$[10]')
    FROM json_each(?2) WHERE true
    ON CONFLICT (customer, entity, record) DO UPDATE SET folded = excluded.folded, dirty = excluded.dirty,
        unclassified = excluded.unclassified, flagged = excluded.flagged, open = excluded.open, since = excluded.since,
        groups = excluded.groups, last = excluded.last
"""
DROP_FACTS = "DELETE FROM facts WHERE id IN (SELECT value FROM json_each(?))"
ADD_FACTS = """
    INSERT INTO facts (owner, customer, at, until, long, arrival, agent, body)
    SELECT json_extract(value, '$[0]'), ?1, json_extract(value, '$[1]'), json_extract(value, '$[2]'),
        json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'),
        json_extract(value, '$[6]')
    FROM json_each(?2)
"""
CURSOR = "UPDATE state SET value = ? WHERE name = 'cursor'"
READ_CURSOR = "SELECT json_array(CAST(value AS INTEGER)) FROM state WHERE name = 'cursor'"
LAST_RECORD = "SELECT json_array(coalesce(max(id), 0)) FROM records"

# The processor finds again what it must fold once more because of the mapping.
MENTIONING = """
    SELECT json_group_array(json_array(entity, record)) FROM (
        SELECT entity, record FROM records
        WHERE customer = ?1 AND EXISTS (
            SELECT 1 FROM json_each(records.folded, '$.ids') AS mentioned JOIN json_each(?2) AS wanted
            ON wanted.value = mentioned.value
        )
    )
"""
UNCLASSIFIED = """
    SELECT json_group_array(json_array(entity, record)) FROM records
    WHERE customer = ?1 AND since IS NOT NULL AND unclassified > 0
"""
LASTING = "SELECT json_group_array(record) FROM records WHERE customer = ? AND entity = ? AND open = 1"
ALL_RECORDS = """
    SELECT json_group_array(json_array(entity, record)) FROM (
        SELECT entity, record FROM records
        WHERE customer = ?1 AND (entity, record) > (?2, ?3) ORDER BY entity, record LIMIT ?4
    )
"""
OPEN_RECORDS = """
    SELECT '[' || group_concat('["' || entity || '","' || record || '",' || id || ',' || folded || ']') || ']'
    FROM records WHERE customer = ? AND open = 1
"""
UNSURE = """
    SELECT json_group_array(json_array(customer, id, entity, record, since, json(groups), dirty, unclassified))
    FROM records WHERE since IS NOT NULL
"""

_encode = msgspec.json.Encoder().encode


class Pending(msgspec.Struct, frozen=True, array_like=True):
    """A change that is to be processed."""

    number: int
    customer: str
    change: Change


class Known(msgspec.Struct, frozen=True, array_like=True):
    """A record that was folded before."""

    id: int
    entity: str
    record: str
    since: int | None
    sealed: int | None


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """A fact as it is stored, of the record `owner`."""

    id: int
    owner: int
    fact: Fact


class Standing(msgspec.Struct, frozen=True, array_like=True):
    """A record of which something lasts, without its facts."""

    entity: str
    record: str
    id: int
    folded: Folded


class Unsure(msgspec.Struct, frozen=True, array_like=True):
    """A record whose numbers are not sure from `since` on."""

    customer: str
    id: int
    entity: str
    record: str
    since: int
    groups: list[str]
    dirty: int
    unclassified: int


async def pending(database: Own, cursor: int, most: int) -> list[Pending]:
    """Read the changes behind the cursor, in the order of arrival."""
    return await database.own_read(list[Pending], PENDING, cursor, most) or []


async def history(database: Own, customer: str, keys: Sequence[tuple[str, str]]) -> list[Change]:
    """Read all that is known of records."""
    return await database.own_read(list[Change], HISTORY, customer, _encode(keys).decode()) or []


async def known(
    database: Own, customer: str, keys: Sequence[tuple[str, str]]
) -> tuple[dict[tuple[str, str], Known], list[Kept]]:
    """Read what records were folded to before."""
    found = await database.own_read(list[Known], KNOWN, customer, _encode(keys).decode()) or []
    kept: list[Kept] = []
    if found:
        kept = await database.own_read(list[Kept], FACTS_OF, _encode([one.id for one in found]).decode()) or []
    return {(one.entity, one.record): one for one in found}, kept


async def cursor(database: Own) -> int:
    """Read up to which change everything was processed."""
    (number,) = await database.own_read(list[int], READ_CURSOR) or [0]
    return number


def record_row(
    number: int, entity: str, record: str, folded: Folded, since: int | None, groups: Sequence[str], last: int
) -> bytes:
    """Spell a record for `save`."""
    bare = msgspec.structs.replace(folded, facts=[])
    lasts = 1 if any(fact.until is None and fact.post.startswith("span_") for fact in folded.facts) else 0
    return _encode(
        (
            number,
            entity,
            record,
            bare,
            int(folded.dirty),
            len(folded.unclassified),
            1 if folded.flags else 0,
            lasts,
            since,
            groups,
            last,
        )
    )


def fact_row(owner: int, fact: Fact) -> bytes:
    """Spell a fact for `save`."""
    span = fact.post.startswith("span_")
    until = fact.at if not span else FAR if fact.until is None else fact.until
    stray = fact.arrival if not span and fact.arrival // _QUARTER != fact.at // _QUARTER else 0
    agent = fact.agent if fact.post == "span_presence" else None
    return _encode((owner, fact.at, until, 1 if until - fact.at >= LONG else 0, stray, agent, fact))


def save(customer: str, records: str, dropped: str, added: str) -> list[Statement]:
    """List the statements that write what was folded; each argument is a JSON array."""
    return [
        (DROP_FACTS, (dropped,)),
        (SAVE_RECORDS, (customer, records)),
        (ADD_FACTS, (customer, added)),
    ]
