"""Controls: ranges, headers, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.connect.controls import preferred_wait, read
from bridge.words.errors import Fault
from bridge.words.trigger import Controls


def refused(name: str, value: str) -> bool:
    with pytest.raises(Fault) as caught:
        read({name: value})
    return caught.value.problem.code == "invalid_parameter" and f"`{name}`" in caught.value.detail


def test_without_any_there_is_no_wait_and_the_channels_ttl() -> None:
    assert read({}) == Controls(wait=0.0, until="shown", ttl=None, key=None, dryrun=False)


@pytest.mark.parametrize(("text", "seconds"), [("0", 0), ("8", 8), ("2.5", 2.5), ("0.001", 0.001), ("08", 8)])
def test_pop_wait_takes_0_to_8_seconds(text: str, seconds: float) -> None:
    assert read({"pop_wait": text}).wait == seconds


@pytest.mark.parametrize("text", ["", " ", "-1", "8.1", "9", "5s", "1e0", "NaN", "inf", "٣", "+5", "0x1", "5.", ".5"])
def test_pop_wait_takes_nothing_else(text: str) -> None:
    assert refused("pop_wait", text)


@pytest.mark.parametrize("text", ["1", "3600", "30", "1.5"])
def test_pop_ttl_takes_1_to_3600_seconds(text: str) -> None:
    assert read({"pop_ttl": text}).ttl == float(text)


@pytest.mark.parametrize("text", ["0", "0.9", "3601", "", "1h", "-5", "1" * 400])
def test_pop_ttl_takes_nothing_else(text: str) -> None:
    assert refused("pop_ttl", text)


@pytest.mark.parametrize("text", ["", "Shown", "sent", "held", "SHOWN"])
def test_pop_until_is_shown_or_delivered(text: str) -> None:
    assert read({"pop_until": "delivered"}).until == "delivered"
    assert refused("pop_until", text)


def test_pop_dryrun_is_1_or_0() -> None:
    assert read({"pop_dryrun": "1"}).dryrun
    assert read({"pop_dryrun": "true"}).dryrun
    assert not read({"pop_dryrun": "0"}).dryrun
    assert refused("pop_dryrun", "yes")
    assert refused("pop_dryrun", "")


def test_the_key_comes_from_parameter_or_header_but_not_two_different_ones() -> None:
    assert read({"pop_key": "a"}).key == "a"
    assert read({}, key="b").key == "b"
    assert read({"pop_key": "a"}, key="a").key == "a"
    with pytest.raises(Fault):
        read({"pop_key": "a"}, key="b")


@pytest.mark.parametrize("text", ["", " ", "a\nb", "k" * 257])
def test_a_key_is_1_to_256_printable_characters(text: str) -> None:
    assert read({"pop_key": "k" * 256}).key == "k" * 256
    assert refused("pop_key", text)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("wait=5", 5),
        ("Wait = 5", 5),
        ('wait="5"', 5),
        ("respond-async, wait=3", 3),
        ("wait=3; foo=1", 3),
        ("wait=8", 8),
        ("wait=9", 8),
        ("wait=600", 8),
        ("wait=999999999999", 8),
        ("wait=0", 0),
    ],
)
def test_prefer_wait_is_read_and_over_8_counts_as_8(header: str, seconds: float) -> None:
    assert preferred_wait(header) == seconds


@pytest.mark.parametrize(
    "header", ["", "wait", "wait=", "wait=x", "wait=-1", "wait=1.5", "await=5", "wait=5x", "wait=٣"]
)
def test_a_malformed_preference_is_none(header: str) -> None:
    assert preferred_wait(header) is None


def test_pop_wait_wins_over_prefer() -> None:
    assert read({"pop_wait": "1"}, preferred_wait=5).wait == 1
    assert read({}, preferred_wait=5).wait == 5
    assert read({"pop_wait": "0"}, preferred_wait=5).wait == 0


@given(
    st.dictionaries(st.sampled_from(["pop_wait", "pop_until", "pop_ttl", "pop_key", "pop_dryrun"]), st.text()),
    st.text(),
)
def test_any_text_is_taken_or_refused_as_invalid(given_: dict[str, str], header: str) -> None:
    try:
        controls = read(given_, preferred_wait(header), header or None)
    except Fault as fault:
        code = fault.problem.code
    else:
        code = "invalid_parameter"
        assert 0 <= controls.wait <= 8
        assert controls.ttl is None or 1 <= controls.ttl <= 3600
    assert code == "invalid_parameter"
