"""Truth: the simulator's ground truth as facts, read from complete histories in true order, apart from the fold.

It needs no care for disorder, duplicates, gaps or dialects, and so is short enough to be checked against the page.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from bridge.cloudsync.simulator.book import Entry, Truth
from bridge.words.cloudsync import Fact, Kind, Mapping, Post

Fields = dict[str, Any]

VIDEO_NAMES = {
    "EnqueueTime": "RequestTime",
    "StartDateTime": "AcceptTime",
    "EndDateTime": "EndTime",
    "HoldDuration": "HoldTime",
    "HostId": "OwnerId",
}


def facts(told: Iterable[Truth], mapping: Mapping) -> Iterator[Fact]:
    """Tell what happened to all records."""
    records = list(told)
    before = {record.id: str(record.history[0].fields.get("PreviousSessionId") or "") for record in records}
    for record in records:
        match record.entity:
            case "SupportTicket":
                yield from Ticket(record, mapping).facts
            case "UserPresence":
                yield presence(record, mapping)
            case _:
                first = record.id
                while before.get(first):
                    first = before[first]
                yield from Contact(record, first).facts


def is_user(owner: object) -> bool:
    return str(owner).startswith("005")


class Ticket:
    """A ticket on its way through its commits."""

    def __init__(self, record: Truth, mapping: Mapping) -> None:
        self.facts: list[Fact] = []
        self._record = record.id
        self._mapping = mapping
        self._state: Fields = {}
        self._group_owner = ""
        self._open = self._alive = True
        self._first_close = True
        self._closer = ""
        self._since = 0
        for number, entry in enumerate(record.history):
            before = (self._key(), self._owner(), self._state.get("IsEscalated"))
            self._state |= entry.fields
            if not is_user(self._state["OwnerId"]):
                self._group_owner = self._state["OwnerId"]
            if number == 0:
                self._create()
            else:
                self._change(entry, *before)
        if self._open and self._alive:
            self._span(self._key(), self._owner(), None)

    def _key(self) -> tuple[str, str, str]:
        state = self._state
        home = self._mapping.default_group.get(self._owner(), "")
        group = state.get("GroupId") or self._group_owner or home
        return (group, state.get("Origin") or "", state.get("Priority") or "")

    def _owner(self) -> str:
        owner = self._state.get("OwnerId", "")
        return owner if is_user(owner) else ""

    def _post(self, post: Post, at: int, key: tuple[str, str, str], agent: str, value: int = 0) -> None:
        self.facts.append(Fact(post, at, self._record, *key, agent, value=value, arrival=self._state["CreatedDate"]))

    def _span(self, key: tuple[str, str, str], owner: str, until: int | None) -> None:
        created = self._state["CreatedDate"]
        if until is None or until > self._since:
            span = Fact(
                Post.SPAN_OPEN, self._since, self._record, *key, owner, value=created, until=until, arrival=created
            )
            self.facts.append(span)

    def _create(self) -> None:
        at = self._state["CreatedDate"]
        self._since = at
        self._post(Post.CREATED, at, self._key(), self._owner())
        if self._owner():
            self._post(Post.ASSIGNED, at, self._key(), self._owner())
        if self._state.get("IsEscalated"):
            self._post(Post.ESCALATED, at, self._key(), self._owner())
        if self._means_closed():
            self._post(Post.CLOSED_ON_CREATE, at, self._key(), self._owner())
            self._close(self._state["ClosedDate"])

    def _change(self, entry: Entry, key: tuple[str, str, str], owner: str, escalated: object) -> None:
        at, said = entry.at, entry.fields
        moved = key != self._key()
        if self._open and self._alive and (moved or owner != self._owner()):
            self._span(key, owner, at)
            self._since = at
            if moved:
                kind = "transferred" if key[0] != self._key()[0] else "reclassified"
                self._post(Post(f"{kind}_out"), at, key, owner)
                self._post(Post(f"{kind}_in"), at, self._key(), self._owner())
        if self._owner() and self._owner() != owner:
            self._post(Post.ASSIGNED, at, self._key(), self._owner())
        if said.get("IsEscalated") and not escalated:
            self._post(Post.ESCALATED, at, self._key(), self._owner())
        responded = said.get("FirstResponseDate")
        if isinstance(responded, int):
            value = responded - self._state["CreatedDate"]
            self._post(Post.FIRST_RESPONSE, responded, self._key(), self._owner(), value)
        if self._open and self._means_closed():
            self._close(self._state["ClosedDate"])
        elif not self._open and not self._means_closed():
            self._open = True
            self._since = at
            self._post(Post.REOPENED, at, self._key(), self._closer)
        self._come_and_go(entry)

    def _close(self, at: int) -> None:
        self._span(self._key(), self._owner(), at)
        self._open = False
        self._closer = self._owner()
        posts = [Post.CLOSED, Post.FIRST_CLOSED] if self._first_close else [Post.CLOSED]
        self._first_close = False
        for post in posts:
            self._post(post, at, self._key(), self._owner(), at - self._state["CreatedDate"])

    def _come_and_go(self, entry: Entry) -> None:
        merged = bool(entry.fields.get("MasterRecordId"))
        if self._alive and (merged or entry.kind is Kind.DELETE):  # a merge is told by both, and counts as itself
            self._leave_or_come(entry.at, Post.MERGED if merged else Post.DELETED)
            if self._open:
                self._span(self._key(), self._owner(), entry.at)
            self._alive = False
        elif entry.kind is Kind.UNDELETE:
            self._leave_or_come(entry.at, Post.UNDELETED)
            self._alive = True
            self._since = entry.at

    def _leave_or_come(self, at: int, post: Post) -> None:
        self._post(post, at, self._key(), self._owner())
        if self._open:
            self._post(Post(f"{post}_open"), at, self._key(), self._owner())

    def _means_closed(self) -> bool:
        return self._mapping.closed["SupportTicket", self._state["Status"]]


class Contact:
    """A chat, or a leg of a video session, on its way through its commits."""

    def __init__(self, record: Truth, session: str) -> None:
        self.facts: list[Fact] = []
        self._record = record.id
        self._session = session
        self._channel = "Video" if record.entity == "VideoSession" else "Chat"
        self._state: Fields = {}
        self._queued = self._begun = 0
        self._held = 0
        self._ringing = ""
        self._agent = ""
        for number, entry in enumerate(record.history):
            named = {VIDEO_NAMES.get(name, name): value for name, value in entry.fields.items()}
            before = dict(self._state)
            self._state |= named
            if self._state["IsBotSession"]:
                return
            if number == 0:
                self._queue(self._state["RequestTime"], by_transfer=bool(self._state.get("PreviousSessionId")))
            else:
                self._change(entry.at, named, before)
        self._end()

    def _post(self, post: Post, at: int, agent: str = "", group: str = "", **more: Any) -> None:
        state = self._state
        key = (group or state["GroupId"], self._channel, state.get("Priority") or "")
        self.facts.append(
            Fact(post, at, self._record, *key, agent, **{"arrival": self._queued, "session": self._session, **more})
        )

    def _queue(self, at: int, *, by_transfer: bool) -> None:
        self._queued = at
        self._post(Post.OFFERED, at)
        if by_transfer:
            self._post(Post.OFFERED_BY_TRANSFER, at)

    def _change(self, at: int, said: Fields, before: Fields) -> None:
        owner = self._state["OwnerId"]
        if "AcceptTime" in said:
            self._answer(said["AcceptTime"], owner)
        elif self._agent:
            if owner != self._agent:
                self._hand_over(at, owner, said)
        elif owner != before["OwnerId"]:
            declined = self._state["DeclineCount"] > before["DeclineCount"]
            if self._ringing:
                self._post(Post.AGENT_DECLINED if declined else Post.AGENT_MISSED, at, self._ringing)
            self._ringing = owner if is_user(owner) else ""
            if self._ringing:
                self._post(Post.AGENT_OFFERED, at, owner)
        if self._state["GroupId"] != before["GroupId"]:
            self._leave(Post.FLOW_OUT, at, before["GroupId"])
            self._queue(at, by_transfer=True)

    def _leave(self, post: Post, at: int, group: str = "") -> None:
        self._post(post, at, group=group, value=at - self._queued)
        self._post(Post.SPAN_QUEUED, self._queued, group=group, until=at)

    def _answer(self, at: int, agent: str) -> None:
        self._post(Post.AGENT_ACCEPTED, at, agent)
        self._post(Post.ANSWERED, at, agent, value=at - self._queued)
        self._post(Post.SPAN_QUEUED, self._queued, until=at)
        if self._state.get("PreviousSessionId"):
            self._post(Post.SESSION_IN, at, agent)
        self._agent, self._begun, self._ringing = agent, at, ""

    def _hand_over(self, at: int, agent: str, said: Fields) -> None:
        held = said.get("HoldTime", 0) * 1000
        self._post(Post.TALKED, at, self._agent, value=at - self._begun - (held - self._held), hold=held - self._held)
        self._post(Post.SPAN_BUSY, self._begun, self._agent, until=at)
        self._post(Post.SESSION_OUT, at, self._agent)
        self._post(Post.SESSION_IN, at, agent)
        self._agent, self._begun, self._held = agent, at, held

    def _end(self) -> None:
        state, end = self._state, self._state.get("EndTime")
        if not self._agent:
            if end is None:
                self._post(Post.SPAN_QUEUED, self._queued)
                return
            if self._ringing:
                self._post(Post.AGENT_MISSED, end, self._ringing)
            self._leave(Post.ABANDONED if state["EndedBy"] == "Visitor" else Post.FLOW_OUT, end)
            return
        wrapped = end if end is None else state.get("WrapUpEndTime", end)
        self._post(Post.SPAN_BUSY, self._begun, self._agent, until=wrapped)
        if end is not None and wrapped is not None:
            hold = min(state.get("HoldTime", 0) * 1000, end - state["AcceptTime"]) - self._held
            hold = min(max(hold, 0), end - self._begun)
            talk = end - self._begun - hold
            self._post(Post.HANDLED, wrapped, self._agent, value=talk, hold=hold, wrap=wrapped - end)
            if state.get("NextSessionId"):
                self._post(Post.SESSION_OUT, end, self._agent)


def presence(record: Truth, mapping: Mapping) -> Fact:
    """Tell of a presence: it is as its record says in the end."""
    state: Fields = {}
    for entry in record.history:
        state |= entry.fields
    begin, until = state["StatusStartDate"], state.get("StatusEndDate")
    detail = mapping.presence[state["PresenceStatusId"]]
    return Fact(Post.SPAN_PRESENCE, begin, record.id, agent=state["UserId"], detail=detail, until=until)
