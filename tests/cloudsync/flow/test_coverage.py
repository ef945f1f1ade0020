"""Coverage: zero and no data never look alike."""

from pathlib import Path

import pytest

from bridge.cloudsync.flow.answers.questions import SttQuestion
from tests.cloudsync.flow.events import BILLING, Clock, House, created, ms, opened

UP, DOWN = b'{"state": "up", "at": "2026-11-10T15:07:00Z"}', b'{"state": "down"}'
HOUR = 3_600_000


async def rows_of_the_next_hour(house: House) -> list[tuple[int, bool]]:
    rows = await house.stt("2026-11-10T15:15:00Z", "2026-11-10T16:15:00Z", group="*")
    return [(row["coverage_s"], row["complete"]) for row in rows]


async def test_a_feed_that_is_quiet_for_40_minutes_has_complete_zeros(house: House) -> None:
    await house.settled(created(1, house.clock.at))
    assert house.publish("feed", UP).released
    house.live(70)
    await house.cloudsync.settle()
    assert await rows_of_the_next_hour(house) == [(900, True)] * 4
    rows = await house.stt("2026-11-10T15:15:00Z", "2026-11-10T16:15:00Z", group=BILLING)
    assert [(row["created"], row["backlog_close"], row["complete"]) for row in rows] == [(0, 1, True)] * 4


async def test_a_feed_that_is_down_for_40_minutes_has_incomplete_ones(house: House) -> None:
    house.publish("feed", UP)
    house.live(15)
    house.publish("feed", DOWN)
    assert not house.cloudsync.feed_up("acme")
    house.live(40)
    house.publish("feed", UP)
    house.live(15)
    await house.cloudsync.settle()
    assert await rows_of_the_next_hour(house) == [(420, False), (0, False), (0, False), (780, False)]


async def test_a_feed_by_http_is_up_from_its_first_post_and_down_after_five_minutes_without_one(house: House) -> None:
    house.live(8)
    await house.post()
    assert house.cloudsync.feed_up("acme")
    house.live(4)
    await house.post(created(1, house.clock.at))
    house.live(20)
    assert not house.cloudsync.feed_up("acme")
    await house.cloudsync.settle()
    assert (await rows_of_the_next_hour(house))[0] == (540, False)


async def test_heartbeats_keep_a_feed_by_http_up(house: House) -> None:
    for _ in range(20):
        await house.post()
        house.live(4)
    await house.cloudsync.settle()
    assert await rows_of_the_next_hour(house) == [(900, True)] * 4


async def test_back_dated_events_alone_cover_nothing(house: House) -> None:
    await house.settled(created(1, ms("2026-11-09T10:05:00Z")))
    row = await house.row("2026-11-09T10:00:00Z")
    assert (row["created"], row["coverage_s"], row["complete"]) == (1, 0, False)


async def test_a_back_fill_covers_what_it_says(house: House) -> None:
    await house.settled(created(1, ms("2026-11-09T10:05:00Z")))
    await house.cloudsync.covers("acme", ms("2026-11-09T10:00:00Z"), ms("2026-11-09T11:00:00Z"))
    row = await house.row("2026-11-09T10:00:00Z")
    assert (row["coverage_s"], row["complete"]) == (900, True)
    assert (await house.row("2026-11-09T11:00:00Z"))["coverage_s"] == 0


async def test_coverage_outlives_the_process_and_the_time_between_is_not_covered(data: Path, clock: Clock) -> None:
    async with opened(data, clock) as house:
        house.publish("feed", UP)
        house.live(16)
    clock.go(20 * 60_000)
    async with opened(data, clock) as house:
        house.publish("feed", UP)
        house.live(40)
        await house.cloudsync.settle()
        assert await rows_of_the_next_hour(house) == [(480, False), (120, False), (900, True), (900, True)]


async def test_a_feed_by_http_is_still_up_after_a_short_restart(data: Path, clock: Clock) -> None:
    async with opened(data, clock) as house:
        await house.post()
        house.live(1)
    clock.go(10_000)
    async with opened(data, clock) as house:
        assert house.cloudsync.feed_up("acme")


async def test_what_is_not_a_state_is_quarantined(house: House) -> None:
    house.publish("feed", b"hello")
    await house.post()
    assert not house.cloudsync._feeds._feed("acme").up
    assert (await house.cloudsync.dq("acme")).lists.quarantined[0].reason == "malformed_feed"


async def test_the_mark_of_an_answer_changes_with_what_is_covered(house: House) -> None:
    question = SttQuestion(start=ms("2026-11-09T10:00:00Z"), until=ms("2026-11-09T11:00:00Z"))
    before = house.cloudsync.stt("acme", question).tag
    await house.settled(created(1, ms("2026-11-09T10:05:00Z")))
    assert house.cloudsync.stt("acme", question).tag != before
    final = house.cloudsync.stt("acme", question).tag
    house.clock.go(HOUR)
    await house.cloudsync.settle()
    assert house.cloudsync.stt("acme", question).tag == final
    await house.cloudsync.covers("acme", question.start, question.until)
    assert house.cloudsync.stt("acme", question).tag != final


@pytest.mark.parametrize("fill", [True, False])
async def test_rows_of_zeros_are_given_or_left_out(house: House, fill: bool) -> None:  # noqa: FBT001
    await house.settled(created(1, ms("2026-11-10T10:05:00Z"), Status="Closed", ClosedDate="2026-11-10T10:05:00Z"))
    rows = await house.stt("2026-11-10T09:00:00Z", "2026-11-10T12:00:00Z", group=BILLING, zeros=fill)
    assert len(rows) == (8 if fill else 1)  # the group is active from its first record
    rows = await house.stt("2026-11-10T09:00:00Z", "2026-11-10T12:00:00Z", channel="each", zeros=fill)
    assert {row["channel"] for row in rows} == {"Email"}
