"""Mischief: how letters are sent: in which dialect, doubled, late, out of order, merged, or only as a gap."""

import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

import msgspec

from bridge.cloudsync.simulator.book import Step
from bridge.cloudsync.simulator.spelling import TOPICS, Dialect, Letter
from bridge.words.cloudsync import Kind, Value


class Mischief(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong on the way, on request. Fractions are of all events, 0 to 1; times are seconds.

    With `gaps` or `bitmaps` the events alone do not tell the whole truth; the records must be fetched.
    """

    dialects: Sequence[Dialect] = ("cometd",)  # each event comes in one of these, drawn
    doubled: float = 0.0  # change data capture events that a PushTopic tells too
    duplicates: float = 0.0  # sent once more, the same or with another replayId
    disorder: float = 0.0  # each event is up to so much late
    late: float = 0.0  # events that are up to three hours late
    gaps: float = 0.0  # updates that come as GAP_UPDATE only
    bitmaps: float = 0.0  # updates in Pub/Sub JSON whose changedFields are a bitmap
    merged: bool = False  # tickets closed together come as one event with several recordIds
    short_ids: float = 0.0  # events that spell ids with 15 characters


PLAIN = Mischief()

_LATE = 3 * 3600.0


def letters(steps: Iterable[Step], mischief: Mischief, seed: int) -> Iterator[tuple[int, Letter]]:
    """Turn steps in true order into letters in the order of their sending, each with its time (milliseconds)."""
    rng = random.Random(f"mischief {seed}")  # noqa: S311 - a simulation
    sent: list[tuple[int, int, Letter]] = []
    for letter in _written(steps, mischief, rng):
        delay = rng.uniform(0, mischief.disorder) if mischief.disorder else 0.0
        if mischief.late and rng.random() < mischief.late:
            delay += rng.uniform(0, _LATE)
        at = letter.steps[0].at + int(delay * 1000)
        sent.append((at, len(sent), letter))
        if mischief.duplicates and rng.random() < mischief.duplicates:
            again = letter
            if letter.dialect != "topic" and rng.random() < 0.5:
                again = msgspec.structs.replace(letter, replay=letter.replay + 1_000_000_000)
            after = rng.uniform(0, mischief.disorder or 1.0)
            sent.append((at + int(after * 1000), len(sent), again))
    sent.sort(key=lambda each: each[:2])
    for at, _, letter in sent:
        yield at, letter


def _written(steps: Iterable[Step], mischief: Mischief, rng: random.Random) -> Iterator[Letter]:
    states: dict[str, dict[str, Value]] = {}
    replay = 0
    for number, (_, together) in enumerate(groupby(steps, key=lambda step: _commit(step, mischief)), 1):
        alike = list(together)
        step = alike[0]
        for each in alike:
            states[each.record] = states.get(each.record, {}) | each.fields
        replay += 1
        dialect = rng.choice(mischief.dialects) if len(alike) == 1 and step.entity in TOPICS else "cometd"
        update = step.kind is Kind.UPDATE
        gap = bool(mischief.gaps) and update and dialect != "topic" and rng.random() < mischief.gaps
        bitmap = bool(mischief.bitmaps) and update and dialect == "pubsub" and rng.random() < mischief.bitmaps
        short = bool(mischief.short_ids) and rng.random() < mischief.short_ids
        state = states[step.record]
        yield Letter(alike, dialect, state, number, replay, gap=gap, short=short, bitmap=bitmap)
        if mischief.doubled and dialect != "topic" and not gap and step.entity in TOPICS:
            for each in alike:
                if rng.random() < mischief.doubled:
                    replay += 1
                    yield Letter([each], "topic", states[each.record], number, replay, short=short)


def _commit(step: Step, mischief: Mischief) -> tuple[object, ...]:
    """Give what steps have in common that may come as one event."""
    alike = repr(sorted(step.fields.items())) if mischief.merged and step.kind is Kind.UPDATE else step.record
    if mischief.merged and step.kind is Kind.UPDATE:
        return (step.transaction, step.kind, alike)
    return (step.transaction, step.sequence, alike)
