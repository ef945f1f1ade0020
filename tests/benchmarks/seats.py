"""Seats: the desktops of a load, each one MQTT connection. They acknowledge at once, are cut, and come back."""

import select
import socket
import time
from collections import deque
from typing import Any

from bridge.words import topics
from tests.benchmarks.arrivals import Pops
from tests.benchmarks.broker import connect, packet, packets, text

PATIENCE = 90.0  # seconds within which all must be subscribed
MARK = b'"n":"'  # stands before a pop's number in its data
DIGITS = 9
RESET = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # SO_LINGER: ten thousand ports in TIME_WAIT would starve the next round


def agent_id(number: int) -> str:
    """Name an agent; all ids are of one length, so that all requests are."""
    return f"{number:05}"


class Seat:
    """One agent's desktop."""

    __slots__ = ("_hello", "_rest", "_seats", "number", "ready", "sock")

    def __init__(self, seats: "Seats", number: int, password: str | None) -> None:
        self._seats = seats
        self._hello = connect(f"seat-{number}", f"acme/{agent_id(number)}", password or "none")
        self._rest = b""
        self.number = number
        self.ready = False
        self.sock: socket.socket

    def open(self, port: int) -> None:
        """Begin to connect."""
        self.sock = sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        sock.connect_ex(("127.0.0.1", port))
        self._rest = b""
        self.ready = False

    def subscribe(self, qos: int) -> None:
        """Subscribe to two filters."""
        filters = topics.for_desktop("acme", agent_id(self.number))[:2]
        self.ready = False
        self.sock.send(packet(0x82, b"\x00\x01" + b"".join(text(one) + bytes([qos]) for one in filters)))

    def turn(self, events: int) -> None:
        """Do what can be done now."""
        seats = self._seats
        if events & ~(select.EPOLLIN | select.EPOLLOUT):
            seats.lose(self)
            return
        if events & select.EPOLLOUT:
            seats.poll.modify(self.sock, select.EPOLLIN)
            self.sock.send(self._hello)
            return
        try:
            data = self.sock.recv(262_144)
        except ConnectionResetError:
            data = b""
        if data:
            self._take(self._rest + data if self._rest else data)
        else:
            seats.lose(self)

    def _take(self, data: bytes) -> None:
        now = time.monotonic_ns()
        arrive = self._seats.pops.arrive
        end = 0
        acknowledgements = b""
        for first, head, end in packets(data):
            if first & 0xF0 == 0x30:
                if first & 0x06:
                    body = head + 2 + (data[head] << 8 | data[head + 1])
                    acknowledgements += b"\x40\x02" + data[body : body + 2]
                mark = data.find(MARK, head, end) + len(MARK)
                arrive(int(data[mark : mark + DIGITS]), now)
            else:
                self._enter(first, data[head:end])
        self._rest = data[end:]
        if acknowledgements:
            self.sock.send(acknowledgements)

    def _enter(self, first: int, body: bytes) -> None:
        if first == 0x90 and not set(body[2:]) - {0, 1}:
            self.ready = True
            self._seats.ready += 1
        elif first == 0x20 and body == b"\x00\x00":
            self.subscribe(self._seats.qos)
        else:
            raise RuntimeError(f"the server refused desktop {self.number}: {first:02x} {body.hex(' ')}")


class Seats:
    """All desktops of one server; `pops` are those that they await."""

    def __init__(self, poll: select.epoll) -> None:
        self.poll = poll
        self.pops = Pops(0)
        self.qos = 1
        self.ready = 0
        self.by_fd: dict[int, Seat] = {}
        self._all: list[Seat] = []
        self._waiting: deque[Seat] = deque()
        self._lost = 0

    def __len__(self) -> int:
        """Count them."""
        return len(self._all)

    def add(self, port: int, passwords: list[str | None], at_once: int) -> dict[str, Any]:
        """Let so many more desktops connect and subscribe, so many at once."""
        fresh = [Seat(self, len(self._all) + number, password) for number, password in enumerate(passwords)]
        self._all += fresh
        began = time.monotonic()
        self._come(port, fresh, at_once)
        return {"took": time.monotonic() - began, "again": self._lost}

    def storm(self, port: int, at_once: int) -> dict[str, Any]:
        """Cut all desktops at once and let them come back."""
        began = time.monotonic()
        for seat in self._all:
            self._drop(seat)
        self._come(port, self._all, at_once)
        return {"took": time.monotonic() - began, "again": self._lost}

    def subscribe(self, qos: int) -> dict[str, Any]:
        """Have all subscribe anew at another QoS."""
        self.qos = qos
        self.ready = 0
        began = time.monotonic()
        for seat in self._all:
            seat.subscribe(qos)
        while self.ready < len(self._all):
            self._turn(began)
        return {"took": time.monotonic() - began}

    def lose(self, seat: Seat) -> None:
        """A server that is full resets: come again."""
        if seat.ready:
            raise RuntimeError(f"the server ended the connection of desktop {seat.number}")
        self._lost += 1
        self._drop(seat)
        self._waiting.append(seat)

    def _come(self, port: int, seats: list[Seat], at_once: int) -> None:
        began = time.monotonic()
        before = len(self.by_fd)
        self.ready = self._lost = 0
        self._waiting = deque(seats)
        while self.ready < len(seats):
            while self._waiting and len(self.by_fd) - before - self.ready < at_once:
                seat = self._waiting.popleft()
                seat.open(port)
                self.by_fd[seat.sock.fileno()] = seat
                self.poll.register(seat.sock, select.EPOLLOUT)
            self._turn(began)

    def _turn(self, began: float) -> None:
        if time.monotonic() - began > PATIENCE:
            raise RuntimeError(f"only {self.ready} desktops were subscribed within {PATIENCE:.0f} s")
        for fd, events in self.poll.poll(0.1):
            if seat := self.by_fd.get(fd):
                seat.turn(events)

    def _drop(self, seat: Seat) -> None:
        del self.by_fd[seat.sock.fileno()]
        seat.sock.close()
