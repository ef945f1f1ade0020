"""The command agent-client, run as people run it."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process

import pytest

from agent_client.cli import DENIED, LONGEST_LINE, TIMED_OUT, line
from bridge.words import pop as documents
from tests.agent_client.mosquitto import Caller, Mosquitto
from tests.agent_client.pops import pop
from tests.agent_client.test_desktop import a_broker_that_answers
from tests.conftest import WITHIN


async def listen(server: str, *more: str, environment: dict[str, str] | None = None) -> Process:
    command = ["listen", "--server", server, "--customer", "acme", "--agent", "1001", *more]
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "agent_client",
        *command,
        stdout=PIPE,
        stderr=PIPE,
        env={**os.environ, "POPBRIDGE_TOKEN": "any", **(environment or {})},
    )


async def says(process: Process) -> str:
    assert process.stderr is not None
    return (await asyncio.wait_for(process.stderr.readline(), WITHIN)).decode().strip()


async def prints(process: Process) -> bytes:
    assert process.stdout is not None
    return await asyncio.wait_for(process.stdout.readline(), WITHIN)


async def test_it_ends_with_0_after_as_many_pops_as_asked_for(mosquitto: Mosquitto, caller: Caller) -> None:
    process = await listen(mosquitto.url, "-C", "2")
    assert await says(process) == "connected"
    assert await says(process) == "caught up"
    sent = [await caller.send(pop(phone="+1555")), await caller.send(pop()), await caller.send(pop())]
    out, _ = await asyncio.wait_for(process.communicate(), WITHIN)
    printed = out.decode().splitlines()
    assert [each.popid in text for each, text in zip(sent, printed, strict=False)] == [True, True]
    assert len(printed) == 2
    assert "phone=+1555" in printed[0]
    assert process.returncode == 0
    assert [(await caller.hears())["popid"] for _ in range(2)] == [each.popid for each in sent[:2]]


async def test_with_json_it_prints_the_document_as_it_came_at_once(mosquitto: Mosquitto, caller: Caller) -> None:
    process = await listen(mosquitto.url, "--json")
    assert await says(process) == "connected"
    sent = await caller.send(pop(name="Zoë", number=1.50))
    printed = await prints(process)
    assert printed == documents.encode(sent) + b"\n"
    assert json.loads(printed)["data"] == {"name": "Zoë", "number": 1.5}
    process.send_signal(signal.SIGINT)
    out, errors = await asyncio.wait_for(process.communicate(), WITHIN)
    assert (process.returncode, out) == (130, b"")
    assert b"Traceback" not in errors


async def test_it_ends_with_27_when_the_time_is_over(mosquitto: Mosquitto) -> None:
    process = await listen(mosquitto.url, "-W", "0.5", "-C", "1")
    await asyncio.wait_for(process.communicate(), WITHIN)
    assert process.returncode == TIMED_OUT == 27


async def test_a_wrong_token_ends_it_and_is_not_repeated() -> None:
    async with a_broker_that_answers(bytes([0x20, 2, 0, 4])) as url:
        process = await listen(url, environment={"POPBRIDGE_TOKEN": "geheim"})
        out, errors = await asyncio.wait_for(process.communicate(), WITHIN)
    assert (process.returncode, out) == (DENIED, b"")
    assert errors.startswith(b"not authorised: ")
    assert b"geheim" not in errors
    assert b"Traceback" not in errors


async def test_a_lost_broker_is_told_and_so_is_its_return(mosquitto: Mosquitto) -> None:
    process = await listen(mosquitto.url)
    assert [await says(process), await says(process)] == ["connected", "caught up"]
    mosquitto.kill()
    assert (await says(process)).startswith("lost: ")
    mosquitto.start()
    assert [await says(process), await says(process)] == ["connected", "caught up"]
    process.kill()
    await process.wait()


@pytest.mark.parametrize("more", [["-C", "0"], ["-W", "0"], ["--server", "http://x"], ["--agent", ""], ["--what"]])
async def test_a_wrong_option_ends_it_with_2(more: list[str]) -> None:
    process = await listen("mqtt://127.0.0.1:1", *more)
    _, errors = await asyncio.wait_for(process.communicate(), WITHIN)
    assert process.returncode == 2
    assert b"Error: " in errors


def test_a_line_is_one_line_of_bounded_length_whatever_the_caller_sent() -> None:
    text = line(pop(bad="a\nb\x1b[31m", long="x" * 5_000))
    assert text.isprintable()
    assert len(text) == LONGEST_LINE


def test_a_line_tells_what_matters() -> None:
    told = pop("CASE-1", campaign="Inbound Support", name="Ann Lee", vip=True)
    text = line(told)
    for word in (told.sent, "Inbound Support", "reference=CASE-1", 'name="Ann Lee"', "vip=true", told.popid):
        assert word in text
