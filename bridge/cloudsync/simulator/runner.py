"""Runner: simulated days one after another, sent as time goes by, at real time or faster."""

import asyncio
import datetime as dt
import heapq
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from itertools import count

import msgspec

from bridge.cloudsync.simulator.book import Step
from bridge.cloudsync.simulator.centre import DEFAULT, Centre, Event, Size
from bridge.cloudsync.simulator.mischief import PLAIN, Mischief
from bridge.cloudsync.simulator.shelf import Shelf

AT_ONCE = 500
"""Events that are handed over together at most."""

_AHEAD = dt.timedelta(hours=15)  # a local day begins at most so long before the same day in UTC

Send = Callable[[Sequence[Event]], Awaitable[None]]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is played: `days` days from `first` on, 0 for ever."""

    seed: int = 1
    first: dt.date
    days: int = 1
    size: Size = DEFAULT
    mischief: Mischief = PLAIN


class Script:
    """A plan's events in the order of their sending. `steps`: of the days that have begun, the next one last."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._waiting: list[tuple[int, int, Event, Iterator[Event]]] = []
        self._day = plan.first
        self._left = plan.days
        self._order = count()
        self.steps: list[Step] = []

    async def events(self) -> AsyncIterator[Event]:
        """Give them; each day is made in a thread when it comes near."""
        while True:
            while self._may_begin():
                await self._begin()
            if not self._waiting:
                return
            _, _, event, rest = heapq.heappop(self._waiting)
            yield event
            self._push(rest)

    def _may_begin(self) -> bool:
        if self._plan.days and self._left == 0:
            return False
        begins = dt.datetime.combine(self._day, dt.time(), dt.UTC) - _AHEAD
        return not self._waiting or self._waiting[0][0] >= begins.timestamp() * 1000

    async def _begin(self) -> None:
        centre = Centre(self._plan.seed, self._day, self._plan.size)
        steps = await asyncio.to_thread(lambda: centre.steps)
        self.steps = sorted([*reversed(self.steps), *steps], key=lambda step: step.at)
        self.steps.reverse()
        self._push(await asyncio.to_thread(lambda: iter(list(centre.events(self._plan.mischief)))))
        self._day += dt.timedelta(days=1)
        self._left -= 1

    def _push(self, events: Iterator[Event]) -> None:
        event = next(events, None)
        if event is not None:
            heapq.heappush(self._waiting, (event.at, next(self._order), event, events))


async def play(
    plan: Plan,
    send: Send,
    *,
    speed: float = 1.0,
    shelf: Shelf | None = None,
    now: Callable[[], float] = time.time,
) -> int:
    """Send a plan's events, and give how many they were. `speed` 0: at once.

    At real time (1) the clock of the plan is `now`: what lies before is sent at once. Faster, it starts at the first
    event. The shelf has what has happened, also where the event that tells of it comes late.
    """
    script = Script(plan)
    sent = 0
    ready: list[Event] = []
    started: tuple[float, float] | None = None if speed != 1.0 else (0.0, 0.0)
    async for event in script.events():
        at = event.at / 1000
        if started is None:
            started = (now(), at)
        # The clock of the plan shows started[1] when that of `now` shows started[0].
        wait = 0.0 if speed == 0 else (at - started[1]) / speed + started[0] - now()
        if ready and (wait > 0 or len(ready) == AT_ONCE):
            await send(ready)
            sent += len(ready)
            ready = []
        if wait > 0:
            await asyncio.sleep(wait)
        if shelf is None:
            script.steps.clear()
        else:
            _happen(script.steps, shelf, event.at)
        ready.append(event)
    if ready:
        await send(ready)
    return sent + len(ready)


def _happen(steps: list[Step], shelf: Shelf, until: int) -> None:
    while steps and steps[-1].at <= until:
        shelf.apply(steps.pop())
