"""Questions: what may be asked of STT and CIM, and the answer that each gets."""

from collections.abc import AsyncIterator, Callable
from typing import Literal

import msgspec

ALL = "*"
EACH = "each"

Attribution = Literal["event", "arrival"]
SlMode = Literal["negative", "ignore", "positive"]


class SttQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of STT. Times in milliseconds; a dimension is a value, `*` or `each`."""

    start: int
    until: int
    group: str = EACH
    channel: str = ALL
    priority: str = ALL
    tz: str | None = None
    zeros: bool = True
    attribution: Attribution = "event"
    sl_mode: SlMode = "negative"
    changed_since: int | None = None


class CimQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of CIM: the local dates `first` to `last`, both included."""

    first: str
    last: str
    dates: tuple[str, ...]
    agent: str = EACH
    group: str = EACH
    channel: str = ALL
    changed_since: int | None = None


class Answer(msgspec.Struct, frozen=True):
    """Rows, spelled as JSON objects or CSV lines when they are wanted; `tag` changes whenever they do."""

    as_of: str
    tag: str
    columns: tuple[str, ...]
    rows: Callable[[], AsyncIterator[list[str]]]


class RestatementTold(msgspec.Struct, frozen=True):
    """A restatement as it is read."""

    number: int
    feed: str
    at: int
    told: msgspec.Raw


def fits(asked: str, value: str) -> bool:
    """Say whether a row with this value of a dimension is asked for."""
    return value != ALL if asked == EACH else value == asked
