"""Floor: the desktops of a centre as the broker's port tells of them, without a network: what is written stays open."""

import msgspec

from bridge.broker.core.presence import Presence
from bridge.broker.port import Audience, Message, Receipt, Watcher
from bridge.words.pop import Pop
from bridge.words.principal import Principal, Role


class Copy(msgspec.Struct):
    """One desktop's copy of a pop at QoS 1: in its window, or waiting for it."""

    watcher: Watcher
    pop: Pop
    written: bool = False


class Desk:
    """One connected desktop."""

    def __init__(self, agent: str, qos: int, window: int) -> None:
        self.principal = Principal(role=Role.DESKTOP, customer="acme", id=agent, expires=1e12, agent=agent)
        self.agent = agent
        self.qos = qos
        self.window = window
        self.copies: list[Copy] = []
        self.got: list[Pop] = []

    @property
    def unacknowledged(self) -> list[Copy]:
        """List what was written and not acknowledged."""
        return [copy for copy in self.copies if copy.written]


class Floor:
    """A broker by `bridge.broker.port`: every fact happens when a test says so, in any order that MQTT allows."""

    def __init__(self) -> None:
        self.desks: list[Desk] = []

    async def publish(
        self, message: Message, audience: Audience = Audience.EVERYBODY, watcher: Watcher | None = None
    ) -> Receipt:
        """Write to the desks it concerns, or let it wait for their windows."""
        del audience
        if watcher is None:
            return Receipt(0, 0, 0)
        pop = msgspec.json.decode(message.payload, type=Pop)
        written = awaiting = 0
        concerned = self._of(message.topic)
        for desk in concerned:
            if desk.qos == 0:
                desk.got.append(pop)
                written += 1
                continue
            awaiting += 1
            copy = Copy(watcher, pop)
            desk.copies.append(copy)
            if len(desk.unacknowledged) < desk.window:
                copy.written = True
                desk.got.append(pop)
                written += 1
        return Receipt(len(concerned), written, awaiting)

    def desktops(self, topic: str) -> int:
        """Count the desks of the agent."""
        return len(self._of(topic))

    def presence(self, customer: str, agent: str) -> Presence | None:
        """Know nobody."""
        del customer, agent
        return None

    def end_dead(self, now: float) -> int:
        """End none."""
        del now
        return 0

    def acknowledge(self, desk: Desk, copy: Copy) -> None:
        """Take a PUBACK, and write what waited for it."""
        desk.copies.remove(copy)
        copy.watcher.acknowledged()
        for waiting in [one for one in desk.copies if not one.written]:
            if len(desk.unacknowledged) >= desk.window:
                return
            if waiting.watcher.stale():
                desk.copies.remove(waiting)
                continue
            waiting.written = True
            desk.got.append(waiting.pop)
            waiting.watcher.written(1)

    def leave(self, desk: Desk) -> int:
        """End a connection; return how many of its agent are left."""
        self.desks.remove(desk)
        for copy in desk.copies:
            copy.watcher.lost()
        return sum(other.agent == desk.agent for other in self.desks)

    def _of(self, topic: str) -> list[Desk]:
        return [desk for desk in self.desks if topic.endswith(f"/{desk.agent}")]
