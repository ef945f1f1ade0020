"""Stories of events as they are read."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.cloudsync.events import adapt
from bridge.words.cloudsync import Change, Kind, Rejected, Source
from tests.cloudsync.events.messages import (
    AGENT,
    ALL,
    CHAT,
    NOON,
    TICKET,
    captured,
    header,
    pushed,
    spelled,
    update,
    whole,
)

CHANNEL = "data/SupportTicketChangeEvent"


def read(payload: bytes, channel: str = CHANNEL) -> list[Change]:
    found = adapt.read(channel, payload, ALL)
    assert isinstance(found, list), found
    return found


def one(payload: bytes, channel: str = CHANNEL) -> Change:
    (change,) = read(payload, channel)
    return change


def refused(payload: bytes, channel: str = CHANNEL) -> str:
    found = adapt.read(channel, payload, ALL)
    assert isinstance(found, Rejected), found
    assert found.detail.endswith(".")
    return found.reason


def test_a_change_event_says_what_was_set_and_when() -> None:
    change = one(update({"Status": "Closed", "ClosedDate": "2026-06-09T12:00:00.000Z", "Subject": "private"}))
    assert change == Change(
        "SupportTicket",
        TICKET,
        Kind.UPDATE,
        Source.CDC,
        NOON,
        17,
        1,
        {"Status": "Closed", "ClosedDate": NOON},
        f"SupportTicket|0001-cd00|1|UPDATE|{TICKET}",
    )


def test_the_whole_message_the_data_alone_and_the_payload_alone_are_one_event() -> None:
    data = captured(header(changedFields=["Status"]), {"Status": "Closed"})
    forms = [whole(f"/{CHANNEL}", data), spelled(data), spelled(data["payload"]), b"\xef\xbb\xbf" + spelled(data)]
    changes = [one(form, channel) for form in forms for channel in (CHANNEL, "")]
    assert all(change == changes[0] for change in changes)


def test_the_same_event_again_has_the_same_identity_whatever_its_replay_id_and_commit_number() -> None:
    again = captured(header(commitNumber=99, changedFields=["Status"]), {"Status": "Closed"}, replay="opaque")
    assert one(spelled(again)).identity == one(update({"Status": "Closed"})).identity


@pytest.mark.parametrize(
    "other",
    [
        {"transactionKey": "0002-cd00"},
        {"sequenceNumber": 2},
        {"recordIds": ["500000000000002AAA"]},
        {"entityName": "ChatSession"},
        {"changeType": "UNDELETE"},
    ],
)
def test_another_transaction_sequence_record_entity_or_type_is_another_event(other: dict[str, Any]) -> None:
    assert one(update({}, **other)).identity != one(update({})).identity


def test_ids_of_fifteen_and_eighteen_characters_name_the_same_records() -> None:
    short = one(update({"OwnerId": AGENT[:15]}, recordIds=[TICKET[:15]]))
    assert short == one(update({"OwnerId": AGENT}))
    assert short.fields == {"OwnerId": AGENT}


def test_a_merged_event_is_taken_apart() -> None:
    records = ["500000000000001AAA", "500000000000002AAA", "500000000000003", "500000000000003AAA"]
    changes = read(update({"Status": "Closed"}, recordIds=records))
    assert [change.record for change in changes] == [*records[:2], "500000000000003AAA"]
    assert len({change.identity for change in changes}) == 3
    assert {change.at for change in changes} == {NOON}


def test_in_cometd_null_clears_and_absent_is_unchanged() -> None:
    assert one(update({"ClosedDate": None, "Status": "New"})).fields == {"ClosedDate": None, "Status": "New"}


def test_in_pubsub_a_null_that_is_not_named_is_unchanged() -> None:
    payload = update({"Status": "New", "ClosedDate": None, "Priority": None}, ["Status", "ClosedDate"])
    assert one(payload).fields == {"Status": "New", "ClosedDate": None}


def test_nulls_of_a_create_are_nothing() -> None:
    assert one(spelled(captured(header("CREATE"), {"Status": "New", "Priority": None}))).fields == {"Status": "New"}


def test_changed_fields_as_a_bitmap_are_read_by_the_order_of_the_keys() -> None:
    fields = {"Status": "New", "Priority": None, "ClosedDate": None}
    assert one(update(fields, ["0x0A"])).fields == {"Status": "New", "ClosedDate": None}


@pytest.mark.parametrize("bitmap", [["0x100"], ["0x4"], ["0xB"], ["0xZZ"], ["0x2", "3-0x1"], ["0x"]])
def test_a_bitmap_that_cannot_be_decoded_makes_a_gap(bitmap: list[str]) -> None:
    change = one(update({"Status": "New", "Priority": None, "ClosedDate": None}, bitmap))
    assert (change.kind, change.fields) == (Kind.GAP, {"gap": "UPDATE"})


@pytest.mark.parametrize("value", [{"diff": "--- a\n+++ b"}, ["a"], {}])
def test_a_value_that_no_field_can_have_is_never_stored_and_leaves_a_gap(value: object) -> None:
    change, gap = read(update({"Status": value, "Priority": "High"}))
    assert change.fields == {"Priority": "High"}
    assert (gap.kind, gap.record, gap.at) == (Kind.GAP, TICKET, NOON)
    assert gap.identity != change.identity


def test_a_field_that_the_header_calls_a_diff_leaves_a_gap() -> None:
    change, gap = read(update({"Reason": "--- a", "Status": "New"}, diffFields=["Reason"]))
    assert (change.fields, gap.kind) == ({"Status": "New"}, Kind.GAP)


@pytest.mark.parametrize("kind", ["GAP_CREATE", "GAP_UPDATE", "GAP_DELETE", "GAP_UNDELETE"])
def test_a_gap_names_its_record_and_says_nothing_of_it(kind: str) -> None:
    change = one(spelled(captured(header(kind), {"Status": "Closed"})))
    assert (change.kind, change.record, change.fields) == (Kind.GAP, TICKET, {"gap": kind})


@pytest.mark.parametrize(
    ("kind", "record"), [("GAP_OVERFLOW", "000000000000000AAA"), ("GAP_UPDATE", "500*"), ("UPDATE", "500*")]
)
def test_an_overflow_or_a_wildcard_is_a_gap_of_the_entity_as_a_whole(kind: str, record: str) -> None:
    change = one(spelled(captured(header(kind, record), {"Status": "Closed"})))
    assert (change.kind, change.record, change.fields) == (Kind.GAP, "", {"gap": kind})


def test_deletes_and_undeletes_are_told_apart() -> None:
    kinds = [one(spelled(captured(header(kind)))).kind for kind in ("CREATE", "UPDATE", "DELETE", "UNDELETE")]
    assert kinds == [Kind.CREATE, Kind.UPDATE, Kind.DELETE, Kind.UNDELETE]


def test_a_push_topic_shows_the_record_as_it_is() -> None:
    fields = {"Id": CHAT[:15], "Status": "InProgress", "OwnerId": None, "LastModifiedDate": "2026-06-09T12:00:00Z"}
    change = one(whole("/topic/LiveChats", pushed(fields)), "topic/LiveChats")
    assert (change.entity, change.record, change.source, change.at) == ("ChatSession", CHAT, Source.TOPIC, NOON)
    assert change.fields == {"Status": "InProgress", "OwnerId": None, "LastModifiedDate": NOON}
    assert change.identity == f"topic/LiveChats|13|{NOON + 1000}|updated|{CHAT}"
    assert one(whole("/topic/LiveChats", pushed(fields)), "") == change
    assert one(spelled(pushed(fields)), "topic/LiveChats") == change


def test_a_push_topic_without_last_modified_date_counts_from_its_created_date() -> None:
    assert one(spelled(pushed({"Id": CHAT})), "topic/LiveChats").at == NOON + 1000


@pytest.mark.parametrize(
    ("fields", "topic", "entity"),
    [
        ({"Id": "570000000000001AAA"}, "Everything", "ChatSession"),
        ({"Id": "500000000000001AAA"}, "Everything", "SupportTicket"),
        ({"Id": "0VS000000000001AAA", "EnqueueTime": None}, "Everything", "VideoSession"),
        ({"Id": "0N5000000000001AAA", "IsCurrentState": True}, "Everything", "UserPresence"),
        ({"Id": "0VS000000000001AAA"}, "LiveVideos", "VideoSession"),
        ({"Id": "0XX000000000001AAA"}, "AgentPresence", "UserPresence"),
        ({"Id": "0XX000000000001AAA", "attributes": {"type": "SupportTicket"}}, "LiveChats", "SupportTicket"),
    ],
)
def test_the_entity_of_a_push_topic_is_found_by_its_record(fields: dict[str, object], topic: str, entity: str) -> None:
    assert one(spelled(pushed(fields)), f"topic/{topic}").entity == entity


def test_video_sessions_have_the_names_of_chats_inside() -> None:
    fields = {"EnqueueTime": NOON, "StartDateTime": NOON, "EndDateTime": NOON, "HoldDuration": 12.5, "HostId": AGENT}
    assert one(update(fields, entityName="VideoSession")).fields == {
        "RequestTime": NOON,
        "AcceptTime": NOON,
        "EndTime": NOON,
        "HoldTime": 12.5,
        "HostId": AGENT,
    }


@pytest.mark.parametrize("entity", ["ChatSession", "Account"])
def test_an_entity_that_is_not_selected_is_ignored_by_name(entity: str) -> None:
    assert adapt.read("", update({}, entityName=entity), {"SupportTicket"}) == adapt.Ignored(entity)


@pytest.mark.parametrize("entity", ["User", "Group", "Status", "PresenceStatus"])
def test_names_need_not_be_selected(entity: str) -> None:
    found = adapt.read(f"user/{entity}ChangeEvent", update({"Name": "A"}, entityName=""), set())
    assert isinstance(found, list)
    assert (found[0].entity, found[0].fields) == (entity, {"Name": "A"})


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not_json"),
        (b"{", "not_json"),
        (b'{"data": NaN}', "not_json"),
        (b'{"data": Infinity}', "not_json"),
        (b'{"data": 1e999}', "not_json"),
        (b'{"data": "\\ud800"}', "not_json"),
        (b"[" * 200_000, "not_json"),
        (b'{"data": "\xff"}', "not_utf8"),
        (b'{"data": "' + b"a" * 1_000_000 + b'"}', "too_large"),
        (b"[]", "unknown_form"),
        (b"3", "unknown_form"),
        (b"{}", "unknown_form"),
        (b'{"data": {"payload": {"ChangeEventHeader": 3}}}', "unknown_form"),
        (spelled(captured({})), "missing_field"),
        (update({}, recordIds=[]), "missing_field"),
        (update({}, transactionKey=""), "missing_field"),
        (update({}, sequenceNumber="1"), "bad_value"),
        (update({}, sequenceNumber=1 << 70), "bad_value"),
        (update({}, recordIds=["500"]), "bad_id"),
        (update({}, commitTimestamp="2026-06-09T12:00:00"), "bad_time"),
        (update({}, changeType="SNAPSHOT"), "unknown_change_type"),
        (update({"CreatedDate": "2026-06-09T12:00:00"}), "bad_time"),
        (update({"CreatedDate": 12}), "bad_time"),
        (update({"IsEscalated": "perhaps"}), "bad_value"),
        (update({"Status": "x" * 256}), "bad_value"),
        (update({"Status": "a\0b"}), "bad_value"),
        (update({"HoldTime": -1}, entityName="ChatSession"), "bad_value"),
        (spelled({"sobject": {"Id": CHAT}}), "bad_value"),
        (spelled(pushed({"Status": "New", "Origin": "Web"})), "missing_field"),
        (spelled(pushed({"Id": TICKET}, "renamed")), "unknown_change_type"),
        (spelled(pushed({"Id": "0XX000000000001AAA"})), "unknown_entity"),
        (spelled(pushed({"Id": CHAT}, created="2026-06-09T12:00:00")), "bad_time"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_reason(payload: bytes, reason: str) -> None:
    assert refused(payload, "topic/Some") == reason


def test_a_reason_quotes_nothing_of_what_was_sent() -> None:
    found = adapt.read("", update({"Status": {"secret": 1}, "ClosedDate": "secret"}), ALL)
    assert isinstance(found, Rejected)
    assert "secret" not in found.detail


def test_a_fetched_record_shows_all_that_it_has() -> None:
    record = {"Id": TICKET[:15], "Status": "Closed", "OwnerId": None, "LastModifiedDate": NOON, "Subject": "private"}
    change = adapt.fetched("SupportTicket", record, NOON + 5)
    assert isinstance(change, Change)
    assert (change.record, change.kind, change.source, change.at, change.number) == (
        TICKET,
        Kind.UPDATE,
        Source.REST,
        NOON,
        NOON + 5,
    )
    assert change.fields == {"Status": "Closed", "OwnerId": None, "LastModifiedDate": NOON}


def test_a_fetched_record_that_cannot_be_read_is_refused_too() -> None:
    assert isinstance(adapt.fetched("SupportTicket", {"Status": "New"}, NOON), Rejected)
    assert isinstance(adapt.fetched("SupportTicket", {"Id": TICKET, "ClosedDate": "soon"}, NOON), Rejected)


def test_a_record_in_the_bin_is_gone() -> None:
    change = adapt.fetched("SupportTicket", {"Id": TICKET, "IsDeleted": True}, NOON)
    assert change == adapt.gone("SupportTicket", TICKET, NOON, NOON)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)
HEADS = st.fixed_dictionaries(
    {},
    optional={
        name: JSON | st.just(value)
        for name, value in header("UPDATE", changedFields=["Status"], diffFields=None).items()
    },
)
NAMES = st.sampled_from(["Status", "OwnerId", "CreatedDate", "IsEscalated", "HoldTime", "DeclineCount", "Other"])


@settings(max_examples=300, deadline=None)
@given(HEADS, st.dictionaries(NAMES, JSON, max_size=4), st.sampled_from(["", CHANNEL, "topic/LiveChats"]))
def test_nothing_that_can_be_sent_breaks_the_reader(
    head: dict[str, object], fields: dict[str, object], channel: str
) -> None:
    for message in (captured(head, fields), {"event": head, "sobject": fields}, pushed({"Id": TICKET, **fields})):
        try:
            payload = spelled(message)
        except OverflowError:
            continue
        found = adapt.read(channel, payload, ALL)
        assert isinstance(found, list | Rejected | adapt.Ignored)
        if isinstance(found, list):
            assert all(
                value is None or isinstance(value, str | int | float)
                for each in found
                for value in each.fields.values()
            )


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_no_bytes_break_the_reader(payload: bytes) -> None:
    assert isinstance(adapt.read("", payload, ALL), Rejected)
