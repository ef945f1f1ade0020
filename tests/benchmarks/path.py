"""Path: what each stage of a pop costs, in microseconds of CPU."""

import statistics
from collections.abc import Sequence

from tests.benchmarks.inside import Shape, started
from tests.benchmarks.stages import OWN, STAGES
from tests.benchmarks.table import spread


def measure(rounds: int, pops: int) -> None:
    """Print it. Each round is measured twice: with samples, and without, for what they cost."""
    with started(Shape()) as bridge:
        bridge.ready()
        found = [(bridge.pop(pops), bridge.pop(pops, stages=True)) for _ in range(rounds)]
    plain = [cost for cost, _ in found]
    print(f"Path of a pop through the event loop, CPU in microseconds, {rounds} rounds of {pops:,} pops")
    sampled = [cost.stages for _, cost in found]
    own = [stages[OWN] for stages in sampled]
    product = statistics.median(sum(stages.values()) - stages[OWN] for stages in sampled)
    for stage in STAGES:
        values = [stages[stage] for stages in sampled]
        share = "" if stage == OWN else f"{statistics.median(values) / product:>7.1%}"
        _row(stage, values, share)
    _row("the event loop's thread without that", [cost.loop - less for cost, less in zip(plain, own, strict=True)])
    _row("other threads: SQLite", [cost.process - cost.loop for cost in plain])
    taken = [with_samples.loop / cost.loop for cost, with_samples in found]
    print(f"  Sampling made the loop {spread(taken, 'x{:.2f}')} as dear; no socket was read or written.\n", flush=True)


def _row(name: str, values: Sequence[float], share: str = "") -> None:
    print(f"  {name:<38}{spread(values, '{:.1f}'):>22}{share}")
