"""Delivery: from an admitted trigger to the desktops, and what became of it, told to whoever waits."""

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Literal

from bridge.broker.port import Audience, Broker, Message, Receipt, Ticket
from bridge.delivery import desks, lifecycle
from bridge.delivery.claiming import Claiming
from bridge.delivery.claims import Claims, Taken
from bridge.delivery.desks import Desks, Moved, Told
from bridge.delivery.funnel import Funnel
from bridge.delivery.lifecycle import ACCEPTED, DELIVERED, FINAL, HELD, OPEN, REFUSED, Status, may_follow
from bridge.delivery.live import LivePop, LivePops
from bridge.delivery.outcome import Outcome, document, entry, first_steps, short, so_far
from bridge.ledger.ledger import Ledger
from bridge.records.records import Agent, Opened, Records, State
from bridge.words import errors, pop
from bridge.words.ledger import Remembered, Unavailable
from bridge.words.principal import Principal, Role
from bridge.words.settings import Delivery as Bounds
from bridge.words.trigger import Channel, Trigger

LARGEST_PAYLOAD = 131_072
RELEASED_AT_ONCE = 50  # held pops under way to one agent; more would be cut off as a slow desktop's queue

log = logging.getLogger("popbridge.delivery")

Until = Literal["shown", "delivered"]


Remember = Callable[[Outcome], Remembered | None]


class Delivery:
    """The flow: admit, claim, record, publish; then whatever the broker and the desktops tell of it."""

    def __init__(
        self,
        broker: Callable[[], Broker],
        ledger: Ledger,
        records: Records,
        claims: Claims,
        desks_: Desks,
        bounds: Bounds,
        now: Callable[[], float],
    ) -> None:
        self._broker = broker
        self._ledger = ledger
        self._records = records
        self._claiming = Claiming(claims, desks_)
        self._desks = desks_
        self.live = LivePops(bounds, self._forgotten)
        self.now = now
        self._awake: dict[Agent, None] = {}
        self._wake = asyncio.Event()
        self._unacknowledged: list[Ticket] = []
        self._told_something = asyncio.Event()
        self._stopping = False
        self.counted: dict[str, int] = {status.value: 0 for status in Status}
        self.funnel = Funnel()

    async def deliver(
        self, trigger: Trigger, credential: str, identity: bytes | None, remember: Remember | None = None
    ) -> tuple[Outcome, LivePop | None]:
        """Record one trigger's pop and publish it exactly once; say what became of it at once.

        `identity` is what the duplicate guard knows it by; `remember` makes the answer to an idempotency key, which
        is committed with the pop. Raises `payload_too_large` or `overloaded`: then nothing was recorded or published.
        """
        now = self.now()
        popid = pop.new_id(now)
        agent = (trigger.customer, trigger.agentid)
        payload = pop.encode(document(trigger, popid, now))
        if len(payload) > LARGEST_PAYLOAD:
            raise errors.payload_too_large("The payload to be published", len(payload), LARGEST_PAYLOAD)
        reference = _record_of(trigger.channel, trigger.reference, popid)
        # A pop that is neither judged nor foretold learns who listens when it is published.
        judged = trigger.controls.dryrun or trigger.refusal is not None or reference is not None
        receivers = self._broker().desktops(trigger.topic) if judged else 0
        if trigger.controls.dryrun:
            return self._claiming.foretell(agent, reference, trigger, receivers), None
        self.live.see_room(agent)
        expires = now + trigger.ttl
        live = LivePop(self, popid, agent, trigger.topic, payload, now, expires, reference, trigger.campaign)
        decided = self._claiming.decide(live, trigger.refusal, receivers) if judged else None
        if decided is not None:
            live.status = decided
        answer = remember(so_far(live, 0)) if remember else None
        try:
            # Committed before anybody hears of it.
            await self._ledger.accept(
                entry(live, trigger, credential, identity), first_steps(live), answer, final=decided is not None
            )
        except Unavailable as unavailable:
            raise self._unrecorded(live, unavailable) from None
        self._count(live, None, ACCEPTED, now)
        if decided is not None:
            self._count(live, ACCEPTED, decided, now, live.refusal)
            self._tell_failure(live)
            return so_far(live, receivers), None
        self.live.add(live, self.now())
        if live.taken is None and live.reference is not None and self._broker().desktops(trigger.topic):
            # A desktop came while the pop was being recorded: what it needs is still to be taken.
            late = self._claiming.take(live)
            if late is not None:
                self._end(live, late)
                return so_far(live, receivers), None
        receipt = await self._broker().publish(Message(live.topic, payload), Audience.EVERYBODY, live)
        self._published(live, receipt)
        return so_far(live, receipt.desktops), live

    def duplicate(self, trigger: Trigger, first: str) -> Outcome:
        """Say of a trigger whose twin was popped a moment ago what became of that one."""
        receivers = self._broker().desktops(trigger.topic)
        live = self.live.get(first)
        status = live.status if live is not None else Status.EXPIRED
        return Outcome(popid=first, status=status, topic=trigger.topic, receivers=receivers)

    async def wait(self, live: LivePop, seconds: float, until: Until) -> int:
        """Wait until the pop got as far as asked, or time is up; give the milliseconds since its acceptance."""
        enough = FINAL | {Status.DELIVERED} if until == "delivered" else FINAL
        live.changed = live.changed or asyncio.Event()
        try:
            async with asyncio.timeout(seconds):
                while live.status not in enough and not self._stopping:
                    live.changed.clear()
                    await live.changed.wait()
        except TimeoutError:
            pass
        return max(0, round((self.now() - live.accepted) * 1000))

    async def recall(self, live: LivePop) -> None:
        """Withdraw a pop, before or after it was delivered; raise `too_late` once it is shown, refused or expired."""
        if live.status in lifecycle.TOO_LATE:
            raise errors.too_late(live.status)
        was_sent = live.was_sent
        self._claiming.give_back(live)
        self.move(live, Status.RECALLED)
        if was_sent:
            await self._desks.recall(live.agent, live.popid)

    async def take_up(self) -> None:
        """Hold again what was open when the process ended; each agent's records wait for it as for one who left."""
        for record in sorted(await self._ledger.records(), key=lambda one: one.at):
            self._records.restore((record.customer, record.agent), record.reference, State(record.state))
            self._desks.left((record.customer, record.agent))
        for kept, status in await self._ledger.take_up(self.now()):
            live = LivePop(
                self,
                kept.popid,
                (kept.customer, kept.agent),
                kept.topic,
                kept.payload,
                kept.sent,
                kept.expires,
                _record_of(kept.channel, kept.reference, kept.popid),
                kept.campaign,
            )
            live.status = Status(status)
            # A pop leaves before `sent` is written down: even one that was held may have reached a desktop.
            live.was_sent = True
            if live.status is not Status.HELD and live.reference is not None:
                # The record that was opened for it is its own, so that giving it back lets the pop open it again.
                live.taken = Taken(Opened(), seat=False)
            self.live.add(live, self.now())
            if live.status in OPEN:
                self.settle(live)

    def answer_waits(self) -> None:
        """Let every wait end with what is known: the bridge stops."""
        self._stopping = True
        for live in self.live.every():
            if live.changed is not None:
                live.changed.set()

    def move(self, live: LivePop, status: Status, detail: str = "") -> None:
        """Take one step of a pop's life; a step that the lifecycle does not know changes nothing."""
        before = live.status
        if not may_follow(before, status):
            return
        live.status = status
        now = self.now()
        self._count(live, before, status, now, detail)
        self._ledger.note(live.popid, status, now, detail, final=status in FINAL)
        if before in OPEN and status not in OPEN:
            self.live.close(live)
            if self.live.holds(live.agent):
                self._rouse(live.agent)
        if live.changed is not None:
            live.changed.set()

    def settle(self, live: LivePop) -> None:
        """See `Flow`: tell `held` or `sent` anew after one of the copies changed."""
        if self._settle(live):
            self._rouse(live.agent)

    def _settle(self, live: LivePop) -> bool:
        """Do so, and say whether the pop is held for want of any copy."""
        if live.status not in OPEN:
            return False
        status = live.copies.after(live.status)
        live.was_sent = live.was_sent or live.copies.written or live.copies.unproven
        idle = not live.copies.awaiting
        if status is HELD and idle:
            live.copies.written = False
            self._claiming.give_back(live)
            self.live.hold(live)
        if live.copies.unproven and idle:
            # Nothing more will be heard of its copies: it need not reach anybody any more.
            self.live.close(live)
        self.move(live, status)
        return status is HELD and idle

    def acknowledged(self, live: LivePop) -> None:
        """See `Flow`."""
        self.move(live, DELIVERED)

    def listening(self, principal: Principal, filters: Collection[str]) -> None:
        """See `Listener`: what was held for this agent may go out now."""
        del filters
        if principal.role is Role.DESKTOP and principal.agent is not None:
            agent = (principal.customer, principal.agent)
            self._ledger.seen(*agent, self.now())
            self._desks.came(agent)
            self._rouse(agent)

    def left(self, principal: Principal, remaining: int) -> None:
        """See `Listener`."""
        if principal.agent is not None:
            agent = (principal.customer, principal.agent)
            self._ledger.seen(*agent, self.now())
            if not remaining:
                self._desks.left(agent)

    def arrived(self, principal: Principal, topic: str, payload: bytes, ticket: Ticket) -> bool:
        """See `Listener`: a desktop tells of a pop or a record; what does not fit is one WARN line.

        It is acknowledged once what it told is written down: a desktop that hears nothing tells it again.
        """
        if principal.role is not Role.DESKTOP or principal.agent is None or not topic.startswith("ACK/"):
            return False
        agent = (principal.customer, principal.agent)
        match desks.read(payload):
            case Told() as told:
                self._told(agent, told)
            case Moved() as moved:
                self._desks.moved(agent, moved)
            case None:
                log.warning("agent %r of %s: a message on its ACK topic is none", agent[1], agent[0])
                return False
            case _:
                return False
        self._unacknowledged.append(ticket)
        self._told_something.set()
        return True

    async def run(self) -> None:
        """Release what is held when a desktop listens, and end what nobody had in time, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._release(), name="delivery: release")
            group.create_task(self._expire(), name="delivery: expire")
            group.create_task(self._desks.run(), name="delivery: desks")
            group.create_task(self._acknowledge(), name="delivery: acknowledge")

    def _forgotten(self, live: LivePop) -> None:
        self._desks.opened(live.agent, live.popid)

    def _told(self, agent: Agent, told: Told) -> None:
        live = self.live.get(told.popid)
        if live is not None and live.agent == agent and live.status == told.outcome:
            return  # another desktop of the agent says the same
        if (
            live is None
            or live.agent != agent
            or not live.was_sent
            or not may_follow(live.status, Status(told.outcome))
        ):
            log.warning(
                "agent %r of %s: %s for a pop that was not sent to it, or is done", agent[1], agent[0], told.outcome
            )
            return
        reason, suspended = short(told.reason), short(told.suspended)
        if told.outcome == "refused":
            self._claiming.give_back(live)
        elif told.outcome == "shown" and live.taken is None:
            self._claiming.take_shown(live)
        self.move(live, Status(told.outcome), reason or suspended or "")
        live.reason, live.suspended = reason, suspended
        self._tell_failure(live)
        self._desks.opened(agent, live.popid)

    def _unrecorded(self, live: LivePop, unavailable: Unavailable) -> errors.Fault:
        self._claiming.give_back(live)
        # The ledger itself says once that it fails; a line for each trigger would flood a disk that may be full.
        log.debug("the ledger cannot be written: %s", unavailable)
        return errors.overloaded("The pop could not be recorded")

    def _count(self, live: LivePop, before: Status | None, status: Status, at: float, detail: str = "") -> None:
        """Count a step, in the one place where all pass: for the metrics, and for the funnel."""
        self.counted[status] += 1
        earlier = (live.refusal or live.suspended or "") if before is REFUSED else ""
        self.funnel.step(live.agent[0], live.accepted, before, status, at, detail, earlier)

    def _published(self, live: LivePop, receipt: Receipt) -> None:
        copies = live.copies
        copies.awaiting += receipt.awaiting
        if receipt.written:
            copies.written = True
        if receipt.awaiting < receipt.desktops:
            copies.unproven = True
        # Not roused: who could take it was just asked, and a desktop that is being cut off still seems to be there.
        self._settle(live)

    def _rouse(self, agent: Agent) -> None:
        self._awake[agent] = None
        self._wake.set()

    def _tell_failure(self, live: LivePop) -> None:
        if live.status is Status.REFUSED or (live.status is Status.EXPIRED and live.reference is not None):
            log.warning(
                "pop %s for agent %r of %s, campaign %r: %s%s%s",
                live.popid,
                live.agent[1],
                live.agent[0],
                live.campaign,
                live.status,
                f", {live.reason!r}" if live.reason else "",
                f" (open at agent {live.holder!r})" if live.holder else "",
            )

    async def _release(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            awake, self._awake = self._awake, {}
            for agent in awake:
                for live in self.live.held(agent):
                    if self.live.under_way(agent) >= RELEASED_AT_ONCE:
                        break
                    if not live.stale() and self._broker().desktops(live.topic):
                        await self._release_one(live)

    async def _release_one(self, live: LivePop) -> None:
        decided = self._claiming.take(live)
        if decided is None:
            self.live.unhold(live)
            message = Message(live.topic, live.payload)
            self._published(live, await self._broker().publish(message, Audience.DESKTOPS, live))
            return
        self._end(live, decided)
        if decided is Status.REFUSED and live.reference is not None:
            self._desks.refuse(live.agent, live.reference, live.reason or "")

    def _end(self, live: LivePop, decided: Status) -> None:
        """End an accepted pop before it is published."""
        self.move(live, decided, live.refusal)
        self._tell_failure(live)

    async def _acknowledge(self) -> None:
        while True:
            await self._told_something.wait()
            self._told_something.clear()
            tickets, self._unacknowledged = self._unacknowledged, []
            await self._ledger.settled()
            for ticket in tickets:
                ticket.release()

    async def _expire(self) -> None:
        while True:
            self.live.nearer.clear()
            while (live := self.live.due(self.now())) is not None:
                if lifecycle.expires(live.status, live.copies):
                    self._claiming.give_back(live)
                    self.move(live, Status.EXPIRED)
                    self._tell_failure(live)
                    self.live.forget(live)
                else:
                    # It keeps its status; a desktop may yet say what it did with it. What was delivered, the ledger
                    # closes by its time, many at once: only what went out unproven would end there as `expired`.
                    if live.status in OPEN:
                        self._ledger.close(live.popid)
                    self.live.close(live)
                    self._desks.opened(live.agent, live.popid)
            due = self.live.next_due()
            try:
                async with asyncio.timeout(None if due is None else max(due - self.now(), 0.01)):
                    await self.live.nearer.wait()
            except TimeoutError:
                continue


def _record_of(channel: str, reference: str | None, popid: str) -> str | None:
    """Name the record that a pop opens: only the Cloud API's open one, and without a reference it is the pop's own."""
    return (reference or popid) if channel == Channel.CLOUD else None
