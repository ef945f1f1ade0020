"""Retained: the last message of each topic that asked to be kept, found by filter."""

from bridge.broker.core.letters import Letter


class _Node:
    __slots__ = ("children", "letter")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.letter: Letter | None = None


class Retained:
    """At most `bound` retained messages, in a trie by topic level."""

    __slots__ = ("_bound", "_letters", "_root")

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._letters: dict[str, Letter] = {}
        self._root = _Node()

    def __len__(self) -> int:
        return len(self._letters)

    def letters(self) -> list[Letter]:
        """List all of them."""
        return list(self._letters.values())

    def of(self, topic: str) -> Letter | None:
        """Give the one of a topic."""
        return self._letters.get(topic)

    def keep(self, topic: str, payload: bytes, qos: int) -> bool:
        """Set, replace, or with an empty payload clear; False if there is no room for another topic."""
        before = self._letters.get(topic)
        if before is not None:
            before.superseded = True
        if not payload:
            if before is not None:
                self._clear(topic)
            return True
        if before is None and len(self._letters) >= self._bound:
            return False
        letter = self._letters[topic] = Letter(topic, payload, qos, retain=True)
        node = self._root
        for level in topic.split("/"):
            child = node.children.get(level)
            if child is None:
                child = node.children[level] = _Node()
            node = child
        node.letter = letter
        return True

    def _clear(self, topic: str) -> None:
        del self._letters[topic]
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
            letter = self._letters.get(topic_filter)
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
