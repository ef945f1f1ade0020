"""Answers: their shape, their headers, refusals in both shapes."""

import asyncio
import re
from typing import Any

import aiohttp
import pytest

from tests.conftest import Agent, Bridge, Caller, desktop, raw

REFUSALS: list[tuple[int, str, dict[str, Any]]] = [
    (400, "missing_parameter", {"agentid": None}),
    (400, "ambiguous_parameter", {"query": "agentid=x"}),
    (400, "invalid_parameter", {"pop_wait": "x"}),
    (400, "malformed_body", {"data": b"{", "headers": {"Content-Type": "application/json"}}),
    (401, "missing_key", {"jwt": None}),
    (401, "invalid_key", {"jwt": "wrong"}),
    (404, "unknown_crmid", {"crmid": "nowhere.example.com"}),
    (404, "unknown_event", {"customer": "many", "event": "zzz"}),
    (405, "method_not_allowed", {"method": "PUT"}),
    (413, "payload_too_large", {"json": {"a": "x" * 140_000}}),
    (415, "unsupported_media_type", {"data": b"<a/>", "headers": {"Content-Type": "application/xml"}}),
    (415, "unsupported_encoding", {"data": b"x", "headers": {"Content-Encoding": "br"}}),
]


async def test_an_accepted_trigger_is_answered_flat_with_these_members(trigger: Caller) -> None:
    answer = await trigger(agentid="shape")
    assert answer.status == 200
    assert list(answer.said) == ["success", "popid", "status", "topic", "receivers"]
    assert answer.said["success"] is True
    assert re.fullmatch(r"[A-Za-z0-9_-]{16,40}", answer.said["popid"])
    assert (answer.said["status"], answer.said["topic"], answer.said["receivers"]) == ("held", "CTI/acme/shape", 0)


async def test_with_warnings_and_a_wait_it_has_these(trigger: Caller) -> None:
    answer = await trigger(event="on ring", pop_wait="0.01", agentid="shape-2")
    assert list(answer.said) == ["success", "popid", "status", "topic", "receivers", "warnings", "ms"]
    assert isinstance(answer.said["ms"], int)
    assert all(isinstance(warning, str) for warning in answer.said["warnings"])


async def test_a_dry_run_has_no_popid_and_publishes_nothing(bridge: Bridge, trigger: Caller, agent: Agent) -> None:
    answer = await trigger(agentid=agent.id, pop_dryrun=1, event="on ring")
    assert list(answer.said) == ["success", "dryrun", "status", "topic", "receivers", "warnings"]
    assert (answer.said["dryrun"], answer.said["status"], answer.said["receivers"]) == (True, "held", 0)
    async with desktop(bridge, agent) as client:
        answer = await trigger(agentid=agent.id, pop_dryrun=1, pop_wait=5, headers={"Prefer": "wait=5"})
        assert (answer.said["status"], answer.said["receivers"]) == ("sent", 1)
        assert "ms" not in answer.said
        await client.nothing()


async def test_a_dry_run_is_refused_as_the_trigger_would_be(trigger: Caller) -> None:
    for status, code, how in REFUSALS:
        if how.get("customer") == "many" or code in {"missing_parameter", "unknown_crmid"}:
            answer = await trigger(pop_dryrun=1, **how)
            assert (answer.status, answer.said["code"]) == (status, code)


@pytest.mark.parametrize(("status", "code", "how"), REFUSALS, ids=[code for _, code, _ in REFUSALS])
async def test_a_refusal_has_one_shape(trigger: Caller, status: int, code: str, how: dict[str, Any]) -> None:
    answer = await trigger(**how)
    assert (answer.status, answer.said["http_status"], answer.said["code"]) == (status, status, code)
    assert answer.headers["Content-Type"].startswith("application/json")
    assert list(answer.said)[:7] == ["success", "status", "http_status", "code", "title", "detail", "hint"]
    assert (answer.said["success"], answer.said["status"]) == (False, "error")
    assert all(value for name, value in answer.said.items() if name != "success")
    assert all(isinstance(value, str | int) for value in answer.said.values())


@pytest.mark.parametrize(("status", "code", "how"), REFUSALS, ids=[code for _, code, _ in REFUSALS])
async def test_as_problem_json_its_status_is_the_number(
    trigger: Caller, status: int, code: str, how: dict[str, Any]
) -> None:
    accept = {"Accept": "text/html, Application/Problem+JSON;q=0.9"}
    answer = await trigger(**(how | {"headers": how.get("headers", {}) | accept}))
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert (answer.status, answer.said["status"], answer.said["http_status"]) == (status, status, status)
    assert (answer.said["success"], answer.said["code"]) == (False, code)


async def test_401_carries_the_documents_advice(trigger: Caller) -> None:
    for jwt in (None, "wrong", "a.b.c"):
        answer = await trigger(jwt=jwt)
        assert answer.status == 401
        assert "correct API key" in answer.said["hint"]
        assert "WWW-Authenticate" in answer.headers


async def test_no_answer_may_be_cached_redirects_or_sets_cookies(http: aiohttp.ClientSession, trigger: Caller) -> None:
    found = [(await trigger()).headers] + [(await trigger(**how)).headers for _, _, how in REFUSALS]
    for method, path in [
        ("HEAD", "/api/sendmessage/CTI"),
        ("OPTIONS", "/api/sendmessage/CTI"),
        ("GET", "/nowhere"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/metrics"),
        ("GET", "/mqtt"),
        ("POST", "/api/desktop/token"),
        ("GET", "/api/sendmessage"),
    ]:
        async with http.request(method, path, allow_redirects=False) as response:
            assert not 300 <= response.status < 400
            found.append(response.headers)
    for headers in found:
        assert headers["Cache-Control"] == "no-store"
        assert "Set-Cookie" not in headers
        assert "Location" not in headers


async def test_what_the_parser_refuses_has_the_same_shape_and_quotes_nothing(bridge: Bridge) -> None:
    secret = b"zzsecretzz"
    cases = [
        b"GET /api/sendmessage/CTI?jwt=" + secret + b"\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/sendmessage/CTI?jwt=" + secret + b"&a=\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/sendmessage/CTI?jwt=" + secret + b" x HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /api/sendmessage/CTI?jwt=" + secret + b" HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /?jwt=" + secret + b" HTTP/1.1\r\nHost: x\r\nno colon " + secret + b"\r\n\r\n",
        b"GET /?jwt=" + secret + b" HTTP/1.1\r\nHost: x\r\nX-API-Key: a\x00" + secret + b"\r\n\r\n",
        b"POST /?jwt=" + secret + b" HTTP/1.1\r\nHost: x\r\nContent-Length: " + secret + b"\r\n\r\n",
        b"POST /?jwt=" + secret + b" HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n" + secret,
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n" + secret,
        b"POST /api/sendmessage/CTI HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + secret + b"\r\n",
        b"POST /api/sendmessage/CTI HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n" + secret + b"\r\n",
        secret + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + secret,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"G@T /" + secret + b" HTTP/1.1\r\n\r\n",
    ]
    for sent, received in zip(
        cases, await asyncio.gather(*(raw(bridge.http_port, case) for case in cases)), strict=True
    ):
        assert re.match(rb"HTTP/1\.[01] 4\d\d ", received), (sent, received)
        assert b'"code":"malformed_body"' in received, (sent, received)
        assert b"Cache-Control: no-store" in received
        assert secret not in received
    assert secret.decode() not in bridge.log()


async def test_a_per_cent_encoded_byte_that_is_not_utf_8_quotes_nothing(bridge: Bridge, trigger: Caller) -> None:
    answer = await trigger(query="a=zzhiddenzz%FF")
    assert (answer.status, answer.said["code"]) == (400, "malformed_body")
    assert "zzhidden" not in str(answer.said)
    assert "zzhidden" not in bridge.log()


async def test_json_is_answered_whatever_is_accepted(trigger: Caller) -> None:
    for accept in ("text/html", "application/xml", "*/*", "image/*;q=0.1", ""):
        answer = await trigger(headers={"Accept": accept})
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("application/json")


async def test_metrics_count_answers_by_door_and_status(http: aiohttp.ClientSession, trigger: Caller) -> None:
    await trigger(jwt="wrong")
    async with http.get("/metrics") as response:
        text = await response.text()
    assert re.search(r'popbridge_http_answers_total\{door="connect_cti",status="401"\} [1-9]', text)
    async with http.get("/metrics", headers={"X-Forwarded-For": "192.0.2.1"}) as refused:
        assert refused.status == 401


async def test_the_bridge_is_alive_and_ready(http: aiohttp.ClientSession) -> None:
    for path, status in (("/healthz", "alive"), ("/readyz", "ready")):
        async with http.get(path) as response:
            assert response.status == 200
            assert (await response.json())["status"] == status
