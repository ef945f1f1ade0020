"""Hooks: who follows what is processed."""

from collections.abc import Awaitable, Callable, Sequence

from bridge.cloudsync.flow.refold import Key
from bridge.words.cloudsync import Change, Folded


class Hooks:
    """Who follows. Called on the event loop, in the order of processing; they must not block."""

    def __init__(self) -> None:
        self.on_folded: Callable[[str, str, str, Folded, int], None] = _nothing
        self.ids_wanted: Callable[[str, Sequence[str]], None] = _nothing
        self.records_wanted: Callable[[str, Sequence[Key]], None] = _nothing
        self.mapping_changed: Callable[[str, Sequence[Change]], Awaitable[None]] = _nothing_later


def _nothing(*_: object) -> None:
    pass


async def _nothing_later(*_: object) -> None:
    pass
