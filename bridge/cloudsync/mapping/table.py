"""Table: the ids of one customer, each resolved, pending, missing, or the operator's own word (manual). Pure."""

from collections.abc import Iterable, Iterator
from typing import Literal, TypeVar
from zoneinfo import available_timezones

import msgspec
from msgspec import UNSET

from bridge.cloudsync.events import mapped
from bridge.cloudsync.flow import configured
from bridge.words.cloudsync import Mapping
from bridge.words.settings import Cloudsync

State = Literal["resolved", "pending", "missing", "manual"]

MOST = 200_000
"""Ids of one customer; more are not followed."""

CATEGORIES = frozenset({"available", "busy", "away", "break", "training", "offline"})


class Row(msgspec.Struct, omit_defaults=True):
    """What is known of an id: `user:ID`, `group:ID`, `presence:ID` or `status:ENTITY:NAME`.

    `at`: as of when the CRM said so (milliseconds); `asked`: when it was last asked or told, 0 for never.
    """

    state: Literal["resolved", "pending", "missing"] = "pending"
    at: int = 0
    asked: int = 0
    name: str | None = None
    username: str | None = None
    default_group: str | None = None
    zone: str | None = None
    sl_threshold: int | None = None
    short_abandon: int | None = None
    category: str | None = None
    closed: bool | None = None


_NAMED = {"label": "name"}
_KEPT = set(Row.__struct_fields__)


class Table:
    """The rows of a customer, and the mapping that comes of them and of broker.yaml."""

    def __init__(self, settings: Cloudsync) -> None:
        self._settings = settings
        self._rows: dict[str, Row] = {}
        self._statuses: dict[str, str] = {}  # a status record's id: its `status:ENTITY:NAME`
        self._manual = configured.mapping(settings)
        self._mapping: Mapping | None = None
        self.refused = 0
        self.version = 0  # rises with every change that is to be kept

    @property
    def mapping(self) -> Mapping:
        """Give what the rules ask for: the same object as long as nothing has changed."""
        if self._mapping is None:
            self._mapping = self._made()
        return self._mapping

    def follow(self, settings: Cloudsync) -> None:
        """Take another broker.yaml."""
        if settings is not self._settings:
            self._settings = settings
            self._manual = configured.mapping(settings)
            self._mapping = None

    def state(self, id_: str) -> State | None:
        """Say how an id stands; None if it was never mentioned."""
        if self._is_manual(id_):
            return "manual"
        row = self._rows.get(id_)
        return None if row is None else row.state

    def rows(self) -> Iterator[tuple[str, State, Row]]:
        """Give every id with its state and what is known of it."""
        for id_, row in self._rows.items():
            yield id_, "manual" if self._is_manual(id_) else row.state, row

    def mention(self, ids: Iterable[str]) -> list[str]:
        """Note ids that records mention; give those that are new and have to be asked for."""
        new: list[str] = []
        for id_ in ids:
            if id_ in self._rows or self._is_whole(id_):
                continue
            if len(self._rows) >= MOST:
                self.refused += 1
                continue
            self._rows[id_] = Row()
            self.version += 1
            new.append(id_)
        return new

    def take(self, told: mapped.Row, now: int) -> str | None:
        """Take what the CRM says of an id, by event or GET; give the id. Older news changes nothing."""
        id_ = self._id(told)
        if id_ is None:
            return None
        row = self._rows.get(id_)
        if row is None:
            if len(self._rows) >= MOST:
                self.refused += 1
                return None
            row = self._rows[id_] = Row()
        row.asked = now
        self.version += 1
        if told.at < row.at:
            return id_
        row.at = told.at
        if told.deleted:
            # What was counted by it stays so: a tombstone keeps its name and meaning.
            row.state = "missing"
            return id_
        row.state = "resolved"
        for field in told.__struct_fields__:
            value = getattr(told, field)
            name = _NAMED.get(field, field)
            if value is not UNSET and name in _KEPT and name != "at":
                setattr(row, name, value)
        self._mapping = None
        return id_

    def miss(self, id_: str, now: int) -> None:
        """Note that the CRM has no such record."""
        row = self._rows.setdefault(id_, Row())
        row.state = "missing"
        row.asked = now
        self.version += 1

    def miss_statuses(self, since: int) -> None:
        """Note that the CRM, asked for all statuses at a time (milliseconds), has only those that were taken since."""
        for id_, row in self._rows.items():
            if id_.startswith("status:") and row.asked < since:
                row.state = "missing"
                row.asked = since
                self.version += 1

    def pending(self) -> list[str]:
        """List what was mentioned and not answered yet."""
        return [id_ for id_, row in self._rows.items() if row.state == "pending"]

    def stale(self, before: int) -> list[str]:
        """List what was asked for last before a time (milliseconds), what is missing too."""
        return [id_ for id_, row in self._rows.items() if row.state != "pending" and row.asked < before]

    def keep(self) -> bytes:
        """Spell the rows."""
        return msgspec.json.encode(_Kept(self._rows, self._statuses))

    def restore(self, kept: bytes) -> None:
        """Read them again. msgspec.DecodeError where they are torn."""
        told = msgspec.json.decode(kept, type=_Kept)
        self._rows, self._statuses = told.rows, told.statuses
        self._mapping = None

    def _is_manual(self, id_: str) -> bool:
        """Whether broker.yaml has a word on it."""
        kind, _, rest = id_.partition(":")
        match kind:
            case "status":
                entity, _, name = rest.partition(":")
                return (entity, name) in self._manual.closed
            case "group":
                return rest in self._manual.names
            case "presence":
                return rest in self._manual.presence
            case _:
                return False

    def _is_whole(self, id_: str) -> bool:
        """Whether broker.yaml says all that there is to know of it, so that nobody need be asked."""
        if not self._is_manual(id_):
            return False
        group = id_.removeprefix("group:")
        return group == id_ or group in self._manual.zone

    def _id(self, told: mapped.Row) -> str | None:
        match told:
            case mapped.UserRow():
                return f"user:{told.id}"
            case mapped.GroupRow():
                return f"group:{told.id}"
            case mapped.PresenceRow():
                return f"presence:{told.id}"
            case mapped.StatusRow():
                if told.entity and told.api_name:
                    self._statuses[told.id] = f"status:{told.entity}:{told.api_name}"
                return self._statuses.get(told.id)

    def _made(self) -> Mapping:
        told = Mapping()
        for id_, row in self._rows.items():
            kind, _, rest = id_.partition(":")
            match kind:
                case "status":
                    _put(told.closed, (rest.partition(":")[0], rest.partition(":")[2]), _closed(row))
                case "presence":
                    _put(told.presence, rest, row.category if row.category in CATEGORIES else None)
                case "user":
                    _put(told.names, rest, row.name)
                    _put(told.default_group, rest, row.default_group)
                case "group":
                    _put(told.names, rest, row.name)
                    _put(told.zone, rest, row.zone if row.zone in available_timezones() else None)
                    _put(told.sl_threshold, rest, row.sl_threshold)
                    _put(told.short_abandon, rest, row.short_abandon)
        manual = self._manual
        return Mapping(
            closed=told.closed | manual.closed,
            presence=told.presence | manual.presence,
            default_group=told.default_group,
            zone=told.zone | manual.zone,
            sl_threshold=told.sl_threshold | manual.sl_threshold,
            short_abandon=told.short_abandon | manual.short_abandon,
            names=told.names | manual.names,
        )


K = TypeVar("K")
V = TypeVar("V")


def _put(into: dict[K, V], key: K, value: V | None) -> None:
    """Note what is known; nothing and the empty text are not."""
    if value is not None and value != "":
        into[key] = value


class _Kept(msgspec.Struct):
    rows: dict[str, Row]
    statuses: dict[str, str]


def _closed(row: Row) -> bool | None:
    """Say whether a status means closed: by its own word, else by its category."""
    if row.closed is not None:
        return row.closed
    return {"closed": True, "open": False}.get((row.category or "").lower())
