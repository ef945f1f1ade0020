"""A caller's JSON body: read strictly, spelled as the caller spelled it, refused with its place."""

import json
import re

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.connect import jsontext
from bridge.words.errors import Fault

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**63), 10**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=24,
)
OBJECTS = st.dictionaries(TEXT, VALUES, max_size=6)
NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
TOKENS = ["{", "}", "[", "]", ",", ":", '"', "\\", "\\u", "d800", '"a"', "1", "-", "e", ".", "NaN", "I", " ", "\n", "é"]


def read(text: str | bytes) -> dict[str, str]:
    """Give the members as spelled."""
    members, _ = jsontext.read_object(text.encode() if isinstance(text, str) else text)
    return {name: bytes(value).decode() for name, value in members.items()}


def refused(text: str | bytes) -> Fault:
    with pytest.raises(Fault) as caught:
        read(text)
    assert caught.value.problem.code == "malformed_body"
    return caught.value


def place(text: str | bytes) -> tuple[object, object]:
    fault = refused(text)
    return fault.extra["line"], fault.extra["column"]


@given(OBJECTS, st.sampled_from([None, 1, 4]), st.booleans())
def test_what_json_dumps_writes_within_the_limits_is_read_to_equal_values(
    given_: dict[str, object],
    indent: int | None,
    ascii_: bool,  # noqa: FBT001
) -> None:
    text = json.dumps(given_, indent=indent, ensure_ascii=ascii_)
    members, repaired = jsontext.read_object(text.encode())
    assert not repaired
    assert list(members) == list(given_)
    assert {name: json.loads(bytes(value)) for name, value in members.items()} == given_


@given(OBJECTS)
def test_white_space_goes_between_tokens_and_nowhere_else(given_: dict[str, object]) -> None:
    compact = json.dumps(given_, separators=(",", ":"), ensure_ascii=False)
    wide = json.dumps(given_, indent="\t \r", separators=(" ,\n", " : "), ensure_ascii=False)
    assert read(wide) == read(compact)
    assert all(spelled in compact for spelled in read(wide).values())


@given(NUMBERS)
def test_a_number_keeps_its_spelling(spelled: str) -> None:
    assert read(f'{{"n": {spelled} , "deep": [ {spelled}, {{"m":{spelled}}} ]}}') == {
        "n": spelled,
        "deep": f'[{spelled},{{"m":{spelled}}}]',
    }


@given(st.binary(max_size=200))
@example(b"")
@example(b"\xef\xbb\xbf")
@example(b'{"a":"\xff"}')
def test_arbitrary_bytes_give_an_answer_or_a_place_inside_the_text(body: bytes) -> None:
    check_answered(body)


@given(st.lists(st.sampled_from(TOKENS), max_size=40).map("".join))
@example('{"a":"\\ud800\\u0041"}')
@example('{"\\ud800":1,"\\ud800":2}')
def test_torn_json_gives_an_answer_or_a_place_inside_the_text(text: str) -> None:
    check_answered(text.encode())
    check_answered(f'{{"a":{text}'.encode())
    check_answered(f'{{"a":{text}}}'.encode())


def check_answered(body: bytes) -> None:
    try:
        members, _ = jsontext.read_object(body)
    except Fault as fault:
        line, column = fault.extra["line"], fault.extra["column"]
    else:
        line, column = 1, 1
        assert b"\n" not in b"".join(map(bytes, members.values()))
        json.loads(b"{%s}" % b",".join(json.dumps(name).encode() + b":" + bytes(v) for name, v in members.items()))
    lines = body.removeprefix(b"\xef\xbb\xbf").decode(errors="replace").split("\n")
    assert isinstance(line, int)
    assert isinstance(column, int)
    assert 1 <= line <= len(lines)
    assert 1 <= column <= len(lines[line - 1]) + 1


def test_a_byte_order_mark_is_passed_over() -> None:
    assert read(b'\xef\xbb\xbf{"a":1}') == {"a": "1"}
    assert place(b'\xef\xbb\xbf{"a":x}') == (1, 6)


@pytest.mark.parametrize("text", ['{"a":1,}', '{"a":1 , }', '{"a":[1],\n}\n', '{"a":"x,",\r\n\t}  '])
def test_a_trailing_comma_before_the_final_brace_is_repaired(text: str) -> None:
    members, repaired = jsontext.read_object(text.encode())
    assert repaired
    assert list(members) == ["a"]


@pytest.mark.parametrize(
    "text", ["{,}", '{"a":1,,}', '{"a":[1,]}', '{"a":{"b":1,}}', '{"a":1},', '{"a":1,', "[1,]", ","]
)
def test_no_other_comma_is_repaired(text: str) -> None:
    refused(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": }', (1, 7)),
        ('{"a": 1 "b": 2}', (1, 9)),
        ('{\n  "a": 1,\n  b: 2\n}', (3, 3)),
        ("{'a': 1}", (1, 2)),
        ('{"a": tru}', (1, 7)),
        ('{"a": 01}', (1, 8)),
        ('{"a": +1}', (1, 7)),
        ('{"a": 1.}', (1, 8)),
        ('{"é": nul}', (1, 7)),
        ('{"a": "x\ny"}', (1, 9)),
        ('{"a": 1} x', (1, 10)),
        ('{"a": 1}{}', (1, 9)),
        ('{\r\n"a": x}', (2, 6)),
        ('{"a": "\\x"}', (1, 8)),
        ('{"a": "abc', (1, 7)),
        ('{"a": 1,\n "b": 2,\n "a": 3}', (3, 2)),
        ('{"a": 1,\n "b": {"c": 1, "\\u0063": 2}}', (2, 16)),
        ('{"a": NaN}', (1, 7)),
        ('{"a": [1,\n-Infinity]}', (2, 2)),
        ('{"a": "NaN", "b": Infinity}', (1, 19)),
        ('{"a": "\\ud800"}', (1, 8)),
        ('{"a": "\\udc00\\ud800"}', (1, 8)),
        ('{"a": "\\ud83d\\ude00", "b": "\\ud83d"}', (1, 29)),
        ('{"a": 1, "b": ' + "1" * 65 + "}", (1, 15)),
        ('{"a": "' + "1" * 65 + '", "b": [0.' + "1" * 64 + "]}", (1, 82)),
    ],
)
def test_a_fault_is_told_with_its_line_and_column(text: str, expected: tuple[int, int]) -> None:
    assert place(text) == expected


def test_bad_utf_8_is_told_with_its_place() -> None:
    assert place(b'{"a": 1,\n "b": "\xc3\xa9\xff"}') == (2, 9)


@pytest.mark.parametrize("text", ["[]", "1", '"a"', "null", "true", ' [{"a":1}]', "1e5"])
def test_what_is_not_an_object_is_refused(text: str) -> None:
    assert "must be a JSON object" in refused(text).detail


def test_an_escaped_backslash_before_u_is_no_surrogate() -> None:
    assert read(r'{"a": "\\ud800"}') == {"a": r'"\\ud800"'}
    assert json.loads(read(r'{"a": "\ud83d\ude00"}')["a"]) == "😀"


def test_a_number_of_64_digits_passes_and_one_more_does_not() -> None:
    fits = "-" + "1" * 60 + ".5e+123"
    assert read(f'{{"a":{fits}}}') == {"a": fits}
    assert "64 digits" in refused(f'{{"a":{fits}4}}').detail
    assert "64 digits" in refused('{"a":[' + "9" * 200_000 + "]}").detail


def test_512_members_in_all_pass_and_one_more_does_not() -> None:
    inner = ",".join(f'"{i}":{i}' for i in range(511))
    assert len(read(f'{{"a":{{{inner}}}}}')) == 1
    assert place(f'{{"a":{{{inner}}},\n"b":1}}') == (2, 1)
    lists = "[" + ",".join(["{}"] * 511) + "]"
    assert read(f'{{"a":{lists}}}') == {"a": lists}
    assert "512" in refused('{"a":[' + ",".join(["[]"] * 600) + "]}").detail


def test_a_depth_of_32_passes_and_one_more_does_not() -> None:
    fits = '{"a":' + "[" * 31 + "]" * 31 + "}"
    assert read(fits) == {"a": fits[5:-1]}
    assert place('{"a":' + "[" * 32 + "]" * 32 + "}") == (1, 37)
    assert place('{"a":[' * 16 + '{"a":1}' + "]}" * 16) == (1, 97)
    assert place('{"a":[' + "{}," * 100 + "[" * 30 + '{"a":[1]}' + "]" * 30 + "]}") == (1, 337)
    assert read('{"a":"' + "[{" * 500 + '"}') == {"a": '"' + "[{" * 500 + '"'}


QUOTES = '\\"' * 130_000
LISTS = "[]," * 40


@pytest.mark.parametrize(
    "text",
    [
        '{"a":"' + "[" * 33 + QUOTES,
        '{"a":' + LISTS + "a" * 250_000,
        '{"a":' + LISTS + '"a" ' * 60_000,
        '{"a":' + LISTS + '"a":' * 60_000,
        '{"a":' + LISTS + " " * 250_000,
        '{"a":NaN,"b":"' + QUOTES,
        '{"b":"' + QUOTES + '","a":1,"a":2}',
        '{"a":[' + "1" * 65 + ',"' + QUOTES,
        '{"a":[' + "-1e+1," * 40_000 + "1" * 65 + "]}",
        '{"a":"' + "\\u0041" * 40_000 + '\\ud800"}',
        "[" * 262_144,
        '{"a":' * 50_000,
        "[{}" * 80_000,
        '"' * 262_144,
        "\\" * 262_144,
        '{"a":1' + " ," * 120_000,
        '{"a":"' + "\\" * 262_001,
    ],
    ids=range(17),
)
def test_no_text_within_the_bound_stalls(text: str) -> None:
    refused(text)


def test_a_fault_never_quotes_the_text() -> None:
    for text in ('{"jwt": secret}', '{"secret": 1, "secret": 2}', '{"a": "secret', 'secret {"a": 1}'):
        assert "secret" not in refused(text).detail


def test_names_keep_what_they_were() -> None:
    assert read('{"": 1, " a ": 2, "\\u00e9": 3, "a\\/b": 4}') == {"": "1", " a ": "2", "é": "3", "a/b": "4"}


@given(st.dictionaries(TEXT, st.lists(st.integers(0, 9) | TEXT, max_size=3), max_size=3))
def test_values_are_one_line_and_as_msgspec_reads_them(given_: dict[str, object]) -> None:
    for spelled in read(json.dumps(given_, indent=2)).values():
        assert re.search(r"[\n\r]", spelled) is None
        assert msgspec.json.encode(msgspec.json.decode(spelled)) is not None
