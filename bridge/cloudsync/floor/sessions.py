"""Sessions: a chat or video session that goes on, as its facts tell."""

import msgspec

from bridge.words.cloudsync import Fact, Folded, Post

ENTITIES = frozenset({"ChatSession", "VideoSession"})

_LETS_GO = {Post.AGENT_ACCEPTED, Post.AGENT_DECLINED, Post.AGENT_MISSED}


class Session(msgspec.Struct, frozen=True):
    """A session that waits, or is in progress since `answered`. `agent` is "" if nobody has it, or is offered it."""

    entity: str
    channel: str
    group: str
    agent: str
    queued: int
    answered: int | None


def read(entity: str, folded: Folded) -> Session | None:
    """Say how a session stands; None if it is over, or nothing is known of it yet."""
    queued = busy = None
    ringing = ""
    for fact in folded.facts:
        if fact.post is Post.SPAN_QUEUED:
            queued = fact if queued is None or fact.at >= queued.at else queued
        elif fact.post is Post.SPAN_BUSY and fact.until is None:
            busy = fact
        elif fact.post is Post.AGENT_OFFERED:
            ringing = fact.agent
        elif fact.post in _LETS_GO and fact.agent == ringing:
            ringing = ""
    if busy is not None:
        began = queued.at if queued else busy.at
        answered = queued.until if queued and queued.until is not None else busy.at
        return Session(entity, busy.channel, busy.group, busy.agent, began, answered)
    if queued is not None and queued.until is None:
        return Session(entity, queued.channel, queued.group, ringing, queued.at, None)
    return None


def told_at(folded: Folded) -> int:
    """Find when a record was last told of, by what is in it."""
    modified = folded.state.get("LastModifiedDate")
    return max([_latest(fact) for fact in folded.facts] + ([modified] if isinstance(modified, int) else []), default=0)


def _latest(fact: Fact) -> int:
    return fact.at if fact.until is None else max(fact.at, fact.until)
