"""Records: at most one agent of a customer has one open, whatever happens at the same moment."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.broker.contract import packets
from tests.broker.contract.packets import Kind
from tests.cloud.office import Desk, Office
from tests.conftest import WITHIN, Agent, Answer, mqtt


def status(answer: Answer) -> str:
    said: str = answer.said["Result"]["Status"]
    return said


async def opens(office: Office, desk: Desk, agent: Agent, reference: str, customer: str = "acme") -> str:
    """Open a record at a desktop; give the popid."""
    answer = await office.pop(agent, reference, customer)
    assert status(answer) == "sent", answer.said
    return str((await desk.show())["popid"])


async def becomes_free(office: Office, agent: Agent, reference: str) -> None:
    """Wait until an agent could have the record."""
    async with asyncio.timeout(WITHIN):
        while (await office.pop(agent, reference, pop_dryrun=1)).status == 409:
            pass


async def test_the_same_reference_changes_nothing(office: Office) -> None:
    agent, reference = office.agent(), office.reference()
    async with office.desk(agent) as desk:
        await opens(office, desk, agent, reference)
        await desk.told_until({"current": reference, "activities": []})
        answer = await office.pop(agent, reference, pop_wait=8)
        assert (answer.status, answer.said["Success"], status(answer)) == (200, True, "unchanged")
        await desk.nothing()


async def test_the_same_reference_changes_nothing_before_the_desktop_said_a_word(office: Office) -> None:
    agent, reference = office.agent(), office.reference()
    async with office.desk(agent) as desk:
        answers = await asyncio.gather(*(office.pop(agent, reference) for _ in range(10)))
        assert sorted(map(status, answers)) == ["sent"] + ["unchanged"] * 9
        await desk.pop()
        await desk.nothing()


async def test_another_reference_suspends_the_current_one(office: Office) -> None:
    agent = office.agent()
    first, second, third = (office.reference() for _ in range(3))
    async with office.desk(agent) as desk:
        for reference in (first, second, third):
            await opens(office, desk, agent, reference)
        await desk.told_until({"current": third, "activities": [second, first]})
        assert status(await office.pop(agent, first)) == "sent"
        await desk.show()
        await desk.told_until({"current": first, "activities": [third, second]})


async def test_of_fifty_simultaneous_pops_of_one_record_one_is_popped_a_hundred_times(
    office: Office, racers: list[Agent], readers: dict[str, str]
) -> None:
    """Each round for a record of its own, and all desktops count what they get."""
    async with AsyncExitStack() as stack:
        desks = [await stack.enter_async_context(office.desk(agent)) for agent in racers]
        watch = await stack.enter_async_context(
            mqtt(office.bridge, "acme", readers["acme"], *[(f"CTI/acme/{agent.id}", 0) for agent in racers])
        )
        won: dict[str, list[str]] = {agent.id: [] for agent in racers}
        for number in range(100):
            reference = office.reference()
            answers = await asyncio.gather(*(office.pop(agent, reference) for agent in racers))
            (winner,) = (place for place, answer in enumerate(answers) if answer.status == 200)
            popid = answers[winner].said["Result"]["PopId"]
            won[racers[winner].id].append(popid)
            for answer in answers:
                if answer.status != 200:
                    assert (answer.status, answer.said["Result"]["Reason"]) == (409, "record_locked"), number
                    assert racers[winner].id in answer.said["Result"]["Detail"]
            (seen,) = await watch.heard()
            assert popid.encode() in seen.payload
        for desk in desks:
            assert [(await desk.pop())["popid"] for _ in won[desk.agent]] == won[desk.agent]
            await desk.nothing()


async def test_of_pops_held_for_one_record_the_first_to_be_released_wins(office: Office) -> None:
    agents, reference = [office.agent() for _ in range(5)], office.reference()
    answers = await asyncio.gather(*(office.pop(agent, reference) for agent in agents))
    assert [status(answer) for answer in answers] == ["held"] * 5
    async with AsyncExitStack() as stack:
        desks = await asyncio.gather(*(stack.enter_async_context(office.desk(agent)) for agent in agents))
        heard = await asyncio.gather(*(first_word(desk) for desk in desks))
        popped = [said for said in heard if "popid" in said]
        assert len(popped) == 1
        assert [said for said in heard if "popid" not in said] == [
            {"refused": reference, "reason": "record_locked"} for _ in range(4)
        ]
        for desk in desks:
            await desk.nothing()


async def first_word(desk: Desk) -> dict[str, Any]:
    """Take a pop or a word, whichever comes."""
    message = await desk.client.message()
    desk._sort(message.topic, message.payload)
    said: dict[str, Any] = (desk._pops or desk._told).popleft()
    return said


async def test_a_pop_is_claimed_even_if_its_desktop_comes_while_it_is_recorded(office: Office) -> None:
    """However a desktop's arrival and the pops' acceptance interleave: one agent has the record."""
    for _ in range(10):
        one, other, reference = office.agent(), office.agent(), office.reference()
        async with AsyncExitStack() as stack:
            asked = [office.start_pop(agent, reference) for agent in (one, other)]
            desks = await asyncio.gather(*(stack.enter_async_context(office.desk(agent)) for agent in (one, other)))
            answers = await asyncio.gather(*asked)
            won = 0
            for desk, answer in zip(desks, answers, strict=True):
                if answer.status == 200:
                    won += "popid" in await first_word(desk)
                else:
                    await desk.no_pop()
            assert won == 1


async def test_a_held_pop_holds_no_lock(office: Office) -> None:
    absent, present, reference = office.agent(), office.agent(), office.reference()
    held = await office.pop(absent, reference)
    assert status(held) == "held"
    async with office.desk(present) as desk:
        await opens(office, desk, present, reference)
        async with office.desk(absent) as late:
            assert await late.told() == {"refused": reference, "reason": "record_locked"}
            await late.nothing()


@pytest.mark.parametrize("how", ["closed", "suspended"])
async def test_the_lock_ends_by_hand(office: Office, how: str) -> None:
    mine, theirs, reference = office.agent(), office.agent(), office.reference()
    async with office.desk(mine) as desk, office.desk(theirs) as other:
        await opens(office, desk, mine, reference)
        assert (await office.pop(theirs, reference)).status == 409
        await desk.say(record=reference, state=how)
        await opens(office, other, theirs, reference)
        left = [] if how == "closed" else [reference]
        await desk.told_until({"activities": left})


async def test_the_lock_ends_when_the_agent_moves_on(office: Office) -> None:
    mine, theirs = office.agent(), office.agent()
    first, second = office.reference(), office.reference()
    async with office.desk(mine) as desk, office.desk(theirs) as other:
        await opens(office, desk, mine, first)
        await opens(office, desk, mine, second)
        await opens(office, other, theirs, first)


async def test_the_lock_ends_with_the_desktops_refusal_and_what_was_put_aside_is_current_again(
    office: Office,
) -> None:
    mine, theirs = office.agent(), office.agent()
    first, second = office.reference(), office.reference()
    async with office.desk(mine) as desk, office.desk(theirs) as other:
        await opens(office, desk, mine, first)
        await office.pop(mine, second)
        await desk.say(popid=(await desk.pop())["popid"], outcome="refused", reason="busy")
        await desk.told_until({"current": first, "activities": []})
        await opens(office, other, theirs, second)


async def test_refusing_an_older_pop_does_not_take_the_newer_ones_record(office: Office) -> None:
    agent = office.agent()
    first, second, third = (office.reference() for _ in range(3))
    async with office.desk(agent) as desk:
        await opens(office, desk, agent, first)
        await office.pop(agent, second)
        refused = await desk.pop()
        await opens(office, desk, agent, third)
        await desk.say(popid=refused["popid"], outcome="refused", reason="busy")
        await desk.told_until({"current": third, "activities": [first]})


async def test_what_one_desktop_refused_and_another_shows_is_locked(office: Office) -> None:
    mine, theirs, reference = office.agent(), office.agent(), office.reference()
    async with office.desk(mine) as one, office.desk(mine) as two, office.desk(theirs):
        await office.pop(mine, reference)
        popid = (await one.pop())["popid"]
        await one.say(popid=popid, outcome="refused", reason="busy")
        await two.show()
        answer = await office.pop(theirs, reference)
        assert (answer.status, answer.said["Result"]["Reason"]) == (409, "record_locked")


async def test_what_is_shown_too_late_is_taken_from_the_desktop_again(office: Office) -> None:
    """One desktop refused, somebody else got the record, and then another desktop of the first agent shows it."""
    mine, theirs, reference = office.agent(), office.agent(), office.reference()
    async with office.desk(mine) as one, office.desk(mine) as two, office.desk(theirs) as other:
        await office.pop(mine, reference)
        await one.say(popid=(await one.pop())["popid"], outcome="refused", reason="busy")
        await opens(office, other, theirs, reference)
        await two.show()
        await two.told_until({"refused": reference, "reason": "record_locked"})


async def test_the_lock_ends_with_a_recall(office: Office, readers: dict[str, str]) -> None:
    mine, theirs, reference = office.agent(), office.agent(), office.reference()
    async with office.desk(mine) as desk, office.desk(theirs) as other:
        answer = await office.pop(mine, reference)
        popid = (await desk.pop())["popid"]
        given = {"Authorization": f"Bearer {readers['admin']}"}
        async with office.http.delete(f"/api/pops/{popid}", headers=given) as response:
            assert (response.status, (await response.json())["status"]) == (200, "recalled")
        assert popid == answer.said["Result"]["PopId"]
        await desk.told_until({"recall": popid})
        await opens(office, other, theirs, reference)


async def test_the_lock_ends_after_the_grace_when_the_last_desktop_left_and_not_before(office: Office) -> None:
    mine, theirs, reference = office.agent(), office.agent(), office.reference()
    async with office.desk(theirs) as other:
        async with office.desk(mine) as desk:
            async with office.desk(mine):
                await opens(office, desk, mine, reference)
            assert (await office.pop(theirs, reference)).status == 409
        assert (await office.pop(theirs, reference)).status == 409
        await becomes_free(office, theirs, reference)
        await opens(office, other, theirs, reference)
    async with office.desk(mine) as desk:
        assert await desk.told() == {"activities": [reference]}


async def test_who_comes_back_within_the_grace_keeps_the_record(office: Office) -> None:
    mine, reference = office.agent(), office.reference()
    gone, marker = office.agent(), office.reference()
    async with office.desk(mine) as desk:
        await opens(office, desk, mine, reference)
    async with office.desk(mine) as desk:
        assert await desk.told() == {"current": reference, "activities": []}
        async with office.desk(gone) as theirs:
            await opens(office, theirs, gone, marker)
        await becomes_free(office, mine, marker)
        assert (await office.pop(gone, reference)).status == 409


async def test_resumed_counts_only_from_the_agents_own_activities_with_the_lock_free(office: Office) -> None:
    mine, theirs = office.agent(), office.agent()
    first, second = office.reference(), office.reference()
    async with office.desk(mine) as desk, office.desk(theirs) as other:
        await opens(office, desk, mine, first)
        await opens(office, desk, mine, second)
        await desk.told_until({"current": second, "activities": [first]})
        await other.say(record=first, state="resumed")
        assert await other.told() == {"activities": []}
        await desk.say(record=first, state="resumed")
        await desk.told_until({"current": first, "activities": [second]})
        await opens(office, other, theirs, second)
        await desk.say(record=second, state="resumed")
        assert await desk.told() == {"refused": second, "reason": "record_locked"}
        assert await desk.told() == {"current": first, "activities": [second]}
        await desk.say(record="never heard of", state="resumed")
        assert await desk.told() == {"current": first, "activities": [second]}
        await desk.say(record=second, state="closed")
        assert await desk.told() == {"current": first, "activities": []}


async def test_the_oldest_of_fifty_one_activities_is_forgotten(office: Office, readers: dict[str, str]) -> None:
    agent = office.agent()
    references = [office.reference() for _ in range(52)]
    async with office.desk(agent) as desk:
        for reference in references:
            await opens(office, desk, agent, reference)
        answer = await office.get(f"/api/agents/{agent.id}", readers["acme"])
        assert answer.said["current"] == references[-1]
        assert answer.said["activities"] == references[-2:0:-1]


async def test_the_desktops_are_not_told_of_a_record_before_the_pops_outcome(office: Office) -> None:
    agent = office.agent()
    first, second = office.reference(), office.reference()
    async with office.desk(agent) as desk, office.desk(agent) as other:
        await office.pop(agent, first)
        popid = (await desk.pop())["popid"]
        await desk.say(record="never heard of", state="closed")
        await desk.nothing()
        await desk.say(popid=popid, outcome="shown")
        assert await desk.told() == {"current": first, "activities": []}
        await office.pop(agent, second)
        assert (await desk.pop())["reference"] == second
        await desk.nothing()
        for told in (first, second):
            assert (await other.pop())["reference"] == told
        await other.say(record=first, state="closed")
        await other.no_pop()


async def test_a_desktop_at_qos_0_holds_the_record_too(office: Office) -> None:
    mine, theirs, reference = office.agent(), office.agent(), office.reference()
    async with office.desk(mine, qos=0) as desk, office.desk(theirs):
        await opens(office, desk, mine, reference)
        assert (await office.pop(theirs, reference)).status == 409


async def test_a_pop_that_was_sent_and_lost_gives_its_record_back(office: Office) -> None:
    mine, theirs, reference = office.agent(), office.agent(), office.reference()
    async with office.desk(theirs) as other:
        async with office.desk(mine) as desk:
            await office.pop(mine, reference)
            await desk.pop(acknowledge=False)
        await becomes_free(office, theirs, reference)
        await opens(office, other, theirs, reference)
        async with office.desk(mine) as desk:
            assert await desk.told() == {"refused": reference, "reason": "record_locked"}


async def test_a_desktop_that_says_shown_after_its_connection_broke_has_the_record(office: Office) -> None:
    mine, theirs, reference = office.agent(), office.agent(), office.reference()
    async with office.desk(theirs):
        async with office.desk(mine) as desk:
            await office.pop(mine, reference)
            popid = (await desk.pop(acknowledge=False))["popid"]
        await becomes_free(office, theirs, reference)
        async with mqtt(office.bridge, f"acme/{mine.id}", mine.token) as client:
            again = Desk(client, "acme", mine.id)
            await again.say(popid=popid, outcome="shown")
            answer = await office.pop(theirs, reference)
            assert (answer.status, answer.said["Result"]["Reason"]) == (409, "record_locked")


async def test_an_expired_pop_gives_its_record_back(office: Office) -> None:
    mine, theirs, reference = office.agent(), office.agent(), office.reference()
    async with office.desk(mine) as desk, office.desk(theirs) as other:
        asking = office.start_pop(mine, reference, pop_ttl=1, pop_wait=8)
        await desk.pop(acknowledge=False)
        assert status(await asking) == "expired"
        await opens(office, other, theirs, reference)


async def test_records_are_apart_by_customer_and_by_spelling(office: Office) -> None:
    one, two, other = office.agent(), office.agent(), office.agent("exact")
    reference = office.reference()
    async with office.desk(one) as desk, office.desk(two) as second, office.desk(other, "exact") as foreign:
        await opens(office, desk, one, reference)
        await opens(office, foreign, other, reference, "exact")
        await opens(office, second, two, reference.upper())


async def test_what_is_no_word_of_a_desktop_changes_nothing(office: Office) -> None:
    mine, theirs, reference = office.agent(), office.agent(), office.reference()
    async with office.desk(mine) as desk, office.desk(theirs) as other:
        popid = await opens(office, desk, mine, reference)
        await other.say(record=reference, state="closed")
        await other.say(popid=popid, outcome="refused", reason="mine")
        await desk.say(record=reference, state="burnt")
        await desk.say(record=5, state="closed")
        await desk.say(desktop="me", state="gone")
        assert (await office.pop(theirs, reference)).status == 409
        await desk.say(popid=popid, outcome="refused", reason="after it was shown")
        assert (await office.pop(theirs, reference)).status == 409


async def test_the_last_copys_acknowledgement_after_the_outcome_is_no_harm(office: Office) -> None:
    agent, reference = office.agent(), office.reference()
    async with office.desk(agent) as desk:
        await office.pop(agent, reference)
        message = await desk.client.message(acknowledge=False)
        await desk.say(popid=(await said(message)), outcome="shown")
        await desk.client.send(packets.reply(Kind.PUBACK, message.mid))
        assert status(await office.pop(agent, reference)) == "unchanged"


async def said(message: packets.Message) -> str:
    """Give a message's popid."""
    return message.payload.split(b'"')[3].decode()
