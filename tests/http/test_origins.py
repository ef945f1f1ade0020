"""Origins: web pages that call, and web pages that may not; and the WebSocket door."""

import aiohttp
import pytest
from yarl import URL

from tests.broker.contract.client import Client
from tests.broker.contract.lines import WebSocketLine
from tests.conftest import Agent, Bridge, Caller, raw

LISTED = "https://agents.example.com"
FOREIGN = "https://evil.example.net"


async def test_a_page_that_the_customer_lists_may_call_and_read(trigger: Caller) -> None:
    answer = await trigger(headers={"Origin": LISTED})
    assert answer.status == 200
    assert answer.headers["Access-Control-Allow-Origin"] == LISTED
    assert "Origin" in answer.headers["Vary"]
    assert "Access-Control-Allow-Credentials" not in answer.headers


async def test_a_page_that_nobody_lists_is_refused(trigger: Caller) -> None:
    for origin in (
        FOREIGN,
        "null",
        "https://agents.example.com.evil.net",
        "http://agents.example.com",
        f"{LISTED}:8443",
    ):
        answer = await trigger(headers={"Origin": origin})
        assert (answer.status, answer.said["code"]) == (403, "forbidden")
        assert "Access-Control-Allow-Origin" not in answer.headers


async def test_a_listed_page_serves_only_the_customers_own_credentials(trigger: Caller) -> None:
    answer = await trigger("CTI", "other", headers={"Origin": LISTED})
    assert (answer.status, answer.said["code"]) == (403, "forbidden")


async def test_a_refusal_can_be_read_by_a_listed_page(trigger: Caller) -> None:
    answer = await trigger(jwt="wrong", headers={"Origin": LISTED})
    assert answer.status == 401
    assert answer.headers["Access-Control-Allow-Origin"] == LISTED


async def test_the_own_hosts_pages_and_callers_without_origin_are_accepted(bridge: Bridge, trigger: Caller) -> None:
    assert (await trigger()).status == 200
    own = await trigger(headers={"Origin": bridge.http})
    assert own.status == 200
    assert "Access-Control-Allow-Origin" not in own.headers


async def test_a_preflight_names_methods_and_fields_and_no_wildcard(http: aiohttp.ClientSession) -> None:
    asked = {
        "Origin": LISTED,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    async with http.options("/api/sendmessage/CTI", headers=asked) as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Origin"] == LISTED
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]
        assert "content-type" in answer.headers["Access-Control-Allow-Headers"].lower()
        assert "x-api-key" in answer.headers["Access-Control-Allow-Headers"].lower()
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert "*" not in "".join(answer.headers.values())
    async with http.options("/api/sendmessage/CTI", headers=asked | {"Origin": FOREIGN}) as answer:
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("method", ["HEAD", "GET"])
async def test_other_doors_hold_to_the_same_rule(http: aiohttp.ClientSession, method: str) -> None:
    async with http.request(method, "/healthz", headers={"Origin": FOREIGN}) as refused:
        assert refused.status == 403
    async with http.request(method, "/healthz", headers={"Origin": LISTED}) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == LISTED


async def test_mqtt_over_websocket_is_spoken_with_the_subprotocol_mqtt(bridge: Bridge, agent: Agent) -> None:
    client = Client(await WebSocketLine.open(f"{bridge.http}/mqtt"))
    assert await client.connect(username=f"acme/{agent.id}", password=agent.token) == (False, 0)
    assert await client.subscribe((f"CTI/acme/{agent.id}", 1)) == [1]
    await client.drop()


@pytest.mark.parametrize("protocols", [(), ("mqttv3.1",), ("MQTT5", "wamp"), ("MQTT",)])
async def test_another_subprotocol_or_none_is_400(http: aiohttp.ClientSession, protocols: tuple[str, ...]) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await http.ws_connect("/mqtt", protocols=protocols)
    assert caught.value.status == 400


async def test_one_of_several_subprotocols_may_be_mqtt(http: aiohttp.ClientSession) -> None:
    async with http.ws_connect("/mqtt", protocols=("other", "mqtt")) as websocket:
        assert websocket.protocol == "mqtt"


async def test_what_is_no_handshake_is_400_in_words(http: aiohttp.ClientSession, bridge: Bridge) -> None:
    async with http.get("/mqtt") as answer:
        assert answer.status == 400
        assert (await answer.json())["code"] == "invalid_parameter"
    head = (
        b"GET /mqtt HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Protocol: mqtt\r\n"
    )
    for rest in (
        b"",
        b"Sec-WebSocket-Version: 12\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        b"Sec-WebSocket-Version: 13\r\n",
    ):
        received = await raw(bridge.http_port, head + rest + b"\r\n")
        assert received.startswith(b"HTTP/1.1 400 ")
        assert b'"code":' in received


async def test_websockets_hold_to_the_origin_rule(bridge: Bridge, agent: Agent, observers: dict[str, str]) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await WebSocketLine.open(f"{bridge.http}/mqtt", origin=FOREIGN)
    assert caught.value.status == 403
    for origin in (LISTED, bridge.http):
        client = Client(await WebSocketLine.open(f"{bridge.http}/mqtt", origin=origin))
        assert await client.connect(username=f"acme/{agent.id}", password=agent.token) == (False, 0)
        await client.drop()
    stranger = Client(await WebSocketLine.open(f"{bridge.http}/mqtt", origin=LISTED))
    assert await stranger.connect(username="other", password=observers["other"]) == (False, 5)
    await stranger.drop()


async def test_the_websockets_path_matches_in_any_case_and_only_by_get(http: aiohttp.ClientSession) -> None:
    async with http.ws_connect(URL("/MQTT/"), protocols=("mqtt",)) as websocket:
        assert websocket.protocol == "mqtt"
    async with http.post("/mqtt") as answer:
        assert answer.status == 405
