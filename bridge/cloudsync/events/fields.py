"""Fields: the fields of each entity that count, their types, and the one name that each has inside.

What is not in these tables is left in the raw event: nobody inside sees a subject, a body, or a visitor's name.
VideoSession's own names stand for ChatSession's: `EnqueueTime` is `RequestTime` from here on, and so forth.
"""

from collections.abc import Callable, Mapping

from bridge.cloudsync.events import ids, moments
from bridge.words.cloudsync import Value

LONGEST_TEXT = 255

Reader = Callable[[object], Value]


def text(raw: object) -> Value:
    """Read words; a number is taken as it is written."""
    if isinstance(raw, str):
        if len(raw) > LONGEST_TEXT or "\0" in raw:
            raise ValueError(f"is longer than {LONGEST_TEXT} characters, or has a NUL")
        return raw or None
    if isinstance(raw, int) and not isinstance(raw, bool):
        return str(raw)
    raise ValueError("is not text")


def reference(raw: object) -> Value:
    """Read another record's id, in its long spelling; what is not an id is kept, and names nobody known."""
    try:
        return ids.long(raw) if isinstance(raw, str) else text(raw)
    except ValueError:
        return text(raw)


def count(raw: object) -> Value:
    """Read a whole number, not negative."""
    number = seconds(raw)
    if number != int(number):
        raise ValueError("is not a whole number")
    return int(number)


def seconds(raw: object) -> int | float:
    """Read a number, not negative."""
    if isinstance(raw, str) and raw.isascii() and raw.isdigit() and len(raw) <= 12:
        return int(raw)
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not 0 <= raw <= 1e12:
        raise ValueError("is not a number from 0 to 1e12")
    return raw


def flag(raw: object) -> Value:
    """Read true or false."""
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and raw.lower() in {"true", "false"}:
        return raw.lower() == "true"
    raise ValueError("is neither true nor false")


_SESSION: dict[str, tuple[str, Reader]] = {
    name: (name, reader)
    for reader, names in (
        (text, "SessionKey Status EndedBy ChannelType Priority"),
        (reference, "GroupId OwnerId TicketId ContactId"),
        (
            moments.read,
            "RequestTime AcceptTime EndTime WrapUpEndTime FirstResponseTime CreatedDate LastModifiedDate",
        ),
        (seconds, "HoldTime"),
        (count, "DeclineCount TransferCount"),
        (flag, "IsBotSession"),
    )
    for name in names.split()
}

_CHAT_ONLY = {"RequestTime", "AcceptTime", "EndTime", "HoldTime"}

_MAPPING: dict[str, tuple[str, Reader]] = {
    name: (name, reader)
    for reader, names in (
        (text, "Name Username TimeZone ApiName Entity Category Label"),
        (reference, "DefaultGroupId"),
        (seconds, "ServiceLevelSeconds ShortAbandonSeconds"),
        (flag, "IsClosed"),
        (moments.read, "LastModifiedDate"),
    )
    for name in names.split()
}

OF: Mapping[str, Mapping[str, tuple[str, Reader]]] = {
    "SupportTicket": {
        name: (name, reader)
        for reader, names in (
            (text, "TicketNumber Status Priority Origin Type Reason"),
            (reference, "OwnerId GroupId MasterRecordId ContactId"),
            (moments.read, "CreatedDate ClosedDate FirstResponseDate LastModifiedDate"),
            (flag, "IsEscalated"),
        )
        for name in names.split()
    },
    "ChatSession": _SESSION,
    "VideoSession": {
        **{name: told for name, told in _SESSION.items() if name not in _CHAT_ONLY},
        "EnqueueTime": ("RequestTime", moments.read),
        "StartDateTime": ("AcceptTime", moments.read),
        "EndDateTime": ("EndTime", moments.read),
        "HoldDuration": ("HoldTime", seconds),
        "HostId": ("HostId", reference),
        "PreviousSessionId": ("PreviousSessionId", reference),
        "NextSessionId": ("NextSessionId", reference),
        "Disposition": ("Disposition", text),
    },
    "UserPresence": {
        name: (name, reader)
        for reader, names in (
            (text, "StatusReason"),
            (reference, "UserId PresenceStatusId"),
            (moments.read, "StatusStartDate StatusEndDate CreatedDate LastModifiedDate"),
            (count, "ConfiguredCapacity UsedCapacity"),
            (flag, "IsCurrentState IsAway"),
        )
        for name in names.split()
    },
    "User": _MAPPING,
    "Group": _MAPPING,
    "Status": _MAPPING,
    "PresenceStatus": _MAPPING,
}

MAPPING = frozenset({"User", "Group", "Status", "PresenceStatus"})
"""The entities that are names for the others; they need not be selected."""

_MARKS = {
    "SupportTicket": {"TicketNumber", "Origin", "ClosedDate", "FirstResponseDate", "IsEscalated", "MasterRecordId"},
    "VideoSession": {
        "EnqueueTime",
        "StartDateTime",
        "EndDateTime",
        "HoldDuration",
        "HostId",
        "PreviousSessionId",
        "NextSessionId",
        "Disposition",
    },
    "ChatSession": {"RequestTime", "AcceptTime", "EndTime", "HoldTime"},
    "UserPresence": {"PresenceStatusId", "StatusStartDate", "StatusEndDate", "IsCurrentState", "IsAway"},
}
_PREFIXES = {ids.TICKET_PREFIX: "SupportTicket", ids.CHAT_PREFIX: "ChatSession"}
_WORDS = {"ticket": "SupportTicket", "chat": "ChatSession", "video": "VideoSession", "presence": "UserPresence"}


def entity_of(sobject: Mapping[str, object], topic: str) -> str:
    """Find the entity of a PushTopic's record, which does not say: by its type, fields, id, the topic's name; else "".

    In this order, because a field belongs to one entity by definition, and a topic's name is whatever somebody chose.
    """
    attributes = sobject.get("attributes")
    named = attributes.get("type") if isinstance(attributes, dict) else None
    if isinstance(named, str):
        return named
    for entity, marks in _MARKS.items():
        if not marks.isdisjoint(sobject):
            return entity
    by_id = _PREFIXES.get(str(sobject.get("Id"))[:3])
    if by_id is not None:
        return by_id
    return next((entity for word, entity in _WORDS.items() if word in topic.lower()), "")
