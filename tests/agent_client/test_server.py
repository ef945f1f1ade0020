"""How a server's address is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_client.server import Server


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("mqtt://127.0.0.1:1884", Server("127.0.0.1", 1884)),
        ("mqtt://bridge", Server("bridge", 1883)),
        ("mqtts://bridge/", Server("bridge", 8883, tls=True)),
        ("mqtt://[::1]:7", Server("::1", 7)),
        ("ws://bridge", Server("bridge", 80, "websockets")),
        ("wss://bridge:8443/desk/mqtt", Server("bridge", 8443, "websockets", tls=True, path="/desk/mqtt")),
    ],
)
def test_each_way_to_the_bridge_has_a_url(text: str, server: Server) -> None:
    assert Server.parse(text) == server


@pytest.mark.parametrize(
    "text",
    [
        "",
        "127.0.0.1:1883",
        "http://bridge",
        "mqtt://",
        "mqtt://bridge:0",
        "mqtt://bridge:70000",
        "mqtt://bridge/topic",
        "mqtt://bridge?x=1",
        "mqtt://a..b",
        "mqtt://[::1",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Server.parse(text)


def test_a_refusal_does_not_repeat_a_password() -> None:
    with pytest.raises(ValueError, match="no user") as caught:
        Server.parse("mqtt://acme:geheim@bridge")
    assert "geheim" not in str(caught.value)


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Server.parse(f"x{text}")
