"""Licences: who may get Cloud pops; a concurrent seat is taken and given back exactly."""

import asyncio
from contextlib import AsyncExitStack

from tests.cloud.office import Office
from tests.conftest import WITHIN


async def used(office: Office, readers: dict[str, str]) -> list[str]:
    answer = await office.get("/api/licence", readers["seats"])
    assert answer.said["used"] == len(answer.said["users"])
    users: list[str] = answer.said["users"]
    return users


async def all_free(office: Office, readers: dict[str, str]) -> None:
    async with asyncio.timeout(WITHIN):
        while await used(office, readers):
            pass


async def test_a_per_system_licence_covers_everybody(office: Office, readers: dict[str, str]) -> None:
    agent = office.agent()
    async with office.desk(agent):
        assert (await office.pop(agent)).status == 200
    answer = await office.get("/api/licence", readers["acme"])
    assert answer.said == {"plugin": True, "kind": "per_system", "seats": 0, "used": 0, "users": []}
    answer = await office.get("/api/licence", readers["off"])
    assert answer.said["plugin"] is False


async def test_a_named_licence_covers_whom_it_names(office: Office, readers: dict[str, str]) -> None:
    for agent, status in (("named-0", 200), ("named-1", 200), ("named-2", 403), ("Named-0", 403)):
        answer = await office.pop(agent, customer="named")
        assert (answer.status, answer.said["Success"]) == (status, status == 200)
        if status == 403:
            assert (answer.said["Result"]["Status"], answer.said["Result"]["Reason"]) == ("refused", "no_licence")
    answer = await office.get("/api/licence", readers["named"])
    assert (answer.said["kind"], answer.said["seats"], answer.said["users"]) == ("named", 2, ["named-0", "named-1"])


async def test_connect_pops_need_no_licence(office: Office) -> None:
    key = office.bridge.key("named")
    said = {"agentid": "named-3", "event": "On Ring", "jwt": key, "crmid": "x"}
    assert (await office.post("/api/sendmessage/CTI", said)).said["status"] == "held"


async def test_of_many_simultaneous_pops_as_many_as_seats_are_popped(office: Office, readers: dict[str, str]) -> None:
    await all_free(office, readers)
    agents = [office.agent("seats") for _ in range(20)]
    async with AsyncExitStack() as stack:
        desks = [await stack.enter_async_context(office.desk(agent, "seats")) for agent in agents]
        answers = await asyncio.gather(*(office.pop(agent, customer="seats") for agent in agents))
        assert sorted(answer.status for answer in answers) == [200] * 2 + [403] * 18
        assert {answer.said["Result"].get("Reason") for answer in answers} == {None, "no_licence"}
        winners = [agent.id for agent, answer in zip(agents, answers, strict=True) if answer.status == 200]
        assert await used(office, readers) == sorted(winners)
        for desk, answer in zip(desks, answers, strict=True):
            if answer.status == 200:
                await desk.show()
                assert (await office.pop(desk.agent, customer="seats")).status == 200, "the seat is theirs"
            else:
                await desk.nothing()
    await all_free(office, readers)


async def test_a_seat_is_free_when_the_last_desktop_left_and_not_before(
    office: Office, readers: dict[str, str]
) -> None:
    await all_free(office, readers)
    one, two, three = (office.agent("seats") for _ in range(3))
    async with office.desk(two, "seats") as second, office.desk(three, "seats"):
        async with office.desk(one, "seats") as desk:
            async with office.desk(one, "seats"):
                for agent, its in ((one, desk), (two, second)):
                    await office.pop(agent, customer="seats")
                    await its.show()
            assert (await office.pop(three, customer="seats")).status == 403
        async with asyncio.timeout(WITHIN):
            while (await office.pop(three, customer="seats")).status == 403:
                pass
        assert await used(office, readers) == sorted([two.id, three.id])


async def test_a_held_pop_takes_no_seat_and_is_asked_again_on_release(office: Office, readers: dict[str, str]) -> None:
    await all_free(office, readers)
    absent, one, two = (office.agent("seats") for _ in range(3))
    reference = office.reference()
    assert (await office.pop(absent, reference, "seats")).said["Result"]["Status"] == "held"
    assert await used(office, readers) == []
    async with office.desk(one, "seats"), office.desk(two, "seats"):
        for agent in (one, two):
            assert (await office.pop(agent, customer="seats")).status == 200
        async with office.desk(absent, "seats") as late:
            assert await late.told() == {"refused": reference, "reason": "no_licence"}
            await late.nothing()


async def test_refused_unchanged_and_dry_runs_take_no_seat(office: Office, readers: dict[str, str]) -> None:
    await all_free(office, readers)
    one, two, three = (office.agent("seats") for _ in range(3))
    reference = office.reference()
    async with office.desk(one, "seats") as desk, office.desk(two, "seats"), office.desk(three, "seats"):
        await office.pop(one, reference, "seats")
        await desk.show()
        assert (await office.pop(two, reference, "seats")).said["Result"]["Reason"] == "record_locked"
        assert (await office.pop(one, reference, "seats")).said["Result"]["Status"] == "unchanged"
        assert (await office.pop(two, customer="seats", campaign="None such")).status == 404
        assert (await office.pop(two, customer="seats", pop_dryrun=1)).status == 200
        assert await used(office, readers) == [one.id]
        assert (await office.pop(three, customer="seats")).status == 200
        answer = await office.pop(two, customer="seats", pop_dryrun=1)
        assert (answer.status, answer.said["Result"]["Reason"]) == (403, "no_licence")


async def test_a_seat_in_use_stays_when_an_older_pop_is_refused_or_recalled(
    office: Office, readers: dict[str, str]
) -> None:
    await all_free(office, readers)
    agent = office.agent("seats")
    async with office.desk(agent, "seats") as desk:
        await office.pop(agent, customer="seats")
        older = await desk.pop()
        await office.pop(agent, customer="seats")
        await desk.show()
        await desk.say(popid=older["popid"], outcome="refused", reason="busy")
        assert await used(office, readers) == [agent.id]
