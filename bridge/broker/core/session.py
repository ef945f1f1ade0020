"""Session: what the broker keeps about one client, as a state machine without I/O.

Packets go in as method calls, bytes to write come out. A session outlives its connection unless it is clean.
"""

from collections import deque
from collections.abc import Iterable

import msgspec

from bridge.broker.core import wire
from bridge.broker.core.counters import Counters
from bridge.broker.core.letters import Copy, Letter
from bridge.broker.line import Outlet
from bridge.broker.port import Watcher
from bridge.words.principal import Principal, Role

LAST_ID = 0xFFFF


class Bounds(msgspec.Struct, frozen=True):
    """What one session may hold. Bytes are those of payloads; a single message always fits."""

    window: int  # unacknowledged messages
    window_bytes: int
    queue: int  # messages waiting for the window, or for the client
    queue_bytes: int
    received: int  # messages at QoS 2 that the client has not released
    received_bytes: int


class Session:
    """One client: its filters, what is on its way to it, and what it published at QoS 2."""

    __slots__ = (
        "_bounds",
        "_inflight",
        "_inflight_bytes",
        "_last_id",
        "_queue",
        "_queue_bytes",
        "_received",
        "_received_bytes",
        "_retained",
        "_tally",
        "clean",
        "client_id",
        "desktop",
        "filters",
        "left_at",
        "outlet",
        "principal",
    )

    def __init__(self, principal: Principal, client_id: str, bounds: Bounds, tally: Counters, *, clean: bool) -> None:
        self.principal = principal
        self.client_id = client_id
        self.clean = clean
        self.desktop = principal.role is Role.DESKTOP
        self.filters: dict[str, int] = {}
        self.outlet: Outlet | None = None
        self.left_at = 0.0
        self._bounds = bounds
        self._tally = tally
        self._last_id = 0
        # Most sessions are idle: the containers are made when they are needed.
        self._inflight: dict[int, Copy] | None = None
        self._inflight_bytes = 0
        self._queue: deque[Copy] | None = None
        self._queue_bytes = 0
        self._retained: dict[str, Copy] | None = None
        self._received: dict[int, Letter] | None = None
        self._received_bytes = 0

    # What goes to the client

    def offer(self, letter: Letter, granted: int) -> bytes | None:
        """Take a message for a connected client: what to write now, b"" if it must wait, None if there is no room."""
        qos = min(granted, letter.qos)
        if qos == 0:
            self._tally.messages_out += 1
            return letter.at_qos_0()
        if self._queue or not self._has_room(letter):
            return b"" if self._enqueue(Copy(letter, qos)) else None
        return self._send(Copy(letter, qos))

    def store(self, letter: Letter, granted: int) -> bool:
        """Keep an ordinary message for a client that is not connected; False if there is no room."""
        qos = min(granted, letter.qos)
        return qos == 0 or letter.transient or self._enqueue(Copy(letter, qos))

    def retain(self, letters: Iterable[Letter], granted: int) -> None:
        """Take retained messages a subscription is due; they leave as the window allows, and never count as queue."""
        if self._retained is None:
            self._retained = {}
        for letter in letters:
            known = self._retained.get(letter.topic)
            self._retained[letter.topic] = Copy(letter, max(min(granted, letter.qos), known.qos if known else 0))

    def acknowledged(self, identifier: int) -> bytes:
        """Take a PUBACK; return what may follow."""
        copy = self._inflight.get(identifier) if self._inflight else None
        if copy is None:
            return b""  # an answer to what was dropped when an earlier connection ended
        if copy.qos != 1:
            raise wire.ProtocolError("PUBACK for a message at QoS 2")
        self._settle(identifier, copy)
        if self.desktop and copy.letter.watcher is not None:
            copy.letter.watcher.acknowledged()
        return self.more() if self._queue or self._retained else b""

    def received(self, identifier: int) -> bytes:
        """Take a PUBREC; return the PUBREL."""
        copy = self._inflight.get(identifier) if self._inflight else None
        if copy is not None:
            if copy.qos != 2:
                raise wire.ProtocolError("PUBREC for a message at QoS 1")
            if not copy.released:
                copy.released = True
                self._inflight_bytes -= len(copy.letter.payload)
                letter, copy.letter = copy.letter, _RELEASED
                if self.desktop and letter.watcher is not None:
                    letter.watcher.acknowledged()
        return wire.pubrel(identifier)

    def completed(self, identifier: int) -> bytes:
        """Take a PUBCOMP; return what may follow."""
        copy = self._inflight.get(identifier) if self._inflight else None
        if copy is None:
            return b""
        if not copy.released:
            raise wire.ProtocolError("PUBCOMP for a message that was not received")
        self._settle(identifier, copy)
        return self.more() if self._queue or self._retained else b""

    def more(self, budget: int = 65_536) -> bytes:
        """Fill the window: what waits first, then retained messages. `budget` bounds the bytes of one step."""
        out: list[bytes] = []
        while self._queue and self._has_room(self._queue[0].letter):
            copy = self._queue.popleft()
            self._queue_bytes -= len(copy.letter.payload)
            watcher = copy.letter.watcher if self.desktop else None
            if watcher is not None and watcher.stale():
                continue
            packet = self._send(copy)
            out.append(packet)
            budget -= len(packet)
            if watcher is not None:
                watcher.written(copy.qos)
        if self._retained and not self._queue:
            self._more_retained(out, budget)
        return b"".join(out)

    def _more_retained(self, out: list[bytes], budget: int) -> None:
        pending = self._retained
        while pending and budget > 0:
            topic = next(iter(pending))
            copy = pending[topic]
            if copy.letter.superseded:  # its successor was published to this client as it came
                del pending[topic]
                continue
            if copy.qos and not self._has_room(copy.letter):
                return
            del pending[topic]
            if copy.qos:
                packet = self._send(copy)
            else:
                packet = copy.letter.at_qos_0()
                self._tally.messages_out += 1
            out.append(packet)
            budget -= len(packet)
        if not pending:
            self._retained = None

    @property
    def eager(self) -> bool:
        """Whether there are retained messages that wait for nothing but the line."""
        return bool(self._retained) and not self._queue and not self._inflight

    @property
    def waiting(self) -> int:
        """Count the messages in the queue."""
        return len(self._queue) if self._queue else 0

    @property
    def unacknowledged(self) -> int:
        """Count the messages in the window."""
        return len(self._inflight) if self._inflight else 0

    def _has_room(self, letter: Letter) -> bool:
        inflight = self._inflight
        if not inflight:
            return True
        bounds = self._bounds
        return len(inflight) < bounds.window and self._inflight_bytes + len(letter.payload) <= bounds.window_bytes

    def _send(self, copy: Copy) -> bytes:
        inflight = self._inflight
        if inflight is None:
            inflight = self._inflight = {}
        identifier = self._last_id % LAST_ID + 1
        while identifier in inflight:
            identifier = identifier % LAST_ID + 1
        self._last_id = identifier
        inflight[identifier] = copy
        self._tally.messages_out += 1
        self._inflight_bytes += len(copy.letter.payload)
        return copy.letter.at(copy.qos, identifier)

    def _settle(self, identifier: int, copy: Copy) -> None:
        if self._inflight is None:
            return
        del self._inflight[identifier]
        self._inflight_bytes -= len(copy.letter.payload)
        if not self._inflight:
            self._inflight = None

    def _enqueue(self, copy: Copy) -> bool:
        size = len(copy.letter.payload)
        if self._queue is None:
            self._queue = deque()
        elif self._queue and (
            len(self._queue) >= self._bounds.queue or self._queue_bytes + size > self._bounds.queue_bytes
        ):
            return False
        self._queue.append(copy)
        self._queue_bytes += size
        return True

    # Connections come and go

    def suspend(self) -> None:
        """Take leave of the connection: what must not wait for the client is dropped, and its watchers are told."""
        self.outlet = None
        self._retained = None
        lost: list[Watcher] = []
        kept = {
            identifier: copy
            for identifier, copy in (self._inflight or {}).items()
            if copy.released or not self._drop(copy, lost)
        }
        waiting = deque(copy for copy in self._queue or () if not self._drop(copy, lost))
        self._inflight = kept or None
        self._inflight_bytes = sum(len(copy.letter.payload) for copy in kept.values())
        self._queue = waiting or None
        self._queue_bytes = sum(len(copy.letter.payload) for copy in waiting)
        for watcher in lost:
            watcher.lost()

    def _drop(self, copy: Copy, lost: list[Watcher]) -> bool:
        letter = copy.letter
        if letter.watcher is not None and self.desktop:
            lost.append(letter.watcher)
        return letter.transient

    def resume(self) -> bytes:
        """Say again what was not acknowledged, in order and as duplicates, then go on."""
        out = [
            wire.pubrel(identifier) if copy.released else wire.as_duplicate(copy.letter.at(copy.qos, identifier))
            for identifier, copy in (self._inflight or {}).items()
        ]
        out.append(self.more())
        return b"".join(out)

    # What comes from the client at QoS 2

    def holds(self, identifier: int) -> bool:
        """Say whether a message at QoS 2 with this packet id was taken and not yet released by the client."""
        return self._received is not None and identifier in self._received

    def hold(self, identifier: int, letter: Letter) -> None:
        """Keep a message at QoS 2 until the client releases it."""
        if self._received is None:
            self._received = {}
        size = len(letter.payload)
        if self._received and (
            len(self._received) >= self._bounds.received or self._received_bytes + size > self._bounds.received_bytes
        ):
            raise wire.ProtocolError("too many messages at QoS 2 that are not released")
        self._received[identifier] = letter
        self._received_bytes += size

    def release(self, identifier: int) -> Letter | None:
        """Take a PUBREL: the message that goes on to its subscribers now, if the id is known."""
        letter = self._received.pop(identifier, None) if self._received else None
        if letter is not None:
            self._received_bytes -= len(letter.payload)
            if not self._received:
                self._received = None
        return letter


_RELEASED = Letter("", b"", 2)
