"""Worker: the processor's own process, `python -m bridge.cloudsync.flow.apart.worker PATH`; the bridge starts it.

It reads the store, and has the bridge write. It ends when the bridge does, as if killed: what it had begun is begun
again by the next.
"""

import asyncio
import contextlib
import gc
import itertools
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import msgspec

from bridge.cloudsync.flow import configured
from bridge.cloudsync.flow.apart import messages
from bridge.cloudsync.flow.apart.messages import (
    Answer,
    Asked,
    Begun,
    Customers,
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
from bridge.cloudsync.flow.processor import TRIED_AGAIN_AFTER, Processor
from bridge.cloudsync.flow.refold import Key, Told
from bridge.cloudsync.store.database import Distant, Statement
from bridge.words.cloudsync import Change, Folded
from bridge.words.cloudsync import Mapping as Words
from bridge.words.ledger import Unavailable
from bridge.words.settings import Cloudsync, Customer

_NICE = 10  # how far it stands back behind the bridge, which has pops in its hands
_AT_ONCE = 20  # records of one message: the bridge reads each in one go, and pops wait for it


class _Log(logging.Handler):
    """The bridge's log: what is said here is written there, in its form."""

    def __init__(self, send: Callable[[FromProcessor], None]) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Have a line written."""
        self._send(Said(record.levelno, record.getMessage()))


class Worker:
    """The processor, and the pipes to the bridge."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._customers: dict[str, Customer] = {}
        self._mappings: dict[str, Words] = {}
        self._folded: dict[tuple[str, str, str], tuple[Told, int]] = {}
        self._told: Turned | None = None
        self._processor: Processor

    async def run(self, path: Path) -> None:
        """Work until the bridge ends."""
        async with Distant.open(path, self._write) as database, asyncio.TaskGroup() as group:
            processor = self._processor = Processor(
                database, lambda: self._customers, lambda: int(time.time() * 1000), self._turned
            )
            processor.mapping = lambda customer: self._mappings.get(customer, _NOTHING)
            hooks = processor.hooks
            hooks.on_folded = self._on_folded
            hooks.ids_wanted = self._on_ids
            hooks.records_wanted = self._on_records
            hooks.mapping_changed = self._on_mapping
            logging.getLogger("popbridge").addHandler(_Log(self._send))
            await self._take_up()
            gc.collect()
            gc.freeze()
            gc.set_threshold(50_000, 20, 50)
            self._send(Begun([desk.customer for desk in processor.desks]))
            await self._listen(group)

    async def _take_up(self) -> None:
        while True:
            try:
                await self._processor.take_up()
            except Unavailable:
                await asyncio.sleep(TRIED_AGAIN_AFTER)
            else:
                return

    async def _listen(self, group: asyncio.TaskGroup) -> None:
        """Take what the bridge says. It tells of customers and what is mapped before anything else."""
        working: asyncio.Task[None] | None = None
        while (spelled := await messages.receive(self._reader)) is not None:
            match messages.of_bridge(spelled):
                case Customers(customers):
                    self._customers = {
                        name: Customer(cloudsync=Cloudsync(feeds=list(feeds), zone=zone))
                        for name, (feeds, zone) in customers.items()
                    }
                case Mapped(customer, text):
                    self._mappings[customer] = configured.read(text) or _NOTHING
                case Wake():
                    if working is None:
                        working = group.create_task(self._processor.run(), name="process")
                    self._processor.wake()
                case Answer() as answer:
                    self._answered(answer)
                case asked:
                    group.create_task(self._fulfil(asked), name="fulfil")
        os._exit(0)  # as if killed: nothing of the file is touched any more

    # What is asked

    async def _fulfil(self, asked: Asked) -> None:
        try:
            found = await self._done(asked)
        except Unavailable as failure:
            self._send(Answer(asked.number, failure.reason, str(failure)))
        else:
            await self._turned()
            self._send(Answer(asked.number, found=msgspec.Raw(messages.encode(found))))

    def _done(self, asked: Asked) -> Awaitable[object]:
        processor = self._processor
        match asked:
            case Settle():
                return processor.settle()
            case Recompute(_, customer, start, until):
                return processor.recompute(customer, start, until)
            case Refold(_, customer):
                return processor.refold_all(customer)
            case Lasting(_, customer, entity):
                return processor.lasting(customer, entity)

    # What is told

    def _on_folded(self, customer: str, entity: str, record: str, folded: Folded, now: int) -> None:
        # Who follows wants each record as it is, however often it changed meanwhile.
        self._folded[customer, entity, record] = Told(entity, record, folded), now

    def _on_ids(self, customer: str, ids: Sequence[str]) -> None:
        self._send(IdsWanted(customer, list(ids)))

    def _on_records(self, customer: str, keys: Sequence[Key]) -> None:
        self._send(RecordsWanted(customer, list(keys)))

    async def _on_mapping(self, customer: str, changes: Sequence[Change]) -> None:
        number = next(self._numbers)
        await self._ask(number, MappingChanged(number, customer, list(changes)))

    async def _turned(self) -> None:
        folded, self._folded = self._folded, {}
        by_customer: dict[tuple[str, int], list[Told]] = {}
        for (customer, _, _), (told, now) in folded.items():
            by_customer.setdefault((customer, now), []).append(told)
        for (customer, now), records in by_customer.items():
            for start in range(0, len(records), _AT_ONCE):
                self._send(messages.Folded(customer, now, records[start : start + _AT_ONCE]))
                await self._taken()
        processor = self._processor
        turned = Turned(processor.cursor, processor.counted, sorted(processor.troubles), processor.desks.news())
        if turned != self._told:
            self._told = turned
            self._send(turned)
            await self._taken()

    async def _write(self, statements: Sequence[Statement]) -> None:
        number = next(self._numbers)
        await self._ask(number, Write(number, list(statements), self._processor.desks.news()))

    async def _ask(self, number: int, question: FromProcessor) -> None:
        """Ask the bridge, and wait for its answer. Raises Unavailable."""
        done = self._waiting[number] = asyncio.get_running_loop().create_future()
        self._send(question)
        await self._taken()
        await done

    def _answered(self, answer: Answer) -> None:
        done = self._waiting.pop(answer.number)
        if done.cancelled():
            return
        if answer.trouble is None:
            done.set_result(None)
        else:
            done.set_exception(Unavailable(answer.trouble, answer.said))

    async def _taken(self) -> None:
        """Wait until the bridge takes what was said."""
        try:
            await self._writer.drain()
        except ConnectionError:
            os._exit(0)  # the bridge was killed in the middle: see `_listen`

    def _send(self, message: FromProcessor) -> None:
        self._writer.write(messages.frame(message))


_NOTHING = Words()


async def work(path: Path) -> None:
    """Be the processor's own process: the bridge's words come by stdin, ours go by stdout."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, sys.stdout)
    await Worker(reader, asyncio.StreamWriter(transport, protocol, None, loop)).run(path)


def main() -> None:
    """Begin."""
    # Who stops the bridge's whole group means the bridge, which then lets this process go.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    asyncio.run(work(Path(sys.argv[1])))


if __name__ == "__main__":
    main()
