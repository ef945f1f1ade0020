"""Sections: YAML nodes into the typed settings, each value by the type of its field."""

from collections.abc import Iterator
from types import UnionType
from typing import Any, Literal, TypeVar, cast, get_args, get_origin

import msgspec
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from bridge.config import scalars
from bridge.config.limits import LIMITS
from bridge.config.problems import Problem, UnfitError, nearest, quoted
from bridge.words.settings import Address, Duration, Size

Where = tuple[str | int, ...]
"""A value's place in the settings: keys, and the index in a list."""

S = TypeVar("S", bound=msgspec.Struct)

_SCALARS = {
    str: scalars.text,
    bool: scalars.boolean,
    int: scalars.integer,
    Duration: scalars.duration,
    Size: scalars.size,
    Address: scalars.address,
}
_UNITS = {Duration: " s", Size: " bytes", int: ""}


class _Wrong(Exception):  # noqa: N818 - the problem is in the list already
    """A value cannot be used; what holds it goes on without it."""


class Reader:
    """Reads one document. Collects `problems`, and remembers where each key and value stands for later checks."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.wrong: set[Where] = set()
        self._keys: dict[Where, Node] = {}
        self._values: dict[Where, Node] = {}

    def read(self, kind: type[S], node: Node | None) -> S:
        """Read the whole document; what is wrong keeps its default and is in `problems`."""
        if node is None:
            return kind()
        try:
            return cast("S", self._value(kind, node, ()))
        except _Wrong:
            return kind()

    def complain(self, where: Where, text: str, *, key: bool = False) -> None:
        """Add a problem at a value (or at its key) that was read; where it is not written, at what would hold it."""
        places = self._keys if key else self._values
        while where not in places and where:
            where, places = where[:-1], self._values
        node = places.get(where)
        if node is None:
            self.problems.append(Problem(0, 0, text))
        else:
            self._problem(node, text)

    def _problem(self, node: Node, text: str) -> None:
        self.problems.append(Problem(node.start_mark.line + 1, node.start_mark.column + 1, text))

    def _value(self, kind: Any, node: Node, where: Where) -> Any:
        self._values[where] = node
        try:
            return self._typed(kind, node, where)
        except UnfitError as error:
            self._problem(node, f"{_spelled(where)}: {error}")
        except _Wrong:
            pass
        self.wrong.add(where)
        raise _Wrong

    def _typed(self, kind: Any, node: Node, where: Where) -> Any:
        if kind in _SCALARS:
            return _SCALARS[kind](_scalar(node))
        if kind is object:
            return self._anything(node, where)
        origin, arguments = get_origin(kind), get_args(kind)
        if origin is UnionType:
            return self._optional(arguments, node, where)
        if origin is Literal:
            return _one_of(arguments, _scalar(node))
        if origin is list or origin is dict:
            gather = self._items if origin is list else self._members
            return origin(gather(arguments[-1], node, where))
        return self._section(kind, node, where)

    def _optional(self, kinds: tuple[Any, ...], node: Node, where: Where) -> Any:
        if isinstance(node, ScalarNode) and scalars.null(node):
            return None
        (kind,) = (each for each in kinds if each is not type(None))
        return self._typed(kind, node, where)

    def _section(self, kind: type[msgspec.Struct], node: Node, where: Where) -> msgspec.Struct:
        fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
        limits = LIMITS.get(kind, {})
        values: dict[str, Any] = {}
        for name, key, value in self._pairs(node, where):
            field = fields.get(name)
            if field is None:
                self._problem(key, f"unknown key {quoted(name)}{_inside(where)}; {nearest(name, fields)}")
                continue
            at = (*where, name)
            try:
                read = self._value(field.type, value, at)
            except _Wrong:
                continue
            if name in limits and not limits[name][0] <= read <= limits[name][1]:
                least, most = (f"{end:.15g}{_UNITS[field.type]}" for end in limits[name])
                self._problem(value, f"{_spelled(at)}: {quoted(_source(value))} is not within {least} to {most}")
                self.wrong.add(at)
                continue
            values[name] = read
        missing = [name for name, field in fields.items() if field.required and name not in values]
        for name in missing:
            if (*where, name) not in self.wrong:
                self._problem(node, f"the key {quoted(name)} is missing{_inside(where)}")
        if missing:
            raise _Wrong
        return kind(**values)

    def _members(self, kind: Any, node: Node, where: Where) -> Iterator[tuple[str, Any]]:
        for name, _, value in self._pairs(node, where):
            try:
                yield name, self._value(kind, value, (*where, name))
            except _Wrong:
                continue

    def _items(self, kind: Any, node: Node, where: Where) -> Iterator[Any]:
        if isinstance(node, ScalarNode) and scalars.empty(node):
            return
        if not isinstance(node, SequenceNode):
            raise UnfitError(f"wants a list, such as `[one, two]`, not {_described(node)}")
        # What is wrong is left out, so that the index of a remembered place is the index in the settings.
        index = 0
        for item in node.value:
            try:
                yield self._value(kind, item, (*where, index))
            except _Wrong:
                continue
            index += 1

    def _pairs(self, node: Node, where: Where) -> Iterator[tuple[str, Node, Node]]:
        if isinstance(node, ScalarNode) and scalars.empty(node):
            return
        if not isinstance(node, MappingNode):
            raise UnfitError(f"wants keys with values, not {_described(node)}")
        first: dict[str, Node] = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode) or scalars.null(key):
                self._problem(key, f"a key must be text{_inside(where)}, not {_described(key)}")
                continue
            name = key.value
            if name in first:
                line = first[name].start_mark.line + 1
                self._problem(key, f"the key {quoted(name)} stands twice{_inside(where)}, first in line {line}")
                continue
            first[name] = key
            self._keys[(*where, name)] = key
            yield name, key, value

    def _anything(self, node: Node, where: Where) -> object:
        if isinstance(node, MappingNode):
            return dict(self._members(object, node, where))
        if isinstance(node, SequenceNode):
            return list(self._items(object, node, where))
        return scalars.anything(_scalar(node))


def _scalar(node: Node) -> ScalarNode:
    if not isinstance(node, ScalarNode):
        raise UnfitError(f"wants a single value, not {_described(node)}")
    return node


def _one_of(valid: tuple[str, ...], node: ScalarNode) -> str:
    if node.value in valid:
        return str(node.value)
    raise UnfitError(f"{quoted(node.value)} is not valid; {nearest(node.value, valid)}")


def _described(node: Node) -> str:
    if isinstance(node, MappingNode):
        return "keys with values"
    if isinstance(node, SequenceNode):
        return "a list"
    return quoted(node.value) if node.value else "nothing"


def _source(node: Node) -> str:
    return str(node.value)


def _spelled(where: Where) -> str:
    return ".".join(str(part) for part in where)[:200] or "the file"


def _inside(where: Where) -> str:
    return f" in {_spelled(where)}" if where else ""
