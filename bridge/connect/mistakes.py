"""Mistakes: what callers get wrong in values that are published all the same, with a warning."""

import re
from collections.abc import Mapping

import msgspec

from bridge.words import warnings

# Template variables of telephony platforms; a single pair of braces counts only where it is the whole value.
_PLACEHOLDER = re.compile(r"\$\{[^{}]+\}|\$\([^()]+\)|%%[^%\s]+%%|\{\{[^{}]+\}\}|\A\s*\{[^{}\s\":,][^{}\":,]*\}\s*\Z")
# An object's own brace is followed by a name, or its end.
_NO_OBJECT = re.compile(r'\{[^"}]')
_ESCAPED = re.compile(r"\\u00[27]")  # an escaped brace, dollar or percent sign, or a neighbour of theirs
_PLUS_LOST = re.compile(r"\A [0-9][0-9 ().-]{5,22}\Z")


def notes(reserved: Mapping[str, str], data: Mapping[str, msgspec.Raw]) -> list[str]:
    """List the warnings for values that look like a caller's mistake."""
    found = []
    for name, value in reserved.items():
        found += _judge(name, value)
    if not _suspicious(b"\n".join((b"", *data.values())).decode()):
        return found
    for name, raw in data.items():
        spelled = bytes(raw).decode()
        if _suspicious("\n" + spelled):
            if spelled[:1] == '"':
                found += _judge(name, msgspec.json.decode(spelled, type=str))
            elif _PLACEHOLDER.search(spelled):
                found.append(warnings.placeholder(name))
    return found


def _suspicious(lines: str) -> bool:
    """Say whether a value may be a mistake, each on a line of its own: it has what is found faster than a pattern."""
    if "{" in lines and (_NO_OBJECT.search(lines) or ("\\" in lines and _ESCAPED.search(lines))):
        return True
    return "%" in lines or "$" in lines or '\n" ' in lines


def _judge(name: str, value: str) -> list[str]:
    if ("{" in value or "%" in value or "$" in value) and _PLACEHOLDER.search(value):
        return [warnings.placeholder(name)]
    if value[:1] == " " and _PLUS_LOST.match(value):
        return [warnings.plus_lost(name)]
    return []
