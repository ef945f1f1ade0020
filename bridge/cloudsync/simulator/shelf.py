"""Shelf: the simulated CRM's records as they are at a moment, for its GETs."""

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from bridge.cloudsync.simulator.book import TIMES, Step
from bridge.cloudsync.simulator.ids import checked
from bridge.cloudsync.simulator.spelling import iso
from bridge.cloudsync.simulator.world import World
from bridge.words.cloudsync import Kind, Value

PAGE = 2_000
"""Records that a query answers at once."""

Record = dict[str, Value]

_QUERY = re.compile(
    r"SELECT\s+(?P<fields>[\w\s,]+?)\s+FROM\s+(?P<entity>\w+)(?:\s+WHERE\s+(?P<where>.+?))?"
    r"(?:\s+ORDER\s+BY\s+[\w\s,]+?)?(?:\s+LIMIT\s+(?P<limit>\d+))?",
    re.IGNORECASE,
)
_CONDITION = re.compile(
    r"(?P<field>\w+)\s*(?:(?P<sign>>=|>|=)\s*(?P<value>'[^']*'|\S+)|IN\s*\((?P<any>[^)]*)\))", re.IGNORECASE
)


class QueryError(ValueError):
    """A query that this CRM does not understand."""


class Query(msgspec.Struct, frozen=True):
    """`SELECT … FROM … [WHERE … AND …] [LIMIT …]`, read."""

    entity: str
    fields: Sequence[str]
    conditions: Sequence[tuple[str, str, Sequence[str]]]
    limit: int | None


class Shelf:
    """Records by entity and id; `apply` takes each step as it is committed."""

    def __init__(self, world: World, steps: Iterable[Step] = ()) -> None:
        self._records: dict[tuple[str, str], Record] = dict(world.records())
        self._deleted: set[tuple[str, str]] = set()
        for step in steps:
            self.apply(step)

    def apply(self, step: Step) -> None:
        """Do what a step does."""
        key = (step.entity, step.record)
        self._records[key] = {"Id": step.record} | self._records.get(key, {}) | step.fields
        if step.kind is Kind.DELETE:
            self._deleted.add(key)
        elif step.kind is Kind.UNDELETE:
            self._deleted.discard(key)

    def put(self, entity: str, record: Record) -> None:
        """Put a record there that no step made."""
        self._records[entity, str(record["Id"])] = record

    def remove(self, entity: str, id_: str) -> None:
        """Take a record away."""
        self._records.pop((entity, id_), None)

    def get(self, entity: str, id_: str) -> Record | None:
        """Give a record; None if there is none, or it is deleted."""
        key = (entity, checked(id_) if len(id_) == 15 else id_)
        return None if key in self._deleted else self._records.get(key)

    def select(self, query: Query) -> list[Record]:
        """Answer a query, by LastModifiedDate and Id."""
        found = [
            record
            for (entity, id_), record in self._records.items()
            if entity == query.entity and (entity, id_) not in self._deleted and _fits(record, query)
        ]
        found.sort(key=lambda record: (int(record.get("LastModifiedDate") or 0), str(record["Id"])))
        return found[: query.limit]


def read(text: str) -> Query:
    """Read a query; QueryError says what is not understood."""
    found = _QUERY.fullmatch(text.strip())
    if found is None:
        raise QueryError("unexpected token")
    conditions: list[tuple[str, str, Sequence[str]]] = []
    for part in re.split(r"\s+AND\s+", found["where"] or "", flags=re.IGNORECASE):
        if not part:
            continue
        said = _CONDITION.fullmatch(part.strip())
        if said is None:
            raise QueryError(f"unexpected token in: {part}")
        values = [said["value"]] if said["any"] is None else said["any"].split(",")
        conditions.append((said["field"], said["sign"] or "=", [value.strip().strip("'") for value in values]))
    fields = [field.strip() for field in found["fields"].split(",")]
    return Query(found["entity"], fields, conditions, None if found["limit"] is None else int(found["limit"]))


def spell(entity: str, record: Mapping[str, Value], fields: Sequence[str], base: str) -> dict[str, object]:
    """Spell a record as a GET answers it: `attributes`, and each field that was asked for, null if it is not set."""
    told: dict[str, object] = {"attributes": {"type": entity, "url": f"{base}/sobjects/{entity}/{record['Id']}"}}
    for name in fields or list(record):
        value = record.get(name)
        told[name] = iso(value, "+0000") if name in TIMES and isinstance(value, int) else value
    return told


def _fits(record: Record, query: Query) -> bool:
    for field, sign, values in query.conditions:
        value = record.get(field)
        told = iso(value) if field in TIMES and isinstance(value, int) else str(value)
        if field == "Id":
            values = [checked(each) if len(each) == 15 else each for each in values]  # noqa: PLW2901 - one spelling
        wanted = values[0].replace("+0000", "Z")
        if not (told in values if sign == "=" else told > wanted or (sign == ">=" and told == wanted)):
            return False
    return True
