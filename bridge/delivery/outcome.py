"""Outcome: what a pop says to its desktops, what is written down of it, and what its caller is told."""

import msgspec

from bridge.delivery.lifecycle import ACCEPTED, HELD, Status
from bridge.delivery.live import LivePop
from bridge.words import pop, times, topics
from bridge.words.ledger import Entry, Step
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


def entry(live: LivePop, trigger: Trigger, credential: str, identity: bytes | None) -> Entry:
    """Make what the ledger keeps of a pop; `credential` is the id of the caller's."""
    return Entry(
        popid=live.popid,
        customer=trigger.customer,
        agent=trigger.agentid,
        channel=trigger.channel,
        event=trigger.event,
        campaign=trigger.campaign,
        reference=trigger.reference,
        topic=trigger.topic,
        payload=live.payload,
        sent=live.accepted,
        expires=live.expires,
        key=credential,
        fingerprint=identity,
    )


def first_steps(live: LivePop) -> list[Step]:
    """List the steps of a pop when it is written down first: its acceptance, and what ended it at once, if it did."""
    accepted = Step(ACCEPTED, live.accepted)
    return [accepted] if live.status is ACCEPTED else [accepted, Step(live.status, live.accepted, live.refusal)]


def short(text: str | None) -> str | None:
    """Keep of a desktop's word what a person reads."""
    return None if text is None else text[:LONGEST_WORD]


def so_far(live: LivePop, receivers: int) -> Outcome:
    """Say what became of a pop until now; `receivers` is of its first publication."""
    return Outcome(
        popid=live.popid,
        status=HELD if live.status is ACCEPTED else live.status,
        topic=live.topic,
        receivers=receivers,
        reason=live.reason,
        holder=live.holder,
        suspended=live.suspended,
    )
