"""Turns: what is measured of one contender at a time, by a load on a core of its own."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from tests.benchmarks.contenders import Running, core_busy

WARM_UP = 10_000  # pops before anything counts: compilers at run time must have done their work
MOST_WARM_UPS = 10  # seconds at most
CONNECTIONS = 32


class Failed(Exception):  # noqa: N818 - a contender's fate
    """A contender did not do what it should; says what."""


class Driver:
    """The load's process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def order(self, do: str, **what: object) -> dict[str, Any]:
        """Have it do something; give what it tells."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **what}) + "\n")
        self._process.stdin.flush()
        told: dict[str, Any] = json.loads(self._process.stdout.readline() or '{"failed": "the load ended"}')
        if "failed" in told:
            raise Failed(told["failed"])
        return told


@contextmanager
def driver() -> Iterator[Driver]:
    """Start the load on the last core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.load"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
    finally:
        os.sched_setaffinity(0, cores)
    with process:
        yield Driver(process)


class Burst(NamedTuple):
    """As many pops as go."""

    speed: float  # arrived at the desktops, a second
    cpu: float  # seconds of the server for 1,000
    p50: float  # milliseconds from the trigger to the desktop
    p99: float
    load: float  # per cent of its core that the load used
    others: float  # per cent of the server's core that others used
    pops: int  # all of them
    doubled: int  # arrived again
    bad: int  # not answered 200, or answered 200 and never arrived


class Paced(NamedTuple):
    """Pops at a fixed rate: milliseconds from when one was due to the desktop, and to the answer."""

    rate: float  # triggers a second
    p50: float
    p90: float
    p99: float
    p999: float
    most: float
    answer50: float
    answer99: float
    bad: int  # not answered 200, never arrived, or never sent because the schedule could not be kept


class Crowd(NamedTuple):
    """Many desktops that do nothing, are cut, and come back."""

    memory: float  # KiB each
    first: float  # seconds until all were subscribed the first time
    back: float  # seconds from the cut until all were subscribed again
    cpu: float  # seconds of the server from the cut on
    again: int  # connections that had to be tried again


class Turn:
    """A contender's turn."""

    def __init__(self, running: Running, load: Driver, *, at_once: int) -> None:
        self._running = running
        self._load = load
        self._at_once = at_once

    def enter(self, agents: int, seconds: float) -> None:
        """Seat the agents, let the callers dial, and warm up."""
        self._seat(0, agents)
        self._load.order("dial", port=self._running.http, key=self._running.key, connections=CONNECTIONS)
        warm = 0
        for _ in range(MOST_WARM_UPS):
            told = self._load.order("call", seconds=min(1, seconds), rate=0, window=self._running.window)
            warm += told["arrived"]
            if warm >= WARM_UP:
                break

    def burst(self, qos: int, seconds: float) -> Burst:
        """Trigger as fast as the answers come."""
        self._load.order("subscribe", qos=qos)
        cpu, core, began = self._running.cpu(), core_busy(), time.monotonic()
        told = self._load.order("call", seconds=seconds, rate=0, window=self._running.window)
        cpu, core, took = self._running.cpu() - cpu, core_busy() - core, time.monotonic() - began
        if not told["arrived"]:
            raise Failed(f"of {told['sent']} pops, {told['refused']} were not answered 200 and none arrived")
        return Burst(
            speed=told["arrived"] / told["took"],
            cpu=cpu / told["arrived"] * 1000,
            p50=told["delays"][0],
            p99=told["delays"][2],
            load=told["busy"] * 100,
            others=max(core - cpu, 0) / took * 100,
            pops=told["sent"],
            doubled=told["doubled"],
            bad=told["refused"] + told["missing"],
        )

    def paced(self, rate: float, seconds: float) -> Paced:
        """Trigger at a rate, whatever the answers do."""
        self._load.order("subscribe", qos=1)
        told = self._load.order("call", seconds=seconds, rate=rate)
        if not told["arrived"]:
            raise Failed("nothing arrived")
        bad = told["refused"] + told["missing"] + told["unsent"]
        p50, p90, p99, p999, most = told["delays"]
        return Paced(rate, p50, p90, p99, p999, most, told["answers"][0], told["answers"][2], bad)

    def crowd(self, agents: int) -> Crowd:
        """Let them come, wait, be cut and come back."""
        few = agents // 10
        self._seat(0, few)  # what the first ones load and make is not theirs
        before = self._running.memory()
        first = self._seat(few, agents)
        time.sleep(1)  # what it keeps when nothing happens counts, not what it needs to let them in
        memory = (self._running.memory() - before) / (agents - few)
        cpu = self._running.cpu()
        back = self._load.order("storm", port=self._running.mqtt, at_once=self._at_once)
        return Crowd(memory, first["took"], back["took"], self._running.cpu() - cpu, first["again"] + back["again"])

    def _seat(self, first: int, end: int) -> dict[str, Any]:
        passwords = self._running.passwords[first:end]
        return self._load.order("seat", port=self._running.mqtt, passwords=passwords, at_once=self._at_once)
