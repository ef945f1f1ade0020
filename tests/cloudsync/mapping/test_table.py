import msgspec
import pytest
from msgspec import UNSET

from bridge.cloudsync.events.mapped import GroupRow, PresenceRow, StatusRow, UserRow
from bridge.cloudsync.mapping import table
from bridge.cloudsync.mapping.table import Table
from bridge.words.settings import Cloudsync, Duration, Group

GROUP, OTHER = "00G000000000001EAA", "00G000000000002EAA"
USER = "005000000000001AAA"
PRESENCE = "0N5000000000001AAA"
WRITTEN = Cloudsync(
    groups={GROUP[:15]: Group(name="Billing", sl_threshold=Duration(30.0))},
    statuses={"SupportTicket": {"New": "open"}},
    presence={PRESENCE: "away"},
)


def test_an_id_goes_from_pending_to_resolved_and_the_operator_s_word_is_manual() -> None:
    known = Table(WRITTEN)
    mentioned = [f"user:{USER}", f"group:{OTHER}", "status:SupportTicket:Odd", "status:SupportTicket:New"]
    assert known.mention([*mentioned, f"presence:{PRESENCE}"]) == mentioned[:3]
    assert known.mention(mentioned) == []
    assert [known.state(id_) for id_ in mentioned] == ["pending", "pending", "pending", "manual"]
    assert known.state("user:else") is None
    assert known.take(UserRow(id=USER, at=5, name="Ada", default_group=OTHER), 10) == f"user:{USER}"
    known.miss(f"group:{OTHER}", 10)
    assert [known.state(id_) for id_ in mentioned[:2]] == ["resolved", "missing"]
    assert known.pending() == ["status:SupportTicket:Odd"]


def test_a_group_that_is_written_without_a_zone_is_asked_for() -> None:
    known = Table(WRITTEN)
    assert known.mention([f"group:{GROUP}"]) == [f"group:{GROUP}"]
    known.take(GroupRow(id=GROUP, at=1, name="CRM's name", zone="Europe/Berlin", sl_threshold=1, short_abandon=7), 1)
    mapping = known.mapping
    assert mapping.names[GROUP] == "Billing"
    assert mapping.zone[GROUP] == "Europe/Berlin"
    assert mapping.sl_threshold[GROUP] == 30_000
    assert known.state(f"group:{GROUP}") == "manual"


def test_the_mapping_is_the_same_object_until_something_changes() -> None:
    known = Table(WRITTEN)
    before = known.mapping
    assert known.mapping is before
    known.mention([f"user:{USER}"])
    assert known.mapping is before
    known.take(UserRow(id=USER, at=1, name="Ada"), 1)
    assert known.mapping is not before
    known.follow(Cloudsync())
    assert known.mapping.presence == {}


def test_older_news_changes_nothing_and_what_is_unsaid_stays() -> None:
    known = Table(Cloudsync())
    known.take(UserRow(id=USER, at=5, name="Ada", default_group=GROUP), 1)
    known.take(UserRow(id=USER, at=6, default_group=OTHER), 2)
    known.take(UserRow(id=USER, at=4, name="Old", default_group=GROUP), 3)
    assert (known.mapping.names, known.mapping.default_group) == ({USER: "Ada"}, {USER: OTHER})
    known.take(UserRow(id=USER, at=7, name=UNSET, default_group=None), 4)
    assert known.mapping.default_group == {}


def test_a_tombstone_keeps_what_was_known() -> None:
    known = Table(Cloudsync())
    known.take(UserRow(id=USER, at=5, name="Ada", default_group=GROUP), 1)
    known.take(UserRow(id=USER, at=6, deleted=True), 2)
    assert known.state(f"user:{USER}") == "missing"
    assert known.mapping.names == {USER: "Ada"}


def test_statuses_are_mapped_by_name_and_told_by_id() -> None:
    known = Table(WRITTEN)
    known.take(StatusRow(id="s1", at=1, entity="SupportTicket", api_name="Parked", category="open"), 1)
    known.take(StatusRow(id="s2", at=1, entity="SupportTicket", api_name="Done", closed=True), 1)
    known.take(StatusRow(id="s3", at=1, entity="SupportTicket", api_name="New", closed=True), 1)
    known.take(StatusRow(id="s4", at=1, entity="SupportTicket", api_name="Odd", category="sideways"), 1)
    assert known.mapping.closed == {
        ("SupportTicket", "Parked"): False,
        ("SupportTicket", "Done"): True,
        ("SupportTicket", "New"): False,
    }
    assert known.take(StatusRow(id="s1", at=2, closed=True), 2) == "status:SupportTicket:Parked"
    assert known.mapping.closed["SupportTicket", "Parked"]
    assert known.take(StatusRow(id="s9", at=2, closed=True), 2) is None


def test_what_makes_no_sense_is_not_believed() -> None:
    known = Table(Cloudsync())
    known.take(GroupRow(id=GROUP, at=1, name="", zone="Mars/Base", sl_threshold=None), 1)
    known.take(PresenceRow(id=PRESENCE, at=1, label="Odd", category="dancing"), 1)
    mapping = known.mapping
    assert (mapping.zone, mapping.sl_threshold, mapping.presence, mapping.names) == ({}, {}, {}, {})


def test_what_was_asked_long_ago_is_stale_and_what_is_missing_too() -> None:
    known = Table(Cloudsync())
    known.mention(["user:a", "user:b", "user:c"])
    known.take(UserRow(id="a", at=1, name="A"), 100)
    known.miss("user:b", 200)
    assert known.stale(150) == ["user:a"]
    assert known.stale(250) == ["user:a", "user:b"]


def test_it_is_kept_and_restored() -> None:
    known = Table(Cloudsync())
    known.mention([f"group:{OTHER}"])
    known.take(UserRow(id=USER, at=5, name="Ada", default_group=GROUP), 1)
    known.take(StatusRow(id="s1", at=1, entity="SupportTicket", api_name="Parked", category="open"), 1)
    again = Table(Cloudsync())
    again.restore(known.keep())
    assert list(again.rows()) == list(known.rows())
    assert again.mapping == known.mapping
    assert again.take(StatusRow(id="s1", at=2, closed=True), 2)
    with pytest.raises(msgspec.DecodeError):
        again.restore(b"{")


def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "MOST", 3)
    known = Table(Cloudsync())
    assert len(known.mention([f"user:{number}" for number in range(10)])) == 3
    assert known.take(UserRow(id=USER, at=1), 1) is None
    assert known.refused == 8
