"""Wire: MQTT 3.1.1 as bytes. Bytes to packets and back, strict, without I/O.

Everything the standard calls malformed is a ProtocolError, and so is what mosquitto refuses beside it: control
characters and non-characters in text, and topics of more than 201 levels.
"""

import re
import struct
from collections.abc import Callable

from bridge.broker.core.packets import (
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Subscribe,
    Unsubscribe,
    Will,
)

MAX_CONNECT = 80 * 1024  # bytes: the longest client id, a token and a will, held for clients nobody knows yet
MAX_SLASHES = 200  # in a topic or filter; mosquitto's bound: each level of a filter costs a node of the trie

_UNFIT = r"\x00-\x1f\x7f-\x9f\ufdd0-\ufdef" + "".join(
    f"{chr(0x10000 * n + 0xFFFE)}-{chr(0x10000 * n + 0xFFFF)}" for n in range(17)
)
_UNFIT_TEXT = re.compile(f"[{_UNFIT}]")
_WILDCARD = re.compile("[+#]")
_MISPLACED = re.compile(r"[^/][+#]|[+#][^/]|#/")

_PUBLISH = frozenset({0x30, 0x31, 0x32, 0x33, 0x3A, 0x3B, 0x34, 0x35, 0x3C, 0x3D})
_FIXED = {0x40: 2, 0x50: 2, 0x62: 2, 0x70: 2, 0xC0: 0, 0xE0: 0}  # the only remaining length each may have
_USUAL_HEAD = struct.Struct(">BBBH").pack  # of a PUBLISH: kind, remaining length of two bytes, length of the topic
_FIRST = _PUBLISH | _FIXED.keys() | {0x10, 0x82, 0xA2}


class ProtocolError(Exception):
    """What a client sent is not MQTT 3.1.1: close the connection. `before` holds the packets before the fault."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.before: list[Packet] = []


class UnsupportedLevelError(ProtocolError):
    """A CONNECT of another protocol version: answer CONNACK 1, then close."""

    def __init__(self, level: int) -> None:
        super().__init__(f"protocol level {level}")
        self.level = level


class Decoder:
    """Packets out of a stream. `max_packet` is in bytes, header included, and may be raised after the login.

    What follows a CONNECT waits for the next `feed`, if only of nothing, so that nobody's packets are read before the
    login and by bounds that are not theirs.
    """

    __slots__ = ("_greeted", "_held", "_need", "_raw", "_topic", "max_packet")

    def __init__(self, max_packet: int) -> None:
        self.max_packet = max_packet
        self._greeted = False
        self._held: bytearray | None = None
        self._need = 0  # bytes until parsing what is held makes progress, so that small chunks cost nothing
        self._raw: bytes | None = None  # the topic of the last PUBLISH: most clients use one
        self._topic = ""

    def feed(self, data: bytes) -> list[Packet]:
        """Return the packets that `data` completes; CONNECT comes alone."""
        held = self._held
        if held is not None:
            held += data
            if len(held) < self._need:
                return []
            data = bytes(held)
            self._held = None
        packets: list[Packet] = []
        start, end = 0, len(data)
        try:
            while start < end:
                if data[start] == 0x40 and end - start >= 4 and data[start + 1] == 2 and self._greeted:
                    packets.append(Puback(_packet_id(data, start + 2, end)))
                    start += 4
                    continue
                body, after = self._measure(data, start, end)
                if after > end:
                    self._need = after - start
                    self._held = bytearray(memoryview(data)[start:])
                    break
                packets.append(self._packet(data[start], data, body, after))
                if data[start] == 0x10 and after < end:
                    self._need = 0
                    self._held = bytearray(memoryview(data)[after:])
                    break
                start = after
        except ProtocolError as error:
            error.before = packets
            raise
        return packets

    def _measure(self, data: bytes, start: int, end: int) -> tuple[int, int]:
        """Find where a packet's body begins and where it ends, at least one byte past `end` if that is not known."""
        first = data[start]
        if first not in _FIRST:
            raise ProtocolError(f"packet type or flags 0x{first:02x}")
        if (first == 0x10) is self._greeted:
            raise ProtocolError("second CONNECT" if self._greeted else "first packet is not CONNECT")
        length, shift, at = 0, 0, start + 1
        while True:
            if at >= end:
                return at, end + 1
            byte = data[at]
            at += 1
            length |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
            if shift > 21:
                raise ProtocolError("remaining length of more than 4 bytes")
        if _FIXED.get(first, length) != length:
            raise ProtocolError(f"remaining length {length} of packet 0x{first:02x}")
        after = at + length
        limit = self.max_packet if self._greeted else min(MAX_CONNECT, self.max_packet)
        if after - start > limit:
            raise ProtocolError(f"packet of {after - start} bytes, at most {limit} are accepted")
        return at, after

    def _packet(self, first: int, data: bytes, at: int, end: int) -> Packet:
        if first in _PUBLISH:
            return self._publish(first, data, at, end)
        if first == 0x10:
            self._greeted = True
        return _PARSERS[first](data, at, end)

    def _publish(self, first: int, data: bytes, at: int, end: int) -> Publish:
        raw, at = _bytes(data, at, end)
        if raw != self._raw:
            self._topic = _topic(raw)
            self._raw = raw
        qos = first >> 1 & 3
        identifier = 0
        if qos:
            identifier = _packet_id(data, at, end)
            at += 2
        return Publish(self._topic, data[at:end], qos, first & 1 == 1, first & 8 == 8, identifier)


def _packet_id(data: bytes, at: int, end: int) -> int:
    if at + 2 > end:
        raise ProtocolError("packet too short")
    identifier = data[at] << 8 | data[at + 1]
    if not identifier:
        raise ProtocolError("packet id 0")
    return identifier


def _bytes(data: bytes, at: int, end: int) -> tuple[bytes, int]:
    if at + 2 > end:
        raise ProtocolError("packet too short")
    after = at + 2 + (data[at] << 8 | data[at + 1])
    if after > end:
        raise ProtocolError("packet too short")
    return data[at + 2 : after], after


def _text(raw: bytes) -> str:
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise ProtocolError("text is not UTF-8") from None
    if not text.isprintable() and _UNFIT_TEXT.search(text):
        raise ProtocolError("control character in text")
    return text


def _topic(raw: bytes) -> str:
    topic = _text(raw)
    if not topic:
        raise ProtocolError("empty topic")
    if _WILDCARD.search(topic):
        raise ProtocolError("wildcard in a topic")
    if topic.count("/") > MAX_SLASHES:
        raise ProtocolError("topic of too many levels")
    return topic


def _filter(raw: bytes) -> str:
    text = _text(raw)
    if not text:
        raise ProtocolError("empty filter")
    if _MISPLACED.search(text):
        raise ProtocolError("wildcard that is not a level of its own")
    if text.count("/") > MAX_SLASHES:
        raise ProtocolError("filter of too many levels")
    return text


def _connect(data: bytes, at: int, end: int) -> Connect:
    name, at = _bytes(data, at, end)
    if name not in {b"MQTT", b"MQIsdp"}:
        raise ProtocolError("unknown protocol name")
    if at >= end:
        raise ProtocolError("packet too short")
    if name == b"MQIsdp" or data[at] != 4:
        raise UnsupportedLevelError(data[at])
    if at + 4 > end:
        raise ProtocolError("packet too short")
    flags = data[at + 1]
    keep_alive = data[at + 2] << 8 | data[at + 3]
    _check_flags(flags)
    raw, at = _bytes(data, at + 4, end)
    connect = Connect(_text(raw), flags & 0x02 == 0x02, keep_alive)
    if flags & 0x04:
        raw, at = _bytes(data, at, end)
        payload, at = _bytes(data, at, end)
        connect.will = Will(_topic(raw), payload, flags >> 3 & 3, flags & 0x20 == 0x20)
    if flags & 0x80:
        raw, at = _bytes(data, at, end)
        connect.username = _text(raw)
    if flags & 0x40:
        connect.password, at = _bytes(data, at, end)
    if at != end:
        raise ProtocolError("bytes after the end of CONNECT")
    return connect


def _check_flags(flags: int) -> None:
    if flags & 0x01:
        raise ProtocolError("reserved flag of CONNECT")
    if not flags & 0x04 and flags & 0x38:
        raise ProtocolError("will QoS or will retain without a will")
    if flags & 0x18 == 0x18:
        raise ProtocolError("will QoS 3")
    if flags & 0xC0 == 0x40:
        raise ProtocolError("password without a user name")


def _subscribe(data: bytes, at: int, end: int) -> Subscribe:
    identifier = _packet_id(data, at, end)
    at += 2
    filters: list[tuple[str, int]] = []
    while at < end:
        raw, at = _bytes(data, at, end)
        if at >= end:
            raise ProtocolError("packet too short")
        if data[at] > 2:
            raise ProtocolError(f"requested QoS {data[at]}")
        filters.append((_filter(raw), data[at]))
        at += 1
    if not filters:
        raise ProtocolError("SUBSCRIBE without a filter")
    return Subscribe(identifier, tuple(filters))


def _unsubscribe(data: bytes, at: int, end: int) -> Unsubscribe:
    identifier = _packet_id(data, at, end)
    at += 2
    filters: list[str] = []
    while at < end:
        raw, at = _bytes(data, at, end)
        filters.append(_filter(raw))
    if not filters:
        raise ProtocolError("UNSUBSCRIBE without a filter")
    return Unsubscribe(identifier, tuple(filters))


_PARSERS: dict[int, Callable[[bytes, int, int], Packet]] = {
    0x10: _connect,
    0x40: lambda data, at, end: Puback(_packet_id(data, at, end)),
    0x50: lambda data, at, end: Pubrec(_packet_id(data, at, end)),
    0x62: lambda data, at, end: Pubrel(_packet_id(data, at, end)),
    0x70: lambda data, at, end: Pubcomp(_packet_id(data, at, end)),
    0x82: _subscribe,
    0xA2: _unsubscribe,
    0xC0: lambda _data, _at, _end: Pingreq(),
    0xE0: lambda _data, _at, _end: Disconnect(),
}

PINGRESP = b"\xd0\x00"


def connack(code: int, *, present: bool = False) -> bytes:
    """Answer a CONNECT; `present` says that a session is resumed."""
    return bytes((0x20, 2, present, code))


def puback(identifier: int) -> bytes:
    """Acknowledge a PUBLISH at QoS 1."""
    return b"\x40\x02" + identifier.to_bytes(2, "big")


def pubrec(identifier: int) -> bytes:
    """Acknowledge a PUBLISH at QoS 2."""
    return b"\x50\x02" + identifier.to_bytes(2, "big")


def pubrel(identifier: int) -> bytes:
    """Release a message at QoS 2."""
    return b"\x62\x02" + identifier.to_bytes(2, "big")


def pubcomp(identifier: int) -> bytes:
    """Complete a message at QoS 2."""
    return b"\x70\x02" + identifier.to_bytes(2, "big")


def suback(identifier: int, codes: bytes) -> bytes:
    """Answer a SUBSCRIBE: one code for each filter, the granted QoS or 0x80."""
    return b"\x90" + _length(2 + len(codes)) + identifier.to_bytes(2, "big") + codes


def unsuback(identifier: int) -> bytes:
    """Answer an UNSUBSCRIBE."""
    return b"\xb0\x02" + identifier.to_bytes(2, "big")


def publish_head(topic: str, size: int, qos: int, *, retain: bool) -> bytes:
    """Spell a PUBLISH up to where the packet id stands (QoS 1 and 2) or the payload of `size` bytes begins (QoS 0)."""
    raw = topic.encode()
    kind, length = 0x30 | qos << 1 | retain, (4 if qos else 2) + len(raw) + size
    if 0x80 <= length < 0x4000:  # as most are
        return _USUAL_HEAD(kind, length & 0x7F | 0x80, length >> 7, len(raw)) + raw
    return bytes((kind,)) + _length(length) + len(raw).to_bytes(2, "big") + raw


def as_duplicate(packet: bytes) -> bytes:
    """Set DUP on an encoded PUBLISH."""
    return bytes((packet[0] | 0x08,)) + packet[1:]


def _length(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
