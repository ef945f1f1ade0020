"""Outcome: what a pop says to its desktops, and what its caller is told of it."""

import msgspec

from bridge.delivery.lifecycle import Status
from bridge.delivery.live import LivePop
from bridge.words import pop, times, topics
from bridge.words.trigger import Trigger

LONGEST_WORD = 256  # characters of what a desktop says of a pop, such as a reason


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the caller is told. `popid` is None for a dry run."""

    popid: str | None = None
    status: Status
    topic: str
    receivers: int
    reason: str | None = None
    holder: str | None = None
    suspended: str | None = None


def document(trigger: Trigger, popid: str, now: float) -> pop.Pop:
    """Make the document that reaches the desktops."""
    return pop.Pop(
        popid=popid,
        event=trigger.event,
        agentid=trigger.agentid,
        crmid=trigger.crmid,
        ctiid=trigger.ctiid,
        campaign=trigger.campaign,
        reference=trigger.reference,
        sent=times.stamp(now),
        expires=times.stamp(now + trigger.ttl),
        ack=topics.ack(trigger.customer, trigger.agentid),
        traceparent=trigger.traceparent,
        fields=trigger.fields,
        variables=trigger.variables,
        data=trigger.data,
    )


def short(text: str | None) -> str | None:
    """Keep of a desktop's word what a person reads."""
    return None if text is None else text[:LONGEST_WORD]


def so_far(live: LivePop, receivers: int) -> Outcome:
    """Say what became of a pop until now; `receivers` is of its first publication."""
    return Outcome(
        popid=live.popid,
        status=Status.HELD if live.status is Status.ACCEPTED else live.status,
        topic=live.message.topic,
        receivers=receivers,
        reason=live.reason,
        holder=live.holder,
        suspended=live.suspended,
    )
