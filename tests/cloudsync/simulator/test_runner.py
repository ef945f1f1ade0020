import datetime as dt
from collections.abc import Sequence

from bridge.cloudsync.simulator import world
from bridge.cloudsync.simulator.centre import Centre, Event, Size
from bridge.cloudsync.simulator.mischief import Mischief
from bridge.cloudsync.simulator.runner import AT_ONCE, Plan, Script, play
from bridge.cloudsync.simulator.shelf import Shelf

DAY = dt.date(2026, 6, 1)
SMALL = Size(agents=8, tickets=30, sessions=60)


class Taker:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.largest = 0

    async def __call__(self, events: Sequence[Event]) -> None:
        self.events += events
        self.largest = max(self.largest, len(events))


async def test_days_follow_one_another_in_order_and_share_no_record() -> None:
    taker = Taker()
    plan = Plan(seed=3, first=DAY, days=3, size=SMALL)
    assert await play(plan, taker, speed=0) == len(taker.events)
    assert [event.at for event in taker.events] == sorted(event.at for event in taker.events)
    days = [Centre(3, DAY + dt.timedelta(days=number), SMALL) for number in range(3)]
    assert len(taker.events) == sum(len(day.steps) for day in days)
    records = [{step.record for step in day.steps} for day in days]
    assert not records[0] & records[1]
    assert not records[1] & records[2]
    assert days[0].world == days[1].world
    assert taker.largest <= AT_ONCE


async def test_the_shelf_has_in_the_end_what_has_happened() -> None:
    shelf = Shelf(world.make(3, SMALL.groups, SMALL.agents))
    mischief = Mischief(gaps=0.3, duplicates=0.1)
    await play(Plan(seed=3, first=DAY, size=SMALL, mischief=mischief), Taker(), speed=0, shelf=shelf)
    day = Centre(3, DAY, SMALL)
    wanted = Shelf(day.world, day.steps)
    for step in day.steps:
        assert shelf.get(step.entity, step.record) == wanted.get(step.entity, step.record)


async def test_at_a_hundred_thousand_times_real_time_a_day_takes_as_long_as_that_says() -> None:
    taker = Taker()
    passed = [0.0]

    def now() -> float:
        # Each look at the clock takes a day of the plan: nothing is ever waited for.
        passed[0] += 1.0
        return passed[0]

    await play(Plan(seed=3, first=DAY, size=SMALL), taker, speed=86_400, now=now)
    assert taker.events


async def test_what_lies_before_now_is_sent_at_once() -> None:
    taker = Taker()
    await play(Plan(seed=3, first=DAY, size=SMALL), taker, speed=1)
    assert len(taker.events) == len(Centre(3, DAY, SMALL).steps)


async def test_a_plan_without_an_end_goes_on() -> None:
    script = Script(Plan(seed=3, first=DAY, days=0, size=SMALL))
    seen = 0
    async for event in script.events():
        seen += 1
        if event.at > dt.datetime(2026, 6, 6, tzinfo=dt.UTC).timestamp() * 1000:
            break
    assert seen > 4 * len(Centre(3, DAY, SMALL).steps) * 0.8
