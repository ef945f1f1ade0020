"""Rows: the computed tables, what was restated in them, and how far each customer is."""

import msgspec

from bridge.cloudsync.store.database import Own

# A row as `[group, channel, priority, start, revision, body]`: all of a range, whatever its channel and priority.
STT_IN = """
    SELECT '[' || group_concat('[' || stt.start || ',' || json_quote(stt.grp) || ',' || json_quote(stt.channel) || ','
        || json_quote(stt.priority) || ',' || stt.revision || ',' || stt.body || ']') || ']'
    FROM views CROSS JOIN stt ON stt.customer = ?1 AND stt.channel = views.channel AND stt.priority = views.priority
        AND stt.start >= ?2 AND stt.start < ?3
    WHERE views.customer = ?1 AND views.feed = 'stt'
"""
CIM_ON = """
    SELECT '[' || group_concat('[' || json_quote(cim.date) || ',' || json_quote(cim.agent) || ','
        || json_quote(cim.grp) || ',' || json_quote(cim.channel) || ',' || cim.revision || ',' || cim.body || ']')
        || ']'
    FROM views CROSS JOIN cim ON cim.customer = ?1 AND cim.channel = views.channel AND cim.date = ?2
    WHERE views.customer = ?1 AND views.feed = 'cim'
"""
SAVE_STT = """
    REPLACE INTO stt (customer, start, grp, channel, priority, revision, changed, body)
    SELECT ?1, json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
        json_extract(value, '$[3]'), json_extract(value, '$[4]'), ?3, json_extract(value, '$[5]')
    FROM json_each(?2)
"""
SAVE_CIM = """
    REPLACE INTO cim (customer, date, agent, grp, channel, revision, changed, body)
    SELECT ?1, json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
        json_extract(value, '$[3]'), json_extract(value, '$[4]'), ?3, json_extract(value, '$[5]')
    FROM json_each(?2)
"""
SAVE_VIEWS = """
    INSERT OR IGNORE INTO views (customer, feed, channel, priority)
    SELECT ?1, ?2, json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?3)
"""
SAVE_ACTIVE = """
    INSERT INTO active (customer, grp, since)
    SELECT ?1, json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?2) WHERE true
    ON CONFLICT (customer, grp) DO UPDATE SET since = min(since, excluded.since)
"""
RESTATE = """
    INSERT INTO restatements (customer, feed, bucket, at, body)
    SELECT ?1, ?2, json_extract(value, '$[0]'), ?4, json_extract(value, '$[1]') FROM json_each(?3)
"""
SAVE_PROGRESS = """
    INSERT INTO customers (customer, rolled, dirty_stt, dirty_cim, stt_final, stt_held, cim_final, cim_held, mapping)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
    ON CONFLICT (customer) DO UPDATE SET rolled = ?2, dirty_stt = ?3, dirty_cim = ?4, stt_final = ?5, stt_held = ?6,
        cim_final = ?7, cim_held = ?8, mapping = ?9
"""
PROGRESS = """
    SELECT json_group_array(json_object('customer', customer, 'rolled', rolled, 'dirty_stt', json(dirty_stt),
        'dirty_cim', json(dirty_cim), 'stt_final', stt_final, 'stt_held', json(stt_held), 'cim_final', cim_final,
        'cim_held', json(cim_held), 'mapping', mapping, 'posted', posted))
    FROM customers
"""
VIEWS = "SELECT json_group_array(json_array(customer, feed, channel, priority)) FROM views"
ACTIVE = "SELECT json_group_array(json_array(customer, grp, since)) FROM active"
COVERAGE = "SELECT json_group_array(json_array(customer, source, start, until)) FROM coverage"
COVER = """
    INSERT INTO coverage (customer, source, start, until)
    SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
        json_extract(value, '$[3]')
    FROM json_each(?) WHERE true
    ON CONFLICT (customer, source, start) DO UPDATE SET until = max(until, excluded.until)
"""
FIRST_FACT = "SELECT json_array((SELECT min(at) FROM facts WHERE customer = ?1 AND at >= ?2))"
COLUMNS = "SELECT json_group_object(name, value) FROM state"
SAVE_STATE = "REPLACE INTO state (name, value) VALUES (?, ?)"
FORGET_ROWS = "DELETE FROM {feed} WHERE customer = ?1"


class Progress(msgspec.Struct, frozen=True):
    """How far a customer is, as it is stored. Ranges and moments in milliseconds; `mapping` is JSON."""

    customer: str
    rolled: int = 0
    dirty_stt: list[tuple[int, int]] = []
    dirty_cim: list[tuple[int, int]] = []
    stt_final: int = 0
    stt_held: dict[str, int] = {}
    cim_final: int = 0
    cim_held: dict[str, int] = {}
    mapping: str | None = None
    posted: int = 0


class SttStored(msgspec.Struct, frozen=True, array_like=True):
    """A row of STT as it is stored; `body` has the numbers in the order of their names."""

    start: int
    group: str
    channel: str
    priority: str
    revision: int
    body: msgspec.Raw


class CimStored(msgspec.Struct, frozen=True, array_like=True):
    """A row of CIM as it is stored."""

    date: str
    agent: str
    group: str
    channel: str
    revision: int
    body: msgspec.Raw


async def progress(database: Own) -> list[Progress]:
    """Read how far every customer is."""
    return await database.own_read(list[Progress], PROGRESS) or []


async def states(database: Own) -> dict[str, str]:
    """Read the few things that are remembered by name."""
    return await database.own_read(dict[str, str], COLUMNS) or {}
