"""Finality: which rows are final, and which are in doubt. Pure; times are milliseconds."""

from collections.abc import Iterable

import msgspec

ANY = "**"
"""Stands for all groups, where it is not known which one is concerned."""

ALL = "*"


class Finality(msgspec.Struct, frozen=True):
    """What ended by `through` is final, but for what ended after `held[group]`."""

    through: int = 0
    held: dict[str, int] = {}

    def is_final(self, end: int, group: str) -> bool:
        """Say whether the row of a group whose time ends then is final: a later change is a restatement."""
        if end > self.through:
            return False
        if not self.held:
            return True
        return end <= self.held.get(group, end) and end <= self.held.get(ANY, end)


class Doubts(msgspec.Struct, frozen=True):
    """From when on the rows of each group are in doubt."""

    since: dict[str, int] = {}

    @classmethod
    def of(cls, doubts: Iterable[tuple[int, Iterable[str]]]) -> "Doubts":
        """Gather records in doubt: since when, and in which groups' rows (none: in any)."""
        since: dict[str, int] = {}
        for at, groups in doubts:
            for group in (*(list(groups) or [ANY]), ALL):
                since[group] = min(at, since.get(group, at))
        return cls(since)

    def touch(self, end: int, group: str) -> bool:
        """Say whether the row of a group whose time ends then is in doubt."""
        if not self.since:
            return False
        return end > self.since.get(group, end) or end > self.since.get(ANY, end)

    def advance(self, before: Finality, target: int) -> Finality:
        """Make final what ended by `target` and is not in doubt; what was final stays so.

        `before` must hold nothing whose rows are still to be computed.
        """
        held = {group: since for group, since in before.held.items() if self.since.get(group, target) < target}
        for group, since in self.since.items():
            if since < target and group not in held:
                held[group] = max(since, before.through)
        return Finality(max(before.through, target), held)
