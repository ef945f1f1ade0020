"""Acknowledgements: PUBACKs and PUBRECs, in the order of the messages, though some are kept back."""

from collections import deque
from typing import Protocol

from bridge.broker.line import Outlet


class Room(Protocol):
    """Who waits for room; an asyncio.Event."""

    def set(self) -> None:
        """Tell that there is some."""


class Ticket:
    """The acknowledgement of one message, in the order of arrival. It is the port's Ticket."""

    __slots__ = ("_owner", "identifier", "packet", "ready")

    def __init__(self, owner: "Acknowledgements", packet: bytes, identifier: int) -> None:
        self._owner = owner
        self.packet = packet
        self.identifier = identifier  # of a message at QoS 2, else 0
        self.ready = False

    def release(self) -> None:
        """Acknowledge now, or when the earlier ones are."""
        if not self.ready:
            self.ready = True
            self._owner.proceed()


class Acknowledgements:
    """PUBACKs and PUBRECs of one connection, in the order of the messages ([MQTT-4.6.0-2])."""

    __slots__ = ("_outlet", "_tickets", "room")

    def __init__(self, outlet: Outlet) -> None:
        self._outlet: Outlet | None = outlet
        self._tickets: deque[Ticket] | None = None
        self.room: Room | None = None  # set when a ticket leaves

    def __len__(self) -> int:
        return len(self._tickets) if self._tickets else 0

    def ticket(self, packet: bytes, identifier: int = 0) -> Ticket:
        """Make the ticket of a message that just arrived; it has no place in the order before `keep`."""
        return Ticket(self, packet, identifier)

    def keep(self, ticket: Ticket) -> None:
        """Give a ticket its place: it is acknowledged when it is released."""
        if self._tickets is None:
            self._tickets = deque()
        self._tickets.append(ticket)
        self.proceed()

    def keeps(self, identifier: int) -> bool:
        """Say whether the PUBREC of this packet id is held back."""
        return any(ticket.identifier == identifier for ticket in self._tickets or ())

    def proceed(self) -> None:
        """Write what is ready and not held back by an earlier one."""
        while self._tickets and self._tickets[0].ready and self._outlet is not None:
            packet = self._tickets.popleft().packet
            if packet:
                self._outlet.write(packet)
            if self.room is not None:
                self.room.set()

    def close(self) -> list[int]:
        """Forget the connection: tickets released later do nothing. Returns the packet ids without their PUBREC."""
        unconfirmed = [ticket.identifier for ticket in self._tickets or () if ticket.identifier]
        self._outlet = None
        self._tickets = None
        return unconfirmed
