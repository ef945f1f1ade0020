"""Tickets: a ticket's facts: created, moved, closed, reopened, deleted, merged, and how long it was open where.

The group is GroupId, else the last group that was OwnerId, else the owner's default group. In one commit the ticket moves
first and then closes or reopens; keys are those after the commit. What has no time of its own happens at the commit.

Decided here, where the platform's page is silent or of two minds:

- A move of group together with one of priority or Origin is one transfer, from the old row to the new.
- A ticket that nobody told the creation of (no CREATE, no CreatedDate) is `dirty`. It enters its row by RECLASSIFIED_IN
  when its status is first known, so that the row's identity holds, and its values since CreatedDate are 0.
- A CREATE with an unmapped status counts as created and open; the status is parked.
- ClosedDate is that of the commit that closes; one from before the last reopening is not, and the commit's time counts.
- Should a DELETE come and then MasterRecordId, the deletion becomes a merge, at the time of the deletion.
- The first response has the keys of the commit that told it last; if it was cleared, there was none.
"""

from bridge.cloudsync.events import ids
from bridge.cloudsync.records.timeline import Step, Timeline
from bridge.words.cloudsync import Fact, Folded, Kind, Mapping, Post, Value

_ENTITY = "SupportTicket"
_SECOND = 1_000
_KEYS = ("GroupId", "OwnerId", "Origin", "Priority")


class _Ticket:
    """A ticket on its way through its steps."""

    def __init__(self, timeline: Timeline, mapping: Mapping) -> None:
        self._closes = mapping.closed
        self._default_group = mapping.default_group
        self._record = timeline.record
        self.state: dict[str, Value] = {}
        self.facts: list[Fact] = []
        self.unclassified: dict[str, None] = {}
        self.clamped = False
        self.gone = False
        self._merged = False
        self._open = True
        self._entered = False  # in the books: created, or taken over
        self._first_close = True
        self._closer = ""
        self._key = ("", "", "")
        self._owner = ""
        self._owner_group = ""
        self._response: tuple[int, tuple[str, str, str], str] | None = None
        self._deleted_at: tuple[int, int] | None = None  # and the number of facts before it

        created = timeline.first("CreatedDate")
        self.created: int | None = created if isinstance(created, int) else None
        if self.created is None and timeline.born:
            self.created = timeline.steps[0].at
        self._since = self._last = self._opened = self.created or 0

    def begin(self, timeline: Timeline) -> None:
        """Create it as it was at first: as CREATE says, else as it was seen before anything was told of it."""
        created = self.created
        if created is None:
            return
        if timeline.whole:
            first = timeline.steps[0].fields
        else:
            # A key that was told late is taken to have been so before: nobody knows where else it was.
            first = {name: timeline.seen_before(name) for name in ("OwnerId", "IsEscalated")}
            first |= {name: timeline.first(name) for name in _KEYS if name != "OwnerId"}
            if first["OwnerId"] is None and first["GroupId"] is None:
                owner = timeline.first("OwnerId")
                self._owner_group = owner if isinstance(owner, str) and ids.is_group(owner) else ""
        self.state.update(first)
        self._take_key()
        self._entered = True
        self._post(Post.CREATED, created, agent=self._owner)
        if self._owner:
            self._post(Post.ASSIGNED, created, agent=self._owner)
        if self.state.get("IsEscalated") is True:
            self._post(Post.ESCALATED, created, agent=self._owner)

    def _take_key(self) -> None:
        state = self.state
        owner = str(state.get("OwnerId") or "")
        if owner and ids.is_group(owner):
            self._owner_group = owner
            owner = ""
        self._owner = owner
        group = state.get("GroupId") or self._owner_group or self._default_group.get(owner) or ""
        self._key = (str(group), str(state.get("Origin") or ""), str(state.get("Priority") or ""))

    def _post(
        self,
        post: Post,
        at: int,
        *,
        key: tuple[str, str, str] | None = None,
        agent: str = "",
        value: int = 0,
        until: int | None = None,
    ) -> None:
        group, channel, priority = key or self._key
        arrival = at if self.created is None else self.created
        self.facts.append(
            Fact(post, at, self._record, group, channel, priority, agent, "", value, 0, 0, until, arrival, "")
        )

    def _age(self, at: int) -> int:
        return 0 if self.created is None else at - self.created

    def _end_span(self, at: int, key: tuple[str, str, str], owner: str) -> None:
        if at > self._since:
            value = self._opened if self.created is None else self.created
            self._post(Post.SPAN_OPEN, self._since, key=key, agent=owner, value=value, until=at)
        self._since = at

    def _classify(self, status: Value) -> bool | None:
        closes = self._closes.get((_ENTITY, str(status)))
        if closes is None:
            self.unclassified[str(status)] = None
        return closes

    def take(self, step: Step, *, first: bool) -> None:
        """Go one step on. `first`: it is the CREATE that `begin` has taken the keys of."""
        said = step.fields
        at = self._last if first else max(step.at, self._last)
        statuses = []
        if "Status" in said:
            for part in step.parts:
                status = part.get("Status")
                if status is not None:
                    closes = self._classify(status)
                    if closes is not None:
                        statuses.append(closes)
        self.state.update(said)
        if not self._entered:
            if not statuses:
                self._take_key()
                return
            at = self._enter(step, at, statuses)
        if self.gone:
            self._drift(step, at, statuses)
        else:
            self._move(step, at, statuses, first=first)
        if self.state.get("MasterRecordId") is not None and "MasterRecordId" in said and not self._merged:
            self._merge(at)
        for turn in step.turns:
            if turn is Kind.DELETE:
                self._delete(at)
            else:
                self._undelete(at)

    def _enter(self, step: Step, at: int, statuses: list[bool]) -> int:
        """Take over a ticket whose creation nobody told."""
        closed = step.fields.get("ClosedDate")
        if statuses[0] and isinstance(closed, int):
            at = min(at, closed)
        self._take_key()
        self._entered = True
        self._since = self._last = self._opened = at
        self._post(Post.RECLASSIFIED_IN, at, agent=self._owner)
        if self._owner and "OwnerId" in step.fields:
            self._post(Post.ASSIGNED, at, agent=self._owner)
        return at

    def _drift(self, step: Step, at: int, statuses: list[bool]) -> None:
        """Take note of what changes while it is gone: nothing happens."""
        self._take_key()
        if statuses:
            self._open = not statuses[-1]
        self._respond(step, at)

    def _move(self, step: Step, at: int, statuses: list[bool], *, first: bool) -> None:
        old, owner, was_escalated = self._key, self._owner, self.state.get("IsEscalated")
        said = step.fields
        self._take_key()
        closed_at = self._closed_at(step, at, first=first) if True in statuses else at
        moved_at = min(at, closed_at)
        if (old != self._key or owner != self._owner) and not first:
            if self._open:
                self._end_span(moved_at, old, owner)
                if old[0] != self._key[0]:
                    self._post(Post.TRANSFERRED_OUT, moved_at, key=old, agent=owner)
                    self._post(Post.TRANSFERRED_IN, moved_at, agent=self._owner)
                elif old != self._key:
                    self._post(Post.RECLASSIFIED_OUT, moved_at, key=old, agent=owner)
                    self._post(Post.RECLASSIFIED_IN, moved_at, agent=self._owner)
            if self._owner and owner != self._owner:
                self._post(Post.ASSIGNED, moved_at, agent=self._owner)
            self._last = max(self._last, moved_at)
        if was_escalated is True and "IsEscalated" in said and not self._escalated_before and not first:
            self._post(Post.ESCALATED, at, agent=self._owner)
        for closes in statuses:
            if closes and self._open:
                self._close(closed_at)
            elif not closes and not self._open:
                self._reopen(max(at, self._last))
        self._respond(step, at)
        self._last = max(self._last, closed_at if statuses else self._last)
