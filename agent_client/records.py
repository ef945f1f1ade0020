"""Records: the one that an agent has open, and the Activities, those put aside. Pure."""

from typing import Self

import msgspec

MAX_ACTIVITIES = 50


class NotInActivitiesError(Exception):
    """Only a record of the Activities can be resumed."""


class Records(msgspec.Struct, frozen=True):
    """What one agent has open, and what is suspended, newest first. The current record is never in the Activities."""

    current: str | None = None
    activities: tuple[str, ...] = ()

    def opening(self, reference: str) -> Self:
        """Open a record over the current one, which goes to the Activities. The same one: nothing changes."""
        if reference == self.current:
            return self
        return type(self)(reference, _tidy((self.current, *self.activities), reference))

    def resuming(self, reference: str) -> Self:
        """Open a record of the Activities again. Raises NotInActivitiesError for any other."""
        if reference not in self.activities:
            raise NotInActivitiesError(reference)
        return self.opening(reference)

    def suspending(self) -> Self:
        """Put the current record aside."""
        return type(self)(None, _tidy((self.current, *self.activities), None))

    def closing(self, reference: str) -> Self:
        """Be done with a record, current or suspended. One that is neither changes nothing."""
        current = None if reference == self.current else self.current
        return type(self)(current, tuple(each for each in self.activities if each != reference))

    @classmethod
    def told(cls, current: str | None, activities: tuple[str, ...]) -> Self:
        """Take over the bridge's account, which decides."""
        return cls(current, _tidy(activities, current))


def _tidy(activities: tuple[str | None, ...], current: str | None) -> tuple[str, ...]:
    distinct = dict.fromkeys(each for each in activities if each is not None and each != current)
    return tuple(distinct)[:MAX_ACTIVITIES]
