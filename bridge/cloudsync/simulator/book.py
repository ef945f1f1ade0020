"""Book: what happens to records in a simulated contact centre, step by step; it is the ground truth."""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from bridge.cloudsync.simulator import ids
from bridge.words.cloudsync import Kind, Value

TIMES = frozenset(
    {
        "AcceptTime",
        "ClosedDate",
        "CreatedDate",
        "EndDateTime",
        "EndTime",
        "EnqueueTime",
        "FirstResponseDate",
        "FirstResponseTime",
        "LastModifiedDate",
        "RequestTime",
        "StartDateTime",
        "StatusEndDate",
        "StatusStartDate",
        "WrapUpEndTime",
    }
)
"""Fields whose values in the truth are milliseconds since the epoch."""


class Step(msgspec.Struct, frozen=True):
    """One commit to one record. `fields`: what it sets (null: cleared). Steps of one transaction share its number."""

    at: int
    entity: str
    record: str
    kind: Kind
    fields: dict[str, Value]
    transaction: int
    sequence: int = 1
    by: str = ""  # who did it: a user's id


class Entry(msgspec.Struct, frozen=True):
    """One line of a record's history in the ground truth."""

    at: int
    fields: dict[str, Value]
    kind: Kind


class Truth(msgspec.Struct, frozen=True):
    """A record with its whole history in true order. Times in `fields` are milliseconds, ids have 18 characters."""

    entity: str
    id: str
    history: list[Entry]


class Book:
    """Collects steps. `first` is the number of the first record, so that days do not share ids."""

    def __init__(self, first: int = 0) -> None:
        self.steps: list[Step] = []
        self._records = first
        self._transactions = first

    def record(self, entity: str) -> str:
        """Give a new record's id."""
        self._records += 1
        return ids.make(entity, self._records)

    def transaction(self) -> int:
        """Open a transaction that several steps share."""
        self._transactions += 1
        return self._transactions

    def tell(
        self,
        at: int,
        entity: str,
        record: str,
        kind: Kind,
        fields: Mapping[str, Value],
        *,
        transaction: int | None = None,
        sequence: int = 1,
        by: str = "",
    ) -> None:
        """Write a step down; LastModifiedDate is its time."""
        of = self.transaction() if transaction is None else transaction
        told = dict(fields) if kind is Kind.DELETE else {**fields, "LastModifiedDate": at}
        self.steps.append(Step(at, entity, record, kind, told, of, sequence, by))

    def in_order(self) -> list[Step]:
        """Give the steps as they were committed."""
        return sorted(self.steps, key=lambda step: (step.at, step.transaction, step.sequence))


def truth(steps: Iterable[Step]) -> Iterator[Truth]:
    """Gather the histories of records, in the order in which the records began, from steps in true order."""
    records: dict[tuple[str, str], list[Entry]] = {}
    for step in steps:
        records.setdefault((step.entity, step.record), []).append(Entry(step.at, step.fields, step.kind))
    for (entity, record), history in records.items():
        yield Truth(entity, record, history)


def write(told: Iterable[Truth]) -> Iterator[bytes]:
    """Spell the truth, one JSON object a line."""
    for each in told:
        yield msgspec.json.encode(each) + b"\n"


def read(lines: Iterable[bytes]) -> Iterator[Truth]:
    """Read it again."""
    decoder = msgspec.json.Decoder(Truth)
    for line in lines:
        yield decoder.decode(line)
