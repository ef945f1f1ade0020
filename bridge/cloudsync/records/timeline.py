"""Timeline: all that is known of a record, told in the order in which it happened, each change once.

Change Data Capture says what changed. A PushTopic or a GET only shows how the record looked: what it shows that Change
Data Capture tells too, near that time, is no change of its own (so that the same change seen twice keeps the commit's
time). What it shows beyond that happened when it was looked at.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

import msgspec

from bridge.words.cloudsync import Change, Kind, Source, Value

NEAR = 30_000
"""How far a PushTopic's time may lie from the commit that it tells of: saving comes before it, sending after."""

_SECOND = 999
"""LastModifiedDate is often cut to the second: a record fetched with it is as it was at the end of that second."""

_GONE = "(gone)"
_GAP_TURNS = {"GAP_DELETE": Kind.DELETE, "GAP_UNDELETE": Kind.UNDELETE}


class Step(msgspec.Struct, gc=False):
    """What happened to a record in one commit.

    `told`: Change Data Capture said that it changed so; else it was only seen. `parts` are the fields of its events, in
    order. `turns` has its DELETEs and UNDELETEs, in order.
    """

    at: int
    fields: dict[str, Value]
    parts: list[dict[str, Value]]
    told: bool
    turns: tuple[Kind, ...] = ()


class Timeline(msgspec.Struct, gc=False):
    """A record's steps; the first is its creation where that was told.

    `whole`: it was told by Change Data Capture, so that a field it does not name was empty. `gap`: something has
    happened that must be fetched. `fetched`: it was fetched at least once.
    """

    record: str
    steps: list[Step]
    born: bool
    whole: bool
    gap: bool
    fetched: bool
    last: int

    def first(self, name: str) -> Value:
        """Give the first value known of a field that is not null."""
        for step in self.steps:
            value = step.fields.get(name)
            if value is not None:
                return value
        return None

    def state(self) -> dict[str, Value]:
        """Give the fields as they are now."""
        state: dict[str, Value] = {}
        for step in self.steps:
            state.update(step.fields)
        return state

    def at_first(self, name: str) -> Value:
        """Give the value that is known first, null too."""
        for step in self.steps:
            if name in step.fields:
                return step.fields[name]
        return None

    def seen_before(self, name: str) -> Value:
        """Give a field's value from before anything was told of it: what was seen first, if it was seen, not told."""
        for step in self.steps:
            if name in step.fields:
                return None if step.told else step.fields[name]
        return None


def read(changes: Sequence[Change]) -> Timeline:
    """Put changes in order, in whatever order and however often they are given."""
    ordered = _ordered(changes)
    born = next((change for change in ordered if change.kind is Kind.CREATE and change.source is Source.CDC), None)
    whole = born is not None
    if born is None:
        born = next((change for change in ordered if change.kind is Kind.CREATE), None)
    if born is not None and ordered[0] is not born:
        ordered.remove(born)
        ordered.insert(0, born)
    seen = any(change.source is not Source.CDC for change in ordered)
    return Timeline(
        record=ordered[0].record if ordered else "",
        steps=_steps(_only_changes(ordered) if seen else ordered),
        born=born is not None,
        whole=whole,
        gap=_has_gap(ordered),
        fetched=seen and any(change.source is Source.REST for change in ordered),
        last=max((change.at for change in ordered), default=0),
    )


def _order(change: Change) -> tuple[int, int, int, str]:
    if change.source is Source.REST:
        return (_end(change), 1 << 63, 0, change.identity)
    return (change.at, change.number, change.sequence, change.identity)


def _end(change: Change) -> int:
    return change.at if change.at % 1000 else change.at + _SECOND


def _ordered(changes: Sequence[Change]) -> list[Change]:
    unique = {change.identity: change for change in changes}
    if len(unique) < len(changes):
        # One identity should have one content; should it not, then which one stays must not depend on the order.
        for change in changes:
            kept = unique[change.identity]
            if change is not kept and change != kept:
                unique[change.identity] = min(change, kept, key=msgspec.json.encode)
    return sorted(unique.values(), key=_order)


def _has_gap(ordered: Iterable[Change]) -> bool:
    """Say whether a gap has not been settled by a fetch, by its time or by what it showed (the CRM's clock differs)."""
    gaps = [change for change in ordered if change.kind is Kind.GAP]
    if not gaps:
        return False
    settled = max(
        (max(_end(change), change.number) for change in ordered if change.source is Source.REST),
        default=-1,
    )
    return any(gap.at > settled for gap in gaps)


def _steps(ordered: Iterable[Change]) -> list[Step]:
    steps: list[Step] = []
    last: Step | None = None
    number = 0
    for change in ordered:
        kind, said, told = change.kind, change.fields, change.source is Source.CDC
        if kind is Kind.GAP:
            turn = _GAP_TURNS.get(str(said.get("gap")))
            if turn is None:
                continue
            kind, said = turn, {}
        turns = (kind,) if kind is Kind.DELETE or kind is Kind.UNDELETE else ()
        if last is not None and told and last.told and last.at == change.at and number == change.number:
            last.fields = {**last.fields, **said}
            last.parts.append(said)
            last.turns += turns
            continue
        if not (said or turns or told) and steps:
            continue
        last = Step(change.at, said, [said], told, turns)
        number = change.number
        steps.append(last)
    return steps


class _Past:
    """The values that each field has had, by what is known so far."""

    def __init__(self, changes: Iterable[Change]) -> None:
        self._times: dict[str, list[int]] = {}
        self._values: dict[str, list[Value]] = {}
        self._born: int | None = None
        for change in changes:
            if change.kind is Kind.CREATE and change.source is Source.CDC and self._born is None:
                self._born = change.at
            self.add(change)

    def add(self, change: Change) -> None:
        """Learn what a change set, behind all that was set by then."""
        for name, value in _shown(change).items():
            times = self._times.setdefault(name, [])
            place = bisect_right(times, change.at)
            times.insert(place, change.at)
            self._values.setdefault(name, []).insert(place, value)

    def had(self, name: str, value: Value, start: int, end: int) -> bool:
        """Say whether the field had this value at some moment from just before start to end."""
        times = self._times.get(name)
        if times is None:
            return value is None and self._born is not None and self._born <= end
        low = bisect_left(times, start)
        if value in self._values[name][max(low - 1, 0) : bisect_right(times, end)]:
            return True
        return value is None and low == 0 and self._born is not None and self._born <= end


def _shown(change: Change) -> dict[str, Value]:
    """What a change says of the fields, and of being there at all."""
    if change.kind is Kind.GAP:
        turn = _GAP_TURNS.get(str(change.fields.get("gap")))
        return {} if turn is None else {_GONE: turn is Kind.DELETE}
    if change.kind is Kind.DELETE:
        return {**change.fields, _GONE: True}
    if change.kind is Kind.UNDELETE or change.source is Source.REST:
        return {**change.fields, _GONE: False}
    return change.fields


def _only_changes(ordered: list[Change]) -> list[Change]:
    """Leave of what was seen only what nobody told: first of PushTopics, then, by both, of GETs."""
    first = ordered[0].identity
    told = [change for change in ordered if change.source is Source.CDC]
    topics = [change for change in ordered if change.source is Source.TOPIC]
    if told and topics:
        past = _Past(told)
        for place, topic in enumerate(topics):
            topics[place] = _unexplained(topic, past, topic.at - _before(topic), topic.at + NEAR)
            past.add(topics[place])
    fetched = [change for change in ordered if change.source is Source.REST]
    if fetched:
        past = _Past(sorted(told + topics, key=_order))
        fetched = [_unexplained(change, past, change.at, _end(change)) for change in fetched]
    return sorted(told + topics + fetched, key=lambda change: (change.identity != first, *_order(change)))


def _before(topic: Change) -> int:
    """How far back a PushTopic may look: LastModifiedDate is never after what it shows, createdDate is sent later."""
    return 0 if "LastModifiedDate" in topic.fields else NEAR


def _unexplained(change: Change, past: _Past, start: int, end: int) -> Change:
    if change.kind is Kind.GAP:
        return change
    shown = _shown(change)
    gone = shown.get(_GONE)
    kind: Kind = Kind.CREATE if change.kind is Kind.CREATE else Kind.UPDATE
    if gone is not None and not past.had(_GONE, gone, start, end):
        if gone:
            kind = Kind.DELETE
        elif change.kind is Kind.UNDELETE or past.had(_GONE, True, 0, start):
            kind = Kind.UNDELETE
    new = {name: value for name, value in change.fields.items() if not past.had(name, value, start, end)}
    return msgspec.structs.replace(change, kind=kind, fields=new)
