"""Cursors: where a list goes on, as text that callers hand back and need not understand."""

import base64
import binascii
from typing import TypeVar

import msgspec

T = TypeVar("T")


def spell(place: object) -> str:
    """Make a cursor of the last place that was listed."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def read(cursor: str, shape: type[T]) -> T:
    """Read a place again. ValueError: it is not a cursor of this kind of list."""
    try:
        packed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        place = msgspec.json.decode(packed, type=shape)
    except (binascii.Error, UnicodeError, ValueError, msgspec.DecodeError) as error:
        raise ValueError("is not a cursor") from error
    if spell(place) != cursor:
        raise ValueError("is not a cursor")
    return place
