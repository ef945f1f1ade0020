"""Forms: query strings, urlencoded and multipart bodies, strictly as UTF-8."""

from urllib.parse import quote, unquote_to_bytes, urlencode

import aiohttp
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.connect import forms
from bridge.words.errors import Fault

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
PAIRS = st.lists(st.tuples(TEXT, TEXT), max_size=8)


def refused(text: str) -> str:
    with pytest.raises(Fault) as caught:
        forms.read_urlencoded(text, "query")
    assert caught.value.problem.code == "malformed_body"
    return caught.value.detail


@given(PAIRS)
def test_what_urlencode_writes_is_read_back(pairs: list[tuple[str, str]]) -> None:
    assert forms.read_urlencoded(urlencode(pairs), "query") == pairs
    assert forms.read_urlencoded(urlencode(pairs, quote_via=quote), "query") == pairs


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", []),
        ("a", [("a", "")]),
        ("a=", [("a", "")]),
        ("=b", [("", "b")]),
        ("a=b=c", [("a", "b=c")]),
        ("&&a=1&", [("a", "1")]),
        ("a+b=c+d", [("a b", "c d")]),
        ("a=%2B", [("a", "+")]),
        ("a=%", [("a", "%")]),
        ("a=%zz", [("a", "%zz")]),
        ("a=1;b=2", [("a", "1;b=2")]),
        ("a=%C3%A9", [("a", "é")]),
        ("a=é", [("a", "é")]),
        ("a=%00", [("a", "\0")]),
    ],
)
def test_the_corners_of_urlencoding(text: str, pairs: list[tuple[str, str]]) -> None:
    assert forms.read_urlencoded(text, "query") == pairs


@given(st.lists(st.sampled_from([*"ab4=&%+é", "%26", "%3D", "%3d", "%25", "%C3", "%A9", "%41"]), max_size=12))
@example(["%25", "26", "&", "%", "4", "=", "1"])
def test_what_stands_for_a_separator_separates_nothing(pieces: list[str]) -> None:
    text = "".join(pieces)
    fields = [field.partition("=") for field in text.split("&") if field]
    try:
        pairs = [(plain(name), plain(value)) for name, _, value in fields]
    except UnicodeDecodeError:
        assert refused(text) == "The query is not UTF-8."
    else:
        assert forms.read_urlencoded(text, "query") == pairs


def plain(text: str) -> str:
    return unquote_to_bytes(text.replace("+", " ")).decode()


@pytest.mark.parametrize("text", ["a=%FF", "%FF=a", "a=%C3", "a=%C3%28", "a=%ED%A0%80", "a=%C0%80", "a=%F5%80%80%80"])
def test_what_is_not_utf_8_is_refused(text: str) -> None:
    assert refused(text) == "The query is not UTF-8."


def test_a_raw_byte_that_is_not_ascii_is_refused_not_guessed() -> None:
    assert refused(b"a=\xff".decode(errors="surrogateescape")) == "The query is not UTF-8."


def test_512_fields_pass_and_one_more_does_not() -> None:
    assert len(forms.read_urlencoded("&".join(["a=1"] * 512), "query")) == 512
    assert "512" in refused("&".join(["a=1"] * 513))


async def written(pairs: list[tuple[str, str]]) -> tuple[bytes, str]:
    """Let aiohttp's client spell a multipart form."""
    form = aiohttp.FormData(quote_fields=False)
    for name, value in pairs:
        form.add_field(name, value, content_type="text/plain; charset=utf-8")
    payload = form()
    assert isinstance(payload, aiohttp.MultipartWriter)
    return await payload.as_bytes(), payload.headers["Content-Type"]


async def test_a_clients_multipart_form_is_read() -> None:
    pairs = [("agentid", "1001"), ("nöte", "zwei\r\nZeilen --x"), ("empty", ""), ("a", "1"), ("a", "2")]
    body, kind = await written(pairs)
    assert forms.read_multipart(body, kind) == pairs


KIND = 'multipart/form-data; boundary="b b"'


def multipart(*parts: bytes) -> bytes:
    return b"".join(b"--b b\r\n" + part + b"\r\n" for part in parts) + b"--b b--\r\n"


def test_a_file_part_is_taken_as_its_text() -> None:
    part = b'Content-Disposition: form-data; name="note"; filename="n.txt"\r\nContent-Type: text/plain\r\n\r\nhello'
    assert forms.read_multipart(multipart(part), KIND) == [("note", "hello")]


def test_heads_of_parts_are_read_in_any_case_and_order() -> None:
    part = b"X-Other: 1\r\nCONTENT-DISPOSITION: form-data; NAME=note\r\n\r\nhello"
    assert forms.read_multipart(multipart(part), KIND) == [("note", "hello")]


def test_a_preamble_and_an_epilogue_are_passed_over() -> None:
    part = b'Content-Disposition: form-data; name="a"\r\n\r\n1'
    assert forms.read_multipart(b"preamble\r\n" + multipart(part) + b"epilogue", KIND) == [("a", "1")]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", multipart(b'Content-Disposition: form-data; name="a"\r\n\r\n1')),
        (KIND, b"--b b\r\nContent-Disposition: form-data; name=a\r\n\r\n1"),
        (KIND, b"nothing of the kind"),
        (KIND, multipart(b"Content-Disposition: form-data\r\n\r\n1")),
        (KIND, multipart(b"Content-Type: text/plain\r\n\r\n1")),
        (KIND, multipart(b'Content-Disposition: form-data; name="a"\r\n1')),
        (KIND, multipart(b'Content-Disposition: form-data; name="a"\r\n\r\n\xff')),
        (KIND, multipart(b'Content-Disposition: form-data; name="\xff"\r\n\r\n1')),
        (KIND, multipart(*[b'Content-Disposition: form-data; name="a"\r\n\r\n1'] * 513)),
    ],
)
def test_a_broken_multipart_form_is_refused(kind: str, body: bytes) -> None:
    with pytest.raises(Fault) as caught:
        forms.read_multipart(body, kind)
    assert caught.value.problem.code == "malformed_body"


@given(st.binary(max_size=120), st.text(max_size=40))
@example(b"", "name*0*=utf-8''%FF; name*1=x")
@example(b"", "name*=utf-8''a")
@example(b"", 'name="a\\"b"')
def test_arbitrary_parts_give_an_answer_or_a_refusal(content: bytes, parameters: str) -> None:
    head = b"Content-Disposition: form-data; " + parameters.encode(errors="surrogatepass")
    for kind in (KIND, f"multipart/form-data; {parameters}", f"multipart/form-data; boundary={parameters}"):
        try:
            pairs = forms.read_multipart(multipart(head + b"\r\n\r\n" + content), kind)
        except Fault as fault:
            pairs = [(fault.problem.code, "")]
        assert all(isinstance(text, str) for pair in pairs for text in pair)
