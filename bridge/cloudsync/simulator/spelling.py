"""Spelling: a step as the platform's message: Change Data Capture as CometD or Pub/Sub JSON, or a PushTopic."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from bridge.cloudsync.simulator.book import TIMES, Step
from bridge.words.cloudsync import Kind, Value

Dialect = Literal["cometd", "pubsub", "topic"]

FIELDS: Mapping[str, tuple[str, ...]] = {
    "SupportTicket": (
        *("TicketNumber", "Status", "Priority", "Origin", "Type", "Reason", "OwnerId", "GroupId", "CreatedDate"),
        *("ClosedDate", "FirstResponseDate", "LastModifiedDate", "IsEscalated", "MasterRecordId", "ContactId"),
    ),
    "ChatSession": (
        *("SessionKey", "Status", "GroupId", "OwnerId", "RequestTime", "AcceptTime", "EndTime", "WrapUpEndTime"),
        *("FirstResponseTime", "EndedBy", "HoldTime", "DeclineCount", "TransferCount", "TicketId", "IsBotSession"),
        *("ChannelType", "Priority", "LastModifiedDate"),
    ),
    "VideoSession": (
        *("SessionKey", "Status", "GroupId", "OwnerId", "HostId", "EnqueueTime", "StartDateTime", "EndDateTime"),
        *("WrapUpEndTime", "FirstResponseTime", "EndedBy", "HoldDuration", "DeclineCount", "TransferCount", "TicketId"),
        *("IsBotSession", "ChannelType", "Priority", "PreviousSessionId", "NextSessionId", "Disposition"),
        "LastModifiedDate",
    ),
    "UserPresence": (
        *("UserId", "PresenceStatusId", "StatusStartDate", "StatusEndDate", "IsCurrentState", "IsAway"),
        *("StatusReason", "ConfiguredCapacity", "UsedCapacity", "LastModifiedDate"),
    ),
    "User": ("Name", "Username", "DefaultGroupId", "TimeZone", "LastModifiedDate"),
    "Group": ("Name", "TimeZone", "ServiceLevelSeconds", "ShortAbandonSeconds", "LastModifiedDate"),
}
"""What each entity has, beside Id."""

TOPICS: Mapping[str, str] = {
    "SupportTicket": "SupportTickets",
    "ChatSession": "LiveChats",
    "VideoSession": "LiveVideos",
    "UserPresence": "AgentPresence",
}
"""The PushTopic of each entity."""

_TOPIC_KINDS = {Kind.CREATE: "created", Kind.UPDATE: "updated", Kind.DELETE: "deleted", Kind.UNDELETE: "undeleted"}
_SCHEMA = "simulated-by-popbridge"


class Letter(msgspec.Struct, frozen=True):
    """An event to be sent: one step, or several alike of one transaction (merged). `state` is the record after it."""

    steps: Sequence[Step]
    dialect: Dialect
    state: Mapping[str, Value]
    number: int
    replay: int
    gap: bool = False
    short: bool = False  # spells ids with 15 characters
    bitmap: bool = False  # changedFields as a bitmap


def channel(letter: Letter) -> str:
    """Give the MQTT topic behind `CLOUDSYNC/<CustomerID>/`."""
    entity = letter.steps[0].entity
    if letter.dialect == "topic":
        return f"topic/{TOPICS[entity]}"
    return f"{'data' if entity in TOPICS else 'user'}/{entity}ChangeEvent"


def payload(letter: Letter) -> bytes:
    """Give the message: CometD and PushTopics with their channel, Pub/Sub only the `data` object."""
    match letter.dialect:
        case "cometd":
            body = {"schema": _SCHEMA, "event": {"replayId": letter.replay}, "payload": _captured(letter)}
            return msgspec.json.encode({"channel": f"/{channel(letter)}", "data": body})
        case "pubsub":
            body = {"schema": _SCHEMA, "event": {"replayId": letter.replay}, "payload": _captured(letter)}
            return msgspec.json.encode(body)
        case "topic":
            step = letter.steps[0]
            event = {"createdDate": iso(step.at), "replayId": letter.replay, "type": _TOPIC_KINDS[step.kind]}
            body = {"event": event, "sobject": _pushed(letter)}
            return msgspec.json.encode({"channel": f"/{channel(letter)}", "data": body})


def iso(at: int, zone: str = "Z") -> str:
    """Spell milliseconds as the platform spells a time."""
    moment = dt.datetime.fromtimestamp(at // 1000, dt.UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at % 1000:03d}{zone}"


def _captured(letter: Letter) -> dict[str, object]:
    step = letter.steps[0]
    header: dict[str, object] = {
        "entityName": step.entity,
        "recordIds": [_id(each.record, letter) for each in letter.steps],
        "changeType": f"GAP_{step.kind}" if letter.gap else str(step.kind),
        "changeOrigin": "" if letter.gap else "com/cloudsync/api/soap/60.0;client=CloudSync",
        "transactionKey": f"{step.transaction:08x}-cd00-0000-0000-{step.at:012x}",
        "sequenceNumber": step.sequence,
        "commitTimestamp": step.at,
        "commitUser": step.by or "005000000000000AAA",
        "commitNumber": letter.number,
    }
    told: dict[str, object] = {"ChangeEventHeader": header}
    if letter.gap:
        return told
    if letter.dialect == "pubsub":
        return told | _every_key(letter, header)
    if step.kind is Kind.UPDATE:
        header["changedFields"] = [name for name in step.fields if name != "Id"]
    fields = letter.state if step.kind is Kind.UNDELETE else step.fields
    return told | {name: _iso_value(name, value, "Z") for name, value in fields.items() if name != "Id"}


def _every_key(letter: Letter, header: dict[str, object]) -> dict[str, object]:
    """Pub/Sub JSON has every key; null where it is unchanged, or cleared. Times are milliseconds."""
    step = letter.steps[0]
    names = FIELDS[step.entity]
    changed = [name for name in names if name in step.fields] if step.kind is Kind.UPDATE else []
    header |= {"changedFields": changed, "nulledFields": [name for name in changed if step.fields[name] is None]}
    header["diffFields"] = []
    if letter.bitmap:
        header["changedFields"] = [hex(sum(1 << names.index(name) for name in changed))]
        header["nulledFields"] = []
    fields = letter.state if step.kind is Kind.UNDELETE else step.fields
    return {name: fields.get(name) for name in names}


def _pushed(letter: Letter) -> dict[str, object]:
    step = letter.steps[0]
    told: dict[str, object] = {"Id": _id(step.record, letter)}
    if step.kind is Kind.DELETE:
        return told
    for name in FIELDS[step.entity]:
        told[name] = _iso_value(name, letter.state.get(name), "+0000")
    return told


def _id(record: str, letter: Letter) -> str:
    return record[:15] if letter.short else record


def _iso_value(name: str, value: Value, zone: str) -> Value:
    return iso(value, zone) if name in TIMES and isinstance(value, int) else value
