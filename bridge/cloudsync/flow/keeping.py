"""Keeping: what is forgotten, oldest first, in batches so small that nobody waits long for one."""

from bridge.cloudsync.flow.refold import EARLIEST
from bridge.cloudsync.store.database import Database
from bridge.words.settings import Kept

ROWS_KEPT = EARLIEST + 31 * 86_400_000
WISHES_KEPT = 86_400_000

BATCH = 500

FORGET_RAW = "DELETE FROM raw WHERE number IN (SELECT number FROM raw WHERE received < ? ORDER BY number LIMIT ?)"
# A record at rest is sealed: its facts stay, what they were made of goes. What comes later is folded by itself.
SEAL = """
    UPDATE records SET sealed = last
    WHERE id IN (
        SELECT id FROM records
        WHERE open = 0 AND since IS NULL AND last < ? AND (sealed IS NULL OR sealed < last) LIMIT ?
    )
"""
FORGET_CHANGES = """
    DELETE FROM changes WHERE number IN (
        SELECT changes.number FROM changes JOIN records ON records.customer = changes.customer
            AND records.entity = changes.entity AND records.record = changes.record
        WHERE changes.at < ?1 AND records.sealed >= changes.at LIMIT ?2
    )
"""
FORGET_FACTS = """
    DELETE FROM facts WHERE id IN (
        SELECT id FROM facts WHERE customer = ?3 AND long = 0 AND at < ?1 LIMIT ?2
    )
"""
FORGET_LONG_FACTS = """
    DELETE FROM facts WHERE id IN (
        SELECT id FROM facts WHERE customer = ?3 AND long = 1 AND until < ?1 LIMIT ?2
    )
"""
FORGET_STT = """
    DELETE FROM stt WHERE (customer, channel, priority, start, grp) IN (
        SELECT stt.customer, stt.channel, stt.priority, stt.start, stt.grp
        FROM views CROSS JOIN stt ON stt.customer = views.customer AND stt.channel = views.channel
            AND stt.priority = views.priority AND stt.start < ?1
        WHERE views.customer = ?3 AND views.feed = 'stt' LIMIT ?2
    )
"""
FORGET_CIM = """
    DELETE FROM cim WHERE (customer, channel, date, grp, agent) IN (
        SELECT cim.customer, cim.channel, cim.date, cim.grp, cim.agent
        FROM views CROSS JOIN cim ON cim.customer = views.customer AND cim.channel = views.channel
            AND cim.date < strftime('%Y-%m-%d', ?1 / 1000, 'unixepoch')
        WHERE views.customer = ?3 AND views.feed = 'cim' LIMIT ?2
    )
"""
FORGET_RESTATEMENTS = """
    DELETE FROM restatements WHERE number IN (SELECT number FROM restatements WHERE at < ? ORDER BY number LIMIT ?)
"""
FORGET_SURPLUS = """
    DELETE FROM {table} WHERE number IN (
        SELECT number FROM {table} WHERE number <= (SELECT max(number) FROM {table}) - ?1 ORDER BY number LIMIT ?2
    )
"""
FORGET_WISHES = "DELETE FROM wishes WHERE number IN (SELECT number FROM wishes WHERE at < ? LIMIT ?)"
FORGET_COVERAGE = "DELETE FROM coverage WHERE until < ?"


class Keeping:
    """Keeps the store within its bounds."""

    def __init__(self, database: Database, kept: Kept) -> None:
        self._database = database
        self._kept = kept

    async def run(self, now: int, customers: list[str]) -> None:
        """Forget what is over its time or number. Raises Unavailable."""
        forgotten = now - int(self._kept.retention * 1000)
        await self._all(FORGET_RAW, forgotten)
        await self._all(SEAL, forgotten)
        await self._all(FORGET_CHANGES, forgotten)
        for customer in customers:
            await self._all(FORGET_FACTS, now - ROWS_KEPT, customer)
            await self._all(FORGET_LONG_FACTS, now - ROWS_KEPT, customer)
            await self._all(FORGET_STT, now - ROWS_KEPT, customer)
            await self._all(FORGET_CIM, now - ROWS_KEPT, customer)
        await self._all(FORGET_RESTATEMENTS, now - ROWS_KEPT)
        await self._all(FORGET_SURPLUS.format(table="restatements"), self._kept.max_restatements)
        await self._all(FORGET_SURPLUS.format(table="quarantine"), self._kept.max_quarantined)
        await self._all(FORGET_WISHES, now - WISHES_KEPT)
        await self._database.write(FORGET_COVERAGE, now - ROWS_KEPT)

    async def _all(self, sql: str, bound: int, *others: str) -> None:
        while await self._database.change(sql, bound, BATCH, *others) >= BATCH:
            pass
