"""Stories of ids."""

import pytest

from bridge.cloudsync.events import ids


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("500000000000001", "500000000000001AAA"),
        ("000000000000000", "000000000000000AAA"),
        ("00G000000000001", "00G000000000001EAA"),
        ("ABCDEABCDEABCDE", "ABCDEABCDEABCDE555"),
        ("001A0000006Vm9r", "001A0000006Vm9rIAC"),
    ],
)
def test_fifteen_characters_get_the_three_that_tell_their_case(short: str, long: str) -> None:
    assert ids.long(short) == long


def test_eighteen_characters_stay_as_the_crm_spells_them() -> None:
    assert ids.long("00G000000000001AAA") == "00G000000000001AAA"


@pytest.mark.parametrize("wrong", ["", "500", "50000000000000001", "500000000000001AA/", "5000000000000010000"])
def test_anything_else_is_no_id(wrong: str) -> None:
    with pytest.raises(ValueError, match="15 or 18"):
        ids.long(wrong)


@pytest.mark.parametrize(
    ("record", "whole"),
    [("000000000000000AAA", True), ("500*", True), ("000000000000000", True), ("500000000000001AAA", False)],
)
def test_a_dummy_and_a_wildcard_stand_for_the_entity_as_a_whole(record: str, whole: bool) -> None:  # noqa: FBT001
    assert ids.is_whole(record) is whole
