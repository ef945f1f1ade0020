"""The write-ahead log is moved into the file while others write, and a ledger without work does nothing."""

import asyncio
import selectors
from pathlib import Path

from bridge.ledger.ledger import Ledger
from tests.ledger.pops import NOON, accept, entry


class Rounds(selectors.DefaultSelector):
    """The real selector, which counts how often the event loop looks for work."""

    count = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.count += 1
        return super().select(timeout)


def test_a_ledger_without_work_does_not_wake_the_process(data: Path) -> None:
    rounds = Rounds()

    async def idle() -> int:
        async with Ledger.open(data) as ledger:
            await accept(ledger, entry("pop-000000000001"))
            ledger.note("pop-000000000001", "shown", NOON, final=True)
            await asyncio.sleep(1.5)  # the note is written, and the log moved
            before = rounds.count
            await asyncio.sleep(2)
            return rounds.count - before

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(rounds)) as runner:
        assert runner.run(idle()) <= 3
