from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cloudsync.numbers import rounding
from bridge.cloudsync.numbers.families import family
from tests.cloudsync import naive

durations = st.integers(min_value=0, max_value=10**10)


def test_a_sum_is_rounded_down_once() -> None:
    assert family([1_600, 1_600, 1_600]).sum_s == 4


@pytest.mark.parametrize(
    ("part", "whole", "expected"), [(1, 20, 0.1), (1, 21, 0.0), (1, 3, 0.3), (2, 3, 0.7), (5, 100, 0.1), (3, 2, 1.5)]
)
def test_ratios_have_one_decimal_half_up(part: int, whole: int, expected: float) -> None:
    assert rounding.ratio(part, whole) == expected


def test_nothing_to_divide_by_gives_null() -> None:
    assert rounding.ratio(5, 0) is None
    assert rounding.per_cent(0, 0) is None
    assert rounding.average(0, 0) is None
    assert rounding.percentile([], 5) is None
    assert family([]) == (0, None, None, None)


def test_averages_and_percentiles_round_half_up_in_seconds() -> None:
    assert rounding.average(50, 1) == 0.1
    assert rounding.average(49, 1) == 0.0
    assert rounding.average(10_250, 1) == 10.3  # half to even would give 10.2


def test_percentiles_interpolate_as_r_7_does() -> None:
    tens = [10_000, 20_000, 30_000, 40_000]
    assert rounding.percentile(tens, 5) == 25.0
    assert rounding.percentile(tens, 9) == 37.0
    assert rounding.percentile([7_000], 9) == 7.0


@given(st.lists(durations, min_size=1, max_size=40))
def test_families_agree_with_fractions(values: list[int]) -> None:
    sums = naive.family("res", values)
    assert family(values)._asdict() == {name.removeprefix("res_"): value for name, value in sums.items()}


@given(durations, st.integers(min_value=1, max_value=10**6))
def test_ratios_agree_with_fractions(part: int, whole: int) -> None:
    assert rounding.ratio(part, whole) == naive.one_decimal(Fraction(part, whole))
