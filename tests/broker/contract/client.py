"""Client: the smallest MQTT client that can be as polite or as rude as a test wants, over any line of bytes."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from . import packets
from .packets import Kind, Message, Packet, Will

PATIENCE = 30.0
"""Seconds that an expected effect may take before the test fails; nothing waits that long when all is well."""


class Line(Protocol):
    """Bytes both ways: a TCP connection, or the binary messages of a WebSocket."""

    async def send(self, data: bytes) -> None:
        """Write; a line that the other side has closed shows at the next `receive`."""

    async def receive(self) -> bytes:
        """Return some bytes, b"" at the end of the line, however it ended."""

    async def close(self) -> None:
        """Close the line in good order, without any MQTT DISCONNECT."""

    def abort(self) -> None:
        """Reset the line."""


class Ended(Exception):  # noqa: N818 - it is an answer, not an error
    """The broker ended the line."""


async def eventually(holds: Callable[[], bool], *, what: str = "") -> None:
    """Wait for what can only be looked at, such as the number of open descriptors."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 - nothing tells when a descriptor is closed
            await asyncio.sleep(0.005)
    assert holds(), what


class Client:
    """One MQTT connection. Messages that come while something else is awaited are kept for `message`."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self._reader = packets.Reader()
        self._packets: deque[Packet] = deque()
        self._mid = 0

    async def send(self, *data: bytes) -> None:
        await self.line.send(b"".join(data))

    async def packet(self) -> Packet:
        """Return the next packet, whatever it is; raise Ended when the broker closed."""
        async with asyncio.timeout(PATIENCE):
            while not self._packets:
                await self._fill()
        return self._packets.popleft()

    async def expect(self, *expected: bytes) -> None:
        """Take exactly these packets, in this order."""
        for one in expected:
            found = await self.packet()
            spelled = packets.packet(found.kind, found.flags, found.body)
            assert spelled == one, f"{spelled.hex(' ')} came instead of {one.hex(' ')}"

    async def reply(self, kind: Kind) -> Packet:
        """Return the next packet of a kind; the others stay where they are."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for place, found in enumerate(self._packets):
                    if found.kind is kind:
                        del self._packets[place]
                        return found
                await self._fill()

    async def message(self, *, acknowledge: bool = True) -> Message:
        """Return the next message, after its whole handshake where there is one."""
        message = packets.message(await self.reply(Kind.PUBLISH))
        if acknowledge and message.qos == 1:
            await self.send(packets.reply(Kind.PUBACK, message.mid))
        if acknowledge and message.qos == 2:
            await self.send(packets.reply(Kind.PUBREC, message.mid))
            assert (await self.reply(Kind.PUBREL)).body == packets.short(message.mid)
            await self.send(packets.reply(Kind.PUBCOMP, message.mid))
        return message

    async def nothing(self) -> None:
        """Assert that nothing is on its way: the broker answers a ping, and nothing came before it."""
        await self.send(packets.PINGREQ)
        found = await self.packet()
        assert found.kind is Kind.PINGRESP, f"{found} came where nothing was expected"

    async def heard(self) -> list[Message]:
        """Return the messages that came up to now, unacknowledged: those before the answer to a ping."""
        await self.send(packets.PINGREQ)
        await self.reply(Kind.PINGRESP)
        found = [packets.message(one) for one in self._packets if one.kind is Kind.PUBLISH]
        self._packets = deque(one for one in self._packets if one.kind is not Kind.PUBLISH)
        return found

    async def ended(self) -> list[Packet]:
        """Wait until the broker closes; return what came before that and was not taken yet."""
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    await self._fill()
                except Ended:
                    return list(self._packets)

    async def connect(
        self,
        client_id: str | bytes = "",
        *,
        clean: bool = True,
        keepalive: int = 60,
        will: Will | None = None,
        username: str | None = None,
        password: str | bytes | None = None,
    ) -> tuple[bool, int]:
        """Log in; return session present and the return code."""
        await self.send(
            packets.connect(
                client_id, clean=clean, keepalive=keepalive, will=will, username=username, password=password
            )
        )
        found = await self.packet()
        assert found.kind is Kind.CONNACK
        assert found.flags == 0
        return bool(found.body[0]), found.body[1]

    async def subscribe(self, *filters: tuple[str, int]) -> list[int]:
        """Subscribe; return the granted QoS or 0x80, filter by filter."""
        mid = self.mid()
        await self.send(packets.subscribe(mid, *filters))
        body = (await self.reply(Kind.SUBACK)).body
        assert body[:2] == packets.short(mid)
        return list(body[2:])

    async def unsubscribe(self, *filters: str) -> None:
        mid = self.mid()
        await self.send(packets.unsubscribe(mid, *filters))
        assert (await self.reply(Kind.UNSUBACK)).body == packets.short(mid)

    async def publish(self, topic: str, payload: bytes = b"", *, qos: int = 0, retain: bool = False) -> None:
        """Publish, with the whole handshake where there is one."""
        mid = self.mid() if qos else 0
        await self.send(packets.publish(topic, payload, qos=qos, mid=mid, retain=retain))
        if qos == 1:
            assert (await self.reply(Kind.PUBACK)).body == packets.short(mid)
        if qos == 2:
            assert (await self.reply(Kind.PUBREC)).body == packets.short(mid)
            await self.send(packets.reply(Kind.PUBREL, mid))
            assert (await self.reply(Kind.PUBCOMP)).body == packets.short(mid)

    async def disconnect(self) -> None:
        """Say DISCONNECT and wait for the broker to close."""
        await self.send(packets.DISCONNECT)
        await self.ended()

    async def drop(self) -> None:
        """Close the line without a word."""
        await self.line.close()

    def mid(self) -> int:
        self._mid = self._mid % 65535 + 1
        return self._mid

    async def _fill(self) -> None:
        data = await self.line.receive()
        if not data:
            raise Ended
        self._packets += self._reader.feed(data)
