"""Supervisor: the bridge's end of the pipes. It starts the processor's own process, writes for it, and tells of it.

The process is started when there is something to process, and again after it was killed: it goes on behind the cursor.
"""

import asyncio
import itertools
import logging
import math
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

import msgspec

from bridge.cloudsync.flow import configured
from bridge.cloudsync.flow.apart import messages
from bridge.cloudsync.flow.apart.messages import (
    Answer,
    Asked,
    Begun,
    Customers,
    Folded,
    FromBridge,
    FromProcessor,
    IdsWanted,
    Lasting,
    Mapped,
    MappingChanged,
    Recompute,
    RecordsWanted,
    Refold,
    Said,
    Settle,
    Turned,
    Wake,
    Write,
)
from bridge.cloudsync.flow.desk import DAY, Desks
from bridge.cloudsync.flow.hooks import Hooks
from bridge.cloudsync.flow.processor import TICK
from bridge.cloudsync.flow.refold import EARLIEST
from bridge.cloudsync.flow.waiting import set_within
from bridge.cloudsync.store import arrivals, folding
from bridge.cloudsync.store.database import Database
from bridge.words.cloudsync import Mapping as Words
from bridge.words.ledger import Unavailable
from bridge.words.settings import Customer

_STARTED_AGAIN_AFTER = 1.0
_ENDS_WITHIN = 5.0
_LIMIT = 256 * 1024  # bytes that are read ahead
_UNREAD = 65_536  # bytes

log = logging.getLogger("popbridge.cloudsync")

T = TypeVar("T")


class Apart:
    """The processor, in a process of its own; see `Processing`."""

    def __init__(
        self, database: Database, customers: Callable[[], Mapping[str, Customer]], now: Callable[[], int]
    ) -> None:
        self._database = database
        self._customers = customers
        self._now = now
        self.hooks = Hooks()
        self.mapping: Callable[[str], Words] = _nothing_mapped
        self.desks = Desks()
        self.cursor = 0
        self.troubles: Collection[str] = ()
        self._counted: dict[str, int] = {}
        self._counted_before: dict[str, int] = dict.fromkeys(_COUNTED, 0)
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[msgspec.Raw]] = {}
        self._wanted = asyncio.Event()
        self._ready = asyncio.Event()
        self._pipe: asyncio.StreamWriter | None = None
        self._told_customers: Mapping[str, Customer] | None = None
        self._told_mappings: dict[str, Words] = {}

    @property
    def counted(self) -> dict[str, int]:
        """See `Processing`."""
        return {what: count + self._counted.get(what, 0) for what, count in self._counted_before.items()}

    async def take_up(self) -> None:
        """See `Processing`."""
        await self.desks.take_up(self._database)
        self.cursor = await folding.cursor(self._database)
        if await arrivals.last_number(self._database) > self.cursor:
            self._wanted.set()

    def wake(self) -> None:
        """See `Processing`."""
        self._wanted.set()
        self._push()

    async def settle(self) -> None:
        """See `Processing`."""
        await self._ask(Settle(next(self._numbers)), None)

    async def recompute(self, customer: str, start: int, until: int) -> None:
        """See `Processing`."""
        await self._ask(Recompute(next(self._numbers), customer, start, until), None)

    async def refold_all(self, customer: str) -> None:
        """See `Processing`."""
        await self._ask(Refold(next(self._numbers), customer), None)

    async def lasting(self, customer: str, entity: str) -> list[str]:
        """See `Processing`."""
        return await self._ask(Lasting(next(self._numbers), customer, entity), list[str])

    # The process

    async def run(self) -> None:
        """See `Processing`."""
        while not (self._wanted.is_set() or any(one.cloudsync.feeds for one in self._customers().values())):
            await set_within(self._wanted, TICK)
        while True:
            try:
                code = await self._supervise()
            except OSError as error:
                # Without memory for another process, say: pops go on, and so does this when there is some.
                log.error("CloudSync's processor cannot be started: %s", error.strerror)  # noqa: TRY400 - the machine's
            else:
                if code >= 0:
                    raise RuntimeError(f"CloudSync's processor has ended with code {code}; its traceback is above")
                log.error("CloudSync's processor was killed (signal %d): it is started again", -code)
            self.troubles = {"processed"}
            self._fail_all()
            await asyncio.sleep(_STARTED_AGAIN_AFTER)
            await self._read_again()

    async def _supervise(self) -> int:
        """Start the process and serve it until it ends; return its code."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bridge.cloudsync.flow.apart.worker", os.fspath(self._database.path)),
            stdin=PIPE,
            stdout=PIPE,
            limit=_LIMIT,
        )
        self._pipe = process.stdin
        try:
            # What it has had written is written before it is started again, and reads how far it came.
            async with asyncio.TaskGroup() as group:
                pushing = group.create_task(self._keep_pushing(), name="cloudsync: tell the processor")
                if process.stdout is not None:  # as it was asked for
                    await self._serve(process.stdout, group)
                pushing.cancel()
            return await process.wait()
        finally:
            self._ready.clear()
            self._pipe = None
            await _end(process)

    async def _serve(self, reader: asyncio.StreamReader, group: asyncio.TaskGroup) -> None:
        while (spelled := await messages.receive(reader)) is not None:
            self._take(messages.of_processor(spelled), group)
            await asyncio.sleep(0)  # pops come between

    def _take(self, message: FromProcessor, group: asyncio.TaskGroup) -> None:
        match message:
            case Write():
                group.create_task(self._write(message), name="cloudsync: write for the processor")
            case MappingChanged():
                group.create_task(self._map(message), name="cloudsync: map for the processor")
            case Begun():
                self._begin(message)
            case Turned():
                self.cursor = message.cursor
                self._counted = message.counted
                self.troubles = message.troubles
                self.desks.hear(message.desks)
            case Answer():
                self._answered(message)
            case Said(level, text):
                log.log(level, "%s", text)
            case told:
                self._tell(told)

    def _begin(self, begun: Begun) -> None:
        self._told_customers, self._told_mappings = None, {}
        for customer in begun.customers:
            self._tell_mapping(customer)
        self._ready.set()
        self._push()

    def _answered(self, answer: Answer) -> None:
        done = self._waiting.pop(answer.number, None)
        if done is None or done.done():
            return
        if answer.trouble is None:
            done.set_result(answer.found)
        else:
            done.set_exception(Unavailable(answer.trouble, answer.said))

    def _tell(self, told: Folded | IdsWanted | RecordsWanted) -> None:
        """Tell those who follow."""
        match told:
            case Folded(customer, now, records):
                for one in records:
                    self.hooks.on_folded(customer, one.entity, one.record, one.folded, now)
            case IdsWanted(customer, wanted):
                self.hooks.ids_wanted(customer, wanted)
            case RecordsWanted(customer, keys):
                self.hooks.records_wanted(customer, keys)

    async def _write(self, asked: Write) -> None:
        self.desks.hear(asked.desks)  # before it is written: who finds it in the file is answered with it
        try:
            await self._database.transact(asked.statements)
        except Unavailable as failure:
            self._send(Answer(asked.number, failure.reason, str(failure)))
        else:
            self._send(Answer(asked.number))

    async def _map(self, asked: MappingChanged) -> None:
        try:
            await self.hooks.mapping_changed(asked.customer, asked.changes)
            self._tell_mapping(asked.customer)
        except Unavailable as failure:
            self._send(Answer(asked.number, failure.reason, str(failure)))
        else:
            self._send(Answer(asked.number))

    async def _read_again(self) -> None:
        """Read what the process that was killed may not have told."""
        while True:
            try:
                await self.desks.take_up(self._database)
                self.cursor = await folding.cursor(self._database)
            except Unavailable:
                await asyncio.sleep(_STARTED_AGAIN_AFTER)
            else:
                break
        now = self._now()
        for desk in self.desks:
            desk.changed(now - EARLIEST, now + DAY)
        for what, count in self._counted.items():
            self._counted_before[what] += count
        self._counted = {}

    # Telling

    async def _keep_pushing(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            if self._ready.is_set():
                self._tell_mappings()
                self._push()

    def _push(self) -> None:
        """Tell what changed of customers and of what is mapped, and that there may be something to do."""
        if not self._ready.is_set():
            return
        customers = self._customers()
        if customers is not self._told_customers:
            self._told_customers = customers
            told = {name: (list(one.cloudsync.feeds), one.cloudsync.zone) for name, one in customers.items()}
            self._send(Customers(told))
            self._tell_mappings()
        # One that does not read has enough to wake up to.
        self._send(Wake(), most=_UNREAD)

    def _tell_mappings(self) -> None:
        for customer in {*self._customers(), *self._told_mappings}:
            self._tell_mapping(customer)

    def _tell_mapping(self, customer: str) -> None:
        mapping = self.mapping(customer)
        if self._told_mappings.get(customer) is not mapping:
            self._told_mappings[customer] = mapping
            self._send(Mapped(customer, configured.spell(mapping)))

    async def _ask(self, asked: Asked, shape: type[T] | None) -> T:
        """Have something done. Raises Unavailable."""
        self._wanted.set()
        while not self._ready.is_set():
            await self._ready.wait()
        self._push()
        done = self._waiting[asked.number] = asyncio.get_running_loop().create_future()
        self._send(asked)
        return msgspec.msgpack.decode(await done, type=shape)

    def _send(self, message: FromBridge, most: float = math.inf) -> None:
        """Send, unless so many bytes are unread, or the process has ended: whoever serves it will find out."""
        pipe = self._pipe
        if pipe is not None and not pipe.is_closing() and pipe.transport.get_write_buffer_size() < most:
            pipe.write(messages.frame(message))

    def _fail_all(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for done in waiting.values():
            if not done.done():
                done.set_exception(Unavailable("broken", "CloudSync's processor was killed."))


_COUNTED = ("changes", "records", "computed", "rows", "restated")


def _nothing_mapped(_: str) -> Words:
    return Words()


async def _end(process: Process) -> None:
    """Let a process end; it does when its pipe does."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(_ENDS_WITHIN):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
