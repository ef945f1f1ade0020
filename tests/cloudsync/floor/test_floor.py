"""The floor: who waits, who works, who is there, as records are folded."""

from collections.abc import Mapping as Table

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.cloudsync.floor.floor import STALE_AFTER, Floor, Key
from bridge.cloudsync.floor.told import AgentTold, QueueTold, SessionTold, Today
from bridge.words.cloudsync import Mapping
from tests.cloudsync.records.telling import ANN, BEN, MAPPING, Told, X, Y, chat, clock, ms, presence, ticket, video

AVAILABLE, BREAK = "0N5000000000001AAA", "0N5000000000002AAA"
SECOND, HOUR = 1_000, 3_600_000


class Hall:
    """A floor, and records told to it at times of day."""

    def __init__(self, **bounds: int) -> None:
        self.floor = Floor(MAPPING, **bounds)

    def take(self, at: str, *told: Told) -> "Hall":
        for one in told:
            self.floor.look(ms(at))
            self.floor.take(one.entity, one.changes[-1].record, one.folded(), ms(at))
        return self

    def session(self, at: str, record: str = "570000000000001AAA") -> SessionTold | None:
        self.floor.look(ms(at))
        told = self.floor.told(("sessions", record), ms(at))
        assert told is None or isinstance(told, SessionTold)
        return told

    def queue(self, at: str, group: str = X) -> QueueTold:
        self.floor.look(ms(at))
        told = self.floor.told(("queues", group), ms(at))
        assert isinstance(told, QueueTold)
        return told

    def agent(self, at: str, name: str = ANN) -> AgentTold | None:
        self.floor.look(ms(at))
        told = self.floor.told(("agents", name), ms(at))
        assert told is None or isinstance(told, AgentTold)
        return told

    def state(self, at: str, name: str = ANN) -> str | None:
        agent = self.agent(at, name)
        return agent.state if agent else None

    def changed(self) -> set[Key]:
        return set(self.floor.changed(1_000))


def waiting(at: str = "10:00", record: str = "570000000000001AAA", group: str = X) -> Told:
    return chat(record).create(at, GroupId=group, OwnerId=group, RequestTime=at, LastModifiedDate=at)


def accepted(told: Told, at: str, by: str = ANN) -> Told:
    return told.tell(at, OwnerId=by, AcceptTime=at, LastModifiedDate=at)


def there(at: str, record: str = "0N9000000000001AAA", status: str = AVAILABLE, who: str = ANN) -> Told:
    return presence(record).create(
        at, UserId=who, PresenceStatusId=status, StatusStartDate=at, IsCurrentState=True, ConfiguredCapacity=3
    )


def left(told: Told, at: str) -> Told:
    return told.tell(at, IsCurrentState=False, StatusEndDate=at)


def test_a_chat_waits_then_is_in_progress_then_is_gone() -> None:
    hall, one = Hall(), waiting()
    hall.take("10:00:01", one)
    told = hall.session("10:00:12")
    assert told is not None
    assert (told.status, told.group, told.agent, told.waiting_s, told.in_progress_s) == ("waiting", X, None, 12, 0)
    assert hall.queue("10:00:12").longest_waiting_s == 12
    hall.take("10:00:20", accepted(one, "10:00:20"))
    told = hall.session("10:01")
    assert told is not None
    assert (told.status, told.agent, told.waiting_s, told.in_progress_s) == ("in_progress", ANN, 20, 40)
    assert (told.queued_at, told.since) == ("2026-06-09T10:00:00.000Z", "2026-06-09T10:00:20.000Z")
    queue, agent = hall.queue("10:01"), hall.agent("10:01")
    assert (queue.waiting, queue.longest_waiting_s, queue.in_progress) == (0, None, 1)
    assert agent is not None
    assert (agent.open_sessions, agent.state) == (1, "unknown")
    hall.changed()
    hall.take("10:05", one.tell("10:05", EndTime="10:05", EndedBy="Agent"))
    assert hall.session("10:05") is None
    assert hall.queue("10:05").in_progress == 0
    assert hall.changed() == {("sessions", "570000000000001AAA"), ("queues", X), ("agents", ANN)}
    assert hall.agent("10:05") is None


def test_who_is_being_offered_a_chat_that_waits_is_told() -> None:
    hall, one = Hall(), waiting()
    hall.take("10:00:05", one.tell("10:00:05", OwnerId=ANN))
    told = hall.session("10:00:06")
    assert told is not None
    assert (told.status, told.agent) == ("waiting", ANN)
    hall.take("10:00:09", one.tell("10:00:09", OwnerId=BEN, DeclineCount=1))
    told = hall.session("10:00:10")
    assert told is not None
    assert told.agent == BEN
    assert hall.agent("10:00:10", BEN) is None


def test_a_transfer_takes_the_session_from_one_agent_to_the_other_and_from_one_queue_to_the_other() -> None:
    hall, one = Hall(), accepted(waiting(), "10:00:10")
    hall.take("10:00:10", one).take("10:02", one.tell("10:02", OwnerId=BEN, GroupId=Y))
    ann, ben, told = hall.agent("10:02"), hall.agent("10:02", BEN), hall.session("10:02")
    assert ann is None
    assert ben is not None
    assert told is not None
    assert (ben.open_sessions, told.group, told.agent, told.in_progress_s) == (1, Y, BEN, 110)
    assert (hall.queue("10:02").in_progress, hall.queue("10:02", Y).in_progress) == (0, 1)


def test_a_video_session_is_told_as_its_channel() -> None:
    one = video().create("10:00", GroupId=X, RequestTime="10:00")
    told = Hall().take("10:00", one).session("10:00", "0VS000000000001AAA")
    assert told is not None
    assert told.channel == "Video"


@pytest.mark.parametrize(
    "told",
    [
        ticket().create("10:00", Status="New", CreatedDate="10:00", GroupId=X),
        chat().create("10:00", GroupId=X, RequestTime="10:00", IsBotSession=True),
        chat().tell("10:00", Status="Waiting"),
        waiting().delete("10:01"),
        waiting().tell("10:01", EndTime="10:01", EndedBy="Visitor"),
    ],
    ids=["a ticket", "a bot's chat", "nobody knows since when", "deleted", "over"],
)
def test_what_is_no_session_now_is_not_on_the_floor(told: Told) -> None:
    hall = Hall().take("10:02", told)
    assert len(hall.floor) == 0
    assert hall.changed() == set()


def test_a_breach_is_told_when_the_wait_exceeds_the_limit_not_before() -> None:
    hall = Hall()
    hall.floor.remap(Mapping(sl_threshold={X: 30 * SECOND}), ms("09:59"))
    hall.take("10:00", waiting())
    hall.changed()
    told = hall.session("10:00:30")
    assert told is not None
    assert not told.breach
    assert hall.changed() == set()
    told = hall.session("10:00:30.001")
    assert told is not None
    assert told.breach
    assert hall.changed() == {("sessions", "570000000000001AAA")}


def test_one_that_was_answered_in_time_is_never_a_breach() -> None:
    hall, one = Hall(), accepted(waiting(), "10:00:20")
    told = hall.take("10:00:20", one).session("11:00")
    assert told is not None
    assert not told.breach


def test_a_session_of_which_nothing_is_heard_goes_stale_and_is_asked_for_once_but_stays() -> None:
    hall, one = Hall(), accepted(waiting(), "10:00:10")
    hall.take("10:00:10", one)
    late = clock(ms("10:00:10") + STALE_AFTER)
    before = clock(ms(late) - 1)
    told = hall.session(before)
    assert told is not None
    assert not told.stale
    told = hall.session(late)
    assert told is not None
    assert told.stale
    assert hall.floor.stale() == [("ChatSession", "570000000000001AAA")]
    assert hall.floor.stale() == []
    hall.take("16:30", one.fetch("16:30"))
    told = hall.session("16:31")
    assert told is not None
    assert not told.stale
    told = hall.session("22:30")
    assert told is not None
    assert told.stale


def test_one_that_was_silent_for_hours_before_a_start_is_stale_at_once() -> None:
    told = Hall().take("17:00", waiting()).session("17:00")
    assert told is not None
    assert told.stale


def test_a_change_of_presence_never_shows_offline_in_between() -> None:
    hall, one = Hall(), there("09:00")
    hall.take("09:00", one)
    assert hall.queue("09:00").available_agents == 1
    hall.changed()
    hall.take("10:00", left(one, "10:00"))
    assert hall.state("10:00:00.199") == "available"
    assert hall.changed() == set()
    hall.take("10:00:00.200", there("10:00", "0N9000000000002AAA", BREAK))
    agent = hall.agent("10:00:00.200")
    assert agent is not None
    assert (agent.state, agent.since) == ("break", "2026-06-09T10:00:00.000Z")
    assert hall.queue("10:00:00.200").available_agents == 0
    assert hall.changed() == {("agents", ANN), ("queues", X)}
    assert hall.state("10:00:10") == "break"


def test_a_change_of_presence_may_come_in_the_other_order() -> None:
    hall, one = Hall(), there("09:00")
    hall.take("09:00", one).take("10:00", there("10:00", "0N9000000000002AAA", BREAK), left(one, "10:00"))
    assert hall.state("10:00") == hall.state("10:01") == "break"


def test_a_logout_shows_offline_after_the_settle_time_since_it_happened() -> None:
    hall, one = Hall(), there("09:00")
    hall.take("09:00", one).take("10:00:00.500", left(one, "10:00"))
    hall.changed()
    assert hall.state("10:00:03.499") == "available"
    assert hall.changed() == set()
    agent = hall.agent("10:00:03.500")
    assert agent is not None
    assert (agent.state, agent.since, agent.capacity) == ("offline", "2026-06-09T10:00:00.000Z", None)
    assert hall.queue("10:00:03.500").available_agents == 0
    assert hall.changed() == {("agents", ANN), ("queues", X)}


def test_who_is_offline_for_a_day_is_forgotten() -> None:
    hall, one = Hall(), there("00:00")
    hall.take("00:00", one).take("00:01", left(one, "00:01"))
    assert hall.state("23:59") == "offline"
    assert hall.state("24:01") is None
    assert hall.floor.agents() == []
    hall.take("24:02", one)
    assert len(hall.floor) == 1  # the queue


def test_a_presence_nobody_knows_the_meaning_of_is_unknown_and_one_that_is_away_is_away() -> None:
    hall = Hall().take("09:00", there("09:00", status="0N5000000000009AAA"))
    assert hall.state("09:00") == "unknown"
    hall.take("09:01", there("09:01", "0N9000000000002AAA", "0N5000000000009AAA").tell("09:01", IsAway=True))
    assert hall.state("09:01") == "away"


def test_capacity_and_reason_are_told() -> None:
    agent = Hall().take("09:00", there("09:00", status=BREAK).tell("09:00", StatusReason="Lunch")).agent("09:00")
    assert agent is not None
    assert (agent.capacity, agent.reason) == (3, "Lunch")


def test_a_mapping_that_is_known_later_moves_agents_and_judges_again() -> None:
    hall = Hall().take("10:00", there("10:00"), waiting())
    assert hall.queue("10:00").available_agents == 1
    hall.changed()
    known = Mapping(default_group={ANN: Y}, sl_threshold={X: 60 * SECOND}, names={X: "Billing", ANN: "Ann"})
    hall.floor.remap(known, ms("10:00:40"))
    queue, agent, told = hall.queue("10:00:40"), hall.agent("10:00:40"), hall.session("10:00:40")
    assert (queue.available_agents, hall.queue("10:00:40", Y).available_agents) == (0, 1)
    assert queue.group_name == "Billing"
    assert agent is not None
    assert agent.agent_name == "Ann"
    assert told is not None
    assert (told.breach, told.group_name) == (False, "Billing")
    told = hall.session("10:01:00.001")
    assert told is not None
    assert told.breach


def test_the_day_is_null_until_it_is_known_and_zero_is_not_null() -> None:
    hall = Hall().take("10:00", waiting(), waiting(record="570000000000002AAA", group=Y))
    assert hall.queue("10:00").offered is None
    hall.floor.count_today({X: Today(3, 2, 1, 66.7)})
    queue, other = hall.queue("10:00"), hall.queue("10:00", Y)
    assert (queue.offered, queue.answered, queue.abandoned, queue.sl_pct) == (3, 2, 1, 66.7)
    assert (other.offered, other.sl_pct) == (0, None)
    hall.changed()
    hall.floor.count_today({X: Today(3, 2, 1, 66.7)})
    assert hall.changed() == set()


def test_configured_groups_have_a_queue_before_anything_happens() -> None:
    floor = Floor(Mapping(sl_threshold={X: 20_000}, names={X: "Billing"}))
    (queue,) = floor.queues(ms("10:00"))
    assert (queue.group, queue.waiting, queue.group_name) == (X, 0, "Billing")


def test_however_often_an_item_changes_it_is_told_once_and_the_rest_next_time() -> None:
    hall, one = Hall(), there("09:00")
    for second in range(50):
        at = clock(ms("09:00") + second * SECOND)
        hall.take(at, one.tell(at, StatusReason=f"reason {second}"))
    assert hall.floor.changed(1) == [("agents", ANN)]
    assert hall.floor.changed(1) == [("queues", X)]
    assert hall.floor.changed(1) == []


def test_the_floor_has_bounds_and_says_when_something_found_no_room() -> None:
    hall = Hall(most_sessions=2, most_agents=1, most_queues=1)
    for number in range(4):
        hall.take("10:00", waiting(record=f"57000000000000{number}AAA", group=(X, Y)[number % 2]))
    hall.take("10:00", there("10:00"), there("10:00", "0N9000000000002AAA", who=BEN))
    assert len(hall.floor.sessions(ms("10:00"))) == 2
    assert len(hall.floor.queues(ms("10:00"))) == 1
    assert len(hall.floor.agents()) == 1
    assert hall.floor.left_out > 0


def counts(hall: Hall, at: str) -> Table[str, tuple[int, int]]:
    return {queue.group: (queue.waiting, queue.in_progress) for queue in hall.floor.queues(ms(at))}


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), max_size=40))
def test_queues_and_agents_always_count_what_the_sessions_say(steps: list[tuple[int, int]]) -> None:
    hall = Hall()
    lives = [waiting(record=f"57000000000000{number}AAA", group=(X, Y)[number % 2]) for number in range(4)]
    for minute, (which, what) in enumerate(steps):
        at, one = clock(ms("10:01") + minute * 60 * SECOND), lives[which]
        match what:
            case 0:
                pass
            case 1:
                accepted(one, at, (ANN, BEN)[minute % 2])
            case 2:
                one.tell(at, OwnerId=(BEN, ANN)[minute % 2], GroupId=(X, Y)[minute % 2])
            case 3:
                one.tell(at, EndTime=at, EndedBy="Agent")
            case _:
                one.delete(at) if minute % 2 else one.undelete(at)
        hall.take(at, one)
        told = hall.floor.sessions(ms(at))
        for queue in hall.floor.queues(ms(at)):
            mine = [session for session in told if session.group == queue.group]
            waits = [session.waiting_s for session in mine if session.status == "waiting"]
            assert (queue.waiting, queue.in_progress) == (len(waits), len(mine) - len(waits))
            assert queue.longest_waiting_s == max(waits, default=None)
        for agent in hall.floor.agents():
            has = [one for one in told if one.agent == agent.agent and one.status == "in_progress"]
            assert agent.open_sessions == len(has)


@given(st.permutations(range(6)))
def test_presences_in_any_order_end_in_the_same(order: list[int]) -> None:
    hall = Hall()
    first, second, third = (there(f"09:0{number}", f"0N900000000000{number}AAA") for number in range(3))
    told = [there(f"09:0{number}", f"0N900000000000{number}AAA") for number in range(3)]
    left(told[0], "09:01")
    left(told[1], "09:02")
    left(told[2], "09:03")
    for number in order:
        # A record is folded from all that is known of it, so its end is never taken back.
        one = (first, second, third, *told)[number]
        if number >= 3 or order.index(number + 3) > order.index(number):
            hall.take("09:04", one)
    agent = hall.agent("09:05")
    assert agent is not None
    assert (agent.state, agent.since) == ("offline", "2026-06-09T09:03:00.000Z")
