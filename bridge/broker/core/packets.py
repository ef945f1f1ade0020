"""Packets: what a client says in MQTT 3.1.1, one type for each kind, to be matched on."""

import msgspec


class Will(msgspec.Struct, gc=False):
    """What the client leaves to be published when its connection ends without DISCONNECT."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


class Connect(msgspec.Struct, gc=False):
    """CONNECT. `keep_alive` in seconds, 0 as sent."""

    client_id: str
    clean: bool
    keep_alive: int
    username: str | None = None
    password: bytes | None = None
    will: Will | None = None


class Publish(msgspec.Struct, gc=False):
    """PUBLISH. `id` is 0 at QoS 0."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    dup: bool = False
    id: int = 0


class Puback(msgspec.Struct, gc=False):
    """PUBACK."""

    id: int


class Pubrec(msgspec.Struct, gc=False):
    """PUBREC."""

    id: int


class Pubrel(msgspec.Struct, gc=False):
    """PUBREL."""

    id: int


class Pubcomp(msgspec.Struct, gc=False):
    """PUBCOMP."""

    id: int


class Subscribe(msgspec.Struct, gc=False):
    """SUBSCRIBE: filters with the QoS asked for."""

    id: int
    filters: tuple[tuple[str, int], ...]


class Unsubscribe(msgspec.Struct, gc=False):
    """UNSUBSCRIBE."""

    id: int
    filters: tuple[str, ...]


class Pingreq(msgspec.Struct, gc=False):
    """PINGREQ."""


class Disconnect(msgspec.Struct, gc=False):
    """DISCONNECT."""


Packet = Connect | Publish | Puback | Pubrec | Pubrel | Pubcomp | Subscribe | Unsubscribe | Pingreq | Disconnect
