"""After the end of a process the next one takes up what was open."""

from pathlib import Path

from bridge.ledger.ledger import Ledger
from bridge.words.ledger import Entry, Step
from tests.ledger.pops import NOON, accept, entry, statuses


async def taken_up(data: Path, now: float) -> list[tuple[Entry, str]]:
    async with Ledger.open(data) as ledger:
        return await ledger.take_up(now)


async def test_open_pops_are_taken_up_as_they_were_in_the_order_of_acceptance(data: Path) -> None:
    held, sent, delivered = (entry(f"pop-00000000000{number}", sent=NOON - number) for number in (3, 2, 1))
    async with Ledger.open(data) as ledger:
        for one in (held, sent, delivered):
            await accept(ledger, one)
        ledger.note(sent.popid, "sent", NOON)
        ledger.note(delivered.popid, "sent", NOON)
        ledger.note(delivered.popid, "delivered", NOON)
        for number, status in enumerate(("shown", "refused", "unchanged", "recalled", "expired"), 4):
            await accept(ledger, entry(f"pop-00000000000{number}"))
            ledger.note(f"pop-00000000000{number}", status, NOON, final=True)
        await accept(ledger, entry("pop-final-at-once"), "accepted", "refused", final=True)
        await accept(ledger, entry("pop-closed-silently"), "accepted", "sent")
        ledger.close("pop-closed-silently")
    assert await taken_up(data, NOON) == [(held, "held"), (sent, "sent"), (delivered, "delivered")]
    # Nothing of this is used up: the next process may die too.
    assert len(await taken_up(data, NOON)) == 3


async def test_what_ran_out_of_time_meanwhile_expires_at_that_time_but_for_what_was_delivered(data: Path) -> None:
    async with Ledger.open(data) as ledger:
        for popid, status in (("pop-held", "held"), ("pop-sent", "sent"), ("pop-delivered", "delivered")):
            await accept(ledger, entry(popid, ttl=30), "accepted", status)
        await accept(ledger, entry("pop-lives-longer", ttl=60))
    async with Ledger.open(data) as ledger:
        assert [one.popid for one, _ in await ledger.take_up(NOON + 30)] == ["pop-lives-longer"]
        ledger.note("pop-lives-longer", "sent", NOON + 31)
        held = await ledger.pop("pop-held", "acme")
        assert held is not None
        assert held.status == "expired"
        assert held.steps[-1] == Step("expired", NOON + 30, "the bridge was not running when its time ran out")
        assert await statuses(ledger, "pop-sent") == ["accepted", "sent", "expired"]
        assert await statuses(ledger, "pop-delivered") == ["accepted", "delivered"]
        assert await statuses(ledger, "pop-lives-longer") == ["accepted", "held", "sent"]
        assert [pop.popid for pop in (await ledger.pops("acme", status="expired")).items] == ["pop-sent", "pop-held"]
        assert [one.popid for one, _ in await ledger.take_up(NOON + 40)] == ["pop-lives-longer"]
        assert await statuses(ledger, "pop-held") == ["accepted", "held", "expired"]


async def test_thousands_are_taken_up(data: Path) -> None:
    async with Ledger.open(data) as ledger:
        entries = [entry(f"pop-{number:012}", agent=str(number)) for number in range(2_500)]
        for one in entries[:-1]:
            ledger._writer.last += 1
            ledger._writer.notes()
            ledger._writer._groups[-1].accept(ledger._writer.last, one, [Step("held", NOON)], None, final=False)
            ledger._writer.last += 1
        await accept(ledger, entries[-1], "held")
    assert await taken_up(data, NOON) == [(one, "held") for one in entries]


async def test_a_first_start_has_nothing_to_take_up(data: Path) -> None:
    assert await taken_up(data, NOON) == []
