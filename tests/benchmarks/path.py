"""Path: what each stage of a pop costs, in microseconds of CPU."""

import statistics
from collections.abc import Sequence

from tests.benchmarks.inside import Shape, started
from tests.benchmarks.stages import OWN, STAGES
from tests.benchmarks.table import spread


def measure(rounds: int, pops: int) -> None:
    """Print it. Each round is measured with samples and without, for what they cost, and once until the pops' end."""
    with started(Shape(lasting=True)) as bridge, started(Shape()) as ending:
        bridge.ready()
        ending.ready()
        found = [(bridge.pop(pops), bridge.pop(pops, stages=True), ending.pop(pops)) for _ in range(rounds)]
    print(f"Path of a pop through the event loop, CPU in microseconds, {rounds} rounds of {pops:,} pops")
    sampled = [cost.stages for _, cost, _ in found]
    product = statistics.median(sum(stages.values()) - stages[OWN] for stages in sampled)
    for stage in STAGES:
        values = [stages[stage] for stages in sampled]
        _row(stage, values, "" if stage == OWN else f"{statistics.median(values) / product:>7.1%}")
    _row("the event loop's thread, not sampled", [cost.loop for cost, _, _ in found])
    _row("the same until a pop's time is over", [cost.loop for _, _, cost in found])
    _row("other threads: SQLite", [cost.process - cost.loop for cost, _, _ in found])
    _row("the same until a pop's time is over", [cost.process - cost.loop for _, _, cost in found])
    taken = [with_samples.loop / cost.loop for cost, with_samples, _ in found]
    print(f"  Sampling made the loop {spread(taken, 'x{:.2f}')} as dear; no socket was read or written.\n", flush=True)


def _row(name: str, values: Sequence[float], share: str = "") -> None:
    print(f"  {name:<38}{spread(values, '{:.1f}'):>22}{share}")
