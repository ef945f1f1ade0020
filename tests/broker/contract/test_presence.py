"""Presence: PRESENCE/C/A follows the wire, and the retained message always tells the truth."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge.words.topics import permits

from .client import Client
from .ours import Ours, RoleGate, desktop, feed, observer, running
from .packets import Message

A = desktop("acme", "1001")
ODD = desktop("acme", "site/12 é")
OTHER = desktop("acme2", "1001")
OBSERVER = observer("acme")
FEED = feed("acme")


@pytest.fixture
async def ours(road: str) -> AsyncIterator[Ours]:
    async with running(road, RoleGate(A, ODD, OTHER, OBSERVER, FEED), permits=permits) as target:
        yield target


@pytest.fixture
async def watching(ours: Ours) -> Client:
    client = await ours.enter(OBSERVER)
    await client.subscribe(("PRESENCE/acme/#", 1))
    return client


def told(message: Message) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(message.payload)
    return found


async def changes(watching: Client) -> tuple[bool, int]:
    found = told(await watching.message())
    return found["online"], found["desktops"]


async def test_a_desktop_that_connects_is_online(ours: Ours, watching: Client) -> None:
    await ours.enter(A)
    message = await watching.message()
    found = told(message)

    assert (message.topic, message.qos, message.retain) == ("PRESENCE/acme/1001", 1, False)
    assert found.keys() == {"agentid", "online", "desktops", "since"}
    assert (found["agentid"], found["online"], found["desktops"]) == ("1001", True, 1)
    assert found["since"].endswith("Z")


async def test_the_desktops_of_an_agent_are_counted(ours: Ours, watching: Client) -> None:
    first = await ours.enter(A)
    assert await changes(watching) == (True, 1)
    second = await ours.enter(A)
    assert await changes(watching) == (True, 2)
    first.line.abort()
    assert await changes(watching) == (True, 1)
    await second.disconnect()
    assert await changes(watching) == (False, 0)
    await watching.nothing()


async def test_since_is_when_the_agent_came_or_went(ours: Ours, watching: Client) -> None:
    first = await ours.enter(A)
    came = told(await watching.message())["since"]
    second = await ours.enter(A)
    assert told(await watching.message())["since"] == came
    await first.disconnect()
    assert told(await watching.message())["since"] == came
    await second.disconnect()

    assert told(await watching.message())["since"] >= came


async def test_a_take_over_changes_nothing(ours: Ours, watching: Client) -> None:
    first = await ours.enter(A, "seat")
    assert await changes(watching) == (True, 1)
    last = first
    for _ in range(5):
        last = await ours.enter(A, "seat")
    await first.ended()
    await watching.nothing()
    await last.disconnect()

    assert await changes(watching) == (False, 0)
    await watching.nothing()


async def test_after_a_cable_pull_the_agent_is_offline(ours: Ours, watching: Client) -> None:
    await ours.enter(A, keepalive=1)
    assert await changes(watching) == (True, 1)

    assert await changes(watching) == (False, 0)


async def test_a_session_that_waits_is_not_presence(ours: Ours, watching: Client) -> None:
    client = await ours.enter(A, "seat", clean=False)
    assert await changes(watching) == (True, 1)
    await client.drop()
    assert await changes(watching) == (False, 0)
    await ours.enter(A, "seat", clean=False)

    assert await changes(watching) == (True, 1)


async def test_whoever_looks_later_is_told_the_last_word(ours: Ours, watching: Client) -> None:
    client = await ours.enter(A)
    await changes(watching)
    await client.drop()
    await changes(watching)
    later = await ours.enter(OBSERVER)
    await later.subscribe(("PRESENCE/acme/1001", 1))
    message = await later.message()

    assert message.retain
    assert (told(message)["online"], told(message)["desktops"]) == (False, 0)


async def test_an_agents_id_is_encoded_in_the_topic_and_raw_in_the_document(ours: Ours, watching: Client) -> None:
    await ours.enter(ODD)
    message = await watching.message()

    assert message.topic == "PRESENCE/acme/site%2F12 é"
    assert told(message)["agentid"] == "site/12 é"


async def test_only_desktops_have_presence_and_only_those_let_in(ours: Ours, watching: Client) -> None:
    await ours.enter(OBSERVER)
    await ours.enter(FEED)
    await ours.enter(OTHER)
    refused = await ours.stranger()
    assert (await refused.connect(username="acme/1001", password="wrong"))[1] == 4

    await watching.nothing()
