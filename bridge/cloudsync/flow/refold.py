"""Refold: records are folded anew from all that is known of them, and what differs from before is told. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from bridge.cloudsync.events.ids import WHOLE
from bridge.cloudsync.flow.stretches import Stretch, quarters
from bridge.cloudsync.numbers import cim, stt
from bridge.cloudsync.records import fold
from bridge.cloudsync.store.folding import Kept, Known, fact_row, record_row
from bridge.words.cloudsync import Change, Fact, Folded, Kind, Post, Source
from bridge.words.cloudsync import Mapping as Words

Key = tuple[str, str]
"""Entity and record id."""

EARLIEST = 400 * 86_400_000
"""Milliseconds back from now beyond which nothing is computed: as far as CIM can be asked for."""

_OF_STT = stt.HAPPENING | {Post.SPAN_OPEN, Post.SPAN_QUEUED, Post.SPAN_BUSY}
_OF_CIM = cim.COUNTING | {Post.SPAN_PRESENCE}


class Doubt(msgspec.Struct, frozen=True):
    """A record whose numbers are not sure from `since` on, in the rows of `groups` (none: of any)."""

    entity: str
    record: str
    since: int
    groups: list[str]
    dirty: bool
    unclassified: bool


class Told(msgspec.Struct, frozen=True):
    """A record as it is now, for those who follow."""

    entity: str
    record: str
    folded: Folded


class Refolded(msgspec.Struct):
    """What is to be written, and what it touches: ranges of quarter hours for STT and for CIM."""

    records: list[bytes] = []
    dropped: list[int] = []
    added: list[bytes] = []
    stt: list[Stretch] = []
    cim: list[Stretch] = []
    told: list[Told] = []
    doubts: dict[int, Doubt | None] = {}
    latest: int = 0


def refold(
    keys: Iterable[Key],
    history: Iterable[Change],
    known: Mapping[Key, Known],
    kept: Iterable[Kept],
    mapping: Words,
    now: int,
    horizon: int,
    next_id: int,
) -> tuple[Refolded, int]:
    """Fold records. What lasts without an end touches everything until `horizon`. Returns the next free id too."""
    changes: defaultdict[Key, list[Change]] = defaultdict(list)
    for change in history:
        changes[change.entity, change.record].append(change)
    old: defaultdict[int, list[Kept]] = defaultdict(list)
    for one in kept:
        old[one.owner].append(one)
    out = Refolded()
    for key in keys:
        of_record = changes.get(key)
        if not of_record:
            continue
        if key[1] == WHOLE:
            folded = Folded([], {}, dirty=bool(_unsettled(of_record)))
        else:
            folded = fold.fold(key[0], of_record, mapping, now)
        before = known.get(key)
        number, next_id = (next_id, next_id + 1) if before is None else (before.id, next_id)
        _differ(out, number, folded.facts, old.get(number, ()), before.sealed if before else None, horizon)
        doubt = _doubt(key, folded, of_record)
        out.doubts[number] = doubt
        last = max(change.at for change in of_record)
        out.records.append(
            record_row(number, *key, folded, doubt.since if doubt else None, doubt.groups if doubt else [], last)
        )
        if key[1] != WHOLE:
            out.told.append(Told(*key, folded))
        out.latest = max([out.latest, *(fact.at for fact in folded.facts)])
    return out, next_id


def _differ(
    out: Refolded, owner: int, facts: Sequence[Fact], kept: Sequence[Kept], sealed: int | None, horizon: int
) -> None:
    if sealed is not None:
        facts = [fact for fact in facts if fact.at > sealed]
        kept = [one for one in kept if one.fact.at > sealed]
    before: defaultdict[Fact, list[int]] = defaultdict(list)
    for one in kept:
        before[one.fact].append(one.id)
    added = []
    for fact in facts:
        if same := before.get(fact):
            same.pop()
        else:
            added.append(fact)
    removed = []
    for fact, numbers in before.items():
        out.dropped += numbers
        removed += [fact] * len(numbers)
    out.added += [fact_row(owner, fact) for fact in added]
    _touched(out, removed, added, horizon)


def _touched(out: Refolded, removed: Iterable[Fact], added: Iterable[Fact], horizon: int) -> None:
    ended: defaultdict[Fact, list[Fact]] = defaultdict(list)
    for fact in removed:
        if _is_span(fact):
            ended[_without_end(fact)].append(fact)
        else:
            _touch(out, fact, fact.at, fact.at)
    for fact in added:
        if not _is_span(fact):
            _touch(out, fact, fact.at, fact.at)
        elif same := ended.get(_without_end(fact)):
            # Only its end moved: what lies before both ends stays as it was.
            one, other = sorted((_end(same.pop(), horizon), _end(fact, horizon)))
            _touch(out, fact, one, other)
        else:
            _touch(out, fact, fact.at, _end(fact, horizon))
    for spans in ended.values():
        for span in spans:
            _touch(out, span, span.at, _end(span, horizon))


def _is_span(fact: Fact) -> bool:
    return fact.post.startswith("span_")


def _without_end(fact: Fact) -> Fact:
    return msgspec.structs.replace(fact, until=None)


def _end(span: Fact, horizon: int) -> int:
    return max(span.at, horizon if span.until is None else span.until)


def _touch(out: Refolded, fact: Fact, start: int, until: int) -> None:
    # What ends on a quarter hour is in the stock before it, and not in the one after.
    stretch = quarters(start, until + 1)
    if fact.post in _OF_STT:
        out.stt.append(stretch)
    if fact.post in _OF_CIM:
        out.cim.append(stretch)


def _doubt(key: Key, folded: Folded, changes: Sequence[Change]) -> Doubt | None:
    if not folded.dirty and not folded.unclassified:
        return None
    times = []
    if folded.unclassified:
        # Statuses are told by name, perhaps behind their entity and a colon.
        names = {name.rpartition(":")[2] for name in folded.unclassified}
        times += [change.at for change in changes if change.fields.get("Status") in names]
    if folded.dirty:
        times += [change.at for change in _unsettled(changes)]
    since = min(times or [change.at for change in changes])
    groups = sorted({fact.group for fact in folded.facts if fact.post in _OF_STT or fact.post in _OF_CIM})
    return Doubt(*key, since, groups, folded.dirty, bool(folded.unclassified))


def _unsettled(changes: Sequence[Change]) -> list[Change]:
    """List the gaps that no fetch has settled, by its time (cut to the second) or by when it was made."""
    fetched = max(
        (max(change.at + 999, change.number) for change in changes if change.source is Source.REST), default=-1
    )
    return [change for change in changes if change.kind is Kind.GAP and change.at > fetched]
