"""Feeds: sources of events that send again what was not acknowledged, until all is."""

import asyncio
import contextlib
import io
from collections import deque
from collections.abc import Sequence

import aiohttp

from bridge.cloudsync.simulator.centre import Event
from tests.broker.contract import packets
from tests.broker.contract.client import PATIENCE
from tests.broker.contract.lines import TcpLine
from tests.broker.contract.packets import Kind, Reader
from tests.conftest import Bridge


class Ledger:
    """What was acknowledged; and how much may be sent, so that a kill falls into the middle of it."""

    def __init__(self) -> None:
        self.acknowledged: list[Event] = []
        self.sent_again = 0
        self._changed = asyncio.Condition()

    async def take(self, events: Sequence[Event]) -> None:
        """Note what was acknowledged."""
        async with self._changed:
            self.acknowledged += events
            self._changed.notify_all()

    async def reaches(self, count: int) -> None:
        """Wait until so many were acknowledged."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self.acknowledged) >= count)


class Turn:
    """Whether the bridge is there to be talked to."""

    def __init__(self, bridge: Bridge) -> None:
        self.bridge = bridge
        self._there = asyncio.Event()

    async def start(self) -> None:
        """Start the bridge, and let the feeds come."""
        await asyncio.to_thread(self.bridge.start)
        self._there.set()

    def kill(self) -> None:
        """End it with SIGKILL."""
        self._there.clear()
        self.bridge.kill()

    async def until_there(self) -> None:
        """Wait until it answers, as far as is known."""
        await self._there.wait()


async def by_mqtt(turn: Turn, token: str, events: Sequence[Event], ledger: Ledger, window: int = 50) -> None:
    """Publish at QoS 1 with so many unacknowledged, again after each lost connection what was not."""
    waiting = deque(events)
    while waiting:
        await turn.until_there()
        try:
            line = await TcpLine.open("127.0.0.1", turn.bridge.mqtt_port)
        except ConnectionError:
            await asyncio.sleep(0)
            continue
        try:
            await _publish(line, token, waiting, ledger, window)
        finally:
            line.abort()


async def _publish(line: TcpLine, token: str, waiting: deque[Event], ledger: Ledger, window: int) -> None:
    reader = Reader()
    await line.send(packets.connect("feed", username="acme", password=token))
    sent: deque[tuple[int, Event]] = deque()
    mid = 0
    connected = False
    while waiting or sent:
        if connected:
            letters = []
            while waiting and len(sent) < window:
                mid = mid % 65535 + 1
                sent.append((mid, waiting.popleft()))
                name, payload = f"CLOUDSYNC/acme/{sent[-1][1].channel}", sent[-1][1].payload
                letters.append(packets.publish(name, payload, qos=1, mid=mid))
            if letters:
                await line.send(b"".join(letters))
        async with asyncio.timeout(PATIENCE):
            data = await line.receive()
        found = reader.feed(data)
        acknowledged = []
        for packet in found:
            if packet.kind is Kind.CONNACK:
                assert packet.body[1] == 0, "the feed's token is refused"
                connected = True
                continue
            assert packet.kind is Kind.PUBACK
            number, event = sent.popleft()
            assert packet.body == packets.short(number), "PUBACKs come in the order of the messages"
            acknowledged.append(event)
        await ledger.take(acknowledged)
        if not data:
            ledger.sent_again += len(sent)
            waiting.extendleft(event for _, event in reversed(sent))
            return


async def by_http(turn: Turn, token: str, events: Sequence[Event], ledger: Ledger, at_once: int = 25) -> None:
    """Post so many at once, again what was not answered with 200."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    patience = aiohttp.ClientTimeout(total=PATIENCE)
    async with aiohttp.ClientSession(headers=headers, timeout=patience) as session:
        for start in range(0, len(events), at_once):
            some = events[start : start + at_once]
            body = b"[" + b",".join(event.payload for event in some) + b"]"
            while not await _post(turn, session, body):
                ledger.sent_again += len(some)
            await ledger.take(some)


async def _post(turn: Turn, session: aiohttp.ClientSession, body: bytes) -> bool:
    await turn.until_there()
    with contextlib.suppress(aiohttp.ClientError):
        async with session.post(f"{turn.bridge.http}/api/cloudsync/events", data=io.BytesIO(body)) as response:
            assert response.status in {200, 503}, await response.text()
            return response.status == 200
    await asyncio.sleep(0)
    return False


async def by_both(turn: Turn, token: str, events: Sequence[Event], ledger: Ledger) -> None:
    """Send every other event by each door, at the same time."""
    async with asyncio.TaskGroup() as group:
        group.create_task(by_mqtt(turn, token, events[::2], ledger))
        group.create_task(by_http(turn, token, events[1::2], ledger))
