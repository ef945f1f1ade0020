"""The funnel: what became of the last day's pops, live and after a restart, and how fast."""

import asyncio
import json
import math
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.delivery import funnel, recount, story
from bridge.delivery.funnel import BINS, WIDTH, Funnel, Spread
from bridge.delivery.lifecycle import Status
from bridge.ledger.ledger import Ledger
from bridge.words import times
from bridge.words.answers import FunnelTold
from bridge.words.ledger import Step
from bridge.words.settings import Licence
from tests.conftest import WITHIN, Agent, Bridge, basic, desktop
from tests.delivery.test_stories import document, tell
from tests.faults.test_life import FACTS, Fact, Restarts, World
from tests.ledger.pops import NOON, entry
from tests.pops.conftest import Reader

CONFIG = """\
http: {bind: 127.0.0.1:0}
mqtt: {bind: 127.0.0.1:0}
customers:
  acme: {require_crmid: false, duplicate_window: 1h, cloud: {enabled: true}}
  other: {require_crmid: false}
"""
PASSWORD = "a good password"
COUNTS = ("accepted", "delivered", "shown", "unchanged", "refused", "expired", "recalled")


class Office:
    """A bridge that may die, its callers, and who watches it."""

    def __init__(self, bridge: Bridge, secrets: dict[str, str]) -> None:
        self.bridge = bridge
        self.key = secrets["key"]
        self.agent = Agent("1001", secrets["desktop"])
        self.tokens = {customer: secrets[customer] for customer in ("acme", "other")}
        self.admin = secrets["admin"]

    async def trigger(self, agent: str, **more: object) -> dict[str, Any]:
        asked = {"agentid": agent, "event": "On Ring", "jwt": self.key, "pop_ttl": 600, **more}
        async with (
            aiohttp.ClientSession(self.bridge.http) as http,
            http.post("/api/sendmessage/CTI", json=asked) as answer,
        ):
            said: dict[str, Any] = await answer.json()
            assert answer.status == 200, said
            return said

    async def refuse(self) -> None:
        """Ask by the Cloud API for a campaign that there is not."""
        async with aiohttp.ClientSession(self.bridge.http) as http:
            async with http.get("/api/cloud/token", headers={"Authorization": basic("cloud", PASSWORD)}) as answer:
                token = (await answer.json())["Result"]["IdToken"]
            asked = {"Username": "1001", "Campaign": "None", "Reference": "R-1", "ScriptData": {}}
            bearer = {"Authorization": f"Bearer {token}"}
            async with http.post("/api/cloud/pop", json=asked, headers=bearer) as answer:
                assert answer.status == 404

    async def read(self, customer: str = "acme") -> dict[str, Any]:
        async with aiohttp.ClientSession(self.bridge.http) as http:
            reader = Reader(http, self.tokens[customer])
            answer = await reader("/api/funnel")
            assert answer.status == 200, answer.said
            assert (await reader("/api/pops", limit=1)).status == 200  # all steps are on disk then
            return answer.said

    async def until(self, customer: str = "acme", **totals: int) -> dict[str, Any]:
        """Wait until the totals are these and nothing old is still to be counted."""
        said: dict[str, Any] = {}
        try:
            async with asyncio.timeout(WITHIN):
                while not said or not said["complete"] or totals.items() - said["totals"].items():
                    said = await self.read(customer)
        except TimeoutError:
            pytest.fail(f"not {totals}: {said}")
        return said


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """Make the credentials once; the process that starts for each of them takes its time."""
    bridge = Bridge(tmp_path_factory.mktemp("office") / "data", CONFIG)
    bridge.secret("users", "add", "--customer", "acme", "--username", "cloud", "--password-stdin", given=PASSWORD)
    return bridge.data, {
        "key": bridge.key(),
        "desktop": bridge.token("desktop", agent="1001"),
        "admin": bridge.token("admin"),
        **{customer: bridge.token("observer", customer) for customer in ("acme", "other")},
    }


@pytest.fixture
def office(secrets: tuple[Path, dict[str, str]], tmp_path: Path) -> Iterator[Office]:
    made, issued = secrets
    shutil.copytree(made, tmp_path / "data")
    bridge = Bridge(tmp_path / "data", CONFIG).start()
    try:
        yield Office(bridge, issued)
    finally:
        bridge.kill()
    assert "Traceback" not in bridge.log(), bridge.log()


def lasting(said: dict[str, Any]) -> dict[str, Any]:
    """Leave out what goes with the time: when it was read, and where the empty bins begin."""
    bins = [one for one in said["bins"] if one["accepted"]]
    return {name: value for name, value in said.items() if name not in {"as_of", "from"}} | {"bins": bins}


async def live(office: Office) -> None:
    """Let pops come to each end, and triggers that are none."""
    expiring = asyncio.create_task(office.trigger("nobody-1", pop_ttl=1, pop_wait=8))
    await office.trigger("nobody-2", n=1)
    assert (await office.trigger("nobody-2", n=1))["status"] == "duplicate"
    await office.trigger("nobody-2", n=2, pop_dryrun=1)
    recalled = (await office.trigger("nobody-3"))["popid"]
    async with aiohttp.ClientSession(office.bridge.http) as http:
        assert (await Reader(http, office.admin)(f"/api/pops/{recalled}", "DELETE")).status == 200
    async with desktop(office.bridge, office.agent) as client:
        for n, said in enumerate(
            ({"outcome": "shown"}, {"outcome": "unchanged"}, {"outcome": "refused", "reason": "on a break"}, None)
        ):
            waiting = asyncio.create_task(office.trigger("1001", n=n, pop_wait=8, pop_until="delivered"))
            popid = document(await client.message())["popid"]
            await waiting
            if said is not None:
                await tell(client, office.agent, popid=popid, **said)
    await office.refuse()
    assert (await expiring)["status"] == "expired"


async def test_pops_are_counted_by_what_became_of_them_and_a_restart_changes_nothing(office: Office) -> None:
    assert (await office.until(accepted=0))["delivered_ms"] == {"count": 0}
    await live(office)
    said = await office.until(accepted=8, delivered=4, shown=1, unchanged=1, refused=2, expired=1, recalled=1)
    assert said["open"] == {"held": 1, "sent": 0, "delivered": 1}
    assert said["reasons"] == {"on a break": 1, "unknown_campaign": 1}
    assert said["delivered_ms"]["count"] == 4
    assert said["shown_ms"]["count"] == 1
    assert 0 < said["delivered_ms"]["p50"] <= said["delivered_ms"]["p99"] <= said["delivered_ms"]["max"] * 1.05
    assert len(said["bins"]) == BINS
    for name in COUNTS:
        assert sum(one[name] for one in said["bins"]) == said["totals"][name]
    assert "null" not in json.dumps(said)
    other = await office.until("other", accepted=0)
    assert (set(other["totals"].values()), other["reasons"]) == ({0}, {})
    await asyncio.to_thread(office.bridge.kill)
    await asyncio.to_thread(office.bridge.start)
    assert lasting(await office.until(accepted=8)) == lasting(said)
    assert await asyncio.to_thread(office.bridge.stop) == 0
    await asyncio.to_thread(office.bridge.start)
    assert lasting(await office.until(accepted=8)) == lasting(said)
    other = await office.until("other", accepted=0)
    assert set(other["totals"].values()) == {0}


async def test_a_pop_that_was_taken_up_goes_on_in_the_bin_in_which_it_was_accepted(office: Office) -> None:
    popid = (await office.trigger("1001"))["popid"]
    before = await office.until(accepted=1)
    assert before["open"]["held"] == 1
    await asyncio.to_thread(office.bridge.kill)
    await asyncio.to_thread(office.bridge.start)
    async with desktop(office.bridge, office.agent) as client:
        assert document(await client.message())["popid"] == popid
        await tell(client, office.agent, popid=popid, outcome="refused", reason="on a break")
        refused = await office.until(accepted=1, delivered=1, refused=1)
        assert refused["reasons"] == {"on a break": 1}
        await tell(client, office.agent, popid=popid, outcome="shown")
    after = await office.until(accepted=1, delivered=1, shown=1, refused=0)
    assert after["reasons"] == {}
    assert [one["start"] for one in after["bins"] if one["shown"]] == [
        one["start"] for one in before["bins"] if one["accepted"]
    ]
    assert set(after["open"].values()) == {0}
    assert after["shown_ms"]["count"] == 1


async def test_observers_and_admins_read_it_and_nobody_else(
    bridge: Bridge, keys: dict[str, str], agent: Agent, observer: Reader, admin: Reader, http: aiohttp.ClientSession
) -> None:
    for reader in (observer, admin):
        assert (await reader("/api/funnel")).status == 200
        assert (await reader("/api/funnel", "HEAD")).status == 200
    for token in (keys["acme"], agent.token, bridge.token("feed")):
        answer = await Reader(http, token)("/api/funnel")
        assert (answer.status, answer.said["code"]) == (403, "forbidden")
    assert (await Reader(http, None)("/api/funnel")).status == 401
    assert (await admin("/api/funnel", "POST")).status == 405


@pytest.mark.parametrize("hours", [1, 3, 24])
async def test_so_many_hours_are_told_as_were_asked_for(observer: Reader, hours: int) -> None:
    said = (await observer("/api/funnel", hours=hours)).said
    assert len(said["bins"]) == hours * 4
    assert said["from"] == said["bins"][0]["start"] < said["bins"][-1]["start"] <= said["as_of"]


@pytest.mark.parametrize(
    "bad", [{"hours": "0"}, {"hours": "25"}, {"hours": "1.5"}, {"hours": ""}, {"hours": "-1"}, {"days": "1"}]
)
async def test_what_makes_no_sense_is_a_400(observer: Reader, bad: dict[str, str]) -> None:
    answer = await observer("/api/funnel", **bad)
    assert (answer.status, answer.said["code"]) == (400, "invalid_parameter")


class Floor:
    """A funnel that is fed by hand."""

    def __init__(self) -> None:
        self.funnel = Funnel()

    def pop(self, accepted: float, *steps: tuple[Status, float] | tuple[Status, float, str]) -> None:
        """Let a pop of acme take steps, each so many seconds after its acceptance."""
        self.funnel.step("acme", accepted, None, Status.ACCEPTED, accepted)
        before, earlier = Status.ACCEPTED, ""
        for status, after, *detail in steps:
            said = "".join(detail)
            self.funnel.step("acme", accepted, before, status, accepted + after, said, earlier)
            before, earlier = status, said

    def told(self, now: float, hours: int = 24) -> FunnelTold:
        return self.funnel.told("acme", hours, now)


@pytest.fixture
def floor() -> Floor:
    return Floor()


def test_every_quarter_of_an_hour_is_told_the_oldest_first_and_old_ones_leave_at_24_hours(floor: Floor) -> None:
    floor.pop(NOON + 1)
    for quarter in range(BINS):
        told = floor.told(NOON + quarter * WIDTH + 1)
        assert [one.accepted for one in told.bins] == [0] * (BINS - 1 - quarter) + [1] + [0] * quarter
        assert told.bins[BINS - 1 - quarter].start == times.stamp(NOON)
        assert told.totals.accepted == 1
    later = NOON + BINS * WIDTH + 1
    assert floor.told(later).totals.accepted == 0
    floor.pop(later)
    assert floor.told(later).totals.accepted == 1
    assert [*floor.funnel._customers["acme"]] == [later // WIDTH], "what is old is not kept"
    floor.funnel.step("acme", NOON + 1, Status.HELD, Status.EXPIRED, later)  # too late to count
    assert floor.told(later).totals.expired == 0


def test_customers_of_whom_nothing_is_left_are_forgotten(floor: Floor) -> None:
    for number in range(100):
        floor.funnel.step(f"customer-{number}", NOON, None, Status.ACCEPTED, NOON)
    floor.pop(NOON + BINS * WIDTH)
    assert [*floor.funnel._customers] == ["acme"]


def test_a_clock_that_is_set_back_leaves_nothing_behind_for_ever(floor: Floor) -> None:
    for week in range(20, 0, -1):
        floor.pop(NOON + week * 604_800, (Status.SENT, 0.0), (Status.DELIVERED, -5.0))
        assert len(floor.funnel._customers["acme"]) == 1
    told = floor.told(NOON + 604_800)
    assert (told.totals.accepted, told.delivered_ms.p50, told.delivered_ms.max) == (1, 0.0, 0.0)


def test_less_hours_tell_only_of_these(floor: Floor) -> None:
    for hour in range(24):
        floor.pop(NOON - hour * 3600, (Status.SENT, 0.0), (Status.DELIVERED, 0.1 * (hour + 1)))
    for hours in range(1, 25):
        told = floor.told(NOON, hours)
        # The quarter that has begun counts as one of the hour's four.
        assert (len(told.bins), told.totals.accepted, told.delivered_ms.count) == (hours * 4, hours, hours)
        assert told.open.delivered == hours


def test_what_a_desktop_shows_after_another_refused_it_is_shown_and_refused_no_more(floor: Floor) -> None:
    floor.pop(NOON, (Status.SENT, 0.0), (Status.REFUSED, 1.0, "on a break"), (Status.SHOWN, 2.0))
    floor.pop(NOON, (Status.SENT, 0.0), (Status.UNCHANGED, 1.0), (Status.SHOWN, 2.0))
    told = floor.told(NOON)
    assert (told.totals.accepted, told.totals.shown, told.totals.refused, told.totals.unchanged) == (2, 2, 0, 0)
    assert (told.totals.delivered, told.reasons) == (2, {})


def test_a_desktop_that_says_what_it_did_has_had_the_pop_without_its_puback(floor: Floor) -> None:
    for status in (Status.SHOWN, Status.UNCHANGED, Status.REFUSED):
        floor.pop(NOON, (Status.SENT, 0.0), (status, 1.0))
    floor.pop(NOON, (Status.REFUSED, 0.0, "no_licence"))
    floor.pop(NOON, (Status.HELD, 0.0), (Status.UNCHANGED, 1.0))
    told = floor.told(NOON)
    assert (told.totals.accepted, told.totals.delivered, told.delivered_ms.count) == (5, 3, 0)


def test_the_bridge_s_reasons_are_counted_each_and_of_the_desktops_the_20_most_frequent(floor: Floor) -> None:
    assert set(story._REFUSED) == funnel.REASONS
    for number in range(30):
        for _ in range(number + 1):
            floor.pop(NOON, (Status.SENT, 0.0), (Status.REFUSED, 0.0, f"own {number:02}"))
    for detail in ("record_locked 1001", "record_locked", "no_licence", "unknown_campaign", "plugin_disabled", ""):
        floor.pop(NOON, (Status.REFUSED, 0.0, detail))
    reasons = floor.told(NOON).reasons
    own = {f"own {number:02}": number + 1 for number in range(10, 30)}
    few = {"no_licence": 1, "unknown_campaign": 1, "plugin_disabled": 1, "desktop": sum(range(1, 11)) + 1}
    assert reasons == own | few | {"record_locked": 2}


def test_desktops_cannot_fill_the_memory_with_reasons(floor: Floor) -> None:
    for number in range(5_000):
        floor.pop(NOON, (Status.SENT, 0.0), (Status.REFUSED, 0.0, f"{number}" + "\0" + "x" * 255))
    (counts,) = floor.funnel._customers["acme"].values()
    assert len(counts.reasons) <= 50
    reasons = floor.told(NOON).reasons
    assert len(reasons) == funnel.MOST_OWN + 1
    assert all(len(reason) <= 80 and "\0" not in reason for reason in reasons)
    assert sum(reasons.values()) == 5_000
    floor.pop(NOON, (Status.SENT, 0.0), (Status.REFUSED, 0.0, "further"), (Status.SHOWN, 1.0))
    assert sum(floor.told(NOON).reasons.values()) == 5_000


def nearest_rank(latencies: Sequence[float], part: float) -> float:
    return sorted(latencies)[math.ceil(part * len(latencies)) - 1]


LATENCIES = st.lists(st.one_of(st.floats(0.0, 90_000.0), st.floats(0.0, 60.0)), min_size=1, max_size=300)


@given(seconds=LATENCIES)
def test_quantiles_are_within_5_percent_of_the_naive_ones(seconds: list[float]) -> None:
    floor = Floor()
    for number, after in enumerate(seconds):
        floor.pop(NOON - number % BINS * WIDTH, (Status.SENT, 0.0), (Status.DELIVERED, 0.0), (Status.SHOWN, after))
    found = floor.told(NOON).shown_ms
    # As they were counted: a time of day in seconds is exact to some 0.0003 ms.
    exact = [
        (NOON - number % BINS * WIDTH + after - (NOON - number % BINS * WIDTH)) * 1000
        for number, after in enumerate(seconds)
    ]
    assert found.count == len(seconds)
    assert found.max == pytest.approx(max(exact), abs=0.001)
    for part, value in ((0.5, found.p50), (0.9, found.p90), (0.99, found.p99)):
        naive = min(nearest_rank(exact, part), 86_400_000)
        assert value == pytest.approx(naive, rel=0.05, abs=0.1)


@given(parts=st.lists(st.lists(st.floats(0.0, 1e9), max_size=50), max_size=5))
def test_the_quantiles_of_parts_that_were_merged_are_those_of_all(parts: list[list[float]]) -> None:
    whole, merged = Spread(), Spread()
    for part in parts:
        one = Spread()
        for ms in part:
            one.add(ms)
            whole.add(ms)
        merged.merge(one)
    assert merged == whole
    assert merged.quantiles(0.5, 0.99) == whole.quantiles(0.5, 0.99)
    assert len(whole.buckets) <= 240


async def recounted(folder: Path, now: float) -> FunnelTold:
    """Count what a ledger has, as a start does."""
    async with Ledger.open(folder, clock=lambda: now) as ledger:
        await ledger.take_up(now)
        counting = Funnel()
        await recount.run(counting, ledger, lambda: now)
        return counting.told("acme", 24, now)


async def check(world: World, told: FunnelTold, statuses: dict[str, Status]) -> None:
    """Hold the counts against what became of each pop."""
    naive = Counter(statuses.values())
    assert told.complete
    assert told.totals.accepted == len(statuses)
    for status in (Status.SHOWN, Status.UNCHANGED, Status.REFUSED, Status.EXPIRED, Status.RECALLED):
        assert getattr(told.totals, status) == naive[status]
    for status in (Status.HELD, Status.SENT, Status.DELIVERED):
        assert getattr(told.open, status) == naive[status]
    assert sum(told.reasons.values()) == told.totals.refused
    assert told.shown_ms.count == told.totals.shown <= told.totals.delivered <= told.totals.accepted
    assert told.delivered_ms.count <= told.totals.delivered


async def _same(facts: list[Fact]) -> None:
    world = World(Licence(kind="concurrent", seats=1))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parts: list[list[Fact]] = [[]]
        for fact in facts:
            if isinstance(fact, Restarts):
                parts.append([])
            else:
                parts[-1].append(fact)
        for part in parts:
            async with world.living(folder):
                # Beside what happens, as after every start.
                counting = asyncio.create_task(recount.run(world.delivery.funnel, world.ledger, lambda: world.now))
                for fact in part:
                    await world.happen(fact)
                    await world.observe()
                async with asyncio.timeout(WITHIN):
                    await counting
                told = world.delivery.funnel.told("acme", 24, world.now)
                statuses = {}
                for popid in world.triggered:
                    found = await world.ledger.pop(popid, "acme")
                    assert found is not None
                    statuses[popid] = Status(found.status)
                await check(world, told, statuses)
            assert await recounted(folder, world.now) == told


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(facts=FACTS)
def test_whatever_happens_a_restart_counts_the_same(facts: list[Fact]) -> None:
    asyncio.run(_same(facts))


@pytest.fixture
async def filled(tmp_path: Path) -> AsyncIterator[tuple[Ledger, list[str]]]:
    """A ledger that was taken up, and the pops that it held before, one a second, all held."""
    chance = random.Random(4711)  # noqa: S311 - which pops, no secrets
    popids = [f"pop-{number:016}" for number in range(1_300)]
    async with Ledger.open(tmp_path) as ledger:
        steps = [Step("accepted", NOON), Step("held", NOON)]
        await asyncio.gather(
            *(ledger.accept(entry(popid, sent=NOON + n, ttl=7_200), steps) for n, popid in enumerate(popids))
        )
    async with Ledger.open(tmp_path) as ledger:
        assert len(await ledger.take_up(NOON + 1_300)) == 1_300
        chance.shuffle(popids)
        yield ledger, popids


async def test_pops_that_move_while_they_are_counted_again_are_counted_once(
    filled: tuple[Ledger, list[str]],
) -> None:
    ledger, popids = filled
    now = NOON + 2_000
    counting = Funnel()
    moving = iter(popids)

    def move(number: int) -> None:
        for popid, _ in zip(moving, range(number), strict=False):
            ledger.note(popid, "expired", now, final=True)
            counting.step("acme", NOON + int(popid[-8:]), Status.HELD, Status.EXPIRED, now)

    before = None
    parts = 0
    move(100)
    while lives := await ledger.lives(funnel.oldest(now), before):
        for life in lives:
            counting.recount(life.customer, life.sent, life.steps, now)
        before = lives[-1].number
        parts += 1
        move(100)
        await ledger.settled()
        told = counting.told("acme", 24, now)
        assert all(count >= 0 for one in told.bins for count in (one.accepted, one.expired))
    assert parts > 2
    expired = 100 + parts * 100
    told = counting.told("acme", 24, now)
    assert (told.totals.accepted, told.totals.expired, told.open.held) == (1_300, expired, 1_300 - expired)


async def test_what_is_not_counted_yet_or_is_too_much_is_said(filled: tuple[Ledger, list[str]]) -> None:
    ledger, _ = filled
    now = NOON + 86_400 - 901
    counting = Funnel()
    assert not counting.told("acme", 24, now).complete
    await recount.run(counting, ledger, lambda: now, most=1_000)
    told = counting.told("acme", 24, now)
    assert (told.totals.accepted, told.complete) == (1_000, False)
    # The newest are counted; they are complete from where the oldest of them is.
    assert counting.counted_from == NOON + 300
    assert counting.told("acme", 23, now).complete
    await recount.run(whole := Funnel(), ledger, lambda: now)
    told = whole.told("acme", 24, now)
    assert (told.totals.accepted, told.complete) == (1_300, True)


async def test_steps_are_read_to_the_last_digit(tmp_path: Path) -> None:
    sent, at = NOON + 0.123456789, NOON + 0.987654321
    async with Ledger.open(tmp_path) as ledger:
        await ledger.accept(
            entry("pop-0000000000000000", sent=sent), [Step("accepted", sent), Step("sent", at, "not told")]
        )
        ledger.note("pop-0000000000000000", "refused", at, "\u260e\0 'busy'", final=True)
    async with Ledger.open(tmp_path) as ledger:
        await ledger.take_up(NOON)
        (life,) = await ledger.lives(NOON - 86_400)
        assert msgspec.structs.astuple(life)[1:] == (
            "acme",
            sent,
            [("accepted", sent, ""), ("sent", at, ""), ("refused", at, "\u260e\ufffd 'busy'")],
        )
        assert await ledger.lives(NOON - 86_400, life.number) == []
        assert await ledger.lives(NOON + 1) == []


def test_statuses_follow_each_other_as_the_lifecycle_has_them(floor: Floor) -> None:
    lives = [
        (Status.HELD, Status.EXPIRED),
        (Status.SENT, Status.HELD, Status.SENT, Status.DELIVERED, Status.RECALLED),
        (Status.SENT, Status.DELIVERED, Status.REFUSED, Status.SHOWN),
        (Status.UNCHANGED,),
        (Status.HELD, Status.SENT),
        (),
    ]
    for statuses in lives:
        floor.pop(NOON, *[(status, 1.0) for status in statuses])
    told = floor.told(NOON)
    last = Counter(([Status.ACCEPTED, *statuses])[-1] for statuses in lives)
    assert [getattr(told.totals, name) for name in COUNTS] == [6, 2, 1, 1, 0, 1, 1]
    assert (told.open.held, told.open.sent, told.open.delivered) == (last[Status.ACCEPTED], 1, 0)
    assert all(one <= two for one, two in pairwise([told.shown_ms.count, told.delivered_ms.count]))
