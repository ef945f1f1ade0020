"""Load: all callers and all desktops in one lean process, which counts pops where they arrive.

It obeys one JSON object a line on stdin and answers each with one on stdout; it ends with stdin. Sockets and epoll,
requests spelled beforehand, answers and packets read no further than to count them: it must never be what is slow.
"""

import gc
import json
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from tests.benchmarks.arrivals import Pops
from tests.benchmarks.seats import DIGITS, MARK, Seats

SIZE = 500  # bytes of a trigger's JSON
QUIET = 5.0  # seconds without an arrival after which the rest counts as missing
GIVE_UP = 2  # times its time, after which a schedule that cannot be kept is not followed any further


def spelled(key: str) -> bytes:
    """Spell a trigger with room for the agent's and the pop's number."""
    start = b'{"agentid":"%05d","event":"On Ring","phone":"+15550100",' + MARK + b"%0" + str(DIGITS).encode()
    start += b'd","more":"'
    body = start + b"x" * (SIZE - len(start % (0, 0)) - 2) + b'"}'
    head = (
        "POST /api/sendmessage/CTI HTTP/1.1\r\nHost: bridge.example.com\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {key}\r\nContent-Length: {SIZE}\r\n\r\n"
    )
    return head.encode() + body


class Line:
    """A kept HTTP connection with at most one request on it."""

    __slots__ = ("number", "rest", "sock")

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.rest = b""
        self.number = 0

    def answer(self) -> bool | None:
        """Read: whether the answer is 200, or None while it is not whole."""
        data = self.sock.recv(65_536)
        if not data:
            raise RuntimeError("the server closed a kept connection")
        if self.rest:
            data = self.rest + data
        head = data.find(b"\r\n\r\n")
        at = data.find(b"ontent-", 0, head)
        while at >= 0 and data[at + 7 : at + 13].lower() != b"length":
            at = data.find(b"ontent-", at + 7, head)
        if head < 0 or len(data) < head + 4 + int(data[at + 14 : data.index(b"\r", at)]):
            self.rest = data
            return None
        self.rest = b""
        return data.startswith(b"200", 9)


class Load:
    """The callers and the desktops of one server."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._seats = Seats(self._poll)
        self._lines: dict[int, Line] = {}
        self._idle: deque[Line] = deque()
        self._request = b""
        self._count = 0
        self._pops = self._seats.pops

    def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        """Do what an order says; tell what came of it."""
        does: dict[str, Callable[..., dict[str, Any]]] = {
            "seat": self._seats.add,
            "subscribe": self._seats.subscribe,
            "storm": self._seats.storm,
            "dial": self.dial,
            "call": self.call,
        }
        return does[order.pop("do")](**order)

    def dial(self, port: int, key: str, connections: int) -> dict[str, Any]:
        """Have callers on so many kept connections."""
        self._request = spelled(key)
        for _ in range(connections):
            line = Line(port)
            self._lines[line.sock.fileno()] = line
            self._idle.append(line)
            self._poll.register(line.sock, select.EPOLLIN)
        return {}

    def call(self, seconds: float, rate: float, window: int = 0) -> dict[str, Any]:
        """Trigger for so long, at a rate whatever the answers do, or (0) as fast as they come; wait for all arrivals.

        As fast as they come, callers wait while more than `window` pops are answered and have not arrived. At a rate
        everything is measured from when a trigger was due, also if no connection was free then.
        """
        self._pops = self._seats.pops = pops = Pops(self._count)
        cpu = time.process_time()
        began = time.monotonic_ns()
        until = began + int(seconds * 1e9)
        if rate:
            self._keep(began, int(rate * seconds), rate, began + int(GIVE_UP * seconds * 1e9))
        else:
            while (now := time.monotonic_ns()) < until:
                while self._idle and pops.taken - pops.arrived < window:
                    self._send(now)
                self._turn(0.1)
        self._settle()
        self._count += len(pops.due)
        told = pops.told(began)
        unsent = int(rate * seconds) - len(pops.due) if rate else 0
        return {**told, "unsent": unsent, "busy": (time.process_time() - cpu) / told["took"]}

    def _keep(self, began: int, count: int, rate: float, until: int) -> None:
        sent = 0
        while sent < count:
            now = time.monotonic_ns()
            while self._idle and sent < count and (due := began + int(sent / rate * 1e9)) <= now:
                self._send(due)
                sent += 1
            if now > until:
                return
            ahead = 0.1 if not self._idle else (began + int(sent / rate * 1e9) - time.monotonic_ns()) / 1e9
            if ahead > 0:
                # epoll's own time-out is in milliseconds; select's is not, and epoll can be selected on.
                select.select([self._poll], [], [], min(ahead, 0.1))
            self._turn(0)

    def _settle(self) -> None:
        pops = self._pops
        quiet = time.monotonic()
        before = -1
        while time.monotonic() - quiet < QUIET:
            if len(self._idle) == len(self._lines) and pops.arrived >= pops.taken and not pops.missing():
                return
            self._turn(0.1)
            if pops.arrived + pops.taken != before:
                before, quiet = pops.arrived + pops.taken, time.monotonic()

    def _send(self, due: int) -> None:
        line = self._idle.popleft()
        line.number = number = self._pops.add(due)
        line.sock.send(self._request % (number % len(self._seats), number))

    def _turn(self, patience: float) -> None:
        seats, lines = self._seats.by_fd, self._lines
        for fd, events in self._poll.poll(patience):
            if seat := seats.get(fd):
                seat.turn(events)
                continue
            line = lines[fd]
            accepted = line.answer()
            if accepted is not None:
                self._pops.answer(line.number, time.monotonic_ns(), accepted=accepted)
                self._idle.append(line)


def main() -> None:
    """Obey until stdin ends."""
    load = Load()
    gc.disable()
    for order in sys.stdin:
        try:
            told = load.obey(json.loads(order))
        except (OSError, RuntimeError) as failure:
            told = {"failed": str(failure)}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        gc.collect()


if __name__ == "__main__":
    main()
