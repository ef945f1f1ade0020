"""Arrivals: what one transaction will write of events that came: rows as JSON, and payloads end to end."""

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b, sha256

import msgspec

from bridge.cloudsync.store.database import Database, Value, array
from bridge.words.cloudsync import Change, Rejected

HEAD = 65_536
"""Bytes of what cannot be read that are kept."""

LARGEST = 500  # changes in one group; what is done with a group on the event loop, pops wait for
LARGEST_PAYLOADS = 8 * 1024 * 1024

WRITE = """
    INSERT INTO arrivals (changes, raws, payloads, rejected, heads, counts, posted) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
TAKEN = "SELECT json_group_array(number) FROM changes WHERE number BETWEEN ? AND ?"
LAST = "SELECT json_array(coalesce((SELECT max(number) FROM changes), 0), coalesce((SELECT max(number) FROM raw), 0))"

_DETAIL = 500
_encode = msgspec.json.Encoder().encode


Spelled = tuple[bytes, bytes]
"""A change as it is stored, but for its number: what stands before that of its event, and what behind."""


def spell(customer: str, change: Change) -> Spelled:
    """Spell a change for `Arrivals.take`."""
    head = _row(customer, change.entity, change.record, change.at, identity(change.identity))
    return head[1:-1], _encode(change)


class Arrivals(msgspec.Struct):
    """Filled on the event loop; `spelled` gives the values of WRITE."""

    changes: list[bytes] = []
    raws: list[bytes] = []
    payloads: list[bytes] = []
    size: int = 0
    rejected: list[bytes] = []
    heads: list[bytes] = []
    heads_size: int = 0
    counts: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter)
    posted: dict[str, int] = {}

    @property
    def full(self) -> bool:
        """Whether further events should go to the next group."""
        return len(self.changes) + len(self.rejected) >= LARGEST or self.size + self.heads_size >= LARGEST_PAYLOADS

    @property
    def empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.changes or self.rejected or self.counts or self.posted)

    def take(
        self, number: int, customer: str, channel: str, payload: bytes, changes: Sequence["Spelled"], received: int
    ) -> None:
        """Take an event with what it says of each record; its changes get the numbers from `number` on."""
        raw = b"%d" % number
        for ordinal, (head, body) in enumerate(changes):
            self.changes.append(b"[%d,%b,%b,%b]" % (number + ordinal, head, raw, body))
        self.raws.append(_row(number, customer, channel, received, self.size, len(payload), len(changes)))
        self.payloads.append(payload)
        self.size += len(payload)

    def refuse(self, customer: str, channel: str, payload: bytes, rejected: Rejected, received: int) -> None:
        """Take what cannot be read."""
        head = payload[:HEAD]
        self.rejected.append(
            _row(
                customer,
                channel,
                rejected.reason,
                rejected.detail[:_DETAIL],
                len(payload),
                sha256(payload).hexdigest(),
                received,
                self.heads_size,
                len(head),
            )
        )
        self.heads.append(head)
        self.heads_size += len(head)

    def spelled(self) -> tuple[Value, ...]:
        """Spell the values of WRITE."""
        return (
            array(self.changes),
            array(self.raws),
            b"".join(self.payloads),
            array(self.rejected),
            b"".join(self.heads),
            array([_row(customer, what, count) for (customer, what), count in self.counts.items()]),
            array([_row(customer, at) for customer, at in self.posted.items()]),
        )


async def write(database: Database, group: Arrivals, first: int, last: int) -> set[int]:
    """Write a group; return which of the numbers `first` to `last` were new. Raises Unavailable."""
    await database.write(WRITE, *group.spelled())
    if last < first:
        return set()
    return set(await database.read(list[int], TAKEN, first, last) or ())


async def last_number(database: Database) -> int:
    """Read the last number that was given to a change."""
    return max(await database.read(list[int], LAST) or (0,))


def identity(text: str) -> int:
    """Hash what makes an event the same; together with its time, no two will meet."""
    return int.from_bytes(blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest()) >> 1


def _row(*values: object) -> bytes:
    return _encode(values)
