"""Retained: the last message of each topic that asked to be kept, found by filter."""

from bridge.broker.core.letters import Letter


class _Node:
    __slots__ = ("children", "letter")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.letter: Letter | None = None


class Retained:
    """At most `bound` retained messages, in a trie by topic level."""

    __slots__ = ("_bound", "_kept", "_root")

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._kept: dict[str, _Node] = {}  # by topic, so that nobody has to walk to replace one
        self._root = _Node()

    def __len__(self) -> int:
        return len(self._kept)

    def letters(self) -> list[Letter]:
        """List all of them."""
        return [node.letter for node in self._kept.values() if node.letter is not None]

    def of(self, topic: str) -> Letter | None:
        """Give the one of a topic."""
        node = self._kept.get(topic)
        return None if node is None else node.letter

    def keep(self, topic: str, payload: bytes, qos: int) -> bool:
        """Set, replace, or with an empty payload clear; False if there is no room for another topic."""
        node = self._kept.get(topic)
        if node is not None and node.letter is not None:
            node.letter.superseded = True
        if not payload:
            if node is not None:
                self._clear(topic)
            return True
        if node is None:
            if len(self._kept) >= self._bound:
                return False
            node = self._kept[topic] = self._place(topic)
        node.letter = Letter(topic, payload, qos, retain=True)
        return True

    def _place(self, topic: str) -> _Node:
        node = self._root
        for level in topic.split("/"):
            child = node.children.get(level)
            if child is None:
                child = node.children[level] = _Node()
            node = child
        return node

    def _clear(self, topic: str) -> None:
        del self._kept[topic]
        path: list[tuple[_Node, str]] = []
        node = self._root
        for level in topic.split("/"):
            path.append((node, level))
            node = node.children[level]
        node.letter = None
        for parent, level in reversed(path):
            child = parent.children[level]
            if child.children or child.letter is not None:
                return
            del parent.children[level]

    def matching(self, topic_filter: str) -> list[Letter]:
        """List what a new subscriber to `topic_filter` is due."""
        if "+" not in topic_filter and "#" not in topic_filter:
            letter = self.of(topic_filter)
            return [] if letter is None else [letter]
        nodes = [self._root]
        first = True
        for level in topic_filter.split("/"):
            if level == "#":
                return _below(nodes, hide=first)
            following: list[_Node] = []
            for node in nodes:
                if level == "+":
                    following += _visible(node, hide=first)
                elif level in node.children:
                    following.append(node.children[level])
            nodes = following
            first = False
        return [node.letter for node in nodes if node.letter is not None]


def _visible(node: _Node, *, hide: bool) -> list[_Node]:
    """List the children; `$` topics are hidden from a leading wildcard."""
    if not hide:
        return list(node.children.values())
    return [child for level, child in node.children.items() if not level.startswith("$")]


def _below(nodes: list[_Node], *, hide: bool) -> list[Letter]:
    found: list[Letter] = []
    stack = [child for node in nodes for child in _visible(node, hide=True)] if hide else list(nodes)
    while stack:
        node = stack.pop()
        if node.letter is not None:
            found.append(node.letter)
        stack.extend(node.children.values())
    return found
