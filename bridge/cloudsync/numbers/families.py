"""Families: metrics that come as a sum, an average, a median and a 90th percentile."""

from collections.abc import Iterable
from typing import NamedTuple

from bridge.cloudsync.numbers.rounding import Tenths, average, percentile, whole


class Family(NamedTuple):
    """`_sum_s`, `_avg_s`, `_p50_s` and `_p90_s` of some durations. The average is of the exact sum."""

    sum_s: int
    avg_s: Tenths | None
    p50_s: Tenths | None
    p90_s: Tenths | None


NOBODY = Family(0, None, None, None)


def family(durations: Iterable[int]) -> Family:
    """Compute a family from milliseconds."""
    ordered = sorted(durations)
    if not ordered:
        return NOBODY
    total = sum(ordered)
    return Family(whole(total), average(total, len(ordered)), percentile(ordered, 5), percentile(ordered, 9))
