"""Benchmark: CloudSync events taken and processed per second, and how long a day of quarter hours takes to read.

    python -m tests.benchmarks.cloudsync [--times 25] [--groups 50]

A simulated day (`--times` as large as the simulator's usual) is posted in requests of 5,000 events, adapted and
committed; then folded and computed, with the CPU of each stage; then `GET /api/stt` of that day is answered for every
group, as the door does it.
"""

import argparse
import asyncio
import datetime as dt
import platform
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from bridge.cloudsync.flow.answers.questions import CimQuestion, SttQuestion
from bridge.cloudsync.flow.cloudsync import Cloudsync
from bridge.cloudsync.simulator.centre import Centre, Size
from bridge.words.settings import Cloudsync as Settings
from bridge.words.settings import Customer
from tests.benchmarks.events import Stages, table

DAY = dt.date(2026, 11, 10)
START = 1_794_268_800_000
REQUEST = 5_000


def events_of(centre: Centre) -> list[bytes]:
    """Spell the day's events with their channel, as they come by HTTP."""
    return [
        event.payload
        if event.payload.startswith(b'{"channel"')
        else b'{"channel":"/' + event.channel.encode() + b'",' + event.payload[1:]
        for event in centre.events()
    ]


async def measure(times: float, groups: int) -> None:
    """Print what it took."""
    size = Size(groups=groups, agents=groups * 8, tickets=round(600 * times), sessions=round(1_500 * times))
    centre = Centre(7, DAY, size)
    events = events_of(centre)
    mapping = centre.mapping
    entities = ["SupportTicket", "ChatSession", "VideoSession", "UserPresence"]
    settings = Settings(feeds=["stt", "cim"], entities=entities, zone="America/New_York")  # type: ignore[arg-type]
    customers = {"acme": Customer(cloudsync=settings)}
    with tempfile.TemporaryDirectory() as folder:
        stages = Stages()
        async with Cloudsync.open(Path(folder), lambda: customers, time.time) as cloudsync:
            cloudsync.set_mapping(lambda _: mapping)
            with stages.watching():
                begun = time.perf_counter()
                for start in range(0, len(events), REQUEST):
                    await cloudsync.accept("acme", events[start : start + REQUEST])
                took, taking = time.perf_counter() - begun, stages.take()
                say(f"accepted   {len(events):>9,} events in {took:6.1f} s: {len(events) / took:>9,.0f}/s")
                begun = time.perf_counter()
                await cloudsync.settle()
                took, processing = time.perf_counter() - begun, stages.take()
            rows = cloudsync.counted["rows"]
            say(f"processed  {len(events):>9,} events in {took:6.1f} s: {len(events) / took:>9,.0f}/s, {rows:,} rows")
            for line in (*table("taking", len(events), taking), *table("processing", len(events), processing)):
                say(line)
            question = SttQuestion(start=START, until=START + 86_400_000)
            await _ask(cloudsync, "stt, each group", question)
            await _ask(cloudsync, "stt, all groups", SttQuestion(start=START, until=START + 86_400_000, group="*"))
            date = DAY.isoformat()
            await _ask(cloudsync, "cim, each agent", CimQuestion(first=date, last=date, dates=(date,)))
            file = await asyncio.to_thread(_size, Path(folder))
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            say(f"on disk {file / 1e6:,.0f} MB, memory at most {peak / 1e3:,.0f} MB")


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("cloudsync.db*"))


async def _ask(cloudsync: Cloudsync, what: str, question: SttQuestion | CimQuestion) -> None:
    times = []
    rows = size = 0
    for _ in range(11):
        begun = time.perf_counter()
        if isinstance(question, SttQuestion):
            answer = cloudsync.stt("acme", question)
        else:
            answer = cloudsync.cim("acme", question)
        parts = [day async for day in answer.rows()]
        body = ",".join(row for day in parts for row in day).encode()
        times.append(time.perf_counter() - begun)
        rows, size = sum(map(len, parts)), len(body)
    say(
        f"{what:<18} {rows:>6,} rows, {size / 1e6:5.1f} MB: median {statistics.median(times) * 1e3:6.1f} ms, "
        f"best {min(times) * 1e3:6.1f} ms"
    )


def say(line: str) -> None:
    """Print a line."""
    print(line, flush=True)


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=float, default=25.0, help="how many usual days' events (11,000 each)")
    parser.add_argument("--groups", type=int, default=50)
    given = parser.parse_args()
    say(f"{platform.python_implementation()} {platform.python_version()}, {platform.machine()}, {sys.platform}")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(measure(given.times, given.groups))


if __name__ == "__main__":
    main()
