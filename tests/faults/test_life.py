"""Whatever the broker tells, in any order: the life of a pop keeps its rules, and every counter returns to zero."""

import asyncio
import contextlib
import itertools
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.cloud.licences import Seats
from bridge.delivery.claims import Claims
from bridge.delivery.delivery import Delivery
from bridge.delivery.desks import Desks
from bridge.delivery.lifecycle import FINAL, OPEN, Status, may_follow
from bridge.ledger.ledger import Ledger
from bridge.records.records import Agent, Records, State
from bridge.words import errors
from bridge.words.ledger import Record
from bridge.words.settings import Delivery as Bounds
from bridge.words.settings import Licence
from bridge.words.trigger import Channel, Controls, Trigger
from tests.conftest import WITHIN
from tests.faults.floor import Desk, Floor

NOON = 1_800_000_000.0
AGENTS = ("1001", "1002")
LONGEST = 20.0


class Triggers(msgspec.Struct, frozen=True):
    """Somebody triggers a pop; with a reference by the Cloud API."""

    agent: str
    reference: str | None
    ttl: float


class Comes(msgspec.Struct, frozen=True):
    """A desktop connects and subscribes."""

    agent: str
    qos: int
    window: int


class Goes(msgspec.Struct, frozen=True):
    """A connection ends."""

    desk: int


class Acknowledges(msgspec.Struct, frozen=True):
    """A desktop acknowledges something written to it."""

    desk: int
    copy: int


class Says(msgspec.Struct, frozen=True):
    """A desktop tells an outcome of something that it got."""

    desk: int
    pop: int
    outcome: Literal["shown", "unchanged", "refused"]


class Recalls(msgspec.Struct, frozen=True):
    """Somebody withdraws a pop."""

    pop: int


class Passes(msgspec.Struct, frozen=True):
    """Time passes."""

    seconds: float


class Restarts(msgspec.Struct, frozen=True):
    """The bridge ends and begins anew."""


Fact = Triggers | Comes | Goes | Acknowledges | Says | Recalls | Passes | Restarts

_some = st.integers(0, 5)
_agents = st.sampled_from(AGENTS)
FACTS = st.lists(
    st.one_of(
        st.builds(Triggers, _agents, st.sampled_from([None, None, "R-1", "R-2"]), st.sampled_from([5.0, LONGEST])),
        st.builds(Comes, _agents, st.sampled_from([0, 1, 1]), st.integers(1, 2)),
        st.builds(Goes, _some),
        st.builds(Acknowledges, _some, _some),
        st.builds(Says, _some, _some, st.sampled_from(["shown", "unchanged", "refused"])),
        st.builds(Recalls, _some),
        st.builds(Passes, st.sampled_from([1.0, 4.0, 10.0])),
        st.builds(Restarts),
    ),
    max_size=30,
)


class World:
    """A bridge's delivery with its ledger, on a floor of desks, at a time of our own."""

    def __init__(self, licence: Licence) -> None:
        self.now = NOON
        self.licence = licence
        self.floor = Floor()
        self.triggered: dict[str, float] = {}
        self.statuses: dict[str, Status] = {}
        self.ledger: Ledger
        self.delivery: Delivery
        self.records: Records
        self.seats: Seats

    @asynccontextmanager
    async def living(self, folder: Path) -> AsyncIterator[None]:
        """Be one process, from start to end."""
        async with Ledger.open(folder, clock=lambda: self.now) as self.ledger:
            self.floor = Floor()
            self.records, self.seats = Records(self._keep), Seats()
            desks = Desks(lambda: self.floor, self.records, self.seats, 5.0, lambda: self.now)
            self.delivery = Delivery(
                lambda: self.floor,
                self.ledger,
                self.records,
                Claims(self.records, self.seats, lambda _: self.licence),
                desks,
                Bounds(),
                lambda: self.now,
            )
            await self.delivery.take_up()
            running = asyncio.create_task(self.delivery.run())
            try:
                await self.observe()
                yield
            finally:
                running.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await running

    async def happen(self, fact: Fact) -> None:
        """Let a fact happen, if it can."""
        match fact:
            case Triggers():
                await self._trigger(fact)
            case Comes(agent, qos, window):
                desk = Desk(agent, qos, window)
                self.floor.desks.append(desk)
                self.delivery.listening(desk.principal, [f"CTI/acme/{agent}"])
            case Goes() | Acknowledges() | Says() if fact.desk < len(self.floor.desks):
                self._desk_does(self.floor.desks[fact.desk], fact)
            case Recalls(which) if which < len(self.triggered):
                live = self.delivery.live.get(list(self.triggered)[which])
                if live is not None:
                    with contextlib.suppress(errors.Fault):
                        await self.delivery.recall(live)
            case Passes(seconds):
                await self.pass_time(seconds)
            case _:
                return

    def _desk_does(self, desk: Desk, fact: Goes | Acknowledges | Says) -> None:
        match fact:
            case Goes():
                self.delivery.left(desk.principal, self.floor.leave(desk))
            case Acknowledges(_, which) if which < len(desk.unacknowledged):
                self.floor.acknowledge(desk, desk.unacknowledged[which])
            case Says(_, which, outcome) if which < len(desk.got):
                said = json.dumps({"popid": desk.got[which].popid, "outcome": outcome}).encode()
                self.delivery.arrived(desk.principal, f"ACK/acme/{desk.agent}", said, _Released())
            case _:
                return

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, and what is due happen."""
        self.now += seconds
        self.delivery.live.nearer.set()
        async with asyncio.timeout(WITHIN):
            while (due := self.delivery.live.next_due()) is not None and due <= self.now:  # noqa: ASYNC110
                await asyncio.sleep(0)  # a turn of the loop

    async def observe(self) -> None:
        """Let the tasks do what there is to do, and see that the rules hold."""
        for _ in range(10):
            await asyncio.sleep(0)
        for popid in self.triggered:
            await self._see(popid)
        assert self.delivery.live.open == sum(self._counts(popid) for popid in self.triggered)

    def _counts(self, popid: str) -> bool:
        """Say whether a pop still has to be brought to a desktop; nobody proves what went out at QoS 0."""
        live = self.delivery.live.get(popid)
        if live is None or self.statuses[popid] not in OPEN or self.triggered[popid] <= self.now:
            return False
        return live.copies.awaiting > 0 or not live.copies.unproven

    async def _see(self, popid: str) -> None:
        live = self.delivery.live.get(popid)
        found = await self.ledger.pop(popid, "acme") if live is None else None
        status = Status(found.status) if found is not None else live.status if live is not None else Status.EXPIRED
        before = self.statuses.get(popid)
        self.statuses[popid] = status
        written = [desk for desk in self.floor.desks if any(_is(copy.pop, popid) for copy in desk.unacknowledged)]
        waiting = [desk for desk in self.floor.desks if any(_is(copy.pop, popid) for copy in desk.copies)]
        at_qos_0 = any(_is(pop, popid) for desk in self.floor.desks if desk.qos == 0 for pop in desk.got)
        if before is not None and before is not status:
            if before in FINAL:
                assert (before, status) in {(Status.REFUSED, Status.SHOWN), (Status.UNCHANGED, Status.SHOWN)}
            if before is Status.DELIVERED:
                assert status is not Status.EXPIRED
        if status is Status.HELD:
            assert not written, "a desk has it"
            agent_here = [desk for desk in self.floor.desks if found is None and live and desk.agent == live.agent[1]]
            assert waiting or not agent_here, "a desk is there, and it is still held"
        if status is Status.SENT and before is Status.SENT and not at_qos_0 and live and not live.copies.unproven:
            assert waiting, "it is sent, and no desk has it or will have it"

    async def check_steps(self) -> None:
        """See that what the ledger tells is a life, too."""
        for popid in self.triggered:
            found = await self.ledger.pop(popid, "acme")
            assert found is not None
            steps = [Status(step.status) for step in found.steps]
            assert steps[0] is Status.ACCEPTED
            for before, after in itertools.pairwise(steps):
                assert may_follow(before, after), steps
            assert steps[-1] == found.status == self.statuses[popid]

    async def _trigger(self, fact: Triggers) -> None:
        trigger = Trigger(
            channel=Channel.CTI if fact.reference is None else Channel.CLOUD,
            customer="acme",
            agentid=fact.agent,
            reference=fact.reference,
            topic=f"CTI/acme/{fact.agent}",
            ttl=fact.ttl,
            data={},
            controls=Controls(),
        )
        outcome, _ = await self.delivery.deliver(trigger, "key", None)
        assert outcome.popid is not None
        self.triggered[outcome.popid] = self.now + fact.ttl

    def _keep(self, agent: Agent, reference: str, state: State | None) -> None:
        if state is None:
            self.ledger.drop_record(*agent, reference)
        else:
            self.ledger.save_record(Record(*agent, reference, state.value, "", self.now))


class _Released:
    def release(self) -> None:
        """Do nothing: the desk does not wait for it."""


def _is(pop: object, popid: str) -> bool:
    return getattr(pop, "popid", None) == popid


async def _story(facts: list[Fact], licence: Licence) -> None:
    world = World(licence)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts: list[list[Fact]] = [[]]
        for fact in facts:
            if isinstance(fact, Restarts):
                parts.append([])
            else:
                parts[-1].append(fact)
        for part in parts:
            async with world.living(folder):
                for fact in part:
                    await world.happen(fact)
                    await world.observe()
        async with world.living(folder):
            await world.pass_time(LONGEST + 1)
            await world.observe()
            assert world.delivery.live.open == 0
            assert not world.delivery.live._open
            assert not world.delivery.live._held
            assert all(status is not Status.HELD for status in world.statuses.values())
            assert world.seats.users("acme", world.licence) == []
            await world.check_steps()


LICENCES = st.sampled_from([Licence(), Licence(kind="concurrent", seats=1)])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(facts=FACTS, licence=LICENCES)
def test_any_order_of_facts_keeps_the_rules(facts: list[Fact], licence: Licence) -> None:
    asyncio.run(_story(facts, licence))
