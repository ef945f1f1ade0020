"""Adapt: a CRM's message, in either dialect, as what it says of each record that it names.

Change Data Capture comes as CometD JSON (an absent key is unchanged) or Pub/Sub JSON (every key is there). One rule
reads both: a value sets its field; a null clears it if `changedFields` names it. A PushTopic shows the fields that
somebody selected, as they are now: its nulls clear. Reasons of Rejected: `too_large`, `not_utf8`, `not_json`,
`unknown_form`, `unknown_entity`, `unknown_change_type`, `missing_field`, `bad_value`, `bad_time`, `bad_id`; a detail
quotes no value.

Decided here, where the platform's page is silent: a change type that nobody knows is Rejected, so that it is stored,
counted, and can be replayed; 1 MB is 1,000,000 bytes; a field whose value is an object, a list or a text diff makes a
gap beside the event's own Change; a PushTopic without its channel (`data` alone, by HTTP) has the channel "".
"""

from collections.abc import Collection, Mapping

import msgspec

from bridge.cloudsync.events import changed, fields, ids, moments
from bridge.words.cloudsync import Change, Kind, Rejected, Source, Value

LARGEST = 1_000_000
"""Bytes of an event."""

GAP_FIELD = "gap"
"""In the fields of a gap: the platform's change type, `GAP_DELETE` for instance."""

_UNSAID: dict[str, Value] = {GAP_FIELD: "GAP_UPDATE"}
_GAPS = {"GAP_CREATE", "GAP_UPDATE", "GAP_DELETE", "GAP_UNDELETE", "GAP_OVERFLOW"}
_KINDS = {
    "CREATE": Kind.CREATE,
    "UPDATE": Kind.UPDATE,
    "DELETE": Kind.DELETE,
    "UNDELETE": Kind.UNDELETE,
    **dict.fromkeys(_GAPS, Kind.GAP),
}
_TOPIC_KINDS = {
    "created": Kind.CREATE,
    "updated": Kind.UPDATE,
    "deleted": Kind.DELETE,
    "undeleted": Kind.UNDELETE,
}
_SUFFIX = "ChangeEvent"


class Ignored(msgspec.Struct, frozen=True):
    """An event of an entity that is not selected: it is counted, and not processed."""

    entity: str


class _Header(msgspec.Struct, rename="camel"):
    record_ids: list[str]
    change_type: str
    transaction_key: str
    sequence_number: int
    commit_timestamp: int | float | str
    entity_name: str = ""
    commit_number: int | None = None
    changed_fields: list[str] | None = None
    diff_fields: list[str] | None = None


class _Event(msgspec.Struct, rename="camel"):
    type: str
    created_date: int | float | str
    replay_id: int | str | None = None


class _RefusedError(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.rejected = Rejected(reason, detail)


_decode = msgspec.json.Decoder().decode


def read(channel: str, payload: bytes, entities: Collection[str]) -> list[Change] | Rejected | Ignored:
    """Read an event. A merged one gives a Change of each record; `record` "" is the entity as a whole (always a gap).

    `channel` is the topic behind the customer's (`data/SupportTicketChangeEvent`), or "": then the message's own.
    """
    try:
        message = _parse(payload)
        named = message.get("channel")
        data = message.get("data")
        if not isinstance(data, dict):
            data = message
        place = (channel or (named if isinstance(named, str) else "")).strip("/")
        sobject = data.get("sobject")
        if isinstance(sobject, dict):
            return _pushed(place, data.get("event"), sobject, entities)
        body = data.get("payload", data)
        if isinstance(body, dict) and isinstance(body.get("ChangeEventHeader"), dict):
            return _captured(place, body, entities)
    except _RefusedError as error:
        return error.rejected
    return Rejected(
        "unknown_form", "This is neither a change event (payload.ChangeEventHeader) nor a PushTopic (sobject)."
    )


def _parse(payload: bytes) -> dict[str, object]:
    if len(payload) > LARGEST:
        raise _RefusedError("too_large", f"The event has {len(payload)} bytes; at most {LARGEST} are read.")
    try:
        message = _decode(payload.removeprefix(b"\xef\xbb\xbf"))
    except UnicodeDecodeError as error:
        raise _RefusedError("not_utf8", f"The event is not UTF-8 at byte {error.start} of a text.") from None
    except RecursionError:
        raise _RefusedError("not_json", "The event is nested too deeply.") from None
    except msgspec.DecodeError as error:
        raise _RefusedError("not_json", f"{error}.") from None
    if not isinstance(message, dict):
        raise _RefusedError("unknown_form", "An event is a JSON object.")
    return message


def _header(raw: object) -> _Header:
    try:
        header = msgspec.convert(raw, _Header)
    except msgspec.ValidationError as error:
        reason = "missing_field" if "missing required" in str(error) else "bad_value"
        raise _RefusedError(reason, f"ChangeEventHeader: {error}.") from None
    if not header.record_ids or not header.transaction_key or len(header.transaction_key) > fields.LONGEST_TEXT:
        raise _RefusedError("missing_field", "An event needs recordIds and a transactionKey of at most 255 characters.")
    if max(abs(header.commit_number or 0), abs(header.sequence_number)) >= 1 << 63:
        raise _RefusedError("bad_value", "commitNumber and sequenceNumber have at most 64 bits.")
    return header


def _captured(place: str, body: Mapping[str, object], entities: Collection[str]) -> list[Change] | Ignored:
    header = _header(body["ChangeEventHeader"])
    entity = header.entity_name or place.rpartition("/")[2].removesuffix(_SUFFIX)
    if not entity:
        raise _RefusedError("unknown_entity", "The header has no entityName, and there is no channel.")
    table = fields.OF.get(entity)
    if table is None or not (entity in entities or entity in fields.MAPPING):
        return Ignored(entity)
    change_type, number = header.change_type, header.commit_number or 0
    kind = _KINDS.get(change_type)
    if kind is None:
        raise _RefusedError("unknown_change_type", "The changeType is none of CREATE, UPDATE, DELETE, UNDELETE, GAP_….")
    at = _moment("commitTimestamp", header.commit_timestamp)

    names = changed.names(header.changed_fields, body) if header.changed_fields else ()
    told: dict[str, Value] = {}
    gap: dict[str, Value] = {GAP_FIELD: change_type}
    unsaid = False
    if kind is Kind.GAP or names is None:
        kind, told = Kind.GAP, gap
    else:
        told, unsaid = _values(body, table, names, header.diff_fields or ())
    sequence = header.sequence_number
    found: dict[str, Change] = {}
    for written in header.record_ids:
        whole = change_type == "GAP_OVERFLOW" or ids.is_whole(written)
        record = ids.WHOLE if whole else _id(written)
        identity = f"{entity}|{header.transaction_key}|{sequence}|{change_type}|{record}"
        if whole:
            found[identity] = Change(entity, record, Kind.GAP, Source.CDC, at, number, sequence, gap, identity)
            continue
        found[identity] = Change(entity, record, kind, Source.CDC, at, number, sequence, told, identity)
        if unsaid:
            beside = f"{identity}|unsaid"
            found[beside] = Change(entity, record, Kind.GAP, Source.CDC, at, number, sequence, _UNSAID, beside)
    return list(found.values())


def _values(
    body: Mapping[str, object],
    table: Mapping[str, tuple[str, fields.Reader]],
    named: Collection[str],
    diffs: Collection[str],
) -> tuple[dict[str, Value], bool]:
    """Read the fields that an event sets, and whether any has a value that says nothing."""
    told: dict[str, Value] = {}
    unsaid = False
    for name, raw in body.items():
        known = table.get(name)
        if known is None:
            continue
        if raw is None:
            if name in named:
                told[known[0]] = None
            continue
        if isinstance(raw, dict | list) or name in diffs:
            unsaid = True
            continue
        told[known[0]] = _value(name, raw, known[1])
    return told, unsaid


def _pushed(
    place: str, raw_event: object, sobject: Mapping[str, object], entities: Collection[str]
) -> list[Change] | Ignored:
    try:
        event = msgspec.convert(raw_event, _Event)
    except msgspec.ValidationError as error:
        reason = "missing_field" if "missing required" in str(error) else "bad_value"
        raise _RefusedError(reason, f"event: {error}.") from None
    if place.endswith(_SUFFIX):
        entity = place.rpartition("/")[2].removesuffix(_SUFFIX)
    else:
        entity = fields.entity_of(sobject, place)
    if not entity:
        raise _RefusedError(
            "unknown_entity", "Neither the record's fields nor its id nor its topic say of which entity it is."
        )
    table = fields.OF.get(entity)
    if table is None or not (entity in entities or entity in fields.MAPPING):
        return Ignored(entity)
    kind = _TOPIC_KINDS.get(event.type)
    if kind is None:
        raise _RefusedError("unknown_change_type", "The event's type is none of created, updated, deleted, undeleted.")
    record = _record_id(sobject)
    created = _moment("createdDate", event.created_date)
    told, unsaid = _values(sobject, table, sobject, ())
    modified = told.get("LastModifiedDate")
    at = modified if isinstance(modified, int) else created
    identity = f"{place}|{_replay(event.replay_id)}|{created}|{event.type}|{record}"
    # Of PushTopics saved at one time the later has the higher replayId, mostly: nothing but that is read from it.
    number = event.replay_id if isinstance(event.replay_id, int) and abs(event.replay_id) < 1 << 63 else 0
    changes = [Change(entity, record, kind, Source.TOPIC, at, number, 0, told, identity)]
    if unsaid:
        changes.append(Change(entity, record, Kind.GAP, Source.TOPIC, at, number, 0, _UNSAID, f"{identity}|unsaid"))
    return changes


def _replay(replay: int | str | None) -> str:
    if replay is None:
        return ""
    text = str(replay) if isinstance(replay, str) or abs(replay) < 1 << 63 else ""
    if len(text) > fields.LONGEST_TEXT:
        raise _RefusedError("bad_value", "The replayId is longer than 255 characters.")
    return text


def _value(name: str, raw: object, reader: fields.Reader) -> Value:
    try:
        return reader(raw)
    except ValueError as error:
        reason = "bad_time" if reader is moments.read else "bad_value"
        raise _RefusedError(reason, f"{name} {error}.") from None


def _moment(name: str, raw: object) -> int:
    try:
        return moments.read(raw)
    except ValueError as error:
        raise _RefusedError("bad_time", f"{name} {error}.") from None


def _record_id(record: Mapping[str, object]) -> str:
    written = record.get("Id")
    if not isinstance(written, str):
        raise _RefusedError("missing_field", "The record has no Id.")
    return _id(written)


def _id(written: str) -> str:
    try:
        return ids.long(written)
    except ValueError:
        raise _RefusedError("bad_id", "A record's id has 15 or 18 letters and digits.") from None


def fetched(entity: str, record: Mapping[str, object], at: int) -> Change | Rejected:
    """Read a record as a GET gave it at `at` (milliseconds): all that it shows, nulls included, is so.

    It counts from its LastModifiedDate, `number` says when it was fetched, and each fetch is an event of its own: a gap
    is settled by a fetch after it, also when that shows what was known. A record with `IsDeleted` is gone.
    """
    try:
        known = _record_id(record)
        if record.get("IsDeleted") is True:
            return gone(entity, known, at, at)
        told, _ = _values(record, fields.OF[entity], record, ())
    except _RefusedError as error:
        return error.rejected
    modified = told.get("LastModifiedDate")
    since = modified if isinstance(modified, int) else at
    return Change(entity, known, Kind.UPDATE, Source.REST, since, at, 0, told, f"GET|{entity}|{known}|{since}|{at}")


def gone(entity: str, record: str, since: int, at: int) -> Change:
    """Say that a GET at `at` found no such record, and that it is taken to be gone since `since`."""
    return Change(entity, record, Kind.DELETE, Source.REST, since, at, 0, {}, f"GET|{entity}|{record}|gone|{at}")
