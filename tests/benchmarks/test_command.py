"""The benchmark's command, so that it does not rot; its figures are nobody's promise."""

import select
import subprocess
import sys
from pathlib import Path

import pytest

PATIENCE = 170.0
TINY = ("--agents", "20", "--rounds", "1", "--seconds", "0.2", "--rates", "50", "--peers", "ours")
FEW = ("--rounds", "1", "--pops", "200", "--curves", "customers", "--largest", "10")

pytestmark = [
    pytest.mark.skipif(not hasattr(select, "epoll"), reason="the benchmark needs Linux"),
    pytest.mark.timeout(PATIENCE + 10),
]


def test_the_benchmark_measures_popbridge_and_every_pop_arrives() -> None:
    printed = measured(*TINY, "--only", "throughput,latency,storm,memory")
    for title in ("Throughput, 20 agents, QoS 1", "Throughput, 20 agents, QoS 0"):
        assert row(printed, title)[-1] == "0", printed
    for title in ("Latency at half of its own maximum", "Memory of an idle agent", "Storm: 20 agents"):
        assert row(printed, title), printed


def test_the_benchmark_tells_what_each_stage_costs_and_whether_more_customers_make_a_pop_dearer() -> None:
    printed = measured(*FEW, "--only", "path,growth")
    stages, _, curves = printed.partition("Path of a pop")[2].partition("Growth of")
    for stage in ("decoding", "admission", "ledger", "SQLite"):
        assert stage in stages, printed
    assert "10: x" in curves.partition("customers in broker.yaml")[2].partition("\n")[0], printed


def test_the_benchmark_tells_what_each_stage_of_an_event_costs() -> None:
    printed = measured("--times", "0.1", "--groups", "2", command="tests.benchmarks.cloudsync")
    taking, _, processing = printed.partition("taking: ")[2].partition("processing: ")
    assert "decoding" in taking, printed
    assert "fold" in processing, printed


def measured(*words: str, command: str = "tests.benchmarks") -> str:
    """Run the command; give what it printed."""
    done = subprocess.run(
        [sys.executable, "-m", command, *words],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def row(printed: str, title: str) -> list[str]:
    """Give the figures of ours in the table of that title."""
    lines = printed.partition(title)[2].splitlines()
    return next((words[1:] for line in lines if (words := line.split()) and words[0] == "ours"), [])
