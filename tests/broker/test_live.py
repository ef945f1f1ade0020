"""Live: a connection is looked at when it may have been silent for too long."""

from dataclasses import dataclass
from math import inf

from bridge.broker.live import Live
from bridge.words.principal import Principal


@dataclass(eq=False)
class Visitor:
    seen: float
    patience: float = 3.0
    ended: bool = False
    principal: Principal | None = None


def test_who_is_not_listened_to_is_looked_at_again_before_it_can_have_been_silent_for_too_long() -> None:
    live: Live[Visitor] = Live(100.0)
    busy = Visitor(seen=100.0)
    live.add(busy)
    busy.seen = inf
    live.expect(busy, 103.0, 0.0)
    assert live.due(105.9) == []
    assert live.due(106.2) == [busy]
    busy.seen = 104.0
    live.expect(busy, 106.2, 0.0)
    assert live.due(107.2) == [busy]
