"""Floor: one customer's sessions, queues and agents now, from records as they are folded. Times are milliseconds.

What changed is noted by key, so that however often an item changes before anybody asks, it is told once, as it is then.
Only what lasts is kept, and of who logged out a day.
"""

from collections.abc import Mapping as Table

from bridge.cloudsync.floor import agents, sessions
from bridge.cloudsync.floor.agents import Agent, Stretch
from bridge.cloudsync.floor.dues import Dues
from bridge.cloudsync.floor.queues import Queue
from bridge.cloudsync.floor.sessions import Session
from bridge.cloudsync.floor.told import AgentTold, ItemTold, Kind, QueueTold, SessionTold, Today
from bridge.cloudsync.numbers.intervals import utc
from bridge.words.cloudsync import DEFAULT_SL_THRESHOLD, Folded, Mapping

STALE_AFTER = 6 * 3_600_000
MOST_SESSIONS = 100_000
MOST_AGENTS = 50_000
MOST_QUEUES = 10_000

Key = tuple[Kind, str]


class _Place:
    """A session on the floor. `heard`: when it was last told of."""

    __slots__ = ("breach", "heard", "session", "stale")

    def __init__(self, session: Session, heard: int) -> None:
        self.session = session
        self.heard = heard
        self.breach = False
        self.stale = False


class Floor:
    """The floor of one customer. `left_out` counts records that found no room."""

    def __init__(
        self,
        mapping: Mapping,
        *,
        most_sessions: int = MOST_SESSIONS,
        most_agents: int = MOST_AGENTS,
        most_queues: int = MOST_QUEUES,
    ) -> None:
        self._most_sessions = most_sessions
        self._most_agents = most_agents
        self._most_queues = most_queues
        self._mapping = mapping
        self._sessions: dict[str, _Place] = {}
        self._queues: dict[str, Queue] = {}
        self._agents: dict[str, Agent] = {}
        self._present: dict[str, str] = {}  # presence record that lasts: whose
        self._changed: dict[Key, None] = {}
        self._stale: list[tuple[str, str]] = []
        self._dues: Dues[Key] = Dues()
        self.left_out = 0
        self._open_configured()

    def __len__(self) -> int:
        return len(self._sessions) + len(self._queues) + len(self._agents)

    def take(self, entity: str, record: str, folded: Folded, now: int) -> None:
        """Take a record as it is folded now."""
        if entity in sessions.ENTITIES:
            self._take_session(record, sessions.read(entity, folded), folded, now)
        elif entity == "UserPresence":
            self._take_presence(record, folded, now)

    def look(self, now: int) -> None:
        """Note what time alone has changed."""
        while (key := self._dues.next(now)) is not None:
            kind, item = key
            if kind == "sessions":
                self._judge(item, now)
            elif kind == "agents":
                self._settle(item, now)

    def remap(self, mapping: Mapping, now: int) -> None:
        """Take over what is known of ids now: limits of groups, and whose default group is which."""
        before, self._mapping = self._mapping, mapping
        if before is mapping or before == mapping:
            return
        self._open_configured()
        for name, agent in self._agents.items():
            group = mapping.default_group.get(name, "")
            if group != agent.group:
                was = agent.available
                self._count_available(agent, -1 if was else 0)
                agent.group = group
                self._count_available(agent, 1 if was else 0)
        if before.sl_threshold != mapping.sl_threshold:
            for session in self._sessions:
                self._judge(session, now)
        for name in self._agents:
            if before.names.get(name) != mapping.names.get(name):
                self._note("agents", name)
        for group in self._queues:
            if before.names.get(group) != mapping.names.get(group):
                self._note("queues", group)

    def count_today(self, today: Table[str, Today]) -> None:
        """Take over what the queues' day has been so far; a queue without anything has zeros."""
        for group, counts in today.items():
            queue = self._queue(group)
            if queue is not None and queue.today != counts:
                queue.today = counts
                self._note("queues", group)
        nothing = Today(0, 0, 0, None)
        for group, queue in self._queues.items():
            if group not in today and queue.today != nothing:
                queue.today = nothing
                self._note("queues", group)

    def changed(self, most: int) -> list[Key]:
        """Give what changed since it was given before, in the order in which it first did; the rest next time."""
        if len(self._changed) <= most:
            keys = list(self._changed)
            self._changed.clear()
            return keys
        keys = [key for key, _ in zip(self._changed, range(most), strict=False)]
        for key in keys:
            del self._changed[key]
        return keys

    def stale(self) -> list[tuple[str, str]]:
        """Give the sessions (entity, id) that went stale since they were given before: only a GET can tell."""
        found, self._stale = self._stale, []
        return found

    def told(self, key: Key, now: int) -> ItemTold | None:
        """Tell an item as it is now; None if it is gone."""
        kind, item = key
        if kind == "sessions":
            return self._session_told(item, self._sessions[item], now) if item in self._sessions else None
        if kind == "queues":
            return self._queue_told(item, self._queues[item], now) if item in self._queues else None
        return self._agent_told(item, self._agents[item]) if self._is_shown(item) else None

    def sessions(self, now: int) -> list[SessionTold]:
        """Tell all sessions, by id."""
        return [self._session_told(item, place, now) for item, place in sorted(self._sessions.items())]

    def queues(self, now: int) -> list[QueueTold]:
        """Tell all queues, by group."""
        return [self._queue_told(group, queue, now) for group, queue in sorted(self._queues.items())]

    def agents(self) -> list[AgentTold]:
        """Tell all agents, by id."""
        return [self._agent_told(name, agent) for name, agent in sorted(self._agents.items()) if self._is_shown(name)]

    # Sessions

    def _take_session(self, record: str, session: Session | None, folded: Folded, now: int) -> None:
        place = self._sessions.get(record)
        if session is None:
            if place is not None:
                self._leave(record, place.session)
                del self._sessions[record]
                self._dues.drop(("sessions", record))
                self._note("sessions", record)
            return
        if place is None:
            if len(self._sessions) >= self._most_sessions:
                self.left_out += 1
                return
            # One that is met for the first time may be met again after a start: what it says of itself counts.
            place = self._sessions[record] = _Place(session, min(sessions.told_at(folded) or now, now))
            self._enter(record, session)
            self._note("sessions", record)
        else:
            place.heard = now
            if place.session != session:
                self._leave(record, place.session)
                place.session = session
                self._enter(record, session)
                self._note("sessions", record)
        self._judge(record, now)

    def _enter(self, record: str, session: Session) -> None:
        queue = self._queue(session.group)
        if queue is not None:
            if session.answered is None:
                queue.join(record, session.queued)
            else:
                queue.in_progress += 1
            self._note("queues", session.group)
        if session.agent and session.answered is not None:
            agent = self._agent(session.agent)
            if agent is not None:
                agent.in_progress += 1
                self._note("agents", session.agent)

    def _leave(self, record: str, session: Session) -> None:
        queue = self._queues.get(session.group)
        if queue is not None:
            if session.answered is None:
                queue.leave(record)
            else:
                queue.in_progress = max(0, queue.in_progress - 1)
            self._note("queues", session.group)
        agent = self._agents.get(session.agent) if session.answered is not None else None
        if agent is not None:
            agent.in_progress = max(0, agent.in_progress - 1)
            self._note("agents", session.agent)
            self._dues.put(("agents", session.agent), agent.due())

    def _judge(self, record: str, now: int) -> None:
        """See whether a session waits too long, or is silent for too long; and when it will."""
        place = self._sessions.get(record)
        if place is None:
            return
        session = place.session
        breaches = session.queued + self._mapping.sl_threshold.get(session.group, DEFAULT_SL_THRESHOLD) + 1
        breach = _waited_until(session, now) >= breaches
        stales = place.heard + STALE_AFTER
        stale = now >= stales
        if (breach, stale) != (place.breach, place.stale):
            if stale and not place.stale:
                self._stale.append((session.entity, record))
            place.breach, place.stale = breach, stale
            self._note("sessions", record)
        if session.answered is None and not breach:
            self._dues.put(("sessions", record), breaches)
        if not stale:
            self._dues.put(("sessions", record), stales)

    # Agents

    def _take_presence(self, record: str, folded: Folded, now: int) -> None:
        name, presence = agents.read(record, folded)
        before = self._present.get(record)
        if before is not None and before != name:
            self._presence_ends(before, record, None, now)
        if not name:
            return
        if isinstance(presence, Stretch):
            agent = self._agent(name)
            if agent is None:
                return
            self._present[record] = name
            was = agent.available
            self._shown_anew(name, agent, was=was, changed=agent.begin(presence))
        elif name in self._agents or (presence is not None and now - presence < agents.FORGOTTEN_AFTER):
            self._presence_ends(name, record, presence, now)

    def _presence_ends(self, name: str, record: str, at: int | None, now: int) -> None:
        agent = self._agent(name)
        if agent is None:
            return
        self._present.pop(record, None)
        was = agent.available
        self._shown_anew(name, agent, was=was, changed=agent.end(record, at, now))

    def _settle(self, name: str, now: int) -> None:
        agent = self._agents.get(name)
        if agent is None:
            return
        was = agent.available
        self._shown_anew(name, agent, was=was, changed=agent.settle(now))
        due = agent.due()
        if agent.idle and (agent.shown is None or (due is not None and due <= now)):
            self._dues.drop(("agents", name))
            del self._agents[name]
            self._note("agents", name)

    def _shown_anew(self, name: str, agent: Agent, *, was: bool, changed: bool) -> None:
        if changed:
            self._note("agents", name)
            self._count_available(agent, agent.available - was)
        self._dues.put(("agents", name), agent.due())

    def _count_available(self, agent: Agent, difference: int) -> None:
        queue = self._queue(agent.group) if difference and agent.group else None
        if queue is not None:
            queue.available = max(0, queue.available + difference)
            self._note("queues", agent.group)

    def _agent(self, name: str) -> Agent | None:
        agent = self._agents.get(name)
        if agent is None:
            if len(self._agents) >= self._most_agents:
                self.left_out += 1
                return None
            agent = self._agents[name] = Agent(self._mapping.default_group.get(name, ""))
        return agent

    def _is_shown(self, name: str) -> bool:
        agent = self._agents.get(name)
        return agent is not None and (agent.shown is not None or agent.in_progress > 0)

    # Queues

    def _open_configured(self) -> None:
        for group in self._mapping.zone.keys() | self._mapping.sl_threshold.keys():
            if group not in self._queues and self._queue(group) is not None:
                self._note("queues", group)

    def _queue(self, group: str) -> Queue | None:
        queue = self._queues.get(group)
        if queue is None:
            if len(self._queues) >= self._most_queues:
                self.left_out += 1
                return None
            queue = self._queues[group] = Queue()
        return queue

    # Telling

    def _note(self, kind: Kind, item: str) -> None:
        self._changed[kind, item] = None

    def _session_told(self, item: str, place: _Place, now: int) -> SessionTold:
        session, names = place.session, self._mapping.names
        answered = session.answered
        return SessionTold(
            id=item,
            channel=session.channel,
            status="waiting" if answered is None else "in_progress",
            group=session.group,
            group_name=names.get(session.group),
            agent=session.agent or None,
            agent_name=names.get(session.agent),
            queued_at=utc(session.queued),
            since=utc(session.queued if answered is None else answered),
            waiting_s=_seconds(session.queued, _waited_until(session, now)),
            in_progress_s=0 if answered is None else _seconds(answered, now),
            breach=place.breach,
            stale=place.stale,
        )

    def _queue_told(self, group: str, queue: Queue, now: int) -> QueueTold:
        longest, today = queue.longest(), queue.today
        return QueueTold(
            group=group,
            group_name=self._mapping.names.get(group),
            waiting=len(queue.waiting),
            longest_waiting_s=None if longest is None else _seconds(longest, now),
            longest_waiting_since=None if longest is None else utc(longest),
            in_progress=queue.in_progress,
            available_agents=queue.available,
            offered=None if today is None else today.offered,
            answered=None if today is None else today.answered,
            abandoned=None if today is None else today.abandoned,
            sl_pct=None if today is None else today.sl_pct,
        )

    def _agent_told(self, name: str, agent: Agent) -> AgentTold:
        shown = agent.shown
        return AgentTold(
            agent=name,
            agent_name=self._mapping.names.get(name),
            state=agents.UNKNOWN if shown is None else shown.state,
            reason=None if shown is None else shown.reason,
            since=None if shown is None else utc(shown.since),
            open_sessions=agent.in_progress,
            capacity=None if shown is None else shown.capacity,
        )


def _waited_until(session: Session, now: int) -> int:
    return now if session.answered is None else session.answered


def _seconds(since: int, until: int) -> int:
    return max(0, until - since) // 1000
