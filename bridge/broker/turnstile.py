"""Turnstile: so many log in at a time, so that nobody else has to wait until thousands have."""

import asyncio
from collections import deque


class Turnstile:
    """Lets `at_once` through in one turn of the event loop; who comes after them waits for a later turn, in order."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._left = at_once
        self._queue: deque[asyncio.Future[None]] = deque()

    def enter(self) -> asyncio.Future[None] | None:
        """Give what is done when it is one's turn; None: it is now."""
        loop = asyncio.get_running_loop()
        if self._left == self._at_once:  # the first one since the last turn
            loop.call_soon(self._turn)
        if self._left:  # else those who wait come first
            self._left -= 1
            return None
        waiting = loop.create_future()
        self._queue.append(waiting)
        return waiting

    def _turn(self) -> None:
        self._left = self._at_once
        while self._left and self._queue:
            waiting = self._queue.popleft()
            if not waiting.done():  # else its connection is gone
                waiting.set_result(None)
                self._left -= 1
        if self._left < self._at_once:
            asyncio.get_running_loop().call_soon(self._turn)
