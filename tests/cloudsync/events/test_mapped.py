"""Stories of names: users, groups and statuses."""

from msgspec import UNSET

from bridge.cloudsync.events.mapped import GroupRow, PresenceRow, StatusRow, UserRow, mapping_change
from bridge.words.cloudsync import Change, Kind, Source, Value
from tests.cloudsync.events.messages import NOON


def told(entity: str, kind: Kind = Kind.UPDATE, **fields: Value) -> Change:
    return Change(entity, "X", kind, Source.CDC, NOON, 1, 1, fields, "i")


def test_a_user_has_a_name_and_a_default_group() -> None:
    row = mapping_change(told("User", Name="Ann", Username="ann@x", DefaultGroupId="G", TimeZone=None))
    assert row == UserRow(id="X", at=NOON, name="Ann", username="ann@x", default_group="G", zone=None)


def test_what_an_event_does_not_say_is_unset() -> None:
    row = mapping_change(told("User", Name="Ann"))
    assert isinstance(row, UserRow)
    assert row.default_group is UNSET


def test_a_group_has_its_limits_in_milliseconds() -> None:
    row = mapping_change(told("Group", Name="Billing", ServiceLevelSeconds=20, ShortAbandonSeconds=2.5))
    assert row == GroupRow(id="X", at=NOON, name="Billing", sl_threshold=20_000, short_abandon=2_500)


def test_a_status_says_whether_it_closes() -> None:
    fields: dict[str, Value] = {"Entity": "SupportTicket", "ApiName": "Closed", "Category": "Done", "IsClosed": True}
    assert mapping_change(told("Status", Kind.CREATE, **fields)) == StatusRow(
        id="X", at=NOON, entity="SupportTicket", api_name="Closed", category="done", closed=True
    )


def test_a_status_of_presence_is_a_presence_status() -> None:
    row = PresenceRow(id="X", at=NOON, label="Lunch", category="break")
    assert mapping_change(told("Status", Entity="UserPresence", Name="Lunch", Category="Break")) == row
    assert mapping_change(told("PresenceStatus", Name="Lunch", Category="Break")) == row


def test_a_deleted_user_is_told_and_a_gap_says_nothing() -> None:
    assert mapping_change(told("User", Kind.DELETE)) == UserRow(id="X", at=NOON, deleted=True)
    assert mapping_change(told("User", Kind.GAP, gap="GAP_UPDATE")) is None
