"""Forms: names and values from a query string, an urlencoded body or a multipart body, read strictly as UTF-8."""

import re
from email.message import Message
from urllib.parse import unquote_to_bytes

from bridge.words import errors

FIELDS = 512

Pairs = list[tuple[str, str]]

_SEPARATOR = re.compile(r"%(?:26|3[Dd])")
_DISPOSITION = re.compile(rb"\Acontent-disposition\s*:\s*(.*)\Z", re.IGNORECASE | re.DOTALL)


def read_urlencoded(text: str, where: str) -> Pairs:
    """Read `a=1&b=2`; `where` names the source in errors. A name without `=` has the empty value."""
    if not text:
        return []
    if text.count("&") >= FIELDS:
        raise errors.malformed_body(f"The {where} has more than {FIELDS} fields")
    if _SEPARATOR.search(text) is None:
        # No escape stands for what separates, so that all of it can be decoded at once.
        return _split(_decode(text, where))
    return [(_decode(name, where), _decode(value, where)) for name, value in _split(text)]


def _split(text: str) -> Pairs:
    pairs = []
    for field in text.split("&"):
        if field:
            name, _, value = field.partition("=")
            pairs.append((name, value))
    return pairs


def read_multipart(body: bytes, content_type: str) -> Pairs:
    """Read a multipart/form-data body (RFC 7578); the content of a file part is taken as its text."""
    header = Message()
    header["Content-Type"] = content_type
    boundary = header.get_boundary()
    if not boundary:
        raise errors.malformed_body("The multipart form has no boundary")
    parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode(errors="surrogateescape"))
    if len(parts) > FIELDS + 2:
        raise errors.malformed_body(f"The form has more than {FIELDS} fields")
    if len(parts) < 2 or not parts[-1].startswith(b"--"):
        raise errors.malformed_body("The multipart form is not complete")
    return [_part(part) for part in parts[1:-1]]


def _part(part: bytes) -> tuple[str, str]:
    head, separator, content = part.lstrip(b" \t").partition(b"\r\n\r\n")
    if not separator:
        raise errors.malformed_body("A part of the multipart form has no end of its header")
    for line in head.split(b"\r\n")[1:]:
        found = _DISPOSITION.match(line)
        if found:
            disposition = Message()
            disposition["Content-Disposition"] = _text(found[1], "form")
            name = disposition.get_param("name", header="Content-Disposition")
            if isinstance(name, str):
                return name, _text(content, "form")
    raise errors.malformed_body("A part of the multipart form has no name")


def _decode(text: str, where: str) -> str:
    if "%" not in text and "+" not in text and text.isascii():
        return text
    return _text(unquote_to_bytes(text.replace("+", " ").encode(errors="surrogateescape")), where)


def _text(raw: bytes, where: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise errors.malformed_body(f"The {where} is not UTF-8") from None
