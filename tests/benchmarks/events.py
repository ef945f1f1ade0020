"""Events: what each stage of a CloudSync event costs, in microseconds of CPU, wherever it runs.

Some functions are timed where they are called, by the clock of their thread; what a thread used besides is its rest.
"""

import importlib
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# By stage: the module that calls the function, and its name there. None of them waits for anything.
_TIMED = {
    "decoding": (("bridge.cloudsync.events.adapt", "read"),),
    "spelling for the store": (("bridge.cloudsync.flow.ingest", "spell"),),
    "fold": (("bridge.cloudsync.flow.recording", "refold"),),
    "quarter hours": (("bridge.cloudsync.flow.computing", "compute_stt"),),
    "agents' days": (("bridge.cloudsync.flow.computing", "compute_cim"),),
}
SQLITE = "SQLite: dedupe, commit, reading"
LOOP = "event loop: queue, acknowledgement"
WORKERS = "handing over to threads"
STAGES = (*_TIMED, SQLITE, LOOP, WORKERS)


class Stages:
    """Seconds of CPU by stage, since the last `take`."""

    def __init__(self) -> None:
        self._spent: defaultdict[str, float] = defaultdict(float)
        self._inside: defaultdict[int, float] = defaultdict(float)  # by thread, what is counted in `_spent`
        self._before: dict[int, float] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Time the functions."""
        kept = []
        for stage, places in _TIMED.items():
            for name, function in places:
                module = importlib.import_module(name)
                kept.append((module, function, getattr(module, function)))
                setattr(module, function, self._timed(stage, getattr(module, function)))
        self.take()
        try:
            yield
        finally:
            for module, function, before in kept:
                setattr(module, function, before)

    def take(self) -> dict[str, float]:
        """Give the seconds of each stage."""
        rest = dict.fromkeys((SQLITE, LOOP, WORKERS), 0.0)
        for thread in threading.enumerate():
            if thread.ident is None:
                continue
            used = _clock(thread.ident)
            took = used - self._before.get(thread.ident, 0.0) - self._inside[thread.ident]
            self._before[thread.ident] = used
            rest[_place(thread)] += took
        spent = {stage: self._spent[stage] for stage in _TIMED} | rest
        self._spent.clear()
        self._inside.clear()
        return spent

    def _timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any, **named: Any) -> Any:
            begun = time.thread_time()
            try:
                return function(*given, **named)
            finally:
                took = time.thread_time() - begun
                self._spent[stage] += took
                self._inside[threading.get_ident()] += took

        return timed


def table(what: str, events: int, spent: dict[str, float]) -> Iterator[str]:
    """Give the lines of a phase: microseconds for each event, and shares."""
    whole = sum(spent.values())
    yield f"{what}: {whole / events * 1e6:.1f} us of CPU for an event"
    for stage in STAGES:
        if spent[stage] >= whole / 200:
            yield f"  {stage:<36}{spent[stage] / events * 1e6:>8.1f}{spent[stage] / whole:>8.0%}"


def _clock(thread: int) -> float:
    if sys.platform == "win32":
        raise RuntimeError("it needs the threads' own clocks")
    return time.clock_gettime(time.pthread_getcpuclockid(thread))


def _place(thread: threading.Thread) -> str:
    if thread is threading.main_thread():
        return LOOP
    return WORKERS if thread.name.startswith("asyncio_") else SQLITE
