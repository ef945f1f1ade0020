"""Rules: those of a desktop, as both libraries have them, so that one story is told of both."""

from collections import deque
from collections.abc import Callable
from typing import Protocol

from agent_client import messages
from agent_client.messages import Notice, Saying
from agent_client.records import Records
from agent_client.screen import Refusal, Screen
from agent_client.seen import Seen
from bridge.words.pop import Pop


class AScreen(Protocol):
    """A screen, in whatever language."""

    records: Records
    sayings: deque[Saying]
    obeyed: deque[Notice]

    def arrive(self, payload: bytes, ack: Callable[[], None], now: float) -> None: ...
    def take(self, now: float) -> tuple[Pop, bytes] | None: ...
    def heed(self, notice: Notice, now: float) -> None: ...
    def close(self, reference: str) -> None: ...
    def suspend(self) -> None: ...
    def resume(self, reference: str) -> None: ...


class SomeSeen(Protocol):
    """What was seen, in whatever language."""

    def __len__(self) -> int: ...
    def add(self, popid: str, until: float, now: float) -> bool: ...


class Rules(Protocol):
    """The rules of one library."""

    def screen(self, *, backlog: int = ..., refusal: Refusal | None = ...) -> AScreen: ...
    def seen(self, limit: int) -> SomeSeen: ...
    def step(self, records: Records, name: str, argument: object) -> Records:
        """Move records: `opening`, `resuming`, `closing` a reference, `suspending`, or `told` an account."""

    def notice(self, payload: bytes) -> Notice | None: ...


class Python:
    """The rules of agent_client."""

    def screen(self, *, backlog: int = 1_000, refusal: Refusal | None = None) -> Screen:
        return Screen(backlog=backlog, refusal=refusal)

    def seen(self, limit: int) -> Seen:
        return Seen(limit)

    def step(self, records: Records, name: str, argument: object) -> Records:
        match name, argument:
            case "told", (str() | None as current, tuple(activities)):
                return Records.told(current, activities)
            case "suspending", _:
                return records.suspending()
            case "opening", str(reference):
                return records.opening(reference)
            case "resuming", str(reference):
                return records.resuming(reference)
            case "closing", str(reference):
                return records.closing(reference)
        raise AssertionError(name)

    def notice(self, payload: bytes) -> Notice | None:
        return messages.notice(payload)
