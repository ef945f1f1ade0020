"""Lines: how a row is spelled: its numbers come from the store as text, and are not read on their way out."""

import csv
import io
from collections.abc import Iterable, Sequence

import msgspec

_encode = msgspec.json.Encoder().encode


def pieces(names: Sequence[str]) -> list[str]:
    """Make what stands before each number; the numbers go into the odd places."""
    found: list[str] = []
    for name in names:
        found += [f',"{name}":', ""]
    return found


def named(before: Sequence[str], body: str) -> str:
    """Spell numbers with their names. Texts among them have no comma: they are times and zones."""
    spelled = [*before]
    spelled[1::2] = body.split(",")
    return "".join(spelled)


def quoted(text: str | None) -> str:
    """Spell a text as JSON."""
    return _encode(text).decode()


def csv_lines(columns: Sequence[str], rows: Iterable[str]) -> str:
    """Spell rows as CSV: nothing for null."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    for row in rows:
        told = msgspec.json.decode(row)
        writer.writerow([_cell(told[name]) for name in columns])
    return out.getvalue()


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value
