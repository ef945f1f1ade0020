"""Vitals: what the kernel and /metrics tell of a bridge process."""

import os
from pathlib import Path
from typing import NamedTuple

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

KNOWN = Path("/proc/self/fd").is_dir()
"""Whether this system tells."""

_MEBI = 1024.0
_ENDS = ("slow_cut", "keepalive_timeouts", "connect_timeouts", "protocol_errors", "forbidden", "ended_dead")
_REFUSALS = ("refused_full", "logins_failed", "subscriptions_refused")
_GAUGES = ("connections", "connecting", "sessions", "subscriptions")


class Vitals(NamedTuple):
    """A process now: CPU seconds since its start, MiB of memory, now and at most, and open descriptors.

    SQLite's files do not count: each of its connections opens the write-ahead log when it first needs it.
    """

    cpu: float
    memory: float
    peak: float
    descriptors: int


def of_process(pid: int) -> Vitals:
    """Ask the kernel."""
    process = Path(f"/proc/{pid}")
    fields = (process / "stat").read_text(encoding="ascii").rpartition(")")[2].split()
    status = dict(line.split(":", 1) for line in (process / "status").read_text(encoding="utf-8").splitlines())
    return Vitals(
        cpu=(int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"),
        memory=int(status["VmRSS"].split()[0]) / _MEBI,
        peak=int(status["VmHWM"].split()[0]) / _MEBI,
        descriptors=sum(1 for one in (process / "fd").iterdir() if ".db" not in str(one.readlink())),
    )


def overflows() -> int:
    """Count the connects that found a full accept queue, of anybody on this machine, since it started."""
    names, values = (
        line.split()
        for line in Path("/proc/net/netstat").read_text(encoding="ascii").splitlines()
        if line.startswith("TcpExt:")
    )
    return int(dict(zip(names, values, strict=True))["ListenOverflows"])


class Metrics(dict[str, float]):
    """/metrics at one moment: values by name and labels, such as `popbridge_pops_total held`."""

    @property
    def cut_off(self) -> dict[str, float]:
        """Name the ways in which the broker itself ended or refused a client, and how often it did."""
        found = {name: self[f"popbridge_mqtt_{name}_total"] for name in (*_ENDS, *_REFUSALS)}
        return {name: times for name, times in found.items() if times}

    @property
    def standing(self) -> dict[str, float]:
        """Tell what is there for as long as somebody is connected."""
        return {name: self[f"popbridge_mqtt_{name}_now"] for name in _GAUGES} | {
            "http": self["popbridge_http_connections"]
        }

    @property
    def undone(self) -> float:
        """Count the pops that are open, and what the ledger has still to write."""
        return self["popbridge_pops_open"] + self["popbridge_ledger_waiting"]


async def metrics(session: aiohttp.ClientSession) -> Metrics:
    """Ask the bridge."""
    async with session.get("/metrics") as response:
        text = await response.text()
    return Metrics(
        (" ".join((sample.name, *sample.labels.values())), sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    )
