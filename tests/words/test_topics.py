"""Topics, and who may use them: the truth table of the contract."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.words import topics
from bridge.words.principal import Principal, Role
from bridge.words.topics import Action, level, permits

SUB, PUB = Action.SUBSCRIBE, Action.PUBLISH


def principal(role: Role, agent: str | None = None, customer: str = "acme") -> Principal:
    return Principal(role, customer, "id", 0.0, agent)


DESKTOP = principal(Role.DESKTOP, "1001")
OBSERVER = principal(Role.OBSERVER)
FEED = principal(Role.FEED)


@pytest.mark.parametrize(
    "topic",
    [
        "CTI/acme/1001",
        "CTI/acme/+/1001",
        "CTI/acme/env1/1001",
        "CRM/acme/1001",
        "CRM/acme/+/1001",
        "CRM/acme/acme.example.com/1001",
        "DESK/acme/1001",
    ],
)
def test_a_desktop_may_subscribe_to_its_own(topic: str) -> None:
    assert permits(DESKTOP, SUB, topic)
    assert not permits(DESKTOP, PUB, topic)


@pytest.mark.parametrize(
    "topic",
    [
        "CTI/acme/1002",
        "CTI/acme/+",
        "CTI/acme/#",
        "CTI/acme",
        "CTI/acme/+/+",
        "CTI/acme/env1/#",
        "CTI/acme/env1/+",
        "CTI/acme/1001/#",
        "CTI/acme/1001/+",
        "CTI/+/1001",
        "CTI/+/+/1001",
        "+/acme/1001",
        "+/+/1001",
        "#",
        "+",
        "",
        "/",
        "CTI/acme/a/b/1001",
        "CTI/acme/+/+/1001",
        "CTI/other/1001",
        "CTI/other/+/1001",
        "CTI/ACME/1001",
        "cti/acme/1001",
        "CTI//1001",
        "DESK/acme/+",
        "DESK/acme/1002",
        "DESK/acme/+/1001",
        "ACK/acme/1001",
        "ACK/acme/+",
        "PRESENCE/acme/1001",
        "LIVE/acme/agents/1001",
        "CLOUDSYNC/acme/1001",
        "$SYS/acme/1001",
        "$share/g/CTI/acme/1001",
        "CTI/acme/1001/",
        "/CTI/acme/1001",
        "CTI/acme/%31001",
    ],
)
def test_a_desktop_may_subscribe_to_nothing_else(topic: str) -> None:
    assert not permits(DESKTOP, SUB, topic)
    assert permits(DESKTOP, PUB, topic) == (topic == "ACK/acme/1001")


def test_a_desktop_may_publish_its_acknowledgements_and_nothing_else() -> None:
    assert permits(DESKTOP, PUB, "ACK/acme/1001")
    for topic in (
        "ACK/acme/1002",
        "ACK/other/1001",
        "ACK/acme",
        "ACK/acme/x/1001",
        "ACK/acme/1001/x",
        "PRESENCE/acme/1001",
    ):
        assert not permits(DESKTOP, PUB, topic)


@pytest.mark.parametrize("kind", ["CTI", "CRM", "DESK", "ACK", "PRESENCE", "LIVE", "CLOUDSYNC"])
@pytest.mark.parametrize("rest", ["acme", "acme/#", "acme/+", "acme/1001", "acme/+/1001", "acme/a/b/#"])
def test_an_observer_may_subscribe_to_everything_of_its_customer(kind: str, rest: str) -> None:
    assert permits(OBSERVER, SUB, f"{kind}/{rest}")
    assert not permits(OBSERVER, PUB, f"{kind}/{rest}")


@pytest.mark.parametrize(
    "topic",
    [
        "#",
        "+",
        "+/acme/#",
        "+/#",
        "CTI/#",
        "CTI/+",
        "CTI/+/#",
        "CTI/other/#",
        "CTI/other",
        "CTI/acmeX/#",
        "CTI/acme#",
        "CTI",
        "$SYS/#",
        "$SYS/acme/#",
        "OTHER/acme/#",
        "cti/acme/#",
        "$share/g/CTI/acme/#",
        "",
    ],
)
def test_an_observer_may_subscribe_to_nothing_else(topic: str) -> None:
    assert not permits(OBSERVER, SUB, topic)
    assert not permits(OBSERVER, PUB, topic)


@pytest.mark.parametrize(
    "topic", ["CLOUDSYNC/acme/#", "CLOUDSYNC/acme/feed", "CLOUDSYNC/acme/+/x", "CLOUDSYNC/acme/a/b"]
)
def test_a_feed_has_its_customers_cloudsync(topic: str) -> None:
    assert permits(FEED, SUB, topic)
    assert permits(FEED, PUB, topic)


@pytest.mark.parametrize(
    "topic", ["CLOUDSYNC/acme", "CLOUDSYNC/other/#", "CLOUDSYNC/#", "CLOUDSYNC/+/x", "CTI/acme/#", "#", "ACK/acme/1"]
)
def test_a_feed_has_nothing_else(topic: str) -> None:
    assert not permits(FEED, SUB, topic)
    assert not permits(FEED, PUB, topic)


@pytest.mark.parametrize("role", [Role.KEY, Role.ADMIN])
@pytest.mark.parametrize("topic", ["CTI/acme/1001", "CTI/acme/#", "CLOUDSYNC/acme/#", "ACK/acme/1001", "#"])
def test_keys_and_admins_have_nothing(role: Role, topic: str) -> None:
    for agent in (None, "1001"):
        assert not permits(principal(role, agent), SUB, topic)
        assert not permits(principal(role, agent), PUB, topic)


@pytest.mark.parametrize(
    ("agent", "own"),
    [
        ("site/12", "site%2F12"),
        ("a+b", "a%2Bb"),
        ("#", "%23"),
        ("+", "%2B"),
        ("100%", "100%25"),
        ("$SYS", "%24SYS"),
        ("a%2Fb", "a%252Fb"),
    ],
)
def test_an_encoded_id_opens_its_own_topics_only(agent: str, own: str) -> None:
    desktop = principal(Role.DESKTOP, agent)
    for topic in (f"CTI/acme/{own}", f"CTI/acme/+/{own}", f"CRM/acme/x/{own}", f"DESK/acme/{own}"):
        assert permits(desktop, SUB, topic)
    for topic in (f"CTI/acme/{agent}", f"CTI/acme/+/{agent}", f"CRM/acme/x/{agent}", f"DESK/acme/{agent}"):
        assert not permits(desktop, SUB, topic)
    assert permits(desktop, PUB, f"ACK/acme/{own}")
    assert not permits(desktop, PUB, f"ACK/acme/{agent}")


LEVELS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), min_size=1, max_size=12
)


@given(LEVELS, LEVELS)
def test_encoding_a_level_is_safe_and_loses_nothing(one: str, other: str) -> None:
    spelled = level(one)
    assert not set(spelled) & set("/+#")
    assert not spelled.startswith("$")
    assert (one == other) == (spelled == level(other))
    assert set(spelled.split("%")[1:]) == set() or all(
        part[:2] in {"2F", "2B", "23", "25", "24"} for part in spelled.split("%")[1:]
    )


@given(LEVELS, LEVELS)
def test_one_agents_filters_never_open_anothers_topics(one: str, other: str) -> None:
    mine, theirs = principal(Role.DESKTOP, one), principal(Role.DESKTOP, other)
    for topic in topics.for_desktop("acme", one):
        assert permits(mine, SUB, topic)
        assert permits(theirs, SUB, topic) == (one == other)
        assert not permits(principal(Role.DESKTOP, one, "other"), SUB, topic)


def test_topics_are_named_as_the_contract_says() -> None:
    assert topics.cti("acme", "1001") == "CTI/acme/1001"
    assert topics.cti("acme", "1001", "env/1") == "CTI/acme/env%2F1/1001"
    assert topics.crm("acme", "site/12", "crm.example.com") == "CRM/acme/crm.example.com/site%2F12"
    assert topics.crm("acme", "1001") == "CRM/acme/1001"
    assert topics.ack("acme", "a#") == "ACK/acme/a%23"
    assert topics.desk("acme", "$x") == "DESK/acme/%24x"
    assert topics.presence("acme", "1001") == "PRESENCE/acme/1001"
