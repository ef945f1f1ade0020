"""Mapped: what events say of users, groups and statuses, as rows: UNSET is what one does not say, None is cleared."""

import msgspec
from msgspec import UNSET, UnsetType

from bridge.words.cloudsync import Change, Kind, Value


class UserRow(msgspec.Struct, frozen=True, kw_only=True, tag="user"):
    """A user. `at` is when it became so."""

    id: str
    at: int
    deleted: bool = False
    username: str | UnsetType | None = UNSET
    name: str | UnsetType | None = UNSET
    default_group: str | UnsetType | None = UNSET
    zone: str | UnsetType | None = UNSET


class GroupRow(msgspec.Struct, frozen=True, kw_only=True, tag="group"):
    """A group; limits in milliseconds."""

    id: str
    at: int
    deleted: bool = False
    name: str | UnsetType | None = UNSET
    zone: str | UnsetType | None = UNSET
    sl_threshold: int | UnsetType | None = UNSET
    short_abandon: int | UnsetType | None = UNSET


class StatusRow(msgspec.Struct, frozen=True, kw_only=True, tag="status"):
    """A status of an entity: mapped by entity and `api_name`, known to the CRM by id."""

    id: str
    at: int
    deleted: bool = False
    entity: str | UnsetType | None = UNSET
    api_name: str | UnsetType | None = UNSET
    category: str | UnsetType | None = UNSET
    closed: bool | UnsetType | None = UNSET


class PresenceRow(msgspec.Struct, frozen=True, kw_only=True, tag="presence"):
    """A presence status; the category in lower case (available, busy, away, break, training, offline)."""

    id: str
    at: int
    deleted: bool = False
    label: str | UnsetType | None = UNSET
    category: str | UnsetType | None = UNSET


Row = UserRow | GroupRow | StatusRow | PresenceRow


def mapping_change(change: Change) -> Row | None:
    """Read a change of a User, Group, Status or PresenceStatus; None if it says nothing (a gap: fetch it).

    A Status whose Entity is UserPresence or PresenceStatus is a presence status too: the stream has no topic of its own
    for those.
    """
    if change.kind is Kind.GAP:
        return None
    said = change.fields
    at, deleted = change.at, change.kind is Kind.DELETE
    if change.entity == "User":
        return UserRow(
            id=change.record,
            at=at,
            deleted=deleted,
            username=_text(said, "Username"),
            name=_text(said, "Name"),
            default_group=_text(said, "DefaultGroupId"),
            zone=_text(said, "TimeZone"),
        )
    if change.entity == "Group":
        return GroupRow(
            id=change.record,
            at=at,
            deleted=deleted,
            name=_text(said, "Name"),
            zone=_text(said, "TimeZone"),
            sl_threshold=_milliseconds(said, "ServiceLevelSeconds"),
            short_abandon=_milliseconds(said, "ShortAbandonSeconds"),
        )
    category = _text(said, "Category")
    if isinstance(category, str):
        category = category.lower()
    if change.entity == "PresenceStatus" or said.get("Entity") in {"UserPresence", "PresenceStatus"}:
        label = _text(said, "Name")
        if label is UNSET:
            label = _text(said, "Label")
        return PresenceRow(id=change.record, at=at, deleted=deleted, label=label, category=category)
    if change.entity == "Status":
        closed = said.get("IsClosed", UNSET)
        return StatusRow(
            id=change.record,
            at=at,
            deleted=deleted,
            entity=_text(said, "Entity"),
            api_name=_text(said, "ApiName"),
            category=category,
            closed=closed if closed is UNSET or closed is None else bool(closed),
        )
    return None


def _text(said: dict[str, Value], name: str) -> str | UnsetType | None:
    value = said.get(name, UNSET)
    return value if value is UNSET or value is None else str(value)


def _milliseconds(said: dict[str, Value], name: str) -> int | UnsetType | None:
    value = said.get(name, UNSET)
    if value is UNSET or value is None:
        return value
    return int(float(value) * 1000)
