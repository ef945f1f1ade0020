"""Packets: MQTT 3.1.1 spelled as bytes, well or wrongly, and read back. Knows nothing of the broker's own code."""

from enum import IntEnum
from typing import NamedTuple


class Kind(IntEnum):
    """The control packet types, table 2.1 of the standard."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14


class Packet(NamedTuple):
    """One control packet as it came."""

    kind: Kind
    flags: int
    body: bytes


class Message(NamedTuple):
    """One PUBLISH as it came; `mid` is 0 at QoS 0."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    dup: bool
    mid: int


class Will(NamedTuple):
    """What the broker shall say for a client that is gone."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False


def short(number: int) -> bytes:
    return number.to_bytes(2, "big")


def text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return short(len(data)) + data


def length(number: int) -> bytes:
    spelled = bytearray()
    while True:
        number, digit = divmod(number, 128)
        spelled.append(digit | (0x80 if number else 0))
        if not number:
            return bytes(spelled)


def packet(kind: Kind, flags: int = 0, body: bytes = b"") -> bytes:
    return bytes([kind << 4 | flags]) + length(len(body)) + body


def connect(
    client_id: str | bytes = "",
    *,
    clean: bool = True,
    keepalive: int = 60,
    will: Will | None = None,
    username: str | None = None,
    password: str | bytes | None = None,
    name: str = "MQTT",
    level: int = 4,
    flags: int | None = None,
) -> bytes:
    """Spell CONNECT; `flags` overrides the connect flags and leaves the payload as the other arguments make it."""
    bits = 0x02 if clean else 0
    payload = text(client_id)
    if will is not None:
        bits |= 0x04 | will.qos << 3 | (0x20 if will.retain else 0)
        payload += text(will.topic) + text(will.payload)
    if username is not None:
        bits |= 0x80
        payload += text(username)
    if password is not None:
        bits |= 0x40
        payload += text(password)
    head = text(name) + bytes([level, bits if flags is None else flags]) + short(keepalive)
    return packet(Kind.CONNECT, 0, head + payload)


def publish(
    topic: str | bytes, payload: bytes = b"", *, qos: int = 0, mid: int = 0, retain: bool = False, dup: bool = False
) -> bytes:
    flags = (0x08 if dup else 0) | qos << 1 | (0x01 if retain else 0)
    return packet(Kind.PUBLISH, flags, text(topic) + (short(mid) if qos else b"") + payload)


def subscribe(mid: int, *filters: tuple[str | bytes, int]) -> bytes:
    return packet(Kind.SUBSCRIBE, 0x02, short(mid) + b"".join(text(name) + bytes([qos]) for name, qos in filters))


def unsubscribe(mid: int, *filters: str | bytes) -> bytes:
    return packet(Kind.UNSUBSCRIBE, 0x02, short(mid) + b"".join(text(name) for name in filters))


def reply(kind: Kind, mid: int) -> bytes:
    """Spell PUBACK, PUBREC, PUBREL, PUBCOMP or UNSUBACK."""
    return packet(kind, 0x02 if kind is Kind.PUBREL else 0, short(mid))


PINGREQ = packet(Kind.PINGREQ)
PINGRESP = packet(Kind.PINGRESP)
DISCONNECT = packet(Kind.DISCONNECT)


def message(found: Packet) -> Message:
    """Read a PUBLISH."""
    size = int.from_bytes(found.body[:2], "big")
    topic, rest = found.body[2 : 2 + size], found.body[2 + size :]
    qos = found.flags >> 1 & 0x03
    mid = int.from_bytes(rest[:2], "big") if qos else 0
    return Message(
        topic=topic.decode(),
        payload=rest[2:] if qos else rest,
        qos=qos,
        retain=bool(found.flags & 0x01),
        dup=bool(found.flags & 0x08),
        mid=mid,
    )


class Reader:
    """Bytes in, whole packets out."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[Packet]:
        self._data += data
        found: list[Packet] = []
        while (size := self._size()) is not None and len(self._data) >= size[0] + size[1]:
            head, body = size
            first = self._data[0]
            found.append(Packet(Kind(first >> 4), first & 0x0F, bytes(self._data[head : head + body])))
            del self._data[: head + body]
        return found

    def _size(self) -> tuple[int, int] | None:
        total = 0
        for place, byte in enumerate(self._data[1:5]):
            total |= (byte & 0x7F) << 7 * place
            if not byte & 0x80:
                return place + 2, total
        return None
