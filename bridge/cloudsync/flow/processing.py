"""Processing: what CloudSync asks of its processor, wherever that works."""

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from bridge.cloudsync.flow.desk import Desks
from bridge.cloudsync.flow.hooks import Hooks
from bridge.words.cloudsync import Mapping as Words


class Processing(Protocol):
    """Events that are stored become numbers. What waits for the store raises Unavailable.

    `mapping` is set by who knows ids: by customer, a Mapping that is another object whenever it changed. `desks` is
    what rows are answered with; `troubles` says in a word each what cannot be done at the moment.
    """

    hooks: Hooks
    mapping: Callable[[str], Words]
    desks: Desks

    @property
    def cursor(self) -> int:
        """The last change that was processed."""

    @property
    def counted(self) -> Mapping[str, int]:
        """Count since the start; `changes` are those processed."""

    @property
    def troubles(self) -> Collection[str]:
        """What cannot be done at the moment."""

    async def take_up(self) -> None:
        """Read how far the last process came."""

    async def run(self) -> None:
        """Work until cancelled; whatever fails but the disk takes the caller down."""

    def wake(self) -> None:
        """Look for what there is to do."""

    async def settle(self) -> None:
        """Do everything that is to be done now."""

    async def recompute(self, customer: str, start: int, until: int) -> None:
        """Mark rows to be computed again."""

    async def refold_all(self, customer: str) -> None:
        """Fold every record of a customer anew."""

    async def lasting(self, customer: str, entity: str) -> list[str]:
        """List the records of an entity of which something still lasts."""
