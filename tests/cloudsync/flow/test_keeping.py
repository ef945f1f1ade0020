"""What is over its time is forgotten; numbers stay, and what comes later is counted."""

from pathlib import Path

from bridge.cloudsync.flow.keeping import Keeping
from bridge.words.settings import Duration, Kept
from tests.cloudsync.flow.events import Clock, House, closed, created, ms, opened, reopened

DAY = 86_400_000
AT = ms("2026-11-10T10:05:00Z")


async def counts(house: House) -> list[int]:
    sql = """
        SELECT json_array((SELECT count(*) FROM raw), (SELECT count(*) FROM changes), (SELECT count(*) FROM stt))
    """
    return await house.cloudsync._database.read(list[int], sql) or []


async def test_raw_events_go_after_90_days_and_numbers_stay(data: Path, clock: Clock) -> None:
    async with opened(data, clock) as house:
        await house.settled(created(1, AT), closed(1, AT + 60_000), created(2, AT))
        before = await house.row("2026-11-10T10:00:00Z")
        clock.go(91 * DAY)
        await house.cloudsync.settle()
        await Keeping(house.cloudsync._database, Kept()).run(clock.at, ["acme"])
        raw, changes, rows = await counts(house)
        assert (raw, changes) == (0, 1)  # the open ticket's is needed
        assert rows > 0
        assert (await house.row("2026-11-10T10:00:00Z"))["closed"] == before["closed"] == 1


async def test_a_record_whose_events_were_forgotten_keeps_its_facts_when_it_changes_again(
    data: Path, clock: Clock
) -> None:
    async with opened(data, clock) as house:
        await house.settled(created(1, AT), closed(1, AT + 60_000))
        clock.go(91 * DAY)
        await house.cloudsync.settle()
        await Keeping(house.cloudsync._database, Kept()).run(clock.at, ["acme"])
        await house.settled(reopened(1, clock.at - 60_000))
        row = await house.row("2026-11-10T10:00:00Z")
        assert (row["created"], row["closed"]) == (1, 1)
        assert (await house.cloudsync.dq("acme")).dirty == 1  # its beginning is to be fetched


async def test_rows_go_after_400_days_and_a_month(data: Path, clock: Clock) -> None:
    async with opened(data, clock) as house:
        await house.settled(created(1, AT), closed(1, AT + 60_000))
        clock.go(440 * DAY)
        await Keeping(house.cloudsync._database, Kept()).run(clock.at, ["acme"])
        assert await counts(house) == [0, 0, 0]


async def test_the_operator_says_for_how_long(data: Path, clock: Clock) -> None:
    async with opened(data, clock) as house:
        await house.settled(created(1, AT), closed(1, AT + 60_000))
        clock.go(8 * DAY)
        keeping = Keeping(house.cloudsync._database, Kept(retention=Duration(9 * 86_400.0)))
        await keeping.run(clock.at, ["acme"])
        assert (await counts(house))[0] == 2
        await Keeping(house.cloudsync._database, Kept(retention=Duration(7 * 86_400.0))).run(clock.at, ["acme"])
        assert (await counts(house))[0] == 0
