"""Purge: what is forgotten, oldest first, in batches so small that nobody waits long for one."""

from collections.abc import Callable

from bridge.ledger import queries
from bridge.ledger.database import Database
from bridge.words.settings import Ledger as Bounds

BATCH = 500
ANSWERS_KEPT = 86_400.0
AGENTS_KEPT = 30 * 86_400.0
CLOSED_AFTER = 60.0  # a pop past its time by this is not open any more, whatever was or was not noted of it

# What was delivered keeps that as its status, and nothing more is noted at the end of its time.
CLOSE = """
    UPDATE pops SET open = 0
    WHERE number IN (
        SELECT number FROM pops INDEXED BY open_pops
        WHERE open = 1 AND expires < ?1 AND (status = 'delivered' OR expires < ?3) LIMIT ?2
    )
"""
DROP_DOCUMENTS = """
    DELETE FROM documents WHERE pop IN (
        SELECT pop FROM documents JOIN pops ON pops.number = pop WHERE pop < ? AND pops.open = 0 ORDER BY pop LIMIT ?
    )
"""
FORGET_OLD_POPS = """
    DELETE FROM pops
    WHERE number IN (SELECT number FROM pops WHERE number < ? AND open = 0 ORDER BY number LIMIT ?)
"""
FORGET_SOME_POPS = "DELETE FROM pops WHERE number IN (SELECT number FROM pops WHERE open = 0 ORDER BY number LIMIT ?)"
# Answers are entered in the order of their time: at the lowest id is the oldest.
FORGET_ANSWERS = """
    DELETE FROM answers WHERE id IN (
        SELECT id FROM (SELECT id, at FROM answers ORDER BY id LIMIT ?2)
        WHERE at < ?1 OR id <= (SELECT max(id) FROM answers) - ?3
    )
"""
FORGET_AGENTS = """
    DELETE FROM agents WHERE (customer, agent) IN (SELECT customer, agent FROM agents WHERE at < ? LIMIT ?)
"""


class Purge:
    """Keeps the ledger within its bounds. Counts the pops once, and from then on in its head.

    `written` tells how many pops were entered since the start.
    """

    def __init__(self, database: Database, bounds: Bounds, written: Callable[[], int]) -> None:
        self._database = database
        self._bounds = bounds
        self._written = written
        self._pops: int | None = None
        self._written_before = 0

    async def run(self, now: float, *, taken_up: bool) -> None:
        """Forget what is over its time or number. Raises Unavailable."""
        if taken_up:
            await self._all(CLOSE, now, now - CLOSED_AFTER)
        await self._all(DROP_DOCUMENTS, queries.first_number(now - self._bounds.payloads))
        forgotten = await self._all(FORGET_OLD_POPS, queries.first_number(now - self._bounds.retention))
        await self._all(FORGET_ANSWERS, now - ANSWERS_KEPT, self._bounds.max_answers)
        await self._all(FORGET_AGENTS, now - AGENTS_KEPT)
        if self._pops is None:
            self._pops = await queries.count_pops(self._database)
            self._written_before = self._written()
        written = self._written()
        self._pops += written - self._written_before - forgotten
        self._written_before = written
        await self._forget_surplus()

    async def _all(self, sql: str, *values: float) -> int:
        forgotten = 0
        first, *others = values
        while count := await self._database.change(sql, first, BATCH, *others):
            forgotten += count
        return forgotten

    async def _forget_surplus(self) -> None:
        while self._pops is not None and self._pops > self._bounds.max_pops:
            count = await self._database.change(FORGET_SOME_POPS, min(BATCH, self._pops - self._bounds.max_pops))
            if not count:
                return
            self._pops -= count
