"""Told: the live floor as it is told: sessions, queues and agents, the whole of it or one change.

Seconds are those at `as_of`; who shows them lets them tick from `since`, `queued_at` or `longest_waiting_since`.
"""

from typing import Literal

import msgspec

Kind = Literal["sessions", "queues", "agents"]
FeedState = Literal["up", "degraded", "down"]


class _Told(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    pass


class SessionTold(_Told, frozen=True, kw_only=True, gc=False):
    """A chat or video session that waits, or is in progress.

    `since`: it has this status. `agent` of one that waits: who is being offered it. `breach`: it waits, or has waited,
    longer than the group's service level allows. `stale`: nothing was heard of it for hours; it may be long over.
    """

    id: str
    channel: str
    status: Literal["waiting", "in_progress"]
    group: str
    group_name: str | None
    agent: str | None
    agent_name: str | None
    queued_at: str
    since: str
    waiting_s: int
    in_progress_s: int
    breach: bool
    stale: bool


class QueueTold(_Told, frozen=True, kw_only=True, gc=False):
    """A group's queue. `available_agents` are of those whose default group it is.

    The last four are today's, by the group's zone; null while they are not known.
    """

    group: str
    group_name: str | None
    waiting: int
    longest_waiting_s: int | None
    longest_waiting_since: str | None
    in_progress: int
    available_agents: int
    offered: int | None
    answered: int | None
    abandoned: int | None
    sl_pct: float | None


class AgentTold(_Told, frozen=True, kw_only=True, gc=False):
    """An agent. `state` is a presence category, or `unknown`; `open_sessions` are those in progress."""

    agent: str
    agent_name: str | None
    state: str
    reason: str | None
    since: str | None
    open_sessions: int
    capacity: int | None


ItemTold = SessionTold | QueueTold | AgentTold


class ChangeTold(_Told, frozen=True, kw_only=True, gc=False):
    """An item as it is now; `item` is null once it is gone."""

    seq: int
    as_of: str
    kind: Kind
    id: str
    item: ItemTold | None


class FeedTold(_Told, frozen=True, kw_only=True, gc=False):
    """How far the floor can be trusted now: `lag_s` is how long ago the newest event came that it does not show."""

    as_of: str
    seq: int
    feed_state: FeedState
    lag_s: float


class SnapshotTold(_Told, frozen=True, kw_only=True, gc=False):
    """The whole floor; changes with a higher `seq` come after it."""

    as_of: str
    seq: int
    feed_state: FeedState
    lag_s: float
    sessions: list[SessionTold]
    queues: list[QueueTold]
    agents: list[AgentTold]


class Today(msgspec.Struct, frozen=True):
    """What a queue's day has been so far."""

    offered: int
    answered: int
    abandoned: int
    sl_pct: float | None
