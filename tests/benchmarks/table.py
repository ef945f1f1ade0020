"""Tables: the median of all rounds, how far they spread, and ratios of what was measured in the same round."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple


class Column(NamedTuple):
    """A column of a table, and how a ratio is made of it: above 1 always means that ours is better."""

    head: str
    field: str
    shape: str
    better: int = 0  # 1: more is better, -1: less is better, 0: no ratio


def table(title: str, columns: Sequence[Column], rounds: Mapping[str, Sequence[Any]], ours: str) -> str:
    """Write a row for each contender and one for each of ours' ratios.

    `rounds` has each contender's figures by round, None where a turn gave none.
    """
    rows = [["", *(column.head for column in columns)]]
    for name, found in rounds.items():
        known = [figures for figures in found if figures is not None]
        if known:
            rows.append(
                [name, *(spread([getattr(one, column.field) for one in known], column.shape) for column in columns)]
            )
    for name, found in rounds.items():
        pairs = [pair for pair in zip(rounds.get(ours, ()), found, strict=False) if None not in pair]
        if pairs and name != ours:
            rows.append([f"vs. {name}", *(_ratio(pairs, column) for column in columns)])
    first, *others = (max(map(len, cells)) for cells in zip(*rows, strict=True))
    lines = (
        f"  {row[0]:<{first}}" + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], others, strict=True))
        for row in rows
    )
    return "\n".join([title, *map(str.rstrip, lines)]) + "\n"


def _ratio(pairs: Sequence[tuple[Any, ...]], column: Column) -> str:
    if not column.better:
        return ""
    values = [[float(getattr(figures, column.field)) for figures in pair] for pair in pairs]
    turned: Callable[[float, float], float] = lambda a, b: a / b if column.better > 0 else b / a  # noqa: E731
    ratios = [turned(mine, theirs) for mine, theirs in values if mine > 0 and theirs > 0]
    return spread(ratios, "x{:.2f}") if ratios else ""


def spread(values: Sequence[float], shape: str) -> str:
    """Write the median, and the least and the greatest beside it."""
    low, middle, high = (shape.format(value) for value in (min(values), statistics.median(values), max(values)))
    return middle if low == high else f"{middle} ({low}-{high})".replace("-x", "-").replace("(x", "(")
