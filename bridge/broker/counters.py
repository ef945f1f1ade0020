"""Counters: what the broker counts, and the one warning that a bound was reached."""

import logging

import msgspec

log = logging.getLogger("popbridge.broker")

_QUIET = 10.0  # seconds between two warnings of a kind: a flood must not become a flood of lines


class Counters(msgspec.Struct):
    """Totals since the start."""

    connections: int = 0  # accepted
    logins: int = 0
    logins_failed: int = 0
    refused_full: int = 0  # refused because of a bound
    taken_over: int = 0
    slow_cut: int = 0
    keepalive_timeouts: int = 0
    connect_timeouts: int = 0
    protocol_errors: int = 0
    forbidden: int = 0  # publishes that closed their connection
    ended_dead: int = 0  # connections whose credential no longer counted
    dropped_queue_full: int = 0
    dropped_retained_full: int = 0
    subscriptions_refused: int = 0
    messages_in: int = 0
    messages_out: int = 0


class Gauges(msgspec.Struct):
    """How much there is now."""

    connections: int
    connecting: int
    sessions: int
    subscriptions: int
    retained: int


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
