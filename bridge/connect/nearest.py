"""Nearest: which known name was probably meant, and how the two differ."""

import difflib
from collections.abc import Iterable

_LONGEST = 200  # characters compared; a longer name is cut, so that a hostile one costs nothing


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Find the known name that is most like `name`; None where nothing is alike."""
    folded: dict[str, str] = {}
    for candidate in known:
        folded.setdefault(_fold(candidate), candidate)
    found = difflib.get_close_matches(_fold(name), folded, n=1, cutoff=0.5)
    return folded[found[0]] if found else None


def difference(name: str, known: str) -> str:
    """Name the kind of difference: `case`, `spaces`, `case and spaces`, or `letters`."""
    if name.casefold() == known.casefold():
        return "case"
    if "".join(name.split()) == "".join(known.split()):
        return "spaces"
    if _fold(name) == _fold(known):
        return "case and spaces"
    return "letters"


def _fold(name: str) -> str:
    return "".join(name[:_LONGEST].casefold().split())
