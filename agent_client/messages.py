"""Messages: what a desktop and the bridge say to each other beside the pops, on ACK/C/A and DESK/C/A."""

from typing import Literal

import msgspec


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a pop at this desktop. `suspended` names a record that it put aside."""

    popid: str
    outcome: Literal["shown", "unchanged", "refused"]
    suspended: str | None = None
    reason: str | None = None


class Moved(msgspec.Struct, frozen=True):
    """What the agent did with a record by hand."""

    record: str
    state: Literal["closed", "resumed", "suspended"]


class Gone(msgspec.Struct, frozen=True):
    """The will: this desktop's connection broke."""

    desktop: str
    state: Literal["gone"] = "gone"


Saying = Outcome | Moved | Gone


class Recall(msgspec.Struct, frozen=True):
    """A pop is withdrawn: it is not to be shown any more."""

    popid: str


class Refused(msgspec.Struct, frozen=True):
    """The bridge does not let this agent have a record open."""

    reference: str
    reason: str


class Current(msgspec.Struct, frozen=True):
    """The bridge's account of the agent's records; activities newest first."""

    reference: str | None
    activities: tuple[str, ...]


Notice = Recall | Refused | Current


class _Desk(msgspec.Struct, frozen=True):
    recall: str | None = None
    refused: str | None = None
    reason: str = ""
    current: str | None = None
    activities: tuple[str, ...] | None = None


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(_Desk)


def encode(saying: Saying) -> bytes:
    """Spell what the desktop says."""
    return _ENCODER.encode(saying)


def notice(payload: bytes) -> Notice | None:
    """Read what the bridge says on DESK; None for a kind that this version does not know.

    Raises msgspec.DecodeError for what is not such a message.
    """
    desk = _DECODER.decode(payload)
    if desk.recall is not None:
        return Recall(desk.recall)
    if desk.refused is not None:
        return Refused(desk.refused, desk.reason)
    if desk.current is not None or desk.activities is not None:
        return Current(desk.current, desk.activities or ())
    return None
