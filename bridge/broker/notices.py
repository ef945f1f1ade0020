"""Notices: warnings that a bound was reached, without becoming a flood themselves."""

import logging

log = logging.getLogger("popbridge.broker")

_QUIET = 10.0  # seconds between two warnings of a kind


class Notices:
    """Warnings, each kind at most once in ten seconds; the next one tells how many were not said."""

    __slots__ = ("_last", "_unsaid")

    def __init__(self) -> None:
        self._last: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}

    def warn(self, kind: str, sentence: str, now: float) -> None:
        """Say `sentence` unless one of its kind was said a moment ago; `now` is monotonic."""
        last = self._last.get(kind)
        if last is not None and now - last < _QUIET:
            self._unsaid[kind] = self._unsaid.get(kind, 0) + 1
            return
        self._last[kind] = now
        unsaid = self._unsaid.pop(kind, 0)
        log.warning("%s%s", sentence, f" (and {unsaid} more of this kind)" if unsaid else "")
