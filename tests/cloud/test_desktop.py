"""The Cloud API with the desktop of `agent_client`: what the agent sees is what the bridge says."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from agent_client import Desktop, State
from agent_client.messages import Current, Notice, Recall, Refused
from agent_client.records import Records
from tests.cloud.office import Office
from tests.conftest import WITHIN, Agent


def desktop_of(office: Office, agent: Agent, **options: Any) -> Desktop:
    return Desktop(f"mqtt://127.0.0.1:{office.bridge.mqtt_port}", "acme", agent.id, agent.token, **options)


class Notices:
    """What a desktop was told, to be waited for."""

    def __init__(self) -> None:
        self._told: list[Notice] = []
        self._news = asyncio.Event()

    def __call__(self, notice: Notice) -> None:
        self._told.append(notice)
        self._news.set()

    async def until(self, fits: Callable[[Notice], bool]) -> None:
        async with asyncio.timeout(WITHIN):
            while not any(fits(notice) for notice in self._told):
                self._news.clear()
                await self._news.wait()


async def shown(desktop: Desktop) -> str | None:
    pop = await asyncio.wait_for(anext(desktop), WITHIN)
    return pop.reference


@pytest.mark.parametrize("connected", [True, False])
async def test_every_record_is_shown_once_and_the_account_agrees(
    office: Office, readers: dict[str, str], *, connected: bool
) -> None:
    agent = office.agent()
    references = [office.reference() for _ in range(5)]
    notices = Notices()
    if not connected:
        for reference in references:
            await office.pop(agent, reference)
    async with desktop_of(office, agent, on_notice=notices) as desktop:
        await desktop.reached(State.CAUGHT_UP)
        if connected:
            for reference in references:
                await office.pop(agent, reference)
        assert [await shown(desktop) for _ in references] == references
        expected = Records(references[4], tuple(references[3::-1]))
        await notices.until(lambda notice: notice == Current(expected.current, expected.activities))
        assert desktop.records == expected
        answer = await office.get(f"/api/agents/{agent.id}", readers["acme"])
        assert (answer.said["current"], answer.said["activities"]) == (references[4], references[3::-1])


async def test_the_answer_names_what_was_put_aside_and_a_second_pop_changes_nothing(
    office: Office, readers: dict[str, str]
) -> None:
    agent = office.agent()
    first, second = office.reference(), office.reference()
    async with desktop_of(office, agent) as desktop:
        await desktop.reached(State.CAUGHT_UP)
        for reference in (first, second):
            asking = office.start_pop(agent, reference, pop_wait=8)
            assert await shown(desktop) == reference
            answer = await asking
            assert answer.said["Result"]["Status"] == "shown"
        answer = await office.pop(agent, second, pop_wait=8)
        assert answer.said["Result"]["Status"] == "unchanged"
        listed = await office.get("/api/pops", readers["acme"], agent=agent.id)
        assert [one["status"] for one in listed.said["items"]] == ["unchanged", "shown", "shown"]
        assert first in listed.said["items"][1]["why"]


async def test_what_is_done_by_hand_counts(office: Office) -> None:
    mine, theirs = office.agent(), office.agent()
    first, second = office.reference(), office.reference()
    notices = Notices()
    async with desktop_of(office, mine, on_notice=notices) as desktop, desktop_of(office, theirs) as other:
        await desktop.reached(State.CAUGHT_UP)
        await other.reached(State.CAUGHT_UP)
        for reference in (first, second):
            await office.pop(mine, reference)
            await shown(desktop)
        desktop.resume(first)
        await notices.until(lambda notice: notice == Current(first, (second,)))
        await office.pop(theirs, second)
        assert await shown(other) == second
        desktop.resume(second)
        await notices.until(lambda notice: notice == Refused(second, "record_locked"))
        assert desktop.records.current != second
        desktop.close(first)
        await notices.until(lambda notice: notice == Current(None, (second,)))
        assert desktop.records == Records(None, (second,))


async def test_a_recalled_pop_that_waits_is_not_shown(office: Office, readers: dict[str, str]) -> None:
    agent = office.agent()
    notices = Notices()
    async with desktop_of(office, agent, on_notice=notices) as desktop:
        await desktop.reached(State.CAUGHT_UP)
        popid = (await office.pop(agent)).said["Result"]["PopId"]
        given = {"Authorization": f"Bearer {readers['admin']}"}
        async with office.http.delete(f"/api/pops/{popid}", headers=given) as response:
            assert response.status == 200
        await notices.until(lambda notice: notice == Recall(popid))
        reference = office.reference()
        await office.pop(agent, reference)
        assert await shown(desktop) == reference
