"""Erasing: a contact's personal data goes from everything that is kept; what is counted stays."""

from collections.abc import Mapping

import msgspec

from bridge.cloudsync.events import fields, ids
from bridge.cloudsync.store.database import Database, Statement

CONTACT = "ContactId"

_BATCH = 100

# The raw events that mention the contact, in either spelling: 18 characters begin with the 15.
MENTIONING = """
    SELECT json_group_array(DISTINCT changes.entity || ' ' || changes.record)
    FROM raw JOIN changes ON changes.raw = raw.number AND changes.number >= raw.number
        AND changes.number < raw.number + 10000
    WHERE raw.customer = ?1 AND instr(raw.payload, CAST(?2 AS BLOB)) AND changes.record <> ''
"""
KNOWING = """
    SELECT json_group_array(DISTINCT entity || ' ' || record) FROM changes
    WHERE customer = ?1 AND record <> '' AND json_extract(body, '$[7].ContactId') = ?2
"""
SESSIONS_OF = """
    SELECT json_group_array(DISTINCT changes.entity || ' ' || changes.record) FROM changes
    WHERE customer = ?1 AND entity IN ('ChatSession', 'VideoSession')
        AND json_extract(body, '$[7].TicketId') IN (SELECT value FROM json_each(?2))
"""
RAWS_OF = """
    SELECT json_group_array(DISTINCT changes.raw)
    FROM json_each(?2) AS key CROSS JOIN changes ON changes.customer = ?1
        AND changes.entity = json_extract(key.value, '$[0]') AND changes.record = json_extract(key.value, '$[1]')
"""
PAYLOADS = """
    SELECT number, payload FROM raw WHERE number IN (SELECT value FROM json_each(?))
"""
REWRITE = "UPDATE raw SET payload = ?2 WHERE number = ?1"
FORGET_CONTACT = """
    UPDATE changes SET body = json_remove(body, '$[7].ContactId')
    WHERE number IN (
        SELECT changes.number FROM json_each(?2) AS key CROSS JOIN changes ON changes.customer = ?1
            AND changes.entity = json_extract(key.value, '$[0]') AND changes.record = json_extract(key.value, '$[1]')
    )
"""
FORGET_STATE = """
    UPDATE records SET folded = json_remove(folded, '$.state.ContactId')
    WHERE customer = ?1 AND (entity, record) IN (
        SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?2)
    )
"""
FORGET_QUARANTINED = "DELETE FROM quarantine WHERE customer = ?1 AND instr(head, CAST(?2 AS BLOB))"
_encode = msgspec.json.Encoder().encode


async def erase(database: Database, customer: str, contact: str) -> int:
    """Erase a contact; return how many records were concerned. ValueError: that is no id."""
    whole = ids.long(contact)
    short = whole[:15]
    found: set[str] = set()
    found.update(await database.read(list[str], MENTIONING, customer, short) or ())
    found.update(await database.read(list[str], KNOWING, customer, whole) or ())
    tickets = [key.partition(" ")[2] for key in found if key.startswith("SupportTicket ")]
    found.update(await database.read(list[str], SESSIONS_OF, customer, _encode(tickets).decode()) or ())
    keys = _encode([key.split(" ", 1) for key in sorted(found)]).decode()
    raws = await database.read(list[int], RAWS_OF, customer, keys) or []
    for start in range(0, len(raws), _BATCH):
        some = _encode(raws[start : start + _BATCH]).decode()
        statements: list[Statement] = []
        for number, payload in await database.blobs(PAYLOADS, some):
            if isinstance(payload, bytes) and isinstance(number, int):
                statements.append((REWRITE, (number, stripped(payload))))
        await database.transact(statements)
    await database.transact(
        [
            (FORGET_CONTACT, (customer, keys)),
            (FORGET_STATE, (customer, keys)),
            (FORGET_QUARANTINED, (customer, short)),
        ]
    )
    await database.empty_log()
    return len(found)


def stripped(payload: bytes) -> bytes:
    """Leave of an event what is counted: its header, and the fields that numbers are made of, but for the contact."""
    try:
        message = msgspec.json.decode(payload.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return b"{}"
    if not isinstance(message, dict):
        return b"{}"
    data = message.get("data")
    inner = data if isinstance(data, dict) else message
    kept: dict[str, object] = {}
    for name in ("event", "schema"):
        if isinstance(inner.get(name), dict | str):
            kept[name] = inner[name]
    body = inner.get("payload", inner)
    if isinstance(inner.get("sobject"), dict):
        kept["sobject"] = _counted(inner["sobject"])
    elif isinstance(body, dict):
        bare = _counted(body)
        if body is inner:
            kept |= bare
        else:
            kept["payload"] = bare
    if inner is message:
        return _encode(kept)
    return _encode({"channel": message.get("channel"), "data": kept})


# A user's name is no contact's, and no record of a contact has a field of users.
_COUNTED = frozenset(name for entity, table in fields.OF.items() if entity not in fields.MAPPING for name in table) - {
    CONTACT,
    "SessionKey",
}


def _counted(body: Mapping[str, object]) -> dict[str, object]:
    kept = {name: value for name, value in body.items() if name in _COUNTED or name in {"Id", "ChangeEventHeader"}}
    # A value that is no plain one may hold anything.
    return {
        name: value for name, value in kept.items() if name == "ChangeEventHeader" or not isinstance(value, dict | list)
    }
