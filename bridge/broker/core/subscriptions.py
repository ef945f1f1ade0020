"""Subscriptions: who subscribed to what, found by topic.

Exact filters are found by hash, wildcards by a trie, so that the cost of a publish depends on neither the number of
clients nor that of filters. Filters of one client that overlap give one copy at the highest QoS granted, as the
standard asks for ([MQTT-3.3.5-1]); mosquitto sends one copy too. Few who were found for a topic are remembered until a
filter comes or goes: an agent's pops have one topic, and its desktops stay for hours.
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Generic, TypeVar

Who = TypeVar("Who")

_NOBODY: Mapping[object, int] = MappingProxyType({})
REMEMBERED = 10_000  # topics; one more, and all are looked for again
FEW = 32  # clients: many are gathered for each topic anew, since each topic would keep a table of all of them


class _Node(Generic[Who]):
    __slots__ = ("children", "members")

    def __init__(self) -> None:
        self.children: dict[str, _Node[Who]] = {}
        self.members: dict[Who, int] | None = None


class Subscriptions(Generic[Who]):
    """The table of filters. `Who` is whatever stands for a client; it must be hashable."""

    __slots__ = ("_exact", "_found", "_root", "count")

    def __init__(self) -> None:
        self._exact: dict[str, dict[Who, int]] = {}
        self._root: _Node[Who] = _Node()
        self._found: dict[str, Mapping[Who, int]] = {}
        self.count = 0

    def add(self, topic_filter: str, who: Who, qos: int) -> None:
        """Subscribe, or change the QoS of a subscription that is there."""
        self._found.clear()
        if "+" in topic_filter or "#" in topic_filter:
            node = self._root
            for level in topic_filter.split("/"):
                child = node.children.get(level)
                if child is None:
                    child = node.children[level] = _Node()
                node = child
            if node.members is None:
                node.members = {}
            members = node.members
        else:
            found = self._exact.get(topic_filter)
            if found is None:
                found = self._exact[topic_filter] = {}
            members = found
        if who not in members:
            self.count += 1
        members[who] = qos

    def remove(self, topic_filter: str, who: Who) -> None:
        """Unsubscribe; nothing of the filter is left when nobody has it."""
        self._found.clear()
        if "+" in topic_filter or "#" in topic_filter:
            self._remove_wildcard(topic_filter, who)
            return
        members = self._exact.get(topic_filter)
        if members is None or members.pop(who, None) is None:
            return
        self.count -= 1
        if not members:
            del self._exact[topic_filter]

    def _remove_wildcard(self, topic_filter: str, who: Who) -> None:
        path: list[tuple[_Node[Who], str]] = []
        node = self._root
        for level in topic_filter.split("/"):
            path.append((node, level))
            child = node.children.get(level)
            if child is None:
                return
            node = child
        if node.members is None or node.members.pop(who, None) is None:
            return
        self.count -= 1
        if not node.members:
            node.members = None
        for parent, level in reversed(path):
            child = parent.children[level]
            if child.children or child.members:
                return
            del parent.children[level]

    def matching(self, topic: str) -> Mapping[Who, int]:
        """Map who subscribed to `topic` to the highest QoS granted. The answer is a view: do not keep it."""
        found = self._found.get(topic)
        if found is None:
            found = self._find(topic)
            if len(found) <= FEW:
                if len(self._found) >= REMEMBERED:
                    self._found.clear()
                self._found[topic] = found
        return found

    def _find(self, topic: str) -> Mapping[Who, int]:
        found: Mapping[Who, int] | None = self._exact.get(topic)
        merged: dict[Who, int] | None = None
        for members in self._wild(topic):
            if found is None:
                found = members
                continue
            if merged is None:
                found = merged = dict(found)
            for who, qos in members.items():
                if merged.get(who, -1) < qos:
                    merged[who] = qos
        return found if found is not None else _NOBODY  # type: ignore[return-value]

    def _wild(self, topic: str) -> list[dict[Who, int]]:
        """Collect the members of every wildcard filter that matches."""
        hits: list[dict[Who, int]] = []
        nodes = [self._root]
        levels = topic.split("/")
        if topic.startswith("$"):  # hidden from a leading wildcard ([MQTT-4.7.2-1])
            child = self._root.children.get(levels.pop(0))
            nodes = [] if child is None else [child]
        for level in levels:
            following: list[_Node[Who]] = []
            for node in nodes:
                children = node.children
                child = children.get(level)
                if child is not None:
                    following.append(child)
                child = children.get("+")
                if child is not None:
                    following.append(child)
                child = children.get("#")
                if child is not None and child.members:
                    hits.append(child.members)
            nodes = following
        for node in nodes:
            if node.members:
                hits.append(node.members)
            child = node.children.get("#")  # `a/#` matches `a` as well
            if child is not None and child.members:
                hits.append(child.members)
        return hits

    def filters(self) -> Iterator[tuple[str, Mapping[Who, int]]]:
        """List every filter with who has it."""
        yield from self._exact.items()
        stack: list[tuple[str, _Node[Who]]] = list(self._root.children.items())
        while stack:
            path, node = stack.pop()
            if node.members:
                yield path, node.members
            stack.extend((f"{path}/{level}", child) for level, child in node.children.items())
