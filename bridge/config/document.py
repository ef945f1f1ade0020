"""Document: the bytes of broker.yaml as YAML nodes that know their line and column; bounded, without YAML's traps."""

import codecs
from typing import cast

import yaml
from yaml.nodes import Node

from bridge.config.problems import ConfigError, Problem, quoted

MAX_BYTES = 1024 * 1024
MAX_NODES = 100_000
MAX_DEPTH = 32


class _Loader(yaml.SafeLoader):
    """Composes nodes, refusing what has no use in a configuration and can be turned against its reader."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.nodes = 0
        self.depth = 0

    def compose_node(self, parent: Node | None, index: int) -> Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            raise _refused(event, "anchors and aliases (`&name`, `*name`) are not supported; quote text that begins so")
        if event.tag is not None:
            raise _refused(event, f"tags are not supported, here {quoted(event.tag)}; quote text that begins with `!`")
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise _refused(event, f"more than {MAX_NODES} values in one file")
        if self.depth >= MAX_DEPTH:
            raise _refused(event, f"nested deeper than {MAX_DEPTH}")
        self.depth += 1
        node: Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


def compose(data: bytes, file: str) -> Node | None:
    """Read one YAML document; None if there is nothing in it. `file` is its name in errors.

    Raises ConfigError for what is not UTF-8, not YAML, too large, or uses anchors or tags.
    """
    if len(data) > MAX_BYTES:
        raise ConfigError(file, [Problem(0, 0, f"larger than {MAX_BYTES} bytes")])
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(file, [_at(data[: error.start].decode(), "this is not UTF-8")]) from None
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.reader.ReaderError as error:
        raise ConfigError(file, [_at(text[: error.position], "a character that YAML does not allow")]) from None
    except yaml.MarkedYAMLError as error:
        raise ConfigError(file, [_syntax(error)]) from None


def _refused(event: yaml.NodeEvent, text: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=text, problem_mark=cast("yaml.Mark", event.start_mark))


def _at(before: str, text: str) -> Problem:
    return Problem(before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1, text)


def _syntax(error: yaml.MarkedYAMLError) -> Problem:
    mark: yaml.Mark | None = error.problem_mark or error.context_mark
    said = "; ".join(part for part in (error.context, error.problem) if part) or "this is not YAML"
    return Problem(mark.line + 1, mark.column + 1, said) if mark else Problem(0, 0, said)
