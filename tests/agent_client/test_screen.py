"""What a desktop shows and says, by the state machine alone, in both languages."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_client.messages import Current, Moved, Notice, Outcome, Recall, Refused, Saying
from agent_client.records import NotInActivitiesError, Records
from agent_client.screen import NotAPopError
from bridge.words import pop as documents
from bridge.words.pop import Pop
from tests.agent_client.pops import pop
from tests.agent_client.rules import AScreen, Rules

NOW = 1_000_000.0


class Acks:
    """Counts the acknowledgements of one message."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


def arrive(screen: AScreen, sent: Pop, now: float = NOW) -> Acks:
    acks = Acks()
    screen.arrive(documents.encode(sent), acks, now)
    return acks


def show(screen: AScreen, sent: Pop) -> str | None:
    arrive(screen, sent)
    shown = screen.take(NOW)
    return shown[0].popid if shown else None


def said(screen: AScreen) -> list[Saying]:
    sayings = list(screen.sayings)
    screen.sayings.clear()
    return sayings


def test_a_pop_is_acknowledged_and_told_when_it_is_taken_not_before(rules: Rules) -> None:
    screen, sent = rules.screen(), pop(now=NOW)
    acks = arrive(screen, sent)
    assert (acks.count, said(screen)) == (0, [])
    shown = screen.take(NOW)
    assert shown == (sent, documents.encode(sent))
    assert (acks.count, said(screen)) == (1, [Outcome(sent.popid, "shown")])
    assert screen.take(NOW) is None


def test_copies_are_acknowledged_but_shown_once(rules: Rules) -> None:
    screen, sent = rules.screen(), pop(now=NOW)
    before = [arrive(screen, sent), arrive(screen, sent)]
    screen.take(NOW)
    after = arrive(screen, sent)
    assert screen.take(NOW) is None
    assert [acks.count for acks in (*before, after)] == [1, 1, 1]
    assert len(said(screen)) == 1


def test_an_expired_pop_is_not_shown(rules: Rules) -> None:
    screen, sent = rules.screen(), pop(now=NOW, lives=30)
    acks = arrive(screen, sent)
    assert screen.take(NOW + 30) is None
    assert (acks.count, said(screen)) == (1, [Outcome(sent.popid, "refused", reason="expired")])


def test_connect_pops_are_each_shown_and_touch_no_record(rules: Rules) -> None:
    screen = rules.screen()
    show(screen, pop("CASE-1", campaign="Support", now=NOW))
    assert show(screen, pop(now=NOW))
    assert show(screen, pop(now=NOW))
    assert screen.records == Records("CASE-1")


def test_the_current_reference_again_is_unchanged(rules: Rules) -> None:
    screen = rules.screen()
    show(screen, pop("CASE-1", campaign="Support", now=NOW))
    again = pop("CASE-1", campaign="Support", now=NOW)
    said(screen)
    assert show(screen, again) is None
    assert said(screen) == [Outcome(again.popid, "unchanged")]


def test_another_reference_puts_the_current_one_aside_and_says_so(rules: Rules) -> None:
    screen, second = rules.screen(), pop("CASE-2", campaign="Support", now=NOW)
    show(screen, pop("CASE-1", campaign="Support", now=NOW))
    said(screen)
    show(screen, second)
    assert said(screen) == [Outcome(second.popid, "shown", suspended="CASE-1")]
    assert screen.records == Records("CASE-2", ("CASE-1",))


def obeyed(screen: AScreen) -> list[Notice]:
    notices = list(screen.obeyed)
    screen.obeyed.clear()
    return notices


def test_an_account_takes_effect_after_the_pops_that_came_before_it(rules: Rules) -> None:
    screen, first, second = rules.screen(), pop("a", campaign="c", now=NOW), pop("b", campaign="c", now=NOW)
    arrive(screen, first)
    screen.heed(Current("z", ()), NOW)
    screen.heed(Current("a", ("old",)), NOW)
    arrive(screen, second)
    screen.heed(Current("b", ("a", "old")), NOW)
    assert (screen.records, obeyed(screen)) == (Records(), [])
    assert screen.take(NOW) == (first, documents.encode(first))
    assert (screen.records, obeyed(screen)) == (Records("a", ("old",)), [Current("a", ("old",))])
    assert screen.take(NOW) == (second, documents.encode(second))
    assert (screen.records, obeyed(screen)) == (Records("b", ("a", "old")), [Current("b", ("a", "old"))])
    assert said(screen) == [Outcome(first.popid, "shown"), Outcome(second.popid, "shown", suspended="a")]


def test_an_account_does_not_wait_for_pops_that_open_no_record(rules: Rules) -> None:
    screen = rules.screen()
    arrive(screen, pop(now=NOW))
    screen.heed(Current("a", ()), NOW)
    assert (screen.records, obeyed(screen)) == (Records("a"), [Current("a", ())])


def test_recalls_and_refusals_take_effect_at_once(rules: Rules) -> None:
    screen, waiting = rules.screen(), pop("a", campaign="c", now=NOW)
    screen.heed(Current("b", ()), NOW)
    arrive(screen, waiting)
    screen.heed(Current("a", ("b",)), NOW)
    screen.heed(Refused("b", "record_locked"), NOW)
    assert screen.records == Records(None, ("b",))
    screen.heed(Recall(waiting.popid), NOW)
    assert screen.records == Records("a", ("b",))
    assert obeyed(screen) == [
        Current("b", ()),
        Refused("b", "record_locked"),
        Recall(waiting.popid),
        Current("a", ("b",)),
    ]


def test_an_account_behind_a_recalled_pop_waits_for_the_pop_before_it(rules: Rules) -> None:
    screen, first, second = rules.screen(), pop("a", campaign="c", now=NOW), pop("b", campaign="c", now=NOW)
    arrive(screen, first)
    screen.heed(Current("a", ()), NOW)
    arrive(screen, second)
    screen.heed(Current("a", ("b",)), NOW)
    screen.heed(Recall(second.popid), NOW)
    assert obeyed(screen) == [Recall(second.popid)]
    assert screen.take(NOW) == (first, documents.encode(first))
    assert (screen.records, obeyed(screen)) == (Records("a", ("b",)), [Current("a", ("b",))])


@pytest.mark.parametrize("why", ["desktop_busy", "expired", "on_break"])
def test_an_account_behind_a_pop_that_was_refused_takes_effect(rules: Rules, why: str) -> None:
    screen = rules.screen(backlog=1, refusal=lambda _pop: "on_break" if why == "on_break" else None)
    refused = pop("a", campaign="c", now=NOW, lives=10 if why == "expired" else 60)
    arrive(screen, refused)
    screen.heed(Current("a", ("b",)), NOW)
    if why == "desktop_busy":
        arrive(screen, pop("c", campaign="c", now=NOW))
    else:
        assert screen.take(NOW + 10) is None
    assert said(screen) == [Outcome(refused.popid, "refused", reason=why)]
    assert (screen.records, obeyed(screen)) == (Records("a", ("b",)), [Current("a", ("b",))])


def take_all(screen: AScreen) -> list[Pop]:
    return [taken[0] for taken in iter(lambda: screen.take(NOW), None)]


names = st.sampled_from(["a", "b", "c"])
accounts = st.builds(Current, st.none() | names, st.lists(names, max_size=3).map(tuple))


@given(st.lists(st.tuples(st.none() | names | accounts, st.booleans()), max_size=30))
def test_taken_late_or_at_once_the_same_is_shown_and_said(
    rules: Rules,
    course: list[tuple[str | Current | None, bool]],
) -> None:
    prompt, late = rules.screen(), rules.screen()
    shown_at_once, shown_late = [], []
    for event, taking in course:
        if isinstance(event, Current):
            prompt.heed(event, NOW)
            late.heed(event, NOW)
        else:
            sent = pop(event, campaign="c" if event else None, now=NOW)
            arrive(prompt, sent)
            arrive(late, sent)
        shown_at_once += take_all(prompt)
        if taking:
            shown_late += take_all(late)
    shown_late += take_all(late)
    assert shown_late == shown_at_once
    assert list(late.sayings) == list(prompt.sayings)
    assert late.records == prompt.records


def test_cloud_pops_without_a_reference_are_records_of_their_own(rules: Rules) -> None:
    screen = rules.screen()
    first, second = pop(campaign="Support", now=NOW), pop(campaign="Support", now=NOW)
    show(screen, first)
    show(screen, second)
    assert screen.records == Records(second.popid, (first.popid,))


def test_records_are_moved_by_hand_and_each_move_is_said(rules: Rules) -> None:
    screen = rules.screen()
    show(screen, pop("a", campaign="c", now=NOW))
    show(screen, pop("b", campaign="c", now=NOW))
    said(screen)
    screen.resume("a")
    screen.close("a")
    screen.close("nobody knows")
    screen.suspend()
    with pytest.raises(NotInActivitiesError):
        screen.resume("a")
    assert said(screen) == [Moved("b", "suspended"), Moved("a", "resumed"), Moved("a", "closed")]
    assert screen.records == Records(None, ("b",))


def test_a_recalled_pop_is_not_shown_whether_it_waits_or_comes_later(rules: Rules) -> None:
    screen, waiting, later = rules.screen(), pop(now=NOW), pop(now=NOW)
    acks = arrive(screen, waiting)
    screen.heed(Recall(waiting.popid), NOW)
    screen.heed(Recall(later.popid), NOW)
    assert show(screen, later) is None
    assert (acks.count, said(screen)) == (1, [])


def test_a_refused_record_goes_back_to_the_activities(rules: Rules) -> None:
    screen = rules.screen()
    screen.heed(Current(None, ("a", "b")), NOW)
    screen.resume("b")
    screen.heed(Refused("b", "record_locked"), NOW)
    assert screen.records == Records(None, ("b", "a"))
    screen.heed(Refused("z", "record_locked"), NOW)
    assert screen.records == Records(None, ("b", "a"))


def test_the_application_may_refuse_with_a_reason(rules: Rules) -> None:
    screen = rules.screen(refusal=lambda offered: "busy" if offered.reference == "a" else None)
    refused = pop("a", campaign="c", now=NOW)
    assert show(screen, refused) is None
    assert said(screen) == [Outcome(refused.popid, "refused", reason="busy")]
    assert screen.records == Records()
    assert show(screen, pop("b", campaign="c", now=NOW))


def test_a_full_backlog_refuses_what_waited_longest(rules: Rules) -> None:
    screen, sent = rules.screen(backlog=2), [pop(now=NOW) for _ in range(3)]
    acks = [arrive(screen, each) for each in sent]
    assert [each.count for each in acks] == [1, 0, 0]
    assert said(screen) == [Outcome(sent[0].popid, "refused", reason="desktop_busy")]
    assert [screen.take(NOW), screen.take(NOW)] == [(each, documents.encode(each)) for each in sent[1:]]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"popid": 1}',
        documents.encode(pop(now=NOW)).replace(b'"expires":"', b'"expires":"soon '),
        documents.encode(pop(now=NOW)).replace(b'Z","ack', b'","ack'),
        b"[" * 100_000,
    ],
)
def test_what_is_not_a_pop_is_refused(rules: Rules, payload: bytes) -> None:
    with pytest.raises(NotAPopError):
        rules.screen().arrive(payload, Acks(), NOW)


@given(st.binary(max_size=200))
def test_any_payload_is_a_pop_or_refused(rules: Rules, payload: bytes) -> None:
    with pytest.raises(NotAPopError):
        rules.screen().arrive(payload, Acks(), NOW)


@pytest.mark.parametrize(
    ("payload", "read"),
    [
        (b'{"recall": "p"}', Recall("p")),
        (b'{"refused": "r", "reason": "record_locked"}', Refused("r", "record_locked")),
        (b'{"current": "r", "activities": ["a"]}', Current("r", ("a",))),
        (b'{"activities": []}', Current(None, ())),
        (b'{"current": null, "activities": ["a"]}', Current(None, ("a",))),
        (b'{"something": "new"}', None),
    ],
)
def test_what_the_bridge_says_is_read(rules: Rules, payload: bytes, read: object) -> None:
    assert rules.notice(payload) == read


references = st.none() | st.sampled_from(["a", "b", "c", "d"])
courses = st.lists(
    st.one_of(
        st.tuples(st.just("arrive"), st.integers(0, 12)),
        st.tuples(st.just("take"), st.integers(0, 12)),
        st.tuples(st.just("recall"), st.integers(0, 12)),
        st.tuples(st.just("wait"), st.integers(0, 30)),
    ),
    max_size=60,
)


@given(courses, st.lists(references, min_size=13, max_size=13))
def test_whatever_happens_each_pop_is_acknowledged_once_per_copy_and_has_one_outcome(
    rules: Rules, course: list[tuple[str, int]], named: list[str | None]
) -> None:
    sent = [pop(each, campaign="c" if each else None, popid=f"pop-{at:016}", now=NOW) for at, each in enumerate(named)]
    screen, now, shown = rules.screen(backlog=4), NOW, []
    acks: dict[str, list[Acks]] = {each.popid: [] for each in sent}
    recalled = set()
    for name, number in course:
        chosen = sent[number % 13]
        match name:
            case "arrive":
                acks[chosen.popid].append(arrive(screen, chosen, now))
            case "take":
                taken = screen.take(now)
                shown += [taken[0].popid] if taken else []
                assert taken is None or chosen.popid not in recalled or taken[0].popid != chosen.popid
            case "recall":
                screen.heed(Recall(chosen.popid), now)
                recalled.add(chosen.popid)
            case _:
                now += number
    while (taken := screen.take(now)) is not None:
        shown.append(taken[0].popid)
    assert len(shown) == len(set(shown))
    assert all(each.count == 1 for copies in acks.values() for each in copies)
    outcomes = [each.popid for each in screen.sayings if isinstance(each, Outcome)]
    assert len(outcomes) == len(set(outcomes))
    assert [each.popid for each in screen.sayings if isinstance(each, Outcome) and each.outcome == "shown"] == shown
    assert all(msgspec.json.encode(each) for each in screen.sayings)
