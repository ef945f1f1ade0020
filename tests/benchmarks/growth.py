"""Growth: whether a pop costs more CPU where there is more of anything."""

import statistics
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import NamedTuple

import msgspec

from tests.benchmarks.inside import Cost, Shape, started

BORNE = 1.1  # of the first: less is no growth
PART = 500  # pops of one value before it is the next one's turn: what else the machine does is to meet all alike


class Curve(NamedTuple):
    """One dimension, the field of the bridge's shape that it is, and how the bridge is otherwise."""

    title: str
    field: str
    values: tuple[int, ...]
    others: Shape = Shape(lasting=True)


CURVES = {
    "agents": Curve("agents connected", "agents", (100, 1_000, 10_000)),
    "exact": Curve("exact filters an agent", "exact", (1, 10, 98)),
    "wildcards": Curve("wildcard filters an agent (2 at most)", "wildcards", (0, 1, 2)),
    "observer": Curve("filters of an observer, one is `#`", "watched", (1, 10, 100)),
    "customers": Curve("customers in broker.yaml", "customers", (1, 10, 100, 1_000)),
    "keys": Curve("keys issued and used by turns", "keys", (1, 100, 10_000)),
    "ledger": Curve("pops in the ledger", "recorded", (0, 100_000, 1_000_000)),
    "uptime": Curve("pops since the start", "before", (10_000, 50_000, 100_000), Shape()),
    "lasting": Curve("delivered pops in their time", "before", (1_000, 10_000, 90_000)),
}


def measure(names: Sequence[str], largest: int, rounds: int, pops: int) -> None:
    """Print the curves, each without what is beyond `largest`."""
    each = min(pops, PART)
    turns = rounds * (pops // each)
    print(
        f"Growth of a pop's CPU in microseconds, {turns} turns of {each:,} pops, ratios of the same turn, quartiles;\n"
        "idle: milliseconds of CPU a second that there are without pops, and that are taken off"
    )
    for name in names:
        curve = CURVES[name]
        values = [value for value in curve.values if value <= largest]
        if values:
            found = _turns(curve, values, turns, each)
            for line in _told(curve.title, values, found):
                print(line, flush=True)
    print(flush=True)


def _turns(curve: Curve, values: Sequence[int], turns: int, pops: int) -> list[list[Cost]]:
    """Give by value the costs of each turn; every other one goes down."""
    found: list[list[Cost]] = [[] for _ in values]
    with ExitStack() as all_of_them:
        bridges = [
            all_of_them.enter_context(started(msgspec.structs.replace(curve.others, **{curve.field: value})))
            for value in values
        ]
        for bridge in bridges:
            bridge.ready()
        for number in range(turns):
            order = range(len(values))
            for at in reversed(order) if number % 2 else order:
                found[at].append(bridges[at].pop(pops))
    return found


def _told(title: str, values: Sequence[int], found: Sequence[Sequence[Cost]]) -> Iterator[str]:
    idle = "".join(f"{f'{value:,}: {one[0].idle:.1f}':<30}" for value, one in zip(values, found, strict=True))
    for thread in ("loop", "process"):
        costs = [[float(getattr(cost, thread)) for cost in one] for one in found]
        first = costs[0]
        cells = [f"{values[0]:,}: {_middle(first, '{:.0f}')}"]
        ratios = list(first)
        for value, one in zip(values[1:], costs[1:], strict=True):
            ratios = [cost / least for cost, least in zip(one, first, strict=True)]
            cells.append(f"{value:,}: {_middle(ratios, 'x{:.2f}')}")
        said = "" if len(values) == 1 else _verdict(ratios)
        yield (f"  {title:<38}{thread:<9}" + "".join(f"{cell:<30}" for cell in cells) + said).rstrip()
    yield f"  {'':<38}{'idle':<9}{idle}".rstrip()


def _quartiles(values: Sequence[float]) -> list[float]:
    return statistics.quantiles(values, method="inclusive") if len(values) > 1 else [*values, *values, *values]


def _middle(values: Sequence[float], shape: str) -> str:
    low, middle, high = (shape.format(value) for value in _quartiles(values))
    return f"{middle} ({low.removeprefix('x')}-{high.removeprefix('x')})"


def _verdict(ratios: Sequence[float]) -> str:
    low, middle, _ = _quartiles(ratios)
    if middle <= BORNE:
        return "flat"
    return "GROWS" if low > BORNE else "not told: it spreads too far"
