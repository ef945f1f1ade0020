"""Recount: after a start, the funnel of the last day is counted again from the ledger, beside everything else."""

import asyncio
from collections.abc import Callable

from bridge.delivery import funnel
from bridge.delivery.funnel import Funnel
from bridge.ledger.ledger import Ledger
from bridge.words.ledger import Unavailable

MOST = 1_000_000  # pops that are counted again, the newest first
TRIED_AGAIN_AFTER = 1.0  # seconds after the ledger could not be read


async def run(counting: Funnel, ledger: Ledger, now: Callable[[], float], most: int = MOST) -> None:
    """Count what the last process left, a part at a time; what happens meanwhile is counted where it happens."""
    counted = 0
    before: int | None = None
    while counted < most:
        try:
            lives = await ledger.lives(funnel.oldest(now()), before)
        except Unavailable:
            # The writer meets the same trouble, and tells of it.
            await asyncio.sleep(TRIED_AGAIN_AFTER)
            continue
        if not lives:
            counting.counted_from = 0.0
            return
        moment = now()
        for life in lives:
            counting.recount(life.customer, life.sent, life.steps, moment)
        counted += len(lives)
        before = lives[-1].number
        counting.counted_from = lives[-1].sent
