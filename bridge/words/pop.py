"""Pop: the JSON document that reaches an agent's desktops."""

import os
import string
from binascii import b2a_base64
from collections.abc import Iterator

import msgspec


class Pop(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The document, keys in this order, absent when they do not apply. Never a credential.

    `sent` and `expires` are RFC 3339 in UTC; `ack` is the topic on which the desktop answers; `data` is the
    interaction data as the caller spelled it.
    """

    popid: str
    event: str | None = None
    agentid: str
    crmid: str | None = None
    ctiid: str | None = None
    campaign: str | None = None
    reference: str | None = None
    sent: str
    expires: str
    ack: str
    traceparent: str | None = None
    fields: dict[str, msgspec.Raw] | None = None
    variables: dict[str, msgspec.Raw] | None = None
    data: dict[str, msgspec.Raw]


# Base64's digits in the order of their values, written by characters in the order of theirs.
_SORTED = bytes.maketrans(
    (string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/").encode(),
    ("-" + string.digits + string.ascii_uppercase + "_" + string.ascii_lowercase).encode(),
)
_ENCODER = msgspec.json.Encoder()


def encode(pop: Pop) -> bytes:
    """Spell the document as one line of UTF-8 JSON."""
    return _ENCODER.encode(pop)


def _blocks() -> Iterator[bytes]:
    """Give 10 random bytes at a time; asking the system for each costs more than the rest of an id."""
    while True:
        block = os.urandom(10 * 256)
        for start in range(0, len(block), 10):
            yield block[start : start + 10]


_random = _blocks()


def new_id(now: float) -> str:
    """Make a popid: 48 bits of time in milliseconds and 80 random bits, 22 characters of `[A-Za-z0-9_-]`.

    Later ids sort after earlier ones, so that a store appends them.
    """
    raw = int(now * 1000).to_bytes(6) + next(_random)
    return b2a_base64(raw).translate(_SORTED)[:22].decode()
