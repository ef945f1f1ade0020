"""Roll-ups: the `*` rows that each value of a dimension counts in."""

from functools import lru_cache

ALL = "*"

Cell = tuple[str, str, str]
"""Three dimensions: group, channel, priority (STT) or agent, group, channel (CIM)."""


@lru_cache(maxsize=65_536)
def holding(cell: Cell) -> tuple[Cell, ...]:
    """List the rows that hold what is in a cell: itself, and every roll-up of it."""
    first, second, third = cell
    return (
        cell,
        (first, second, ALL),
        (first, ALL, third),
        (first, ALL, ALL),
        (ALL, second, third),
        (ALL, second, ALL),
        (ALL, ALL, third),
        (ALL, ALL, ALL),
    )
