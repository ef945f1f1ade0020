"""A storm: agents come and go, take, refuse and ignore pops for a few records; in the end every account agrees."""

import asyncio
import random
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.cloud.office import Desk, Office
from tests.conftest import WITHIN, Agent

ROUNDS = 40


async def work(office: Office, agent: Agent, references: list[str], dice: random.Random) -> None:
    """One agent's day: come, get pops, say this and that of them, go."""
    for _ in range(ROUNDS // 8):
        async with office.desk(agent, "storm") as desk:
            for _ in range(8):
                await step(office, desk, agent, references, dice)


async def step(office: Office, desk: Desk, agent: Agent, references: list[str], dice: random.Random) -> None:
    reference = dice.choice(references)
    match dice.randrange(8):
        case 0 | 1 | 2 | 3:
            answer = await office.pop(agent, reference, "storm", pop_ttl=600)
            assert answer.status in {200, 403, 409}, answer.said
        case 4:
            await desk.say(record=reference, state=dice.choice(["closed", "suspended", "resumed"]))
        case _:
            pass
    for pop in await desk.pops():
        outcome = dice.choice(["shown", "shown", "shown", "unchanged", "refused", None])
        if outcome is not None:
            await desk.say(popid=pop["popid"], outcome=outcome, reason="dice")


@pytest.mark.parametrize("seed", range(2))
async def test_after_a_storm_no_record_is_open_twice_and_every_desktop_knows_its_own(
    office: Office, readers: dict[str, str], storm_agents: list[Agent], seed: int
) -> None:
    references = [office.reference() for _ in range(6)]
    dice = random.Random(seed)  # noqa: S311 - to be repeated
    days = [work(office, agent, references, random.Random(dice.random())) for agent in storm_agents]  # noqa: S311
    await asyncio.gather(*days)
    async with AsyncExitStack() as stack:
        desks = [await stack.enter_async_context(office.desk(agent, "storm")) for agent in storm_agents]
        for desk in desks:
            await settle(office, readers, desk)
        accounts = [await account(office, readers, desk) for desk in desks]
        current = [said["current"] for said in accounts if "current" in said]
        assert len(current) == len(set(current))
        for desk, said in zip(desks, accounts, strict=True):
            assert said.get("current") not in said["activities"]
            assert len(set(said["activities"])) == len(said["activities"])
            # What makes no sense is answered with the account, if nothing else is under way.
            await desk.say(record="none such", state="closed")
            expected: dict[str, Any] = {name: said[name] for name in ("current", "activities") if name in said}
            async with asyncio.timeout(WITHIN):
                await desk.told_until(expected)
        licence = (await office.get("/api/licence", readers["storm"])).said
        assert licence["used"] <= licence["seats"]
        for desk in desks:
            for reference in references:
                await desk.say(record=reference, state="closed")
    for desk in desks:
        async with asyncio.timeout(WITHIN):
            while (await account(office, readers, desk))["online"]:
                pass
    assert (await office.get("/api/licence", readers["storm"])).said["used"] == 0


async def account(office: Office, readers: dict[str, str], desk: Desk) -> dict[str, Any]:
    """Read what the bridge knows of an agent."""
    said: dict[str, Any] = (await office.get(f"/api/agents/{desk.agent}", readers["storm"])).said
    return said


async def settle(office: Office, readers: dict[str, str], desk: Desk) -> None:
    """Show all that is held, and whatever else has no outcome yet."""
    async with asyncio.timeout(WITHIN):
        while pending := [
            one["popid"]
            for status in ("accepted", "held", "sent", "delivered")
            for one in (
                await office.get("/api/pops", readers["storm"], agent=desk.agent, status=status, limit=500)
            ).said["items"]
        ]:
            await desk.pops()
            for popid in pending:
                await desk.say(popid=popid, outcome="shown")
