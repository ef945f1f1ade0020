"""Lost: a day of which not every event says what happened, or comes at all; the CRM still has every record."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from random import Random
from typing import Literal, NamedTuple

import msgspec

from bridge.cloudsync.simulator import spelling
from bridge.cloudsync.simulator.book import Entry, Truth
from bridge.cloudsync.simulator.centre import Event
from bridge.cloudsync.simulator.mischief import PLAIN, letters
from bridge.cloudsync.simulator.spelling import Letter
from bridge.words.cloudsync import Kind, Value
from bridge.words.cloudsync import Mapping as Words
from tests.cloudsync.numbers import truth
from tests.cloudsync.process.day import ENTITIES, Day

DUMMY = "000000000000000AAA"

Way = Literal["gap", "bitmap", "unsent"]


class Lost(NamedTuple):
    """The events that are left, in any order, and how many steps were lost in which way."""

    events: list[Event]
    ways: Counter[str]


def lossy(day: Day, share: float, chance: Random) -> Lost:
    """Lose a share of the steps of which the CRM's records tell in the end all that counts.

    A step comes as a gap, with a bitmap that nobody can decode, or not at all: then an overflow says so. The others
    come in either dialect; some have a bitmap that can be decoded.
    """
    ways: Counter[str] = Counter()
    lost: dict[tuple[str, int], Way] = {}
    for record in day.centre.truth():
        for number in losable(record, day.centre.mapping, share, chance):
            kind = record.history[number].kind
            lost[record.id, number] = _way(kind, chance)
            ways[f"{lost[record.id, number]} {kind}"] += 1
    seen: Counter[str] = Counter()
    events: list[Event] = []
    for at, letter in letters(day.centre.steps, PLAIN, day.centre.seed):
        (step,) = letter.steps
        way = lost.get((step.record, seen[step.record]))
        seen[step.record] += 1
        if way != "unsent":
            events.append(_event(at, letter, way, chance))
    events += [overflow(entity, day.until) for entity in ENTITIES]
    events += chance.sample(events, len(events) // 5)
    chance.shuffle(events)
    return Lost(events, ways)


def losable(record: Truth, mapping: Words, share: float, chance: Random) -> list[int]:
    """Choose steps of a record, by number, that can be lost without any number's being another."""
    chosen = [number for number in range(len(record.history)) if chance.random() < share]
    while chosen and not _remembered(record, chosen, mapping):
        chosen.remove(chance.choice(chosen))
    return chosen


def _remembered(record: Truth, lost: Collection[int], mapping: Words) -> bool:
    """Say whether what is left of the history, and then the record as it is in the end, tell the same facts."""
    history = record.history
    kinds = [entry.kind for entry in history]
    if Kind.DELETE in kinds:
        # What a deleted record was nobody can be asked; that it is gone, and since when, the gap says.
        return list(lost) == [len(history) - 1] and kinds[-1] is Kind.DELETE
    if record.entity == "UserPresence":
        return True
    if 0 in lost:
        # Nobody remembers what a record was at first, but if that has never changed.
        changed = {name for entry in history[1:] for name in entry.fields}
        moves = {"OwnerId", "HostId", "GroupId", "AcceptTime", "StartDateTime", "Priority"}
        return len(history) == 1 or (record.entity != "SupportTicket" and not changed & moves)
    left = [entry for number, entry in enumerate(history) if number not in lost]
    told, final = _state(left), _state(history)
    shown = {name: value for name, value in final.items() if told.get(name) != value}
    fetched = Entry(int(str(final["LastModifiedDate"])), shown, Kind.UPDATE)
    again = msgspec.structs.replace(record, history=[*left, fetched])
    try:
        return _facts(again, mapping) == _facts(record, mapping)
    except KeyError:
        return False  # an event that is left builds on one that is not


def _state(history: Sequence[Entry]) -> Mapping[str, Value]:
    state: dict[str, Value] = {}
    for entry in history:
        state |= entry.fields
    return state


def _facts(record: Truth, mapping: Words) -> Counter[bytes]:
    return Counter(msgspec.json.encode(fact) for fact in truth.facts([record], mapping))


def _way(kind: Kind, chance: Random) -> Way:
    if kind is Kind.DELETE:
        return "gap"
    return chance.choice(("gap", "bitmap", "unsent") if kind is Kind.UPDATE else ("gap", "unsent"))


def _event(at: int, letter: Letter, way: Way | None, chance: Random) -> Event:
    replace = msgspec.structs.replace
    if way == "gap":
        letter = replace(letter, gap=True)
    elif way == "bitmap":
        letter = replace(letter, dialect="pubsub", bitmap=True)
    elif chance.random() < 0.5:
        letter = replace(letter, dialect="pubsub")
        if letter.steps[0].kind is Kind.UPDATE and chance.random() < 0.7:
            return Event(at, spelling.channel(letter), as_bitmaps(spelling.payload(letter)))
    return Event(at, spelling.channel(letter), spelling.payload(letter))


def as_bitmaps(payload: bytes) -> bytes:
    """Spell the names of the fields that changed as the platform does: a bit for each, from the lowest."""
    message = msgspec.json.decode(payload)
    body = message["payload"]
    header = body["ChangeEventHeader"]
    for name in ("changedFields", "nulledFields"):
        header[name] = [hex(sum(1 << place for place, key in enumerate(body) if key in header[name]))]
    return msgspec.json.encode(message)


def overflow(entity: str, at: int) -> Event:
    """Say that too much happened to tell: what did, has to be found out by asking for everything."""
    header = {
        "entityName": entity,
        "recordIds": [DUMMY],
        "changeType": "GAP_OVERFLOW",
        "changeOrigin": "",
        "transactionKey": f"overflow-{entity}",
        "sequenceNumber": 1,
        "commitTimestamp": at,
        "commitUser": DUMMY,
        "commitNumber": 1,
    }
    data = {"schema": "simulated", "event": {"replayId": 1}, "payload": {"ChangeEventHeader": header}}
    channel = f"data/{entity}ChangeEvent"
    return Event(at, channel, msgspec.json.encode({"channel": f"/{channel}", "data": data}))
