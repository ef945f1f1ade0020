"""Ids: 15 characters that tell upper from lower case, or 18 that need not; both name the same record."""

import re
from functools import lru_cache

WHOLE = ""
"""In place of a record's id: the entity as a whole (an overflow, a wildcard)."""

USER_PREFIX = "005"
GROUP_PREFIX = "00G"
TICKET_PREFIX = "500"
CHAT_PREFIX = "570"

_SHAPE = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")
_DUMMY = "000000000000000"
_CHECK = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"


@lru_cache(maxsize=65_536)
def long(text: str) -> str:
    """Spell an id with 18 characters. ValueError if it has neither 15 nor 18.

    The last three of 18 are taken as they come, since a CRM is the authority on its own ids: nobody else writes them.
    """
    if _SHAPE.fullmatch(text) is None:
        raise ValueError("an id has 15 or 18 letters and digits")
    if len(text) == 18:
        return text
    check = ""
    for start in (0, 5, 10):
        upper = sum(1 << place for place, letter in enumerate(text[start : start + 5]) if "A" <= letter <= "Z")
        check += _CHECK[upper]
    return text + check


def is_long(text: str) -> bool:
    """Say whether this is an id in its one spelling."""
    return len(text) == 18 and _SHAPE.fullmatch(text) is not None


def is_whole(text: str) -> bool:
    """Say whether an event's record id stands for no record of its own: a dummy, or a wildcard (`500*`)."""
    return text.startswith(_DUMMY) or text.endswith("*")


def is_group(owner: str) -> bool:
    """Say whether an owner is a group; otherwise it is a user."""
    return owner.startswith(GROUP_PREFIX)
