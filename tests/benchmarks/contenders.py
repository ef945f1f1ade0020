"""Contenders: popbridge and its peers, each started afresh for a turn, on the first core, with what its load needs."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple, cast

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.benchmarks.broker import reference, resident
from tests.benchmarks.seats import agent_id
from tests.conftest import Bridge

PEERS = Path(__file__).parent / "peers"
NODE = ("fastify", "aedes")
PATIENCE = 15.0  # seconds to come up, or to end after SIGTERM
DAY = 86_400
MOST_AGENTS = {"amqtt": 1_000}  # it compares each message with all subscriptions
AMQTT_WINDOW = 100  # it answers long before it delivers, and what waits would take minutes
OURS = """\
http: {bind: 127.0.0.1:0}
mqtt: {bind: 127.0.0.1:0}
customers:
  acme: {cti: [env1]}
"""
MOSQUITTO = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
log_dest none
set_tcp_nodelay true
max_inflight_messages 100
"""


class Absent(Exception):  # noqa: N818 - a state of the machine
    """A peer cannot run here; says why."""


class Running(NamedTuple):
    """A contender that answers."""

    processes: tuple["subprocess.Popen[str]", ...]  # without their children
    http: int
    mqtt: int
    key: str  # of the callers
    passwords: Sequence[str | None]  # of the desktops
    window: int = 1_000  # pops answered and not yet arrived, beyond which callers who go as fast as they may wait

    def commands(self) -> str:
        """Tell how its processes were started."""
        return "; ".join(" ".join(map(str, cast("Sequence[str]", one.args))) for one in self.processes)

    def family(self) -> list[int]:
        """List its processes with all that descend from them."""
        found = [process.pid for process in self.processes]
        for pid in found:
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                with suppress(FileNotFoundError):
                    found += map(int, children.read_text(encoding="ascii").split())
        return found

    def cpu(self) -> float:
        """Sum the CPU seconds they used, with those of children that ended."""
        return sum(map(_used, self.family()))

    def memory(self) -> float:
        """Sum the KiB of memory they hold."""
        return sum(map(resident, self.family()))


def _used(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except FileNotFoundError:
        return 0.0  # a child that ended is in its parent's figures
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def core_busy() -> float:
    """Give the seconds that the servers' core was busy with whatever, since the machine started."""
    name = f"cpu{min(os.sched_getaffinity(0))}"
    total = 0
    for line in Path("/proc/stat").read_text(encoding="ascii").splitlines():
        found, *fields = line.split()
        if found == name:
            user, nice, system, _idle, _waiting, *interrupts = map(int, fields[:8])
            total = user + nice + system + sum(interrupts)
    return total / os.sysconf("SC_CLK_TCK")


class Stable:
    """Where the contenders live: their keys, and folders of their own."""

    def __init__(self, folder: Path, cache: Path, agents: int) -> None:
        self._folder = folder
        self._cache = cache
        self._agents = agents
        self._turns = 0
        private = ec.generate_private_key(ec.SECP256R1())
        public = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self._public = folder / "public.pem"
        self._public.write_bytes(public)
        claims = {"customer": "acme", "exp": int(time.time()) + DAY}
        self._key = jwt.encode(claims, private, "ES256")
        self._tokens = [jwt.encode({**claims, "agent": agent_id(n)}, private, "ES256") for n in range(agents)]
        self._made: tuple[Path, str, list[str]] | None = None

    def prepare(self, name: str) -> str:
        """Make what a contender needs once; tell its versions. Raises Absent."""
        python = f"Python {sys.version.partition(' ')[0]}"
        if name == "ours":
            self._issue()
            return f"popbridge {_revision()}, {python}, uvloop {version('uvloop')}"
        if name in {"glue", "glue-at-once"}:
            mosquitto = reference(_program("mosquitto")).removesuffix(".")
            return f"aiohttp {version('aiohttp')}, paho-mqtt {version('paho-mqtt')}, {mosquitto}, {python}"
        if name == "amqtt":
            return f"amqtt {version('amqtt')}, aiohttp {version('aiohttp')}, {python}"
        return self._install()

    @contextmanager
    def run(self, name: str) -> Iterator[Running]:
        """Have a contender for a turn."""
        self._turns += 1
        runs = {"ours": self._ours, "node": self._node, "amqtt": self._amqtt}
        run = runs.get(name) or (lambda: self._glue(at_once=name != "glue"))
        with run() as running:
            yield running

    @contextmanager
    def _ours(self) -> Iterator[Running]:
        made, key, tokens = self._issue()
        data = self._folder / f"ours-{self._turns}"
        shutil.copytree(made, data)
        with _on_first_core():
            bridge = Bridge(data, OURS).start()
        try:
            yield Running((bridge.process,), bridge.http_port, bridge.mqtt_port, key, tokens)
        finally:
            bridge.stop()
            shutil.rmtree(data)

    @contextmanager
    def _node(self) -> Iterator[Running]:
        program = self._cache / "fastify_aedes.mjs"
        with _process(_program("node"), str(program), str(self._public)) as process:
            http, mqtt = _listens(process)
            yield Running((process,), http, mqtt, self._key, self._tokens)

    @contextmanager
    def _amqtt(self) -> Iterator[Running]:
        with _process(*self._python("stock_amqtt"), "--mqtt", str(_free_port())) as process:
            http, mqtt = _listens(process)
            yield Running((process,), http, mqtt, self._key, [None] * self._agents, AMQTT_WINDOW)

    @contextmanager
    def _glue(self, *, at_once: bool) -> Iterator[Running]:
        port = _free_port()
        config = self._folder / f"mosquitto-{self._turns}.conf"
        config.write_text(MOSQUITTO.format(port=port))
        more = ("--at-once",) if at_once else ()
        with _process(_program("mosquitto"), "-c", str(config)) as mosquitto:
            _answers(port)
            with _process(*self._python("glue"), "--mqtt", str(port), *more) as process:
                http, mqtt = _listens(process)
                yield Running((process, mosquitto), http, mqtt, self._key, [None] * self._agents)

    def _python(self, peer: str) -> tuple[str, ...]:
        return (sys.executable, "-m", f"tests.benchmarks.peers.{peer}", "--public", str(self._public))

    def _issue(self) -> tuple[Path, str, list[str]]:
        if self._made is None:
            made = Bridge(self._folder / "made", OURS)
            ids = "\n".join(map(agent_id, range(self._agents)))
            issue = ("tokens", "issue", "--customer", "acme", "--role", "desktop", "--agents", "-")
            self._made = made.data, made.key(), made.secret(*issue, given=ids).splitlines()
        return self._made

    def _install(self) -> str:
        node, npm = _program("node"), _program("npm")
        self._cache.mkdir(parents=True, exist_ok=True)
        manifests = [self._cache / "node_modules" / package / "package.json" for package in NODE]
        if not all(manifest.exists() for manifest in manifests):
            (self._cache / "package.json").write_text('{"private": true}')
            done = subprocess.run(
                [npm, "install", "--no-audit", "--no-fund", *NODE],
                cwd=self._cache,
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            if done.returncode:
                raise Absent(f"npm install {' '.join(NODE)} failed: {done.stderr.strip().splitlines()[-1:]}")
        shutil.copy(PEERS / "fastify_aedes.mjs", self._cache)
        versions = [
            f"{one} {json.loads(file.read_text())['version']}" for one, file in zip(NODE, manifests, strict=True)
        ]
        runtime = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
        return ", ".join([*versions, f"Node {runtime}"])


def _revision() -> str:
    """Name the commit, where this is a checkout."""
    git = ("git", "-C", str(PEERS), "describe", "--always", "--dirty")
    try:
        done = subprocess.run(git, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "of no known commit"
    return done.stdout.strip() or "of no known commit"


@contextmanager
def _on_first_core() -> Iterator[None]:
    """Let what starts inside, and all its threads, stay on the first core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


@contextmanager
def _process(*command: str) -> Iterator[subprocess.Popen[str]]:
    with _on_first_core():
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def _listens(process: subprocess.Popen[str]) -> tuple[int, int]:
    assert process.stdout is not None
    words = process.stdout.readline().split()
    if words[:1] != ["ready"]:
        raise RuntimeError(f"{process.args!r} did not start")
    http, mqtt = (int(word.rpartition(":")[2]) for word in words[1:])
    return http, mqtt


def _program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise Absent(f"{name} is not installed")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(port: int) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return
