"""Asking: the one place that answers what is asked of STT, CIM and restatements."""

import asyncio
import hashlib
import secrets
from collections.abc import Callable, Mapping

import msgspec

from bridge.cloudsync.flow.answers import days, quarters
from bridge.cloudsync.flow.answers.days import Days
from bridge.cloudsync.flow.answers.marks import Marks
from bridge.cloudsync.flow.answers.quarters import Quarters
from bridge.cloudsync.flow.answers.questions import Answer, CimQuestion, RestatementTold, SttQuestion
from bridge.cloudsync.flow.feeds import Feeds
from bridge.cloudsync.flow.finality import Finality
from bridge.cloudsync.flow.processing import Processing
from bridge.cloudsync.numbers.intervals import day_on
from bridge.cloudsync.store.database import Database
from bridge.words.cloudsync import QUARTER
from bridge.words.cloudsync import Mapping as Words
from bridge.words.settings import Customer
from bridge.words.times import stamp

_AT_ONCE = 4  # questions that are answered at the same time; more wait
_DAY = 86_400_000

RESTATEMENTS = """
    SELECT '[' || group_concat('[' || number || ',' || json_quote(feed) || ',' || at || ',' || body || ']')
        || ']' FROM (
        SELECT number, feed, at, body FROM restatements
        WHERE customer = ?1 AND number < ?2 AND at >= ?3 AND (?4 IS NULL OR feed = ?4) ORDER BY number DESC LIMIT ?5
    )
"""

_encode = msgspec.json.Encoder().encode


class Asking:
    """Answers questions from the store. An answer is marked with how far its rows are to be trusted as it is given."""

    def __init__(
        self,
        database: Database,
        processor: Processing,
        feeds: Feeds,
        customers: Callable[[], Mapping[str, Customer]],
        now: Callable[[], int],
    ) -> None:
        self._database = database
        self._processor = processor
        self._feeds = feeds
        self._customers = customers
        self._now = now
        room = asyncio.Semaphore(_AT_ONCE)
        self._quarters = Quarters(database, room)
        self._days = Days(database, room)
        self._boot = secrets.token_hex(4)
        self._editions: dict[str, tuple[int, Words | None]] = {}

    def marks(self, customer: str) -> Marks:
        """Take what rows are marked with now."""
        now = self._feeds.look()
        desk = self._processor.desks.open(customer)
        zone = self._customers()[customer].cloudsync.zone
        return Marks(desk, self._feeds, self._processor.mapping(customer), zone, now)

    def stt(self, customer: str, question: SttQuestion) -> Answer:
        """Answer quarter hours."""
        marks = self.marks(customer)
        return Answer(
            stamp(marks.now / 1000),
            self._tag(marks, question, question.start, question.until, marks.desk.stt_final),
            quarters.COLUMNS,
            lambda: self._quarters.rows(marks, question),
        )

    def cim(self, customer: str, question: CimQuestion) -> Answer:
        """Answer local days."""
        marks = self.marks(customer)
        start = day_on(question.first, "UTC").start - _DAY
        until = day_on(question.last, "UTC").end + _DAY
        return Answer(
            stamp(marks.now / 1000),
            self._tag(marks, question, start, until, marks.desk.cim_final),
            days.COLUMNS,
            lambda: self._days.rows(marks, question),
        )

    async def restatements(
        self, customer: str, feed: str | None, since: int, before: int, limit: int
    ) -> list[RestatementTold]:
        """List restatements, the newest first."""
        text = await self._database.text(RESTATEMENTS, customer, before, since, feed, limit)
        return [
            RestatementTold(*one)
            for one in (msgspec.json.decode(text, type=list[tuple[int, str, int, msgspec.Raw]]) if text else ())
        ]

    def _tag(self, marks: Marks, question: msgspec.Struct, start: int, until: int, finality: Finality) -> str:
        """Hash all that the rows are made of: which changed, what ended, what is covered, in doubt, named."""
        versions = [marks.desk.versions.get(day, 0) for day in range(start // _DAY, until // _DAY + 1)]
        made_of = (
            self._boot,
            marks.desk.customer,
            question,
            versions,
            marks.covered.length(start, until) // 1000,
            min(marks.now, until) // QUARTER,
            max(start, min(finality.through, until)),
            sorted(finality.held.items()),
            sorted(marks.doubts.since.items()),
            sorted(marks.desk.active.items()),
            self._edition(marks),
        )
        return hashlib.blake2b(_encode(made_of), digest_size=12).hexdigest()

    def _edition(self, marks: Marks) -> int:
        """Number the mappings of a customer; they are compared by being the same object."""
        number, known = self._editions.get(marks.desk.customer, (0, None))
        if known is not marks.mapping:
            number += 1
            self._editions[marks.desk.customer] = (number, marks.mapping)
        return number
