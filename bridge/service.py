"""Service: the wiring. What is made from what, and in which order it starts and stops; decides nothing."""

import asyncio
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bridge import config, descriptors, figures, logs
from bridge.broker.embedded import EmbeddedBroker
from bridge.broker.port import Broker
from bridge.certificates import CertificateError, Listener
from bridge.credentials.authority import Credentials
from bridge.credentials.refusals import UnusableError
from bridge.delivery.delivery import Delivery
from bridge.gate import Gate
from bridge.http.connect import Connect
from bridge.http.desktop_token import DesktopToken
from bridge.http.dispatch import Dispatch, Route, connect_routes
from bridge.http.health import Health
from bridge.http.server import Server
from bridge.http.websocket import WebSocket
from bridge.words.settings import Address, Customer, Settings

log = logging.getLogger("popbridge")


class CannotStart(Exception):  # noqa: N818 - a sentence for the operator
    """The bridge cannot start; the text says why."""


class Service:
    """The running bridge, for those who started it."""

    def __init__(self, config_path: Path, settings: Settings) -> None:
        self._config_path = config_path
        self.settings = settings
        self.credentials: Credentials
        self.gate: Gate
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
        if (fresh.http, fresh.mqtt) != (self.settings.http, self.settings.mqtt):
            log.warning("changes under `http` and `mqtt` count from the next start on")
        self.settings = fresh
        logs.start(fresh.log)
        log.info("broker.yaml was read again")
        try:
            for listener in (self.http_tls, self.mqtt_tls):
                if listener is not None:
                    listener.reload()
        except CertificateError as error:
            log.error("the certificate stays as it was: %s", error)  # noqa: TRY400 - the same

    def current_settings(self) -> Settings:
        """Give broker.yaml as it is now."""
        return self.settings

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
    async with Credentials.open(data, demo=demo) as service.credentials:
        service.gate = Gate(service.credentials, service.customers, service.now)
        service.delivery = Delivery(service.current_broker, settings.delivery, service.now)
        service.broker = EmbeddedBroker(
            settings.mqtt,
            service.gate,
            service.delivery,
            tls=service.mqtt_tls.context if service.mqtt_tls else None,
        )
        dispatch = Dispatch(service.current_settings)
        websocket = WebSocket(service.current_settings, lambda: service.broker)
        dispatch.open(_routes(service, dispatch, websocket))
        service.http = Server(settings.http, dispatch.handle, service.http_tls.context if service.http_tls else None)
        async with (
            _background(service.delivery.run(), "delivery"),
            _started("mqtt", settings.mqtt.bind, service.broker.start, service.broker.stop),
            _started("http", settings.http.bind, service.http.start, service.http.stop),
        ):
            service.mqtt = Address(*service.broker.address)
            try:
                yield service
            finally:
                service.http.stop_listening()
                service.delivery.answer_waits()
                websocket.end_all()


def _routes(service: Service, dispatch: Dispatch, websocket: WebSocket) -> dict[str, Route]:
    health = Health(
        lambda: {"broker": service.broker.running, "delivery": service.delivery.accepting},
        lambda: figures.of_house(service.broker, service.delivery, service.gate, service.http, dispatch),
        service.gate,
    )
    settings = service.current_settings
    return {
        **connect_routes(Connect(settings, service.gate, service.delivery)),
        "/api/desktop/token": Route(
            "desktop_token", DesktopToken(settings, service.gate).handle, ("POST",), "POST, OPTIONS"
        ),
        "/mqtt": Route("mqtt", websocket.handle, ("GET",), "GET, OPTIONS"),
        "/healthz": Route("healthz", health.healthz),
        "/readyz": Route("readyz", health.readyz),
        "/metrics": Route("metrics", health.metrics),
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


Announce = Callable[[Service], Awaitable[Iterable[str]]]


async def _nothing(_: Service) -> Iterable[str]:
    return ()


async def serve(
    config_path: Path, data: Path, settings: Settings, *, demo: bool = False, announce: Announce = _nothing
) -> None:
    """Run until SIGTERM or SIGINT; `announce` gives lines to print before the ready line."""
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
        for line in await announce(service):
            print(line)  # noqa: T201 - what the caller asked to be told
        print(f"popbridge ready http={service.http.address} mqtt={service.mqtt}", flush=True)  # noqa: T201
        await ended.wait()
        log.info("stopping")


def _on_signal(loop: asyncio.AbstractEventLoop, number: int, action: Callable[[], None]) -> None:
    try:
        loop.add_signal_handler(number, action)
    except NotImplementedError:
        # Windows' event loop has no signal handlers; the interpreter's own wakes it by the next call.
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(action))


def run(config_path: Path, data: Path, settings: Settings, *, demo: bool = False, announce: Announce = _nothing) -> int:
    """Run the bridge in this process; return its exit code."""
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if sys.platform != "win32":
        import uvloop  # noqa: PLC0415 - there is none for Windows

        loop_factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        try:
            runner.run(serve(config_path, data, settings, demo=demo, announce=announce))
        except* (CannotStart, UnusableError) as group:
            raise CannotStart("; ".join(str(error) for error in _leaves(group))) from None
    return 0


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return leaves
