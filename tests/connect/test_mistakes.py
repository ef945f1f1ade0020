"""Callers' mistakes in values: seen, told, and never with the value itself."""

import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.connect.mistakes import notes


def codes(value: object, name: str = "x") -> list[str]:
    raw = msgspec.Raw(json.dumps(value, ensure_ascii=False).encode())
    return [note.partition(":")[0] for note in notes({}, {name: raw})]


@pytest.mark.parametrize(
    "value",
    [
        "{insert_agentId}",
        " {name_of_event} ",
        "{insert prop 1}",
        "${agent.id}",
        "id-${x}-1",
        "$(AgentId)",
        "%%callerid%%",
        "{{contact.name}}",
        "Call from {{ x }}",
        ["a", "${x}"],
        {"a": {"b": "{{x}}"}},
    ],
)
def test_a_template_variable_that_was_not_filled_in_is_a_placeholder(value: object) -> None:
    assert codes(value) == ["placeholder"]


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        "{}",
        '{"a": 1}',
        "a {b} c",
        "100%",
        "50%% off",
        "$5",
        "$(",
        "${",
        "{{}}",
        "%% x %%",
        5,
        None,
        True,
        {"a": 1},
        {"name": "x"},
        [[1], {"a": {}}],
    ],
)
def test_what_only_looks_a_little_like_one_is_not(value: object) -> None:
    assert codes(value) == []


@pytest.mark.parametrize("value", [" 15551234567", " 1 (555) 123-4567", " 49.30.1234567"])
def test_a_blank_before_a_telephone_number_is_a_lost_plus(value: str) -> None:
    assert codes(value) == ["plus_lost"]


@pytest.mark.parametrize(
    "value", ["15551234567", "+15551234567", " 12345", " a1555123456", "  15551234567", " 2024-01"]
)
def test_other_blanks_and_digits_are_not(value: str) -> None:
    assert codes(value) in ([], ["plus_lost"] if value == " 2024-01" else [])


def test_reserved_values_are_judged_too() -> None:
    found = notes({"agentid": "{insert_agentId}", "event": "On Ring", "crmid": " 15551234567"}, {})
    assert [note.partition("`")[2].partition("`")[0] for note in found] == ["agentid", "crmid"]


@given(st.text(max_size=40))
def test_no_value_is_ever_quoted(value: str) -> None:
    for note in notes({"agentid": f"${{secret{value}}}"}, {}):
        assert "secret" not in note


def test_a_long_hostile_value_does_not_stall() -> None:
    for value in (
        "${" * 65_000,
        "%%" + "a" * 130_000,
        "{" * 130_000,
        " 1" + " " * 130_000,
        "$(" * 65_000,
        "{{a" * 40_000,
    ):
        codes(value)
        notes({"agentid": value}, {})


@given(st.dictionaries(st.text(max_size=3), st.text('{}$%() 1a"\\\n', max_size=12), max_size=4))
def test_values_are_judged_each_by_itself(values: dict[str, str]) -> None:
    data = {name: msgspec.Raw(json.dumps(value).encode()) for name, value in values.items()}
    assert notes({}, data) == [note for name, raw in data.items() for note in notes({}, {name: raw})]
    assert notes({}, data) == notes(values, {})


PIECES = [*"{}$%() a", "\\u007b", "\\u007D", "\\u0024", "\\u0025", "\\u0022", "\\u00e9", '\\"']


@given(st.lists(st.sampled_from(PIECES), max_size=9).map("".join))
@example("\\u007b\\u007ba}} {}")
def test_a_value_with_one_sign_as_it_is_is_judged_by_what_its_escapes_stand_for(spelled: str) -> None:
    judged = set("{%$") & set(spelled) or spelled.startswith(" ")
    expected = notes({"x": json.loads(f'"{spelled}"')}, {}) if judged else []
    assert notes({}, {"x": msgspec.Raw(f'"{spelled}"'.encode())}) == expected
