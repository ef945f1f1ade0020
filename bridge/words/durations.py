"""Durations: how a length of time is written: `500ms`, `30s`, `5m`, `24h`, `30d`."""

import re

_WRITTEN = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)(ms|s|m|h|d)")
_MILLISECONDS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}


def seconds(text: str) -> float:
    """Read a duration, in seconds. ValueError says in a sentence what is wrong with it."""
    found = _WRITTEN.fullmatch(text)
    if found is None:
        if re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", text):
            raise ValueError(f"{text} has no unit: write for example {text}s, or use ms, m, h or d.")
        raise ValueError(f"{text!r} is not a duration: write a number and ms, s, m, h or d, for example 30s or 24h.")
    return float(found[1]) * _MILLISECONDS[found[2]] / 1000


def spell(duration: float) -> str:
    """Write a duration with the largest unit that needs no fraction; less than a millisecond is rounded."""
    milliseconds = round(duration * 1000)
    if milliseconds == 0:
        return "0s"
    unit = next(unit for unit, size in _MILLISECONDS.items() if milliseconds % size == 0)
    return f"{milliseconds // _MILLISECONDS[unit]}{unit}"
