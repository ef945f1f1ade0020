"""Stories of chats and video sessions."""

import pytest

from bridge.words.cloudsync import Post
from tests.cloudsync.records.telling import ANN, BEN, CEM, Told, X, Y, chat, ms, presence, story, the, told, video

QUEUE = (Post.OFFERED, Post.OFFERED_BY_TRANSFER, Post.ANSWERED, Post.ABANDONED, Post.FLOW_OUT, Post.SPAN_QUEUED)
AGENTS = (Post.AGENT_OFFERED, Post.AGENT_ACCEPTED, Post.AGENT_DECLINED, Post.AGENT_MISSED)
WORK = (Post.TALKED, Post.HANDLED, Post.SPAN_BUSY, Post.SESSION_IN, Post.SESSION_OUT)


def waiting(at: str = "10:00", owner: str = X, group: str | None = X) -> Told:
    return chat().create(at, RequestTime=at, OwnerId=owner, GroupId=group, Status="Waiting", Priority="Low")


def talking(at: str = "10:00", accepted: str = "10:01") -> Told:
    return waiting(at).tell(f"{accepted}:00.4", OwnerId=ANN, AcceptTime=accepted, Status="InProgress")


def test_a_chat_is_queued_answered_and_handled() -> None:
    said = talking().tell("10:11", EndTime="10:11", EndedBy="Visitor", HoldTime=60, Status="Completed")
    folded = said.tell("10:13", WrapUpEndTime="10:13").folded()
    assert story(folded, *QUEUE) == ["10:00 offered X", "10:00-10:01 span_queued X", "10:01 answered X Ann"]
    assert story(folded, *AGENTS) == ["10:01 agent_offered X Ann", "10:01 agent_accepted X Ann"]
    assert story(folded, *WORK) == ["10:01-10:13 span_busy X Ann", "10:13 handled X Ann"]
    handled = the(folded, Post.HANDLED)
    assert (handled.value, handled.hold, handled.wrap) == (540_000, 60_000, 120_000)
    assert the(folded, Post.ANSWERED).value == 60_000
    keys = {(fact.channel, fact.priority, fact.arrival, fact.session) for fact in folded.facts}
    assert keys == {("Chat", "Low", ms("10:00"), "570000000000001AAA")}
    assert not folded.dirty


def test_while_wrap_up_is_not_over_it_ends_with_the_talk_and_is_restated_later() -> None:
    said = talking().tell("10:11", EndTime="10:11")
    assert (story(said.folded(), Post.HANDLED), the(said.folded(), Post.HANDLED).wrap) == (["10:11 handled X Ann"], 0)
    assert story(said.tell("10:15", WrapUpEndTime="10:15").folded(), Post.HANDLED) == ["10:15 handled X Ann"]


def test_waiting_and_talking_last_until_something_ends_them() -> None:
    assert story(waiting().folded(), *QUEUE) == ["10:00 offered X", "10:00- span_queued X"]
    assert story(talking().folded(), *WORK) == ["10:01- span_busy X Ann"]


def test_queued_in_one_interval_and_answered_in_the_next() -> None:
    folded = waiting("07:28").tell("07:32", OwnerId=ANN, AcceptTime="07:32").folded()
    assert story(folded, *QUEUE) == ["07:28 offered X", "07:28-07:32 span_queued X", "07:32 answered X Ann"]
    assert the(folded, Post.ANSWERED).arrival == ms("07:28")


@pytest.mark.parametrize(("request_at", "end", "wait"), [("10:00", "10:00:05", 5_000), ("10:00", "10:00:20", 20_000)])
def test_waits_are_exact_to_the_millisecond(request_at: str, end: str, wait: int) -> None:
    folded = waiting(request_at).tell(end, EndTime=end, EndedBy="Visitor").folded()
    assert the(folded, Post.ABANDONED).value == wait


@pytest.mark.parametrize(
    ("ended_by", "post"),
    [
        ("Visitor", Post.ABANDONED),
        (None, Post.ABANDONED),
        ("Agent", Post.FLOW_OUT),
        ("System", Post.FLOW_OUT),
    ],
)
def test_who_ends_it_unanswered_decides_between_abandoned_and_flow_out(ended_by: str | None, post: Post) -> None:
    folded = waiting().tell("10:02", EndTime="10:02", EndedBy=ended_by).folded()
    assert story(folded, *QUEUE) == ["10:00 offered X", "10:00-10:02 span_queued X", f"10:02 {post} X"]


def test_a_missed_chat_is_missed_by_its_owner_and_handled_by_nobody() -> None:
    said = waiting().tell("10:00:05", OwnerId=ANN).tell("10:00:25", OwnerId=BEN)
    folded = said.tell("10:00:45", EndTime="10:00:45", EndedBy="System", Status="Missed").folded()
    assert story(folded, *AGENTS) == [
        "10:00:05 agent_offered X Ann",
        "10:00:25 agent_missed X Ann",
        "10:00:25 agent_offered X Ben",
        "10:00:45 agent_missed X Ben",
    ]
    assert story(folded, *WORK) == []


def test_missed_in_one_event_is_missed_by_its_owner() -> None:
    folded = chat().create("10:01", RequestTime="10:00", EndTime="10:00:30", OwnerId=ANN, GroupId=X).folded()
    assert story(folded, *AGENTS) == ["10:00:30 agent_offered X Ann", "10:00:30 agent_missed X Ann"]


def test_declined_twice_then_accepted_puts_each_decline_on_its_agent() -> None:
    said = waiting().tell("10:00:05", OwnerId=ANN).tell("10:00:10", OwnerId=BEN, DeclineCount=1)
    said.tell("10:00:15", DeclineCount=2).tell("10:00:16", OwnerId=CEM)
    folded = said.tell("10:00:20", AcceptTime="10:00:20").folded()
    assert story(folded, *AGENTS) == [
        "10:00:05 agent_offered X Ann",
        "10:00:10 agent_declined X Ann",
        "10:00:10 agent_offered X Ben",
        "10:00:15 agent_declined X Ben",
        "10:00:16 agent_offered X Cem",
        "10:00:20 agent_accepted X Cem",
    ]
    assert story(folded, Post.OFFERED, Post.ANSWERED) == ["10:00 offered X", "10:00:20 answered X Cem"]


def test_declined_and_then_accepted_by_the_same_agent_was_offered_twice() -> None:
    said = waiting().tell("10:00:05", OwnerId=ANN).tell("10:00:10", DeclineCount=1)
    folded = said.tell("10:00:20", AcceptTime="10:00:20").folded()
    assert story(folded, *AGENTS)[2:] == ["10:00:20 agent_offered X Ann", "10:00:20 agent_accepted X Ann"]


def test_back_to_the_queue_without_a_decline_was_missed() -> None:
    folded = waiting().tell("10:00:05", OwnerId=ANN).tell("10:00:30", OwnerId=X).folded()
    assert story(folded, *AGENTS) == ["10:00:05 agent_offered X Ann", "10:00:30 agent_missed X Ann"]


def test_an_answer_without_a_user_as_owner_is_credited_to_nobody() -> None:
    folded = waiting().tell("10:01", AcceptTime="10:01").tell("10:05", EndTime="10:05").folded()
    assert story(folded, Post.ANSWERED, Post.HANDLED, *AGENTS) == ["10:01 answered X", "10:05 handled X"]


def test_a_bot_alone_is_not_offered_until_it_hands_over() -> None:
    said = waiting().tell("10:01", IsBotSession=True)
    assert said.folded().facts == []
    assert story(said.tell("10:02", IsBotSession=False).folded(), Post.OFFERED) == ["10:00 offered X"]


def test_an_owner_change_while_talking_splits_the_talk_and_nothing_else() -> None:
    said = talking().tell("10:05", OwnerId=BEN, TransferCount=1)
    folded = said.tell("10:11", EndTime="10:11", HoldTime=30).tell("10:12", WrapUpEndTime="10:12").folded()
    assert story(folded, Post.OFFERED, Post.ANSWERED, *AGENTS) == [
        "10:00 offered X",
        "10:01 agent_offered X Ann",
        "10:01 agent_accepted X Ann",
        "10:01 answered X Ann",
    ]
    assert story(folded, *WORK) == [
        "10:01-10:05 span_busy X Ann",
        "10:05 talked X Ann",
        "10:05 session_out X Ann",
        "10:05 session_in X Ben",
        "10:05-10:12 span_busy X Ben",
        "10:12 handled X Ben",
    ]
    talked, handled = the(folded, Post.TALKED), the(folded, Post.HANDLED)
    assert (talked.value, talked.hold, talked.wrap) == (240_000, 0, 0)
    assert (handled.value, handled.hold, handled.wrap) == (330_000, 30_000, 60_000)
    assert {fact.session for fact in folded.facts} == {"570000000000001AAA"}


def test_an_owner_change_after_the_end_is_no_transfer() -> None:
    said = talking().tell("10:05", EndTime="10:05").tell("10:06", OwnerId=BEN).tell("10:07", WrapUpEndTime="10:07")
    assert story(said.folded(), *WORK) == ["10:01-10:07 span_busy X Ann", "10:07 handled X Ann"]


def test_a_hold_that_the_transfer_shows_belongs_to_the_agents_before_it() -> None:
    said = talking().tell("10:05", OwnerId=BEN, HoldTime=40)
    folded = said.tell("10:11", EndTime="10:11", HoldTime=100).folded()
    assert (the(folded, Post.TALKED).value, the(folded, Post.TALKED).hold) == (200_000, 40_000)
    assert (the(folded, Post.HANDLED).value, the(folded, Post.HANDLED).hold) == (300_000, 60_000)


def test_a_new_video_session_is_a_leg_of_its_own_offered_by_transfer() -> None:
    first = video("0VS000000000001AAA").create("10:00", RequestTime="10:00", GroupId=X, OwnerId=X)
    first.tell("10:01", HostId=ANN, AcceptTime="10:01")
    first.tell("10:05", EndTime="10:05", NextSessionId="0VS000000000002AAA", EndedBy="Agent")
    second = video("0VS000000000002AAA").create(
        "10:05", RequestTime="10:05", GroupId=Y, OwnerId=Y, PreviousSessionId="0VS000000000001AAA"
    )
    second.tell("10:06", HostId=BEN, AcceptTime="10:06").tell("10:09", EndTime="10:09")
    assert story(first.folded(), *WORK) == [
        "10:01-10:05 span_busy X Ann",
        "10:05 handled X Ann",
        "10:05 session_out X Ann",
    ]
    folded = second.folded()
    assert story(folded, *QUEUE)[:2] == ["10:05 offered Y", "10:05 offered_by_transfer Y"]
    assert story(folded, *WORK) == ["10:06 session_in Y Ben", "10:06-10:09 span_busy Y Ben", "10:09 handled Y Ben"]
    sessions = {fact.session for told in (first, second) for fact in told.folded().facts}
    assert sessions == {"0VS000000000001AAA"}
    assert {fact.channel for fact in folded.facts} == {"Video"}


def test_a_video_sessions_host_wins_over_its_owner() -> None:
    said = video().create("10:00", RequestTime="10:00", GroupId=X, OwnerId=BEN, HostId=ANN, AcceptTime="10:00:30")
    folded = said.folded()
    assert the(folded, Post.ANSWERED).agent == ANN
    assert folded.state["OwnerId"] == ANN


def test_a_change_of_group_while_queued_ends_the_leg_there_and_begins_one_here() -> None:
    folded = waiting().tell("10:02", GroupId=Y).tell("10:03", OwnerId=BEN, AcceptTime="10:03").folded()
    assert story(folded, *QUEUE) == [
        "10:00 offered X",
        "10:00-10:02 span_queued X",
        "10:02 flow_out X",
        "10:02 offered Y",
        "10:02 offered_by_transfer Y",
        "10:02-10:03 span_queued Y",
        "10:03 answered Y Ben",
    ]
    assert (the(folded, Post.FLOW_OUT).value, the(folded, Post.ANSWERED).value) == (120_000, 60_000)
    assert (the(folded, Post.FLOW_OUT).arrival, the(folded, Post.ANSWERED).arrival) == (ms("10:00"), ms("10:02"))


def test_the_first_known_group_is_the_queues_from_its_beginning() -> None:
    folded = waiting(owner=ANN, group=None).tell("10:00:10", GroupId=Y).tell("10:01", AcceptTime="10:01").folded()
    assert story(folded, *QUEUE) == ["10:00 offered Y", "10:00-10:01 span_queued Y", "10:01 answered Y Ann"]


def test_without_any_group_it_is_the_default_of_who_answered() -> None:
    said = chat().create("10:00", RequestTime="10:00", OwnerId=ANN).tell("10:00:20", OwnerId=BEN)
    folded = said.tell("10:01", AcceptTime="10:01").tell("10:05", OwnerId=ANN).folded()
    assert {fact.group for fact in folded.facts} == {Y}


def test_times_out_of_order_are_taken_as_equal_and_flagged() -> None:
    said = waiting().tell("10:03", OwnerId=ANN, AcceptTime="09:59", EndTime="09:58", WrapUpEndTime="09:57", HoldTime=9)
    folded = said.folded()
    handled = the(folded, Post.HANDLED)
    assert (handled.at, handled.value, handled.hold, handled.wrap) == (ms("10:00"), 0, 0, 0)
    assert (the(folded, Post.ANSWERED).at, the(folded, Post.ANSWERED).value) == (ms("10:00"), 0)
    assert folded.flags == ["clamped"]
    assert folded.state["EndTime"] == ms("09:58")


def test_hold_is_at_most_the_talk() -> None:
    folded = talking().tell("10:05", EndTime="10:05", HoldTime=3600).folded()
    assert (the(folded, Post.HANDLED).value, the(folded, Post.HANDLED).hold) == (0, 240_000)
    assert folded.flags == ["clamped"]


def test_an_end_before_the_accept_is_known_is_answered_once_it_is() -> None:
    said = waiting().tell("10:05", EndTime="10:05", OwnerId=ANN)
    assert story(said.folded(), Post.ABANDONED, Post.ANSWERED) == ["10:05 abandoned X"]
    folded = said.tell("10:06", AcceptTime="10:01").folded()
    assert story(folded, Post.ABANDONED, Post.ANSWERED, Post.HANDLED) == ["10:01 answered X Ann", "10:05 handled X Ann"]


def test_a_session_deleted_in_the_queue_flows_out_and_in_talk_is_handled_by_nobody() -> None:
    queued = waiting().delete("10:05").folded()
    assert story(queued, *QUEUE)[1:] == ["10:00-10:05 span_queued X", "10:05 flow_out X"]
    assert story(talking().delete("10:05").folded(), *WORK) == ["10:01-10:05 span_busy X Ann"]
    ended = talking().tell("10:05", EndTime="10:05")
    assert ended.folded().facts == ended.delete("12:00").folded().facts


def test_a_session_goes_on_until_there_is_evidence_of_its_end() -> None:
    folded = talking().push("10:05", OwnerId=ANN, EndTime=None).folded()
    assert story(folded, Post.SPAN_BUSY) == ["10:01- span_busy X Ann"]


def test_a_session_whose_beginning_nobody_told_waits_for_a_fetch() -> None:
    said = chat().tell("10:05", EndTime="10:05", EndedBy="Visitor")
    assert (said.folded().facts, said.folded().dirty) == ([], True)
    said.fetch("10:10", RequestTime="10:00", AcceptTime="10:01", EndTime="10:05", OwnerId=ANN, GroupId=X)
    assert story(said.folded(), Post.HANDLED) == ["10:05 handled X Ann"]
    assert not said.folded().dirty


def test_a_session_over_midnight_is_one_stretch() -> None:
    said = waiting("23:49").tell("23:50", OwnerId=ANN, AcceptTime="23:50").tell("24:20", EndTime="24:20")
    assert story(said.folded(), *WORK) == ["23:50-24:20 span_busy X Ann", "24:20 handled X Ann"]


def test_one_event_of_each_dialect_is_one_contact() -> None:
    said = talking()
    said.push("10:00:02", RequestTime="10:00", AcceptTime=None, OwnerId=X, GroupId=X, DeclineCount=None)
    said.push("10:01:02", RequestTime="10:00", AcceptTime="10:01", OwnerId=ANN, GroupId=X)
    assert said.folded().facts == talking().folded().facts


def test_presence_changes_without_a_hole() -> None:
    before = presence("0N9000000000001AAA").create(
        "09:00", UserId=ANN, PresenceStatusId="0N5000000000001AAA", StatusStartDate="09:00", IsCurrentState=True
    )
    before.tell("12:00", IsCurrentState=False, StatusEndDate="12:00")
    after = presence("0N9000000000002AAA").create(
        "12:00:00.2", UserId=ANN, PresenceStatusId="0N5000000000002AAA", StatusStartDate="12:00", IsCurrentState=True
    )
    spans = [the(said.folded(), Post.SPAN_PRESENCE) for said in (before, after)]
    assert [told(span) for span in spans] == ["09:00-12:00 span_presence Ann", "12:00- span_presence Ann"]
    assert [span.detail for span in spans] == ["available", "break"]


def test_presence_without_an_end_ends_when_it_is_no_longer_current() -> None:
    said = presence().create("09:00", UserId=ANN, PresenceStatusId="?", StatusStartDate="09:00", IsCurrentState=True)
    said.tell("17:00", IsCurrentState=False).push("17:30", IsCurrentState=False)
    assert story(said.folded(), Post.SPAN_PRESENCE) == ["09:00-17:00 span_presence Ann"]


@pytest.mark.parametrize(("away", "category"), [(True, "away"), (False, ""), (None, "")])
def test_an_unmapped_presence_holds_nothing_back(away: bool | None, category: str) -> None:  # noqa: FBT001
    said = presence().create("09:00", UserId=ANN, PresenceStatusId="0N5000000000009AAA", StatusStartDate="09:00")
    folded = said.tell("09:01", IsAway=away).folded()
    assert the(folded, Post.SPAN_PRESENCE).detail == category
    assert (folded.unclassified, folded.ids) == ([], ["presence:0N5000000000009AAA", f"user:{ANN}"])


def test_presence_that_ends_before_it_starts_is_mended_and_one_without_a_start_waits() -> None:
    said = presence().create("09:00", UserId=ANN, StatusStartDate="09:00", StatusEndDate="08:00")
    assert story(said.folded(), Post.SPAN_PRESENCE) == ["09:00-09:00 span_presence Ann"]
    assert said.folded().flags == ["clamped"]
    unknown = presence().tell("09:00", IsCurrentState=False).folded()
    assert (unknown.facts, unknown.dirty) == ([], True)


def test_a_deleted_presence_ends_unless_it_had() -> None:
    said = presence().create("09:00", UserId=ANN, StatusStartDate="09:00").delete("10:00")
    assert story(said.folded(), Post.SPAN_PRESENCE) == ["09:00-10:00 span_presence Ann"]
