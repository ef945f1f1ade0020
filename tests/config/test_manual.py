"""broker.yaml at the top is the manual: each key is explained there with its true default, and it loads."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

import msgspec
import pytest
from yaml.nodes import MappingNode, Node

from bridge import config
from bridge.config.document import compose
from bridge.config.limits import LIMITS
from bridge.config.sections import Reader
from bridge.words.settings import Duration, Settings, Size

MANUAL = Path(__file__).parents[2] / "broker.yaml"
TEXT = MANUAL.read_text()
LINES = TEXT.splitlines()


def section_of(kind: Any) -> type[msgspec.Struct] | None:
    """Find the section that a field holds, or that each entry of its mapping is."""
    if get_origin(kind) is dict:
        return section_of(get_args(kind)[1])
    if get_origin(kind) is UnionType:
        return section_of(get_args(kind)[0])
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__name__ != "Address":
        return kind
    return None


def sections(kind: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    yield kind
    for field in msgspec.structs.fields(kind):
        inner = section_of(field.type)
        if inner is not None:
            yield from sections(inner)


def members(node: Node) -> dict[str, tuple[int, Node]]:
    assert isinstance(node, MappingNode)
    return {key.value: (key.start_mark.line, value) for key, value in node.value}


def explained(line: int) -> str:
    """Gather the comment directly above a line."""
    first = line
    while LINES[first - 1].lstrip().startswith("#"):
        first -= 1
    return " ".join(each.strip().lstrip("# ") for each in LINES[first:line])


def keys(kind: type[msgspec.Struct], node: Node, where: str = "") -> Iterator[tuple[str, type, str, str]]:
    """Give each documented key: its place, section, name and explanation."""
    written = members(node)
    for field in msgspec.structs.fields(kind):
        assert field.encode_name in written, f"{where}{field.encode_name} is not in broker.yaml"
        line, value = written[field.encode_name]
        yield f"{where}{field.encode_name}", kind, field.encode_name, explained(line)
        inner = section_of(field.type)
        if inner is not None and value.value == "null":
            # A section that is left out has its keys in its explanation.
            assert all(f"{each.encode_name}:" in explained(line) for each in msgspec.structs.fields(inner))
        elif inner is not None:
            if get_origin(field.type) is dict:
                ((_, value),) = members(value).values()
            yield from keys(inner, value, f"{where}{field.encode_name}.")


ROOT = compose(TEXT.encode(), "broker.yaml")
assert ROOT is not None
KEYS = list(keys(Settings, ROOT))


def test_the_manual_is_a_valid_configuration() -> None:
    settings = config.load(MANUAL)
    assert list(settings.customers) == ["acme"]


def test_what_it_sets_outside_the_example_customer_is_the_default() -> None:
    assert msgspec.structs.replace(config.load(MANUAL), customers={}) == Settings()


def test_its_example_customer_is_the_demo_s() -> None:
    demo = config.parse(config.demo_text().encode(), "demo")
    assert config.load(MANUAL).customers == demo.customers


@pytest.mark.parametrize(("where", "section", "name", "text"), KEYS, ids=[key[0] for key in KEYS])
def test_each_key_is_explained_with_its_default(where: str, section: type, name: str, text: str) -> None:
    (field,) = (each for each in msgspec.structs.fields(section) if each.encode_name == name)
    assert len(text) > 15, f"{where} is not explained"
    if field.required:
        assert "(required)" in text
        return
    default = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    if isinstance(default, msgspec.Struct) and section_of(field.type):
        return  # the default of a section is that of its keys
    said = re.search(r"\(default ([^ )]+?)[,:]?[ )]", text)
    assert said, f"{where} has no (default …)"
    example = msgspec.defstruct("Example", [("key", field.type)])
    reader = Reader()
    read = reader.read(example, compose(f"key: {said[1]}".encode(), "manual"))
    assert not reader.problems
    assert read.key == default  # type: ignore[attr-defined]


def test_each_number_has_limits_and_the_default_is_within() -> None:
    for section in set(sections(Settings)):
        limits = dict(LIMITS.get(section, {}))
        for field in msgspec.structs.fields(section):
            if field.type in {int, Duration, Size}:
                least, most = limits.pop(field.encode_name)
                assert least <= field.default <= most
        assert not limits, f"limits of what {section.__name__} has not"
