"""Figures: the metrics of the whole house, read from its plain numbers when somebody asks."""

from collections.abc import Iterable

import msgspec

from bridge.broker.embedded import EmbeddedBroker
from bridge.delivery.delivery import Delivery
from bridge.feeds import Feeds
from bridge.gate import Gate
from bridge.http.dispatch import Dispatch
from bridge.http.doors.health import Figure
from bridge.http.server import Server
from bridge.ledger.ledger import Ledger


def of_house(
    broker: EmbeddedBroker,
    delivery: Delivery,
    ledger: Ledger,
    feeds: Feeds,
    gate: Gate,
    http: Server,
    dispatch: Dispatch,
) -> Iterable[Figure]:
    """List every metric with its value now."""
    yield Figure(
        "popbridge_http_answers",
        "HTTP answers by door and status.",
        {key: float(count) for key, count in dispatch.answered.items()},
        ("door", "status"),
    )
    yield Figure("popbridge_http_connections", "Open HTTP connections.", {(): float(http.connections)}, gauge=True)
    yield Figure(
        "popbridge_http_refused_full", "HTTP connections refused by the bound.", {(): float(http.refused_full)}
    )
    yield Figure("popbridge_pops", "Pops by the status they reached.", _by_label(delivery.counted), ("status",))
    yield Figure("popbridge_pops_open", "Pops held or unacknowledged.", {(): float(delivery.live.open)}, gauge=True)
    yield Figure(
        "popbridge_credentials_refused", "Credentials refused by reason.", _by_label(gate.refused), ("reason",)
    )
    yield Figure(
        "popbridge_ledger", "The ledger since the start, by what is counted.", _by_label(ledger.counted), ("what",)
    )
    yield Figure("popbridge_ledger_waiting", "Pops and steps to be written.", {(): float(ledger.waiting)}, gauge=True)
    cloudsync = feeds.cloudsync
    yield Figure(
        "popbridge_cloudsync", "CloudSync since the start, by what is counted.", _by_label(cloudsync.counted), ("what",)
    )
    yield Figure(
        "popbridge_cloudsync_lag", "Events stored and not yet processed.", {(): float(cloudsync.lag)}, gauge=True
    )
    for name, value in msgspec.structs.asdict(broker.counters).items():
        yield Figure(f"popbridge_mqtt_{name}", f"MQTT: {name.replace('_', ' ')} since the start.", {(): float(value)})
    for name, value in msgspec.structs.asdict(broker.gauges()).items():
        yield Figure(
            f"popbridge_mqtt_{name}_now", f"MQTT: {name.replace('_', ' ')} now.", {(): float(value)}, gauge=True
        )


def _by_label(counts: dict[str, int]) -> dict[tuple[str, ...], float]:
    return {(label,): float(count) for label, count in counts.items()}
