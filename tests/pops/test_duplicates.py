"""The duplicate guard: the same trigger again within the window names the first one's pop, and pops nothing."""

import asyncio
from itertools import count
from typing import Any

import aiohttp
import pytest

from tests.conftest import WITHIN, Answer, Bridge, Caller, mqtt
from tests.pops.conftest import REPEATS

_NUMBERS = count()


@pytest.fixture
def trigger(repeat_http: aiohttp.ClientSession, repeat_keys: dict[str, str]) -> Caller:
    return Caller(repeat_http, repeat_keys)


@pytest.fixture
def who() -> str:
    """An agent whom no other story pops."""
    return f"twin-{next(_NUMBERS)}"


async def test_an_identical_trigger_is_a_duplicate_and_publishes_nothing(
    repeats: Bridge, trigger: Caller, who: str
) -> None:
    token = repeats.token("desktop", agent=who)
    async with mqtt(repeats, f"acme/{who}", token, (f"CTI/acme/{who}", 1)) as client:
        first = await trigger(agentid=who, a="1")
        again = await trigger(agentid=who, a="1")
        assert (first.said["status"], again.said["status"]) == ("sent", "duplicate")
        assert again.said["popid"] == first.said["popid"]
        assert (again.said["success"], again.said["topic"], again.said["receivers"]) == (True, f"CTI/acme/{who}", 1)
        await client.message()
        await client.nothing()


async def test_neither_credential_nor_controls_nor_method_make_a_difference(
    repeats: Bridge, trigger: Caller, who: str
) -> None:
    first = await trigger(agentid=who, a="1")
    another = repeats.key()
    for how in (
        {"jwt": another},
        {"pop_ttl": "60"},
        {"pop_wait": "1", "pop_until": "delivered"},
        {"headers": {"X-API-Key": another}, "jwt": None},
        {"agentid": None, "event": None, "a": None, "json": {"event": "On Ring", "agentid": who, "a": "1"}},
        {"method": "POST"},
    ):
        given: dict[str, Any] = {"agentid": who, "a": "1", **how}
        answer = await trigger(**given)
        assert (answer.said["status"], answer.said["popid"]) == ("duplicate", first.said["popid"]), how
        assert ("ms" in answer.said) is ("pop_wait" in how)


async def test_any_other_trigger_is_none(trigger: Caller, who: str) -> None:
    first = await trigger(agentid=who, a="1", ctiid="env1")
    for channel, how in (
        ("CTI", {"agentid": f"{who}x"}),
        ("CTI", {"event": "On Answer"}),
        ("CTI", {"a": "2"}),
        ("CTI", {"b": "1"}),
        ("CTI", {"a": None}),
        ("CTI", {"ctiid": None}),
        ("CTI", {"ctiid": "env2"}),
        ("CTI", {"crmid": "crm.example.com"}),
        ("CRM", {}),
    ):
        given: dict[str, Any] = {"agentid": who, "a": "1", "ctiid": "env1", **how}
        answer = await trigger(channel, **given)
        assert answer.said["status"] == "held", (channel, how)
    assert (await trigger(agentid=who, a="1", ctiid="ENV1")).said["popid"] == first.said["popid"]


async def test_the_guard_is_per_customer(trigger: Caller, who: str) -> None:
    popids = {(await trigger(customer=customer, agentid=who)).said["popid"] for customer in ("acme", "brief", "off")}
    assert len(popids) == 3


async def test_not_with_an_idempotency_key_and_not_for_dry_runs(trigger: Caller, who: str) -> None:
    first = await trigger(agentid=who)
    for key in (f"{who} one", f"{who} two"):
        answer = await trigger(agentid=who, pop_key=key)
        assert answer.said["status"] == "held"
        assert answer.said["popid"] != first.said["popid"]
    dry = await trigger(agentid=who, pop_dryrun=1)
    assert (dry.said["status"], dry.said["dryrun"]) == ("held", True)
    assert "popid" not in dry.said
    assert (await trigger(agentid=f"{who}y", pop_dryrun=1)).said["status"] == "held"
    assert (await trigger(agentid=f"{who}y")).said["status"] == "held", "a dry run is no first"


async def test_of_a_hundred_simultaneous_triggers_one_pops(trigger: Caller, who: str) -> None:
    answers = await asyncio.gather(*(trigger(agentid=who) for _ in range(100)))
    assert sorted(answer.said["status"] for answer in answers) == ["duplicate"] * 99 + ["held"]
    assert len({answer.said["popid"] for answer in answers}) == 1


async def test_the_window_begins_with_the_first_and_ends(trigger: Caller, who: str) -> None:
    """However often it is repeated meanwhile."""
    first = await trigger(customer="brief", agentid=who, pop_ttl=60)
    async with asyncio.timeout(WITHIN):
        while (answer := await trigger(customer="brief", agentid=who, pop_ttl=60)).said["status"] == "duplicate":
            assert answer.said["popid"] == first.said["popid"]
    assert answer.said["popid"] != first.said["popid"]


async def test_a_window_of_0_is_off(trigger: Caller, who: str) -> None:
    answers = await asyncio.gather(*(trigger(customer="off", agentid=who) for _ in range(10)))
    assert {answer.said["status"] for answer in answers} == {"held"}
    assert len({answer.said["popid"] for answer in answers}) == 10


async def test_a_trigger_that_came_to_nothing_is_no_first(trigger: Caller, who: str) -> None:
    for _ in range(2):
        answer = await trigger(agentid=who, json={"a": "x" * 140_000})
        assert (answer.status, answer.said["code"]) == (413, "payload_too_large")


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_it_counts_across_a_restart(tmp_path_factory: pytest.TempPathFactory, how: str) -> None:
    bridge = Bridge(tmp_path_factory.mktemp("twins") / "data", REPEATS).start()
    try:
        keys = {customer: bridge.key(customer) for customer in ("acme", "brief")}

        async def ask(customer: str) -> Answer:
            async with aiohttp.ClientSession(bridge.http) as http:
                return await Caller(http, keys)(customer=customer, agentid="1001", pop_ttl=600)

        first = await ask("acme")
        older = await ask("brief")
        async with asyncio.timeout(WITHIN):
            while (newer := await ask("brief")).said["status"] == "duplicate":
                pass
        getattr(bridge, how)()
        (bridge.data / "broker.yaml").write_text(REPEATS.replace("200ms", "1h"), encoding="utf-8")
        bridge.start()
        again = await ask("acme")
        assert (again.said["status"], again.said["popid"]) == ("duplicate", first.said["popid"])
        again = await ask("brief")
        assert (again.said["status"], again.said["popid"]) == ("duplicate", newer.said["popid"])
        assert older.said["popid"] != newer.said["popid"]
    finally:
        assert bridge.stop() == 0
