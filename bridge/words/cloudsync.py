"""CloudSync: the words between a CRM's events and the numbers. Times are whole milliseconds since the epoch, UTC."""

from enum import StrEnum
from typing import Literal

import msgspec

Entity = Literal["SupportTicket", "ChatSession", "VideoSession", "UserPresence"]
Value = str | int | float | bool | None

QUARTER = 900_000
"""Milliseconds of one interval: a UTC quarter hour, `[start, start + QUARTER)`."""


class Source(StrEnum):
    """Which dialect told of a change."""

    CDC = "cdc"  # Change Data Capture, as CometD or Pub/Sub JSON
    TOPIC = "topic"  # a PushTopic
    REST = "rest"  # fetched by GET


class Kind(StrEnum):
    """What happened to a record."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    UNDELETE = "UNDELETE"
    GAP = "GAP"  # something did, which must be fetched


class Change(msgspec.Struct, frozen=True, array_like=True):
    """What one event says of one record.

    `fields` has what the event sets (null: cleared); what it does not have is unchanged. `at` is commitTimestamp
    (CDC), LastModifiedDate, else createdDate (topic), LastModifiedDate (REST). `identity` is what makes the event
    the same when it comes again. `entity` may also be User, Group, Status or PresenceStatus (mapping).
    """

    entity: str
    record: str
    kind: Kind
    source: Source
    at: int
    number: int
    sequence: int
    fields: dict[str, Value]
    identity: str


class Rejected(msgspec.Struct, frozen=True):
    """An event that cannot be read: it is quarantined with this reason (a word, then a sentence)."""

    reason: str
    detail: str


class Post(StrEnum):
    """The kinds of facts. Those that begin with SPAN last from `at` until `until`; the others happen at `at`.

    `value` is in milliseconds unless said otherwise. Keys of a ticket fact are those after the commit.
    """

    # Tickets. agent: OwnerId after the commit if it is a user, else "".
    CREATED = "created"
    CLOSED = "closed"  # every close; value: since CreatedDate
    FIRST_CLOSED = "first_closed"  # beside CLOSED; value: the same
    CLOSED_ON_CREATE = "closed_on_create"  # beside CREATED and CLOSED
    REOPENED = "reopened"  # agent: who had closed
    TRANSFERRED_IN = "transferred_in"  # group changed while open: in the new row
    TRANSFERRED_OUT = "transferred_out"  # in the old row
    RECLASSIFIED_IN = "reclassified_in"  # priority or Origin changed while open: in the new row
    RECLASSIFIED_OUT = "reclassified_out"
    DELETED = "deleted"
    DELETED_OPEN = "deleted_open"  # beside DELETED
    UNDELETED = "undeleted"
    UNDELETED_OPEN = "undeleted_open"  # beside UNDELETED
    MERGED = "merged"
    MERGED_OPEN = "merged_open"  # beside MERGED
    ESCALATED = "escalated"
    FIRST_RESPONSE = "first_response"  # value: since CreatedDate
    ASSIGNED = "assigned"  # a user became owner; agent: that user
    SPAN_OPEN = "span_open"  # open in this row with this owner (agent "" if none is a user); value: CreatedDate

    # Contacts (chat and video legs). record is the session's record; agent only where one is named below.
    OFFERED = "offered"  # queued
    OFFERED_BY_TRANSFER = "offered_by_transfer"  # beside OFFERED, of a leg that queued anew
    ANSWERED = "answered"  # agent: who; value: wait
    ABANDONED = "abandoned"  # value: wait; short or not is decided by the group's limit
    FLOW_OUT = "flow_out"  # value: wait
    HANDLED = "handled"  # at wrap-up's end; agent; value: talk, hold, wrap
    TALKED = "talked"  # an earlier agent's talk, at the transfer; agent; value: talk, hold
    SPAN_QUEUED = "span_queued"  # from queueing to answer, abandon or leaving
    SPAN_BUSY = "span_busy"  # agent; from answer (or transfer) to wrap-up's end (or transfer)
    AGENT_OFFERED = "agent_offered"  # agent
    AGENT_ACCEPTED = "agent_accepted"  # agent
    AGENT_DECLINED = "agent_declined"  # agent
    AGENT_MISSED = "agent_missed"  # agent
    SESSION_IN = "session_in"  # agent: got a session by transfer
    SESSION_OUT = "session_out"  # agent: gave a session away by transfer

    # Presence. agent; detail: the category (available, busy, away, break, training, offline).
    SPAN_PRESENCE = "span_presence"


class Fact(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Something that happened, or lasts, as the records say. `arrival`: where the arrival view posts it."""

    post: Post
    at: int
    record: str
    group: str = ""
    channel: str = ""
    priority: str = ""
    agent: str = ""
    detail: str = ""
    value: int = 0
    hold: int = 0
    wrap: int = 0
    until: int | None = None
    arrival: int = 0
    session: str = ""  # contacts: what makes legs one session (the first record of a chain of transfers)


class Folded(msgspec.Struct, frozen=True):
    """A record, folded from all that is known of it.

    `state` has the fields as they are now. `unclassified`: unmapped statuses that hold something back. `flags`: what
    was wrong and mended (`clamped`). `dirty`: it must be fetched before its numbers are final.
    """

    facts: list[Fact]
    state: dict[str, Value]
    deleted: bool = False
    dirty: bool = False
    unclassified: list[str] = []
    flags: list[str] = []
    ids: list[str] = []  # user, group, status and presence ids that it mentions, as `kind:id`, for mapping


class Mapping(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of ids, as far as rules ask. Keys are 18-character ids; configuration wins over the CRM."""

    closed: dict[tuple[str, str], bool] = {}  # (entity, status api name): whether it means closed
    presence: dict[str, str] = {}  # presence status id: category
    default_group: dict[str, str] = {}  # user: group
    zone: dict[str, str] = {}  # group: IANA zone
    sl_threshold: dict[str, int] = {}  # group: milliseconds
    short_abandon: dict[str, int] = {}  # group: milliseconds
    names: dict[str, str] = {}  # user or group: name


DEFAULT_SL_THRESHOLD = 20_000
DEFAULT_SHORT_ABANDON = 5_000
