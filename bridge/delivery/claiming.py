"""Claiming: what a Cloud pop takes before it is written, and gives back if that comes to nothing."""

from bridge.delivery.claims import Claims, Refused, Taken
from bridge.delivery.desks import Desks
from bridge.delivery.lifecycle import Status
from bridge.delivery.live import LivePop
from bridge.delivery.outcome import Outcome
from bridge.records.records import Agent, Unchanged
from bridge.words.trigger import Trigger


class Claiming:
    """Takes and gives back for pops; lets the desktops hear of an agent's records only when no pop is under way."""

    def __init__(self, claims: Claims, desks: Desks) -> None:
        self._claims = claims
        self._desks = desks

    def take_shown(self, live: LivePop) -> None:
        """Take the record of a pop that a desktop opened after it was given back: refused, or held, meanwhile."""
        if live.reference is None:
            return
        verdict = self._claims.take(live.agent, live.reference)
        match verdict:
            case Taken():
                live.taken = verdict
            case Refused(reason):
                self._desks.refuse(live.agent, live.reference, reason)
            case Unchanged():
                pass

    def foretell(self, agent: Agent, reference: str | None, trigger: Trigger, receivers: int) -> Outcome:
        """Say what a trigger would come to, without taking anything."""
        topic = trigger.topic
        verdict = self._claims.judge(agent, reference) if reference is not None else None
        if trigger.refusal is not None:
            verdict = Refused(trigger.refusal)
        if isinstance(verdict, Refused):
            return Outcome(
                status=Status.REFUSED, topic=topic, receivers=receivers, reason=verdict.reason, holder=verdict.holder
            )
        if isinstance(verdict, Unchanged):
            return Outcome(status=Status.UNCHANGED, topic=topic, receivers=receivers)
        return Outcome(status=Status.SENT if receivers else Status.HELD, topic=topic, receivers=receivers)

    def decide(self, live: LivePop, refusal: str | None, receivers: int) -> Status | None:
        """Say what ends the pop before it is published, if anything does; a pop to be held only has to look hopeful."""
        if refusal is not None:
            live.reason = refusal
            return Status.REFUSED
        if receivers or live.reference is None:
            return self.take(live)
        verdict = self._claims.judge(live.agent, live.reference)
        if isinstance(verdict, Refused):
            live.reason, live.holder = verdict.reason, verdict.holder
            return Status.REFUSED
        return None

    def take(self, live: LivePop) -> Status | None:
        """Take what a Cloud pop needs; give the status that ends it where it cannot be had."""
        if live.reference is None:
            return None
        match self._claims.take(live.agent, live.reference):
            case Taken() as taken:
                live.taken = taken
                self._desks.opening(live.agent, live.popid)
                return None
            case Unchanged():
                return Status.UNCHANGED
            case Refused(reason, holder):
                live.reason, live.holder = reason, holder
                return Status.REFUSED

    def give_back(self, live: LivePop) -> None:
        """Give back what a pop took, if it took anything."""
        if live.taken is not None and live.reference is not None:
            taken, live.taken = live.taken, None
            self._claims.give_back(live.agent, live.reference, taken, written=live.was_sent)
            self._desks.opened(live.agent, live.popid)
