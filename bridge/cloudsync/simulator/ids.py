"""Ids: record ids as the platform makes them: a prefix, twelve characters, and a checksum of the letters' case.

Written apart from what the processor reads ids with, so that each checks the other.
"""

PREFIXES = {
    "SupportTicket": "500",
    "ChatSession": "570",
    "VideoSession": "0VS",
    "UserPresence": "0NP",
    "User": "005",
    "Group": "00G",
    "Status": "01J",
    "PresenceStatus": "0N5",
    "Contact": "003",
}

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECKS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_PLACES = 62**8
_STEP = 131_415_926_535_897  # odd and no multiple of 31: each number below 62 ** 8 gives another id


def make(entity: str, number: int) -> str:
    """Give the 18-character id of an entity's record with this number (below 62 ** 8)."""
    rest = number * _STEP % _PLACES
    letters = ""
    for _ in range(8):
        rest, digit = divmod(rest, 62)
        letters = _DIGITS[digit] + letters
    return checked(f"{PREFIXES[entity]}0000{letters}")


def plain(entity: str, number: int) -> str:
    """Give an id that shows its number, as in the examples for broker.yaml, which all end in AAA."""
    return f"{PREFIXES[entity]}{number:012d}AAA"


def checked(short: str) -> str:
    """Add the checksum to an id of 15 characters: one character for the case of each five."""
    check = ""
    for first in (0, 5, 10):
        upper = sum(1 << place for place in range(5) if "A" <= short[first + place] <= "Z")
        check += _CHECKS[upper]
    return short + check
