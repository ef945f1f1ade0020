"""Stages: what of the event loop's CPU goes into which part of a pop, by sampling.

Many times a second the loop's thread is interrupted, and the CPU that it used since the last time is put down to the
innermost function that belongs to a stage: what a library or the interpreter does is its caller's. An interrupt waits
for the next call, which may already be the next stage's: that shifts less than a microsecond a call.
"""

import signal
import time
from collections import Counter
from types import CodeType, FrameType

EVERY = 0.0005  # seconds from sample to sample
OWN = "the benchmark itself"
LOOP = "event loop, and by the clock"

# By stage, in the order of a pop's way: the end of a file's path (with a slash: a folder in it), and how the function's
# name begins. The longest that fits counts.
_PLACES: dict[str, tuple[tuple[str, str], ...]] = {
    "HTTP: parsing": (
        ("bridge/http/whole.py", ""),
        ("bridge/http/server.py", "_Protocol.data_received"),
        ("aiohttp/web_protocol.py", "RequestHandler.data_received"),
    ),
    "HTTP: connection, request": (
        ("bridge/http/server.py", ""),
        ("aiohttp/web_protocol.py", ""),
        ("aiohttp/web_server.py", ""),
    ),
    "HTTP: routing, origin, door": (
        ("bridge/http/dispatch.py", ""),
        ("bridge/http/target.py", ""),
        ("bridge/http/origins.py", ""),
        ("bridge/http/doors/", ""),
    ),
    "credential": (("bridge/http/credentials.py", ""), ("bridge/gate.py", ""), ("bridge/credentials/", "")),
    "decoding": (("bridge/http/body.py", ""), ("bridge/http/headers.py", ""), ("bridge/connect/", "")),
    "admission": (
        ("bridge/connect/admission.py", ""),
        ("bridge/connect/mistakes.py", ""),
        ("bridge/connect/rates.py", ""),
    ),
    "duplicate guard": (("bridge/delivery/repeats.py", ""),),
    "pop's document": (
        ("bridge/delivery/outcome.py", "document"),
        ("bridge/words/pop.py", ""),
        ("bridge/words/times.py", ""),
    ),
    "ledger: the loop's part": (("bridge/ledger/", ""), ("aiosqlite/", "")),
    "publishing: who gets it, packet": (
        ("bridge/broker/embedded.py", "EmbeddedBroker.publish"),
        ("bridge/broker/exchange.py", ""),
    ),
    "delivery: the pop's life": (("bridge/delivery/", ""),),
    "answer: spelling, writing": (
        ("bridge/http/doors/connect.py", "_spell"),
        ("bridge/http/answers.py", ""),
        ("bridge/http/server.py", "_Connection._send"),
        ("bridge/http/server.py", "_Protocol.finish_response"),
    ),
    "desktop's acknowledgement": (
        ("bridge/broker/connection.py", "Connection.data_received"),
        ("bridge/broker/connection.py", "Connection._turn"),
        ("bridge/broker/connection.py", "Connection.serve"),
        ("bridge/broker/connection.py", "_feed"),
        ("bridge/broker/conversation.py", ""),
    ),
    "metrics": (("bridge/delivery/funnel.py", ""), ("bridge/delivery/delivery.py", "Delivery._count")),
    "logging": (("logging/", ""), ("bridge/logs.py", "")),
    LOOP: (("tests/benchmarks/inside.py", "<module>"),),
    OWN: (("tests/benchmarks/", ""),),
}
STAGES = tuple(_PLACES)


class Sampler:
    """Samples the main thread, which must be its own."""

    def __init__(self) -> None:
        self._spent: Counter[str] = Counter()
        self._known: dict[CodeType, str | None] = {}
        self._last = 0
        self._busy = False
        self._woken = -1

    def start(self) -> None:
        """Begin."""
        # Python's handler alone is to run: the loop need not wake up for it.
        self._woken = signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGALRM, self._sample)
        self._last = time.thread_time_ns()
        signal.setitimer(signal.ITIMER_REAL, EVERY, EVERY)

    def stop(self) -> dict[str, float]:
        """End; give the seconds of each stage."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        signal.set_wakeup_fd(self._woken)
        return {stage: self._spent[stage] / 1e9 for stage in STAGES}

    def _sample(self, _: int, frame: FrameType | None) -> None:
        if self._busy:  # it came while the one before was still at work
            return
        self._busy = True
        self._spent[self._stage(frame)] += time.thread_time_ns() - self._last
        self._last = time.thread_time_ns()
        self._busy = False

    def _stage(self, frame: FrameType | None) -> str:
        known = self._known
        while frame is not None:
            code = frame.f_code
            if code not in known:
                known[code] = _place(code)
            stage = known[code]
            if stage is not None:
                return stage
            frame = frame.f_back
        return LOOP


def _place(code: CodeType) -> str | None:
    file = code.co_filename.replace("\\", "/")
    fitting = {
        len(place) + len(name): stage
        for stage, places in _PLACES.items()
        for place, name in places
        if (f"/{place}" in file if place.endswith("/") else file.endswith(f"/{place}"))
        and code.co_qualname.startswith(name)
    }
    return fitting[max(fitting)] if fitting else None
