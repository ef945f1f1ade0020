"""Methods and paths: what triggers, what never does, and what is not there."""

import aiohttp
import pytest
from yarl import URL

from tests.conftest import Agent, Bridge, Caller, desktop

PREFETCH = [{"Sec-Purpose": "prefetch;prerender"}, {"Purpose": "prefetch"}, {"X-Moz": "Prefetch"}]


def target(keys: dict[str, str], agent: Agent, path: str = "/api/sendmessage/CTI") -> URL:
    return URL(f"{path}?agentid={agent.id}&event=On+Ring&jwt={keys['acme']}", encoded=True)


@pytest.mark.parametrize("channel", ["CTI", "CRM"])
async def test_head_options_and_prefetches_never_trigger(
    bridge: Bridge, http: aiohttp.ClientSession, keys: dict[str, str], agent: Agent, channel: str
) -> None:
    url = target(keys, agent, f"/api/sendmessage/{channel}")
    async with desktop(bridge, agent) as client:
        async with http.head(url) as head:
            assert head.status == 200
        async with http.options(url) as options:
            assert options.status == 204
            assert {"GET", "POST"} <= {method.strip() for method in options.headers["Allow"].split(",")}
        for headers in PREFETCH:
            async with http.get(url, headers=headers) as prefetched:
                assert prefetched.status == 204
        await client.nothing()
        async with http.get(url, headers={"Purpose": "other"}) as answer:
            assert (await answer.json())["receivers"] == 1
        assert (await client.message()).payload


async def test_a_post_is_a_trigger_even_if_it_says_prefetch(trigger: Caller) -> None:
    assert (await trigger(json={}, headers=PREFETCH[0])).said["success"] is True


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"])
async def test_other_methods_are_405_with_allow(http: aiohttp.ClientSession, method: str) -> None:
    async with http.request(method, "/api/sendmessage/CTI") as answer:
        assert answer.status == 405
        assert (await answer.json())["code"] == "method_not_allowed"
        assert {"GET", "POST"} <= {allowed.strip() for allowed in answer.headers["Allow"].split(",")}


@pytest.mark.parametrize(
    "path",
    [
        "/api/sendmessage/CTI",
        "/api/sendmessage/cti",
        "/API/SendMessage/Cti",
        "/api/sendmessage/CTI/",
        "/api/sendmessage/CRM/",
        "/api/sendmessage/crm",
    ],
)
async def test_the_path_matches_in_any_case_with_or_without_a_trailing_slash(
    http: aiohttp.ClientSession, keys: dict[str, str], agent: Agent, path: str
) -> None:
    async with http.get(target(keys, agent, path), allow_redirects=False) as answer:
        assert answer.status == 200
        assert (await answer.json())["topic"].startswith(path.strip("/").rpartition("/")[2].upper())


async def test_a_bare_question_mark_is_no_query(
    http: aiohttp.ClientSession, keys: dict[str, str], agent: Agent
) -> None:
    body = {"agentid": agent.id, "event": "On Ring", "jwt": keys["acme"]}
    for path in ("/api/sendmessage/CTI?", "/api/sendmessage/CTI/?"):
        async with http.post(URL(path, encoded=True), json=body) as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/index.html",
        "/api",
        "/api/sendmessage",
        "/api/sendmessage/CTI/x",
        "/api/sendmessage/LSM",
        "/api//sendmessage/CTI",
        "/%2e",
        "/%2e%2e",
    ],
)
async def test_other_paths_are_404(http: aiohttp.ClientSession, path: str) -> None:
    async with http.get(URL(path, encoded=True), allow_redirects=False) as answer:
        assert answer.status == 404
        assert (await answer.json())["code"] == "not_found"


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/healthz", "GET"), ("/readyz", "GET"), ("/metrics", "GET"), ("/api/desktop/token", "POST"), ("/mqtt", "GET")],
)
async def test_every_door_tells_its_methods(http: aiohttp.ClientSession, path: str, allowed: str) -> None:
    async with http.options(path) as options:
        assert options.status == 204
        assert allowed in options.headers["Allow"]
    async with http.delete(path) as refused:
        assert refused.status == 405
        assert allowed in refused.headers["Allow"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_head_answers_as_get_does_without_a_body(http: aiohttp.ClientSession, path: str) -> None:
    async with http.get(path) as got, http.head(path) as head:
        assert (got.status, head.status) == (200, 200)
        assert got.headers["Content-Type"] == head.headers["Content-Type"]
        assert await head.read() == b""
