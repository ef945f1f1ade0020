"""Writer: the queue before the disk. What comes while a group is written makes up the next one."""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence

from bridge.ledger import queries
from bridge.ledger.database import Database, UnfitError
from bridge.ledger.group import Group, Notes
from bridge.words.ledger import Entry, Remembered, Step, Trouble, Unavailable
from bridge.words.settings import Ledger as Bounds

PACE = 0.002  # seconds from group to group at least where they are large: each costs as much as some pops
MANY = 4  # pops of a group after which the next one waits for that
NOTES_WAIT = 0.01  # seconds that notes wait for a pop to come with them
TRIED_AGAIN_AFTER = 0.25  # seconds after a failure, if nobody asks earlier

_NOTHING = Group()

_log = logging.getLogger("popbridge.ledger")


class Writer:
    """Writes groups in the order they were filled. `trouble` is why the last one failed, None if it did not."""

    def __init__(self, database: Database, bounds: Bounds, last: int) -> None:
        self._database = database
        self._bounds = bounds
        self._groups: deque[Group] = deque()
        self._written = _NOTHING
        self._due = asyncio.Event()
        self.grown = asyncio.Event()  # set when a group was written; whoever moves the log clears it
        self._alarm: asyncio.TimerHandle | None = None
        self._paced = False
        self.closing = False
        self.last = last
        self.waiting = 0  # pops and steps that wait or are being written
        self.trouble: Trouble | None = None
        self.pops = 0
        self.groups = 0
        self.failures = 0

    @property
    def behind(self) -> bool:
        """Whether too much waits."""
        if self.waiting >= self._bounds.max_waiting:
            return True
        size = self._written.size
        for group in self._groups:
            size += group.size
        return size >= self._bounds.max_waiting_bytes

    async def written(self, entry: Entry, steps: Sequence[Step], answer: Remembered | None, *, final: bool) -> None:
        """Wait until a pop is on disk, or raise Unavailable."""
        if self.behind or self.closing:
            raise Unavailable(self.trouble or "busy", "More waits to be written to the ledger than it may hold.")
        if not self._groups or self._groups[-1].full:
            self._groups.append(Group())
        group = self._groups[-1]
        # Numbers begin with the time; they go up even while the clock is set back.
        number = max(self.last + 1, queries.first_number(entry.sent))
        self.last = group.accept(number, entry, steps, answer, final=final)
        waiting = asyncio.get_running_loop().create_future()
        group.waiting.append(waiting)
        self.waiting += 1 + len(steps)
        self._due.set()
        await waiting

    def note(self, popid: str, status: str, at: float, detail: str, *, final: bool) -> None:
        """Take a further step of a pop."""
        self.notes().step(self.last + 1, popid, status, at, detail, final=final)  # first: it may raise
        self.last += 1
        self.waiting += 1

    def notes(self) -> Notes:
        """Give the notes to fill. They are written soon."""
        if not self._groups:
            self._groups.append(Group())
        # While nothing can be written, what nobody waits for does not hurry.
        if self._alarm is None and self.trouble is None and not self._due.is_set():
            self._set_alarm(NOTES_WAIT)
        return self._groups[-1].notes

    async def settled(self) -> None:
        """Wait until what was asked before now was written, or failed."""
        newest = self._groups[-1] if self._groups else self._written
        if newest is not _NOTHING and self.trouble is None and not self.closing:
            tried = asyncio.get_running_loop().create_future()
            newest.readers.append(tried)
            self._due.set()
            await tried

    async def run(self) -> None:
        """Write until `close`, then what is left."""
        loop = asyncio.get_running_loop()
        begun = -PACE
        while not self.closing:
            await self._due.wait()
            if self._paced and (early := begun + PACE - loop.time()) > 0:
                await asyncio.sleep(early)
            self._due.clear()
            if self._alarm is not None:
                self._alarm.cancel()
                self._alarm = None
            begun = loop.time()
            if self._groups or self.trouble is not None:
                await self._write()
            if self.trouble is not None:
                self._set_alarm(TRIED_AGAIN_AFTER)
            elif self._groups and (self._groups[0].waiting or self._alarm is None):
                self._due.set()  # else there are only notes, which wait for the alarm
        while self._groups:
            await self._write()
            if self.trouble is not None:
                break
        self._give_up()

    def close(self) -> None:
        """Let `run` end when everything is written, or cannot be."""
        self.closing = True
        self._due.set()

    def _set_alarm(self, seconds: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = asyncio.get_running_loop().call_later(seconds, self._due.set)

    async def _write(self) -> None:
        # Without a group it only tries whether the disk can be written again.
        group = self._written = self._groups.popleft() if self._groups else Group()
        self._paced = group.pops >= MANY
        try:
            if self.trouble == "full":
                await self._database.try_space()
            await self._database.write(*group.spelled(self.last))
        except Unavailable as failure:
            self._failed(group, failure)
        except UnfitError:
            # Another try would fail too, and hold up everything after it.
            _log.exception("a group of %d pops and steps contradicts the schema and was left out", group.rows)
            self.failures += 1
            self.waiting -= group.rows
            group.fail("broken", "The ledger could not take a row of the same group.")
        else:
            self._succeeded(group)
        finally:
            self._written = _NOTHING

    def _succeeded(self, group: Group) -> None:
        group.succeed()
        self.groups += 1
        self.grown.set()
        self.pops += group.pops
        self.waiting -= group.rows
        if self.trouble is not None:
            self.trouble = None
            _log.warning("the ledger can be written again")

    def _failed(self, group: Group, failure: Unavailable) -> None:
        self.failures += 1
        self.waiting -= group.accepted  # the notes are tried again
        if self.trouble != failure.reason:
            self.trouble = failure.reason
            _log.error("nothing can be written (%s): %s", failure.reason, failure)
        group.fail(failure.reason, str(failure))
        following = self._groups[0] if self._groups else Group()
        group.notes.follow(following.notes)
        following.notes = group.notes
        if not self._groups:
            self._groups.append(following)

    def _give_up(self) -> None:
        lost = sum(len(group.notes.steps) for group in self._groups)
        for group in self._groups:
            group.fail("broken", "The ledger was closed.")
        self._groups.clear()
        if lost:
            _log.error("%d steps could not be written before the end", lost)
