"""Live: the connections that are being served, and when each is looked at for silence and for its credential's end."""

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

from bridge.broker.core.rounds import Rounds
from bridge.words.principal import Principal

_LONGEST = 10.0  # seconds between two looks: somebody may set the clock little by little


class Visitor(Protocol):
    """What is asked of a connection. `principal` is None until it is logged in, `seen` is monotonic."""

    seen: float
    patience: float
    ended: bool
    principal: Principal | None


V = TypeVar("V", bound=Visitor)


class Live(Generic[V]):
    """All connections, in the order in which they came."""

    __slots__ = ("_all", "_rounds")

    def __init__(self, now: float) -> None:
        self._all: dict[V, None] = {}
        self._rounds: Rounds[V] = Rounds(_LONGEST, now)

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[V]:
        return iter(self._all)

    def __contains__(self, connection: object) -> bool:
        return connection in self._all

    def add(self, connection: V) -> None:
        """Serve one more."""
        self._all[connection] = None
        self._rounds.put(connection, connection.seen + connection.patience)

    def drop(self, connection: V) -> None:
        """Forget one."""
        del self._all[connection]
        self._rounds.drop(connection)

    def expect(self, connection: V, now: float, clock: float) -> None:
        """Have it looked at when it may have been silent for too long, or its credential may have expired.

        `now` is monotonic, `clock` epoch seconds, by which credentials end.
        """
        due = min(connection.seen, now) + connection.patience  # while it is not listened to, it is seen in the future
        if connection.principal is not None:
            due = min(due, now + connection.principal.expires - clock)
        self._rounds.put(connection, due)

    def due(self, now: float) -> list[V]:
        """Give those to look at now; who stays is to be expected again."""
        return self._rounds.due(now)
