"""Stories of folding: any order, any duplicates, one result; what goes in comes out again."""

import datetime as dt
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.cloudsync.events import adapt
from bridge.cloudsync.records.fold import AHEAD, fold
from bridge.cloudsync.simulator.centre import Centre, Size
from bridge.cloudsync.simulator.mischief import PLAIN, Mischief
from bridge.words.cloudsync import Change, Fact, Folded, Kind, Post, Source
from tests.cloudsync.records.telling import ANN, BEN, DAY, LONG_AFTER, MAPPING, OTHER, TICKET, X, Y, ticket

ALL = frozenset({"SupportTicket", "ChatSession", "VideoSession", "UserPresence"})
MOMENTS = st.integers(0, 40).map(lambda number: DAY + number * 10_500)
OWNERS = st.sampled_from([ANN, BEN, X, Y, None])

TICKET_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "Status": st.sampled_from(["New", "Working", "Closed", "Solved", "Mystery", None]),
        "GroupId": st.sampled_from([X, Y, None]),
        "OwnerId": OWNERS,
        "Priority": st.sampled_from(["Low", "High", None]),
        "Origin": st.sampled_from(["Web", None]),
        "CreatedDate": st.just(DAY + 1_000),
        "ClosedDate": MOMENTS | st.none(),
        "FirstResponseDate": MOMENTS | st.none(),
        "LastModifiedDate": MOMENTS,
        "IsEscalated": st.booleans(),
        "MasterRecordId": st.sampled_from([OTHER, None]),
    },
)
SESSION_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "RequestTime": MOMENTS,
        "AcceptTime": MOMENTS | st.none(),
        "EndTime": MOMENTS | st.none(),
        "WrapUpEndTime": MOMENTS | st.none(),
        "HoldTime": st.integers(0, 500),
        "GroupId": st.sampled_from([X, Y, None]),
        "OwnerId": OWNERS,
        "HostId": st.sampled_from([ANN, None]),
        "DeclineCount": st.integers(0, 3),
        "EndedBy": st.sampled_from(["Agent", "Visitor", None]),
        "PreviousSessionId": st.sampled_from([OTHER, None]),
        "NextSessionId": st.sampled_from([OTHER, None]),
    },
)
PRESENCE_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "UserId": st.just(ANN),
        "PresenceStatusId": st.sampled_from(["0N5000000000001AAA", None]),
        "StatusStartDate": MOMENTS,
        "StatusEndDate": MOMENTS | st.none(),
        "IsCurrentState": st.booleans(),
    },
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "SupportTicket": TICKET_FIELDS,
    "ChatSession": SESSION_FIELDS,
    "VideoSession": SESSION_FIELDS,
    "UserPresence": PRESENCE_FIELDS,
}


@st.composite
def histories(draw: st.DrawFn, entity: str | None = None) -> list[Change]:
    """Draw anything that may be told of one record, sensible or not."""
    of = entity or draw(st.sampled_from(sorted(FIELDS)))
    changes = []
    for number in range(draw(st.integers(1, 9))):
        source = draw(st.sampled_from([Source.CDC, Source.CDC, Source.TOPIC, Source.REST]))
        kinds = [Kind.UPDATE] if source is Source.REST else [Kind.CREATE, Kind.UPDATE, Kind.DELETE, Kind.UNDELETE]
        kind = draw(st.sampled_from([*kinds, Kind.UPDATE, Kind.DELETE]))
        gap = source is Source.CDC and draw(st.integers(0, 9)) == 0
        changes.append(
            Change(
                of,
                TICKET,
                Kind.GAP if gap else kind,
                source,
                draw(MOMENTS),
                draw(st.integers(0, 2)),
                draw(st.integers(1, 2)),
                {"gap": f"GAP_{kind}"} if gap else draw(FIELDS[of]),
                str(number),
            )
        )
    return changes


def folded_of(changes: Sequence[Change]) -> Folded:
    return fold(changes[0].entity, changes, MAPPING, LONG_AFTER)


@settings(max_examples=400, deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_order_and_duplicates_change_nothing(changes: list[Change], rng: random.Random) -> None:
    again = [*changes, *rng.choices(changes, k=3)]
    rng.shuffle(again)
    assert folded_of(again) == folded_of(changes)


@settings(max_examples=100, deadline=None)
@given(histories())
def test_what_has_been_stored_and_read_again_folds_alike(changes: list[Change]) -> None:
    stored = msgspec.json.decode(msgspec.json.encode(changes), type=list[Change])
    folded = folded_of(stored)
    assert folded == folded_of(changes)
    assert msgspec.json.decode(msgspec.json.encode(folded), type=Folded) == folded


@settings(max_examples=100, deadline=None)
@given(histories())
def test_a_record_is_changed_by_no_folding(changes: list[Change]) -> None:
    before = msgspec.json.encode(changes)
    folded_of(changes)
    assert msgspec.json.encode(changes) == before


INTO = {Post.CREATED, Post.REOPENED, Post.TRANSFERRED_IN, Post.RECLASSIFIED_IN, Post.UNDELETED_OPEN}
OUT_OF = {Post.CLOSED, Post.TRANSFERRED_OUT, Post.RECLASSIFIED_OUT, Post.DELETED_OPEN, Post.MERGED_OPEN}


def row(fact: Fact) -> tuple[str, str, str]:
    return (fact.group, fact.channel, fact.priority)


def moments(facts: Sequence[Fact]) -> Iterator[int]:
    yield from sorted({at for fact in facts for at in (fact.at, fact.at + 1, fact.until or 0)})


@settings(max_examples=400, deadline=None)
@given(histories("SupportTicket"))
def test_at_every_moment_a_row_has_open_what_came_into_it_and_did_not_leave(changes: list[Change]) -> None:
    facts = folded_of(changes).facts
    for moment in moments(facts):
        balance: Counter[tuple[str, str, str]] = Counter()
        for fact in facts:
            if fact.at < moment:
                balance[row(fact)] += (fact.post in INTO) - (fact.post in OUT_OF)
            if fact.post is Post.SPAN_OPEN and fact.at < moment and (fact.until is None or fact.until >= moment):
                balance[row(fact)] -= 1
        assert not any(balance.values())


@settings(max_examples=200, deadline=None)
@given(histories("SupportTicket"))
def test_a_ticket_closes_first_once_and_is_open_once_at_a_time(changes: list[Change]) -> None:
    facts = folded_of(changes).facts
    counts = Counter(fact.post for fact in facts)
    assert counts[Post.FIRST_CLOSED] == min(counts[Post.CLOSED], 1)
    assert counts[Post.FIRST_CLOSED] >= counts[Post.CLOSED_ON_CREATE]
    assert counts[Post.CREATED] <= 1
    assert counts[Post.FIRST_RESPONSE] <= 1
    spans = sorted((fact.at, fact.until or LONG_AFTER) for fact in facts if fact.post is Post.SPAN_OPEN)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    assert all(fact.value >= 0 for fact in facts)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(["ChatSession", "VideoSession"]).flatmap(histories))
def test_each_leg_through_the_queue_is_offered_once_and_leaves_once(changes: list[Change]) -> None:
    facts = folded_of(changes).facts
    offered = Counter((fact.group, fact.at) for fact in facts if fact.post is Post.OFFERED)
    left = Counter(
        (fact.group, fact.at) for fact in facts if fact.post in {Post.ANSWERED, Post.ABANDONED, Post.FLOW_OUT}
    )
    queued = [fact for fact in facts if fact.post is Post.SPAN_QUEUED]
    assert offered == Counter((fact.group, fact.at) for fact in queued)
    assert left == Counter((fact.group, fact.until) for fact in queued if fact.until is not None)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(["ChatSession", "VideoSession"]).flatmap(histories))
def test_each_offer_to_an_agent_ends_once_and_work_adds_up(changes: list[Change]) -> None:
    facts = folded_of(changes).facts
    for agent in {fact.agent for fact in facts}:
        posts = Counter(fact.post for fact in facts if fact.agent == agent)
        ended = posts[Post.AGENT_ACCEPTED] + posts[Post.AGENT_DECLINED] + posts[Post.AGENT_MISSED]
        assert 0 <= posts[Post.AGENT_OFFERED] - ended <= 1
    busy = sum((fact.until or fact.at) - fact.at for fact in facts if fact.post is Post.SPAN_BUSY)
    handled = [fact for fact in facts if fact.post is Post.HANDLED]
    if handled:
        work = [fact for fact in facts if fact.post in {Post.HANDLED, Post.TALKED}]
        assert busy == sum(fact.value + fact.hold + fact.wrap for fact in work)
        assert all(min(fact.value, fact.hold, fact.wrap) >= 0 for fact in work)


def records_of(centre: Centre, mischief: Mischief) -> dict[tuple[str, str], list[Change]]:
    records: dict[tuple[str, str], list[Change]] = {}
    for event in centre.events(mischief):
        found = adapt.read(event.channel, event.payload, ALL)
        assert isinstance(found, list)
        for change in found:
            if change.entity in ALL:
                records.setdefault((change.entity, change.record), []).append(change)
    return records


@pytest.fixture(scope="module")
def centre() -> Centre:
    return Centre(11, dt.date(2026, 6, 10), Size(tickets=150, sessions=250))


@pytest.fixture(scope="module")
def undisturbed(centre: Centre) -> dict[tuple[str, str], list[Fact]]:
    records = records_of(centre, PLAIN)
    return {key: fold(key[0], changes, centre.mapping, LONG_AFTER).facts for key, changes in records.items()}


def facts_sorted(facts: Sequence[Fact]) -> list[bytes]:
    return sorted(msgspec.json.encode(fact) for fact in facts)


@pytest.mark.parametrize(
    "mischief",
    [
        Mischief(duplicates=0.3, disorder=3600.0, late=0.1),
        Mischief(dialects=("cometd", "pubsub"), short_ids=0.5),
        Mischief(dialects=("topic",)),
        Mischief(dialects=("cometd", "pubsub", "topic"), disorder=600.0),
        Mischief(doubled=0.5, duplicates=0.3, disorder=60.0),
        Mischief(merged=True),
    ],
    ids=["disorder", "dialects", "topic only", "mixed", "told twice", "merged"],
)
def test_a_day_comes_out_the_same_however_it_is_told(
    centre: Centre, undisturbed: dict[tuple[str, str], list[Fact]], mischief: Mischief
) -> None:
    records = records_of(centre, mischief)
    assert records.keys() == undisturbed.keys()
    for key, changes in records.items():
        folded = fold(key[0], changes, centre.mapping, LONG_AFTER)
        assert facts_sorted(folded.facts) == facts_sorted(undisturbed[key])
        assert not folded.dirty


def test_gaps_are_settled_by_fetching_and_leave_each_record_as_it_is(centre: Centre) -> None:
    now = {each.id: each for each in centre.truth()}
    dirty = 0
    for (entity, record), changes in records_of(centre, Mischief(gaps=0.2)).items():
        if not fold(entity, changes, centre.mapping, LONG_AFTER).dirty:
            continue
        dirty += 1
        state = {name: value for entry in now[record].history for name, value in entry.fields.items()}
        fetched = adapt.fetched(entity, {"Id": record, **state}, LONG_AFTER)
        assert isinstance(fetched, Change)
        folded = fold(entity, [*changes, fetched], centre.mapping, LONG_AFTER)
        assert not folded.dirty
        assert folded.state.items() >= fetched.fields.items()
    assert dirty > 50


def test_a_clock_that_is_ahead_is_flagged_and_believed() -> None:
    said = ticket().create("10:07", Status="New", GroupId=X)
    at = said.changes[0].at
    assert fold("SupportTicket", said.changes, MAPPING, at - AHEAD - 1).flags == ["ahead"]
    assert fold("SupportTicket", said.changes, MAPPING, at - AHEAD).flags == []
    assert fold("SupportTicket", said.changes, MAPPING, 0).facts == said.folded().facts


def test_of_two_contents_of_one_identity_one_stays_whatever_their_order() -> None:
    said = ticket().create("10:00", Status="New", Priority="Low")
    other = msgspec.structs.replace(said.changes[0], fields={"Status": "New", "Priority": "High"})
    assert folded_of([said.changes[0], other]) == folded_of([other, said.changes[0]])


def test_nothing_told_is_nothing() -> None:
    assert fold("SupportTicket", [], MAPPING, 0) == Folded(facts=[], state={})
