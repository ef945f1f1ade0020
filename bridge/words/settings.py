"""Settings: broker.yaml as types. Each field is a key; its default is the product's."""

import ipaddress
from typing import Literal, NewType

import msgspec

Duration = NewType("Duration", float)
"""Seconds; written `500ms`, `30s`, `5m`, `24h` or `30d`."""

Size = NewType("Size", int)
"""Bytes; written as a number, or `256KiB`, `16MiB`."""


class Address(msgspec.Struct, frozen=True):
    """Where to listen, written `HOST:PORT` (`[::1]:8080` for IPv6). Port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        """Give the spelling in broker.yaml."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def read(cls, text: str) -> "Address":
        """Read the spelling in broker.yaml; ValueError with a sentence where it is none."""
        host, separator, port = text.rpartition(":")
        if not separator or not host or not port.isascii() or not port.isdigit() or int(port) > 65_535:
            raise ValueError(f"{text!r} is not HOST:PORT")
        return cls(host.removeprefix("[").removesuffix("]"), int(port))

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Tls(_Section, frozen=True, kw_only=True):
    """`http.tls` and `mqtt.tls`: PEM files; the certificate's file has the whole chain, leaf first."""

    certificate: str
    key: str


class Http(_Section, frozen=True, kw_only=True):
    """`http`: the one port of the APIs, the pages and MQTT over WebSocket."""

    bind: Address = Address("127.0.0.1", 8080)
    tls: Tls | None = None  # HTTPS and WSS instead of HTTP and WS
    head_timeout: Duration = Duration(10.0)  # a request head not complete by then: closed
    body_timeout: Duration = Duration(10.0)  # a request body not complete by then: 408
    keepalive: Duration = Duration(75.0)  # an idle connection is closed after this
    max_connections: int = 10_000  # more: closed at once


class Mqtt(_Section, frozen=True, kw_only=True):
    """`mqtt`: the embedded broker and its bounds."""

    bind: Address = Address("127.0.0.1", 1883)
    tls: Tls | None = None  # MQTTS instead of MQTT
    connect_timeout: Duration = Duration(10.0)  # CONNECT must be complete by then
    max_packet: Size = Size(256 * 1024)  # larger: the connection is closed
    max_packet_feed: Size = Size(16 * 1024 * 1024)  # the same for a feed
    max_connections: int = 20_000  # all together; more: CONNACK 3
    max_connecting_per_address: int = 2_000  # not yet logged in, per address
    max_failed_logins_per_address: int = 2_000  # within a minute, per address; more: CONNACK 3
    inflight: int = 100  # unacknowledged messages per client
    queue: int = 1_000  # messages waiting for the window, or for an offline session
    max_sessions: int = 50_000  # connected and persistent together
    session_expiry: Duration = Duration(86_400.0)  # a persistent session unused for this long is dropped
    max_subscriptions: int = 100  # filters per client
    max_retained: int = 100_000  # retained messages in all
    write_buffer: Size = Size(1024 * 1024)  # a client that lets more pile up unread is cut off
    plugins: dict[str, dict[str, object]] = {}  # the operator's own amqtt plugins: dotted class name: options


class Log(_Section, frozen=True, kw_only=True):
    """`log`: what is written to stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


class Delivery(_Section, frozen=True, kw_only=True):
    """`delivery`: the bounds of pops that are not yet done."""

    max_open: int = 100_000  # pops held or unacknowledged; more: 503 overloaded
    max_open_per_agent: int = 1_000  # the same for one agent
    record_grace: Duration = Duration(30.0)  # a record stays locked so long after its agent's last desktop left


class Ledger(_Section, frozen=True, kw_only=True):
    """`ledger`: what is remembered of pops, for how long, and how safely.

    `synchronous: normal` survives the death of the process (kill -9, a bug); when the whole machine loses power, the
    last moments before may be lost, never the file. `full` waits for the disk with every group of pops and survives
    that too.
    """

    synchronous: Literal["normal", "full"] = "normal"
    retention: Duration = Duration(30 * 86_400.0)  # a pop and its steps are forgotten after this
    max_pops: int = 5_000_000  # more: the oldest are forgotten earlier
    payloads: Duration = Duration(3_600.0)  # how long the document of a pop that is done stays
    max_answers: int = 1_000_000  # answers remembered for idempotency; more: the oldest are forgotten earlier
    max_waiting: int = 50_000  # pops and steps waiting to be written; more: 503 overloaded
    max_waiting_bytes: Size = Size(64 * 1024 * 1024)  # the same in bytes
    busy_timeout: Duration = Duration(2.0)  # how long to wait for another process's lock; then 503 overloaded


class Ttl(_Section, frozen=True, kw_only=True):
    """`customers.C.ttl`: how long a pop stays worth showing, by channel."""

    cti: Duration = Duration(30.0)
    crm: Duration = Duration(120.0)
    cloud: Duration = Duration(30.0)


class Licence(_Section, frozen=True, kw_only=True):
    """`customers.C.cloud.licence`: who may receive Cloud API pops."""

    kind: Literal["per_system", "concurrent", "named"] = "per_system"
    seats: int = 0
    users: list[str] = []


class Campaign(_Section, frozen=True, kw_only=True):
    """`customers.C.cloud.campaigns.NAME`: a workflow; `fields` maps ScriptData names to fields of an external link."""

    external: bool = False
    fields: dict[str, str] = {}


class Cloud(_Section, frozen=True, kw_only=True):
    """`customers.C.cloud`: the Cloud API plugin."""

    enabled: bool = False
    vendor_exact: bool = False
    licence: Licence = Licence()
    campaigns: dict[str, Campaign] = {}


class Group(_Section, frozen=True, kw_only=True):
    """`customers.C.cloudsync.groups.ID`: a group as the operator knows it; wins over what the CRM says."""

    name: str
    zone: str | None = None
    sl_threshold: Duration = Duration(20.0)
    short_abandon: Duration = Duration(5.0)


class Crm(_Section, frozen=True, kw_only=True):
    """`customers.C.cloudsync.crm`: how the CRM is asked for what events do not tell. Only GETs and the token's POST."""

    consumer_key: str  # of the connected app; the assertion's `iss`
    user_id: str  # the integration's user; the assertion's `sub`
    sandbox: bool = False  # whose login host: test.cloudsync.com instead of login.cloudsync.com
    token_endpoint: str | None = None  # another endpoint than the login host's
    audience: str | None = None  # the assertion's `aud`, if not the endpoint's scheme and host
    instance: str | None = None  # where GETs go, if not where the token's answer says
    records_path: str = "/services/data/v60.0/composite/sobjects/{entity}?ids={ids}&fields={fields}"
    query_path: str = "/services/data/v60.0/query?q={query}"
    batch: int = 100  # ids in one GET
    timeout: Duration = Duration(30.0)  # a request that is not answered by then is tried again
    refresh: Duration = Duration(86_400.0)  # names, zones and limits are fetched anew after this; what is missing, too


class Cloudsync(_Section, frozen=True, kw_only=True):
    """`customers.C.cloudsync`: which events are processed, and how."""

    feeds: list[Literal["lsm", "stt", "cim"]] = []
    entities: list[Literal["SupportTicket", "ChatSession", "VideoSession", "UserPresence"]] = []
    zone: str = "UTC"
    groups: dict[str, Group] = {}
    statuses: dict[str, dict[str, Literal["open", "closed"]]] = {}
    presence: dict[str, Literal["available", "busy", "away", "break", "training", "offline"]] = {}
    crm: Crm | None = None


class Customer(_Section, frozen=True, kw_only=True):
    """`customers.C`: a tenant. An empty list of `crm` or `events` means any."""

    crm: list[str] = []
    cti: list[str] = []
    events: list[str] = []
    unknown_event: Literal["reject", "warn", "pass"] = "warn"
    require_crmid: bool = True
    duplicate_window: Duration = Duration(3.0)
    rate_limit: int = 0  # triggers per second and key; 0: no limit
    ttl: Ttl = Ttl()
    origins: list[str] = []
    cloud: Cloud = Cloud()
    cloudsync: Cloudsync = Cloudsync()

    def lists(self, origin: str) -> bool:
        """Say whether `origins` has this web page's (scheme, host and port, without regard to case)."""
        return origin.lower() in (listed.lower() for listed in self.origins)


class CloudPaths(_Section, frozen=True, kw_only=True):
    """`cloud`: where the Cloud API answers (the refresh is below the token's path), and how long its tokens live."""

    token_path: str = "/api/cloud/token"  # noqa: S105 - a path
    pop_path: str = "/api/cloud/pop"
    id_token_lives: Duration = Duration(3_600.0)
    refresh_token_lives: Duration = Duration(30 * 86_400.0)


class Kept(_Section, frozen=True, kw_only=True):
    """`cloudsync`: what is remembered of CloudSync, for how long. Numbers stay longer than their events."""

    retention: Duration = Duration(90 * 86_400.0)  # raw events, and what was read from them
    max_quarantined: int = 10_000  # events that could not be read; more: the oldest are forgotten earlier
    max_restatements: int = 1_000_000  # changes of rows that were final; more: the oldest are forgotten earlier


class Settings(_Section, frozen=True, kw_only=True):
    """The whole of broker.yaml."""

    http: Http = Http()
    mqtt: Mqtt = Mqtt()
    log: Log = Log()
    delivery: Delivery = Delivery()
    ledger: Ledger = Ledger()
    cloud: CloudPaths = CloudPaths()
    cloudsync: Kept = Kept()
    customers: dict[str, Customer] = {}
