"""Tickets: simulated support tickets: created, answered, transferred, escalated, closed, reopened, deleted, merged."""

import datetime as dt
import random

from bridge.cloudsync.simulator.book import Book
from bridge.cloudsync.simulator.world import Agent, Group, World, busy_minute, moment
from bridge.words.cloudsync import Kind, Value

Fields = dict[str, Value]

_PRIORITIES = ("Low", "Medium", "Medium", "High", "Urgent", "")
_ORIGINS = ("Email", "Email", "Web", "Phone", "Social", "")
_TYPES = ("Question", "Problem", "Request")
_REASONS = ("Invoice", "Access", "Outage", "Contract")
_TOGETHER = 0.02  # closed with others at one instant, at 17:00 of the group's day


class Tickets:
    """The tickets of a day. What becomes of them may come on later days."""

    def __init__(self, world: World, day: dt.date, book: Book, rng: random.Random) -> None:
        self._world = world
        self._day = day
        self._book = book
        self._rng = rng
        self._teams: dict[str, list[Agent]] = {group.id: [] for group in world.groups}
        for agent in world.agents:
            self._teams[agent.group.id].append(agent)
        self._together = {group.id: book.transaction() for group in world.groups}
        self._closed_together = dict.fromkeys(self._together, 0)

    def plan(self, tickets: int) -> None:
        """Write the histories of so many tickets, each created in its group's day."""
        before: str | None = None
        for number in range(tickets):
            group = self._rng.choice(self._world.groups)
            at = moment(self._day, group.zone, busy_minute(self._rng))
            record = self._book.record("SupportTicket")
            _Ticket(self, self._book, self._rng, record, group, at).live(number, before)
            before = record

    def team(self, group: str) -> list[Agent]:
        """Give the agents of a group."""
        return self._teams[group]

    def other(self, group: Group) -> Group:
        """Choose another group; the same where there is none."""
        others = [each for each in self._world.groups if each.id != group.id]
        return self._rng.choice(others) if others else group

    def together(self, group: Group) -> tuple[int, int, int]:
        """Give the instant at which tickets of a group are closed together, the transaction, and the place in it."""
        self._closed_together[group.id] += 1
        instant = moment(self._day, group.zone, 1020)
        return instant, self._together[group.id], self._closed_together[group.id]


class _Ticket:
    """One ticket's life, written down as it goes."""

    def __init__(self, all_: Tickets, book: Book, rng: random.Random, record: str, group: Group, at: int) -> None:
        self._all = all_
        self._book = book
        self._rng = rng
        self._record = record
        self._group = group
        self._at = at
        self._owner = ""
        # Half of the tickets have GroupId; the others belong to the group that owns them, or owned them last.
        self._has_group = rng.random() < 0.5

    def live(self, number: int, before: str | None) -> None:
        """Go through the whole life."""
        rng = self._rng
        if rng.random() < 0.02:
            self._create(number, closed=True)
            return
        self._create(number)
        drawn = rng.random()
        if drawn < 0.01:
            self._delete()
            return
        if drawn < 0.02 and before is not None:
            self._merge(before)
            return
        if not self._owner or rng.random() < 0.1:
            self._assign(600)
        self._respond()
        for chance, happens in (
            (0.05, self._reprioritise),
            (0.02, self._change_origin),
            (0.08, self._transfer),
            (0.05, self._reassign),
            (0.04, self._escalate),
        ):
            if rng.random() < chance:
                happens()
        self._close()
        if rng.random() < 0.05:
            self._reopen()
            self._close()
        elif rng.random() < 0.02:
            self._later(3600)
            self._tell({"Status": "Solved"})
        if rng.random() < 0.005:
            self._delete()

    def _later(self, seconds: float) -> None:
        self._at += 1000 + int(self._rng.expovariate(1 / seconds) * 1000)

    def _tell(self, fields: Fields, kind: Kind = Kind.UPDATE) -> None:
        by = self._owner
        self._book.tell(self._at, "SupportTicket", self._record, kind, fields, by=by)

    def _create(self, number: int, *, closed: bool = False) -> None:
        rng = self._rng
        owner = self._group.id
        if rng.random() < 0.15 or closed:
            owner = self._owner = self._someone()
        fields: Fields = {
            "Id": self._record,
            "TicketNumber": f"{self._at // 86_400_000:05d}{number:05d}",
            "Status": "New",
            "Type": rng.choice(_TYPES),
            "OwnerId": owner,
            "CreatedDate": self._at,
            "IsEscalated": rng.random() < 0.01,
        }
        for name, values in (("Priority", _PRIORITIES), ("Origin", _ORIGINS)):
            value = rng.choice(values)
            if value:
                fields[name] = value
        if self._has_group:
            fields["GroupId"] = self._group.id
        if rng.random() < 0.7:
            fields["ContactId"] = f"0030000000{rng.randrange(10**5):05d}AAA"
        if closed:
            fields |= {"Status": "Closed", "ClosedDate": self._at, "Reason": rng.choice(_REASONS)}
        self._tell(fields, Kind.CREATE)

    def _someone(self, but: str = "") -> str:
        team = [agent.id for agent in self._all.team(self._group.id) if agent.id != but]
        return self._rng.choice(team) if team else but

    def _assign(self, within: float) -> None:
        self._later(within)
        self._owner = self._someone(self._owner)
        self._tell({"OwnerId": self._owner or self._group.id, "Status": "In Progress"})

    def _respond(self) -> None:
        if self._rng.random() < 0.9:
            self._later(1800)
            self._tell({"FirstResponseDate": self._at})

    def _reprioritise(self) -> None:
        self._later(1200)
        self._tell({"Priority": self._rng.choice(("Critical", None))})

    def _change_origin(self) -> None:
        self._later(900)
        self._tell({"Origin": "Chat"})

    def _transfer(self) -> None:
        self._later(2400)
        self._group = self._all.other(self._group)
        fields: Fields = {"OwnerId": self._group.id, "Status": "Waiting"}
        if self._has_group:
            fields["GroupId"] = self._group.id
        self._tell(fields)
        self._assign(900)

    def _reassign(self) -> None:
        self._later(1800)
        self._owner = self._someone(self._owner)
        if self._owner:
            self._tell({"OwnerId": self._owner})

    def _escalate(self) -> None:
        self._later(1200)
        self._tell({"IsEscalated": True})

    def _close(self) -> None:
        if self._rng.random() < _TOGETHER:
            instant, transaction, sequence = self._all.together(self._group)
            if instant > self._at:
                self._at = instant
                fields: Fields = {"Status": "Closed", "ClosedDate": instant}
                of = ("SupportTicket", self._record, Kind.UPDATE, fields)
                self._book.tell(instant, *of, transaction=transaction, sequence=sequence)
                return
        self._later(5400)
        closed: Fields = {"Status": self._rng.choice(("Closed", "Closed", "Solved")), "ClosedDate": self._at}
        self._tell(closed | {"Reason": self._rng.choice(_REASONS)})

    def _reopen(self) -> None:
        self._later(7200)
        self._tell({"Status": "Reopened", "ClosedDate": None})

    def _delete(self) -> None:
        self._later(1800)
        self._tell({}, Kind.DELETE)
        if self._rng.random() < 0.3:
            self._later(600)
            self._tell({}, Kind.UNDELETE)

    def _merge(self, master: str) -> None:
        self._later(1800)
        transaction = self._book.transaction()
        of = (self._at, "SupportTicket", self._record)
        self._book.tell(*of, Kind.UPDATE, {"MasterRecordId": master}, transaction=transaction, by=self._owner)
        self._book.tell(*of, Kind.DELETE, {}, transaction=transaction, sequence=2, by=self._owner)
