"""Lives: random tickets, contacts and agents, told as facts that do not contradict one another."""

import random
from collections.abc import Callable
from itertools import count
from typing import Any

from bridge.words.cloudsync import QUARTER, Fact, Post

GROUPS = ("00G000000000001AAA", "00G000000000002AAA", "")
PRIORITIES = ("High", "")
ORIGINS = ("Web", "Phone")
AGENTS = ("005000000000001AAA", "005000000000002AAA", "")
STATES = ("available", "busy", "away", "break", "training", "offline", "")


def seeded(seed: int | str) -> random.Random:
    return random.Random(seed)  # noqa: S311 - a story told again, not a secret


class World:
    """What random lives have in common: when and for how long."""

    def __init__(self, rng: random.Random, start: int, span: int) -> None:
        self.rng = rng
        self._start = start
        self._span = span
        self._records = (f"500{number:012d}AAA" for number in count())

    def record(self) -> str:
        return next(self._records)

    def moment(self) -> int:
        """Choose when a life begins; the edges of quarter hours are likelier than chance has it."""
        at = self._start - self._span // 3 + self.rng.randrange(self._span * 4 // 3)
        return self.edged(at)

    def later(self, at: int) -> int:
        return max(at, self.edged(at + self.rng.randrange(self._span // 3)))

    def edged(self, at: int) -> int:
        edge = at - at % QUARTER
        return self.rng.choice((at, at, at, at - at % 1000, edge, edge - 1))

    def stays(self) -> bool:
        return self.rng.random() < 0.2


def facts(rng: random.Random, start: int, span: int, lives: int = 12) -> list[Fact]:
    """Tell some lives around `[start, start + span)`, in no order."""
    world = World(rng, start, span)
    told: list[Fact] = []
    for _ in range(lives):
        told += rng.choice((ticket, contact, contact))(world)
    for agent in AGENTS[:2]:
        told += presence(world, agent)
    rng.shuffle(told)
    return told


class Ticket:
    """A ticket as it moves through rows."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.facts: list[Fact] = []
        self.record = world.record()
        self.created = self.at = world.moment()
        rng = world.rng
        self.row: dict[str, Any] = {
            "group": rng.choice(GROUPS),
            "channel": rng.choice(ORIGINS),
            "priority": rng.choice(PRIORITIES),
        }
        self.agent = rng.choice(AGENTS)
        self.closer = ""
        self.open = self.alive = True
        self.closed_before = self.answered = False
        self.since: int | None = self.created

    def post(self, post: Post, *, value: int = 0, agent: str | None = None) -> None:
        who = self.agent if agent is None else agent
        fact = Fact(post, self.at, self.record, **self.row, agent=who, value=value, arrival=self.created)
        self.facts.append(fact)

    def pause(self, until: int | None) -> None:
        """End the span in the row as it was."""
        if self.since is not None and (until is None or until > self.since):
            span = Fact(
                Post.SPAN_OPEN,
                self.since,
                self.record,
                **self.row,
                agent=self.agent,
                value=self.created,
                until=until,
                arrival=self.created,
            )
            self.facts.append(span)
        self.since = None

    def resume(self) -> None:
        self.since = self.at

    def move(self, out: Post, into: Post, dimension: str, values: tuple[str, ...]) -> None:
        before = self.row[dimension]
        after = self.world.rng.choice(values)
        if after == before:
            return
        if self.open:
            self.pause(self.at)
            self.post(out)
        self.row = {**self.row, dimension: after}
        if self.open:
            self.post(into)
            self.resume()

    def close(self) -> None:
        if not self.open:
            return
        self.pause(self.at)
        self.open = False
        self.closer = self.agent
        self.post(Post.CLOSED, value=self.at - self.created)
        if not self.closed_before:
            self.post(Post.FIRST_CLOSED, value=self.at - self.created)
        self.closed_before = True

    def reopen(self) -> None:
        if not self.open:
            self.open = True
            self.post(Post.REOPENED, agent=self.closer)
            self.resume()

    def assign(self) -> None:
        if self.open:
            self.pause(self.at)
        self.agent = self.world.rng.choice(AGENTS)
        if self.agent:
            self.post(Post.ASSIGNED)
        if self.open:
            self.resume()

    def leave(self, post: Post, beside: Post) -> None:
        self.post(post)
        if self.open:
            self.post(beside)
            self.pause(self.at)
        self.alive = False

    def undelete(self) -> None:
        self.alive = True
        self.post(Post.UNDELETED)
        if self.open:
            self.post(Post.UNDELETED_OPEN)
            self.resume()

    def respond(self) -> None:
        if not self.answered:
            self.answered = True
            self.post(Post.FIRST_RESPONSE, value=self.at - self.created)


def ticket(world: World) -> list[Fact]:
    """Tell a ticket's life."""
    told = Ticket(world)
    told.post(Post.CREATED)
    if world.rng.random() < 0.1:
        told.post(Post.CLOSED_ON_CREATE)
        told.close()
    merged = False
    for _ in range(world.rng.randrange(7)):
        told.at = world.later(told.at)
        if not told.alive:
            if not merged:
                told.undelete()
            continue
        deeds: tuple[Callable[[], None], ...] = (
            lambda: told.move(Post.TRANSFERRED_OUT, Post.TRANSFERRED_IN, "group", GROUPS),
            lambda: told.move(Post.RECLASSIFIED_OUT, Post.RECLASSIFIED_IN, "priority", PRIORITIES),
            lambda: told.move(Post.RECLASSIFIED_OUT, Post.RECLASSIFIED_IN, "channel", ORIGINS),
            told.close,
            told.close,
            told.reopen,
            told.assign,
            told.respond,
            lambda: told.post(Post.ESCALATED),
            lambda: told.leave(Post.DELETED, Post.DELETED_OPEN),
            lambda: told.leave(Post.MERGED, Post.MERGED_OPEN),
        )
        world.rng.choice(deeds)()
        merged = merged or any(fact.post is Post.MERGED for fact in told.facts)
    if told.alive and told.open:
        told.pause(None)
    return told.facts


def contact(world: World, *, session: str = "", again: bool = True) -> list[Fact]:
    """Tell a chat's or video session's life, its transfers with it."""
    rng = world.rng
    record = world.record()
    session = session or record
    row: dict[str, Any] = {
        "group": rng.choice(GROUPS),
        "channel": rng.choice(("Chat", "Video")),
        "priority": rng.choice(PRIORITIES),
    }
    queued = world.moment()
    told: list[Fact] = []

    def post(post: Post, at: int, **more: str | int | None) -> None:
        told.append(Fact(post, at, record, **{**row, "arrival": queued, "session": session, **more}))

    post(Post.OFFERED, queued)
    if session != record:
        post(Post.OFFERED_BY_TRANSFER, queued)
    wait = rng.choice((0, 4_999, 5_000, 20_000, 20_001, rng.randrange(60_000), rng.randrange(3 * QUARTER)))
    left = queued + wait
    ending = rng.choice(("answered", "answered", "answered", "abandoned", "flow_out", "waiting"))
    for agent in AGENTS[:2]:
        if rng.random() < 0.3:
            post(Post.AGENT_OFFERED, left, agent=agent)
            post(rng.choice((Post.AGENT_DECLINED, Post.AGENT_MISSED)), left, agent=agent)
    if ending == "waiting":
        post(Post.SPAN_QUEUED, queued, until=None)
        return told
    if wait:
        post(Post.SPAN_QUEUED, queued, until=left)
    if ending != "answered":
        post(Post(ending), left, value=wait)
        return told
    agent = rng.choice(AGENTS[:2])
    post(Post.ANSWERED, left, value=wait, agent=agent)
    post(Post.AGENT_OFFERED, queued, agent=agent)
    post(Post.AGENT_ACCEPTED, left, agent=agent)
    told += _work(world, row, record, session, agent, queued, left)
    if again and rng.random() < 0.3:
        told += contact(world, session=session, again=False)
    return told


def _work(
    world: World, row: dict[str, Any], record: str, session: str, agent: str, queued: int, begin: int
) -> list[Fact]:
    rng = world.rng
    told: list[Fact] = []

    def post(post: Post, at: int, **more: str | int | None) -> None:
        told.append(Fact(post, at, record, **{**row, "arrival": queued, "session": session, **more}))

    if rng.random() < 0.3:
        handed = world.later(begin)
        other = rng.choice(AGENTS[:2])
        post(Post.TALKED, handed, agent=agent, value=handed - begin)
        post(Post.SPAN_BUSY, begin, agent=agent, until=handed)
        post(Post.SESSION_OUT, handed, agent=agent)
        post(Post.SESSION_IN, handed, agent=other)
        begin, agent = handed, other
    if world.stays():
        post(Post.SPAN_BUSY, begin, agent=agent, until=None)
        return told
    end = world.later(begin)
    hold = rng.randrange(end - begin + 1)
    wrap = rng.choice((0, rng.randrange(120_000)))
    post(Post.HANDLED, end + wrap, agent=agent, value=end - begin - hold, hold=hold, wrap=wrap)
    post(Post.SPAN_BUSY, begin, agent=agent, until=end + wrap)
    return told


def presence(world: World, agent: str) -> list[Fact]:
    """Tell an agent's states; some ends are lost, some overlap the next."""
    told = []
    at = world.moment()
    for _ in range(world.rng.randrange(6)):
        until = world.later(at)
        record = world.record()
        end = None if world.stays() else until + world.rng.choice((0, 0, 0, 30_000))
        detail = world.rng.choice(STATES)
        told.append(Fact(Post.SPAN_PRESENCE, at, record, agent=agent, detail=detail, until=end))
        at = until + world.rng.choice((0, 0, 90_000))
    return told
