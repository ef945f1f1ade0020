"""A process that takes a simulated day until it is killed: `python -m tests.cloudsync.flow.writing DIR SEED`."""

import asyncio
import os
import sys
from pathlib import Path

from tests.cloudsync.flow.day import SETTINGS, simulated
from tests.cloudsync.flow.events import Clock, ms, opened

NOW = "2026-11-10T15:07:00Z"


async def main() -> None:
    """Accept the day's events in small requests, say which are acknowledged, and process beside that."""
    _, data, seed = sys.argv
    mapping, events = simulated(int(seed))
    async with opened(Path(data), Clock(ms(NOW)), SETTINGS, mapping) as house, asyncio.TaskGroup() as group:
        running = group.create_task(house.cloudsync.run())
        for start in range(0, len(events), 7):
            await house.post(*events[start : start + 7])
            # Unbuffered: what is said was acknowledged.
            os.write(1, f"{start}\n".encode())
        await house.cloudsync.settle()
        os.write(1, b"done\n")
        await asyncio.Event().wait()
        running.cancel()


if __name__ == "__main__":
    asyncio.run(main())
