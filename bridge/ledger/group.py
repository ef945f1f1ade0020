"""Group: what one transaction will write, already spelled for it: pops as values to bind, all else as JSON."""

import asyncio
from collections.abc import Sequence
from functools import cache

import msgspec

from bridge.words.ledger import Entry, Record, Remembered, Step, Trouble, Unavailable

LARGEST = 500  # pops in one group: what is in it waits for all of it
LARGEST_PAYLOADS = 1024 * 1024  # bytes of payload, likewise; SQLite keeps them until it gets a group of that size again
_DETAIL = 500  # characters of a step's detail that are kept
_STEP = 100  # bytes that a step takes, roughly, without its detail

_VALUES = 18  # of a pop
_NOTES = 6  # values after those of the pops
_FILLER = (0,) * _VALUES

Scalar = str | float | None
Value = Scalar | bytes
Row = tuple[Scalar, ...]
_encode = msgspec.json.Encoder().encode


class Notes(msgspec.Struct):
    """What nobody waits for: written with the next group if this one fails. Of a pop's changes the last one counts."""

    steps: list[Row] = []
    changes: dict[str, tuple[str | None, bool]] = {}
    answers: dict[tuple[str, str, str], bytes] = {}
    records: dict[tuple[str, str, str], bytes] = {}
    agents: dict[tuple[str, str], bytes] = {}
    size: int = 0

    def step(self, number: int, popid: str, status: str, at: float, detail: str, *, final: bool) -> None:
        """Take a further step of a pop."""
        self.steps.append((popid, number, status, at, _detail(detail), 1 if final else 0))
        self.size += _STEP + len(detail)
        self.change(popid, status, over=final)

    def change(self, popid: str, status: str | None, *, over: bool) -> None:
        """Take a pop's new status, if it has one, and whether it is over."""
        before = self.changes.get(popid)
        if before is not None:
            status, over = status or before[0], over or before[1]
        self.changes[popid] = (status, over)

    def answer(self, answer: Remembered) -> None:
        """Take an answer that belongs to no pop."""
        row = _answer(answer)
        self.answers[(answer.customer, answer.api, answer.key)] = row
        self.size += len(row)

    def record(self, record: Record) -> None:
        """Take the state of a record."""
        row = _row(record.customer, record.agent, record.reference, record.state, record.popid, record.at)
        self.records[(record.customer, record.agent, record.reference)] = row

    def no_record(self, customer: str, agent: str, reference: str) -> None:
        """Take that an agent has a record no more."""
        self.records[(customer, agent, reference)] = _row(customer, agent, reference, None)

    def agent(self, customer: str, agent: str, at: float) -> None:
        """Take when an agent was seen."""
        self.agents[(customer, agent)] = _row(customer, agent, at)

    def follow(self, later: "Notes") -> None:
        """Append what came later."""
        self.steps += later.steps
        for popid, (status, over) in later.changes.items():
            self.change(popid, status, over=over)
        self.answers |= later.answers
        self.records |= later.records
        self.agents |= later.agents
        self.size += later.size


class Group(msgspec.Struct):
    """Filled on the event loop: pops that callers wait for, written whole or not at all, and notes."""

    pops: int = 0
    values: list[Value] = []  # of one pop after the other
    first_steps: list[Row] = []  # of pops that have several
    accepted: int = 0  # pops and their first steps
    payload_size: int = 0
    answers: list[bytes] = []
    waiting: list[asyncio.Future[None]] = []
    readers: list[asyncio.Future[None]] = []
    notes: Notes = msgspec.field(default_factory=Notes)

    @property
    def full(self) -> bool:
        """Whether further pops should go to the next group."""
        return self.pops >= LARGEST or self.payload_size >= LARGEST_PAYLOADS

    @property
    def rows(self) -> int:
        """Count the pops and steps."""
        return self.accepted + len(self.notes.steps)

    @property
    def size(self) -> int:
        """Count the bytes, roughly."""
        return self.payload_size + self.notes.size

    def accept(
        self, number: int, entry: Entry, steps: Sequence[Step], answer: Remembered | None, *, final: bool
    ) -> int:
        """Take a pop with its first steps; return the last number used. Raises before anything of it is taken."""
        last = steps[-1]
        several = len(steps) > 1
        pop = (
            number,
            entry.popid,
            entry.customer,
            entry.agent,
            str(entry.channel),
            entry.event,
            entry.campaign,
            entry.reference,
            entry.topic,
            entry.sent,
            entry.expires,
            entry.key,
            None if entry.fingerprint is None else entry.fingerprint.hex(),
            str(last.status),
            0 if final else 1,
            entry.payload,
            None if several else last.at,
            last.detail[:_DETAIL],
        )
        texts = "".join([value for value in pop if isinstance(value, str)])
        plain = _plain(texts)
        remembered = [] if answer is None else [_answer(answer)]
        if several:
            self.first_steps += [
                (entry.popid, number + nth, step.status, step.at, _detail(step.detail), 1)
                for nth, step in enumerate(steps, 1)
            ]
        self.values += pop if plain else [storable(value) if isinstance(value, str) else value for value in pop]
        self.answers += remembered
        self.pops += 1
        self.accepted += 1 + len(steps)
        self.payload_size += len(entry.payload)
        return number + len(steps)

    def spelled(self, last: int) -> tuple[str, list[Value]]:
        """Give the statement that writes all this, and its values."""
        notes = self.notes
        room = _room(self.pops)
        return _statement(room), [
            *self.values,
            *_FILLER * (room - self.pops),
            _json([*self.first_steps, *notes.steps]),
            _json([(popid, status, 0 if over else 1) for popid, (status, over) in notes.changes.items()]),
            _array([*self.answers, *notes.answers.values()]),
            _array(list(notes.records.values())),
            _array(list(notes.agents.values())),
            last,
        ]

    def succeed(self) -> None:
        """Tell who waits that it is written."""
        for future in (*self.waiting, *self.readers):
            if not future.done():  # its caller may have gone
                future.set_result(None)

    def fail(self, reason: Trouble, detail: str) -> None:
        """Tell who waits that nothing of theirs was written."""
        for future in self.waiting:
            if not future.done():
                future.set_exception(Unavailable(reason, detail))
        for future in self.readers:
            if not future.done():
                future.set_result(None)


def storable(text: str) -> str:
    """Replace NUL, at which SQLite's JSON ends a text."""
    return text.replace("\0", "\ufffd")


def _room(pops: int) -> int:
    """Give for how many pops the statement is made: each size is prepared once and kept, so there are few of them."""
    coarse = 1 << max(0, pops.bit_length() - 3)
    return -(-pops // coarse) * coarse


@cache
def _statement(pops: int) -> str:
    pop = f"({', '.join('?' * _VALUES)}{', NULL' * _NOTES})"
    notes = f"({'NULL, ' * _VALUES}{', '.join('?' * _NOTES)})"
    return f"INSERT INTO groups VALUES {', '.join([*[pop] * pops, notes])}"  # noqa: S608 - of this file


def _plain(text: str) -> bool:
    """Tell whether it is stored as it is. UnicodeEncodeError: it cannot be stored."""
    if not text.isascii():
        text.encode()
    return "\0" not in text


def _row(*values: Scalar) -> bytes:
    row = _encode(values)
    if b"\\u0000" in row:
        row = _encode([storable(value) if isinstance(value, str) else value for value in values])
    return row


def _detail(text: str) -> str:
    return storable(text[:_DETAIL]) if text and not _plain(text) else text[:_DETAIL]


def _answer(answer: Remembered) -> bytes:
    return _row(
        answer.customer,
        answer.api,
        answer.key,
        answer.fingerprint.hex(),
        answer.status,
        answer.body.decode(),
        answer.at,
    )


def _array(rows: list[bytes]) -> str | None:
    return (b"[" + b",".join(rows) + b"]").decode() if rows else None


def _json(rows: Sequence[Row]) -> str | None:
    return _encode(rows).decode() if rows else None
