"""Messages as the platform sends them."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

TICKET = "500000000000001AAA"
CHAT = "570000000000001AAA"
AGENT = "005000000000001AAA"
NOON = 1_781_006_400_000  # 2026-06-09T12:00:00Z
ALL = frozenset({"SupportTicket", "ChatSession", "VideoSession", "UserPresence"})

Json = Mapping[str, object]


def header(kind: str = "UPDATE", *records: str, **other: object) -> dict[str, object]:
    return {
        "entityName": "SupportTicket",
        "recordIds": list(records or (TICKET,)),
        "changeType": kind,
        "changeOrigin": "",
        "transactionKey": "0001-cd00",
        "sequenceNumber": 1,
        "commitTimestamp": NOON,
        "commitUser": AGENT,
        "commitNumber": 17,
        **other,
    }


def captured(head: Json, fields: Json | None = None, replay: object = 6) -> dict[str, object]:
    """Make the `data` object of a change event."""
    return {"schema": "s", "event": {"replayId": replay}, "payload": {"ChangeEventHeader": head, **(fields or {})}}


def update(fields: Json, changed: Sequence[str] | None = None, **other: Any) -> bytes:
    names = list(fields) if changed is None else list(changed)
    return spelled(captured(header("UPDATE", changedFields=names, **other), fields))


def pushed(fields: Json, kind: str = "updated", created: object = "2026-06-09T12:00:01.000Z") -> dict[str, object]:
    """Make the `data` object of a PushTopic."""
    return {"event": {"createdDate": created, "replayId": 13, "type": kind}, "sobject": fields}


def whole(channel: str, data: Json) -> bytes:
    return spelled({"channel": channel, "data": data})


def spelled(message: object) -> bytes:
    return msgspec.json.encode(message)
