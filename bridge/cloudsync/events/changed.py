"""Changed: which fields an event says that it changed: by their names, or as a bitmap over its schema."""

import re
from collections.abc import Collection, Mapping, Sequence

_BITMAP = re.compile(r"0[xX][0-9A-Fa-f]{1,512}")
_HEADER = "ChangeEventHeader"


def names(listed: Sequence[str], payload: Mapping[str, object]) -> Collection[str] | None:
    """Say which fields changed; None if a bitmap cannot be decoded.

    A bitmap counts the fields of the schema from the lowest bit, the header among them. The schema is not in the event,
    but its order is: Pub/Sub JSON has every key. A bitmap that names a field which is not there, or the header, or that
    leaves out a field which has a value, is of another order: nobody can tell what it means.
    """
    if not any(name[:2] in {"0x", "0X"} for name in listed):
        return listed
    if len(listed) != 1 or _BITMAP.fullmatch(listed[0]) is None:
        return None
    bits = int(listed[0], 16)
    keys = list(payload)
    if bits >> len(keys):
        return None
    found = {key for place, key in enumerate(keys) if bits >> place & 1}
    told = {key for key, value in payload.items() if value is not None and key != _HEADER}
    return None if _HEADER in found or not told <= found else found
