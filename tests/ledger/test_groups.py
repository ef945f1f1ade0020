"""What is accepted is on disk, in the order of arrival, many at a time."""

import asyncio
import sqlite3
import stat
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.ledger.ledger import Ledger
from bridge.words.ledger import Entry, Pop, Remembered, Step, Unavailable
from bridge.words.settings import Ledger as Bounds
from tests.ledger.pops import NOON, accept, entry, listed, statuses


async def test_a_hundred_pops_at_once_share_a_few_transactions(ledger: Ledger) -> None:
    await asyncio.gather(*(accept(ledger, entry(f"pop-{number:012}")) for number in range(100)))
    assert ledger.counted["pops"] == 100
    assert ledger.counted["groups"] <= 3
    assert await listed(ledger) == [f"pop-{number:012}" for number in reversed(range(100))]


async def test_what_was_accepted_can_be_read_by_another_process(ledger: Ledger, data: Path) -> None:
    one = entry("pop-000000000001")
    await accept(ledger, one)
    other = sqlite3.connect(data / "ledger.db")
    assert other.execute("SELECT popid, payload FROM pops JOIN documents ON pop = number").fetchall() == [
        (one.popid, one.payload)
    ]
    other.close()


async def test_pops_of_one_moment_and_of_a_clock_set_back_stay_in_order(ledger: Ledger) -> None:
    for number, sent in enumerate((NOON, NOON, NOON - 3600, NOON - 3600, NOON + 1)):
        await accept(ledger, entry(f"pop-{number:012}", sent=sent))
    assert await listed(ledger) == [f"pop-{number:012}" for number in (4, 3, 2, 1, 0)]


async def test_a_pop_is_read_as_it_was_accepted(ledger: Ledger) -> None:
    one = entry("pop-000000000001", reference="R-1", sent=NOON + 0.1234567, fingerprint=b"\x00\xff")
    await ledger.accept(one, [Step("accepted", one.sent), Step("sent", one.sent + 0.001, "to 2 desktops")])
    found = await ledger.pop(one.popid, "acme")
    assert found == Pop(
        popid=one.popid,
        customer="acme",
        agent="1001",
        channel="CTI",
        event="On Ring",
        reference="R-1",
        topic="CTI/acme/1001",
        sent=one.sent,
        expires=one.expires,
        key="key-1",
        status="sent",
        steps=[Step("accepted", one.sent), Step("sent", one.sent + 0.001, "to 2 desktops")],
    )
    assert await ledger.pop(one.popid, "globex") is None
    assert await ledger.pop("pop-000000000002", "acme") is None


async def test_notes_follow_in_their_order_and_can_be_read_at_once(ledger: Ledger) -> None:
    await accept(ledger, entry("pop-000000000001"))
    for number in range(20):
        ledger.note("pop-000000000001", "sent" if number % 2 == 0 else "held", NOON - number)
    ledger.note("pop-000000000001", "shown", NOON, final=True)
    assert await statuses(ledger, "pop-000000000001") == ["accepted", "held", *["sent", "held"] * 10, "shown"]
    found = await ledger.pop("pop-000000000001", "acme")
    assert found is not None
    assert found.status == "shown"


async def test_notes_keep_their_order_over_a_restart_with_the_clock_set_back(data: Path) -> None:
    async with Ledger.open(data) as ledger:
        await accept(ledger, entry("pop-000000000001"))
        ledger.note("pop-000000000001", "sent", NOON)
    async with Ledger.open(data) as ledger:
        await accept(ledger, entry("pop-000000000002", sent=NOON - 3600))
        ledger.note("pop-000000000001", "delivered", NOON - 3600)
        assert await statuses(ledger, "pop-000000000001") == ["accepted", "held", "sent", "delivered"]
        assert await listed(ledger) == ["pop-000000000002", "pop-000000000001"]


async def test_a_pop_that_goes_to_and_fro_keeps_its_first_steps_and_its_end(ledger: Ledger) -> None:
    await accept(ledger, entry("pop-000000000001"))
    for number in range(300):
        ledger.note("pop-000000000001", "sent", NOON + number)
        await ledger.pop("pop-000000000001", "acme")
    ledger.note("pop-000000000001", "expired", NOON + 300, final=True)
    assert await statuses(ledger, "pop-000000000001") == ["accepted", "held", *["sent"] * 198, "expired"]


async def test_a_note_for_a_pop_that_is_not_there_changes_nothing(ledger: Ledger) -> None:
    ledger.note("pop-000000000001", "shown", NOON)
    await accept(ledger, entry("pop-000000000002"))
    assert await statuses(ledger, "pop-000000000002") == ["accepted", "held"]
    assert await listed(ledger) == ["pop-000000000002"]


async def test_closing_writes_what_was_noted(data: Path) -> None:
    async with Ledger.open(data) as ledger:
        await accept(ledger, entry("pop-000000000001"))
        ledger.note("pop-000000000001", "shown", NOON, "suspended R-7", final=True)
        ledger.seen("acme", "1001", NOON)
    async with Ledger.open(data) as ledger:
        assert await statuses(ledger, "pop-000000000001") == ["accepted", "held", "shown"]
        assert await ledger.agent("acme", "1001") is not None


async def test_what_is_accepted_while_the_ledger_closes_is_written_or_refused(data: Path) -> None:
    async with Ledger.open(data) as ledger:
        late = [asyncio.ensure_future(accept(ledger, entry(f"pop-{number:012}"))) for number in range(10)]
        await asyncio.gather(*late[:1])
    outcomes = await asyncio.gather(*late, return_exceptions=True)
    written = [f"pop-{number:012}" for number, outcome in enumerate(outcomes) if outcome is None]
    async with Ledger.open(data) as ledger:
        assert sorted(await listed(ledger)) == written
        with pytest.raises(Unavailable):
            await accept(ledger, entry(written[0]))


async def test_a_caller_that_went_away_disturbs_nobody(ledger: Ledger) -> None:
    gone = asyncio.ensure_future(accept(ledger, entry("pop-000000000001")))
    stays = asyncio.ensure_future(accept(ledger, entry("pop-000000000002")))
    await asyncio.sleep(0)
    gone.cancel()
    await stays
    assert "pop-000000000002" in await listed(ledger)


async def test_more_than_the_queue_may_hold_is_refused_and_the_rest_is_written(data: Path) -> None:
    async with Ledger.open(data, Bounds(max_waiting=30)) as ledger:
        waiting = [asyncio.ensure_future(accept(ledger, entry(f"pop-{number:012}"))) for number in range(30)]
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        refused = [outcome for outcome in outcomes if outcome is not None]
        assert len(refused) == 20
        assert all(isinstance(outcome, Unavailable) for outcome in refused)
        assert not ledger.behind
        await accept(ledger, entry("pop-000000000099"))
        assert len(await listed(ledger)) == 11


async def test_a_text_that_cannot_be_stored_fails_alone(ledger: Ledger) -> None:
    good = asyncio.ensure_future(accept(ledger, entry("pop-000000000001")))
    with pytest.raises(UnicodeEncodeError):
        await accept(ledger, entry("pop-000000000002", agent="\ud800"))
    await good
    assert await listed(ledger) == ["pop-000000000001"]


async def test_a_popid_that_is_there_already_is_refused_and_the_ledger_goes_on(ledger: Ledger) -> None:
    await accept(ledger, entry("pop-000000000001"))
    with pytest.raises(Unavailable):
        await accept(ledger, entry("pop-000000000001"))
    await accept(ledger, entry("pop-000000000002"))
    assert await statuses(ledger, "pop-000000000001") == ["accepted", "held"]


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
TIME = st.floats(0, 4e9)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT, TEXT, TIME, TIME), min_size=1, max_size=10))
def test_every_text_and_time_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, given_: list[tuple[str, str, str, float, float]]
) -> None:
    async def story() -> None:
        entries = [
            Entry(
                popid=f"pop-{number:012}",
                customer="acme",
                agent=agent,
                channel="cloud",
                campaign=campaign,
                reference=detail,
                topic=agent,
                payload=campaign.encode(),
                sent=sent,
                expires=expires,
                key=detail,
            )
            for number, (agent, campaign, detail, sent, expires) in enumerate(given_)
        ]
        async with Ledger.open(tmp_path_factory.mktemp("text")) as ledger:
            await asyncio.gather(*(ledger.accept(one, [Step("held", one.sent, one.key)]) for one in entries))
            taken = await ledger.take_up(-1.0)
            assert taken == [(one, "held") for one in entries]
            for one in entries:
                found = await ledger.pop(one.popid, "acme")
                assert found is not None
                assert found.steps == [Step("held", one.sent, one.key)]

    asyncio.run(story())


async def test_a_nul_is_replaced_and_ends_nothing(ledger: Ledger) -> None:
    await ledger.accept(entry("pop-000000000001", reference="R\0\\u0000 1"), [Step("held", NOON, "a\0b")])
    found = await ledger.pop("pop-000000000001", "acme")
    assert found is not None
    assert (found.reference, found.steps[0].detail) == ("R\ufffd\\u0000 1", "a\ufffdb")
    ledger.remember(
        Remembered(customer="acme", api="connect", key="k\0", fingerprint=b"1", status=200, body=b"{}", at=NOON)
    )
    assert await ledger.remembered("acme", "connect", "k\0", NOON) is not None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
async def test_only_the_owner_can_read_the_files(ledger: Ledger, data: Path) -> None:
    await accept(ledger, entry("pop-000000000001"))
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in data.iterdir()}  # noqa: ASYNC240 - a test may
    assert modes == {"ledger.db": 0o600, "ledger.db-wal": 0o600, "ledger.db-shm": 0o600}


async def test_a_file_that_is_no_ledger_is_refused_with_its_reason(data: Path) -> None:
    data.mkdir()  # noqa: ASYNC240 - a test may
    (data / "ledger.db").write_bytes(b"not a database, but long enough to be read as one" * 100)
    with pytest.raises(Unavailable, match="not a database") as refusal:
        async with Ledger.open(data):
            pass
    assert refusal.value.reason == "broken"


async def test_a_ledger_of_another_version_is_left_alone(data: Path) -> None:
    async with Ledger.open(data):
        pass
    other = sqlite3.connect(data / "ledger.db")
    other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(Unavailable, match="another version"):
        async with Ledger.open(data):
            pass


async def test_groups_of_every_size_are_written_whole(data: Path) -> None:
    # A statement has room for some pops more than there are; past 500 pops, or 1 MiB of them, a further one follows.
    written = 0
    async with Ledger.open(data) as ledger:
        for size in (*range(1, 35), 63, 65, 447, 501, 1_203):
            await asyncio.gather(*(accept(ledger, entry(f"pop-{written + n:012}")) for n in range(size)))
            written += size
            assert ledger.counted["pops"] == written
        assert await listed(ledger) == [f"pop-{number:012}" for number in reversed(range(written))]
        large = [
            msgspec.structs.replace(entry(f"large-{n:012}"), payload=bytes([65 + n % 26]) * 131_072) for n in range(30)
        ]
        groups = ledger.counted["groups"]
        await asyncio.gather(*(ledger.accept(one, [Step("accepted", NOON)]) for one in large))
        assert ledger.counted["groups"] >= groups + 3
        taken = {one.popid: one for one, _ in await ledger.take_up(NOON)}
        assert [taken[one.popid] for one in large] == large


async def test_pops_with_one_first_step_and_with_several_share_a_group(ledger: Ledger) -> None:
    steps = [
        [Step("accepted", NOON + n, f"step of {n}"), Step("refused", NOON + n + 0.5, "busy")][: 1 + n % 2]
        for n in range(9)
    ]
    await asyncio.gather(*(ledger.accept(entry(f"pop-{n:012}"), some) for n, some in enumerate(steps)))
    for n, some in enumerate(steps):
        found = await ledger.pop(f"pop-{n:012}", "acme")
        assert found is not None
        assert (found.steps, found.status) == (some, some[-1].status)
