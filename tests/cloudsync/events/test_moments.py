"""Stories of times as a CRM writes them."""

import pytest

from bridge.cloudsync.events import moments
from tests.cloudsync.events.messages import NOON


@pytest.mark.parametrize(
    "written",
    [
        "2026-06-09T12:00:00.000Z",
        "2026-06-09T12:00:00Z",
        "2026-06-09T12:00:00.000+0000",
        "2026-06-09T12:00:00.000+00:00",
        "2026-06-09T14:00:00+02:00",
        "2026-06-09T12:00:00.000999Z",
        NOON,
        float(NOON),
    ],
)
def test_every_spelling_of_one_moment_is_read_alike(written: object) -> None:
    assert moments.read(written) == NOON


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="without a zone"):
        moments.read("2026-06-09T12:00:00.000")


@pytest.mark.parametrize(
    "written",
    ["", "noon", "2026-13-01T00:00:00Z", True, None, [], 1.5, float("nan"), NOON // 1000, 10**30, "9" * 5000],
)
def test_what_is_no_time_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="is "):
        moments.read(written)
