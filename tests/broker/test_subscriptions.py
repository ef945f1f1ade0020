"""Subscriptions and retained messages, against a matcher that can be read at a glance."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.broker.core import subscriptions
from bridge.broker.core.retained import Retained
from bridge.broker.core.subscriptions import Subscriptions

levels = st.sampled_from(["a", "b", "", "$x"])
topics = st.lists(levels, min_size=1, max_size=4).map("/".join).filter(bool)
filters = (
    st.tuples(st.lists(levels | st.just("+"), max_size=4), st.sampled_from(["", "#"]))
    .map(lambda made: "/".join([*made[0], *([made[1]] if made[1] else [])]))
    .filter(bool)
)
clients = st.sampled_from(["me", "you", "they"])
deeds = st.lists(st.tuples(st.booleans(), filters | topics, clients, st.integers(0, 2)), max_size=25)


def matches(topic_filter: str, topic: str) -> bool:
    """Follow section 4.7 of the standard word by word."""
    if topic.startswith("$") and topic_filter.startswith(("+", "#")):
        return False
    wanted, given_levels = topic_filter.split("/"), topic.split("/")
    for position, level in enumerate(wanted):
        if level == "#":
            return True
        if position >= len(given_levels):
            return False
        if level not in {"+", given_levels[position]}:
            return False
    return len(wanted) == len(given_levels)


def matches_parent_too(topic_filter: str, topic: str) -> bool:
    return matches(topic_filter, topic) or (topic_filter.endswith("/#") and matches(topic_filter[:-2], topic))


@given(deeds, topics)
def test_matching_is_what_the_standard_says(deeds: list[tuple[bool, str, str, int]], topic: str) -> None:
    table: Subscriptions[str] = Subscriptions()
    naive: dict[tuple[str, str], int] = {}
    for adds, topic_filter, who, qos in deeds:
        if adds:
            table.add(topic_filter, who, qos)
            naive[topic_filter, who] = qos
        else:
            table.remove(topic_filter, who)
            naive.pop((topic_filter, who), None)
    expected: dict[str, int] = {}
    for (topic_filter, who), qos in naive.items():
        if matches_parent_too(topic_filter, topic):
            expected[who] = max(qos, expected.get(who, 0))
    assert dict(table.matching(topic)) == expected
    assert table.count == len(naive)
    assert {(one, who): qos for one, some in table.filters() for who, qos in some.items()} == naive


@given(deeds, topics)
def test_what_was_found_before_a_change_is_not_found_after_it(
    deeds: list[tuple[bool, str, str, int]], topic: str
) -> None:
    asked: Subscriptions[str] = Subscriptions()
    for done, (adds, topic_filter, who, qos) in enumerate(deeds, 1):
        if adds:
            asked.add(topic_filter, who, qos)
        else:
            asked.remove(topic_filter, who)
        fresh: Subscriptions[str] = Subscriptions()
        for added, one_filter, client, granted in deeds[:done]:
            if added:
                fresh.add(one_filter, client, granted)
            else:
                fresh.remove(one_filter, client)
        assert dict(asked.matching(topic)) == dict(fresh.matching(topic))


def test_no_more_topics_are_remembered_than_the_bound() -> None:
    table: Subscriptions[str] = Subscriptions()
    table.add("+/a", "me", 1)
    for number in range(2 * subscriptions.REMEMBERED + 1):
        assert table.matching(f"{number}/a") == {"me": 1}
        assert len(table._found) <= subscriptions.REMEMBERED


def test_many_who_watch_everything_are_not_remembered_for_each_topic() -> None:
    table: Subscriptions[int] = Subscriptions()
    for who in range(10 * subscriptions.FEW):
        table.add("#", who, 1)
        table.add("+/a", who, 0)
    for number in range(100):
        assert len(table.matching(f"{number}/a")) == 10 * subscriptions.FEW
    assert table._found == {}


@given(deeds)
def test_nothing_is_left_when_everything_is_removed(deeds: list[tuple[bool, str, str, int]]) -> None:
    table: Subscriptions[str] = Subscriptions()
    for _, topic_filter, who, qos in deeds:
        table.add(topic_filter, who, qos)
    for _, topic_filter, who, _ in reversed(deeds):
        table.remove(topic_filter, who)
    assert table.count == 0
    assert table._exact == {}
    assert table._root.children == {}


def test_a_match_does_not_change_the_table() -> None:
    table: Subscriptions[str] = Subscriptions()
    table.add("a/b", "me", 0)
    table.add("a/+", "me", 2)
    table.add("a/#", "you", 1)
    assert dict(table.matching("a/b")) == {"me": 2, "you": 1}
    assert dict(table.matching("a/b")) == {"me": 2, "you": 1}
    table.remove("a/+", "me")
    assert dict(table.matching("a/b")) == {"me": 0, "you": 1}


def test_subscribing_again_changes_the_qos() -> None:
    table: Subscriptions[str] = Subscriptions()
    table.add("a", "me", 2)
    table.add("a", "me", 0)
    assert dict(table.matching("a")) == {"me": 0}
    assert table.count == 1


@given(st.lists(st.tuples(topics, st.sampled_from([b"", b"1", b"2"])), max_size=25), filters | topics)
def test_retained_messages_are_found_by_filter(said: list[tuple[str, bytes]], topic_filter: str) -> None:
    store, naive = Retained(1000), dict[str, bytes]()
    for topic, payload in said:
        assert store.keep(topic, payload, 1)
        naive.pop(topic, None)
        if payload:
            naive[topic] = payload
    found = {letter.topic: letter.payload for letter in store.matching(topic_filter)}
    assert found == {topic: payload for topic, payload in naive.items() if matches_parent_too(topic_filter, topic)}
    assert len(store) == len(naive)
    for topic in list(naive):
        store.keep(topic, b"", 1)
    assert store._root.children == {}


def test_retained_messages_are_bounded() -> None:
    store = Retained(2)
    assert store.keep("a", b"1", 0)
    assert store.keep("b", b"1", 0)
    assert not store.keep("c", b"1", 0)
    assert store.keep("a", b"2", 0)
    assert store.keep("b", b"", 0)
    assert store.keep("c", b"1", 0)


def test_a_replaced_message_says_so() -> None:
    store = Retained(2)
    store.keep("a", b"1", 0)
    [first] = store.matching("a")
    store.keep("a", b"2", 0)
    assert first.superseded
    assert [letter.payload for letter in store.matching("#")] == [b"2"]
