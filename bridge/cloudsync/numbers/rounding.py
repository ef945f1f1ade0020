"""Rounding: milliseconds in, published seconds and ratios out; in whole numbers, so that nothing drifts."""

from collections.abc import Sequence

Tenths = float
"""A number with one decimal."""


def whole(milliseconds: int) -> int:
    """Round a sum, or a maximum, down to whole seconds."""
    return milliseconds // 1000


def ratio(part: int, of: int) -> Tenths | None:
    """Divide, to one decimal, half up; None where there is nothing to divide by."""
    return (20 * part + of) // (2 * of) / 10 if of else None


def per_cent(part: int, of: int) -> Tenths | None:
    """Give a share in per cent, to one decimal, half up; None where there is nothing to have a share of."""
    return ratio(100 * part, of)


def average(milliseconds: int, count: int) -> Tenths | None:
    """Average in seconds, to one decimal, half up; None of nothing."""
    return ratio(milliseconds, 1000 * count)


def percentile(ordered: Sequence[int], tenths: int) -> Tenths | None:
    """Find a percentile (5: median, 9: the 90th) of milliseconds that are in order, in seconds; None of nothing."""
    return ratio(tenfold(ordered, tenths), 10_000) if ordered else None


def tenfold(ordered: Sequence[int], tenths: int) -> int:
    """Find ten times a percentile: linear interpolation (R-7), where ten times it is always whole."""
    below, rest = divmod((len(ordered) - 1) * tenths, 10)
    value = 10 * ordered[below]
    return value + rest * (ordered[below + 1] - ordered[below]) if rest else value
