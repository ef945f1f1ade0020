import datetime as dt
import hashlib
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable

import pytest

from bridge.cloudsync.events import adapt
from bridge.cloudsync.numbers import check, stt
from bridge.cloudsync.records import fold
from bridge.cloudsync.simulator import book, ids
from bridge.cloudsync.simulator.centre import Centre, Event, Size
from bridge.cloudsync.simulator.mischief import Mischief
from bridge.words.cloudsync import QUARTER, Change, Fact, Folded, Kind, Value

DAY = dt.date(2026, 6, 1)
ENTITIES = ("SupportTicket", "ChatSession", "VideoSession", "UserPresence")
EVERYTHING = Mischief(
    dialects=("cometd", "pubsub"),
    doubled=0.2,
    duplicates=0.3,
    disorder=3600,
    late=0.02,
    merged=True,
    short_ids=0.2,
)
_VIDEO = {
    "EnqueueTime": "RequestTime",
    "StartDateTime": "AcceptTime",
    "EndDateTime": "EndTime",
    "HoldDuration": "HoldTime",
}


@pytest.fixture(scope="module")
def centre() -> Centre:
    return Centre(7, DAY)


def read(events: Iterable[Event]) -> list[Change]:
    changes: list[Change] = []
    for event in events:
        told = adapt.read(event.channel, event.payload, ENTITIES)
        assert isinstance(told, list), told
        changes += told
    return changes


def folded(centre: Centre, changes: Iterable[Change]) -> dict[str, Folded]:
    histories: dict[tuple[str, str], list[Change]] = defaultdict(list)
    for change in changes:
        histories[change.entity, change.record].append(change)
    return {
        record: fold.fold(entity, history, centre.mapping, 4_000_000_000_000)
        for (entity, record), history in histories.items()
    }


def facts(records: dict[str, Folded]) -> list[Fact]:
    return [fact for record in sorted(records) for fact in records[record].facts]


def digest(seed: int) -> str:
    sha = hashlib.sha256()
    for event in Centre(seed, DAY, Size(tickets=60, sessions=150)).events(EVERYTHING):
        sha.update(repr(event).encode())
    return sha.hexdigest()


def test_the_same_seed_gives_the_same_events_in_every_process() -> None:
    program = "from tests.cloudsync.simulator.test_centre import digest; print(digest(3))"
    digests = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": hashing}, capture_output=True, text=True, check=True
        ).stdout.strip()
        for hashing in ("1", "2")
    }
    assert digests == {digest(3)}
    assert digest(4) not in digests


def test_a_day_is_as_large_and_as_varied_as_the_page_says(centre: Centre) -> None:
    truth = list(centre.truth())
    tickets = [each for each in truth if each.entity == "SupportTicket"]
    legs = [each for each in truth if each.entity in {"ChatSession", "VideoSession"}]
    assert len(centre.world.groups) == 3
    assert len({group.zone for group in centre.world.groups}) == 2
    assert len(centre.world.agents) == 25
    assert len(tickets) == 600
    sessions = [leg for leg in legs if "PreviousSessionId" not in leg.history[0].fields]
    assert len(sessions) == 1500
    ended = [entry.fields.get("Status") for leg in legs for entry in leg.history]
    assert 0.03 < ended.count("Abandoned") / len(legs) < 0.12
    assert sum("Reopened" in [entry.fields.get("Status") for entry in each.history] for each in tickets) / 600 > 0.02
    assert {entry.kind for each in tickets for entry in each.history} == {
        Kind.CREATE,
        Kind.UPDATE,
        Kind.DELETE,
        Kind.UNDELETE,
    }
    came = Counter(
        (int(leg.history[0].at) // 3_600_000 + 20) % 24 for leg in sessions if leg.history[0].fields.get("GroupId")
    )
    assert came[10] > came[12] < came[15]


def test_the_truth_is_kept_as_lines(centre: Centre) -> None:
    told = list(centre.truth())
    assert list(book.read(book.write(told))) == told


def test_agents_never_have_more_in_hand_than_they_can_take(centre: Centre) -> None:
    held: dict[str, int] = Counter()
    owner: dict[str, str] = {}
    for step in centre.steps:
        if step.entity not in {"ChatSession", "VideoSession"}:
            continue
        weight = 2 if step.entity == "VideoSession" else 1
        mine = str(step.fields.get("OwnerId", owner.get(step.record, "")))
        if "EndTime" in step.fields or "EndDateTime" in step.fields:
            mine = ""
        held[owner.get(step.record, "")] -= weight
        owner[step.record] = mine if mine.startswith("005") else ""
        held[owner[step.record]] += weight
        assert not [agent for agent in (owner[step.record],) if agent and held[agent] > 3]


@pytest.mark.parametrize("dialect", ["cometd", "pubsub"])
def test_each_dialect_says_what_happened(centre: Centre, dialect: str) -> None:
    changes = read(centre.events(Mischief(dialects=(dialect,))))  # type: ignore[arg-type]
    assert len(changes) == len(centre.steps)
    for step, change in zip(centre.steps, changes, strict=True):
        assert (change.entity, change.record, change.kind, change.at) == (step.entity, step.record, step.kind, step.at)
        if step.kind in {Kind.CREATE, Kind.UPDATE}:
            assert change.fields == {
                _VIDEO.get(name, name): value for name, value in step.fields.items() if name != "Id"
            }


def test_push_topics_show_the_record_as_it_is(centre: Centre) -> None:
    states: dict[str, dict[str, Value]] = {}
    changes = read(centre.events(Mischief(dialects=("topic",))))
    for step, change in zip(centre.steps, changes, strict=True):
        state = states[step.record] = states.get(step.record, {}) | step.fields
        assert (change.record, change.kind) == (step.record, step.kind)
        if step.kind is not Kind.DELETE:
            shown = {name: value for name, value in change.fields.items() if value is not None}
            assert shown == {
                _VIDEO.get(name, name): value
                for name, value in state.items()
                if value is not None and name not in {"Id", "SessionKey"}
            } | {name: value for name, value in shown.items() if name == "SessionKey"}


def test_mischief_hides_nothing(centre: Centre) -> None:
    plain = read(centre.events())
    mixed = read(centre.events(EVERYTHING))
    assert len(mixed) > 1.3 * len(plain)
    assert [change.at for change in mixed] != sorted(change.at for change in mixed)
    before, after = folded(centre, plain), folded(centre, mixed)
    assert before.keys() == after.keys()
    for record in before:
        assert before[record].facts == after[record].facts, record


def test_gaps_tell_only_that_something_happened(centre: Centre) -> None:
    changes = read(centre.events(Mischief(dialects=("cometd", "pubsub"), gaps=0.1, bitmaps=0.1)))
    gaps = [change for change in changes if change.kind is Kind.GAP]
    assert 0.05 < len(gaps) / len(changes) < 0.2


def test_tickets_closed_together_come_as_one_event(centre: Centre) -> None:
    merged = [event for event in centre.events(Mischief(merged=True)) if event.payload.count(b'"500') > 2]
    assert merged
    assert len(read(merged)) > 2 * len(merged)


def expected(centre: Centre) -> dict[tuple[int, str], Counter[str]]:
    """Count from the truth alone what each quarter hour has of each group, of what needs no judgement."""
    rows: dict[tuple[int, str], Counter[str]] = defaultdict(Counter)
    users = {agent.id: agent.group.id for agent in centre.world.agents}
    closed = {"Closed", "Solved"}
    for each in centre.truth():
        state: dict[str, Value] = {}
        group = ""
        for entry in each.history:
            was = state.get("Status")
            state |= entry.fields
            at = entry.at // QUARTER * QUARTER
            if each.entity == "SupportTicket":
                owner = str(state["OwnerId"])
                group = str(state.get("GroupId") or (owner if owner.startswith("00G") else group or users[owner]))
                row = rows[at, group]
                row["created"] += entry.kind is Kind.CREATE
                row["closed"] += state["Status"] in closed and was not in closed
                row["reopened"] += state["Status"] not in closed and was in closed
                row["first_responses"] += "FirstResponseDate" in entry.fields
                row["undeleted"] += entry.kind is Kind.UNDELETE
                row["merged"] += "MasterRecordId" in entry.fields
                row["deleted"] += entry.kind is Kind.DELETE and "MasterRecordId" not in state
            elif each.entity != "UserPresence" and state.get("GroupId"):
                was_in, group = group, str(state["GroupId"])
                row = rows[at, group]
                queued = {"RequestTime", "EnqueueTime"} & entry.fields.keys()
                answered = {"AcceptTime", "StartDateTime"} & entry.fields.keys()
                row["offered"] += bool(queued) or was_in != group
                row["offered_by_transfer"] += "PreviousSessionId" in entry.fields
                row["answered"] += bool(answered)
                if was_in and was_in != group:
                    rows[at, was_in]["flow_out"] += 1
                row["flow_out"] += entry.fields.get("Status") == "Missed"
                row["gave_up"] += entry.fields.get("Status") == "Abandoned"
    return rows


def test_rows_computed_from_events_are_those_of_the_truth(centre: Centre) -> None:
    found = facts(folded(centre, read(centre.events())))
    times = [fact.at for fact in found]
    start, end = min(times) // QUARTER * QUARTER, max(times) // QUARTER * QUARTER + QUARTER
    rows = stt.compute(found, start, end, centre.mapping, as_of=end)
    told = {key[:2]: row for key, row in rows.items() if key[1] != "*" and key[2:] == ("*", "*")}
    for key, wanted in expected(centre).items():
        row = told.get(key)
        gave_up = wanted.pop("gave_up", 0)
        if row is None:
            assert not gave_up + wanted.total(), (key, wanted)
            continue
        assert row.abandoned + row.abandoned_short == gave_up
        # Of transfers the page counts the new record that queued; a change of queue while waiting counts as one, too.
        wanted["offered_by_transfer"] = row.offered_by_transfer
        assert {name: getattr(row, name) for name in wanted} == dict(wanted), key
    assert not [key for key, row in rows.items() if check.identities(row)]


def test_ids_have_the_platform_s_checksum_and_are_never_the_same() -> None:
    assert ids.checked("001A0000006Vm9r") == "001A0000006Vm9rIAC"
    assert len({ids.make("User", number) for number in range(20_000)}) == 20_000
