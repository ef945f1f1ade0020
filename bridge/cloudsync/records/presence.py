"""Presence: a stretch of an agent's presence: each record is one, from StatusStartDate to StatusEndDate.

Where IsCurrentState turned false without an end, it ended at that commit. The category is the mapped one; an unmapped
presence status holds nothing back: its category is `away` if IsAway says so, else "" (there, doing nobody knows what).
"""

from bridge.cloudsync.events import ids
from bridge.cloudsync.records.timeline import Timeline
from bridge.words.cloudsync import Fact, Folded, Kind, Mapping, Post


def fold(timeline: Timeline, mapping: Mapping) -> Folded:
    """Fold a presence."""
    state = timeline.state()
    ended = gone = None
    for step in timeline.steps:
        current = step.fields.get("IsCurrentState")
        if current is True:
            ended = None
        elif current is False and ended is None:
            ended = step.at
        for turn in step.turns:
            gone = step.at if turn is Kind.DELETE else None
    user, status, start, end = (
        state.get(name) for name in ("UserId", "PresenceStatusId", "StatusStartDate", "StatusEndDate")
    )
    known = isinstance(user, str) and isinstance(start, int)
    facts = []
    flags = []
    if isinstance(user, str) and isinstance(start, int):
        until = end if isinstance(end, int) else ended
        if until is None:
            until = gone
        if until is not None and until < start:
            flags.append("clamped")
            until = start
        category = mapping.presence.get(str(status)) or ("away" if state.get("IsAway") is True else "")
        facts.append(
            Fact(Post.SPAN_PRESENCE, start, timeline.record, agent=user, detail=category, until=until, arrival=start)
        )
    mentioned = {
        f"{kind}:{value}"
        for step in timeline.steps
        for kind, value in (("user", step.fields.get("UserId")), ("presence", step.fields.get("PresenceStatusId")))
        if isinstance(value, str) and ids.is_long(value)
    }
    return Folded(
        facts=facts,
        state=state,
        deleted=gone is not None,
        dirty=timeline.gap or (not known and not timeline.fetched),
        flags=flags,
        ids=sorted(mentioned),
    )
