"""Contacts: a chat or video session's facts: queued, answered or left, talked, handled, and who was offered it.

A record is one leg through the queue; each group it waits in is a stretch of the queue, each owner after acceptance a
stretch of talk. What counts are its own times, mended in their order: request, accept, end, wrap-up's end. What has
none happens at the commit, within them.

Decided here, where the platform's page is silent or of two minds:

- A queue in another group begins anew: it is offered there, and counted in OFFERED_BY_TRANSFER as a new record is.
- The first group that is known is that of the queue from its beginning; a session without one has the default group of
  who answered it, else of its last owner. The priority is the first that is known. A change of group in the commit
  that answers it or ends it is no change while queued.
- An end without EndedBy, unanswered, is the visitor's.
- What DeclineCount counts falls to the agent who was being offered before the commit that raises it.
- HoldTime as it is after a transfer belongs to the agents before it.
- A session that is deleted while it waits flows out; while it is talked about, its stretch ends, and nobody handled it.
- `session` is the previous record, or the record itself: the first of a longer chain is known to nobody here.
"""

from bridge.cloudsync.events import ids
from bridge.cloudsync.records.timeline import Step, Timeline
from bridge.words.cloudsync import Fact, Folded, Kind, Mapping, Post, Value

_FOREVER = 1 << 62
_AGENTS_SIDE = {"agent", "system"}


def chat(timeline: Timeline, mapping: Mapping) -> Folded:
    """Fold a chat."""
    return _Contact("Chat", timeline, mapping).folded()


def video(timeline: Timeline, mapping: Mapping) -> Folded:
    """Fold a video session."""
    return _Contact("Video", timeline, mapping).folded()


class _Contact:
    """A session on its way through its steps. `_end` is when it ended, by its own time or by deletion."""

    def __init__(self, channel: str, timeline: Timeline, mapping: Mapping) -> None:
        self._channel = channel
        self._timeline = timeline
        self._state = timeline.state()
        self._gone_at = _gone_at(timeline)
        self._facts: list[Fact] = []
        self._clamped = False

        state = self._state
        request = _time(state, "RequestTime")
        if request is None and timeline.born:
            request = timeline.steps[0].at
        self._request = request
        floor = request or 0
        self._accept = self._after("AcceptTime", floor)
        self._end = self._after("EndTime", floor if self._accept is None else self._accept)
        self._closed = self._end is not None
        if self._end is None and self._gone_at is not None:
            self._end = max(self._gone_at, floor, self._accept or 0)

        self._priority = str(timeline.first("Priority") or "")
        previous = state.get("PreviousSessionId")
        self._previous = str(previous or "")
        self._session = self._previous or timeline.record
        self._default = self._default_group(mapping)
        self._owner_group = ""
        self._group = self._first_group() or self._default
        self._queued = floor  # since when in this group's queue
        self._owner = ""
        self._ringing = ""  # the user who is being offered it
        self._answered = False
        self._over = False  # the commit with EndTime has been
        self._leg_from = 0
        self._leg_agent = ""
        self._held = 0  # of HoldTime, what earlier legs have

    def folded(self) -> Folded:
        """Say what became of it."""
        state, timeline = self._state, self._timeline
        known = self._request is not None
        if known and state.get("IsBotSession") is not True:
            self._tell()
        effective = {**state, "OwnerId": state["HostId"]} if state.get("HostId") is not None else state
        return Folded(
            facts=self._facts,
            state=effective,
            deleted=self._gone_at is not None,
            dirty=timeline.gap or (not known and not timeline.fetched),
            flags=["clamped"] if self._clamped else [],
            ids=self._ids(),
        )

    def _tell(self) -> None:
        self._post(Post.OFFERED, self._queued)
        if self._previous:
            self._post(Post.OFFERED_BY_TRANSFER, self._queued)
        running: dict[str, Value] = {}
        for number, step in enumerate(self._timeline.steps):
            declined = _declines(step, running, first=number == 0)
            running.update(step.fields)
            self._take(step, running, declined=declined)
        if self._accept is None:
            self._leave_queue()
        else:
            self._finish()

    def _take(self, step: Step, running: dict[str, Value], *, declined: bool) -> None:
        group = self._group_of(running)
        owner = _owner(running)
        owner = "" if ids.is_group(owner) else owner
        accepts = not self._answered and _time(running, "AcceptTime") is not None and self._accept is not None
        ends = _time(running, "EndTime") is not None
        if self._over and ends and not accepts:
            return
        if not self._answered:
            at = self._within(step.at, self._queued, self._accept if self._accept is not None else self._end)
            if declined and self._ringing:
                self._post(Post.AGENT_DECLINED, at, agent=self._ringing)
                self._ringing = ""
            if group != self._group and not accepts and not ends:
                self._requeue(group, at)
            if owner != self._owner:
                self._ring(owner, at)
            if accepts:
                self._answer(owner)
                self._group = group
        elif owner != self._owner:
            self._hand_over(step, running, owner, group)
        else:
            self._group = group
        self._owner = owner
        self._over = ends

    def _requeue(self, group: str, at: int) -> None:
        self._post(Post.FLOW_OUT, at, value=at - self._queued)
        self._post(Post.SPAN_QUEUED, self._queued, until=at)
        self._group, self._queued = group, at
        self._post(Post.OFFERED, at)
        self._post(Post.OFFERED_BY_TRANSFER, at)

    def _ring(self, owner: str, at: int) -> None:
        if self._ringing:
            self._post(Post.AGENT_MISSED, at, agent=self._ringing)
        if owner:
            self._post(Post.AGENT_OFFERED, at, agent=owner)
        self._ringing = owner

    def _answer(self, owner: str) -> None:
        at = self._accept or 0
        if owner and self._ringing != owner:
            self._ring(owner, at)
        self._ringing = ""
        if owner:
            self._post(Post.AGENT_ACCEPTED, at, agent=owner)
            if self._previous:
                self._post(Post.SESSION_IN, at, agent=owner)
        self._post(Post.ANSWERED, at, agent=owner, value=at - self._queued)
        self._post(Post.SPAN_QUEUED, self._queued, until=at)
        self._answered = True
        self._leg_from, self._leg_agent = at, owner

    def _hand_over(self, step: Step, running: dict[str, Value], owner: str, group: str) -> None:
        """End an agent's leg at a transfer, and begin another's."""
        at = self._within(step.at, self._leg_from, self._end)
        hold = self._hold(_hold(running), at)
        talk = at - self._leg_from - hold
        self._post(Post.TALKED, at, agent=self._leg_agent, value=talk, hold=hold)
        self._post(Post.SPAN_BUSY, self._leg_from, agent=self._leg_agent, until=at)
        if self._leg_agent:
            self._post(Post.SESSION_OUT, at, agent=self._leg_agent)
        self._group = group
        if owner:
            self._post(Post.SESSION_IN, at, agent=owner)
        self._held += hold
        self._leg_from, self._leg_agent = at, owner

    def _leave_queue(self) -> None:
        """End the queue unanswered, if it has ended."""
        self._post(Post.SPAN_QUEUED, self._queued, until=self._end)
        if self._end is None:
            return
        if self._ringing:
            self._post(Post.AGENT_MISSED, self._end, agent=self._ringing)
        by_visitor = self._closed and str(self._state.get("EndedBy") or "").lower() not in _AGENTS_SIDE
        self._post(Post.ABANDONED if by_visitor else Post.FLOW_OUT, self._end, value=self._end - self._queued)

    def _finish(self) -> None:
        """End the last agent's leg, if it has ended."""
        end, agent = self._end, self._leg_agent
        wrapped = end if end is None else max(self._after("WrapUpEndTime", end) or end, end)
        self._post(Post.SPAN_BUSY, self._leg_from, agent=agent, until=wrapped)
        if end is None or wrapped is None or not self._closed:
            return
        total = _hold(self._state)
        most = end - (self._accept or 0)
        self._clamped |= total > most
        hold = self._hold(min(total, most), end)
        talk = end - self._leg_from - hold
        self._post(Post.HANDLED, wrapped, agent=agent, value=talk, hold=hold, wrap=wrapped - end)
        if agent and self._state.get("NextSessionId") is not None:
            self._post(Post.SESSION_OUT, end, agent=agent)

    def _hold(self, total: int, until: int) -> int:
        return min(max(total - self._held, 0), until - self._leg_from)

    def _after(self, name: str, floor: int) -> int | None:
        """Give a time of the chain, not before the one that it follows."""
        at = _time(self._state, name)
        if at is not None and at < floor:
            self._clamped = True
            return floor
        return at

    def _within(self, at: int, low: int, high: int | None) -> int:
        return min(max(at, low), max(low, high if high is not None else _FOREVER))

    def _post(
        self,
        post: Post,
        at: int,
        *,
        agent: str = "",
        value: int = 0,
        hold: int = 0,
        wrap: int = 0,
        until: int | None = None,
    ) -> None:
        self._facts.append(
            Fact(
                post,
                at,
                self._timeline.record,
                self._group,
                self._channel,
                self._priority,
                agent,
                "",
                value,
                hold,
                wrap,
                until,
                self._queued,
                self._session,
            )
        )

    def _group_of(self, running: dict[str, Value]) -> str:
        owner = _owner(running)
        if ids.is_group(owner):
            self._owner_group = owner
        return str(running.get("GroupId") or self._owner_group or self._group)

    def _first_group(self) -> str:
        for step in self._timeline.steps:
            group = step.fields.get("GroupId")
            if group is not None:
                return str(group)
            owner = _owner(step.fields)
            if ids.is_group(owner):
                return owner
        return ""

    def _default_group(self, mapping: Mapping) -> str:
        """Find the default group of who answered, else of the last owner."""
        running: dict[str, Value] = {}
        for step in self._timeline.steps:
            running.update(step.fields)
            if running.get("AcceptTime") is not None:
                break
        return mapping.default_group.get(_owner(running), "")

    def _ids(self) -> list[str]:
        found = set()
        for step in self._timeline.steps:
            for name in ("OwnerId", "HostId", "GroupId"):
                value = step.fields.get(name)
                if isinstance(value, str) and ids.is_long(value):
                    found.add(f"{'group' if name == 'GroupId' or ids.is_group(value) else 'user'}:{value}")
        return sorted(found)


def _owner(fields: dict[str, Value]) -> str:
    """Give the owner; a video session's host wins."""
    return str(fields.get("HostId") or fields.get("OwnerId") or "")


def _time(fields: dict[str, Value], name: str) -> int | None:
    value = fields.get(name)
    return value if isinstance(value, int) else None


def _hold(fields: dict[str, Value]) -> int:
    seconds = fields.get("HoldTime")
    return int(seconds * 1000) if isinstance(seconds, int | float) else 0


def _gone_at(timeline: Timeline) -> int | None:
    gone = None
    for step in timeline.steps:
        for turn in step.turns:
            gone = step.at if turn is Kind.DELETE else None
    return gone


def _declines(step: Step, before: dict[str, Value], *, first: bool) -> bool:
    """Say whether a step raises DeclineCount; what was only seen at first raises nothing."""
    now, then = step.fields.get("DeclineCount"), before.get("DeclineCount")
    if not isinstance(now, int) or first or (then is None and not step.told):
        return False
    return now > (then if isinstance(then, int) else 0)
