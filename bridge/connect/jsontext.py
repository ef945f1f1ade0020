"""JSON text: a caller's body, read strictly, with its members in the caller's own spelling.

msgspec gives the values' spelling but tells neither duplicate members nor a fault's place; the standard library's
C scanner tells both. Each check runs at C speed over the whole text; a fault's place is sought once there is one.
"""

import json
import re
from typing import NoReturn

import msgspec

from bridge.words import errors

DEPTH = 32
MEMBERS = 512
DIGITS = 64

_WHITE = " \t\r\n"
_BOM = b"\xef\xbb\xbf"
_NOT_BRACKETS = dict.fromkeys((code for code in range(0x80) if chr(code) not in "[]{}"), "")
# Atomic groups, not possessive quantifiers, which Python 3.11.0 to 3.11.4 get wrong (cpython #106052).
# A string that is never closed ends with the text: from any quote there is a match, so no scan is ever repeated.
_S = r'"(?>[^"\\]*(?:\\.?[^"\\]*)*)(?:"|\Z)'
_STRINGS = re.compile(_S, re.DOTALL)
_INNERMOST = re.compile(r"\[\]|\{\}")
# Skips at C speed to the next bracket, the next name of a member, or the end.
_EVENT = re.compile(rf'(?>(?:[^"\[\]{{}}]+|{_S}(?!\s*:))*)(?:([\[\]{{}}])|({_S})\s*:|\Z)', re.DOTALL)
_LONG = re.compile(rf'(?>(?:[^"0-9]+|{_S}|(?>[0-9.eE+-]{{1,64}})(?![0-9.eE+-]))*)((?>[0-9.eE+-]{{65,}}))', re.DOTALL)
_CONSTANT = re.compile(rf'(?>(?:[^"NI]+|{_S})*)(NaN|Infinity)', re.DOTALL)
_NO_LONE_SURROGATE = re.compile(
    r"(?>(?:[^\\]+|\\[^u]|\\u(?![dD][89a-fA-F])|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F])*)", re.DOTALL
)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read_object(body: bytes) -> tuple[dict[str, msgspec.Raw], bool]:
    """Read a JSON object; return its members as spelled, and whether its trailing comma had to be removed.

    White space between tokens is gone from the values. Raises `malformed_body` with line and column for whatever
    RFC 8259 does not allow, and for bad UTF-8, duplicate members, lone surrogates, depth over 32, more than 512
    members (or as many nested values) in all, and numbers of more than 64 digits.
    """
    body = body.removeprefix(_BOM)
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        _fail("The body is not UTF-8", body[: error.start].decode())
    flat = "[" not in text and text.find("{") == text.rfind("{")
    if not flat and text.count("[") + text.count("{") > DEPTH:
        _check_nesting(text)
    repaired = False
    try:
        _scan(text)
    except json.JSONDecodeError as error:
        mended = _without_trailing_comma(text)
        try:
            _scan(mended)
        except json.JSONDecodeError:
            reason = error.msg[0].lower() + error.msg[1:].removesuffix(" at")
            _fail(f"The body is not JSON: {reason}", text[: error.pos])
        text, body, repaired = mended, mended.encode(), True
    if "\\" in text and ("\\ud" in text or "\\uD" in text):  # one character is sought far faster than three
        sound = _NO_LONE_SURROGATE.match(text)
        if sound is None or sound.end() < len(text):
            _fail("A string has a lone surrogate", text[: sound.end() if sound else 0])
    try:
        return _MEMBERS.decode(body if flat else msgspec.json.format(body, indent=-1)), repaired
    except msgspec.ValidationError:
        _fail("The body must be a JSON object", text[: len(text) - len(text.lstrip(_WHITE))])


class _Finding(Exception):  # noqa: N818 - carries what a hook saw out of the C scanner
    pass


class _Hooks:
    """What the C scanner calls; one for the process, since scanning never awaits."""

    def __init__(self) -> None:
        self.members = 0

    def pairs(self, pairs: list[tuple[str, None]]) -> None:
        self.members += len(pairs)
        if self.members > MEMBERS or (len(pairs) > 1 and len(dict(pairs)) < len(pairs)):
            raise _Finding("members")

    @staticmethod
    def number(spelling: str) -> None:
        if len(spelling) > DIGITS and sum(map(str.isdigit, spelling)) > DIGITS:
            raise _Finding("digits")

    @staticmethod
    def constant(_: str) -> None:
        raise _Finding("constant")


_hooks = _Hooks()
_scanner = json.JSONDecoder(
    object_pairs_hook=_hooks.pairs, parse_int=_hooks.number, parse_float=_hooks.number, parse_constant=_hooks.constant
)


def _scan(text: str) -> None:
    _hooks.members = 0
    try:
        end = _scanner.raw_decode(text, len(text) - len(text.lstrip(_WHITE)))[1]
        rest = text[end:].lstrip(_WHITE)
        if rest:
            raise json.JSONDecodeError("Extra data", text, len(text) - len(rest))
    except _Finding as finding:
        match finding.args[0]:
            case "digits":
                place = next((found for found in _LONG.finditer(text) if _too_long(found[1])), None)
                _fail(f"A number has more than {DIGITS} digits", text[: place.start(1) if place else 0])
            case "constant":
                constant = _CONSTANT.search(text)
                _fail("NaN and Infinity are not JSON", text[: constant.start(1) if constant else 0])
            case _:
                _walk(text)
                raise AssertionError("the scanner saw what the walk did not") from None


def _too_long(number: str) -> bool:
    return sum(map(str.isdigit, number)) > DIGITS


def _without_trailing_comma(text: str) -> str:
    """Remove the comma before the closing brace, which the documents' own sample bodies have."""
    end = text.rstrip(_WHITE)
    inside = end.removesuffix("}").rstrip(_WHITE)
    before = inside.removesuffix(",").rstrip(_WHITE)
    if len(before) < len(inside) < len(end) and inside.endswith(",") and before and before[-1] not in "{,":
        return before + "}"
    return text


def _check_nesting(text: str) -> None:
    """Refuse what is too deep or has too many nested values, before anything recursive sees it."""
    brackets = _STRINGS.sub("", text).translate(_NOT_BRACKETS)
    many = brackets.count("[") + brackets.count("{") > MEMBERS + 1
    if not many:
        for _ in range(DEPTH):
            brackets = _INNERMOST.sub("", brackets)
    if many or "[" in brackets or "{" in brackets:
        _walk(text)


def _walk(text: str) -> None:
    """Find the place of the first member or bracket that breaks a rule, and refuse it. At most some 2,000 steps."""
    names: list[set[str]] = []
    members = nested = 0
    for found in _EVENT.finditer(text):
        bracket, name = found.groups()
        if bracket in ("[", "{"):
            names.append(set())
            nested += 1
            if len(names) > DEPTH:
                _fail(f"The body is nested deeper than {DEPTH}", text[: found.start(1)])
            if nested > MEMBERS + 1:
                _fail(f"The body has more than {MEMBERS} nested values", text[: found.start(1)])
        elif bracket is not None:
            if names:
                names.pop()
        elif names and name is not None:
            members += 1
            plain = _plain(name)
            if plain in names[-1]:
                _fail("The body has a duplicate member", text[: found.start(2)])
            if members > MEMBERS:
                _fail(f"The body has more than {MEMBERS} members", text[: found.start(2)])
            names[-1].add(plain)


def _plain(spelled: str) -> str:
    try:
        return str(json.loads(spelled))
    except json.JSONDecodeError:
        return spelled


def _fail(what: str, before: str) -> NoReturn:
    line = before.count("\n") + 1
    raise errors.malformed_body(what, line, len(before) - before.rfind("\n")) from None
