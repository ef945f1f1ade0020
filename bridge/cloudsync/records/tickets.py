"""Tickets: a ticket's facts: created, moved, closed, reopened, deleted, merged, and how long it was open where.

The group is GroupId, else the last group that was OwnerId, else the owner's default group. In one commit the ticket
moves first and then closes or reopens; keys are those after the commit. What has no time of its own happens at the
commit.

Decided here, where the platform's page is silent or of two minds:

- A move of group together with one of priority or Origin is one transfer, from the old row to the new.
- A ticket that nobody told the creation of (no CREATE, no CreatedDate) is `dirty`. It enters its row by RECLASSIFIED_IN
  when its status is first known, so that the row's identity holds, and its values since CreatedDate are 0.
- A CREATE with an unmapped status counts as created and open; the status is parked.
- ClosedDate is that of the commit that closes; one from before the last reopening is not, and the commit's time counts.
- Should a DELETE come and then MasterRecordId, the deletion becomes a merge, at the time of the deletion.
- A commit that merges a ticket away does not close it, whatever status it sets.
- The first response has the keys of the commit that set it last; if it was cleared, there was none.
"""

import msgspec

from bridge.cloudsync.events import ids
from bridge.cloudsync.records.timeline import Step, Timeline
from bridge.words.cloudsync import Fact, Folded, Kind, Mapping, Post, Value

_ENTITY = "SupportTicket"
_SECOND = 1_000

_Key = tuple[str, str, str]  # group, channel, priority


def fold(timeline: Timeline, mapping: Mapping) -> Folded:
    """Fold a ticket."""
    ticket = _Ticket(timeline, mapping)
    ticket.begin()
    for number, step in enumerate(timeline.steps):
        ticket.take(step, first=timeline.whole and number == 0)
    return ticket.folded()


class _Ticket:
    """A ticket on its way through its steps."""

    def __init__(self, timeline: Timeline, mapping: Mapping) -> None:
        self._timeline = timeline
        self._closes = mapping.closed
        self._default_group = mapping.default_group
        self._state: dict[str, Value] = {}
        self._facts: list[Fact] = []
        self._ids: set[str] = set()
        self._unclassified: dict[str, None] = {}
        self._clamped = False

        self._entered = False  # in the books: created, or taken over
        self._open = True
        self._gone = False
        self._escalated = False
        self._never_closed = True
        self._closer = ""
        self._key: _Key = ("", "", "")
        self._owner = ""  # if it is a user
        self._owner_group = ""  # the last owner that was a group
        self._response: tuple[int, _Key, str] | None = None
        self._deletion: list[Fact] = []

        created = timeline.first("CreatedDate")
        if not isinstance(created, int):
            created = timeline.steps[0].at if timeline.born else None
        self._created = created
        # Open in this row since; the last thing happened at; open since it was created or reopened.
        self._since = self._last = self._opened = created or 0
        self._arrival = created or 0

    def begin(self) -> None:
        """Create it as it was at first: as CREATE says, else as it was seen before anything was told of it."""
        created, timeline = self._created, self._timeline
        if created is None:
            return
        if timeline.whole:
            self._state.update(timeline.steps[0].fields)
        else:
            # A key that was told late is taken to have been so before: nobody knows where else it was.
            self._state.update({name: timeline.at_first(name) for name in ("GroupId", "Origin", "Priority")})
            self._state.update({name: timeline.seen_before(name) for name in ("OwnerId", "IsEscalated")})
            owner = timeline.at_first("OwnerId")
            if isinstance(owner, str) and ids.is_group(owner):
                self._owner_group = owner
        self._take_key()
        self._entered = True
        self._post(Post.CREATED, created)
        if self._owner:
            self._post(Post.ASSIGNED, created)
        self._escalated = self._state.get("IsEscalated") is True
        if self._escalated:
            self._post(Post.ESCALATED, created)

    def take(self, step: Step, *, first: bool) -> None:
        """Go one step on. `first`: it is the CREATE that `begin` has looked at."""
        said = step.fields
        master = said.get("MasterRecordId")
        merges = master is not None and master != self._state.get("MasterRecordId")
        self._state.update(said)
        self._mention(said)
        statuses = self._classify(step) if "Status" in said else []
        old, owner = self._key, self._owner
        self._take_key()
        at = max(step.at, self._last)
        if not self._entered and statuses and not self._gone:
            self._enter(step, at, closes=statuses[0])
            old, owner = self._key, self._owner
        if self._entered and not self._gone:
            self._happen(said, at, old, owner, statuses=[] if merges else statuses, first=first)
        self._escalated = self._state.get("IsEscalated") is True
        if "FirstResponseDate" in said:
            self._respond(said["FirstResponseDate"])
        if merges:
            self._merge(at)
        if self._gone and statuses:
            self._open = not statuses[-1]
        for turn in step.turns:
            if turn is Kind.DELETE:
                self._delete(at)
            else:
                self._undelete(at)

    def _happen(
        self, said: dict[str, Value], at: int, old: _Key, owner: str, *, statuses: list[bool], first: bool
    ) -> None:
        """Post what a commit does to a ticket that is there: it moves, then closes or reopens."""
        closed_at = self._closing(said, at, first=first) if True in statuses else at
        if old != self._key or owner != self._owner:
            self._move(old, owner, min(at, closed_at))
        if self._state.get("IsEscalated") is True and not self._escalated:
            self._post(Post.ESCALATED, at)
        for closes in statuses:
            self._turn(closed_at if closes else at, closes=closes)

    def folded(self) -> Folded:
        """Say what became of it."""
        if self._entered:
            if self._open and not self._gone:
                self._span(self._key, self._owner, None)
            if self._response is not None:
                responded, key, owner = self._response
                at = max(responded, self._created or 0)
                self._clamped |= at > responded
                self._post(Post.FIRST_RESPONSE, at, key=key, agent=owner, value=self._age(at))
        return Folded(
            facts=self._facts,
            state=self._state,
            deleted=self._gone,
            dirty=self._timeline.gap or (self._created is None and not self._timeline.fetched),
            unclassified=list(self._unclassified),
            flags=["clamped"] if self._clamped else [],
            ids=sorted(self._ids),
        )

    def _classify(self, step: Step) -> list[bool]:
        """Say of each status that a step sets whether it closes; those that are not mapped are parked."""
        found = []
        for part in step.parts:
            status = part.get("Status")
            if status is None:
                continue
            name = str(status)
            self._ids.add(f"status:{_ENTITY}:{name}")
            closes = self._closes.get((_ENTITY, name))
            if closes is None:
                self._unclassified[name] = None
            else:
                found.append(closes)
        return found

    def _mention(self, said: dict[str, Value]) -> None:
        for name in ("OwnerId", "GroupId"):
            mentioned = said.get(name)
            if isinstance(mentioned, str) and ids.is_long(mentioned):
                self._ids.add(f"{'group' if name == 'GroupId' or ids.is_group(mentioned) else 'user'}:{mentioned}")

    def _take_key(self) -> None:
        state = self._state
        owner = str(state.get("OwnerId") or "")
        if ids.is_group(owner):
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
        key: _Key | None = None,
        agent: str | None = None,
        value: int = 0,
        until: int | None = None,
    ) -> None:
        group, channel, priority = self._key if key is None else key
        by = self._owner if agent is None else agent
        record = self._timeline.record
        self._facts.append(Fact(post, at, record, group, channel, priority, by, "", value, 0, 0, until, self._arrival))

    def _age(self, at: int) -> int:
        return 0 if self._created is None else at - self._created

    def _span(self, key: _Key, owner: str, until: int | None) -> None:
        if until is None or until > self._since:
            self._post(Post.SPAN_OPEN, self._since, key=key, agent=owner, value=self._arrival, until=until)
        self._since = until or self._since

    def _enter(self, step: Step, at: int, *, closes: bool) -> None:
        """Take over a ticket whose creation nobody told."""
        closed = step.fields.get("ClosedDate")
        if closes and isinstance(closed, int):
            at = min(at, closed)
        self._entered = True
        self._since = self._last = self._opened = self._arrival = at
        self._post(Post.RECLASSIFIED_IN, at)
        if self._owner and "OwnerId" in step.fields:
            self._post(Post.ASSIGNED, at)

    def _respond(self, at: Value) -> None:
        """Take note of the first response; being shown it again changes nothing."""
        if not isinstance(at, int):
            self._response = None
        elif self._response is None or self._response[0] != at:
            self._response = (at, self._key, self._owner)

    def _closing(self, said: dict[str, Value], at: int, *, first: bool) -> int:
        """Find when a commit closes the ticket."""
        closed = said.get("ClosedDate")
        if not isinstance(closed, int):
            return self._last if first else at
        if closed + _SECOND <= self._opened and not self._never_closed:
            return at
        if closed < self._last:
            self._clamped |= closed + _SECOND <= self._last
            return self._last
        return closed

    def _move(self, old: _Key, owner: str, at: int) -> None:
        if self._open:
            self._span(old, owner, at)
            transfer = old[0] != self._key[0]
            if old != self._key:
                self._post(Post.TRANSFERRED_OUT if transfer else Post.RECLASSIFIED_OUT, at, key=old, agent=owner)
                self._post(Post.TRANSFERRED_IN if transfer else Post.RECLASSIFIED_IN, at)
        if self._owner and owner != self._owner:
            self._post(Post.ASSIGNED, at)
        self._last = at

    def _turn(self, at: int, *, closes: bool) -> None:
        """Close or reopen it, if it is not so already."""
        if closes is not self._open:
            return
        at = max(at, self._last)
        if closes:
            self._span(self._key, self._owner, at)
            age = self._age(at)
            self._post(Post.CLOSED, at, value=age)
            if self._never_closed:
                self._post(Post.FIRST_CLOSED, at, value=age)
                if at == self._created:
                    self._post(Post.CLOSED_ON_CREATE, at)
            self._never_closed = False
            self._closer = self._owner
        else:
            self._post(Post.REOPENED, at, agent=self._closer)
            self._since = self._opened = at
        self._open = not closes
        self._last = at

    def _merge(self, at: int) -> None:
        if self._gone:
            swapped = {Post.DELETED: Post.MERGED, Post.DELETED_OPEN: Post.MERGED_OPEN}
            for fact in self._deletion:
                self._facts[self._facts.index(fact)] = msgspec.structs.replace(fact, post=swapped[fact.post])
            self._deletion = []
        elif self._entered:
            self._leave(Post.MERGED, Post.MERGED_OPEN, at)
        self._gone = True

    def _delete(self, at: int) -> None:
        if self._entered and not self._gone:
            before = len(self._facts)
            self._leave(Post.DELETED, Post.DELETED_OPEN, at)
            self._deletion = [fact for fact in self._facts[before:] if fact.post is not Post.SPAN_OPEN]
        self._gone = True

    def _leave(self, post: Post, beside: Post, at: int) -> None:
        at = max(at, self._last)
        if self._open:
            self._span(self._key, self._owner, at)
            self._post(beside, at)
        self._post(post, at)
        self._last = at

    def _undelete(self, at: int) -> None:
        if self._gone and self._entered:
            at = max(at, self._last)
            self._post(Post.UNDELETED, at)
            if self._open:
                self._post(Post.UNDELETED_OPEN, at)
            self._since = self._last = at
        self._gone = False
        self._deletion = []
