"""Reading: what a request says, merged from query and body by the contract's rules for names and values."""

import json
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.connect import forms, jsontext, reading
from bridge.words.errors import Fault

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


def read(query: str = "", body: object = None, kind: str = JSON) -> reading.Reading:
    content = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return reading.read(query, kind, content)


def data(found: reading.Reading) -> dict[str, object]:
    return {name: json.loads(bytes(value)) for name, value in found.data.items()}


def codes(found: reading.Reading) -> list[str]:
    return [note.partition(":")[0] for note in found.warnings]


def refused(query: str = "", body: object = None, kind: str = JSON) -> tuple[str, str]:
    with pytest.raises(Fault) as caught:
        read(query, body, kind)
    return caught.value.problem.code, caught.value.detail


def test_reserved_key_controls_and_data_are_told_apart() -> None:
    found = read("agentid=1001&jwt=K&event=On+Ring&pop_wait=2&caller=%2B15551234567")
    assert found.reserved == {"agentid": "1001", "event": "On Ring"}
    assert found.key == "K"
    assert found.controls == {"pop_wait": "2"}
    assert data(found) == {"caller": "+15551234567"}
    assert found.warnings == []


@pytest.mark.parametrize("name", ["agentid", "event", "crmid", "ctiid", "jwt"])
def test_another_casing_is_read_with_a_warning(name: str) -> None:
    found = read(f"{name.title()}=x")
    assert (found.key if name == "jwt" else found.reserved[name]) == "x"
    assert found.warnings == [f"parameter_case: `{name.title()}` was read as `{name}`; spell it in lower case."]
    assert found.data == {}


def test_two_other_casings_with_different_values_are_ambiguous() -> None:
    assert refused("agentId=1&AgentID=2") == (
        "ambiguous_parameter",
        "`agentId` and `AgentID`: different values were given.",
    )
    assert read("agentId=1&AgentID=1").reserved == {"agentid": "1"}


def test_where_the_lower_case_name_is_there_other_casings_are_data() -> None:
    found = read("agentid=1001&agentId=Smith&AGENTID=x")
    assert found.reserved == {"agentid": "1001"}
    assert data(found) == {"agentId": "Smith", "AGENTID": "x"}
    assert found.warnings == []


def test_such_data_keeps_its_place_and_the_bodys_value_wins() -> None:
    found = read("agentid=1&a=1&agentId=q&b=2", {"agentId": "body"})
    assert list(data(found).items()) == [("a", "1"), ("agentId", "body"), ("b", "2")]
    assert codes(found) == ["data_overridden"]
    found = read("", '{"a": 1, "agentId": 2, "agentid": "x", "b": 3}')
    assert list(data(found)) == ["a", "agentId", "b"]


def test_no_casing_of_the_key_is_ever_data() -> None:
    found = read("jwt=K&JWT=other&Jwt=third", {"jWt": "fourth"})
    assert found.key == "K"
    assert found.data == {}


@pytest.mark.parametrize(
    ("spelled", "text"),
    [("1001", "1001"), ("true", "true"), ("1.50", "1.50"), ("1e3", "1e3"), ('"1001"', "1001"), ("0", "0")],
)
def test_reserved_numbers_and_booleans_become_text_as_spelled(spelled: str, text: str) -> None:
    assert read("", f'{{"agentid": {spelled}}}').reserved == {"agentid": text}


def test_reserved_null_is_as_good_as_empty() -> None:
    assert read("", {"agentid": None}).reserved == {"agentid": ""}


@pytest.mark.parametrize("value", [[], ["1"], {}, {"a": 1}])
def test_reserved_objects_and_lists_are_refused(value: object) -> None:
    assert refused("", {"agentid": value})[0] == "invalid_parameter"
    assert refused("", {"pop_wait": value})[0] == "invalid_parameter"


def test_the_same_reserved_name_with_two_values_is_ambiguous() -> None:
    assert refused("agentid=1&agentid=2")[0] == "ambiguous_parameter"
    assert refused("agentid=1", {"agentid": "2"})[0] == "ambiguous_parameter"
    assert refused("jwt=1", {"jwt": "2"})[0] == "ambiguous_parameter"
    assert refused("pop_wait=1&pop_wait=2")[0] == "ambiguous_parameter"
    assert read("agentid=1&agentid=1", {"agentid": 1}).reserved == {"agentid": "1"}


def test_a_name_repeated_in_query_or_form_becomes_a_list_of_strings() -> None:
    assert data(read("a=1&b=x&a=2&a=")) == {"a": ["1", "2", ""], "b": "x"}
    assert data(read("", "a=1&a=2", FORM)) == {"a": ["1", "2"]}


def test_a_name_in_query_and_body_takes_the_bodys_value() -> None:
    found = read("a=1&a=2&b=3", {"a": 5})
    assert data(found) == {"a": 5, "b": "3"}
    assert found.warnings == ["data_overridden: `a` came in the query and in the body; the body's value was taken."]


def test_data_keeps_spelling_types_and_order() -> None:
    found = read("", '{ "z": 1.50, "a": [ 1e5, {"y": null, "x": true} ], "m": "\\u00e9", "n": -0 }')
    assert [(name, bytes(value)) for name, value in found.data.items()] == [
        ("z", b"1.50"),
        ("a", b'[1e5,{"y":null,"x":true}]'),
        ("m", b'"\\u00e9"'),
        ("n", b"-0"),
    ]


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "application/json",
        "application/JSON",
        "Application/Json; charset=UTF-8",
        "application/json;charset=utf8",
        'application/json; charset="utf-8"',
        " application/json ",
        "text/plain",
        "text/plain; charset=us-ascii",
        "text/json",
        "application/vnd.platform+json",
    ],
)
def test_json_is_read_under_every_such_media_type(kind: str) -> None:
    assert data(read("", {"a": 1}, kind)) == {"a": 1}


@pytest.mark.parametrize(
    "kind",
    [
        "application/xml",
        "text/html",
        "application/octet-stream",
        "nonsense",
        "image/png; a=b",
        "application/json; charset=utf-16",
    ],
)
def test_other_media_types_are_refused_before_the_form_of_the_body(kind: str) -> None:
    assert refused("", "{", kind)[0] == "unsupported_media_type"
    assert refused("a=%FF", "{}", kind)[0] == "unsupported_media_type"


@pytest.mark.parametrize("charset", ["ISO-8859-1", "latin1", "Windows-1252"])
def test_an_ascii_body_may_be_called_latin_1_as_old_java_stacks_do(charset: str) -> None:
    assert data(read("", {"a": 1}, f"text/plain; charset={charset}")) == {"a": 1}
    assert refused("", '{"a": "\u00e9"}', f"text/plain; charset={charset}")[0] == "unsupported_media_type"


@pytest.mark.parametrize("body", ["", " ", "\r\n", "\n\t "])
@pytest.mark.parametrize("kind", ["", JSON, FORM, "multipart/form-data", "application/xml"])
def test_an_empty_body_counts_as_none(body: str, kind: str) -> None:
    assert data(read("a=1", body, kind)) == {"a": "1"}


def test_the_documents_sample_bodies_are_read_with_a_warning() -> None:
    body = """{
    "agentid": "insert_agentId",
    "jwt": "insert_api_key",
    "crmid": "insert_crmid",
    "event": "insert_event_name",
    "insert_prop_1": "insert_prop_1_value",
    "insert_prop_2": "insert_prop_2_value",
    "insert_prop_3": "insert_prop_3_value",
}"""
    found = read("", body)
    assert codes(found) == ["json_repaired"]
    assert found.reserved == {"agentid": "insert_agentId", "event": "insert_event_name", "crmid": "insert_crmid"}
    assert list(data(found)) == ["insert_prop_1", "insert_prop_2", "insert_prop_3"]
    assert found.key == "insert_api_key"


def test_a_url_copied_from_html_is_read_with_a_warning() -> None:
    found = read("agentid=1&amp;event=On+Ring&amp;a=2")
    assert found.reserved == {"agentid": "1", "event": "On Ring"}
    assert data(found) == {"a": "2"}
    assert codes(found) == ["html_entity", "html_entity"]
    assert data(read("amp;=1")) == {"amp;": "1"}


@pytest.mark.parametrize("query", ["a=x%2520y", "a%2520=1", "a=%252B1"])
def test_a_value_encoded_twice_is_told(query: str) -> None:
    assert codes(read(query)) == ["double_encoded"]
    assert codes(read("", query, FORM)) == ["double_encoded"]


@pytest.mark.parametrize("query", ["a=100%25", "a=%25", "a=%25zz"])
def test_a_per_cent_sign_alone_is_not(query: str) -> None:
    assert codes(read(query)) == []


def test_other_names_beginning_pop_are_dropped_with_a_warning() -> None:
    found = read("pop_color=red&pop_=1", {"pop_other": {"a": 1}})
    assert found.controls == {}
    assert found.data == {}
    assert codes(found) == ["unknown_control"] * 3


def test_controls_may_come_in_query_or_body_as_numbers_too() -> None:
    assert read("pop_until=delivered", {"pop_wait": 2.5, "pop_dryrun": True}).controls == {
        "pop_until": "delivered",
        "pop_wait": "2.5",
        "pop_dryrun": "true",
    }


KEY = "eyJhbGciOiJFUzI1NiIsImtpZCI6.c0ffee.5igna7ure"


def test_data_that_contains_the_key_is_dropped_with_a_warning() -> None:
    found = read(urlencode({"url": f"https://x/?jwt={KEY}", "a": "1", KEY: "x"}), {"deep": {"list": [f"Bearer {KEY}"]}})
    reading.withhold(KEY, found)
    assert data(found) == {"a": "1"}
    assert codes(found) == ["key_in_data"] * 3
    assert KEY not in "".join(found.warnings)


def test_escapes_do_not_hide_the_key() -> None:
    escaped = "".join(f"\\u{ord(character):04x}" for character in KEY)
    found = read("", f'{{"a": "{escaped}", "b": {{"{escaped}": 1e999}}, "c": "\\u0041", "n": {"9" * 64}}}')
    reading.withhold(KEY, found)
    assert list(found.data) == ["c", "n"]


def test_a_warning_does_not_quote_the_beginning_of_the_key() -> None:
    found = read(urlencode({f"pop_{KEY}": "1"}))
    reading.withhold(KEY, found)
    assert KEY[:24] not in "".join(found.warnings)


@pytest.mark.parametrize("name", ["agentid", "event", "crmid", "ctiid"])
def test_a_reserved_value_with_the_key_in_it_is_refused_without_quoting_it(name: str) -> None:
    found = read(urlencode({name: f"x{KEY}"}))
    with pytest.raises(Fault) as caught:
        reading.withhold(KEY, found)
    assert caught.value.problem.code == "invalid_parameter"
    assert KEY not in caught.value.detail


NAMES = st.sampled_from(
    ["agentid", "agentId", "jwt", "JWT", "event", "crmid", "pop_wait", "pop_x", "a", "amp;a", "b", ""]
)
TEXTS = st.sampled_from(["", "1", "2", "x y", "%2520", "é"])


@given(
    st.lists(st.tuples(NAMES, TEXTS), max_size=6),
    st.dictionaries(NAMES, TEXTS | st.none() | st.integers() | st.lists(TEXTS)),
)
def test_any_request_is_read_or_refused_in_words(query: list[tuple[str, str]], body: dict[str, object]) -> None:
    try:
        found = read(urlencode(query), body)
    except Fault as fault:
        code = fault.problem.code
    else:
        code = "ambiguous_parameter"
        assert all(isinstance(value, str) for value in [*found.reserved.values(), *found.controls.values()])
        assert not {"jwt", "agentid"} & found.data.keys()
        assert not any(name.lower() == "jwt" or name.startswith("pop_") for name in found.data)
        assert "jwt" not in found.reserved
        data(found)
    assert code in {"ambiguous_parameter", "invalid_parameter"}


@given(
    st.lists(st.tuples(NAMES, TEXTS), max_size=4, unique_by=lambda pair: pair[0]),
    st.dictionaries(NAMES, TEXTS | st.none() | st.integers() | st.lists(TEXTS, max_size=2), max_size=4),
    st.sampled_from([JSON, FORM]),
)
def test_a_request_with_nothing_to_merge_is_read_as_if_there_were(
    query: list[tuple[str, str]], body: dict[str, object], kind: str
) -> None:
    asked = urlencode(query)
    content = json.dumps(body) if kind == JSON else urlencode({name: str(value) for name, value in body.items()})
    sent = jsontext.read_object(content.encode())[0] if kind == JSON else forms.read_urlencoded(content, "form")
    assert spelled(lambda: read(asked, content, kind)) == spelled(
        lambda: reading._merge(forms.read_urlencoded(asked, "query"), sent, [])
    )


def spelled(read_: Callable[[], reading.Reading]) -> tuple[object, ...]:
    """Give all that was read, in its order, or the refusal."""
    try:
        found = read_()
    except Fault as fault:
        return (str(fault),)
    data = [(name, bytes(value)) for name, value in found.data.items()]
    notes = [note for note in found.warnings if not note.startswith("double_encoded")]
    return list(found.reserved.items()), found.key, list(found.controls.items()), data, notes


ESCAPED = "".join(f"\\u{ord(character):04x}" for character in KEY)
HIDDEN = st.sampled_from(
    [KEY, f"Bearer {KEY}", ESCAPED, f"{KEY[:-1]}\\u0065", f"\\u00e9 {KEY}", "\\u00e9", "\\\\u0065", "a", "\\n"]
)


@given(
    st.lists(
        st.tuples(HIDDEN | st.sampled_from(["b", "c", "d"]), HIDDEN),
        max_size=4,
        unique_by=lambda member: json.loads(f'"{member[0]}"'),
    )
)
def test_data_is_dropped_if_and_only_if_it_contains_the_key(members: list[tuple[str, str]]) -> None:
    found = read("", "{" + ",".join(f'"{name}":"{value}"' for name, value in members) + "}")
    clean = {name: value for name, value in data(found).items() if KEY not in name and KEY not in str(value)}
    reading.withhold(KEY, found)
    assert data(found) == clean
    assert len(found.warnings) == len(members) - len(clean)
