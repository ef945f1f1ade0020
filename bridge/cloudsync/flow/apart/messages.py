"""Messages: what the bridge and the processor's own process say to each other, by pipe.

Each is a length of four bytes, then MessagePack. What has a `number` is answered with that number.
"""

import asyncio
from typing import Any, Final, Literal

import msgspec

from bridge.cloudsync.flow.desk import News
from bridge.cloudsync.flow.refold import Key, Told
from bridge.words.cloudsync import Change
from bridge.words.ledger import Trouble

_SIZE: Final = 4

Feed = Literal["lsm", "stt", "cim"]


class _Tagged(msgspec.Struct, frozen=True, tag=True, array_like=True):
    pass


class Answer(_Tagged, frozen=True):
    """What became of what was asked: `trouble` and the sentence `said` if it could not be done, or what was found."""

    number: int
    trouble: Trouble | None = None
    said: str = ""
    found: msgspec.Raw = msgspec.Raw(b"\xc0")


# From the bridge


class Customers(_Tagged, frozen=True):
    """The customers as broker.yaml has them now: which feeds they have selected, and their zone."""

    customers: dict[str, tuple[list[Feed], str]]


class Mapped(_Tagged, frozen=True):
    """What is known of a customer's ids now, as `configured.spell` spells it."""

    customer: str
    spelled: str


class Wake(_Tagged, frozen=True):
    """There may be something to do."""


class Settle(_Tagged, frozen=True):
    """See `Processing.settle`."""

    number: int


class Recompute(_Tagged, frozen=True):
    """See `Processing.recompute`."""

    number: int
    customer: str
    start: int
    until: int


class Refold(_Tagged, frozen=True):
    """See `Processing.refold_all`."""

    number: int
    customer: str


class Lasting(_Tagged, frozen=True):
    """See `Processing.lasting`."""

    number: int
    customer: str
    entity: str


Asked = Settle | Recompute | Refold | Lasting
FromBridge = Customers | Mapped | Wake | Answer | Asked


# From the processor


class Begun(_Tagged, frozen=True):
    """It has read how far the last process came, for these customers too."""

    customers: list[str]


class Said(_Tagged, frozen=True):
    """A line for the bridge's log; `level` is logging's number."""

    level: int
    text: str


class Write(_Tagged, frozen=True):
    """Statements to be run in one transaction, and what rows are answered with from then on."""

    number: int
    statements: list[tuple[str, tuple[Any, ...]]]
    desks: list[News]


class MappingChanged(_Tagged, frozen=True):
    """See `Hooks.mapping_changed`."""

    number: int
    customer: str
    changes: list[Change]


class Folded(_Tagged, frozen=True):
    """See `Hooks.on_folded`."""

    customer: str
    now: int
    records: list[Told]


class IdsWanted(_Tagged, frozen=True):
    """See `Hooks.ids_wanted`."""

    customer: str
    ids: list[str]


class RecordsWanted(_Tagged, frozen=True):
    """See `Hooks.records_wanted`."""

    customer: str
    keys: list[Key]


class Turned(_Tagged, frozen=True):
    """How far it is, and what rows are answered with."""

    cursor: int
    counted: dict[str, int]
    troubles: list[str]
    desks: list[News]


FromProcessor = Begun | Said | Write | MappingChanged | Folded | IdsWanted | RecordsWanted | Turned | Answer

encode = msgspec.msgpack.Encoder().encode
of_bridge = msgspec.msgpack.Decoder(FromBridge).decode
of_processor = msgspec.msgpack.Decoder(FromProcessor).decode


def frame(message: FromBridge | FromProcessor) -> bytes:
    """Spell a message with its length."""
    spelled = encode(message)
    return len(spelled).to_bytes(_SIZE) + spelled


async def receive(reader: asyncio.StreamReader) -> bytes | None:
    """Wait for a message; None: the other side has ended."""
    try:
        size = int.from_bytes(await reader.readexactly(_SIZE))
        return await reader.readexactly(size)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
