"""Mistakes: what callers get wrong in values that are published all the same, with a warning."""

import re
from collections.abc import Mapping

import msgspec

from bridge.words import warnings

# Template variables of telephony platforms; a single pair of braces counts only where it is the whole value.
_PLACEHOLDER = re.compile(r"\$\{[^{}]+\}|\$\([^()]+\)|%%[^%\s]+%%|\{\{[^{}]+\}\}|\A\s*\{[^{}\s\":,][^{}\":,]*\}\s*\Z")
_NO_OBJECT = re.compile(rb'\{[^"}]')
_PLUS_LOST = re.compile(r"\A [0-9][0-9 ().-]{5,22}\Z")


def notes(reserved: Mapping[str, str], data: Mapping[str, msgspec.Raw]) -> list[str]:
    """List the warnings for values that look like a caller's mistake."""
    found = []
    for name, value in reserved.items():
        found += _judge(name, value)
    if not _suspicious(b"\n".join(data.values())):
        return found
    for name, raw in data.items():
        spelled = bytes(raw)
        if _suspicious(spelled):
            if spelled[:1] == b'"':
                found += _judge(name, msgspec.json.decode(spelled, type=str))
            elif _PLACEHOLDER.search(spelled.decode()):
                found.append(warnings.placeholder(name))
    return found


def _suspicious(spelled: bytes) -> bool:
    """Say whether a value, or one of several lines, may be a mistake: each has what is found faster than a pattern."""
    if b"{" in spelled and (b"\\" in spelled or _NO_OBJECT.search(spelled)):
        return True
    return b"%" in spelled or b"$" in spelled or b'" ' in spelled


def _judge(name: str, value: str) -> list[str]:
    if ("{" in value or "%" in value or "$" in value) and _PLACEHOLDER.search(value):
        return [warnings.placeholder(name)]
    if value[:1] == " " and _PLUS_LOST.match(value):
        return [warnings.plus_lost(name)]
    return []
