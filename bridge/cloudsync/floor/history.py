"""History: the changes told last, so that who lost the connection goes on where they were; bounded."""

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence

import msgspec


class _Chunk(msgspec.Struct, frozen=True):
    """Changes that were told together, from number `first` on; `whole` is all of them."""

    first: int
    pieces: tuple[bytes, ...]
    whole: bytes


class History:
    """Changes, numbered without gaps, as they are written to who follows. `seq` is the newest one's number."""

    def __init__(self, seq: int, *, most_changes: int = 20_000, most_bytes: int = 8 * 1024 * 1024) -> None:
        self.seq = seq
        self._most_changes = most_changes
        self._most_bytes = most_bytes
        self._chunks: deque[_Chunk] = deque()
        self._changes = 0
        self._bytes = 0

    def __len__(self) -> int:
        return self._changes

    def add(self, pieces: Sequence[bytes]) -> None:
        """Add changes; the oldest give way."""
        if not pieces:
            return
        chunk = _Chunk(self.seq + 1, tuple(pieces), b"".join(pieces))
        self._chunks.append(chunk)
        self.seq += len(pieces)
        self._changes += len(pieces)
        self._bytes += len(chunk.whole)
        while self._chunks and (self._changes > self._most_changes or self._bytes > self._most_bytes):
            oldest = self._chunks.popleft()
            self._changes -= len(oldest.pieces)
            self._bytes -= len(oldest.whole)

    def has_after(self, seq: int) -> bool:
        """Say whether every change after this one is here."""
        return self.seq - self._changes <= seq <= self.seq

    def after(self, seq: int) -> tuple[bytes, int] | None:
        """Give some of the changes after `seq`, and the number of the last of them; None if some are gone."""
        if not self.has_after(seq):
            return None
        if seq == self.seq:
            return b"", seq
        newest = self._chunks[-1]
        if newest.first > seq + 1:
            place = bisect_right(self._chunks, seq + 1, key=lambda chunk: chunk.first) - 1
            newest = self._chunks[place]
        last = newest.first + len(newest.pieces) - 1
        return (newest.whole if newest.first == seq + 1 else b"".join(newest.pieces[seq + 1 - newest.first :])), last
