"""Layers: imports point one way, rules are pure, and each foreign library has one place."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[1]
FILES = sorted([*(HOUSE / "bridge").rglob("*.py"), *(HOUSE / "agent_client").rglob("*.py")])

LAYERS = (
    ("words", ("bridge", "bridge.cloudsync", "bridge.words")),
    (
        "rules",
        (
            "bridge.broker.core",
            "bridge.broker.line",
            "bridge.broker.port",  # the port's words: Protocols and Structs
            "bridge.cloud",
            "bridge.cloudsync.events",
            "bridge.cloudsync.floor",
            "bridge.cloudsync.numbers",
            "bridge.cloudsync.records",
            "bridge.connect",
            "bridge.delivery.funnel",
            "bridge.delivery.lifecycle",
            "bridge.records",
        ),
    ),
    (
        "ports",
        (
            "bridge.broker",
            "bridge.certificates",
            "bridge.cloudsync.simulator",  # a CRM outside of the house, for trying and testing
            "bridge.cloudsync.store",
            "bridge.config",
            "bridge.credentials",
            "bridge.crm",
            "bridge.ledger",
        ),
    ),
    (
        "flows",
        (
            "bridge.cloudsync.floor.live",
            "bridge.cloudsync.floor.today",
            "bridge.cloudsync.flow",
            "bridge.cloudsync.mapping",
            "bridge.delivery",
            "bridge.gate",
        ),
    ),
    ("doors", ("bridge.http", "bridge.cli")),
    (
        "wiring",
        (
            "bridge.service",
            "bridge.seeded",
            "bridge.simulated",
            "bridge.feeds",
            "bridge.figures",
            "bridge.logs",
            "bridge.descriptors",
            "bridge.__main__",
        ),
    ),
)
HALLS = {"bridge", "bridge.cloudsync"}  # they have rooms, and nothing of their own
ROOMS = {room: rank for rank, (_, rooms) in enumerate(LAYERS) for room in rooms}

# Whoever is here plays the world outside; nothing else of the house may lean on it.
PLAYERS = {"bridge.cli.simulate", "bridge.simulated"}

# The commands that run the bridge are where a process begins: they start the wiring, inside the command's function.
BEGIN = {("bridge.cli.serve", "bridge.service"), ("bridge.cli.demo", "bridge.service")}
BEGIN |= {("bridge.cli.demo", "bridge.seeded")}

# The Cloud API reads JSON and checks ids as the Connect API does; the Connect API knows nothing of it.
STANDS_ON = {("bridge.cloud", "bridge.connect")}
# Within CloudSync: records are told by ids, the floor spells times as the numbers do; what today has been is asked of
# the flow, and what broker.yaml maps is read as the flow reads it.
STANDS_ON |= {
    ("bridge.cloudsync.records", "bridge.cloudsync.events"),
    ("bridge.cloudsync.floor", "bridge.cloudsync.numbers"),
    ("bridge.cloudsync.floor.today", "bridge.cloudsync.flow"),
    ("bridge.cloudsync.mapping", "bridge.cloudsync.flow"),
}

IMPURE = {
    "asyncio",
    "logging",
    "os",
    "pathlib",
    "random",
    "secrets",
    "socket",
    "ssl",
    "subprocess",
    "threading",
    "time",
}
WIRE_WORDS = {"bridge.words.pop", "bridge.words.topics"}

# The simulated CRM answers by HTTP, checks the bridge's assertion, and publishes by a library that is not the bridge's.
OUTSIDE = ("bridge.cloudsync.simulator.endpoints", "bridge.cloudsync.simulator.senders")

PLACES = {
    "aiohttp": ("bridge.http", "bridge.crm.client", *OUTSIDE),
    "aiosqlite": ("bridge.credentials.database", "bridge.ledger.database", "bridge.cloudsync.store.database"),
    "amqtt": ("bridge.broker",),
    "argon2": ("bridge.credentials.passwords",),
    "click": ("bridge.cli", "agent_client.cli"),
    "cryptography": ("bridge.certificates", "bridge.credentials", "bridge.crm", *OUTSIDE),
    "jwt": ("bridge.credentials.tokens", "bridge.crm.assertion", *OUTSIDE),
    "msgspec": ("bridge", "agent_client"),
    "paho": ("agent_client.connection", *OUTSIDE),
    "prometheus_client": ("bridge.http.doors.health",),
    "uvloop": ("bridge.service",),
    "yaml": ("bridge.config",),
    "yarl": ("bridge.crm.client",),
}


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(HOUSE).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(file): ast.parse(file.read_text(encoding="utf-8")) for file in FILES}


def imports_of(module: str) -> Iterator[str]:
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            whole = str(node.module)
            for alias in node.names:
                inner = f"{whole}.{alias.name}"
                yield inner if inner in MODULES else whole


def room_of(module: str) -> str:
    """Find the room a module is in: the longest name in the table that it is, or is below; "" if there is none."""
    room = module
    while room not in ROOMS or (room in HALLS and module != room):
        room = room.rpartition(".")[0]
        if not room:
            return ""
    return room


def is_within(module: str, place: str) -> bool:
    return module == place or module.startswith(f"{place}.")


@pytest.mark.parametrize("module", [name for name in MODULES if is_within(name, "bridge")])
def test_each_module_is_in_a_room(module: str) -> None:
    assert room_of(module), f"{module}: add its room to the layer where it belongs"


@pytest.mark.parametrize("module", [name for name in MODULES if room_of(name)])
def test_imports_point_one_way_and_rooms_of_a_layer_do_not_know_each_other(module: str) -> None:
    here = room_of(module)
    package = ".".join(module.split(".")[: 3 if is_within(module, "bridge.cloudsync") else 2])
    for name in imports_of(module):
        if not is_within(name, "bridge") or not room_of(name) or (module, name) in BEGIN:
            continue
        there = room_of(name)
        neighbours = is_within(name, package) or (here, there) in STANDS_ON or ROOMS[here] in {0, len(LAYERS) - 1}
        assert ROOMS[there] < ROOMS[here] or (ROOMS[there] == ROOMS[here] and neighbours), f"{module} imports {name}"


@pytest.mark.parametrize("module", [name for name in MODULES if ROOMS.get(room_of(name), 2) < 2])
def test_words_and_rules_hold_no_await_no_clock_and_no_io(module: str) -> None:
    if module not in {"bridge.words.pop", "bridge.broker.port"}:  # makes a random id; its Protocols await elsewhere
        assert not {name.partition(".")[0] for name in imports_of(module)} & IMPURE
        awaiting = ast.Await | ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith
        assert not [node for node in ast.walk(MODULES[module]) if isinstance(node, awaiting)]


@pytest.mark.parametrize("module", [name for name in MODULES if is_within(name, "bridge")])
def test_only_who_plays_the_world_outside_knows_the_simulator(module: str) -> None:
    simulator = "bridge.cloudsync.simulator"
    if module not in PLAYERS and not is_within(module, simulator):
        assert not [name for name in imports_of(module) if is_within(name, simulator)]


@pytest.mark.parametrize("module", MODULES)
def test_each_foreign_library_has_one_place(module: str) -> None:
    for name in imports_of(module):
        library = name.partition(".")[0]
        if library not in sys.stdlib_module_names and library not in {"bridge", "agent_client"}:
            assert library in PLACES, f"{module} imports {name}, which has no place"
            assert any(is_within(module, place) for place in PLACES[library]), f"{module} imports {name}"


@pytest.mark.parametrize("module", [name for name in MODULES if is_within(name, "agent_client")])
def test_the_desktop_knows_only_the_wire_words_of_the_bridge(module: str) -> None:
    assert {name for name in imports_of(module) if is_within(name, "bridge")} <= WIRE_WORDS


@pytest.mark.parametrize("module", [name for name in MODULES if is_within(name, "bridge")])
def test_the_bridge_does_not_know_the_desktop(module: str) -> None:
    assert not [name for name in imports_of(module) if is_within(name, "agent_client")]
