"""The broker's port: what the rest of the house asks of a broker, embedded or external, and what it is told."""

from collections.abc import Collection
from enum import Enum
from typing import Protocol

import msgspec

from bridge.broker.core.presence import Presence
from bridge.words.principal import Principal


class Audience(Enum):
    """Who shall get a message, of those subscribed to its topic."""

    EVERYBODY = "everybody"  # desktops and observers: a pop's first publication
    DESKTOPS = "desktops"  # a pop's later deliveries: observers got it once already


class Watcher(Protocol):
    """Who wants to know what becomes of one message at the desktops. Called on the event loop; must not block.

    None of these is called from inside `publish`, whose receipt tells what happened at once.
    """

    def written(self, qos: int) -> None:
        """Tell that a copy which had to wait for a desktop's window was written now, at this QoS."""

    def acknowledged(self) -> None:
        """Tell that a desktop's PUBACK arrived (PUBREC at QoS 2)."""

    def lost(self) -> None:
        """Tell that a desktop which had, or awaited, a copy at QoS 1 or 2 is gone without acknowledging it."""

    def stale(self) -> bool:
        """Say whether the message must not be written any more: asked right before a waiting copy is written."""


class Message(msgspec.Struct, frozen=True):
    """One application message from the bridge."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False


class Receipt(msgspec.Struct, frozen=True):
    """What `publish` did at once. Observers never count.

    `desktops` connected desktops are subscribed; of them `written` were written to now (the rest wait for their
    window), and `awaiting` will acknowledge (QoS 1 or 2, written or waiting).
    """

    desktops: int
    written: int
    awaiting: int


class Ticket(Protocol):
    """A publisher's acknowledgement that was kept back."""

    def release(self) -> None:
        """Acknowledge now. PUBACKs leave in order of arrival, so an earlier kept one holds back later ones."""


class Listener(Protocol):
    """Who is told what clients do. Called on the event loop; must not block."""

    def listening(self, principal: Principal, filters: Collection[str]) -> None:
        """Tell that a desktop subscribed to `filters`, or resumed a session that has them. SUBACK is written."""

    def arrived(self, principal: Principal, topic: str, payload: bytes, ticket: Ticket) -> bool:
        """Take a permitted message from a client. True keeps its acknowledgement back until `ticket.release()`."""

    def left(self, principal: Principal, remaining: int) -> None:
        """Tell that a connection of a desktop ended; `remaining` of the same agent are still connected."""


class LoginRefused(Exception):  # noqa: N818 - it is an answer, not an error
    """CONNECT is refused: `code` is the CONNACK return code (4 or 5), the text goes to the log without secrets."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Gate(Protocol):
    """Who decides on logins. Our own token check is the first implementation."""

    def login(self, username: str | None, password: bytes | None, origin: str | None) -> Principal:
        """Return who logs in, or raise LoginRefused. `origin` is a WebSocket's foreign Origin, None otherwise."""

    def alive(self, principal: Principal, now: float) -> bool:
        """Say whether the credential behind a live connection still counts at `now` (epoch seconds)."""


class Broker(Protocol):
    """Publish with a result, who is subscribed, ending connections."""

    async def publish(
        self, message: Message, audience: Audience = Audience.EVERYBODY, watcher: Watcher | None = None
    ) -> Receipt:
        """Write a message to all it concerns. One with a watcher never enters an offline session's queue."""

    def desktops(self, topic: str) -> int:
        """Count the connected desktops subscribed to a topic."""

    def presence(self, customer: str, agent: str) -> Presence | None:
        """Tell whether an agent has a desktop connected; None for one who was not seen in 30 days."""

    def end_dead(self, now: float) -> int:
        """End the connections whose credential no longer counts; return how many."""
