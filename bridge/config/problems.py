"""Problems: what is wrong in a configuration, where, and what would be right."""

from collections.abc import Iterable
from difflib import get_close_matches

import msgspec

MOST = 20
"""How many problems one error names; the others are counted."""


class Problem(msgspec.Struct, frozen=True, order=True):
    """One thing that is wrong. Line and column count from 1; 0 means that no place in the file is meant."""

    line: int
    column: int
    text: str


class ConfigError(Exception):
    """The configuration cannot be used. Its text has one line for each problem, as `FILE:LINE:COLUMN: what`."""

    def __init__(self, file: str, problems: Iterable[Problem]) -> None:
        found = sorted(set(problems))
        self.file = file
        self.problems = tuple(found[:MOST])
        self.omitted = len(found) - len(self.problems)
        super().__init__(self._text())

    def _text(self) -> str:
        lines = [
            f"{self.file}:{each.line}:{each.column}: {each.text}" if each.line else f"{self.file}: {each.text}"
            for each in self.problems
        ]
        if self.omitted:
            lines.append(f"{self.file}: and {self.omitted} more")
        return "\n".join(lines)


class UnfitError(ValueError):
    """A value is not what its place wants; the text says why, and needs the place in front of it."""


def quoted(text: str) -> str:
    """Quote what the file says on one short line, whatever it holds."""
    short = text if len(text) <= 60 else f"{text[:57]}..."
    return f"`{''.join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in short)}`"


def nearest(word: str, valid: Iterable[str]) -> str:
    """Say which valid name was probably meant; where none is near, which there are."""
    names = list(valid)
    by_lower = {name.lower(): name for name in reversed(names)}
    close = get_close_matches(word[:200].lower(), by_lower, n=1, cutoff=0.5)
    if close:
        return f"did you mean {quoted(by_lower[close[0]])}?"
    if not names:
        return "nothing is valid here"
    some = ", ".join(quoted(name) for name in names[:12])
    return f"valid here: {some}" + (", …" if len(names) > 12 else "")
