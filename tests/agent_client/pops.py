"""Pops for tests."""

import time

import msgspec

from bridge.words import pop as documents
from bridge.words import times, topics
from bridge.words.pop import Pop


def pop(
    reference: str | None = None,
    *,
    campaign: str | None = None,
    popid: str | None = None,
    lives: float = 60.0,
    now: float | None = None,
    **data: object,
) -> Pop:
    moment = time.time() if now is None else now
    return Pop(
        popid=popid or documents.new_id(moment),
        event=None if campaign else "On Ring",
        agentid="1001",
        campaign=campaign,
        reference=reference,
        sent=times.stamp(moment),
        expires=times.stamp(moment + lives),
        ack=topics.ack("acme", "1001"),
        data={name: msgspec.Raw(msgspec.json.encode(value)) for name, value in data.items()},
    )
