"""Seats: agents' desktops that outlive the bridge; each is prompt, absent-minded, deaf or away, as the round has it."""

import asyncio
import contextlib
import json
from enum import Enum

from bridge.words import topics
from tests.broker.contract import packets
from tests.broker.contract.packets import Kind, Message
from tests.faults.book import Book


class Mood(Enum):
    """What an agent's desktop does with pops until its mood changes."""

    PROMPT = "prompt"  # shows them
    ABSENT = "absent"  # acknowledges them; the agent sees them when the mood is better
    DEAF = "deaf"  # reads them and says nothing: to the bridge they are only sent
    AWAY = "away"  # is not connected


class Seat:
    """One desktop of one agent. It shows each popid once, whatever happens to the bridge."""

    def __init__(self, agent: str, token: str, book: Book) -> None:
        self.agent = agent
        self.mood = Mood.AWAY
        self._book = book
        self._hello = packets.connect(f"seat-{agent}", username=f"acme/{agent}", password=token)
        self._filters = [(name, 1) for name in topics.for_desktop("acme", agent)]
        self._ack = topics.ack("acme", agent)
        self._had: set[str] = set()
        self._unseen: list[tuple[str, int]] = []
        self._untold: list[str] = []
        self._mids: dict[int, str] = {}
        self._mid = 0
        self._writer: asyncio.StreamWriter | None = None
        self._present = asyncio.Event()

    @property
    def has_to_tell(self) -> bool:
        """Whether the bridge has not acknowledged yet that something was shown."""
        return bool(self._untold)

    def feel(self, mood: Mood) -> None:
        """Change the mood; who is away leaves, and whose mood is better looks at what came meanwhile."""
        before, self.mood = self.mood, mood
        if mood is Mood.AWAY:
            self._present.clear()
            self.leave()
        else:
            self._present.set()
        if before is Mood.DEAF and mood is Mood.PROMPT:
            # What it heard and did not acknowledge comes again on a new connection, and not on this one.
            self.leave()
        if mood is Mood.PROMPT:
            seen, self._unseen = self._unseen, []
            for popid, order in seen:
                self._show(popid, order)

    def leave(self) -> None:
        """End the connection without a word."""
        if self._writer is not None:
            self._writer.transport.abort()

    async def sit(self, port: int) -> None:
        """Be connected while the bridge is there, and when the mood says so; until cancelled."""
        while True:
            await self._present.wait()
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    await self._converse(reader, self._writer)
                finally:
                    self._mids.clear()
                    self._writer.transport.abort()
                    self._writer = None
            await asyncio.sleep(0.02)  # before the next try

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(self._hello)
        found = packets.Reader()
        while data := await reader.read(65_536):
            for packet in found.feed(data):
                match packet.kind:
                    case Kind.CONNACK:
                        assert packet.body[1] == 0, f"agent {self.agent} was not let in: {packet.body[1]}"
                        writer.write(packets.subscribe(self._next_mid(), *self._filters))
                        for popid in self._untold:
                            self._tell(popid)
                    case Kind.PUBLISH:
                        self._take(packets.message(packet), writer)
                    case Kind.PUBACK:
                        popid = self._mids.pop(int.from_bytes(packet.body, "big"), "")
                        if popid in self._untold:
                            self._untold.remove(popid)
                            self._book.tell()
                    case _:
                        continue

    def _take(self, message: Message, writer: asyncio.StreamWriter) -> None:
        if self.mood is Mood.DEAF:
            return
        if not message.topic.startswith("DESK/"):
            document = json.loads(message.payload)
            popid, order = document["popid"], document["data"]["n"]
            if popid not in self._had:
                self._had.add(popid)
                if self.mood is Mood.PROMPT:
                    self._show(popid, order)
                else:
                    self._unseen.append((popid, order))
        writer.write(packets.reply(Kind.PUBACK, message.mid))

    def _show(self, popid: str, order: int) -> None:
        self._book.show(popid, order)
        self._untold.append(popid)
        self._tell(popid)

    def _tell(self, popid: str) -> None:
        if self._writer is not None:
            mid = self._next_mid()
            self._mids[mid] = popid
            said = json.dumps({"popid": popid, "outcome": "shown"}).encode()
            self._writer.write(packets.publish(self._ack, said, qos=1, mid=mid))

    def _next_mid(self) -> int:
        self._mid = self._mid % 65_535 + 1
        return self._mid
