"""Kill: `kill -9` of the bridge in the middle of a CloudSync day; in the end its tables are the undisturbed run's.

python -m tests.cloudsync.process.kill --kills 100
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

from bridge.cloudsync.simulator.centre import DEFAULT, Size
from tests.cloudsync.process import feeds, tables
from tests.cloudsync.process.day import SMALL, Day
from tests.cloudsync.process.feeds import Ledger, Turn
from tests.cloudsync.process.tables import Tables
from tests.conftest import Bridge


class Account(NamedTuple):
    """What became of everything."""

    events: int
    kills: int
    sent_again: int
    restarts: list[float]  # seconds to ready
    lost: int  # acknowledged before a kill, and not in the file after it
    rows: int
    differences: dict[str, object]  # between the tables and those of a bridge that was left alone
    broken: dict[tuple[object, ...], list[str]]  # identities that do not hold, in either
    tracebacks: int


async def undisturbed(data: Path, day: Day) -> Tables:
    """Let a bridge take the day in order, and read its tables."""
    bridge = Bridge(data, day.config())
    turn = Turn(bridge)
    token, reader = bridge.token("feed"), bridge.token("observer")
    await turn.start()
    try:
        await feeds.by_http(turn, token, day.events(), Ledger(), at_once=5_000)
        await tables.stands(bridge, day.centre.size.agents)
        return await tables.read(bridge, reader, day)
    finally:
        await asyncio.to_thread(bridge.stop)


async def run(folder: Path, day: Day, kills: int, chance: Random, tell: Callable[[str], None]) -> Account:
    """Kill a bridge so many times while it takes the day by both doors, and account for everything."""
    expected = await undisturbed(folder / "undisturbed", day)
    bridge = Bridge(folder / "killed", day.config())
    turn = Turn(bridge)
    token, reader = bridge.token("feed"), bridge.token("observer")
    ledger = Ledger()
    lost = 0
    events = day.events()
    # The first kill falls behind some, the last before the last.
    ends = [round(len(events) * number / (kills + 1)) for number in range(1, kills + 2)]
    restarts: list[float] = []
    begun = 0
    try:
        await turn.start()
        for number, end in enumerate(ends):
            async with asyncio.TaskGroup() as group:
                group.create_task(feeds.by_both(turn, token, events[begun:end], ledger))
                if number < kills:
                    # In the middle of its share (the first time for sure), or while that is computed.
                    await ledger.reaches(begun + chance.randrange((end - begun) // 2))
                    if number and chance.random() < 0.5:
                        await asyncio.sleep(chance.uniform(0, 0.6))  # the random moment
                    turn.kill()
                    held = await asyncio.to_thread(tables.stored, bridge)
                    lost += sum(event.payload not in held for event in ledger.acknowledged)
                    if chance.random() < 0.1:
                        await _start_and_kill(bridge, chance.uniform(0.05, 0.7))
                    at = time.perf_counter()
                    await turn.start()
                    restarts.append(time.perf_counter() - at)
                    tell(f"kill {number + 1}: {len(ledger.acknowledged)} acknowledged, {lost} lost")
            begun = end
        await tables.stands(bridge, day.centre.size.agents)
        found = await tables.read(bridge, reader, day)
        assert await asyncio.to_thread(bridge.stop) == 0
    finally:
        if bridge.process.poll() is None:
            bridge.kill()
    return Account(
        len(events),
        kills,
        ledger.sent_again,
        restarts,
        lost,
        len(found.stt) + len(found.cim),
        tables.differences(found, expected),
        tables.broken(found) | tables.broken(expected),
        bridge.log().count("Traceback"),
    )


async def _start_and_kill(bridge: Bridge, after: float) -> None:
    """Kill it while it starts, or just after."""
    starting = asyncio.create_task(asyncio.to_thread(bridge.start))
    await asyncio.wait({starting}, timeout=after)
    bridge.process.kill()
    await asyncio.wait({starting})
    starting.exception()  # it may or may not have been ready before
    bridge.kill()


def main() -> int:
    """Do it as often as asked, and print the account."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--small", action="store_true", help="a small day")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else time.time_ns() % 1_000_000
    size: Size = SMALL if options.small else DEFAULT
    with tempfile.TemporaryDirectory() as folder:
        doing = run(Path(folder), Day(seed, size), options.kills, Random(seed), lambda line: _say(f"  {line}"))  # noqa: S311
        account = asyncio.run(doing)
    ordered = sorted(account.restarts)
    _say(f"seed {seed}: {account.events} events, {account.kills} kills, {account.sent_again} sent again")
    _say(f"ready again in {ordered[len(ordered) // 2]:.2f} s (median), {ordered[-1]:.2f} s at most")
    _say(f"acknowledged and lost: {account.lost}; tracebacks: {account.tracebacks}")
    _say(f"rows {account.rows}; differing from the undisturbed run's: {len(account.differences)}")
    for key, cells in list(account.differences.items())[:5]:
        _say(f"  {key}: {cells}")
    _say(f"identities broken on {len(account.broken)} rows {dict(list(account.broken.items())[:3])}")
    return 1 if account.lost or account.differences or account.broken or account.tracebacks else 0


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - that is what it is for


if __name__ == "__main__":
    sys.exit(main())
