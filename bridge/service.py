"""Service: the wiring. What is made from what, and in which order it starts and stops; decides nothing."""

import asyncio
import gc
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

from bridge import config, descriptors, figures, logs
from bridge.broker.embedded import EmbeddedBroker
from bridge.broker.port import Broker
from bridge.certificates import CertificateError, Listener
from bridge.cloud.licences import Seats
from bridge.cloudsync.flow.cloudsync import Cloudsync
from bridge.cloudsync.store.database import InUseError
from bridge.credentials.authority import Credentials
from bridge.credentials.refusals import UnusableError
from bridge.delivery import recount
from bridge.delivery.claims import Claims
from bridge.delivery.delivery import Delivery
from bridge.delivery.desks import Desks
from bridge.delivery.history import History
from bridge.delivery.triggers import Triggers
from bridge.feeds import PROCESS, Ears, Feeds
from bridge.gate import Gate
from bridge.http.dispatch import Below, Dispatch, Route, fixed
from bridge.http.documents import asyncapi, openapi
from bridge.http.doors import cloud as cloud_door
from bridge.http.doors import connect
from bridge.http.doors import pages as page_doors
from bridge.http.doors.cloud import CloudApi
from bridge.http.doors.cloudsync import CloudsyncDoors
from bridge.http.doors.connect import Connect
from bridge.http.doors.desktop_token import DesktopToken
from bridge.http.doors.floor import FloorDoors
from bridge.http.doors.health import Health
from bridge.http.doors.pages import Pages
from bridge.http.doors.pops import Pops
from bridge.http.doors.websocket import WebSocket
from bridge.http.server import Server
from bridge.ledger.ledger import Ledger
from bridge.records.records import Agent, Records, State
from bridge.words.answers import FunnelTold
from bridge.words.ledger import Record, Unavailable
from bridge.words.settings import Address, Customer, Licence, Settings

log = logging.getLogger("popbridge")


class CannotStart(Exception):  # noqa: N818 - a sentence for the operator
    """The bridge cannot start; the text says why."""


class Service:
    """The running bridge, for those who started it."""

    def __init__(self, config_path: Path, settings: Settings) -> None:
        self._config_path = config_path
        self._amended: Callable[[Settings], Settings] = lambda settings: settings
        self.settings = settings
        self.credentials: Credentials
        self.gate: Gate
        self.ledger: Ledger
        self.records: Records
        self.seats: Seats
        self.desks: Desks
        self.triggers: Triggers
        self.dispatch: Dispatch
        self.feeds: Feeds
        self.pages: Pages
        self.broker: EmbeddedBroker
        self.delivery: Delivery
        self.http: Server
        self.mqtt: Address
        self.http_tls = Listener(settings.http.tls) if settings.http.tls else None
        self.mqtt_tls = Listener(settings.mqtt.tls) if settings.mqtt.tls else None
        self.now: Callable[[], float] = time.time

    def customers(self) -> dict[str, Customer]:
        """Give the customers as broker.yaml has them now."""
        return self.settings.customers

    def reload(self) -> None:
        """Read broker.yaml again; if it is wrong, say so and stay with what was."""
        try:
            fresh = config.load(self._config_path)
        except config.ConfigError as error:
            log.error("broker.yaml was not taken over: %s", error)  # noqa: TRY400 - the operator's mistake
            return
        for name in ("http", "mqtt", "delivery", "ledger", "cloud"):
            if getattr(fresh, name) != getattr(self.settings, name):
                log.warning("changes under `%s` count from the next start on", name)
        self.settings = self._amended(fresh)
        self.feeds.directory.reload()
        logs.start(fresh.log)
        log.info("broker.yaml was read again")
        try:
            for listener in (self.http_tls, self.mqtt_tls):
                if listener is not None:
                    listener.reload()
        except CertificateError as error:
            log.error("the certificate stays as it was: %s", error)  # noqa: TRY400 - the same

    def amend(self, amended: Callable[[Settings], Settings]) -> None:
        """Change the settings, now and whenever broker.yaml is read again."""
        self._amended = amended
        self.settings = amended(self.settings)
        self.feeds.directory.reload()

    def current_settings(self) -> Settings:
        """Give broker.yaml as it is now."""
        return self.settings

    def licence(self, customer: str) -> Licence:
        """Give the Cloud API's licence of a customer."""
        known = self.settings.customers.get(customer)
        # A customer that was removed while something of it is under way: nobody is licensed any more.
        return known.cloud.licence if known is not None else Licence(kind="named")

    def keep_record(self, agent: Agent, reference: str, state: State | None) -> None:
        """Write down what changed of an agent's records, and let its desktops know."""
        if state is None:
            self.ledger.drop_record(*agent, reference)
        else:
            self.ledger.save_record(Record(*agent, reference, state.value, "", self.now()))
        self.desks.changed(agent)

    async def watch_sweeper(self) -> None:
        """Take the service down should the broker's sweeper die: without it no keep-alive is enforced."""
        if self.broker.sweeper is not None:
            await asyncio.shield(self.broker.sweeper)

    def funnel(self, customer: str, hours: int) -> FunnelTold:
        """Tell what became of a customer's pops."""
        return self.delivery.funnel.told(customer, hours, self.now())

    def current_broker(self) -> Broker:
        """Give the broker."""
        return self.broker


@asynccontextmanager
async def running(config_path: Path, data: Path, settings: Settings, *, demo: bool = False) -> AsyncIterator[Service]:
    """Start inside out, stop outside in. Raises CannotStart."""
    try:
        service = Service(config_path, settings)
    except CertificateError as error:
        raise CannotStart(str(error)) from error
    async with (
        Credentials.open(data, demo=demo) as service.credentials,
        Ledger.open(data, settings.ledger, service.now) as service.ledger,
        Cloudsync.open(data, service.customers, service.now, PROCESS, kept=settings.cloudsync) as cloudsync,
    ):
        service.feeds = Feeds(cloudsync, data, service.customers, service.current_broker)
        service.gate = Gate(service.credentials, service.customers, settings.cloud, service.now)
        service.records = Records(service.keep_record)
        service.seats = Seats()
        service.desks = Desks(
            service.current_broker, service.records, service.seats, settings.delivery.record_grace, service.now
        )
        service.delivery = Delivery(
            service.current_broker,
            service.ledger,
            service.records,
            Claims(service.records, service.seats, service.licence),
            service.desks,
            settings.delivery,
            service.now,
        )
        service.triggers = Triggers(service.delivery, service.ledger, service.now)
        await service.delivery.take_up()
        await service.triggers.take_up(
            max((customer.duplicate_window for customer in settings.customers.values()), default=0.0)
        )
        service.broker = EmbeddedBroker(
            settings.mqtt,
            service.gate,
            Ears(service.delivery, cloudsync),
            tls=service.mqtt_tls.context if service.mqtt_tls else None,
            stirred=service.gate.stirred,
        )
        dispatch = service.dispatch = Dispatch(service.current_settings)
        floor = FloorDoors(service.current_settings, service.gate, service.feeds.floor)
        websocket = WebSocket(service.current_settings, lambda: service.broker)
        history = History(service.ledger, service.delivery, service.records, service.seats, service.current_broker)
        pops = Pops(service.current_settings, service.gate, history, service.funnel)
        service.pages = Pages(lambda: service.mqtt, demo=demo)
        dispatch.open(
            _routes(service, dispatch, websocket, pops)
            | _feed_routes(service, floor)
            | page_doors.routes(service.pages),
            page_doors.below(service.pages)
            | {
                "/api/pops/": Below("pop", pops.one_pop, ("GET", "DELETE"), "GET, HEAD, DELETE, OPTIONS"),
                "/api/agents/": Below("agent", pops.one_agent),
            },
        )
        service.http = Server(
            settings.http, dispatch.handle, service.http_tls.context if service.http_tls else None, dispatch.door
        )
        async with (
            _background(service.delivery.run(), "delivery"),
            _background(recount.run(service.delivery.funnel, service.ledger, service.now), "delivery: recount"),
            _started("mqtt", settings.mqtt.bind, service.broker.start, service.broker.stop),
            _background(service.watch_sweeper(), "broker: watch the sweeper"),
            _background(cloudsync.run(), "cloudsync"),
            _background(service.feeds.directory.run(), "cloudsync: mapping"),
            _background(service.feeds.floor.run(), "cloudsync: floor"),
            _started("http", settings.http.bind, service.http.start, service.http.stop),
        ):
            service.mqtt = Address(*service.broker.address)
            try:
                yield service
            finally:
                service.http.stop_listening()
                service.delivery.answer_waits()
                websocket.end_all()
                floor.end_all()


def _routes(service: Service, dispatch: Dispatch, websocket: WebSocket, pops: Pops) -> dict[str, Route]:
    health = Health(
        lambda: {
            "broker": service.broker.running,
            "delivery": service.delivery.live.accepting,
            "ledger": service.ledger.usable,
            "cloudsync": service.feeds.cloudsync.usable,
        },
        lambda: figures.of_house(
            service.broker, service.delivery, service.ledger, service.feeds, service.gate, service.http, dispatch
        ),
        service.gate,
    )
    settings = service.current_settings
    cloud = CloudApi(settings, service.gate, service.triggers)
    return {
        **connect.routes(Connect(settings, service.gate, service.triggers)),
        service.settings.cloud.token_path: Route("cloud_token", cloud.token, refuse=cloud_door.refusal, whole=True),
        f"{service.settings.cloud.token_path}/refresh": Route(
            "cloud_refresh", cloud.refresh, ("POST",), "POST, OPTIONS", cloud_door.refusal, whole=True
        ),
        service.settings.cloud.pop_path: Route(
            "cloud_pop", cloud.pop, ("POST",), "POST, OPTIONS", cloud_door.refusal, whole=True
        ),
        "/api/pops": Route("pops", pops.list_pops),
        "/api/agents": Route("agents", pops.list_agents),
        "/api/licence": Route("licence", pops.licence),
        "/api/funnel": Route("funnel", pops.funnel),
        "/api/desktop/token": Route(
            "desktop_token", DesktopToken(settings, service.gate).handle, ("POST",), "POST, OPTIONS"
        ),
        "/mqtt": Route("mqtt", websocket.handle, ("GET",), "GET, OPTIONS"),
        "/openapi.json": Route("openapi", fixed(openapi.document(service.settings.cloud))),
        "/asyncapi.json": Route("asyncapi", fixed(asyncapi.document())),
        "/healthz": Route("healthz", health.healthz, whole=True),
        "/readyz": Route("readyz", health.readyz, whole=True),
        "/metrics": Route("metrics", health.metrics),
    }


def _feed_routes(service: Service, floor: FloorDoors) -> dict[str, Route]:
    doors = CloudsyncDoors(service.current_settings, service.gate, service.feeds.cloudsync)
    return {
        "/api/cloudsync/events": Route("cloudsync_events", doors.events, ("POST",), "POST, OPTIONS", whole=True),
        "/api/stt": Route("stt", doors.stt),
        "/api/cim": Route("cim", doors.cim),
        "/api/dq": Route("dq", doors.quality),
        "/api/restatements": Route("restatements", doors.restatements),
        "/api/lsm": Route("lsm", floor.snapshot),
        "/api/lsm/stream": Route("lsm_stream", floor.stream),
    }


@asynccontextmanager
async def _started(
    name: str, bind: Address, start: Callable[[], Awaitable[None]], stop: Callable[[], Awaitable[None]]
) -> AsyncIterator[None]:
    try:
        await start()
    except OSError as error:
        raise CannotStart(f"{name}: cannot listen on {bind}: {error.strerror or error}") from error
    try:
        yield
    finally:
        await stop()


@asynccontextmanager
async def _background(work: Coroutine[Any, Any, None], name: str) -> AsyncIterator[None]:
    """Run `work` beside the body; should it die, it takes the service down."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(work, name=name)
        try:
            yield
        finally:
            task.cancel()


Beside = Callable[[Service], AbstractAsyncContextManager[Iterable[str]]]
"""What runs beside the bridge while it is up; gives lines to print before the ready line."""


@asynccontextmanager
async def _nothing(_: Service) -> AsyncIterator[Iterable[str]]:
    yield ()


async def serve(
    config_path: Path, data: Path, settings: Settings, *, demo: bool = False, beside: Beside = _nothing
) -> None:
    """Run until SIGTERM or SIGINT."""
    logs.start(settings.log)
    fit = descriptors.raise_limit()
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with running(config_path, data, settings, demo=demo) as service:
        for number in (signal.SIGTERM, signal.SIGINT):
            _on_signal(loop, number, ended.set)
        if hasattr(signal, "SIGHUP"):
            _on_signal(loop, signal.SIGHUP, service.reload)
        log.info("http listens on %s, mqtt on %s", service.http.address, service.mqtt)
        log.info("refused: anonymous MQTT, MQTT 5 and 3.1, API keys on MQTT%s", "" if demo else ", demo credentials")
        log.info(
            "%d files may be open: about %d agents fit", fit, max(0, min(fit - 200, settings.mqtt.max_connections))
        )
        async with beside(service) as lines:
            for line in lines:
                print(line)  # noqa: T201 - what the caller asked to be told
            _tune()
            print(f"popbridge ready http={service.http.address} mqtt={service.mqtt}", flush=True)  # noqa: T201
            await ended.wait()
            log.info("stopping")


def _tune() -> None:
    """Leave what the start made out of garbage collection, and collect what is old less often: it was 10 % of each pop.

    What a pop makes is freed by reference counts; the collector only has to find the rare cycle. While it looks, the
    event loop stands still: 0.3 ms for 2,000 objects, 5 to 8 for twenty times as many, and 25 if 50,000 wait for it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(2_000, 20, 1_250)
    # CloudSync folds and computes in threads: the event loop, which has a pop in its hands, waits this long for each
    # turn at the interpreter, several times a pop. The default of 5 ms can be heard.
    sys.setswitchinterval(0.0005)


def _on_signal(loop: asyncio.AbstractEventLoop, number: int, action: Callable[[], None]) -> None:
    try:
        loop.add_signal_handler(number, action)
    except NotImplementedError:
        # Windows' event loop has no signal handlers; the interpreter's own wakes it by the next call.
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(action))


def run(config_path: Path, data: Path, settings: Settings, *, demo: bool = False, beside: Beside = _nothing) -> int:
    """Run the bridge in this process; return its exit code."""
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if sys.platform != "win32":
        import uvloop  # noqa: PLC0415 - there is none for Windows

        loop_factory = uvloop.new_event_loop
    sentences: list[str] = []
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        try:
            runner.run(serve(config_path, data, settings, demo=demo, beside=beside))
        except* (CannotStart, InUseError, Unavailable, UnusableError) as group:
            # Raised after the block: raising here would wrap it once more, and Python 3.11.2 does so differently.
            sentences += [str(error) for error in _leaves(group)]
    if sentences:
        raise CannotStart("; ".join(sentences))
    return 0


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return leaves
