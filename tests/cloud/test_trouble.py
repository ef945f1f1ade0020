"""The Cloud API while nothing can be written: what was taken for a pop is given back."""

import asyncio
import sqlite3
from contextlib import closing

import aiohttp
import pytest

from tests.cloud.office import CONFIG, Office, add_user, issue_agents, sitting
from tests.cloud.test_token import is_refused
from tests.conftest import WITHIN, Agent, Bridge


async def test_seat_and_record_are_given_back_when_the_pop_could_not_be_written(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    config = CONFIG.replace("delivery:", "ledger: {busy_timeout: 100ms}\ndelivery:").replace(
        "concurrent, seats: 2", "concurrent, seats: 1"
    )
    house = Bridge(tmp_path_factory.mktemp("trouble") / "data", config).start()
    try:
        mine, theirs = issue_agents(house, "seats", 2)
        add_user(house, "caller", "seats")
        reader = house.token("observer", "seats")
        async with aiohttp.ClientSession(house.http) as http:
            office = Office(house, http, {}, {})
            office.tokens = {"seats": (await office.log_in("caller")).said["Result"]["IdToken"]}
            async with sitting(house, mine, "seats") as desk, sitting(house, theirs, "seats") as other:
                with closing(sqlite3.connect(house.data / "ledger.db", isolation_level=None)) as lock:
                    lock.execute("BEGIN IMMEDIATE")
                    for agent in (mine, theirs):
                        answer = await office.pop(agent, "case", "seats", pop_key=f"key of {agent.id}")
                        assert is_refused(answer, 503, "overloaded")
                        assert int(answer.headers["Retry-After"]) >= 1
                        assert (await office.get("/api/licence", reader)).said["used"] == 0
                await desk.no_pop()
                await other.no_pop()
                await is_popped(office, theirs)
                assert (await other.show())["reference"] == "case"
                assert (await office.get("/api/licence", reader)).said["users"] == [theirs.id]
                answer = await office.get(f"/api/agents/{mine.id}", reader)
                assert answer.said["activities"] == []
                assert "current" not in answer.said
    finally:
        assert house.stop() == 0


async def is_popped(office: Office, agent: Agent) -> None:
    """Try until the lock is gone, with the key of the first time: a failure is not remembered."""
    async with asyncio.timeout(WITHIN):
        while (answer := await office.pop(agent, "case", "seats", pop_key=f"key of {agent.id}")).status == 503:
            pass
    assert answer.said["Result"]["Status"] == "sent"
    assert "Idempotent-Replayed" not in answer.headers
