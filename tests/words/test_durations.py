import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.words import durations


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("500ms", 0.5),
        ("30s", 30.0),
        ("5m", 300.0),
        ("24h", 86_400.0),
        ("30d", 2_592_000.0),
        ("1.5h", 5400.0),
        ("0s", 0),
    ],
)
def test_a_duration_is_a_number_and_a_unit(written: str, seconds: float) -> None:
    assert durations.seconds(written) == seconds


@pytest.mark.parametrize("written", ["", "s", "-1s", "1 s", "5M", "1w", "1e3s", "1s ", "٣s", "1.s", "9999999999999s"])
def test_anything_else_is_refused_with_an_example(written: str) -> None:
    with pytest.raises(ValueError, match=r"is not a duration: .* for example 30s"):
        durations.seconds(written)


def test_a_bare_number_is_told_to_take_a_unit() -> None:
    with pytest.raises(ValueError, match="30 has no unit: write for example 30s"):
        durations.seconds("30")


@pytest.mark.parametrize(
    ("seconds", "written"), [(0, "0s"), (0.25, "250ms"), (90, "90s"), (86_400, "1d"), (7200, "2h"), (1.5, "1500ms")]
)
def test_a_duration_is_spelled_with_the_largest_unit_that_needs_no_fraction(seconds: float, written: str) -> None:
    assert durations.spell(seconds) == written


@given(st.integers(0, 10**11))
def test_what_is_spelled_reads_the_same(milliseconds: int) -> None:
    assert durations.seconds(durations.spell(milliseconds / 1000)) == milliseconds / 1000
