"""Wire: a line to the bridge that can go dead without a word, as when a laptop sleeps or a cable is pulled."""

import asyncio
import contextlib
from types import TracebackType
from typing import Self


class Wire:
    """Passes bytes on, both ways, between whoever connects and a port of this machine."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._generation = 0

    @property
    def http(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def silence(self) -> None:
        """Pass nothing on any more for those who are connected; who connects from now on is served."""
        self._generation += 1

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        for writer in self._writers:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._to)
        self._writers |= {writer, back}
        for source, sink in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._pass(source, sink, self._generation))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, generation: int) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                if generation == self._generation:
                    sink.write(data)
                    await sink.drain()
        if generation == self._generation:
            sink.close()
