"""Computing: rows from facts, and what changed of those before. Pure: text in, rows to be written out."""

from collections.abc import Iterable, Sequence

import msgspec

from bridge.cloudsync.flow.finality import Finality
from bridge.cloudsync.numbers import cim, stt
from bridge.cloudsync.numbers.intervals import LocalDay, day_on, mark
from bridge.cloudsync.store.rows import CimStored, SttStored
from bridge.words.cloudsync import QUARTER, Fact, Mapping

_encode = msgspec.json.Encoder().encode
_facts = msgspec.json.Decoder(list[Fact]).decode
_stt_stored = msgspec.json.Decoder(list[SttStored]).decode
_cim_stored = msgspec.json.Decoder(list[CimStored]).decode
_values = msgspec.json.Decoder(list[msgspec.Raw]).decode


def body_of(row: msgspec.Struct) -> bytes:
    """Spell a row's numbers in the order of their names."""
    return _encode(msgspec.structs.astuple(row))


ZERO = body_of(stt.ZERO)


class Computed(msgspec.Struct):
    """Rows that changed, spelled for the store; restatements among them; the views and groups that there are."""

    rows: list[bytes] = []
    restated: list[bytes] = []
    views: set[tuple[str, str]] = set()
    active: dict[str, int] = {}
    emptied: dict[str, int] = {}
    facts: int = 0


def compute_stt(
    facts: str,
    stored: str,
    start: int,
    until: int,
    mapping: Mapping,
    finality: Finality,
    active: dict[str, int],
    as_of: int,
) -> Computed:
    """Compute the quarter hours of `[start, until)`. `facts` and `stored` are JSON as the store gives it.

    `active` tells since when a group has rows: before, not even zeros could be read, so that nothing is restated.
    """
    given = _facts(facts) if facts else []
    rows = stt.compute(given, start, until, mapping, as_of=as_of)
    out = Computed(facts=len(given))
    before = {(one.start, one.group, one.channel, one.priority): one for one in (_stt_stored(stored) if stored else ())}
    for key, row in rows.items():
        body = body_of(row)
        _take_stt(out, key, body, before.pop(key, None), finality, active)
    for key, old in before.items():
        _take_stt(out, key, ZERO, old, finality, active)
    return out


def _take_stt(
    out: Computed, key: stt.SttKey, body: bytes, old: SttStored | None, finality: Finality, active: dict[str, int]
) -> None:
    start, group, channel, priority = key
    was = ZERO if old is None else bytes(old.body)
    if body == was:
        return
    revision = 1 if old is None else old.revision
    if finality.is_final(start + QUARTER, group) and (old is not None or active.get(group, start + 1) <= start):
        revision += 1
        told = {
            "interval_start": mark(start),
            "group": group,
            "channel": channel,
            "priority": priority,
            "revision": revision,
            "changes": _changes(stt.METRICS, was, body),
        }
        out.restated.append(_encode((mark(start), told)))
    out.rows.append(_encode((start, group, channel, priority, revision, msgspec.Raw(body))))
    out.views.add((channel, priority))
    if body != ZERO:
        out.active[group] = min(start, out.active.get(group, start))
    else:
        out.emptied[group] = min(start, out.emptied.get(group, start))


def compute_cim(
    facts: str,
    stored: str,
    days: Sequence[LocalDay],
    mapping: Mapping,
    zone: str,
    finality: Finality,
    as_of: int,
) -> Computed:
    """Compute one local date, which is several days where groups are in different zones."""
    given = _facts(facts) if facts else []
    rows = cim.compute(given, days, mapping, customer_zone=zone, as_of=as_of)
    out = Computed(facts=len(given))
    before = {(one.date, one.agent, one.group, one.channel): one for one in (_cim_stored(stored) if stored else ())}
    for key, row in rows.items():
        _take_cim(out, key, body_of(row), before.pop(key, None), _day(key, mapping, zone), finality)
    for key, old in before.items():
        day = _day(key, mapping, zone)
        _take_cim(out, key, body_of(cim.zero(day)), old, day, finality)
    return out


def cim_day(date: str, group: str, mapping: Mapping, zone: str) -> LocalDay:
    """Find the local day that a row of a group is of."""
    return day_on(date, zone if group == "*" else cim.group_zone(group, mapping, zone))


def _day(key: cim.CimKey, mapping: Mapping, zone: str) -> LocalDay:
    return cim_day(key[0], key[2], mapping, zone)


def _take_cim(
    out: Computed, key: cim.CimKey, body: bytes, old: CimStored | None, day: LocalDay, finality: Finality
) -> None:
    date, agent, group, channel = key
    zero = body_of(cim.zero(day))
    was = zero if old is None else bytes(old.body)
    if body == was:
        return
    revision = 1 if old is None else old.revision
    if old is not None and finality.is_final(day.end, group):
        revision += 1
        told = {
            "date": date,
            "agent": agent,
            "group": group,
            "channel": channel,
            "revision": revision,
            "changes": _changes(cim.METRICS, was, body),
        }
        out.restated.append(_encode((date, told)))
    out.rows.append(_encode((date, agent, group, channel, revision, msgspec.Raw(body))))
    out.views.add((channel, ""))


def _changes(names: Iterable[str], old: bytes, new: bytes) -> dict[str, tuple[msgspec.Raw, msgspec.Raw]]:
    return {
        name: (one, other)
        for name, one, other in zip(names, _values(old), _values(new), strict=True)
        if bytes(one) != bytes(other)
    }
