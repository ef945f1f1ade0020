"""Whole: a usual request, read at once when it is all there; whatever is not usual is left to aiohttp.

Usual is a strict part of RFC 9112 in which nothing can be read in two ways: GET or POST of a path, fields of printable
ASCII of which none comes twice and none changes how the bytes are to be read, and at most as many bytes of body as
Content-Length says.
"""

import re
from typing import TypeVar

LONGEST_HEAD = 8_192  # bytes, fewer than a line or a field may have
Default = TypeVar("Default")

# Atomic groups, not possessive quantifiers, which Python 3.11.0 to 3.11.4 get wrong (cpython #106052).
_TARGET = rb"(?>/[!$-;=?-Z_a-z~]*)"  # what RFC 3986 has in a path and a query
_NAME = rb"(?>[!#$%&'*+.^_`|~0-9A-Za-z-]+)"
_VALUE = rb"[!-~](?>[ -~]*)(?<! )"
_HEAD = re.compile(rb"(GET|POST) (%b) HTTP/1\.1\r\n((?>(?:%b: %b\r\n){1,64}))\r\n" % (_TARGET, _NAME, _VALUE))
_FIELD = re.compile(r"((?>[^:]+)): ((?>[^\r]+))\r\n")
_UNUSUAL = frozenset(
    {"content-encoding", "expect", "proxy-connection", "sec-websocket-key1", "transfer-encoding", "upgrade"}
)


class Fields:
    """The header fields, by name in any case; each came once."""

    __slots__ = ("_found",)

    def __init__(self, found: dict[str, str]) -> None:
        self._found = found

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._found

    def get(self, name: str, default: Default = None) -> str | Default:  # type: ignore[assignment]
        """Give one, or the default."""
        return self._found.get(name.lower(), default)

    def getall(self, name: str, default: Default) -> list[str] | Default:
        """Give all of the name, or the default."""
        value = self._found.get(name.lower())
        return default if value is None else [value]


class Whole:
    """One such request: as much of aiohttp's as a door reads that answers in one piece.

    `lacks` is how many bytes of its body have not come.
    """

    __slots__ = ("body", "closes", "content_length", "headers", "lacks", "method", "raw_path", "remote")

    def __init__(
        self, method: str, raw_path: str, headers: Fields, body: bytes, content_length: int, *, closes: bool
    ) -> None:
        self.method = method
        self.raw_path = raw_path
        self.headers = headers
        self.body = body
        self.content_length = content_length
        self.lacks = content_length - len(body)
        self.closes = closes
        self.remote: str | None = None


def read(data: bytes) -> Whole | None:
    """Read the usual request that these bytes are, its whole head and nothing behind it; None for anything else."""
    head = _HEAD.match(data, 0, LONGEST_HEAD)
    if head is None:
        return None
    method, raw_path, spelled = head.groups()
    fields = _FIELD.findall(spelled.decode())
    found = {name.lower(): value for name, value in fields}
    if len(found) < len(fields) or "host" not in found or not _UNUSUAL.isdisjoint(found):
        return None
    body = data[head.end() :]
    length = found.get("content-length", "0")
    if not length.isdigit() or len(length) > 6 or int(length) < len(body):
        return None
    connection = found.get("connection", "keep-alive").lower()
    if connection not in {"keep-alive", "close"}:
        return None
    return Whole(method.decode(), raw_path.decode(), Fields(found), body, int(length), closes=connection == "close")
