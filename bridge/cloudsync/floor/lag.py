"""Lag: how far the floor is behind: how long ago the oldest event came that is stored and not yet processed."""

from collections import deque

_MOST = 4_096


class Lag:
    """Told now and then how many events were stored and processed since the start; times are milliseconds."""

    def __init__(self) -> None:
        self._stored: deque[tuple[int, int]] = deque()  # how many, and when so many were first seen
        self._processed = 0

    def look(self, now: int, stored: int, processed: int) -> None:
        """Take how many there are by now."""
        self._processed = processed
        known = self._stored[-1][0] if self._stored else processed
        if stored > known:
            if len(self._stored) < _MOST:
                self._stored.append((stored, now))
            else:
                self._stored[-1] = (stored, self._stored[-1][1])
        while self._stored and self._stored[0][0] <= processed:
            self._stored.popleft()

    def milliseconds(self, now: int) -> int:
        """Tell how old the oldest is that waits; 0 if nothing does."""
        return max(0, now - self._stored[0][1]) if self._stored else 0
