"""Benchmark: popbridge beside what a user would build or take instead, in one run, by turns. Tables; not a test.

    python -m tests.benchmarks [--agents 100,1000,10000] [--rounds 3] [--seconds 4]
        [--only throughput,latency,storm,memory,cloudsync,path,growth] [--peers ours,glue,node,amqtt]

The contenders:

    ours          popbridge serve as it is shipped, with its ledger
    glue          aiohttp and paho-mqtt, which publish to mosquitto at QoS 1 and answer after its PUBACK
    glue-at-once  the same, which answers without waiting
    node          fastify and aedes in one process of Node, installed from npm into the cache
    amqtt         stock amqtt with aiohttp in one process; at most 1,000 agents

All but mosquitto and amqtt check a signed token at each login; only ours writes down what it was asked for before it
answers. Each server has the first core, mosquitto and the glue together, the load the last one. Callers keep 32
connections; a trigger has 500 bytes of JSON and is published at QoS 1, and the desktops' subscriptions have the QoS
that is told. Pops are counted at the desktops, from the first trigger until the last of them arrived. Each turn has a
fresh server. Every ratio is of the same round, and above 1 means that ours is better. CPU is the server's, all
processes and threads: what else the machine does spoils it least.

`path` tells what each stage of a pop costs, and `growth` whether it costs more where there is more of anything: ours
alone, in one process whose sockets lead nowhere.
"""

import argparse
import asyncio
import os
import platform
import resource
import select
import shlex
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import uvloop

from tests.benchmarks import cloudsync, contenders, growth, path
from tests.benchmarks.contenders import Absent, Stable
from tests.benchmarks.table import Column, table
from tests.benchmarks.turns import Burst, Crowd, Failed, Paced, Turn, driver

CONTENDERS = ("ours", "glue", "glue-at-once", "node", "amqtt")
BESIDE_PEERS = ("throughput", "latency", "storm", "memory")
PARTS = (*BESIDE_PEERS, "cloudsync", "path", "growth")
SPARE = 1_000  # file descriptors that a process needs besides its desktops'
QUIET = 10  # per cent of the servers' core
DAYS, GROUPS = 5.0, 50  # usual days of 11,000 events: enough to tell, and over within a minute

BURST = (
    Column("pops/s", "speed", "{:,.0f}", 1),
    Column("CPU s / 1,000", "cpu", "{:.3f}", -1),
    Column("p50 ms", "p50", "{:.1f}", -1),
    Column("p99 ms", "p99", "{:.1f}", -1),
    Column("load's core %", "load", "{:.0f}"),
    Column("others on its core %", "others", "{:.0f}"),
    Column("pops", "pops", "{:,.0f}"),
    Column("twice", "doubled", "{:,.0f}"),
    Column("not arrived", "bad", "{:,.0f}"),
)
PACED = (
    Column("triggers/s", "rate", "{:,.0f}"),
    Column("p50 ms", "p50", "{:.2f}", -1),
    Column("p90", "p90", "{:.2f}", -1),
    Column("p99", "p99", "{:.2f}", -1),
    Column("p99.9", "p999", "{:.2f}", -1),
    Column("max", "most", "{:.1f}", -1),
    Column("answer p50", "answer50", "{:.2f}", -1),
    Column("answer p99", "answer99", "{:.2f}", -1),
    Column("not arrived", "bad", "{:,.0f}"),
)
MEMORY = (Column("KiB an agent", "memory", "{:.1f}", -1),)
STORM = (
    Column("first s", "first", "{:.2f}", -1),
    Column("back s", "back", "{:.2f}", -1),
    Column("back, CPU s", "cpu", "{:.2f}", -1),
    Column("tried again", "again", "{:,.0f}"),
)


Figures = Iterator[tuple[str, Burst | Paced | Crowd]]
"""Figures with the title of the table that they belong to."""

Found = dict[str, dict[str, list[Burst | Paced | Crowd | None]]]
"""By title and contender, round by round."""


class Benchmark:
    """One run of everything that was asked for."""

    def __init__(self, stable: Stable, names: Sequence[str], given: argparse.Namespace) -> None:
        self._stable = stable
        self._names = names
        self._given = given
        self.commands: dict[str, str] = {}

    def pops(self, agents: int) -> None:
        """Throughput and latency with so many agents."""
        given = self._given
        bursts = {qos: f"Throughput, {agents:,} agents, QoS {qos}" for qos in (1, 0)}
        rates = {rate: f"Latency at {rate:,} a second, {agents:,} agents, QoS 1" for rate in [*given.rates, 0]}
        rates[0] = f"Latency at half of its own maximum, {agents:,} agents, QoS 1"

        def measure(turn: Turn) -> Figures:
            turn.enter(agents, given.seconds)
            fastest = turn.burst(1, given.seconds)
            yield bursts[1], fastest
            if "throughput" in given.only:
                yield bursts[0], turn.burst(0, given.seconds)
            if "latency" in given.only:
                for rate, title in rates.items():
                    if rate <= fastest.speed:  # beyond it the queue only grows
                        yield title, turn.paced(rate or fastest.speed / 2, given.seconds)

        found = self._rounds(agents, measure)
        if "throughput" in given.only:
            for title in bursts.values():
                show(title, BURST, found)
            self._doubt(found[bursts[1]])
        if "latency" in given.only:
            for title in rates.values():
                show(title, PACED, found)

    def crowds(self, agents: int) -> None:
        """Memory of, and a storm by, so many agents."""
        memory = f"Memory of an idle agent, {agents:,} agents"
        storm = f"Storm: {agents:,} agents are cut at once and come back, {self._given.at_once} at a time"

        def measure(turn: Turn) -> Figures:
            crowd = turn.crowd(agents)
            yield memory, crowd
            yield storm, crowd

        found = self._rounds(agents, measure)
        if "memory" in self._given.only:
            show(memory, MEMORY, found)
        if "storm" in self._given.only:
            show(storm, STORM, found)

    def _doubt(self, found: Mapping[str, Sequence[Any]]) -> None:
        shares = [burst.others for bursts in found.values() for burst in bursts if burst]
        if shares and (share := statistics.median(shares)) > QUIET:
            print(
                f"Others took {share:.0f} % of the servers' core, and a server of many threads gets a larger part of\n"
                "what is left: only the CPU is to be compared, neither pops/s nor milliseconds.\n"
            )

    def _rounds(self, agents: int, measure: Callable[[Turn], Figures]) -> Found:
        names = [name for name in self._names if agents <= contenders.MOST_AGENTS.get(name, agents)]
        found: Found = defaultdict(lambda: {name: [None] * self._given.rounds for name in names})
        for number in range(self._given.rounds):
            for name in names:
                with self._stable.run(name) as running, driver() as load:
                    self.commands[name] = running.commands()
                    try:
                        for title, figures in measure(Turn(running, load, at_once=self._given.at_once)):
                            found[title][name][number] = figures
                    except Failed as failure:
                        print(f"{name}, round {number + 1}: {failure}", flush=True)
        return found


def show(title: str, columns: Sequence[Column], found: Found) -> None:
    """Print a table, unless nothing was found for it."""
    if title in found:
        print(table(title, columns, found[title], "ours"), flush=True)


def numbers(text: str) -> list[int]:
    """Read a list of whole numbers from 1 on."""
    found = [int(word) for word in text.split(",")]
    if min(found) < 1:
        raise ValueError(text)
    return found


def words(known: Sequence[str]) -> Callable[[str], list[str]]:
    """Read a list of known words, in their own order."""

    def read(text: str) -> list[str]:
        if unknown := set(text.split(",")) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: not of {', '.join(known)}")
        return [word for word in known if word in text.split(",")]

    return read


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=numbers, default=[100, 1_000, 10_000], help="storm and memory: the most")
    parser.add_argument("--rounds", type=int, default=3, help="of which each figure is the median")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each burst, and at each rate")
    parser.add_argument("--rates", type=numbers, default=[500, 1_000, 2_000], help="triggers a second of the latency")
    parser.add_argument("--only", type=words(PARTS), default=PARTS)
    parser.add_argument("--pops", type=int, default=2_000, help="of each round of path and growth")
    parser.add_argument("--curves", type=words(tuple(growth.CURVES)), default=tuple(growth.CURVES), help="of growth")
    parser.add_argument("--largest", type=int, default=sys.maxsize, help="of the numbers on a curve")
    parser.add_argument("--peers", type=words(CONTENDERS), default=["ours", "glue", "node", "amqtt"])
    parser.add_argument(
        "--at-once", type=int, default=100, help="desktops that connect at a time; mosquitto listens for 100"
    )
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "popbridge-benchmarks"
    parser.add_argument("--cache", type=Path, default=cache, help="where npm installs (default: %(default)s)")
    given = parser.parse_args()
    if not hasattr(select, "epoll"):
        parser.error("it needs Linux")
    _introduce()
    if set(BESIDE_PEERS) & set(given.only):
        _beside_peers(given)
    if "cloudsync" in given.only:
        print("\nCloudSync, ours", flush=True)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(cloudsync.measure(DAYS, GROUPS))
    print(flush=True)
    if "path" in given.only:
        path.measure(given.rounds, given.pops)
    if "growth" in given.only:
        growth.measure(given.curves, given.largest, given.rounds, given.pops)


def _beside_peers(given: argparse.Namespace) -> None:
    most = max(given.agents)
    _allow_files(most + SPARE)
    with tempfile.TemporaryDirectory() as folder:
        stable = Stable(Path(folder), given.cache, most)
        names = [name for name in given.peers if _prepare(stable, name)]
        benchmark = Benchmark(stable, names, given)
        print(flush=True)
        if {"throughput", "latency"} & set(given.only):
            for agents in given.agents:
                benchmark.pops(agents)
        if {"storm", "memory"} & set(given.only):
            benchmark.crowds(most)
        for name, command in benchmark.commands.items():
            print(f"{name:<14}{command}")


def _prepare(stable: Stable, name: str) -> bool:
    try:
        print(f"{name:<14}{stable.prepare(name)}", flush=True)
    except Absent as reason:
        print(f"{name:<14}left out: {reason}", flush=True)
        return False
    return True


def _allow_files(wanted: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
        except (ValueError, OSError):
            sys.exit(f"it needs {wanted:,} open files, and the limit is {hard:,}: ulimit -Hn")
    elif soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _introduce() -> None:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    cores = sorted(os.sched_getaffinity(0))
    print(f"python -m tests.benchmarks {shlex.join(sys.argv[1:])}")
    print(
        f"{model or platform.machine()}, {len(cores)} cores, {platform.system()} {platform.release()}; "
        f"servers on core {cores[0]}, load on core {cores[-1]}; load average {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
