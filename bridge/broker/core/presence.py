"""Presence: which agents have a desktop connected, by what is seen on the wire. Pure; time is an argument."""

import msgspec

from bridge.words import topics
from bridge.words.times import stamp

REMEMBERED = 30 * 86_400.0  # seconds an agent that left is still told as offline

_ENCODER = msgspec.json.Encoder()


class Presence(msgspec.Struct):
    """The retained message on `PRESENCE/C/A`. `since` is when `online` last changed."""

    agentid: str
    online: bool
    desktops: int
    since: str


class _Agent(msgspec.Struct):
    desktops: int = 0
    since: float = 0.0
    told: int = -1  # desktops at the last message


class Attendance:
    """Counts the desktops of each agent. A count that is what it was gives no message: take-overs do not flicker."""

    __slots__ = ("_agents",)

    def __init__(self) -> None:
        self._agents: dict[tuple[str, str], _Agent] = {}

    def of(self, customer: str, agent: str) -> Presence | None:
        """Give an agent's presence as it was told last; None for one who was not seen in 30 days."""
        seen = self._agents.get((customer, agent))
        return None if seen is None else Presence(agent, seen.desktops > 0, seen.desktops, stamp(seen.since))

    def came(self, customer: str, agent: str) -> None:
        """Count a desktop that connected."""
        self._agents.setdefault((customer, agent), _Agent()).desktops += 1

    def went(self, customer: str, agent: str) -> int:
        """Count a desktop that left; return how many remain."""
        seen = self._agents[customer, agent]
        seen.desktops -= 1
        return seen.desktops

    def tell(self, customer: str, agent: str, now: float) -> tuple[str, bytes] | None:
        """Give topic and payload of what changed since the last time, None if nothing did."""
        seen = self._agents[customer, agent]
        if seen.desktops == seen.told:
            return None
        if (seen.desktops > 0) is not (seen.told > 0) or seen.told < 0:
            seen.since = now
        seen.told = seen.desktops
        told = Presence(agent, seen.desktops > 0, seen.desktops, stamp(seen.since))
        return topics.presence(customer, agent), _ENCODER.encode(told)

    def forget(self, now: float) -> list[str]:
        """Drop who has been away for 30 days; return the topics to clear."""
        gone = [key for key, seen in self._agents.items() if not seen.desktops and now - seen.since >= REMEMBERED]
        for key in gone:
            del self._agents[key]
        return [topics.presence(*key) for key in gone]
