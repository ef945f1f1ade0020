"""Desktop: an agent's desktop as a library. Connects, stays connected, and hands out each pop once.

    async with Desktop("mqtt://127.0.0.1:1883", "acme", "1001", token) as desktop:
        async for pop in desktop:
            open_screen(pop.event, pop.data)

Runs on Windows, macOS and Linux, on any asyncio event loop: the network is paho-mqtt's thread.
"""

import asyncio
import contextlib
import logging
import random
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Callable
from enum import StrEnum
from functools import partial
from types import TracebackType
from typing import NoReturn, Self, TypeVar

import msgspec

from agent_client import messages
from agent_client.connection import Arrived, Connected, Connection, Denied, Ended, Fact, Login, Published, Subscribed
from agent_client.messages import Gone, Notice, Saying
from agent_client.records import Records
from agent_client.screen import NotAPopError, Refusal, Screen
from agent_client.server import Server
from bridge.words import topics
from bridge.words.pop import Pop

T = TypeVar("T")

FIRST_WAIT = 0.5
LONGEST_WAIT = 30.0
QUIET = 0.25
"""Seconds without a message after which what was held is taken to have arrived: MQTT has no word for that."""

LONGEST_SETTLING = 2.0
"""Seconds after which it is taken to have arrived even if messages keep coming."""

MAX_UNSAID = 1_000
"""Outcomes that may wait for the broker's acknowledgement; more, and the oldest is forgotten."""

_log = logging.getLogger(__name__)


class State(StrEnum):
    """How the desktop stands with the bridge."""

    LOST = "lost"  # not connected, trying; also the state to begin with
    CONNECTED = "connected"  # subscribed: pops arrive
    CAUGHT_UP = "caught up"  # connected, and what was held meanwhile has arrived


class NotAuthorised(Exception):  # noqa: N818 - it reads as what it says
    """The bridge does not accept the token for this agent. Get another token; trying again makes no sense."""


class Desktop:
    """One agent's desktop, an async context manager and an async iterator of pops.

    Entering it returns at once; it connects, and reconnects with jitter, until it is left. A wrong, expired or revoked
    token ends it: NotAuthorised is raised where one waits for pops or states.

    A pop is acknowledged (PUBACK, and the outcome `shown`) when the application takes it. One that the application
    does not take in time stays the bridge's: it expires there, or goes to the next desktop if this one leaves. So the
    broker's window is the back-pressure; where it is larger than `backlog`, the pop that waited longest is refused with
    the reason `desktop_busy`. A pop that has expired by this machine's clock is refused with the reason `expired`.

    `refusal` is asked before a pop is shown and may give a reason to refuse it. `on_state` is told each change of state
    with a reason, `on_notice` what the bridge said about recalls and records, after it was obeyed. An account of the
    records is obeyed after the pops that arrived before it, when the application has taken them. All are called on the
    event loop and must not block. With `clean=False` the session needs a `client_id` of its own and survives at the
    broker.
    """

    def __init__(
        self,
        server: str,
        customer: str,
        agent: str,
        token: str,
        *,
        cti: str | None = None,
        client_id: str | None = None,
        clean: bool = True,
        keepalive: int = 30,
        backlog: int = 1_000,
        tls: ssl.SSLContext | None = None,
        refusal: Refusal | None = None,
        on_state: Callable[[State, str], None] | None = None,
        on_notice: Callable[[Notice], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not topics.CUSTOMER_ID.fullmatch(customer):
            raise ValueError("the customer is not a CustomerID: 1 to 64 of A-Z a-z 0-9 _ . -")
        if not 1 <= len(agent) <= 128:
            raise ValueError("an agent's id has 1 to 128 characters")
        if not clean and not client_id:
            raise ValueError("a session that survives (clean=False) needs a client_id of its own")
        self.client_id = client_id or f"desktop-{secrets.token_hex(6)}"
        self.state = State.LOST
        self._server = Server.parse(server)
        self._ack_topic = topics.ack(customer, agent)
        self._desk_topic = topics.desk(customer, agent)
        self._login = Login(
            username=f"{customer}/{agent}",
            token=token,
            client_id=self.client_id,
            clean=clean,
            keepalive=keepalive,
            will_topic=self._ack_topic,
            will=messages.encode(Gone(self.client_id)),
            filters=topics.for_desktop(customer, agent, cti),
        )
        self._tls = tls
        self._on_state = on_state
        self._on_notice = on_notice
        self._clock = clock
        self._screen = Screen(backlog=backlog, refusal=refusal)
        self._news = asyncio.Event()
        self._connection: Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._denied: str | None = None
        self._failures = 0
        self._unsaid: dict[int, bytes] = {}  # by a number of our own: a mid does not outlive its connection
        self._count = 0
        self._mids: dict[int, int] = {}
        self._settling: asyncio.TimerHandle | None = None
        self._settle_by = 0.0
        self._online = False
        self._leaving = False

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._stay_connected(), name=f"desktop {self.client_id}")
        self._task.add_done_callback(lambda _: self._news.set())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._task is not None  # noqa: S101 - entered before it is left
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._said(), 1)
        self._leaving = True
        self._task.cancel()
        await asyncio.wait([self._task])

    def __aiter__(self) -> AsyncIterator[Pop]:
        return self

    async def __anext__(self) -> Pop:
        return (await self.take())[0]

    @property
    def records(self) -> Records:
        """The record that the agent has open here, and the Activities."""
        return self._screen.records

    async def take(self) -> tuple[Pop, bytes]:
        """Wait for the next pop; give it, and the document as it arrived."""
        return await self._until(self._next)

    async def reached(self, state: State) -> None:
        """Wait for a state; a desktop that has caught up is connected, too."""
        enough = {state, State.CAUGHT_UP} if state is State.CONNECTED else {state}
        await self._until(lambda: self.state in enough or None)

    def close(self, reference: str) -> None:
        """Tell that the agent is done with a record, current or suspended."""
        self._screen.close(reference)
        self._say()

    def suspend(self) -> None:
        """Tell that the agent put the current record aside."""
        self._screen.suspend()
        self._say()

    def resume(self, reference: str) -> None:
        """Tell that the agent opened a record of the Activities again. Raises NotInActivitiesError."""
        self._screen.resume(reference)
        self._say()

    async def _said(self) -> None:
        while self._unsaid and self._online:
            self._news.clear()
            await self._news.wait()

    async def _until(self, ready: Callable[[], T | None]) -> T:
        while (value := ready()) is None:
            if self._task is None or self._task.done():
                self._raise_why()
            self._news.clear()
            await self._news.wait()
        return value

    def _raise_why(self) -> NoReturn:
        if self._denied is not None:
            raise NotAuthorised(self._denied)
        if self._task is not None and not self._task.cancelled():
            self._task.result()
        raise RuntimeError("this desktop was left, or not entered yet")

    def _next(self) -> tuple[Pop, bytes] | None:
        shown = self._screen.take(self._clock())
        self._say()
        return shown

    async def _stay_connected(self) -> None:
        while self._denied is None:
            self._connection = Connection(self._server, self._login, self._tls, self._hear)
            self._connection.start()
            try:
                await self._connection.ended()
            except asyncio.CancelledError:
                await self._connection.close()
                raise
            if self._denied is None:
                self._failures += 1
                await asyncio.sleep(wait_before(self._failures, random.random()))  # noqa: S311 - to spread, not to hide

    def _hear(self, fact: Fact) -> None:
        match fact:
            case Connected():
                self._online = True
                self._say_again()
            case Subscribed(refused):
                if refused:
                    self._denied = "the broker refused a subscription of this agent"
                    self._leave()
                else:
                    self._change(State.CONNECTED, "")
                    self._settle_by = asyncio.get_running_loop().time() + LONGEST_SETTLING
                    self._settle()
            case Denied(why):
                self._denied = why
            case Arrived():
                self._take_in(fact)
            case Published(mid):
                self._unsaid.pop(self._mids.pop(mid, 0), None)
            case Ended(why):
                self._online = False
                self._mids.clear()
                if self._settling is not None:
                    self._settling.cancel()
                self._change(State.LOST, why)
        self._news.set()

    def _leave(self) -> None:
        if self._connection is not None:
            self._connection.leave()

    def _take_in(self, message: Arrived) -> None:
        assert self._connection is not None  # noqa: S101 - messages come from it
        ack = partial(self._connection.acknowledge, message.mid)
        now = self._clock()
        try:
            if message.topic == self._desk_topic:
                self._heed(message.payload, now)
                ack()
            else:
                self._screen.arrive(message.payload, ack, now)
        except (msgspec.DecodeError, UnicodeDecodeError, NotAPopError) as error:
            _log.warning("ignored a message on %s that is not for a desktop: %s", message.topic, error)
            ack()
        self._say()
        if self.state is State.CONNECTED:
            self._settle()

    def _heed(self, payload: bytes, now: float) -> None:
        notice = messages.notice(payload)
        if notice is not None:
            self._screen.heed(notice, now)

    def _settle(self) -> None:
        if self._settling is not None:
            self._settling.cancel()
        loop = asyncio.get_running_loop()
        self._settling = loop.call_at(min(loop.time() + QUIET, self._settle_by), self._settled)

    def _settled(self) -> None:
        self._failures = 0
        self._change(State.CAUGHT_UP, "")
        self._news.set()

    def _change(self, state: State, why: str) -> None:
        # Of the failed attempts in a row only the first is news, and none when the end is wanted, or raised.
        news = state is not self.state or (state is State.LOST and self._failures == 0)
        self.state = state
        if news and self._on_state is not None and not self._leaving and self._denied is None:
            self._on_state(state, why)

    def _say(self) -> None:
        self._tell_obeyed()
        while self._screen.sayings:
            saying: Saying = self._screen.sayings.popleft()
            if len(self._unsaid) >= MAX_UNSAID:
                _log.warning("forgot the oldest of %d outcomes that could not be told", MAX_UNSAID)
                del self._unsaid[next(iter(self._unsaid))]
            self._count += 1
            self._unsaid[self._count] = messages.encode(saying)
            if self._online:
                self._publish(self._count)

    def _tell_obeyed(self) -> None:
        obeyed = self._screen.obeyed
        while obeyed:
            notice = obeyed.popleft()
            if self._on_notice is not None:
                # Not in the middle of `take`: the application has the pop before it hears what came after it.
                asyncio.get_running_loop().call_soon(self._on_notice, notice)

    def _say_again(self) -> None:
        for number in self._unsaid:
            self._publish(number)

    def _publish(self, number: int) -> None:
        assert self._connection is not None  # noqa: S101 - its callers looked
        mid = self._connection.publish(self._ack_topic, self._unsaid[number])
        self._mids[mid] = number


def wait_before(attempt: int, chance: float) -> float:
    """Say how long to wait before attempt 1, 2, …: any part (`chance`, 0 to 1) of a time that doubles up to a limit.

    The whole range is used, so that the desktops of a centre do not come back together after a network cut.
    """
    return chance * min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(attempt - 1, 10))
