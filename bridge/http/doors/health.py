"""Health: whether the bridge is alive, whether it is ready, and its metrics."""

from collections.abc import Callable, Iterable

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from bridge.gate import Gate
from bridge.http import answers, credentials, headers
from bridge.words import errors
from bridge.words.principal import Role
from bridge.words.settings import Address

Readiness = Callable[[], dict[str, bool]]
Figures = Callable[[], Iterable["Figure"]]


class Figure:
    """One metric as it is now: `samples` are label values to numbers; `labels` name them."""

    def __init__(
        self,
        name: str,
        text: str,
        samples: dict[tuple[str, ...], float],
        labels: tuple[str, ...] = (),
        *,
        gauge: bool = False,
    ) -> None:
        self.name = name
        self.text = text
        self.samples = samples
        self.labels = labels
        self.gauge = gauge


class _Collector:
    """Reads the house's plain numbers when asked, so that counting costs an addition where things happen."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        for figure in self._figures():
            kind = GaugeMetricFamily if figure.gauge else CounterMetricFamily
            family = kind(figure.name, figure.text, labels=figure.labels)
            for labels, value in figure.samples.items():
                family.add_metric(labels, value)
            yield family


class Health:
    """`/healthz`, `/readyz` and `/metrics`."""

    def __init__(self, readiness: Readiness, figures: Figures, gate: Gate) -> None:
        self._readiness = readiness
        self._gate = gate
        self._registry = CollectorRegistry()
        self._registry.register(_Collector(figures))

    async def healthz(self, request: web.BaseRequest) -> answers.Answered:
        """Answer 200 as long as the process answers at all."""
        del request
        return answers.ok({"success": True, "status": "alive"})

    async def readyz(self, request: web.BaseRequest) -> answers.Answered:
        """Answer 200 when every part works, else 503 naming the part that does not."""
        del request
        parts = self._readiness()
        failing = [name for name, works in parts.items() if not works]
        if failing:
            raise errors.overloaded(f"Not ready: {', '.join(failing)}")
        return answers.ok({"success": True, "status": "ready"} | dict.fromkeys(parts, "ok"))

    async def metrics(self, request: web.BaseRequest) -> answers.Answered:
        """Answer the metrics in Prometheus' text format: open on loopback, else an observer's or admin's."""
        if not _from_this_machine(request):
            token = credentials.of_reader(request)
            self._gate.verify(token, request.remote or "", Role.OBSERVER, Role.ADMIN)
        return answers.text(generate_latest(self._registry), CONTENT_TYPE_LATEST)


def _from_this_machine(request: web.BaseRequest) -> bool:
    return not headers.by_proxy(request) and Address(request.remote or "", 0).loopback
