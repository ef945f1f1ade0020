"""Ledger: the words for what is remembered of pops: entries, their steps, answers, records, and when it cannot be."""

from typing import Generic, Literal, TypeVar

import msgspec

Trouble = Literal["full", "busy", "broken"]
"""Why nothing can be written: no space left, somebody else keeps the file locked, or anything else."""

T = TypeVar("T")


class Unavailable(Exception):  # noqa: N818 - it becomes an answer
    """Nothing could be written or read. `reason` is a word for programs, the text a sentence for the operator."""

    def __init__(self, reason: Trouble, detail: str) -> None:
        super().__init__(detail)
        self.reason: Trouble = reason


class Step(msgspec.Struct, frozen=True):
    """One step of a pop's life. `at` is in seconds since the epoch; `detail` is for people and may be empty."""

    status: str
    at: float
    detail: str = ""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A pop as it is accepted. `payload` is the published document (UTF-8), `key` the id of the caller's credential."""

    popid: str
    customer: str
    agent: str
    channel: str
    event: str | None = None
    campaign: str | None = None
    reference: str | None = None
    topic: str
    payload: bytes
    sent: float
    expires: float
    key: str
    fingerprint: bytes | None = None


class Pop(msgspec.Struct, frozen=True, kw_only=True):
    """A pop as it is read: what it was, how far it got, and its steps, the first one first."""

    popid: str
    customer: str
    agent: str
    channel: str
    event: str | None = None
    campaign: str | None = None
    reference: str | None = None
    topic: str
    sent: float
    expires: float
    key: str
    status: str
    steps: list[Step]


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Part of a list; `next` is the cursor of the following part, None at the end."""

    items: list[T]
    next: str | None = None


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """The first answer to an idempotency key. The scope is `customer` and `api`; `body` is UTF-8."""

    customer: str
    api: str
    key: str
    fingerprint: bytes
    status: int
    body: bytes
    at: float


class Fingerprint(msgspec.Struct, frozen=True):
    """What the duplicate guard knows of a pop."""

    customer: str
    fingerprint: bytes
    popid: str
    sent: float


class Record(msgspec.Struct, frozen=True):
    """A record that an agent has open (`current`) or put aside (`activity`)."""

    customer: str
    agent: str
    reference: str
    state: Literal["current", "activity"]
    popid: str
    at: float


class SeenAgent(msgspec.Struct, frozen=True):
    """An agent, and when something was heard of it last (within ten seconds)."""

    agent: str
    at: float
