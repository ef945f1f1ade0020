"""Storm: a whole centre is cut off at once and comes back at once, while pops flow; what it costs. One table.

    python -m tests.storms.storm [--agents 10000] [--cuts 3] [--rate 200] [--calm 5] [--connecting N]

The desktops, the callers and the observer are in this process, the bridge with its ledger in one of its own. Each
desktop has a token of its own and two filters; every fourth asks for a session that outlives its connection. The last
pops before each cut are not acknowledged. The last cut comes twice: again when half of the desktops are back.
"""

import argparse
import asyncio
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import uvloop

from tests.storms import vitals
from tests.storms.account import Account
from tests.storms.centre import Centre, opened

TTL = 30
PATIENCE = 120.0
"""Seconds that the desktops may take to come back before the run gives up."""

UNACKNOWLEDGED = 50
"""Pops on their way when the cable goes."""


class Row(NamedTuple):
    """One storm."""

    name: str
    returned: float  # seconds until all were subscribed again
    logins: int
    cpu: float  # seconds of the bridge
    load_cpu: float  # seconds of this process: where it is as busy, the bridge was not alone to blame
    memory: float  # MiB of the bridge at its end
    slowest: float  # seconds, of an answer to a trigger meanwhile
    died: int  # connections that ended without our doing
    refused: int  # logins
    overflows: int  # connects that found the accept queue full
    pops: int  # accepted meanwhile
    observer: int  # times the observer was cut off
    wrong: int  # agents of whom the observer did not know at the end that they are back


HEADS: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("back s", lambda row: f"{row.returned:.2f}"),
    ("logins/s", lambda row: f"{row.logins / row.returned:,.0f}"),
    ("cpu s", lambda row: f"{row.cpu:.2f}"),
    ("load cpu s", lambda row: f"{row.load_cpu:.2f}"),
    ("MiB", lambda row: f"{row.memory:.0f}"),
    ("slowest ms", lambda row: f"{row.slowest * 1000:.0f}"),
    ("died", lambda row: f"{row.died}"),
    ("refused", lambda row: f"{row.refused}"),
    ("backlog", lambda row: f"{row.overflows}"),
    ("pops", lambda row: f"{row.pops}"),
    ("observer", lambda row: f"{row.observer}"),
    ("presence", lambda row: f"{row.wrong}"),
)


class Weather:
    """Runs storms over a centre, and keeps a row of each."""

    def __init__(self, centre: Centre) -> None:
        self._centre = centre
        self.rows: list[Row] = []

    async def strike(self, name: str, storm: Callable[[], Awaitable[None]]) -> Row:
        """Let one storm pass, and write it down."""
        centre = self._centre
        desktops, traffic = centre.desktops, centre.traffic
        centre.board.desktops.clear()
        traffic.slowest, load = 0.0, time.process_time()
        before = (centre.vitals(), desktops.logins, desktops.died.total(), desktops.refused.total())
        pops, observer, overflows, begun = len(traffic.accepted), _cut(centre), vitals.overflows(), time.monotonic()
        async with asyncio.timeout(PATIENCE):
            await storm()
        took, now, load = time.monotonic() - begun, centre.vitals(), time.process_time() - load
        row = Row(
            name=name,
            returned=took,
            logins=desktops.logins - before[1],
            cpu=now.cpu - before[0].cpu,
            load_cpu=load,
            memory=now.memory,
            slowest=traffic.slowest,
            died=desktops.died.total() - before[2],
            refused=desktops.refused.total() - before[3],
            overflows=vitals.overflows() - overflows,
            pops=len(traffic.accepted) - pops,
            wrong=len(await centre.told(1)),
            observer=_cut(centre) - observer,
        )
        self.rows.append(row)
        return row

    async def brew(self) -> None:
        """Let the last pops before a cut be seen but not acknowledged: they have to come again."""
        self._centre.desktops.acknowledging = False
        await self._centre.traffic.more(UNACKNOWLEDGED)

    async def cut(self) -> None:
        """Cut all off, and wait until all are back."""
        desktops = self._centre.desktops
        up = desktops.cut()
        desktops.acknowledging = True
        await desktops.below(up)
        await desktops.back()

    async def cut_twice(self) -> None:
        """Cut all off, and again when half of them are back."""
        desktops = self._centre.desktops
        up = desktops.cut()
        desktops.acknowledging = True
        await desktops.below(up // 2)
        await desktops.back(up // 2)
        await self.cut()


def _cut(centre: Centre) -> int:
    return centre.observer.died.total()


async def run(options: argparse.Namespace) -> None:
    """Run everything and print as it comes."""
    write = sys.stdout.write
    connecting = options.connecting or max(2_000, 2 * options.agents)
    with tempfile.TemporaryDirectory() as folder:
        async with opened(Path(folder), options.agents, options.rate, ttl=TTL, connecting=connecting) as centre:
            await centre.warm()
            before, at_rest = await centre.standing(), centre.vitals()
            await centre.observer.enter()
            weather = Weather(centre)
            write(" " * 12 + "".join(f"{head:>11}" for head, _ in HEADS) + "\n")
            write(_line(await weather.strike("first login", centre.desktops.enter)))
            idle = centre.vitals()
            async with centre.traffic.flowing():
                await centre.traffic.more(int(options.calm * options.rate))
                for number in range(1, options.cuts + 1):
                    await weather.brew()
                    storm = weather.cut_twice if number == options.cuts else weather.cut
                    write(_line(await weather.strike(f"cut {number}", storm)))
                    await centre.traffic.more(int(options.calm * options.rate))
            drained = await centre.drained(TTL + 10)
            await _tell(centre, await centre.account(), drained=drained)
            cut_off = (await centre.metrics()).cut_off
            peak = centre.vitals()
            await centre.desktops.leave()
            offline = await centre.told(0)
            await centre.observer.leave()
            await centre.observer.enter()
            afresh = await centre.told(0)
            await centre.observer.leave()
            after = await centre.returned(before)
            rest = centre.vitals()
            per_agent = (idle.memory - at_rest.memory) * 1024 / options.agents
            write(
                f"\nmemory       {at_rest.memory:.0f} MiB before, {idle.memory:.0f} with all idle "
                f"({per_agent:.1f} KiB per agent), {peak.memory:.0f} after the storms, {peak.peak:.0f} at most, "
                f"{rest.memory:.0f} with all gone\n"
                f"ended by it  {cut_off or 'nobody'} (by its own counters; the observer included)\n"
                f"presence     {len(offline)} agents still told as online when all were gone "
                f"({len(afresh)} to an observer that came anew)\n"
                f"before       {_standing(before)}\nafter        {_standing(after)}\n"
            )
    write(
        f"\nPython {platform.python_version()}, uvloop {version('uvloop')}, {os.cpu_count()} cores, "
        f"load average {' '.join(f'{load:.2f}' for load in os.getloadavg())}\n{' '.join(sys.argv)}\n"
    )


async def _tell(centre: Centre, account: Account, *, drained: bool) -> None:
    screens, traffic, desktops = centre.screens, centre.traffic, centre.desktops
    sys.stdout.write(
        f"\npops         {account.accepted} accepted ({_counts(traffic.statuses)}), {account.seen} seen, "
        f"{account.expired} expired, {account.held} still open{'' if drained else ' (not drained)'}, "
        f"{len(account.lost)} LOST, {screens.duplicates} duplicates, {len(screens.strays)} at a wrong desktop, "
        f"{len(account.unproven)} seen but not delivered, {len(account.unknown)} of no caller\n"
        f"triggers     not accepted: {_counts(traffic.refused)}\n"
        f"connections  died: {_counts(desktops.died)}; refused: {_counts(desktops.refused)}; "
        f"observer: {_counts(centre.observer.died)}, {centre.board.told} presence messages\n"
    )


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {times}" for name, times in sorted(counter.items())) or "none"


def _standing(standing: dict[str, float]) -> str:
    return ", ".join(f"{name} {much:.0f}" for name, much in standing.items())


def _line(row: Row) -> str:
    return f"{row.name:<12}" + "".join(f"{shape(row):>11}" for _, shape in HEADS) + "\n"


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--agents", type=int, default=10_000)
    parser.add_argument("--cuts", type=int, default=3)
    parser.add_argument("--rate", type=float, default=200.0, help="triggers per second")
    parser.add_argument("--calm", type=float, default=5.0, help="seconds of traffic before, between and after")
    parser.add_argument("--connecting", type=int, help="mqtt.max_connecting_per_address; twice the agents unless given")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
