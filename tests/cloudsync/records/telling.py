"""Telling: what a CRM says of one record, written briefly, and its facts in words.

Times of day are of 2026-06-09, UTC: `10:05`, `10:05:20`, `10:05:20.350`.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from bridge.cloudsync.records.fold import fold
from bridge.words.cloudsync import Change, Fact, Folded, Kind, Mapping, Post, Source

DAY = 1_780_963_200_000
ANN, BEN, CEM = "005000000000001AAA", "005000000000002AAA", "005000000000003AAA"
X, Y = "00G000000000001EAA", "00G000000000002EAA"
TICKET, OTHER = "500000000000001AAA", "500000000000002AAA"
LONG_AFTER = 1 << 60

STATUSES = {"New": False, "Working": False, "Closed": True, "Solved": True}
MAPPING = Mapping(
    closed={("SupportTicket", name): closes for name, closes in STATUSES.items()},
    presence={"0N5000000000001AAA": "available", "0N5000000000002AAA": "break"},
    default_group={ANN: X, BEN: Y},
)
TIMES = frozenset(
    {
        "CreatedDate",
        "ClosedDate",
        "FirstResponseDate",
        "LastModifiedDate",
        "RequestTime",
        "AcceptTime",
        "EndTime",
        "WrapUpEndTime",
        "StatusStartDate",
        "StatusEndDate",
    }
)


def ms(clock: str) -> int:
    """Read a time of day."""
    hours, minutes, *seconds = clock.split(":")
    return DAY + (int(hours) * 60 + int(minutes)) * 60_000 + round(float(seconds[0] if seconds else 0) * 1000)


def clock(at: int) -> str:
    """Write a time of day as briefly as it can be."""
    seconds, fraction = divmod(at - DAY, 1000)
    text = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}"
    if seconds % 60 or fraction:
        text += f":{seconds % 60:02d}"
    return text + (f".{fraction:03d}" if fraction else "")


class Told:
    """What is told of one record, in the order of telling."""

    def __init__(self, entity: str, record: str = TICKET) -> None:
        self.entity = entity
        self.record = record
        self.changes: list[Change] = []

    def tell(
        self,
        at: str,
        kind: Kind = Kind.UPDATE,
        *,
        source: Source = Source.CDC,
        number: int = 0,
        sequence: int = 1,
        **fields: Any,
    ) -> "Told":
        """Tell a change. Times among the fields are times of day."""
        said = {
            name: ms(value) if name in TIMES and isinstance(value, str) else value for name, value in fields.items()
        }
        identity = f"{self.entity}{self.record}{len(self.changes)}"
        change = Change(self.entity, self.record, kind, source, ms(at), number, sequence, said, identity)
        self.changes.append(change)
        return self

    def create(self, at: str, **fields: Any) -> "Told":
        return self.tell(at, Kind.CREATE, **fields)

    def delete(self, at: str, **fields: Any) -> "Told":
        return self.tell(at, Kind.DELETE, **fields)

    def undelete(self, at: str, **fields: Any) -> "Told":
        return self.tell(at, Kind.UNDELETE, **fields)

    def gap(self, at: str, kind: str = "GAP_UPDATE") -> "Told":
        return self.tell(at, Kind.GAP, gap=kind)

    def push(self, at: str, kind: Kind = Kind.UPDATE, **fields: Any) -> "Told":
        """Show it by PushTopic; `at` is its createdDate, unless LastModifiedDate is among the fields."""
        modified = fields.get("LastModifiedDate")
        return self.tell(
            modified if isinstance(modified, str) else at,
            kind,
            source=Source.TOPIC,
            **fields,
        )

    def fetch(self, at: str, **fields: Any) -> "Told":
        """Show it as a GET at `at` found it."""
        modified = fields.get("LastModifiedDate")
        return self.tell(
            modified if isinstance(modified, str) else at,
            source=Source.REST,
            number=ms(at),
            **fields,
        )

    def missing(self, since: str, at: str) -> "Told":
        """Tell that a GET at `at` found nothing."""
        return self.tell(since, Kind.DELETE, source=Source.REST, number=ms(at))

    def folded(self, mapping: Mapping = MAPPING, changes: Sequence[Change] | None = None) -> Folded:
        return fold(self.entity, self.changes if changes is None else changes, mapping, LONG_AFTER)


def ticket(record: str = TICKET) -> Told:
    return Told("SupportTicket", record)


def chat(record: str = "570000000000001AAA") -> Told:
    return Told("ChatSession", record)


def video(record: str = "0VS000000000001AAA") -> Told:
    return Told("VideoSession", record)


def presence(record: str = "0N9000000000001AAA") -> Told:
    return Told("UserPresence", record)


NAMES = {ANN: "Ann", BEN: "Ben", CEM: "Cem", X: "X", Y: "Y"}


def story(folded: Folded, *posts: Post) -> list[str]:
    """Write facts as `10:05 closed X Ann`, a span as `10:05-10:10 span_open X`; all but spans, or those asked for."""
    facts = [fact for fact in folded.facts if (fact.post in posts if posts else not fact.post.startswith("span"))]
    return [told(fact) for fact in sorted(facts, key=lambda fact: fact.at)]


def told(fact: Fact) -> str:
    at = clock(fact.at)
    if fact.post.startswith("span"):
        at += f"-{'' if fact.until is None else clock(fact.until)}"
    words: Iterable[str] = (at, fact.post.value, NAMES.get(fact.group, fact.group), NAMES.get(fact.agent, fact.agent))
    return " ".join(word for word in words if word)


def the(folded: Folded, post: Post) -> Fact:
    """Give the only fact of its kind."""
    (fact,) = [fact for fact in folded.facts if fact.post is post]
    return fact
