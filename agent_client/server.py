"""Server: where the bridge's MQTT listens, as one writes it: mqtt://HOST:PORT or ws://HOST:PORT/mqtt."""

from typing import Literal, Self
from urllib.parse import urlsplit

import msgspec

_PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443}


class Server(msgspec.Struct, frozen=True):
    """One address. `path` counts for WebSocket only."""

    host: str
    port: int
    transport: Literal["tcp", "websockets"] = "tcp"
    tls: bool = False
    path: str = "/mqtt"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a URL with the scheme mqtt, mqtts, ws or wss. Raises ValueError, never quoting what may be a secret."""
        wanted = "write mqtt://HOST:PORT, mqtts://HOST:PORT, ws://HOST:PORT/mqtt or wss://HOST:PORT/mqtt"
        url = urlsplit(text)
        if url.scheme not in _PORTS or not url.hostname:
            raise ValueError(f"this is not a server's address; {wanted}")
        if url.username is not None or url.query or url.fragment:
            raise ValueError(f"an address has no user, query or fragment; {wanted}")
        websocket = url.scheme in {"ws", "wss"}
        if not websocket and url.path not in {"", "/"}:
            raise ValueError(f"only ws:// and wss:// have a path; {wanted}")
        url.hostname.encode("idna")  # what cannot be looked up is a ValueError here, not in the network's thread
        port = url.port if url.port is not None else _PORTS[url.scheme]
        if port == 0:
            raise ValueError("nothing listens on port 0; the bridge's ready line tells its port")
        return cls(
            host=url.hostname,
            port=port,
            transport="websockets" if websocket else "tcp",
            tls=url.scheme in {"mqtts", "wss"},
            path=url.path if websocket and url.path not in {"", "/"} else "/mqtt",
        )
