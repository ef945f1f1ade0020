"""The wire: strict, whatever the chunks, and never anything but packets or a ProtocolError."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.broker.core import packets, wire

LIMIT = 300_000

_levels = st.text(
    st.characters(codec="utf-8", exclude_characters="+#/", exclude_categories=("Cc", "Cs", "Cn", "Co")), max_size=8
)
topics = st.lists(_levels, min_size=1, max_size=5).map("/".join).filter(bool)
filters = st.tuples(st.lists(_levels | st.just("+"), min_size=1, max_size=5), st.booleans()).map(
    lambda made: "/".join(made[0]) + ("/#" if made[1] else "")
)
identifiers = st.integers(1, 0xFFFF)
texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn", "Co")), max_size=20)

wills = st.builds(packets.Will, topics, st.binary(max_size=50), st.integers(0, 2), st.booleans())
connects = st.builds(
    packets.Connect,
    texts,
    st.booleans(),
    st.integers(0, 0xFFFF),
    username=texts,
    password=st.none() | st.binary(max_size=50),
    will=st.none() | wills,
) | st.builds(packets.Connect, texts, st.booleans(), st.integers(0, 0xFFFF), will=st.none() | wills)
publishes = st.builds(packets.Publish, topics, st.binary(max_size=300), st.just(0), st.booleans()) | st.builds(
    packets.Publish, topics, st.binary(max_size=300), st.integers(1, 2), st.booleans(), st.booleans(), identifiers
)
later = st.one_of(
    publishes,
    st.builds(packets.Puback, identifiers),
    st.builds(packets.Pubrec, identifiers),
    st.builds(packets.Pubrel, identifiers),
    st.builds(packets.Pubcomp, identifiers),
    st.builds(
        packets.Subscribe,
        identifiers,
        st.lists(st.tuples(filters.filter(bool), st.integers(0, 2)), min_size=1, max_size=4).map(tuple),
    ),
    st.builds(packets.Unsubscribe, identifiers, st.lists(filters.filter(bool), min_size=1, max_size=4).map(tuple)),
    st.just(packets.Pingreq()),
    st.just(packets.Disconnect()),
)


def string(data: str | bytes) -> bytes:
    raw = data.encode() if isinstance(data, str) else data
    return len(raw).to_bytes(2, "big") + raw


def framed(first: int, body: bytes) -> bytes:
    length, rest = bytearray(), len(body)
    while True:
        length.append(rest & 0x7F | (0x80 if rest > 0x7F else 0))
        rest >>= 7
        if not rest:
            return bytes((first,)) + bytes(length) + body


def spell(packet: packets.Packet) -> bytes:  # noqa: C901, PLR0911 - one line for each kind
    """Spell a packet as a client would."""
    match packet:
        case packets.Connect():
            return framed(0x10, _connect_body(packet))
        case packets.Publish(topic, payload, qos, retain, dup, identifier):
            body = string(topic) + (identifier.to_bytes(2, "big") if qos else b"") + payload
            return framed(0x30 | dup << 3 | qos << 1 | retain, body)
        case packets.Puback(identifier):
            return wire.puback(identifier)
        case packets.Pubrec(identifier):
            return wire.pubrec(identifier)
        case packets.Pubrel(identifier):
            return wire.pubrel(identifier)
        case packets.Pubcomp(identifier):
            return wire.pubcomp(identifier)
        case packets.Subscribe(identifier, asked):
            return framed(
                0x82, identifier.to_bytes(2, "big") + b"".join(string(one) + bytes((qos,)) for one, qos in asked)
            )
        case packets.Unsubscribe(identifier, named):
            return framed(0xA2, identifier.to_bytes(2, "big") + b"".join(map(string, named)))
        case packets.Pingreq():
            return b"\xc0\x00"
        case packets.Disconnect():
            return b"\xe0\x00"


def _connect_body(packet: packets.Connect) -> bytes:
    flags, tail = packet.clean << 1, string(packet.client_id)
    if packet.will is not None:
        flags |= 0x04 | packet.will.qos << 3 | packet.will.retain << 5
        tail += string(packet.will.topic) + string(packet.will.payload)
    if packet.username is not None:
        flags |= 0x80
        tail += string(packet.username)
    if packet.password is not None:
        flags |= 0x40
        tail += string(packet.password)
    return string("MQTT") + bytes((4, flags)) + packet.keep_alive.to_bytes(2, "big") + tail


HELLO = spell(packets.Connect("me", clean=True, keep_alive=60))


def greeted() -> wire.Decoder:
    decoder = wire.Decoder(LIMIT)
    decoder.feed(HELLO)
    return decoder


def outcome(chunks: list[bytes]) -> tuple[list[packets.Packet], str | None]:
    """Feed chunks: the packets, and the fault that ended them."""
    decoder, found = wire.Decoder(LIMIT), []
    try:
        for chunk in [*chunks, b""]:
            found += decoder.feed(chunk)
    except wire.ProtocolError as error:
        return found + error.before, str(error)
    return found, None


@given(connects, st.lists(later, max_size=6))
def test_what_is_spelled_is_read_again(connect: packets.Connect, others: list[packets.Packet]) -> None:
    said = [connect, *others]
    assert outcome([b"".join(map(spell, said))]) == (said, None)


@given(connects, st.lists(later, max_size=4), st.binary(max_size=6), st.data())
def test_the_chunks_make_no_difference(
    connect: packets.Connect, others: list[packets.Packet], garbage: bytes, data: st.DataObject
) -> None:
    stream = b"".join(map(spell, [connect, *others])) + garbage
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    chunks = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    whole = outcome([stream])
    assert outcome(chunks) == whole
    assert outcome([stream[at : at + 1] for at in range(len(stream))]) == whole


@given(connects | later)
@settings(max_examples=60)
def test_a_packet_cut_short_waits_or_fails_but_never_counts(packet: packets.Packet) -> None:
    raw = spell(packet)
    for end in range(len(raw)):
        decoder = wire.Decoder(LIMIT) if isinstance(packet, packets.Connect) else greeted()
        with contextlib.suppress(wire.ProtocolError):
            assert decoder.feed(raw[:end]) == []


@given(connects | later.filter(lambda packet: not isinstance(packet, packets.Publish)))
@settings(max_examples=60)
def test_a_body_cut_short_is_an_error(packet: packets.Packet) -> None:
    raw = spell(packet)
    body = raw[2:] if raw[1] < 0x80 else raw[3:]
    for end in range(len(body)):
        decoder = wire.Decoder(LIMIT) if isinstance(packet, packets.Connect) else greeted()
        shorter = framed(raw[0], body[:end])
        with contextlib.suppress(wire.ProtocolError):
            found = decoder.feed(shorter)
            assert isinstance(packet, packets.Subscribe | packets.Unsubscribe), found
            assert len(found[0].filters) < len(packet.filters)  # type: ignore[union-attr]


@given(st.binary(max_size=200), st.booleans())
@settings(max_examples=300)
def test_random_bytes_give_packets_or_a_protocol_error(data: bytes, after_login: bool) -> None:  # noqa: FBT001
    decoder = greeted() if after_login else wire.Decoder(LIMIT)
    with contextlib.suppress(wire.ProtocolError):
        for packet in decoder.feed(data):
            assert isinstance(packet, packets.Packet)


@pytest.mark.parametrize(
    ("why", "raw"),
    [
        ("packet type 0", b"\x00\x00"),
        ("packet type 15", b"\xf0\x00"),
        ("a packet only servers send", b"\x20\x02\x00\x00"),
        ("flags of PUBACK", b"\x41\x02\x00\x01"),
        ("flags of PUBREL", b"\x60\x02\x00\x01"),
        ("flags of SUBSCRIBE", framed(0x80, b"\0\1" + string("a") + b"\0")),
        ("flags of PINGREQ", b"\xc1\x00"),
        ("PINGREQ with a body", b"\xc0\x01\x00"),
        ("PUBACK too long", b"\x40\x03\x00\x01\x00"),
        ("PUBACK too short", b"\x40\x01\x00"),
        ("packet id 0", b"\x40\x02\x00\x00"),
        ("a remaining length of five bytes", b"\x30\x80\x80\x80\x80\x01"),
        ("QoS 3", framed(0x36, string("a") + b"\0\1")),
        ("DUP at QoS 0", framed(0x38, string("a"))),
        ("PUBLISH with packet id 0", framed(0x32, string("a") + b"\0\0")),
        ("PUBLISH without its packet id", framed(0x32, string("a") + b"\0")),
        ("PUBLISH to no topic", framed(0x30, string(""))),
        ("PUBLISH to +", framed(0x30, string("a/+"))),
        ("PUBLISH to #", framed(0x30, string("#"))),
        ("PUBLISH without a topic", framed(0x30, b"\0")),
        ("a topic longer than the packet", framed(0x30, b"\0\5abc")),
        ("NUL in a topic", framed(0x30, string("a\0b"))),
        ("a control character in a topic", framed(0x30, string("a\x1fb"))),
        ("a C1 control character in a topic", framed(0x30, string("a\x9fb"))),
        ("U+FFFF in a topic", framed(0x30, string("a\uffffb"))),
        ("U+1FFFE in a topic", framed(0x30, string("a\U0001fffeb"))),
        ("a surrogate in a topic", framed(0x30, string(b"a\xed\xa0\x80"))),
        ("an overlong NUL in a topic", framed(0x30, string(b"a\xc0\x80"))),
        ("bytes that are not UTF-8", framed(0x30, string(b"\xff"))),
        ("a topic of 202 levels", framed(0x30, string("/" * 201))),
        ("SUBSCRIBE without a filter", framed(0x82, b"\0\1")),
        ("SUBSCRIBE with packet id 0", framed(0x82, b"\0\0" + string("a") + b"\0")),
        ("SUBSCRIBE at QoS 3", framed(0x82, b"\0\1" + string("a") + b"\3")),
        ("SUBSCRIBE with reserved bits", framed(0x82, b"\0\1" + string("a") + b"\x80")),
        ("SUBSCRIBE without the QoS", framed(0x82, b"\0\1" + string("a"))),
        ("an empty filter", framed(0x82, b"\0\1" + string("") + b"\0")),
        ("a filter a+", framed(0x82, b"\0\1" + string("a+") + b"\0")),
        ("a filter +a", framed(0x82, b"\0\1" + string("+a/b") + b"\0")),
        ("a filter a/#/b", framed(0x82, b"\0\1" + string("a/#/b") + b"\0")),
        ("a filter a#", framed(0x82, b"\0\1" + string("a#") + b"\0")),
        ("a filter ++", framed(0x82, b"\0\1" + string("++") + b"\0")),
        ("UNSUBSCRIBE without a filter", framed(0xA2, b"\0\1")),
        ("UNSUBSCRIBE of an empty filter", framed(0xA2, b"\0\1" + string(""))),
        ("a second CONNECT", HELLO),
    ],
)
def test_malformed_after_the_login(why: str, raw: bytes) -> None:
    with pytest.raises(wire.ProtocolError):
        greeted().feed(raw)


def connect(flags: int, tail: bytes = b"", *, name: str = "MQTT", level: int = 4) -> bytes:
    return framed(0x10, string(name) + bytes((level, flags)) + b"\0\x3c" + string("me") + tail)


@pytest.mark.parametrize(
    ("why", "raw"),
    [
        ("the first packet is not CONNECT", b"\xc0\x00"),
        ("flags of CONNECT", b"\x11" + HELLO[1:]),
        ("another protocol", connect(2, name="HTTP")),
        ("no protocol", connect(2, name="")),
        ("the reserved flag", connect(3)),
        ("a password without a user name", connect(0x42, string("p"))),
        ("a user name that is announced and missing", connect(0x82)),
        ("a password that is announced and missing", connect(0xC2, string("u"))),
        ("a user name that is not announced", connect(0x02, string("u"))),
        ("will QoS without a will", connect(0x0A)),
        ("will retain without a will", connect(0x22)),
        ("will QoS 3", connect(0x1E, string("t") + string("m"))),
        ("a will without a message", connect(0x06, string("t"))),
        ("a will to a wildcard", connect(0x06, string("t/#") + string("m"))),
        ("a will to no topic", connect(0x06, string("") + string("m"))),
        ("NUL in the client id", framed(0x10, string("MQTT") + b"\4\2\0\0" + string("a\0"))),
        ("an HTTP request", b"GET / HTTP/1.1\r\n\r\n"),
        ("a TLS greeting", b"\x16\x03\x01\x02\x00\x01"),
    ],
)
def test_malformed_before_the_login(why: str, raw: bytes) -> None:
    with pytest.raises(wire.ProtocolError) as caught:
        wire.Decoder(LIMIT).feed(raw)
    assert not isinstance(caught.value, wire.UnsupportedLevelError)


@pytest.mark.parametrize(("name", "level"), [("MQTT", 5), ("MQTT", 3), ("MQTT", 0x84), ("MQIsdp", 3)])
def test_another_level_is_told_apart(name: str, level: int) -> None:
    with pytest.raises(wire.UnsupportedLevelError) as caught:
        wire.Decoder(LIMIT).feed(connect(2, name=name, level=level))
    assert caught.value.level == level


def test_the_password_is_bytes_and_may_hold_anything() -> None:
    [packet] = wire.Decoder(LIMIT).feed(connect(0xC2, string("u") + string(b"\0\xff")))
    assert isinstance(packet, packets.Connect)
    assert packet.password == b"\0\xff"


def test_a_packet_over_the_bound_is_refused_by_its_header_alone() -> None:
    decoder = greeted()
    decoder.max_packet = 1000
    with pytest.raises(wire.ProtocolError, match="at most 1000"):
        decoder.feed(b"\x30\xe6\x07")  # 3 bytes of header and 998 of body
    decoder = greeted()
    decoder.max_packet = 1000
    assert decoder.feed(b"\x30\xe5\x07") == []


def test_what_follows_a_connect_waits_for_the_login() -> None:
    decoder = wire.Decoder(1000)
    big = framed(0x30, string("t") + bytes(2000))
    assert len(decoder.feed(HELLO + b"\xc0\x00" + big)) == 1
    decoder.max_packet = 5000
    assert decoder.feed(b"") == [packets.Pingreq(), packets.Publish("t", bytes(2000))]


def test_a_connect_is_bounded_more_narrowly() -> None:
    with pytest.raises(wire.ProtocolError, match="at most"):
        wire.Decoder(LIMIT).feed(b"\x10\x80\x80\x05")


def test_packets_before_the_fault_are_handed_over() -> None:
    with pytest.raises(wire.ProtocolError) as caught:
        greeted().feed(b"\xc0\x00\x40\x02\x00\x07\xff")
    assert caught.value.before == [packets.Pingreq(), packets.Puback(7)]


def test_no_fault_quotes_what_was_sent() -> None:
    secret = "eyJhbGciOi"
    for raw in (connect(0xC2, string("u") + string(secret) + b"x"), connect(0x42, string(secret))):
        with pytest.raises(wire.ProtocolError) as caught:
            wire.Decoder(LIMIT).feed(raw)
        assert secret not in str(caught.value)


def test_a_large_packet_in_small_chunks_is_joined_once() -> None:
    decoder = wire.Decoder(16 * 1024 * 1024)
    decoder.feed(HELLO)
    payload = bytes(4 * 1024 * 1024)
    raw = framed(0x30, string("t") + payload)
    found: list[packets.Packet] = []
    for at in range(0, len(raw), 1000):
        found += decoder.feed(raw[at : at + 1000])
    assert found == [packets.Publish("t", payload)]


@given(topics, st.binary(max_size=300), st.integers(0, 2), st.booleans(), identifiers)
def test_one_head_serves_every_receiver(
    topic: str,
    payload: bytes,
    qos: int,
    retain: bool,  # noqa: FBT001 - given by hypothesis
    identifier: int,
) -> None:
    head = wire.publish_head(topic, len(payload), qos, retain=retain)
    raw = head + (identifier.to_bytes(2, "big") if qos else b"") + payload
    expected = packets.Publish(topic, payload, qos, retain, dup=False, id=identifier if qos else 0)
    assert greeted().feed(raw) == [expected]
    if qos:
        expected.dup = True
        assert greeted().feed(wire.as_duplicate(raw)) == [expected]


@pytest.mark.parametrize("remaining", [5, 0x7F, 0x80, 0x81, 0x3FFF, 0x4000, 0x1FFFFF, 0x200000])
def test_a_head_tells_every_length(remaining: int) -> None:
    head = wire.publish_head("t", remaining - 5, 1, retain=False)
    assert head == framed(0x32, string("t") + bytes(remaining - 3))[: len(head)]
    assert len(head) + remaining == len(framed(0x32, bytes(remaining))) + 3


def test_answers() -> None:
    assert wire.connack(5) == b"\x20\x02\x00\x05"
    assert wire.connack(0, present=True) == b"\x20\x02\x01\x00"
    assert wire.suback(0x0102, b"\x00\x80") == b"\x90\x04\x01\x02\x00\x80"
    assert wire.unsuback(7) == b"\xb0\x02\x00\x07"
    assert wire.suback(1, bytes(200))[:3] == b"\x90\xca\x01"
