"""Stories of tickets."""

from typing import Any

import msgspec
import pytest

from bridge.words.cloudsync import Kind, Mapping, Post
from tests.cloudsync.records.telling import ANN, BEN, CEM, MAPPING, OTHER, TICKET, X, Y, ms, story, the, ticket

NEW: dict[str, Any] = {"Status": "New", "GroupId": X, "Priority": "Low", "Origin": "Web", "OwnerId": X}


def test_a_ticket_is_created_answered_and_closed() -> None:
    told = ticket().create("10:00:00.2", CreatedDate="10:00", **NEW)
    told.tell("10:05", OwnerId=ANN, Status="Working").tell("10:07:01", FirstResponseDate="10:07")
    folded = told.tell("11:00:00.4", Status="Closed", ClosedDate="11:00").folded()
    assert story(folded) == [
        "10:00 created X",
        "10:05 assigned X Ann",
        "10:07 first_response X Ann",
        "11:00 closed X Ann",
        "11:00 first_closed X Ann",
    ]
    assert story(folded, Post.SPAN_OPEN) == ["10:00-10:05 span_open X", "10:05-11:00 span_open X Ann"]
    assert the(folded, Post.CLOSED).value == the(folded, Post.FIRST_CLOSED).value == 3_600_000
    assert the(folded, Post.FIRST_RESPONSE).value == 420_000
    assert {(fact.channel, fact.priority, fact.arrival) for fact in folded.facts} == {("Web", "Low", ms("10:00"))}
    assert (folded.dirty, folded.deleted, folded.unclassified, folded.flags) == (False, False, [], [])


def test_update_before_create_changes_nothing() -> None:
    told = ticket().tell("10:30", Status="Closed", ClosedDate="10:30").create("10:00", CreatedDate="09:59", **NEW)
    assert story(told.folded()) == ["09:59 created X", "10:30 closed X", "10:30 first_closed X"]


def test_delete_before_create_is_created_and_deleted() -> None:
    told = ticket().delete("10:30")
    assert (story(told.folded()), told.folded().dirty) == ([], True)
    folded = told.create("10:00", CreatedDate="10:00", **NEW).folded()
    assert story(folded) == ["10:00 created X", "10:30 deleted_open X", "10:30 deleted X"]
    assert story(folded, Post.SPAN_OPEN) == ["10:00-10:30 span_open X"]
    assert (folded.deleted, folded.dirty) == (True, False)


def test_an_older_update_after_a_newer_one_fills_history_in_and_keeps_the_newer_values() -> None:
    told = ticket().create("10:00", **NEW).tell("10:10", Status="Closed", Priority="High")
    told.tell("10:40", Status="Closed", Priority="Urgent")
    assert story(told.folded()).count("10:10 closed X") == 1
    folded = told.tell("10:20", Status="New", Priority="Medium").tell("10:30", Status="Closed").folded()
    closes = ["10:10 closed X", "10:10 first_closed X", "10:20 reopened X", "10:30 closed X"]
    assert [line for line in story(folded) if "class" not in line] == ["10:00 created X", *closes]
    assert (folded.state["Priority"], folded.state["Status"]) == ("Urgent", "Closed")


def test_at_one_commit_time_the_commit_number_decides_then_the_sequence() -> None:
    told = ticket().create("10:00", **NEW)
    told.tell("10:10", number=2, sequence=1, Priority="last commit")
    told.tell("10:10", number=1, sequence=2, Priority="second")
    told.tell("10:10", number=1, sequence=1, Priority="first")
    assert told.folded().state["Priority"] == "last commit"
    del told.changes[1]
    assert told.folded().state["Priority"] == "second"


def test_closed_on_create() -> None:
    folded = (
        ticket().create("10:00:01", **{**NEW, "Status": "Closed"}, CreatedDate="10:00", ClosedDate="10:00").folded()
    )
    assert story(folded) == ["10:00 created X", "10:00 closed X", "10:00 first_closed X", "10:00 closed_on_create X"]
    assert story(folded, Post.SPAN_OPEN) == []
    assert the(folded, Post.CLOSED).value == 0


def test_a_ticket_first_seen_closed_was_open_between_created_and_closed() -> None:
    fields = {**NEW, "Status": "Closed", "CreatedDate": "10:00", "ClosedDate": "10:20"}
    for told in (ticket().create("10:30", **fields), ticket().fetch("10:40", LastModifiedDate="10:30", **fields)):
        folded = told.folded()
        assert story(folded) == ["10:00 created X", "10:20 closed X", "10:20 first_closed X"]
        assert story(folded, Post.SPAN_OPEN) == ["10:00-10:20 span_open X"]
        assert not folded.dirty


def test_closed_to_another_closed_status_is_nothing() -> None:
    told = ticket().create("10:00", **NEW).tell("10:10", Status="Closed", ClosedDate="10:10")
    before = told.folded().facts
    assert told.tell("10:20", Status="Solved", ClosedDate="10:20").folded().facts == before


def test_reopened_and_closed_again_leaves_the_first_close_where_it_was() -> None:
    told = ticket().create("10:00", **{**NEW, "OwnerId": ANN}).tell("10:10", Status="Closed", ClosedDate="10:10")
    told.tell("10:20", Status="Working", ClosedDate=None, OwnerId=BEN)
    folded = told.tell("10:30", Status="Closed", ClosedDate="10:30").folded()
    assert story(folded) == [
        "10:00 created X Ann",
        "10:00 assigned X Ann",
        "10:10 closed X Ann",
        "10:10 first_closed X Ann",
        "10:20 assigned X Ben",
        "10:20 reopened X Ann",
        "10:30 closed X Ben",
    ]
    assert [fact.value for fact in folded.facts if fact.post is Post.CLOSED] == [600_000, 1_800_000]


def test_a_closed_date_from_before_the_reopening_is_not_that_of_the_new_close() -> None:
    told = (
        ticket().create("10:00", **NEW).tell("10:10", Status="Closed", ClosedDate="10:10").tell("10:20", Status="New")
    )
    folded = told.tell("10:30", Status="Closed", ClosedDate="10:10").folded()
    assert story(folded, Post.CLOSED) == ["10:10 closed X", "10:30 closed X"]


def test_from_group_to_group_while_open_is_out_of_the_one_and_into_the_other() -> None:
    folded = ticket().create("10:00", **NEW).tell("10:10", GroupId=Y).folded()
    assert story(folded) == ["10:00 created X", "10:10 transferred_out X", "10:10 transferred_in Y"]
    assert story(folded, Post.SPAN_OPEN) == ["10:00-10:10 span_open X", "10:10- span_open Y"]


def test_a_move_while_closed_is_no_transfer_and_it_reopens_where_it_is() -> None:
    told = ticket().create("10:00", **NEW).tell("10:10", Status="Closed").tell("10:20", GroupId=Y, Priority="High")
    folded = told.tell("10:30", Status="New").folded()
    assert "transfer" not in str(story(folded))
    assert "classified" not in str(story(folded))
    assert story(folded, Post.REOPENED, Post.SPAN_OPEN)[1:] == ["10:30 reopened Y", "10:30- span_open Y"]


def test_from_agent_to_agent_within_a_group_moves_nothing_but_the_owner() -> None:
    folded = ticket().create("10:00", **{**NEW, "OwnerId": ANN}).tell("10:10", OwnerId=BEN).folded()
    assert story(folded)[2:] == ["10:10 assigned X Ben"]
    assert story(folded, Post.SPAN_OPEN) == ["10:00-10:10 span_open X Ann", "10:10- span_open X Ben"]


@pytest.mark.parametrize("field", ["Priority", "Origin"])
def test_priority_or_origin_changed_while_open_is_reclassified(field: str) -> None:
    moved: dict[str, Any] = {field: "Other"}
    folded = ticket().create("10:00", **NEW).tell("10:10", **moved).folded()
    assert story(folded) == ["10:00 created X", "10:10 reclassified_out X", "10:10 reclassified_in X"]
    out, into = the(folded, Post.RECLASSIFIED_OUT), the(folded, Post.RECLASSIFIED_IN)
    assert (out.channel, out.priority) == ("Web", "Low")
    assert "Other" in (into.channel, into.priority)


def test_group_and_priority_in_one_commit_are_one_transfer() -> None:
    folded = ticket().create("10:00", **NEW).tell("10:10", GroupId=Y, Priority="High").folded()
    assert story(folded) == ["10:00 created X", "10:10 transferred_out X", "10:10 transferred_in Y"]
    assert (the(folded, Post.TRANSFERRED_OUT).priority, the(folded, Post.TRANSFERRED_IN).priority) == ("Low", "High")


def test_within_one_commit_it_moves_first_and_then_closes() -> None:
    told = ticket().create("10:00", **NEW).tell("10:10:00.5", sequence=1, Status="Closed", ClosedDate="10:10")
    folded = told.tell("10:10:00.5", sequence=2, GroupId=Y, OwnerId=ANN).folded()
    assert story(folded)[1:] == [
        "10:10 transferred_out X",
        "10:10 transferred_in Y Ann",
        "10:10 assigned Y Ann",
        "10:10 closed Y Ann",
        "10:10 first_closed Y Ann",
    ]


def test_within_one_commit_it_moves_first_and_then_reopens() -> None:
    told = ticket().create("10:00", **NEW).tell("10:10", Status="Closed")
    folded = told.tell("10:20", Status="New", GroupId=Y, Priority="High").folded()
    assert "transferred" not in str(story(folded))
    assert the(folded, Post.REOPENED).priority == "High"


def test_the_group_is_group_id_then_the_last_group_that_owned_it_then_the_owners_default() -> None:
    told = ticket().create("10:00", Status="New", OwnerId=BEN)
    told.tell("10:10", OwnerId=X).tell("10:20", OwnerId=BEN).tell("10:30", GroupId=Y).tell("10:40", GroupId=None)
    folded = told.folded()
    spans = ["10:00-10:10 span_open Y Ben", "10:10-10:20 span_open X", "10:20-10:30 span_open X Ben"]
    assert story(folded, Post.SPAN_OPEN) == [*spans, "10:30-10:40 span_open Y Ben", "10:40- span_open X Ben"]


def test_without_group_priority_or_origin_the_row_has_empty_names() -> None:
    created = the(ticket().create("10:00", Status="New", OwnerId=CEM).folded(), Post.CREATED)
    assert (created.group, created.channel, created.priority, created.agent) == ("", "", "", CEM)


def test_deleted_while_open_and_undeleted() -> None:
    folded = ticket().create("10:00", **NEW).delete("10:10").undelete("10:20", **NEW).folded()
    assert story(folded)[1:] == [
        "10:10 deleted_open X",
        "10:10 deleted X",
        "10:20 undeleted X",
        "10:20 undeleted_open X",
    ]
    assert story(folded, Post.SPAN_OPEN) == ["10:00-10:10 span_open X", "10:20- span_open X"]
    assert not folded.deleted


def test_deleted_while_closed_takes_nothing_from_the_backlog() -> None:
    folded = ticket().create("10:00", **NEW).tell("10:05", Status="Closed").delete("10:10").undelete("10:20").folded()
    assert story(folded)[-2:] == ["10:10 deleted X", "10:20 undeleted X"]
    assert story(folded, Post.SPAN_OPEN) == ["10:00-10:05 span_open X"]


def test_what_changes_while_it_is_deleted_is_true_when_it_comes_back() -> None:
    told = ticket().create("10:00", **NEW).delete("10:10").tell("10:12", Status="Closed", GroupId=Y)
    assert story(told.undelete("10:20").folded())[3:] == ["10:20 undeleted Y"]


def test_merged_away_is_merged_not_closed_and_not_deleted() -> None:
    told = ticket().create("10:00", **NEW)
    told.tell("10:10", MasterRecordId=OTHER, Status="Closed", ClosedDate="10:10").delete("10:11")
    folded = told.folded()
    assert story(folded) == ["10:00 created X", "10:10 merged_open X", "10:10 merged X"]
    assert story(folded, Post.SPAN_OPEN) == ["10:00-10:10 span_open X"]
    assert folded.deleted


def test_merged_in_the_delete_itself_or_after_it_is_not_deleted_either() -> None:
    inside = ticket().create("10:00", **NEW).delete("10:10", MasterRecordId=OTHER)
    after = ticket().create("10:00", **NEW).delete("10:10").tell("10:10:01", MasterRecordId=OTHER)
    for told in (inside, after):
        assert story(told.folded()) == ["10:00 created X", "10:10 merged_open X", "10:10 merged X"]


def test_merged_again_and_again_is_merged_once() -> None:
    told = ticket().create("10:00", **NEW).delete("10:10").tell("10:11", MasterRecordId=OTHER)
    told.tell("10:12", MasterRecordId=None).tell("10:13", MasterRecordId=OTHER)
    assert story(told.folded(), Post.MERGED, Post.DELETED) == ["10:10 merged X"]


def test_merged_while_closed_takes_nothing_from_the_backlog() -> None:
    folded = ticket().create("10:00", **NEW).tell("10:05", Status="Closed").tell("10:10", MasterRecordId=OTHER).folded()
    assert story(folded)[3:] == ["10:10 merged X"]


def test_escalated_counts_each_time_it_turns_true_and_at_create() -> None:
    told = ticket().create("10:00", **NEW, IsEscalated=True).tell("10:05", IsEscalated=False)
    folded = told.tell("10:10", IsEscalated=True).tell("10:11", IsEscalated=True).folded()
    assert story(folded, Post.ESCALATED) == ["10:00 escalated X", "10:10 escalated X"]


def test_the_first_response_is_one_at_its_own_time() -> None:
    told = ticket().create("10:00", **NEW).tell("10:10", FirstResponseDate="10:08", OwnerId=ANN)
    told.tell("10:20", FirstResponseDate="10:07", GroupId=Y)
    assert story(told.folded(), Post.FIRST_RESPONSE) == ["10:07 first_response Y Ann"]
    assert story(told.tell("10:30", FirstResponseDate=None).folded(), Post.FIRST_RESPONSE) == []


def test_times_before_the_creation_are_mended_and_flagged() -> None:
    told = ticket().create("10:00", **NEW, CreatedDate="10:00").tell("10:10", FirstResponseDate="09:00")
    folded = told.tell("10:20", Status="Closed", ClosedDate="09:30").folded()
    assert (the(folded, Post.FIRST_RESPONSE).value, the(folded, Post.CLOSED).value) == (0, 0)
    assert folded.flags == ["clamped"]


def test_a_first_response_before_the_creation_alone_is_flagged() -> None:
    told = ticket().create("10:00", **NEW, CreatedDate="10:00").tell("10:10", FirstResponseDate="09:00")
    assert told.folded().flags == ["clamped"]


def test_reopened_and_closed_in_one_commit_never_closes_before_it_reopened() -> None:
    told = ticket().create("10:00", **NEW).tell("10:10", Status="Closed")
    told.tell("10:20:00.9", sequence=1, Status="New")
    told.tell("10:20:00.9", sequence=2, Status="Closed", ClosedDate="10:20")
    assert story(told.folded(), Post.REOPENED, Post.CLOSED)[1:] == ["10:20:00.900 reopened X", "10:20:00.900 closed X"]


def test_an_unmapped_status_is_parked_and_the_rest_of_its_event_counts() -> None:
    told = ticket().create("10:00", **NEW).tell("10:10", Status="Mystery", Priority="High")
    told.tell("10:30", Status="Closed")
    folded = told.folded()
    assert folded.unclassified == ["Mystery"]
    assert "status:SupportTicket:Mystery" in folded.ids
    assert story(folded, Post.CLOSED, Post.RECLASSIFIED_IN) == ["10:10 reclassified_in X", "10:30 closed X"]

    known = msgspec.structs.replace(MAPPING, closed={**MAPPING.closed, ("SupportTicket", "Mystery"): True})
    resolved = told.folded(known)
    assert (resolved.unclassified, story(resolved, Post.CLOSED)) == ([], ["10:10 closed X"])


def test_a_create_with_an_unmapped_status_is_created_and_open() -> None:
    folded = ticket().create("10:00", **{**NEW, "Status": "Mystery"}).folded()
    assert (story(folded), folded.unclassified) == (["10:00 created X"], ["Mystery"])
    assert story(folded, Post.SPAN_OPEN) == ["10:00- span_open X"]


def test_unmapped_people_hold_nothing_back() -> None:
    folded = ticket().create("10:00", **{**NEW, "OwnerId": CEM}).folded(Mapping(closed=MAPPING.closed))
    assert story(folded) == ["10:00 created X Cem", "10:00 assigned X Cem"]
    assert folded.ids == [f"group:{X}", "status:SupportTicket:New", f"user:{CEM}"]


def test_one_change_told_twice_keeps_the_commits_time() -> None:
    told = ticket().create("10:00:00.3", **NEW, CreatedDate="10:00")
    told.push("10:00:01", Kind.CREATE, **NEW, CreatedDate="10:00", LastModifiedDate="10:00")
    told.tell("10:14:59.9", GroupId=Y, Status="Closed").push("10:15:02", **{**NEW, "GroupId": Y, "Status": "Closed"})
    told.push("10:15:03", **{**NEW, "GroupId": Y, "Status": "Closed"}, LastModifiedDate="10:14:59")
    assert story(told.folded())[1:] == [
        "10:14:59.900 transferred_out X",
        "10:14:59.900 transferred_in Y",
        "10:14:59.900 closed Y",
        "10:14:59.900 first_closed Y",
    ]


def test_what_only_a_push_topic_tells_happens_at_last_modified_date_else_created_date() -> None:
    told = ticket().push("10:00", Kind.CREATE, **NEW, CreatedDate="10:00")
    told.push("10:10:05", **{**NEW, "GroupId": Y}, LastModifiedDate="10:10").push("10:20", **NEW)
    assert story(told.folded(), Post.TRANSFERRED_OUT) == ["10:10 transferred_out X", "10:20 transferred_out Y"]


def test_in_a_push_topic_null_clears() -> None:
    told = ticket().push("10:00", Kind.CREATE, **NEW, CreatedDate="10:00").push("10:10", **{**NEW, "Priority": None})
    assert the(told.folded(), Post.RECLASSIFIED_IN).priority == ""


def test_a_push_topic_shows_again_what_it_has_shown_and_nothing_happens() -> None:
    fields: dict[str, Any] = {
        **NEW,
        "CreatedDate": "10:00",
        "FirstResponseDate": "10:05",
        "IsEscalated": True,
        "MasterRecordId": None,
    }
    told = ticket().push("10:00", Kind.CREATE, **fields)
    before = told.folded().facts
    assert told.push("10:10", **fields).push("10:20", **fields).folded().facts == before


def test_a_gap_is_fetched_and_what_is_older_than_the_fetch_changes_nothing() -> None:
    told = ticket().create("10:00", **NEW).gap("10:10")
    assert told.folded().dirty
    told.fetch("10:12", **{**NEW, "Status": "Closed"}, ClosedDate="10:10", LastModifiedDate="10:10")
    folded = told.tell("10:05", Status="Working").folded()
    assert (folded.dirty, folded.state["Status"]) == (False, "Closed")
    assert story(folded) == ["10:00 created X", "10:10 closed X", "10:10 first_closed X"]


def test_a_fetch_that_shows_nothing_new_settles_a_gap_too_and_a_later_gap_opens_it_again() -> None:
    told = ticket().create("10:00", **NEW).gap("10:10").fetch("10:12", **NEW, LastModifiedDate="10:00")
    assert not told.folded().dirty
    assert told.gap("10:15").folded().dirty


def test_a_crm_whose_clock_is_ahead_settles_its_gaps_by_what_it_shows() -> None:
    told = ticket().create("10:00", **NEW).gap("10:17:00.5").fetch("10:10", **NEW, LastModifiedDate="10:17")
    assert not told.folded().dirty


def test_a_created_gap_counts_in_its_own_interval_once_it_is_fetched() -> None:
    told = ticket().gap("10:00", "GAP_CREATE")
    assert (told.folded().facts, told.folded().dirty) == ([], True)
    folded = told.fetch("13:00", **{**NEW, "OwnerId": ANN}, CreatedDate="10:00", LastModifiedDate="10:30").folded()
    assert story(folded) == ["10:00 created X Ann", "10:00 assigned X Ann"]
    assert not folded.dirty


def test_a_deletion_that_came_as_a_gap_counts_at_its_commit() -> None:
    told = ticket().create("10:00", **NEW).gap("10:10", "GAP_DELETE")
    assert (story(told.folded())[1:], told.folded().dirty) == (["10:10 deleted_open X", "10:10 deleted X"], True)
    folded = told.missing("10:30", "10:30").folded()
    assert (story(folded)[1:], folded.dirty) == (["10:10 deleted_open X", "10:10 deleted X"], False)
    back = told.gap("10:40", "GAP_UNDELETE").fetch("10:41", **NEW, LastModifiedDate="10:00").folded()
    assert (story(back)[3:], back.dirty) == (["10:40 undeleted X", "10:40 undeleted_open X"], False)


def test_a_record_that_a_reconciliation_has_not_seen_is_deleted() -> None:
    folded = ticket().create("10:00", **NEW).missing("10:10", "10:12").folded()
    assert story(folded)[1:] == ["10:10 deleted_open X", "10:10 deleted X"]


def test_fetched_again_and_again_changes_nothing() -> None:
    told = ticket().create("10:00:00.7", **NEW).tell("10:05:00.2", OwnerId=ANN).tell("10:05:00.8", Status="Closed")
    before = told.folded().facts
    for at in ("10:10", "10:20"):
        told.fetch(at, **{**NEW, "Status": "Closed", "OwnerId": ANN}, LastModifiedDate="10:05")
    assert told.folded().facts == before


def test_a_ticket_whose_creation_nobody_told_is_taken_over_and_waits_for_a_fetch() -> None:
    told = ticket().tell("10:30:00.3", Status="Closed", ClosedDate="10:30", OwnerId=ANN, GroupId=X)
    folded = told.folded()
    assert folded.dirty
    assert story(folded) == [
        "10:30 reclassified_in X Ann",
        "10:30 assigned X Ann",
        "10:30 closed X Ann",
        "10:30 first_closed X Ann",
    ]
    fetched = told.fetch("11:00", **NEW, CreatedDate="09:00", LastModifiedDate="10:30").folded()
    assert (story(fetched)[0], fetched.dirty) == ("09:00 created X", False)
    assert the(fetched, Post.CLOSED).value == 5_400_000


def test_a_ticket_of_which_no_status_is_known_is_in_no_row() -> None:
    folded = ticket().tell("10:30", Priority="High").folded()
    assert (folded.facts, folded.dirty, folded.state) == ([], True, {"Priority": "High"})


def test_three_tickets_closed_by_one_event_close_at_one_instant() -> None:
    closes = []
    for number in range(3):
        told = ticket(f"50000000000000{number}AAA").create("10:00", **NEW).tell("10:10", Status="Closed")
        closes.append(the(told.folded(), Post.CLOSED))
    assert {close.at for close in closes} == {ms("10:10")}
    assert len({close.record for close in closes}) == 3


def test_every_fact_names_its_record() -> None:
    folded = ticket().create("10:00", **NEW).tell("10:10", GroupId=Y, IsEscalated=True).delete("10:20").folded()
    assert {fact.record for fact in folded.facts} == {TICKET}
