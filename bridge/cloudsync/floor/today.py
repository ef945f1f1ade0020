"""Today: what each queue's day has been so far, summed from the quarter hours of the customer's STT."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import datetime

import msgspec

from bridge.cloudsync.floor.told import Today
from bridge.cloudsync.flow.answers.questions import Answer, SttQuestion
from bridge.cloudsync.numbers.intervals import day_at, known
from bridge.cloudsync.numbers.rounding import per_cent
from bridge.words import errors
from bridge.words.cloudsync import QUARTER
from bridge.words.cloudsync import Mapping as Words
from bridge.words.settings import Customer


class _Row(msgspec.Struct):
    interval_start: datetime
    group: str
    offered: int
    answered: int
    answered_within_sl: int
    abandoned: int


_decode = msgspec.json.Decoder(_Row).decode


class TodayFromStt:
    """Sums today's rows by group, each group's day by its own zone. Nothing for a customer without the feed `stt`."""

    def __init__(
        self,
        stt: Callable[[str, SttQuestion], Answer],
        mapping: Callable[[str], Words],
        customers: Callable[[], Mapping[str, Customer]],
        now: Callable[[], int],
    ) -> None:
        self._stt = stt
        self._mapping = mapping
        self._customers = customers
        self._now = now
        self._told: dict[str, tuple[str, Mapping[str, Today]]] = {}

    async def __call__(self, customer: str) -> Mapping[str, Today] | None:
        """Sum; None if nothing is known of today. Raises Unavailable."""
        settings = self._customers().get(customer)
        if settings is None:
            return None
        now, mapping, own = self._now(), self._mapping(customer), settings.cloudsync.zone
        zones = {zone for zone in mapping.zone.values() if known(zone)} | {own}
        starts = {zone: day_at(now, zone).start for zone in zones}
        question = SttQuestion(start=min(starts.values()), until=now - now % QUARTER + QUARTER, zeros=False)
        try:
            answer = self._stt(customer, question)
        except errors.Fault:
            return None
        tag, told = self._told.get(customer, ("", {}))
        if tag == answer.tag:
            return told
        sums: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
        async for lines in answer.rows():
            for line in lines:
                row = _decode(line)
                start = starts.get(mapping.zone.get(row.group, own), starts[own])
                if row.interval_start.timestamp() * 1000 >= start:
                    counts = (row.offered, row.answered, row.abandoned, row.answered_within_sl)
                    sums[row.group] = [sum(pair) for pair in zip(sums[row.group], counts, strict=True)]
        told = {
            group: Today(offered, answered, abandoned, per_cent(within, answered + abandoned))
            for group, (offered, answered, abandoned, within) in sums.items()
        }
        self._told[customer] = answer.tag, told
        return told
