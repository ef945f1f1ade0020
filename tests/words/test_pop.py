"""The document that reaches the desktops: its keys, their order, one line."""

import json
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.words.pop import Pop, encode, new_id

KEYS = (
    "popid",
    "event",
    "agentid",
    "crmid",
    "ctiid",
    "campaign",
    "reference",
    "sent",
    "expires",
    "ack",
    "traceparent",
    "fields",
    "variables",
    "data",
)


def test_the_keys_stand_in_the_contracts_order() -> None:
    whole = Pop(
        popid="p",
        event="e",
        agentid="a",
        crmid="c",
        ctiid="t",
        campaign="n",
        reference="r",
        sent="s",
        expires="x",
        ack="k",
        traceparent="00",
        fields={"f": msgspec.Raw(b"1")},
        variables={"v": msgspec.Raw(b"2")},
        data={},
    )
    assert tuple(json.loads(encode(whole))) == KEYS


def test_keys_that_do_not_apply_are_absent_and_data_is_always_there() -> None:
    least = Pop(popid="p", event="e", agentid="a", sent="s", expires="x", ack="k", data={})
    assert list(json.loads(encode(least))) == ["popid", "event", "agentid", "sent", "expires", "ack", "data"]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_it_is_one_line_of_utf_8(text: str) -> None:
    pop = Pop(
        popid="p",
        event=text,
        agentid=text,
        sent="s",
        expires="x",
        ack="k",
        data={text: msgspec.Raw(json.dumps(text).encode())},
    )
    spelled = encode(pop)
    assert b"\n" not in spelled
    assert b"\r" not in spelled
    said = json.loads(spelled.decode())
    assert (said["event"], said["agentid"], said["data"]) == (text, text, {text: text})


@pytest.mark.parametrize("spelled", [b"1.50", b"1e5", b'{"b":1,"a":2}', b'"\\u00e9"', b"null"])
def test_data_is_spelled_as_given(spelled: bytes) -> None:
    pop = Pop(popid="p", agentid="a", sent="s", expires="x", ack="k", data={"d": msgspec.Raw(spelled)})
    assert encode(pop).endswith(b'"data":{"d":' + spelled + b"}}")


def test_a_popid_is_of_the_contracts_form_and_never_the_same() -> None:
    made = {new_id(1_767_225_600.0) for _ in range(1_000)}
    assert len(made) == 1_000
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{16,40}", popid) for popid in made)


def test_later_popids_sort_after_earlier_ones() -> None:
    moments = [0.0, 0.001, 1.0, 1_767_225_600.0, 1_767_225_600.001, 1_767_225_661.0, 4_102_444_800.0]
    made = [new_id(moment) for moment in moments]
    assert made == sorted(made)
