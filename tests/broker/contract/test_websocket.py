"""WebSocket: frames are only a road for bytes, and a rude frame is no more dangerous than a rude packet."""

import asyncio
import base64
import os
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from . import packets
from .client import PATIENCE, eventually
from .ours import OpenGate, Ours, running
from .packets import Kind

CONNACK_OK = packets.packet(Kind.CONNACK, 0, b"\x00\x00")
HELLO = packets.connect("framed")

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


class Frames:
    """A WebSocket client that sends each frame as it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, ours: Ours) -> "Frames":
        place = urlsplit(ours.url)
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write(
            f"GET {place.path} HTTP/1.1\r\nHost: {place.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"sec-websocket-protocol: mqtt\r\n" in head.lower()
        return cls(reader, writer)

    def send(self, opcode: int, data: bytes = b"", *, final: bool = True) -> None:
        size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + packets.short(len(data))
        # A mask of noughts leaves the data as it is.
        self._writer.write(bytes([(0x80 if final else 0) | opcode]) + size + bytes(4) + data)

    async def frame(self) -> tuple[int, bytes]:
        """Return opcode and data of the next frame; close or the end of the line are CLOSE."""
        async with asyncio.timeout(PATIENCE):
            try:
                first, size = await self._reader.readexactly(2)
                if size == 126:
                    size = int.from_bytes(await self._reader.readexactly(2), "big")
                return first & 0x0F, await self._reader.readexactly(size)
            except (asyncio.IncompleteReadError, ConnectionError):
                return CLOSE, b""

    async def binary(self) -> bytes:
        opcode, data = await self.frame()
        assert opcode == BINARY, (opcode, data)
        return data

    async def ended(self) -> None:
        while (await self.frame())[0] != CLOSE:
            pass

    async def close(self) -> None:
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return  # closed all the same


@pytest.fixture
async def ours() -> AsyncIterator[Ours]:
    async with running("ours-ws", OpenGate()) as target:
        yield target


@pytest.fixture
async def frames(ours: Ours) -> AsyncIterator[Frames]:
    opened = await Frames.open(ours)
    yield opened
    await opened.close()


async def test_what_comes_goes_in_binary_frames(frames: Frames) -> None:
    frames.send(BINARY, HELLO)

    assert await frames.binary() == CONNACK_OK


async def test_an_empty_frame_and_a_close_hang_nobody(ours: Ours, frames: Frames) -> None:
    for opcode, final in ((BINARY, True), (BINARY, False), (CONTINUATION, True), (PING, True)):
        frames.send(opcode, final=final)
    frames.send(CLOSE, packets.short(1000))
    await frames.ended()

    await (await ours.client("next")).nothing()
    await eventually(lambda: ours.broker.gauges().connecting == 0)


async def test_empty_frames_between_the_bytes_are_nothing(frames: Frames) -> None:
    for byte in HELLO:
        frames.send(BINARY)
        frames.send(BINARY, bytes([byte]))
    assert await frames.binary() == CONNACK_OK
    frames.send(BINARY)
    frames.send(BINARY, packets.PINGREQ)

    assert await frames.binary() == packets.PINGRESP


async def test_a_message_may_be_in_fragments_with_pings_between(frames: Frames) -> None:
    frames.send(BINARY, HELLO[:3], final=False)
    frames.send(PING, b"there?")
    frames.send(CONTINUATION, b"", final=False)
    frames.send(CONTINUATION, HELLO[3:9], final=False)
    frames.send(CONTINUATION, HELLO[9:], final=True)

    assert await frames.frame() == (PONG, b"there?")
    assert await frames.binary() == CONNACK_OK


async def test_a_packet_may_span_frames_and_a_frame_may_hold_many_packets(frames: Frames) -> None:
    stream = HELLO + packets.subscribe(1, ("a", 0)) + packets.publish("a", b"x") + packets.PINGREQ
    frames.send(BINARY, stream[:30])
    frames.send(BINARY, stream[30:33])
    frames.send(BINARY, stream[33:])
    expected = (
        CONNACK_OK + packets.packet(Kind.SUBACK, 0, b"\x00\x01\x00") + packets.publish("a", b"x") + packets.PINGRESP
    )
    found = b""
    while len(found) < len(expected):
        found += await frames.binary()

    assert found == expected


async def test_a_partial_publish_in_a_frame_is_not_repeated(ours: Ours, frames: Frames) -> None:
    reader = await ours.client("reader")
    await reader.subscribe(("a", 0))
    whole = packets.publish("a", bytes(range(200)))
    frames.send(BINARY, HELLO + whole[:50])
    assert await frames.binary() == CONNACK_OK
    frames.send(BINARY, whole[50:])

    assert (await reader.message()).payload == bytes(range(200))
    await reader.nothing()


@pytest.mark.parametrize("known", [False, True], ids=["stranger", "client"])
async def test_a_text_frame_ends_the_connection(ours: Ours, frames: Frames, *, known: bool) -> None:
    if known:
        frames.send(BINARY, HELLO)
        await frames.binary()
    frames.send(TEXT, b"\x10\x00")

    await frames.ended()
    await eventually(lambda: ours.broker.gauges().connections == 0)


async def test_a_close_frame_is_the_end_without_a_word(ours: Ours, frames: Frames) -> None:
    witness = await ours.client("witness")
    await witness.subscribe(("gone", 1))
    frames.send(BINARY, packets.connect("framed", will=packets.Will("gone", b"farewell", 1)))
    await frames.binary()
    frames.send(CLOSE, packets.short(1001))

    assert (await witness.message()).payload == b"farewell"
    await frames.ended()


async def test_a_frame_against_the_rules_ends_the_connection(ours: Ours, frames: Frames) -> None:
    frames.send(BINARY, HELLO)
    await frames.binary()
    frames.send(CONTINUATION, b"of nothing")

    await frames.ended()
    await eventually(lambda: ours.broker.gauges().connections == 0)


async def test_a_websocket_that_is_not_read_is_cut_off(ours: Ours, frames: Frames) -> None:
    writer = await ours.client("writer")
    frames.send(BINARY, HELLO + packets.subscribe(1, ("a", 0)))
    sent = 0
    while not ours.broker.counters.slow_cut and sent < 64 * 1024 * 1024:
        await writer.publish("a", b"x" * 250_000, qos=1)
        sent += 250_000

    assert ours.broker.counters.slow_cut == 1
    await eventually(lambda: ours.broker.gauges().connections == 1)
    await writer.nothing()
