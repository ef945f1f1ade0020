"""Reading: everything one request says, from query, body and headers, merged by the rules for names and values."""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import cast

import msgspec

from bridge.connect import forms, jsontext
from bridge.words import errors, warnings

RESERVED = ("agentid", "jwt", "event", "crmid", "ctiid")
CONTROLS = ("pop_wait", "pop_until", "pop_ttl", "pop_key", "pop_dryrun")

_RESERVED = frozenset(RESERVED)
_DOUBLE = re.compile(r"%25[0-9A-Fa-f]{2}")
_JSON = "application/json"
_URLENCODED = "application/x-www-form-urlencoded"
_MULTIPART = "multipart/form-data"
_JSON_TYPES = frozenset({"", _JSON, "text/json", "text/plain"})
_UTF_8 = frozenset({"utf-8", "utf8", "us-ascii"})
# What old Java stacks write unasked; an ASCII body is the same in each.
_LATIN = frozenset({"iso-8859-1", "latin1", "latin-1", "windows-1252", "cp1252"})
_TELLING = 24  # characters: more of a key than this is its caller's own
_ENCODER = msgspec.json.Encoder()
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_AS_TEXT = json.JSONDecoder(parse_int=str, parse_float=str)
_AS_IT_IS = json.JSONEncoder(ensure_ascii=False)
_ASCII_ESCAPED = re.compile(r"\\(?:[^u]|u00[0-7])")  # a key that counts is ASCII
_STRING = msgspec.json.Decoder(str)

Value = str | msgspec.Raw
Members = dict[str, msgspec.Raw]


class Reading(msgspec.Struct):
    """What a request says. Reserved values and controls are text; `data` is in the caller's spelling.

    The key is apart from everything that may travel on; no casing of `jwt` is ever data.
    """

    reserved: dict[str, str]
    key: str | None
    controls: dict[str, str]
    data: dict[str, msgspec.Raw]
    warnings: list[str]


def read(query: str, content_type: str, body: bytes) -> Reading:
    """Read a request from its raw query string, its Content-Type ("" for none) and its body."""
    kind = _media_type(content_type, body) if body.strip() else None
    asked = forms.read_urlencoded(query, "query")
    notes = [warnings.double_encoded("query")] if query and _DOUBLE.search(query) else []
    sent = {} if kind is None else _read_body(kind, content_type, body, notes)
    data: dict[str, Value] = dict(asked)
    data.update(sent)
    found = {name: data.pop(name) for name in RESERVED if name in data}
    names = "\n".join(data)
    if (
        len(data) + len(found) < len(asked) + len(sent)
        or "pop_" in names
        or "amp;" in names
        or not _RESERVED.isdisjoint(map(str.lower, data))
    ):
        return _merge(asked, sent, notes)
    # As nearly every request is: each name came once, the reserved ones as they are spelled here, without controls.
    reserved = {name: _text(name, value) for name, value in found.items()}
    spelled = _spell(data) if asked or not isinstance(sent, dict) else cast("Members", data)
    return Reading(reserved, reserved.pop("jwt", None), {}, spelled, notes)


def _merge(asked: forms.Pairs, sent: Members | forms.Pairs, noted: list[str]) -> Reading:
    notes: list[str] = []
    by_query = _gather(asked, notes)
    notes += noted
    by_body = _gather(sent, notes)
    given: dict[str, list[Value]] = {}
    controls: dict[str, str] = {}
    said: dict[str, list[Value]] = {}
    overridden: list[str] = []
    for source in (by_query, by_body):
        for name, values in source.items():
            if name.startswith("pop_"):
                _control(name, values, controls, notes)
                continue
            if name in said:
                overridden.append(name)
            said[name] = values
            if name.lower() in _RESERVED:
                given.setdefault(name, []).extend(values)
    reserved = {name: value for name in RESERVED if (value := _resolve(name, given, notes)) is not None}
    # A casing that was not read is data, wherever the exact name was given; but never a casing of the key.
    data = {
        name: values[0] if len(values) == 1 else values
        for name, values in said.items()
        if name.lower() not in _RESERVED or (name in given and name.lower() != "jwt")
    }
    notes += [warnings.data_overridden(name) for name in overridden if name in data]
    return Reading(reserved, reserved.pop("jwt", None), controls, _spell(data), notes)


def withhold(key: str, reading: Reading) -> None:
    """Keep the caller's key out of what will be published: data that contains it is dropped, an id is refused."""
    for name, value in reading.reserved.items():
        if key in value:
            raise errors.invalid_parameter(name, "contains the API key; send the key as `jwt` only")
    # A note may quote the beginning of a name.
    if reading.warnings:
        reading.warnings = [note for note in reading.warnings if key[:_TELLING] not in note]
    values = b"\n".join(reading.data.values()).decode()
    hiding = "\\" in values and _ASCII_ESCAPED.search(values)
    if not hiding and key not in values and key not in "\n".join(reading.data):
        return
    spelled = key.encode()
    for name in [name for name, value in reading.data.items() if key in name or _contains(bytes(value), spelled)]:
        del reading.data[name]
        reading.warnings.append(warnings.key_in_data("a name" if key in name else name))


def _contains(value: bytes, key: bytes) -> bool:
    if b"\\" in value:
        # An escape may stand for any character.
        value = _AS_IT_IS.encode(_AS_TEXT.decode(value.decode())).encode()
    return key in value


def _media_type(content_type: str, body: bytes) -> str:
    kind, charset, known = _kind(content_type)
    if charset and not (charset in _LATIN and body.isascii()):
        raise errors.Fault("unsupported_media_type", f"The charset {charset[:40]} is not supported; send UTF-8.")
    if not known:
        raise errors.Fault(
            "unsupported_media_type",
            f"{kind[:60]} is not supported; send application/json, a form, or text/plain with JSON.",
        )
    return kind


@lru_cache(maxsize=256)
def _kind(content_type: str) -> tuple[str, str, bool]:
    """Give the media type, the charset unless it is UTF-8, and whether the media type can be read."""
    kind, _, parameters = content_type.partition(";")
    kind = kind.strip().lower()
    found = re.search(r"charset\s*=\s*\"?([\w.:-]+)", parameters, re.IGNORECASE)
    charset = found[1].lower() if found and found[1].lower() not in _UTF_8 else ""
    if kind in _JSON_TYPES or (kind.startswith("application/") and kind.endswith("+json")):
        return _JSON, charset, True
    return kind, charset, kind in {_URLENCODED, _MULTIPART}


def _read_body(kind: str, content_type: str, body: bytes, notes: list[str]) -> Members | forms.Pairs:
    if kind == _JSON:
        members, repaired = jsontext.read_object(body)
        if repaired:
            notes.append(warnings.json_repaired())
        return members
    if kind == _MULTIPART:
        return forms.read_multipart(body, content_type)
    try:
        text = body.decode().strip("\r\n")
    except UnicodeDecodeError:
        raise errors.malformed_body("The form is not UTF-8") from None
    if _DOUBLE.search(text):
        notes.append(warnings.double_encoded("form"))
    return forms.read_urlencoded(text, "form")


def _gather(source: Members | forms.Pairs, notes: list[str]) -> dict[str, list[Value]]:
    """Gather the values of each name, in order of first appearance; `amp;` of a URL copied from HTML is cut."""
    if isinstance(source, dict):
        return {name: [value] for name, value in source.items()}
    values: dict[str, list[Value]] = {}
    for name, value in source:
        if name.startswith("amp;") and len(name) > len("amp;"):
            name = name[len("amp;") :]  # noqa: PLW2901
            if (note := warnings.html_entity("jwt" if name.lower() == "jwt" else name)) not in notes:
                notes.append(note)
        values.setdefault(name, []).append(value)
    return values


def _spell(data: Mapping[str, Value | list[Value]]) -> Members:
    """Spell text as JSON, all of it at once; what is JSON stays as it is."""
    return _MEMBERS.decode(_ENCODER.encode(data))


def _resolve(name: str, given: dict[str, list[Value]], notes: list[str]) -> str | None:
    """Take a reserved parameter's value out of what was given: exact lower case wins, else any one other casing."""
    if name in given:
        return _agreed(name, [(name, value) for value in given.pop(name)])
    others = [other for other in given if other.lower() == name] if given else []
    if not others:
        return None
    value = _agreed(name, [(other, value) for other in others for value in given.pop(other)])
    notes.append(warnings.parameter_case(others[0], name))
    return value


def _agreed(name: str, found: list[tuple[str, Value]]) -> str:
    texts = {_text(name, value): given for given, value in found}
    if len(texts) > 1:
        raise errors.ambiguous_parameter(dict.fromkeys(texts.values()))
    return next(iter(texts))


def _text(name: str, value: Value) -> str:
    """Coerce a JSON number or boolean to text as spelled; null is as good as empty."""
    if isinstance(value, str):
        return value
    spelled = bytes(value).decode()
    match spelled[0]:
        case '"':
            return _STRING.decode(spelled)
        case "n":
            return ""
        case "{" | "[":
            raise errors.invalid_parameter(name, "must be text, not an object or a list")
        case _:
            return spelled


def _control(name: str, values: list[Value], controls: dict[str, str], notes: list[str]) -> None:
    if name not in CONTROLS:
        notes.append(warnings.unknown_control(name[:60]))
        return
    for value in values:
        text = _text(name, value)
        if controls.setdefault(name, text) != text:
            raise errors.ambiguous_parameter([name])
