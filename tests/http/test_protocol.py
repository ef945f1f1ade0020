"""HTTP/1.1 and older: keep-alive, pipelining, chunks, 100-continue, as platforms of every age speak it."""

import asyncio

import pytest

from tests.conftest import WITHIN, Bridge, raw


def target(keys: dict[str, str], agentid: str) -> bytes:
    return f"/api/sendmessage/CTI?agentid={agentid}&event=On+Ring&pop_ttl=1&jwt={keys['acme']}".encode()


async def test_http_1_0_is_answered_and_closed(bridge: Bridge, keys: dict[str, str]) -> None:
    received = await raw(bridge.http_port, b"GET " + target(keys, "old-1") + b" HTTP/1.0\r\n\r\n")
    assert b" 200 OK\r\n" in received
    assert b'"success":true' in received
    assert b"chunked" not in received.lower()


async def test_http_1_0_may_post_and_keep_alive(bridge: Bridge, keys: dict[str, str]) -> None:
    body = b'{"a": 1}'
    request = (
        b"POST " + target(keys, "old-2") + b" HTTP/1.0\r\nConnection: keep-alive\r\nContent-Type: application/JSON\r\n"
        b"Content-Length: 8\r\n\r\n" + body
    )
    received = await raw(
        bridge.http_port, request + request.replace(b"keep-alive", b"close").replace(b"old-2", b"old-3")
    )
    assert received.count(b" 200 OK\r\n") == 2
    assert b"keep-alive" in received.lower()


async def test_connection_close_is_honoured(bridge: Bridge, keys: dict[str, str]) -> None:
    received = await raw(
        bridge.http_port, b"GET " + target(keys, "close") + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    assert b" 200 OK\r\n" in received
    assert b"connection: close" in received.lower()


async def test_pipelined_requests_are_answered_in_their_order(bridge: Bridge, keys: dict[str, str]) -> None:
    requests = [b"GET " + target(keys, f"pipe-{number}") + b" HTTP/1.1\r\nHost: x\r\n" for number in range(20)]
    sent = b"\r\n".join(requests) + b"Connection: close\r\n\r\n"
    received = await raw(bridge.http_port, sent)
    assert received.count(b"HTTP/1.1 200 OK") == 20
    places = [received.index(b'"CTI/acme/pipe-%d"' % number) for number in range(20)]
    assert places == sorted(places)


async def test_a_refused_request_does_not_spoil_the_next_on_its_connection(
    bridge: Bridge, keys: dict[str, str]
) -> None:
    bad = (
        b"POST /api/sendmessage/CTI HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n{"
    )
    good = b"GET " + target(keys, "next") + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    received = await raw(bridge.http_port, bad + bad.replace(b"POST", b"PUT ") + good)
    assert [part[:3] for part in received.split(b"HTTP/1.1 ")[1:]] == [b"400", b"405", b"200"]


async def test_an_unread_body_is_never_taken_for_the_next_request(bridge: Bridge, keys: dict[str, str]) -> None:
    hidden = b"GET " + target(keys, "hidden") + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    for start in (
        b"POST /nowhere HTTP/1.1\r\n",
        b"PUT /api/sendmessage/CTI HTTP/1.1\r\n",
        b"HEAD /api/sendmessage/CTI HTTP/1.1\r\n",
        b"OPTIONS /api/sendmessage/CTI HTTP/1.1\r\n",
        b"POST /api/sendmessage/CTI HTTP/1.1\r\nContent-Encoding: gzip\r\n",
        b"GET /healthz HTTP/1.1\r\n",
    ):
        last = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        received = await raw(
            bridge.http_port, start + b"Host: x\r\nContent-Length: %d\r\n\r\n" % len(hidden) + hidden + last
        )
        assert b"popid" not in received


async def test_a_chunked_body_is_read(bridge: Bridge, keys: dict[str, str]) -> None:
    head = (
        b"POST "
        + target(keys, "chunks")
        + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    for chunks in (b'3\r\n{"a\r\n5;ext=1\r\n": 1}\r\n0\r\n\r\n', b'8\r\n{"a": 1}\r\n0\r\nTrailer: x\r\n\r\n'):
        assert b" 200 OK\r\n" in await raw(bridge.http_port, head + chunks)


async def test_100_continue_is_given_before_the_body(bridge: Bridge, keys: dict[str, str]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", bridge.http_port)
    writer.write(
        b"POST " + target(keys, "expect") + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nContent-Length: 8\r\nExpect: 100-Continue\r\n\r\n"
    )
    async with asyncio.timeout(WITHIN):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b'{"a": 1}')
        assert b" 200 OK\r\n" in await reader.read()
    writer.close()


async def test_the_target_may_be_a_whole_url(bridge: Bridge, keys: dict[str, str]) -> None:
    """RFC 9112 section 3.2.2: a server has to accept it, and old proxies send it."""
    for where in (b"http://x", b"HTTP://127.0.0.1:8080"):
        received = await raw(
            bridge.http_port,
            b"GET " + where + target(keys, "whole") + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        )
        assert b" 200 OK\r\n" in received


@pytest.mark.parametrize(
    "line", [b"CONNECT 127.0.0.1:80 HTTP/1.1", b"OPTIONS * HTTP/1.1", b"GET /healthz HTTP/1.1\r\nUpgrade: h2c"]
)
async def test_odd_requests_are_answered_and_do_no_harm(bridge: Bridge, line: bytes) -> None:
    received = await raw(bridge.http_port, line + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 ")
    assert not received.startswith(b"HTTP/1.1 5")
    assert b" 200 " in await raw(bridge.http_port, b"GET /healthz HTTP/1.0\r\n\r\n")


async def test_a_caller_who_hangs_up_early_does_no_harm(bridge: Bridge, keys: dict[str, str]) -> None:
    for sent in (
        b"GET " + target(keys, "gone-1") + b"&pop_wait=8 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST " + target(keys, "gone-2") + b" HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{",
        b"GET /heal",
    ):
        _, writer = await asyncio.open_connection("127.0.0.1", bridge.http_port)
        writer.write(sent)
        await writer.drain()
        writer.transport.abort()
    assert b" 200 " in await raw(bridge.http_port, b"GET /healthz HTTP/1.0\r\n\r\n")
