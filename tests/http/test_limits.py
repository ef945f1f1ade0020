"""Limits: sizes to the byte, and time."""

import asyncio
import contextlib
import json
from typing import Any

import aiohttp
import pytest

from tests.conftest import WITHIN, Agent, Bridge, Caller, Watch, desktop, raw, until_closed

LARGEST_PAYLOAD = 131_072
LARGEST_BODY = 262_144
LONGEST_LINE = 262_144
LARGEST_FIELD = 16_384

JSON = {"Content-Type": "application/json"}


async def answered(bridge: Bridge, sent: bytes) -> tuple[int, dict[str, Any]]:
    """Send bytes, and read one answer; an interim one is refused."""
    reader, writer = await asyncio.open_connection("127.0.0.1", bridge.http_port)
    with contextlib.suppress(ConnectionError):
        writer.write(sent)
        async with asyncio.timeout(WITHIN):
            head = await reader.readuntil(b"\r\n\r\n")
            size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            said: dict[str, Any] = json.loads(await reader.readexactly(size))
    writer.transport.abort()  # what the bridge did not care to read need not be sent
    return int(head.split()[1]), said


async def test_a_published_payload_has_at_most_131072_bytes(published: Watch, trigger: Caller) -> None:
    empty = await published(agentid="big", query="a=")
    room = LARGEST_PAYLOAD - len(empty["payload"])
    largest = await published(agentid="big", json={"a": "x" * room})
    assert len(largest["payload"]) == LARGEST_PAYLOAD
    refused = await trigger(agentid="big", json={"a": "x" * (room + 1)})
    assert (refused.status, refused.said["code"]) == (413, "payload_too_large")
    assert (refused.said["size"], refused.said["limit"]) == (LARGEST_PAYLOAD + 1, LARGEST_PAYLOAD)


async def test_the_largest_pop_reaches_a_desktop(bridge: Bridge, trigger: Caller, agent: Agent) -> None:
    async with desktop(bridge, agent) as client:
        answer = await trigger(agentid=agent.id, json={"a": "x" * 130_000})
        assert answer.status == 200
        message = await client.message()
        assert json.loads(message.payload)["popid"] == answer.said["popid"]


async def test_a_dry_run_is_measured_too(trigger: Caller) -> None:
    refused = await trigger(pop_dryrun=1, json={"a": "x" * LARGEST_PAYLOAD})
    assert refused.said["code"] == "payload_too_large"


async def test_white_space_between_tokens_does_not_count(published: Watch) -> None:
    body = b'{"a":' + b" " * (LARGEST_BODY - 8) + b"1 }"
    assert len(body) == LARGEST_BODY
    assert (await published(data=body, headers=JSON))["data"] == {"a": 1}


async def test_a_body_over_262144_bytes_is_refused(trigger: Caller) -> None:
    refused = await trigger(data=b"x" * (LARGEST_BODY + 1), headers=JSON)
    assert (refused.status, refused.said["code"]) == (413, "payload_too_large")
    assert (refused.said["size"], refused.said["limit"]) == (LARGEST_BODY + 1, LARGEST_BODY)


async def test_a_body_that_says_it_is_too_large_is_refused_unread(bridge: Bridge) -> None:
    head = b"POST /api/sendmessage/CTI HTTP/1.1\r\nHost: x\r\nContent-Length: 262145\r\n"
    ends = (b"\r\n", b"Expect: 100-continue\r\n\r\n")
    for status, _ in await asyncio.gather(*(answered(bridge, head + end) for end in ends)):
        assert status == 413


async def test_a_chunked_body_over_the_limit_is_refused_before_its_end(bridge: Bridge) -> None:
    head = b"POST /api/sendmessage/CTI HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    status, _ = await answered(bridge, head + (b"10000\r\n" + b" " * 65_536 + b"\r\n") * 5)
    assert status == 413


async def test_a_gzip_bomb_is_refused_unread(bridge: Bridge) -> None:
    head = b"POST /api/sendmessage/CTI HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 200000\r\n\r\n"
    assert (await answered(bridge, head))[0] == 415


def line(size: int, key: str) -> bytes:
    """Spell a request line of so many bytes, whose payload is small enough."""
    start = f"GET /api/sendmessage/CTI?agentid=line&event=On+Ring&pop_ttl=1&jwt={key}&a=".encode()
    room = size - len(start) - len(b" HTTP/1.1")
    return start + b"%41" * (room // 3) + b"A" * (room % 3) + b" HTTP/1.1"


async def test_a_request_line_of_262144_bytes_is_read_and_a_longer_one_is_414(
    bridge: Bridge, keys: dict[str, str]
) -> None:
    rest = b"\r\nHost: x\r\nConnection: close\r\n\r\n"
    status, said = await answered(bridge, line(LONGEST_LINE, keys["acme"]) + rest)
    assert (status, said["success"]) == (200, True)
    status, said = await answered(bridge, line(LONGEST_LINE + 100, keys["acme"]) + rest)
    assert (status, said["code"]) == (414, "uri_too_long")


async def test_a_line_that_never_ends_is_414_too(bridge: Bridge) -> None:
    assert (await answered(bridge, b"GET /" + b"a" * 400_000))[0] == 414


async def test_a_header_field_of_more_than_16_kib_is_refused(bridge: Bridge, keys: dict[str, str]) -> None:
    start = line(2_000, keys["acme"]) + b"\r\nHost: x\r\nConnection: close\r\nX-Filler: "
    assert (await answered(bridge, start + b"a" * 12_000 + b"\r\n\r\n"))[0] == 200
    status, said = await answered(bridge, start + b"a" * (LARGEST_FIELD + 1) + b"\r\n\r\n")
    assert (status, said["code"]) == (400, "malformed_body")


async def test_fields_without_end_are_refused(bridge: Bridge) -> None:
    fields = b"".join(b"X-%d: y\r\n" % number for number in range(40_000))
    status, said = await answered(bridge, b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + fields)
    assert (status, said["code"]) == (400, "malformed_body")


async def test_a_body_that_is_not_complete_in_time_is_408(hasty: Bridge) -> None:
    cases = [
        b"Content-Length: 10\r\n\r\n",
        b"Content-Length: 10\r\n\r\n{}",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"Content-Length: 10\r\nExpect: 100-continue\r\n\r\n",
    ]
    start = b"POST /api/sendmessage/CTI HTTP/1.1\r\nHost: x\r\n"
    for status, said in await asyncio.gather(*(answered(hasty, start + case) for case in cases[:-1])):
        assert (status, said["code"]) == (408, "request_timeout")
    received = await raw(hasty.http_port, start + cases[-1])
    assert received.startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert b"HTTP/1.1 408 " in received


async def test_a_body_that_trickles_in_is_408(hasty: Bridge) -> None:
    assert b" 408 " in await trickle(
        hasty, b"POST /api/sendmessage/CTI HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n", b" " * 99
    )


async def test_a_head_that_is_not_complete_in_time_is_closed(hasty: Bridge) -> None:
    cases = [b"", b"G", b"GET /healthz HTTP/1.1\r\nHost: x\r\n", b"\r\n\r\n"] * 5
    received = await asyncio.gather(*(raw(hasty.http_port, case) for case in cases))
    assert received == [b""] * len(cases)


async def test_a_head_that_trickles_in_is_closed(hasty: Bridge) -> None:
    assert (
        await trickle(hasty, b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
        == b""
    )


async def test_a_second_head_on_the_same_connection_has_the_same_deadline(hasty: Bridge) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    received = await after_an_answer(hasty, request, request[:-2])
    assert received.count(b"HTTP/1.1 ") == 1


async def test_an_idle_connection_outlives_the_deadline_of_a_head(hasty: Bridge) -> None:
    """Keep-alive is not a slow head: a request that comes after that time still finds the connection open."""
    reader, writer = await asyncio.open_connection("127.0.0.1", hasty.http_port)
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    writer.write(request)
    await reader.readuntil(b"}")
    # Another connection's slow head is closed meanwhile: so the deadline has passed here too.
    assert await raw(hasty.http_port, b"GET") == b""
    writer.write(request)
    async with asyncio.timeout(WITHIN):
        assert b" 200 " in await reader.readuntil(b"}")
    writer.close()


async def test_more_connections_than_the_bound_are_closed_and_the_others_are_served(narrow: Bridge) -> None:
    """Every client keeps its connection once it is answered, so that none makes room for the next."""
    opened = await asyncio.gather(*(asyncio.open_connection("127.0.0.1", narrow.http_port) for _ in range(230)))

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            async with asyncio.timeout(WITHIN):
                return b" 200 " in await reader.readuntil(b"\r\n\r\n")
        return False

    served = sum(await asyncio.gather(*(ask(*one) for one in opened)))
    for _, writer in opened:
        writer.close()
    assert 0 < served <= 200
    async with asyncio.timeout(WITHIN):
        request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        answer = b""
        while b" 200 " not in answer:
            with contextlib.suppress(ConnectionError):
                answer = await raw(narrow.http_port, request)


async def test_more_open_pops_than_the_bound_are_503_until_there_is_room(narrow: Bridge) -> None:
    key = await asyncio.to_thread(narrow.key)
    admin = {"Authorization": f"Bearer {await asyncio.to_thread(narrow.token, 'admin')}"}
    accepted: list[str] = []
    async with aiohttp.ClientSession(narrow.http) as http, asyncio.timeout(WITHIN):
        trigger = Caller(http, {"acme": key})
        while (await trigger(pop_dryrun=1)).status != 200:
            pass
        for agentid, fit in (("one", 3), ("two", 3), ("three", 2)):
            for number in range(fit):
                answer = await trigger(agentid=agentid, n=number)
                assert answer.status == 200
                accepted.append(answer.said["popid"])
            full = await trigger(agentid=agentid, n=fit)
            assert (full.status, full.said["code"]) == (503, "overloaded")
            assert int(full.headers["Retry-After"]) >= 1
        async with http.get("/readyz") as response:
            assert (response.status, (await response.json())["code"]) == (503, "overloaded")
        for popid in accepted:
            async with http.delete(f"/api/pops/{popid}", headers=admin) as response:
                assert response.status == 200
        while (await trigger(agentid="one")).status != 200:
            pass
        ready = 503
        while ready != 200:
            async with http.get("/readyz") as response:
                ready = response.status


async def trickle(bridge: Bridge, head: bytes, rest: bytes) -> bytes:
    """Send a byte now and then, each well within the deadline, until the bridge has enough."""
    reader, writer = await asyncio.open_connection("127.0.0.1", bridge.http_port)
    received = asyncio.create_task(until_closed(reader))
    writer.write(head)
    for byte in rest:
        done, _ = await asyncio.wait({received}, timeout=0.1)
        if done:
            break
        writer.write(bytes([byte]))
    async with asyncio.timeout(WITHIN):
        answer = await received
    writer.close()
    return answer


async def after_an_answer(bridge: Bridge, first: bytes, second: bytes) -> bytes:
    """Send the second request when the first was answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", bridge.http_port)
    writer.write(first)
    received = await reader.readuntil(b"}")
    writer.write(second)
    async with asyncio.timeout(WITHIN):
        received += await until_closed(reader)
    writer.close()
    return received


@pytest.mark.parametrize("count", [1, 50])
async def test_bodies_may_come_a_byte_at_a_time(bridge: Bridge, keys: dict[str, str], count: int) -> None:
    async def slowly(number: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", bridge.http_port)
        body = f'{{"agentid":"slow-{number}","event":"On Ring","pop_ttl":1,"jwt":"{keys["acme"]}"}}'.encode()
        request = (
            b"POST /api/sendmessage/CTI HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        for place in range(0, len(request), count):
            writer.write(request[place : place + count])
            await writer.drain()
            await asyncio.sleep(0)
        async with asyncio.timeout(WITHIN):
            received = await reader.read()
        writer.close()
        return received

    for received in await asyncio.gather(*(slowly(number) for number in range(5))):
        assert received.startswith(b"HTTP/1.1 200 ")
