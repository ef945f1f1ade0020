"""Fold: all that is known of a record, in whatever order and however often it came, as what became of it."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from bridge.cloudsync.records import contacts, presence, tickets, timeline
from bridge.words.cloudsync import Change, Folded, Mapping

AHEAD: Final = 60_000
"""How far a record's time may be ahead of the bridge's clock before it is flagged (`ahead`): milliseconds."""

_BY_ENTITY: dict[str, Callable[[timeline.Timeline, Mapping], Folded]] = {
    "SupportTicket": tickets.fold,
    "ChatSession": contacts.chat,
    "VideoSession": contacts.video,
    "UserPresence": presence.fold,
}


def fold(entity: str, changes: Sequence[Change], mapping: Mapping, now: int) -> Folded:
    """Fold the changes of one record. `now` decides nothing but whether its clock is called `ahead`.

    Dirty is a record with a gap that no fetch has settled, or whose beginning nobody has told and no fetch has shown.
    `ids` are `user:ID`, `group:ID`, `presence:ID`, and `status:ENTITY:NAME`.
    """
    history = timeline.read(changes)
    if not history.steps:
        return Folded(facts=[], state={}, dirty=history.gap)
    folded = _BY_ENTITY[entity](history, mapping)
    if history.last > now + AHEAD:
        return msgspec.structs.replace(folded, flags=[*folded.flags, "ahead"])
    return folded
