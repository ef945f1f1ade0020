"""Delivery: from an admitted trigger to the desktops, and what became of it, told to whoever waits."""

import asyncio
import heapq
import logging
from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Literal

import msgspec

from bridge.broker.port import Audience, Broker, Message, Ticket
from bridge.delivery.lifecycle import FINAL, OPEN, Copies, Status, expires, may_follow
from bridge.words import errors, pop, times, topics
from bridge.words.principal import Principal, Role
from bridge.words.settings import Delivery as Bounds
from bridge.words.trigger import Trigger

LARGEST_PAYLOAD = 131_072
HEEDED = 600.0  # seconds after its time in which a desktop that has a pop may still tell of it

log = logging.getLogger("popbridge.delivery")

Agent = tuple[str, str]


class Outcome(msgspec.Struct, frozen=True):
    """What the caller is told. `popid` is None for a dry run."""

    popid: str | None
    status: Status
    topic: str
    receivers: int


class Told(msgspec.Struct, frozen=True):
    """What a desktop says of a pop on its ACK topic."""

    popid: str
    outcome: Literal["shown", "unchanged", "refused"]
    suspended: str | None = None
    reason: str | None = None


class LivePop:
    """One pop while it matters: open, or delivered and not yet told of. The broker tells it of its copies."""

    __slots__ = ("_house", "accepted", "agent", "changed", "copies", "expires", "message", "past", "popid", "status")

    def __init__(self, house: "Delivery", popid: str, agent: Agent, message: Message, ttl: float) -> None:
        self._house = house
        self.popid = popid
        self.agent = agent
        self.message = message
        self.accepted = house.now()
        self.expires = self.accepted + ttl
        self.status = Status.HELD
        self.copies = Copies()
        self.changed: asyncio.Event | None = None
        self.past = False  # its time is over, and a desktop has it

    def written(self, qos: int) -> None:
        """See `Watcher`."""
        self.copies.written = True
        self.copies.unproven = self.copies.unproven or qos == 0
        self._house.settle(self)

    def acknowledged(self) -> None:
        """See `Watcher`."""
        self.copies.awaiting -= 1
        self._house.move(self, Status.DELIVERED)

    def lost(self) -> None:
        """See `Watcher`."""
        self.copies.awaiting -= 1
        self._house.settle(self)

    def stale(self) -> bool:
        """See `Watcher`."""
        return self._house.now() >= self.expires or self.status in FINAL


class Delivery:
    """The flow. Holds what no desktop has heard, within the bounds of `delivery`; nothing here outlives the process."""

    def __init__(self, broker: Callable[[], Broker], bounds: Bounds, now: Callable[[], float]) -> None:
        self._broker = broker
        self._bounds = bounds
        self.now = now
        self._live: OrderedDict[str, LivePop] = OrderedDict()
        self._held: dict[Agent, OrderedDict[str, LivePop]] = {}
        self._open: dict[Agent, int] = {}
        self._due: list[tuple[float, str]] = []
        self._awake: dict[Agent, None] = {}
        self._wake = asyncio.Event()
        self._next_due = asyncio.Event()
        self._stopping = False
        self.open = 0
        self.counted: dict[str, int] = {status.value: 0 for status in Status} | {"accepted": 0}

    async def deliver(self, trigger: Trigger, traceparent: str | None = None) -> tuple[Outcome, LivePop | None]:
        """Publish one trigger's pop exactly once and say what became of it at once."""
        now = self.now()
        document = pop.Pop(
            popid=pop.new_id(now),
            event=trigger.event,
            agentid=trigger.agentid,
            crmid=trigger.crmid,
            ctiid=trigger.ctiid,
            sent=times.stamp(now),
            expires=times.stamp(now + trigger.ttl),
            ack=topics.ack(trigger.customer, trigger.agentid),
            traceparent=traceparent,
            data=trigger.data,
        )
        payload = pop.encode(document)
        if len(payload) > LARGEST_PAYLOAD:
            raise errors.payload_too_large("The payload to be published", len(payload), LARGEST_PAYLOAD)
        broker = self._broker()
        if trigger.controls.dryrun:
            receivers = broker.desktops(trigger.topic)
            return Outcome(None, Status.SENT if receivers else Status.HELD, trigger.topic, receivers), None
        agent = (trigger.customer, trigger.agentid)
        self._admit(agent)
        live = LivePop(self, document.popid, agent, Message(trigger.topic, payload), trigger.ttl)
        self._live[live.popid] = live
        self._remind(live)
        self.counted["accepted"] += 1
        receivers = await self._publish(live, Audience.EVERYBODY)
        return Outcome(live.popid, live.status, trigger.topic, receivers), live

    async def wait(self, live: LivePop, seconds: float, until: Literal["shown", "delivered"]) -> tuple[Status, int]:
        """Wait until the pop got as far as the caller asks, or time is up.

        Give the status reached, and the milliseconds since the trigger was accepted.
        """
        enough = FINAL | {Status.DELIVERED} if until == "delivered" else FINAL
        live.changed = live.changed or asyncio.Event()
        try:
            async with asyncio.timeout(seconds):
                while live.status not in enough and not self._stopping:
                    live.changed.clear()
                    await live.changed.wait()
        except TimeoutError:
            pass
        return live.status, max(0, round((self.now() - live.accepted) * 1000))

    @property
    def accepting(self) -> bool:
        """Whether there is room for another pop."""
        return self.open < self._bounds.max_open

    def answer_waits(self) -> None:
        """Let every wait end with what is known: the bridge stops."""
        self._stopping = True
        for live in self._live.values():
            if live.changed is not None:
                live.changed.set()

    def move(self, live: LivePop, status: Status) -> None:
        """Take one step of a pop's life; a step that the lifecycle does not know changes nothing."""
        before = live.status
        if status is before or not may_follow(before, status):
            return
        live.status = status
        self.counted[status.value] += 1
        if before in OPEN and status not in OPEN and not live.past:
            self._close(live)
        if live.changed is not None:
            live.changed.set()

    def settle(self, live: LivePop) -> None:
        """Tell `held` or `sent` anew after one of the copies changed."""
        status = live.copies.after(live.status)
        if status is Status.HELD and not live.copies.awaiting:
            live.copies.written = False
            self._held.setdefault(live.agent, OrderedDict())[live.popid] = live
            self._rouse(live.agent)
        self.move(live, status)

    def listening(self, principal: Principal, filters: Collection[str]) -> None:
        """See `Listener`: what was held for this agent may go out now."""
        del filters
        if principal.role is Role.DESKTOP and principal.agent is not None:
            self._rouse((principal.customer, principal.agent))

    def left(self, principal: Principal, remaining: int) -> None:
        """See `Listener`: the copies tell of themselves."""

    def arrived(self, principal: Principal, topic: str, payload: bytes, ticket: Ticket) -> bool:
        """See `Listener`: a desktop tells of a pop; what does not fit is one WARN line and changes nothing."""
        del ticket
        if principal.role is not Role.DESKTOP or not topic.startswith("ACK/"):
            return False
        try:
            told = msgspec.json.decode(payload, type=Told)
        except msgspec.DecodeError:
            if not _says_something_else(payload):
                log.warning("agent %r of %s: a message on its ACK topic is none", principal.agent, principal.customer)
            return False
        live = self._live.get(told.popid)
        if live is None or live.agent != (principal.customer, principal.agent) or not _was_sent(live):
            log.warning(
                "agent %r of %s: %s for a pop that was not sent to it, or is done",
                principal.agent,
                principal.customer,
                told.outcome,
            )
            return False
        self.move(live, Status(told.outcome))
        return False

    async def run(self) -> None:
        """Release what is held when a desktop listens, and end what nobody had in time, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._release(), name="delivery: release")
            group.create_task(self._expire(), name="delivery: expire")

    def _admit(self, agent: Agent) -> None:
        if not self.accepting:
            raise errors.overloaded("Too many pops are held or unacknowledged")
        if self._open.get(agent, 0) >= self._bounds.max_open_per_agent:
            raise errors.overloaded("Too many pops of this agent are held or unacknowledged")
        # Delivered pops are kept for what a desktop may yet say of them; the oldest give way.
        if len(self._live) >= 2 * self._bounds.max_open:
            self._forget_oldest()
        self.open += 1
        self._open[agent] = self._open.get(agent, 0) + 1

    def _forget_oldest(self) -> None:
        for popid, live in self._live.items():
            if live.past or live.status not in OPEN:
                del self._live[popid]
                return

    async def _publish(self, live: LivePop, audience: Audience) -> int:
        receipt = await self._broker().publish(live.message, audience, live)
        live.copies.awaiting += receipt.awaiting
        live.copies.written = live.copies.written or receipt.written > 0
        live.copies.unproven = live.copies.unproven or receipt.awaiting < receipt.desktops
        self.settle(live)
        return receipt.desktops

    def _rouse(self, agent: Agent) -> None:
        if agent in self._held:
            self._awake[agent] = None
            self._wake.set()

    def _close(self, live: LivePop) -> None:
        self.open -= 1
        left = self._open[live.agent] - 1
        if left:
            self._open[live.agent] = left
        else:
            del self._open[live.agent]
        self._unhold(live)
        # It will not be sent again: what it carried need not stay.
        live.message = Message(live.message.topic, b"")

    def _remind(self, live: LivePop) -> None:
        if len(self._due) > 2 * len(self._live) + 1000:
            self._due = [
                (other.expires + (HEEDED if other.past else 0), other.popid) for other in self._live.values()
            ]
            heapq.heapify(self._due)
        else:
            heapq.heappush(self._due, (live.expires, live.popid))
        if self._due[0][1] == live.popid:
            self._next_due.set()

    def _unhold(self, live: LivePop) -> None:
        held = self._held.get(live.agent)
        if held is not None and held.pop(live.popid, None) is not None and not held:
            del self._held[live.agent]

    async def _release(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            awake, self._awake = self._awake, {}
            for agent in awake:
                for live in list(self._held.get(agent, {}).values()):
                    if not live.stale() and self._broker().desktops(live.message.topic):
                        self._unhold(live)
                        await self._publish(live, Audience.DESKTOPS)

    async def _expire(self) -> None:
        while True:
            self._next_due.clear()
            while self._due and self._due[0][0] <= self.now():
                live = self._live.get(heapq.heappop(self._due)[1])
                if live is None:
                    continue
                if live.past or live.status in FINAL:
                    del self._live[live.popid]
                elif expires(live.status, live.copies):
                    del self._live[live.popid]
                    self.move(live, Status.EXPIRED)
                else:
                    if live.status in OPEN:
                        self._close(live)
                    live.past = True
                    heapq.heappush(self._due, (live.expires + HEEDED, live.popid))
            pause = max(self._due[0][0] - self.now(), 0.01) if self._due else None
            try:
                async with asyncio.timeout(pause):
                    await self._next_due.wait()
            except TimeoutError:
                continue


def _was_sent(live: LivePop) -> bool:
    return live.copies.written or live.copies.unproven or live.status not in OPEN


def _says_something_else(payload: bytes) -> bool:
    """Know the other messages of CONTRACT 5 on this topic: a record's state, and the desktop's will."""
    try:
        said = msgspec.json.decode(payload, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return False
    return said.keys() in ({"record", "state"}, {"desktop", "state"})
