"""The live floor from a CRM's event to who watches: the snapshot, the stream, and the topics of LIVE."""

import asyncio
import json
import socket
from typing import Any

import pytest

from bridge.words.cloudsync import Fact, Folded, Post
from tests.broker.contract.client import eventually
from tests.cloudsync.floor.conftest import NOW, WITHIN, Hall
from tests.cloudsync.flow.events import ANN, BILLING, cdc, record, spelled

CHAT = record(1, "570")


async def test_the_snapshot_has_all_that_the_page_names(hall: Hall) -> None:
    await hall.queued(at=NOW - 30_000)
    presence: dict[str, Any] = {
        "UserId": ANN,
        "PresenceStatusId": "0N5000000000001AAA",
        "StatusStartDate": spelled(NOW - 60_000),
        "IsCurrentState": True,
        "ConfiguredCapacity": 3,
    }
    await hall.house.settled(cdc("UserPresence", "CREATE", NOW, record(1, "0N9"), **presence))
    told = await hall.lsm()
    assert told["as_of"] == "2026-11-10T15:07:00.000Z"
    assert told["seq"] > 0
    assert (told["feed_state"], told["lag_s"]) == ("up", 0.0)
    assert told["sessions"] == [
        {
            "id": CHAT,
            "channel": "Chat",
            "status": "waiting",
            "group": BILLING,
            "group_name": "Billing",
            "agent": None,
            "agent_name": None,
            "queued_at": "2026-11-10T15:06:30.000Z",
            "since": "2026-11-10T15:06:30.000Z",
            "waiting_s": 30,
            "in_progress_s": 0,
            "breach": True,
            "stale": False,
        }
    ]
    (queue,) = told["queues"]
    assert queue["waiting"] == queue["available_agents"] == 1
    assert (queue["longest_waiting_s"], queue["in_progress"]) == (30, 0)
    assert told["agents"] == [
        {
            "agent": ANN,
            "agent_name": "Ann",
            "state": "available",
            "reason": None,
            "since": "2026-11-10T15:06:00.000Z",
            "open_sessions": 0,
            "capacity": 3,
        }
    ]


async def test_changes_come_by_stream_and_by_mqtt_with_the_same_rising_seq(hall: Hall) -> None:
    async with hall.following() as stream, hall.observing("LIVE/acme/#") as observer:
        name, number, whole = await stream.event()
        assert (name, number) == ("snapshot", whole["seq"])
        assert whole["sessions"] == []
        await hall.queued()
        told = await stream.change("sessions")
        assert told["seq"] > whole["seq"]
        assert told["item"]["status"] == "waiting"
        hall.house.clock.go(15_000)
        await hall.answered()
        told = await stream.change("sessions")
        assert (told["item"]["status"], told["item"]["waiting_s"], told["item"]["agent"]) == ("in_progress", 15, ANN)
        await hall.ended()
        told = await stream.change("sessions")
        assert (told["id"], told["item"]) == (CHAT, None)
        heard: list[tuple[str, dict[str, Any]]] = []
        while not heard or heard[-1][1] != told:
            message = await observer.message()
            assert (message.qos, message.retain) == (0, False)
            heard.append((message.topic, json.loads(message.payload)))
        assert [change["seq"] for _, change in heard] == list(range(heard[0][1]["seq"], told["seq"] + 1))
        assert {topic for topic, _ in heard} >= {f"LIVE/acme/sessions/{CHAT}", f"LIVE/acme/queues/{BILLING}"}


async def test_who_comes_back_gets_what_was_missed_and_nothing_twice(hall: Hall) -> None:
    async with hall.following() as stream:
        await hall.queued()
        first = await stream.change("sessions")
    before = hall.live.told
    await hall.queued(2)
    await eventually(lambda: hall.live.told > before)
    async with hall.following(last=first["seq"]) as stream:
        name, number, told = await stream.event()
        assert (name, number) == ("change", first["seq"] + 1)
        while told["kind"] != "sessions":
            _, _, told = await stream.event()
        assert told["id"] == record(2, "570")


@pytest.mark.parametrize("last", [0, 17, 10**17])
async def test_who_was_away_for_too_long_gets_the_whole_floor(hall: Hall, last: int) -> None:
    await hall.queued()
    async with hall.following(last=last) as stream:
        name, number, whole = await stream.event()
        assert (name, number) == ("snapshot", whole["seq"])
        assert len(whole["sessions"]) == 1


async def test_a_logout_comes_after_the_settle_time_and_a_change_of_presence_without_it(hall: Hall) -> None:
    at = hall.house.clock.at
    there: dict[str, Any] = {"UserId": ANN, "PresenceStatusId": "0N5000000000001AAA", "IsCurrentState": True}
    one, other = record(1, "0N9"), record(2, "0N9")
    await hall.house.settled(cdc("UserPresence", "CREATE", at, one, StatusStartDate=spelled(at), **there))
    async with hall.following() as stream:
        await stream.event("snapshot")
        hall.house.clock.go(60_000)
        later = hall.house.clock.at
        gone: dict[str, Any] = {"IsCurrentState": False, "StatusEndDate": spelled(later)}
        await hall.house.settled(cdc("UserPresence", "UPDATE", later, one, **gone))
        hall.house.clock.go(200)
        away: dict[str, Any] = {**there, "PresenceStatusId": "0N5000000000002AAA", "IsAway": True}
        await hall.house.settled(cdc("UserPresence", "CREATE", later, other, StatusStartDate=spelled(later), **away))
        while (told := (await stream.change("agents"))["item"])["state"] == "available":
            pass
        assert (told["state"], told["since"]) == ("away", spelled(later))
        await hall.house.settled(cdc("UserPresence", "UPDATE", later + 200, other, **gone))
        hall.house.clock.go(3_000)
        told = (await stream.change("agents"))["item"]
        assert (told["state"], told["since"]) == ("offline", spelled(later))


async def test_a_quiet_feed_is_up_and_a_silent_one_is_down_and_the_stream_says_so(hall: Hall) -> None:
    async with hall.following() as stream:
        _, _, told = await stream.event("feed")
        assert told["feed_state"] == "down"
        await hall.house.post()
        while told["feed_state"] == "down":
            _, number, told = await stream.event("feed")
            assert number is None
        assert told["feed_state"] == "up"
        hall.house.clock.go(40 * 60_000)
        while told["feed_state"] == "up":
            _, _, told = await stream.event("feed")
        assert told["feed_state"] == "down"
    assert (await hall.lsm())["feed_state"] == "down"


async def test_what_waits_to_be_processed_shows_as_lag(hall: Hall) -> None:
    at = hall.house.clock.at
    told = {"GroupId": BILLING, "RequestTime": spelled(at)}
    await hall.house.post(*(cdc("ChatSession", "CREATE", at, record(n, "570"), **told) for n in range(100)))
    async with hall.following() as stream:
        await stream.event("snapshot")
        hall.live._wake.set()
        await eventually(lambda: bool(hall.live._lag._stored))
        hall.house.clock.go(12_000)
        _, _, feed = await stream.event("feed")
        while feed["feed_state"] != "degraded":
            _, _, feed = await stream.event("feed")
        assert feed["lag_s"] == 12.0
        await hall.house.cloudsync.settle()
        while feed["feed_state"] != "up":
            _, _, feed = await stream.event("feed")
        assert feed["lag_s"] == 0.0


async def test_a_burst_is_coalesced_and_its_end_is_told(hall: Hall) -> None:
    def folded(agents: int, number: int) -> Folded:
        span = Fact(Post.SPAN_PRESENCE, NOW, f"p{agents}", agent=f"agent-{agents}", detail="available")
        return Folded([span], {"StatusReason": f"reason {number}"})

    async with hall.following() as stream:
        _, _, whole = await stream.event("snapshot")
        for number in range(50_000):
            hall.live.take("acme", "UserPresence", f"p{number % 100}", folded(number % 100, number // 100), NOW)
        last: dict[str, str] = {}
        seq = whole["seq"]
        while len(last) < 100 or set(last.values()) != {"reason 499"}:
            told = await stream.change("agents")
            last[told["id"]] = told["item"]["reason"]
            seq = told["seq"]
        assert seq - whole["seq"] <= 1_000


async def test_todays_counts_come_from_the_quarter_hours_of_the_local_day(hall: Hall) -> None:
    yesterday = NOW - 86_400_000
    for number, at in enumerate((yesterday, NOW - 3_600_000, NOW - 1_800_000, NOW - 1_000), 1):
        hall.house.clock.at = at
        await hall.queued(number)
    for number in (1, 2):
        hall.house.clock.at = NOW - 3_600_000 + 10_000
        await hall.answered(number)
    hall.house.clock.at = NOW - 1_700_000
    await hall.ended(3, "Visitor")
    hall.house.clock.at = NOW
    async with hall.following() as stream:
        _, _, told = await stream.event("snapshot")
        queue = told["queues"][0]
        while queue["offered"] is None or queue["offered"] < 3:
            hall.live._opened.set()
            queue = (await stream.change("queues"))["item"]
    # The one of yesterday was answered today, far too late.
    assert (queue["offered"], queue["answered"], queue["abandoned"], queue["sl_pct"]) == (3, 2, 1, 33.3)


async def test_a_session_that_is_silent_for_hours_is_flagged_and_asked_for(hall: Hall) -> None:
    asked: list[tuple[str, tuple[str, str]]] = []
    hall.live.stale_found = lambda customer, keys: asked.extend((customer, key) for key in keys)
    async with hall.following() as stream:
        await hall.queued()
        await stream.change("sessions")
        hall.house.clock.go(6 * 3_600_000)
        while not (told := (await stream.change("sessions"))["item"])["stale"]:
            pass
        assert told["status"] == "waiting"
    assert asked == [("acme", ("ChatSession", CHAT))]


@pytest.mark.parametrize("path", ["/api/lsm", "/api/lsm/stream"])
@pytest.mark.parametrize(
    ("who", "status", "code"),
    [
        ("", 401, "missing_key"),
        ("key", 403, "forbidden"),
        ("feed", 403, "forbidden"),
        ("none", 404, "feed_disabled"),
    ],
)
async def test_only_observers_and_admins_of_a_customer_with_the_feed_see_the_floor(
    hall: Hall, path: str, who: str, status: int, code: str
) -> None:
    async with hall.http.get(path, headers=hall.bearer(who) if who else {}) as response:
        assert response.status == status
        assert (await response.json())["code"] == code


@pytest.mark.parametrize("path", ["/api/lsm", "/api/lsm/stream"])
async def test_a_parameter_that_is_unknown_is_refused(hall: Hall, path: str) -> None:
    async with hall.http.get(path, params={"grup": "x"}, headers=hall.bearer("admin")) as response:
        assert response.status == 400
        assert (await response.json())["code"] == "invalid_parameter"


async def test_nobody_sees_another_customers_floor(hall: Hall) -> None:
    await hall.queued()
    assert len((await hall.lsm("admin"))["sessions"]) == 1
    assert (await hall.lsm("other"))["sessions"] == []


async def test_a_stream_ends_with_its_credential(hall: Hall) -> None:
    async with hall.following() as stream, hall.following("admin") as other:
        await stream.event("snapshot")
        await hall.credentials.revoke(hall.ids["observer"])
        await stream.ended()
        await hall.queued()
        await other.change("sessions")
    await eventually(lambda: hall.live._desks["acme"].followers == 0)


async def test_a_head_request_opens_no_stream(hall: Hall) -> None:
    async with hall.http.head("/api/lsm/stream", headers=hall.bearer()) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
    await eventually(lambda: hall.doors.streams == 0)


async def test_who_does_not_read_is_cut_off_and_nobody_else_notices(hall: Hall) -> None:
    def folded(number: int) -> Folded:
        span = Fact(Post.SPAN_PRESENCE, NOW, f"p{number}", agent=f"agent-{number}", detail="available")
        return Folded([span], {"StatusReason": "x" * 250})

    # A floor of many megabytes, more than any socket's buffers have room for.
    for number in range(25_000):
        hall.live.take("acme", "UserPresence", f"p{number}", folded(number), NOW)
    await eventually(lambda: not hall.live._desks["acme"].floor._changed)
    loop = asyncio.get_running_loop()
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.setblocking(False)
    with deaf:
        url = hall.http._base_url
        assert url is not None
        await loop.sock_connect(deaf, (url.host, url.port))
        head = f"GET /api/lsm/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {hall.tokens['admin']}\r\n\r\n"
        await loop.sock_sendall(deaf, head.encode())
        await eventually(lambda: hall.doors.streams == 1)
        async with asyncio.timeout(WITHIN):
            await hall.lsm()
        await eventually(lambda: hall.doors.streams == 0)


async def test_seq_rises_over_a_restart(hall: Hall) -> None:
    told = await hall.lsm()
    assert told["seq"] >= NOW * 1000
    assert told["seq"] < 2**53
