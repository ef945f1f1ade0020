import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import pytest

from bridge.cloudsync.simulator.centre import Centre
from bridge.cloudsync.simulator.endpoints import Endpoints
from bridge.crm import fetching
from bridge.crm.client import Client, Record
from bridge.crm.fetching import Fetching

WITHIN = 30.0
FIELDS = {"User": ("Id", "Name"), "Group": ("Id", "Name"), "Secret": ("Id", "Name")}


class Desk:
    """Takes answers, and lets a story wait for them."""

    def __init__(self) -> None:
        self.records: dict[str, Record | None] = {}
        self.times: dict[str, int] = {}
        self.pages: list[tuple[str, int, bool]] = []
        self._moved = asyncio.Condition()
        self.fetching = Fetching(FIELDS, self._answered, self._listed, jitter=lambda: 0.0, first=0.01)

    @asynccontextmanager
    async def asking(self, client: Client) -> AsyncIterator[None]:
        running = asyncio.create_task(self.fetching.run(client))
        try:
            yield
        finally:
            running.cancel()
            await asyncio.wait([running])

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN), self._moved:
            await self._moved.wait_for(done)

    async def alarm(self) -> None:
        async with asyncio.timeout(WITHIN):
            while not self.fetching.alarms:  # noqa: ASYNC110 - nothing tells
                await asyncio.sleep(0.01)

    async def _answered(self, _entity: str, found: Mapping[str, Record | None]) -> None:
        async with self._moved:
            self.records |= found
            for id_ in found:
                self.times[id_] = self.times.get(id_, 0) + 1
            self._moved.notify_all()

    async def _listed(self, entity: str, page: list[Record], last: bool) -> None:  # noqa: FBT001 - Listed's signature
        async with self._moved:
            self.pages.append((entity, len(page), last))
            self._moved.notify_all()


def gets(crm: Endpoints) -> list[str]:
    return [path for method, path in crm.asked if method == "GET"]


async def test_a_thousand_mentions_of_one_id_are_one_get(client: Client, crm: Endpoints, centre: Centre) -> None:
    desk = Desk()
    id_ = centre.world.agents[0].id
    for _ in range(1000):
        desk.fetching.want("User", [id_])
    async with desk.asking(client):
        await desk.until(lambda: id_ in desk.records)
    assert len(gets(crm)) == 1
    assert desk.fetching.waiting == 0


async def test_ids_go_together(client: Client, crm: Endpoints, centre: Centre) -> None:
    desk = Desk()
    ids = [agent.id for agent in centre.world.agents]
    desk.fetching.want("User", ids)
    async with desk.asking(client):
        await desk.until(lambda: len(desk.records) == len(ids))
    assert len(gets(crm)) == 1


async def test_what_is_wanted_while_it_is_being_asked_for_is_not_asked_again(
    client: Client, crm: Endpoints, centre: Centre
) -> None:
    desk = Desk()
    first, second = centre.world.agents[0].id, centre.world.agents[1].id
    desk.fetching.want("User", [first])
    async with desk.asking(client):
        for _ in range(50):
            desk.fetching.want("User", [first])
            await asyncio.sleep(0)
        desk.fetching.want("User", [second])
        await desk.until(lambda: second in desk.records)
    assert len(gets(crm)) - desk.times[first] <= 1


async def test_what_fails_is_asked_again_until_it_is_answered(client: Client, crm: Endpoints, centre: Centre) -> None:
    desk = Desk()
    id_ = centre.world.agents[0].id
    crm.say("token", 503, "", times=2)
    crm.say("get", 500, "oops", times=2)
    crm.say("get", 429, "[]", Retry_After="0")
    desk.fetching.want("User", [id_])
    async with desk.asking(client):
        await desk.until(lambda: id_ in desk.records)
    assert desk.records[id_]
    assert not desk.fetching.alarms
    assert len([1 for method, _ in crm.asked if method == "POST"]) == 3


async def test_a_permanent_refusal_of_a_token_opens_the_circuit_until_somebody_mends_it(
    client: Client, crm: Endpoints, centre: Centre
) -> None:
    desk = Desk()
    id_ = centre.world.agents[0].id
    crm.say("token", 400, '{"error": "invalid_client_id", "error_description": "client identifier invalid"}', times=1)
    desk.fetching.want("User", [id_])
    async with desk.asking(client):
        await desk.alarm()
        (alarm,) = desk.fetching.alarms
        assert "consumer_key" in alarm
        desk.fetching.want("User", [centre.world.agents[1].id])
        assert desk.fetching.waiting == 2
        assert len(crm.asked) == 1
        desk.fetching.hurry()
        await desk.until(lambda: len(desk.records) == 2)
    assert not desk.fetching.alarms


async def test_one_entity_that_may_not_be_read_does_not_stop_the_others(
    client: Client, crm: Endpoints, centre: Centre
) -> None:
    desk = Desk()
    crm.say("get", 403, '[{"errorCode": "INSUFFICIENT_ACCESS"}]')
    desk.fetching.want("User", [centre.world.agents[0].id])
    async with desk.asking(client):
        await desk.alarm()
        desk.fetching.want("Group", [centre.world.groups[0].id])
        await desk.until(lambda: centre.world.groups[0].id in desk.records)
    assert desk.fetching.alarms[0].startswith("User: no_access")
    assert desk.fetching.waiting == 1


async def test_a_whole_entity_comes_in_pages(client: Client, centre: Centre, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.cloudsync.simulator.shelf.PAGE", 3)
    desk = Desk()
    desk.fetching.want_whole("User", 0)
    async with desk.asking(client):
        await desk.until(lambda: bool(desk.pages) and desk.pages[-1][2])
    assert desk.pages == [("User", 3, False), ("User", 3, False), ("User", 2, True)]


async def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "MOST", 10)
    desk = Desk()
    desk.fetching.want("User", [str(number) for number in range(25)])
    assert (desk.fetching.waiting, desk.fetching.refused) == (10, 15)
    desk.fetching.want("Nothing", ["1"])
    assert desk.fetching.waiting == 10
