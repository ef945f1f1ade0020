"""Whole: what is read at once is read as aiohttp reads it, and nobody can tell who read."""

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser, HttpRequestParserPy
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.http import whole
from tests.conftest import Bridge, raw

USUAL = (
    b"POST /api/sendmessage/CTI?a=%zz&b=+ HTTP/1.1\r\nHost: x\r\nX-API-Key: k\r\nConnection: Keep-Alive\r\n"
    b"Content-Length: 2\r\n\r\n{}"
)


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop for aiohttp's parsers; it never runs."""
    made = asyncio.new_event_loop()
    yield made
    made.close()


def named(*names: str) -> st.SearchStrategy[str]:
    """Names in any case."""
    return st.sampled_from(names).flatmap(lambda name: st.sampled_from((name, name.lower(), name.upper())))


good = st.dictionaries(
    named("Content-Type", "Authorization", "X-Forwarded-For", "Cookie", "x!#$%&'*+.^_`|~1", "Accept"),
    st.text(st.sampled_from('x:,;="\\ '), min_size=1, max_size=6).filter(lambda text: text == text.strip()),
    max_size=4,
)
odd = st.tuples(
    named(
        "Host",
        "Content-Length",
        "Connection",
        "Transfer-Encoding",
        "Content-Encoding",
        "Expect",
        "Upgrade",
        "Proxy-Connection",
        "Sec-WebSocket-Key1",
        "Cookie",
        "Bad Name",
        "Bad@Name",
    ),
    st.sampled_from((": ", ": ", ":", ":  ", " : ")),
    st.sampled_from(
        ("x", "2", "0", "02", "+2", "-0", "2, 2", "close", "Keep-Alive", "upgrade", "close, x", "chunked", "gzip")
    )
    | st.text(st.sampled_from(' \tx:,;"\\\x00\x0b\x7f\x80é\r\n'), max_size=6),
)
targets = st.sampled_from(("/", "/api/sendmessage/CTI?a=%41&b=%zz", "//x/y?")) | st.one_of(
    st.sampled_from(("http://x/", "*", "/a#b?c", "/a?b#c", "")),
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x81), max_size=3).map("/".__add__),
)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Requests, most of them usual and some that only look so."""
    body = draw(st.sampled_from((b"", b"{}", b"\r\n", b"GET / HTTP/1.1\r\n\r\n")))
    method = draw(st.sampled_from(("GET", "POST", "POST", "HEAD", "get")))
    version = draw(st.sampled_from(("1.1", "1.1", "1.1", "1.1", "1.0", "1.10")))
    fields = [f"{name}: {value}" for name, value in draw(good).items()]
    fields += [f"{name}{colon}{value}" for name, colon, value in draw(st.lists(odd, max_size=2))]
    if draw(st.sampled_from((True, True, True, False))):
        fields.append("Host: x")
    if body or draw(st.booleans()):
        fields.append(f"content-Length: {len(body)}")
    lines = [f"{method} {draw(targets)} HTTP/{version}", *draw(st.permutations(fields))]
    end = draw(st.sampled_from(("\r\n", "\r\n", "\r\n", "\r\n", "\n")))
    return (end.join(lines) + end * 2).encode() + body


@settings(max_examples=1500, deadline=None)
@given(requests())
@example(USUAL)
def test_what_is_read_at_once_is_read_as_both_of_aiohttps_parsers_read_it(
    loop: asyncio.AbstractEventLoop, sent: bytes
) -> None:
    found = whole.read(sent)
    if found is not None and found.lacks:
        sent += b"x" * found.lacks
        found = whole.read(sent)
        assert found is not None
    if found is None:
        return
    assert found.lacks == 0
    for parser in (HttpRequestParser, HttpRequestParserPy):
        messages, upgraded, tail = parser(
            BaseProtocol(loop), loop, 2**16, max_line_size=2**18, max_field_size=2**14, auto_decompress=False
        ).feed_data(sent)
        [(message, payload)] = messages
        assert (upgraded, tail, payload.is_eof()) == (False, b"", True)
        assert (message.method, message.path, tuple(message.version)) == (found.method, found.raw_path, (1, 1))
        assert (message.should_close, message.upgrade, message.chunked) == (found.closes, False, False)
        assert (b"" if payload.at_eof() else payload.read_nowait()) == found.body
        assert found.content_length == int(message.headers.get("Content-Length", 0))
        for name in {*message.headers, "Cookie", "Host", "Origin"}:
            for spelled in (name, name.lower(), name.upper()):
                assert (spelled in found.headers) == (spelled in message.headers)
                assert found.headers.get(spelled) == message.headers.get(spelled)
                assert found.headers.get(spelled, "-") == message.headers.get(spelled, "-")
                assert found.headers.getall(spelled, []) == message.headers.getall(spelled, [])


def test_a_usual_request_is_read_at_once() -> None:
    found = whole.read(USUAL)
    assert found is not None
    assert (found.method, found.raw_path) == ("POST", "/api/sendmessage/CTI?a=%zz&b=+")
    assert (found.body, found.closes, found.headers.get("x-api-key")) == (b"{}", False, "k")


@settings(max_examples=500, deadline=None)
@given(st.integers(0, len(USUAL)), st.sampled_from((b"", b" ", b"\r", b"\n", b"\t", b"\x00", b"\xe9", b":", b"GET")))
def test_no_part_of_one_and_nothing_more_than_one_is_taken_for_one(
    loop: asyncio.AbstractEventLoop, place: int, more: bytes
) -> None:
    del loop
    part = whole.read(USUAL[:place])
    assert part is None or (part.lacks == len(USUAL) - place <= 2)
    assert whole.read(USUAL + USUAL[: place + 1]) is None
    changed = whole.read(USUAL[:place] + more + USUAL[place:])
    assert changed is None or len(changed.body) + changed.lacks == int(changed.headers.get("Content-Length", "0"))


def test_what_aiohttp_refuses_is_never_read_at_once(loop: asyncio.AbstractEventLoop) -> None:
    """One after another: a field left out, come twice, or that needs more than these bytes."""
    for line in (
        b"Host: y",
        b"Content-Length: 2",
        b"Transfer-Encoding: chunked",
        b"Sec-WebSocket-Key1: x",
        b"No colon",
        b"Name : x",
        b" folded: x",
        b": x",
        b"X: \x01",
    ):
        sent = USUAL.replace(b"\r\nX-API", b"\r\n" + line + b"\r\nX-API")
        assert whole.read(sent) is None, line
    parser = HttpRequestParser(BaseProtocol(loop), loop, 2**16, max_line_size=2**18, max_field_size=2**14)
    without = USUAL.replace(b"Host: x\r\n", b"")
    assert whole.read(without) is None
    with pytest.raises(HttpProcessingError):
        parser.feed_data(without)


def test_a_head_that_could_be_too_long_is_left_to_aiohttp() -> None:
    short = USUAL.replace(b"b=+", b"b=" + b"a" * 7_000)
    assert whole.read(short) is not None
    assert whole.read(USUAL.replace(b"b=+", b"b=" + b"a" * 9_000)) is None
    assert (
        whole.read(USUAL.replace(b"Host: x", b"\r\n".join([b"Host: x", *(b"X%d: y" % n for n in range(70))]))) is None
    )


def spelled(received: bytes) -> bytes:
    """Take off what differs from answer to answer."""
    return re.sub(rb'Date: [^\r]*|"popid":"[^"]*"|"ms":\d+', b"", received)


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"fields": b"Prefer: wait=0.01\r\n"},
        {"fields": b"Prefer: wait=x\r\n"},
        {"fields": b"Accept: application/problem+json\r\n", "query": b"pop_wait=x"},
        {"fields": b"Origin: https://agents.example.com\r\n"},
        {"fields": b"Origin: https://evil.example.net\r\n"},
        {"fields": b"Origin: http://x\r\n"},
        {"fields": b"Sec-Purpose: prefetch\r\n"},
        {"fields": b"Idempotency-Key: one\r\nI-Twilio-Idempotency-Token: two\r\n"},
        {"fields": b"X-API-Key: nonsense\r\n", "query": b"jwt="},
        {"fields": b"Content-Type: application/xml\r\n", "body": b"<a/>"},
        {"fields": b"Content-Type: application/json\r\n", "body": b'{"a":1}'},
        {"fields": b"Content-Type: application/json\r\n", "body": b"{"},
        {"fields": b"Content-Type: application/x-www-form-urlencoded\r\n", "body": b"a=1&b=%C3%A9"},
        {"fields": b"Content-Type: application/json\r\n", "body": b'{"a":"%b"}' % (b"x" * 140_000)},
        {"query": b"a=%FF"},
        {"query": b"event=other"},
        {"path": b"/API/SendMessage/cti/"},
        {"path": b"/api/sendmessage/CRM"},
        {"path": b"/api/sendmessage/XXX"},
        {"path": b"/api/sendmessage"},
        {"path": b"/healthz"},
    ],
    ids=repr,
)
async def test_nobody_can_tell_who_read(bridge: Bridge, keys: dict[str, str], how: dict[str, Any]) -> None:
    """What an empty line stands before is read by aiohttp's protocol."""
    body = how.get("body", b"")
    path, query = how.get("path", b"/api/sendmessage/CTI"), how.get("query", b"")
    sent = (
        (b"POST " if body else b"GET ")
        + (b"%b?agentid=same&event=On+Ring&pop_dryrun=1&jwt=%b&%b" % (path, keys["acme"].encode(), query))
        + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        + how.get("fields", b"")
        + (b"Content-Length: %d\r\n" % len(body) if body else b"")
        + b"\r\n"
        + body
    )
    assert whole.read(sent) is not None
    assert whole.read(b"\r\n" + sent) is None
    received = await raw(bridge.http_port, sent)
    assert received.startswith(b"HTTP/1.1 ")
    assert spelled(received) == spelled(await raw(bridge.http_port, b"\r\n" + sent))
