"""Every failure to pop is one line at WARN with popid, agent, campaign and reason."""

import asyncio
import re

from tests.cloud.office import Office
from tests.conftest import WITHIN, Answer


def lines_of(office: Office, popid: str) -> list[str]:
    return [line for line in office.bridge.log().splitlines() if popid in line]


def told_once(office: Office, popid: str, agent: str, campaign: str, reason: str) -> bool:
    (line,) = lines_of(office, popid)
    assert re.search(r"\bWARNING\b", line), line
    return repr(agent) in line and repr(campaign) in line and reason in line


def popid_of(answer: Answer) -> str:
    return str(answer.said["Result"]["PopId"])


async def test_a_refusal_by_the_bridge(office: Office) -> None:
    mine, theirs, reference = office.agent(), office.agent(), office.reference()
    unknown = await office.pop(mine, campaign="None such")
    assert told_once(office, popid_of(unknown), mine.id, "None such", "unknown_campaign")
    off = await office.pop("someone", customer="off")
    assert told_once(office, popid_of(off), "someone", "Support", "plugin_disabled")
    unlicensed = await office.pop("named-3", customer="named")
    assert told_once(office, popid_of(unlicensed), "named-3", "Support", "no_licence")
    async with office.desk(theirs) as desk, office.desk(mine):
        await office.pop(theirs, reference)
        await desk.show()
        locked = await office.pop(mine, reference)
        assert told_once(office, popid_of(locked), mine.id, "Support", "record_locked")
        assert repr(theirs.id) in lines_of(office, popid_of(locked))[0]


async def test_a_refusal_on_release(office: Office) -> None:
    mine, theirs, reference = office.agent(), office.agent(), office.reference()
    held = await office.pop(mine, reference, campaign="Plain")
    async with office.desk(theirs) as desk:
        await office.pop(theirs, reference)
        await desk.show()
        async with office.desk(mine) as late:
            assert (await late.told())["refused"] == reference
    assert told_once(office, popid_of(held), mine.id, "Plain", "record_locked")


async def test_a_refusal_by_the_desktop_which_cannot_forge_lines(office: Office) -> None:
    agent = office.agent()
    async with office.desk(agent) as desk:
        asking = office.start_pop(agent, pop_wait=8)
        reason = "busy\n2026-01-01T00:00:00.000Z ERROR forged" + "x" * 100_000
        await desk.say(popid=(await desk.pop())["popid"], outcome="refused", reason=reason)
        answer = await asking
    assert answer.said["Result"]["Status"] == "refused"
    assert len(answer.said["Result"]["Reason"]) < 1000
    assert told_once(office, popid_of(answer), agent.id, "Support", "busy")
    assert len(lines_of(office, popid_of(answer))[0]) < 2000
    assert not re.search(r"^2026-01-01.*forged", office.bridge.log(), re.MULTILINE)


async def test_an_expiry(office: Office) -> None:
    agent = office.agent()
    answer = await office.pop(agent, pop_ttl=1, pop_wait=8)
    assert answer.said["Result"]["Status"] == "expired"
    assert told_once(office, popid_of(answer), agent.id, "Support", "expired")


async def test_success_is_no_line(office: Office) -> None:
    agent = office.agent()
    async with office.desk(agent) as desk:
        asking = office.start_pop(agent, pop_wait=8)
        await desk.show()
        async with asyncio.timeout(WITHIN):
            assert lines_of(office, popid_of(await asking)) == []
