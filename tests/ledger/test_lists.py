"""Lists: the newest first, part by part, whatever is accepted meanwhile."""

import asyncio
import base64
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.ledger.ledger import Ledger
from bridge.ledger.queries import POPS_OF_AGENT_AND_STATUS
from tests.ledger.pops import NOON, accept, entry, listed


async def test_a_list_has_only_what_is_asked_for(ledger: Ledger) -> None:
    for number in range(12):
        popid = f"pop-{number:012}"
        await accept(ledger, entry(popid, agent=str(number % 2), sent=NOON + number))
        if number % 3 == 0:
            ledger.note(popid, "shown", NOON + number, final=True)
    await accept(ledger, entry("pop-of-another-one", customer="globex"))

    async def numbers(agent: str | None = None, status: str | None = None, since: float | None = None) -> list[int]:
        page = await ledger.pops("acme", agent, status, since)
        assert page.next is None
        return [int(pop.popid[4:]) for pop in page.items]

    assert await numbers() == [11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert await numbers(agent="0") == [10, 8, 6, 4, 2, 0]
    assert await numbers(status="shown") == [9, 6, 3, 0]
    assert await numbers(agent="0", status="shown") == [6, 0]
    assert await numbers(agent="0", status="held", since=NOON + 4) == [10, 8, 4]
    assert await numbers(since=NOON + 9.5) == [11, 10]
    assert await numbers(since=-1e300) == await numbers(since=0) == await numbers()
    assert await numbers(since=1e300) == []
    assert await numbers(agent="2") == []
    assert await numbers(status="recalled") == []
    assert await listed(ledger, "globex") == ["pop-of-another-one"]


async def test_a_list_tells_the_steps_of_each_pop(ledger: Ledger) -> None:
    await accept(ledger, entry("pop-000000000001"))
    ledger.note("pop-000000000001", "sent", NOON + 1, "to 1 desktop")
    page = await ledger.pops("acme")
    assert page.items == [await ledger.pop("pop-000000000001", "acme")]


async def test_a_limit_is_at_least_one_and_at_most_five_hundred(ledger: Ledger) -> None:
    await asyncio.gather(*(accept(ledger, entry(f"pop-{number:012}")) for number in range(501)))
    assert len((await ledger.pops("acme", limit=0)).items) == 1
    assert len((await ledger.pops("acme", limit=10_000)).items) == 500
    assert len((await ledger.pops("acme")).items) == 50


@settings(max_examples=25, deadline=None)
@given(
    before=st.lists(st.sampled_from(["1", "2"]), max_size=25),
    meanwhile=st.lists(st.lists(st.sampled_from(["1", "2"]), max_size=3), max_size=8),
    limit=st.integers(1, 7),
    agent=st.sampled_from([None, "1", "2"]),
)
def test_a_list_read_in_parts_is_what_was_there_at_the_first(
    tmp_path_factory: pytest.TempPathFactory,
    before: list[str],
    meanwhile: list[list[str]],
    limit: int,
    agent: str | None,
) -> None:
    async def story() -> None:
        async with Ledger.open(tmp_path_factory.mktemp("lists")) as ledger:
            count = 0

            async def add(agents: list[str]) -> None:
                nonlocal count
                for one in agents:
                    # The clock goes to and fro.
                    await accept(ledger, entry(f"pop-{count:012}", agent=one, sent=NOON - count % 3))
                    count += 1

            await add(before)
            wanted = [f"pop-{number:012}" for number, one in enumerate(before) if agent in {None, one}]
            arriving = iter(meanwhile)
            read: list[str] = []
            cursor: str | None = None
            while True:
                page = await ledger.pops("acme", agent, limit=limit, cursor=cursor)
                read += [pop.popid for pop in page.items]
                await add(next(arriving, []))
                cursor = page.next
                if cursor is None:
                    break
                assert len(page.items) == limit
            assert read == wanted[::-1]

    asyncio.run(story())


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "!!!!",
        "ö",
        "MTIz\n",
        "MTIzNA==",
        " MTIz",
        base64.urlsafe_b64encode(b"-5").decode().rstrip("="),
        base64.urlsafe_b64encode(b"99999999999999999999999").decode().rstrip("="),
        base64.urlsafe_b64encode(b'"text"').decode().rstrip("="),
        base64.urlsafe_b64encode(b"1 ").decode().rstrip("="),
        "A" * 100_000,
    ],
)
async def test_a_broken_cursor_is_told_apart(ledger: Ledger, cursor: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        await ledger.pops("acme", cursor=cursor)
    with pytest.raises(ValueError, match="cursor"):
        await ledger.agents("acme", NOON, cursor=cursor)


async def test_agents_are_listed_by_when_they_were_seen(ledger: Ledger) -> None:
    for number in range(5):
        ledger.seen("acme", f"agent-{number}", NOON + number)
    ledger.seen("acme", "agent-0", NOON + 5)  # within ten seconds of the last time
    ledger.seen("acme", "agent-1", NOON + 20)
    ledger.seen("globex", "agent-9", NOON)
    first = await ledger.agents("acme", NOON + 1, limit=2)
    assert [(one.agent, one.at) for one in first.items] == [("agent-1", NOON + 20), ("agent-4", NOON + 4)]
    second = await ledger.agents("acme", NOON + 1, limit=2, cursor=first.next)
    assert [one.agent for one in second.items] == ["agent-3", "agent-2"]
    assert second.next is None
    found = await ledger.agent("globex", "agent-9")
    assert found is not None
    assert found.at == NOON
    assert await ledger.agent("acme", "agent-9") is None


async def test_agents_seen_at_the_same_time_are_all_listed(ledger: Ledger) -> None:
    for number in range(7):
        ledger.seen("acme", f"agent-{number}", NOON)
    names: list[str] = []
    cursor = None
    while True:
        page = await ledger.agents("acme", 0, limit=3, cursor=cursor)
        names += [one.agent for one in page.items]
        cursor = page.next
        if cursor is None:
            break
    assert names == [f"agent-{number}" for number in reversed(range(7))]


async def test_a_list_goes_on_after_a_restart(data: Path) -> None:
    async with Ledger.open(data) as ledger:
        for number in range(4):
            await accept(ledger, entry(f"pop-{number:012}"))
        first = await ledger.pops("acme", limit=3)
    async with Ledger.open(data) as ledger:
        rest = await ledger.pops("acme", limit=3, cursor=first.next)
        assert [pop.popid for pop in (*first.items, *rest.items)] == await listed(ledger)


async def test_an_agents_pops_of_one_status_are_found_in_the_indexes_alone(ledger: Ledger, data: Path) -> None:
    for number in range(40):
        status = "refused" if number % 10 == 3 else "shown"
        one = entry(f"pop-{number:012}", agent=str(1000 + number % 2), sent=NOON + number)
        await accept(ledger, one, "accepted", status, final=True)
    first = await ledger.pops("acme", agent="1001", status="refused", limit=3)
    then = await ledger.pops("acme", agent="1001", status="refused", limit=3, cursor=first.next)
    assert [[pop.popid for pop in page.items] for page in (first, then)] == [
        [f"pop-{number:012}" for number in (33, 23, 13)],
        [f"pop-{number:012}" for number in (3,)],
    ]
    assert len((await ledger.pops("acme", agent="1001", status="refused", since=NOON + 20)).items) == 2
    assert (await ledger.pops("acme", agent="1000", status="refused")).items == []
    other = sqlite3.connect(data / "ledger.db")
    values = ("acme", 2**62, 0, 0.0, 4, "1001", "refused")
    steps = [step for *_, step in other.execute(f"EXPLAIN QUERY PLAN {POPS_OF_AGENT_AND_STATUS}", values)]
    other.close()
    for index in ("pops_of_agent", "pops_of_status"):
        assert any(f"USING COVERING INDEX {index}" in step for step in steps)
