"""Pace: when to ask again: back-off after what passes, a circuit that opens after what does not."""

from collections.abc import Callable

FIRST = 1.0
LONGEST = 900.0
"""Seconds: the first pause after a failure, and the longest."""


class Pace:
    """Doubles the pause with each failure in a row. `jitter` gives 0 to 1: a pause is between half and the whole.

    `alarm` is set while something is permanently wrong (the circuit is open); one attempt is made after each of the
    longest pauses, in case that somebody mended it at the other end.
    """

    def __init__(self, jitter: Callable[[], float], first: float = FIRST) -> None:
        self._jitter = jitter
        self._first = first
        self.failures = 0
        self.due = 0.0
        self.alarm = ""

    def passed(self) -> None:
        """It worked."""
        self.failures = 0
        self.due = 0.0
        self.alarm = ""

    def failed(self, now: float, retry_after: float | None = None) -> None:
        """It did not, and may later; not before the server said."""
        pause = min(self._first * 2.0 ** min(self.failures, 20), LONGEST)
        self.failures += 1
        self.due = now + max(pause * (1 + self._jitter()) / 2, retry_after or 0.0)

    def opened(self, now: float, alarm: str) -> None:
        """It cannot, until a setting has changed."""
        self.failures += 1
        self.alarm = alarm
        self.due = now + LONGEST
