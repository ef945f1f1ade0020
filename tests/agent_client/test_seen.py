"""Each pop is known until it has expired, and the memory is bounded."""

from hypothesis import given
from hypothesis import strategies as st

from tests.agent_client.rules import Rules


def test_a_popid_is_new_once(rules: Rules) -> None:
    seen = rules.seen(10)
    assert seen.add("a", 10.0, 0.0)
    assert not seen.add("a", 10.0, 1.0)


def test_at_the_limit_the_expired_are_forgotten_before_the_oldest(rules: Rules) -> None:
    seen = rules.seen(2)
    seen.add("long", 100.0, 0.0)
    seen.add("short", 1.0, 0.0)
    assert seen.add("next", 100.0, 2.0)
    assert not seen.add("long", 100.0, 2.0)
    assert seen.add("more", 100.0, 2.0)
    assert seen.add("long", 100.0, 2.0)


@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.floats(0, 10), st.floats(0, 10)), max_size=60),
    st.integers(1, 5),
)
def test_the_memory_never_exceeds_its_limit(rules: Rules, adds: list[tuple[str, float, float]], limit: int) -> None:
    seen = rules.seen(limit)
    for popid, until, now in adds:
        seen.add(popid, until, now)
        assert len(seen) <= limit
        assert not seen.add(popid, until, now)
