"""Times leave the bridge in one spelling."""

import re
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.words.times import stamp


@pytest.mark.parametrize(
    ("seconds", "spelled"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_767_225_599.9999, "2025-12-31T23:59:59.999Z"),
        (1_767_225_600, "2026-01-01T00:00:00.000Z"),
        (0.001, "1970-01-01T00:00:00.001Z"),
        (1_709_164_800.5, "2024-02-29T00:00:00.500Z"),
    ],
)
def test_milliseconds_are_cut_never_rounded_up(seconds: float, spelled: str) -> None:
    assert stamp(seconds) == spelled


@given(st.integers(0, 4_102_444_800_000))
def test_it_is_rfc_3339_in_utc(milliseconds: int) -> None:
    spelled = stamp(milliseconds / 1000)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", spelled)
    assert abs(datetime.fromisoformat(spelled).timestamp() * 1000 - milliseconds) < 2


@given(st.floats(0, 4e9), st.floats(0, 4e9))
def test_text_order_is_time_order(one: float, other: float) -> None:
    assert (stamp(one) <= stamp(other)) or one > other
