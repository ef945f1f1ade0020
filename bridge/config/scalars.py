"""Scalars: what one plain word of broker.yaml means where a number, a duration, a size or text is wanted.

YAML 1.1 turns `on`, `no`, `1_000` and `1:30` into something else than what is written. Here the source spelling
decides, and the type that is wanted. Each function raises UnfitError with a sentence.
"""

import re

from yaml.nodes import ScalarNode

from bridge.config.problems import UnfitError, quoted
from bridge.words import durations
from bridge.words.settings import Address, Duration, Size

_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,14})")
_FLOAT = re.compile(r"-?(0|[1-9][0-9]{0,14})\.[0-9]{1,15}([eE][-+]?[0-9]{1,2})?")
_SIZE = re.compile(r"(0|[1-9][0-9]{0,14}) ?(B|KiB|MiB|GiB)?")
_UNITS = {None: 1, "B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_HOST = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*")
_V6 = re.compile(r"[0-9A-Fa-f:.]{2,45}(%[A-Za-z0-9_.-]{1,32})?")
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_ALMOST_BOOLEANS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


def empty(node: ScalarNode) -> bool:
    """Whether nothing is written, as in `key:`."""
    return _plain(node) and not node.value


def null(node: ScalarNode) -> bool:
    """Whether it is nothing, or YAML's word for it."""
    return _plain(node) and node.value in {"", "~", "null", "Null", "NULL"}


def text(node: ScalarNode) -> str:
    """Read text in its source spelling: `On` stays `On`, `1001` is `1001`."""
    if empty(node):
        raise UnfitError("text is missing here")
    if null(node):
        raise UnfitError(f"{quoted(node.value)} is nothing in YAML; put it in quotes if the text is meant")
    return str(node.value)


def boolean(node: ScalarNode) -> bool:
    """Read `true` or `false`."""
    if _plain(node) and node.value in _BOOLEANS:
        return _BOOLEANS[node.value]
    meant = _ALMOST_BOOLEANS.get(node.value.lower()) or node.value.lower()
    instead = f"write `{meant}`" if meant in _BOOLEANS else "write `true` or `false`"
    raise UnfitError(f"{_said(node)} is not a boolean; {instead}, without quotes")


def integer(node: ScalarNode) -> int:
    """Read a whole decimal number."""
    if _plain(node) and _INTEGER.fullmatch(node.value):
        return int(node.value)
    digits = re.sub(r"[_', ]", "", node.value).lstrip("+0")
    instead = f"; write `{digits}`, without quotes" if re.fullmatch(r"[0-9]{1,15}", digits) else ""
    raise UnfitError(f"{_said(node)} is not a whole number{instead}")


def duration(node: ScalarNode) -> Duration:
    """Read a duration such as `30s`."""
    try:
        return Duration(durations.seconds(node.value))
    except ValueError:
        bare = node.value if _INTEGER.fullmatch(node.value) else "30"
        raise UnfitError(f"{_said(node)} is not a duration; write it with its unit, such as `{bare}s`") from None


def size(node: ScalarNode) -> Size:
    """Read a number of bytes, or `256KiB`."""
    found = _SIZE.fullmatch(node.value)
    if found is None:
        raise UnfitError(f"{_said(node)} is not a size; write bytes as a number, or such as `256KiB` or `16MiB`")
    return Size(int(found[1]) * _UNITS[found[2]])


def address(node: ScalarNode) -> Address:
    """Read `HOST:PORT` or `[IPV6]:PORT`."""
    host, colon, port = node.value.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    bare = host[1:-1] if bracketed else host
    if not colon or not (_V6 if bracketed else _HOST).fullmatch(bare):
        raise UnfitError(f"{_said(node)} is not HOST:PORT; write such as `127.0.0.1:8080` or `'[::1]:8080'`")
    if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65_535:
        raise UnfitError(f"{quoted(port)} is not a port; ports are 0 (the system chooses) to 65535")
    return Address(bare, int(port))


def anything(node: ScalarNode) -> object:
    """Read an option that we do not know: a boolean, a number, nothing, or text."""
    value = node.value
    if not _plain(node):
        return value
    if null(node):
        return None
    if value in _BOOLEANS:
        return _BOOLEANS[value]
    if value.lower() in _ALMOST_BOOLEANS:
        raise UnfitError(f"{quoted(value)} may be a boolean or text; write `true` or `false`, or put it in quotes")
    if _INTEGER.fullmatch(value):
        return int(value)
    return float(value) if _FLOAT.fullmatch(value) else str(value)


def host(entry: str) -> str | None:
    """Give the host of a host name or URL in its own spelling; None if it is neither."""
    _, is_url, rest = entry.rpartition("://") if entry.count("://") == 1 else ("", "", entry)
    if is_url:
        rest = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")[2]
        rest = re.sub(r":[0-9]{0,5}\Z", "", rest)
    return rest if _HOST.fullmatch(rest) else None


def _plain(node: ScalarNode) -> bool:
    return node.style is None


def _said(node: ScalarNode) -> str:
    if empty(node):
        return "nothing"
    return quoted(node.value) if _plain(node) else f"the text {quoted(node.value)}"
