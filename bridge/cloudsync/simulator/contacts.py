"""Contacts: simulated chats and videos: queued, offered, declined, answered, transferred, abandoned, ended."""

import datetime as dt
import random
from functools import partial

from bridge.cloudsync.simulator.agenda import Agenda
from bridge.cloudsync.simulator.book import Book
from bridge.cloudsync.simulator.staff import Staff, Worker
from bridge.cloudsync.simulator.world import Group, World, busy_minute, moment
from bridge.words.cloudsync import Kind, Value

Fields = dict[str, Value]

_VIDEO = 0.2
_BOT = 0.03
_ABANDONS = 0.06
_TRANSFERRED = 0.08
_LEAVES_QUEUE = 0.01  # for another group's queue
_DECLINED = 0.03
_MISSED = 0.05  # below this and not declined
_PATIENCE = 1200.0  # seconds that those wait who did not come to abandon
_TELLS_WRAP_UP = 0.85
_PRIORITIES = ("", "", "", "Low", "Medium", "High")

_VIDEO_NAMES = {
    "RequestTime": "EnqueueTime",
    "AcceptTime": "StartDateTime",
    "EndTime": "EndDateTime",
    "HoldTime": "HoldDuration",
}


class _Session:
    """A session's record (a leg, for video): where it is and who has it."""

    def __init__(self, entity: str, record: str, group: str) -> None:
        self.entity = entity
        self.record = record
        self.group = group
        self.worker: Worker | None = None
        self.but: set[str] = set()  # who declined it
        self.declines = 0
        self.transfers = 0
        self.hold = 0
        self.waits = True
        self.gives_up = False  # will abandon: is never offered
        self.accepted = False
        self.leg = 1

    @property
    def video(self) -> bool:
        return self.entity == "VideoSession"

    @property
    def weight(self) -> int:
        return 2 if self.video else 1


class Contacts:
    """All sessions of a day, on an agenda."""

    def __init__(self, world: World, staff: Staff, agenda: Agenda, book: Book, rng: random.Random) -> None:
        self._world = world
        self._staff = staff
        self._agenda = agenda
        self._book = book
        self._rng = rng
        self._queues: dict[str, list[_Session]] = {group.id: [] for group in world.groups}
        staff.ready = self._dispatch

    def plan(self, day: dt.date, sessions: int) -> None:
        """Let so many customers come over the day; some only meet a bot."""
        for _ in range(sessions):
            group = self._rng.choice(self._world.groups)
            at = moment(day, group.zone, busy_minute(self._rng))
            begin = self._meet_bot if self._rng.random() < _BOT else partial(self._come, group)
            self._agenda.at(at, begin)

    def _tell(self, session: _Session, fields: Fields, *, by: str = "", kind: Kind = Kind.UPDATE) -> None:
        named: Fields = {_VIDEO_NAMES.get(name, name) if session.video else name: v for name, v in fields.items()}
        self._book.tell(self._agenda.now, session.entity, session.record, kind, named, by=by)

    def _come(self, group: Group) -> None:
        entity = "VideoSession" if self._rng.random() < _VIDEO else "ChatSession"
        session = _Session(entity, self._book.record(entity), group.id)
        self._queue(session, {})
        if self._rng.random() < _ABANDONS:
            session.gives_up = True
            quick = self._rng.random() < 0.25
            patience = self._rng.uniform(1, 5) if quick else 5 + self._rng.expovariate(1 / 50)
        else:
            patience = _PATIENCE
            if self._rng.random() < _LEAVES_QUEUE and len(self._world.groups) > 1:
                session.gives_up = True
                self._agenda.after(self._rng.uniform(2, 40), partial(self._change_queue, session))
        self._agenda.after(patience, partial(self._abandon, session, session.leg))
        self._dispatch(session.group)

    def _queue(self, session: _Session, more: Fields) -> None:
        fields: Fields = {
            "Id": session.record,
            "SessionKey": f"{session.record[-9:]}-{self._rng.getrandbits(32):08x}",
            "Status": "Waiting",
            "GroupId": session.group,
            "OwnerId": session.group,
            "RequestTime": self._agenda.now,
            "DeclineCount": 0,
            "TransferCount": session.transfers,
            "IsBotSession": False,
            "ChannelType": "Video" if session.video else self._rng.choice(("Web", "WhatsApp", "SMS")),
        }
        priority = self._rng.choice(_PRIORITIES)
        if priority:
            fields["Priority"] = priority
        self._tell(session, fields | more, kind=Kind.CREATE)
        self._queues[session.group].append(session)

    def _meet_bot(self) -> None:
        session = _Session("ChatSession", self._book.record("ChatSession"), "")
        begun: Fields = {
            "Id": session.record,
            "SessionKey": f"{session.record[-9:]}-bot",
            "Status": "InProgress",
            "RequestTime": self._agenda.now,
            "DeclineCount": 0,
            "TransferCount": 0,
            "IsBotSession": True,
            "ChannelType": "Web",
        }
        self._tell(session, begun, kind=Kind.CREATE)
        self._agenda.after(self._rng.uniform(20, 200), partial(self._leave_bot, session))

    def _leave_bot(self, session: _Session) -> None:
        self._tell(session, {"Status": "Completed", "EndTime": self._agenda.now, "EndedBy": "Visitor"})

    def _abandon(self, session: _Session, leg: int) -> None:
        if session.accepted or leg != session.leg or not (session.waits or session.worker):
            return
        self._tell(session, {"Status": "Abandoned", "EndTime": self._agenda.now, "EndedBy": "Visitor"})
        self._unqueue(session)
        self._release(session)

    def _unqueue(self, session: _Session) -> None:
        if session.waits:
            self._queues[session.group].remove(session)
            session.waits = False

    def _change_queue(self, session: _Session) -> None:
        if not session.waits:
            return
        self._unqueue(session)
        others = [group.id for group in self._world.groups if group.id != session.group]
        session.group = self._rng.choice(others)
        session.leg += 1
        session.waits = True
        session.gives_up = False
        self._tell(session, {"GroupId": session.group, "OwnerId": session.group})
        self._queues[session.group].append(session)
        self._agenda.after(_PATIENCE, partial(self._abandon, session, session.leg))
        self._dispatch(session.group)

    def _dispatch(self, group: str) -> None:
        for session in list(self._queues[group]):
            if session.gives_up:
                continue
            worker = self._staff.pick(group, session.weight, session.but)
            if worker is not None:
                self._offer(session, worker)
            elif not session.video and not session.but:
                return  # nobody has room for the least that there is

    def _offer(self, session: _Session, worker: Worker) -> None:
        self._unqueue(session)
        self._staff.take(worker, session.weight)
        session.worker = worker
        self._tell(session, {"OwnerId": worker.agent.id, "Status": "Ringing"})
        drawn = self._rng.random()
        if drawn < _DECLINED:
            self._agenda.after(self._rng.uniform(1, 6), partial(self._decline, session, worker))
        elif drawn < _MISSED:
            self._agenda.after(20, partial(self._miss, session, worker))
        else:
            self._agenda.after(self._rng.uniform(0.5, 9), partial(self._accept, session, worker))

    def _decline(self, session: _Session, worker: Worker) -> None:
        if session.worker is worker:
            session.declines += 1
            self._return(session, {"DeclineCount": session.declines}, worker)

    def _miss(self, session: _Session, worker: Worker) -> None:
        if session.worker is not worker:
            return
        if self._rng.random() < 0.5:
            self._return(session, {}, worker)
            return
        # A missed session keeps the last agent it was offered to.
        self._tell(session, {"Status": "Missed", "EndTime": self._agenda.now, "EndedBy": "System"})
        self._release(session)

    def _return(self, session: _Session, fields: Fields, worker: Worker) -> None:
        session.but.add(worker.agent.id)
        session.waits = True
        self._tell(session, fields | {"OwnerId": session.group, "Status": "Waiting"}, by=worker.agent.id)
        self._queues[session.group].insert(0, session)
        self._release(session)
        self._dispatch(session.group)

    def _release(self, session: _Session) -> None:
        if session.worker is not None:
            worker, session.worker = session.worker, None
            self._staff.give_back(worker, session.weight)

    def _accept(self, session: _Session, worker: Worker) -> None:
        if session.worker is not worker:
            return
        session.accepted = True
        fields: Fields = {"Status": "InProgress", "AcceptTime": self._agenda.now}
        if session.video:
            fields["HostId"] = worker.agent.id
        self._tell(session, fields, by=worker.agent.id)
        talk = min(self._rng.lognormvariate(6.0, 0.6), 3600.0)
        if talk > 30:
            self._agenda.after(self._rng.uniform(3, 25), partial(self._respond, session))
        transferred = session.leg < 3 and self._rng.random() < _TRANSFERRED
        ending = self._transfer if transferred else self._end
        self._agenda.after(talk * 0.4 if transferred else talk, partial(ending, session, int(talk)))

    def _respond(self, session: _Session) -> None:
        by = session.worker.agent.id if session.worker else ""
        self._tell(session, {"FirstResponseTime": self._agenda.now}, by=by)

    def _hold(self, session: _Session, talk: int) -> Fields:
        if self._rng.random() >= 0.15:
            return {}
        session.hold += self._rng.randint(1, max(1, talk // 6))
        return {"HoldTime": session.hold}

    def _transfer(self, session: _Session, talk: int) -> None:
        if session.video:
            self._transfer_video(session, talk)
            return
        before = session.worker
        after = self._staff.pick(session.group, session.weight, {before.agent.id} if before else set())
        if before is None or after is None:
            self._end(session, talk)
            return
        session.transfers += 1
        fields: Fields = {"OwnerId": after.agent.id, "TransferCount": session.transfers}
        self._tell(session, fields | self._hold(session, talk // 3), by=before.agent.id)
        self._staff.take(after, session.weight)
        session.worker = after
        self._staff.give_back(before, session.weight)
        self._agenda.after(talk * 0.6, partial(self._end, session, talk // 2))

    def _transfer_video(self, session: _Session, talk: int) -> None:
        others = [group.id for group in self._world.groups if self._staff.working(group.id)]
        if not others:
            self._end(session, talk)
            return
        following = _Session("VideoSession", self._book.record("VideoSession"), self._rng.choice(others))
        following.transfers = session.transfers + 1
        following.leg = session.leg + 1
        if session.worker is not None:
            following.but = {session.worker.agent.id}
        end: Fields = {
            "Status": "Transferred",
            "EndTime": self._agenda.now,
            "EndedBy": "Agent",
            "NextSessionId": following.record,
            "Disposition": "Transferred",
        }
        self._finish(session, end | self._hold(session, talk // 3))
        self._queue(following, {"PreviousSessionId": session.record})
        self._agenda.after(_PATIENCE, partial(self._abandon, following, following.leg))
        self._dispatch(following.group)

    def _end(self, session: _Session, talk: int) -> None:
        by = self._rng.choices(("Agent", "Visitor", "System"), (60, 38, 2))[0]
        end: Fields = {"Status": "Completed", "EndTime": self._agenda.now, "EndedBy": by}
        if session.video:
            end["Disposition"] = self._rng.choice(("Resolved", "Follow-up"))
        self._finish(session, end | self._hold(session, talk))

    def _finish(self, session: _Session, end: Fields) -> None:
        self._tell(session, end, by=session.worker.agent.id if session.worker else "")
        if self._rng.random() < _TELLS_WRAP_UP:
            self._agenda.after(self._rng.uniform(5, 120), partial(self._wrap_up, session))
        else:
            self._release(session)

    def _wrap_up(self, session: _Session) -> None:
        by = session.worker.agent.id if session.worker else ""
        self._tell(session, {"WrapUpEndTime": self._agenda.now}, by=by)
        self._release(session)
