"""Nothing is ever sent back to the CRM: a tap between the client and the CRM sees every request line."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from bridge.cloudsync.mapping.asked import FIELDS
from bridge.cloudsync.mapping.correspondence import Correspondence
from bridge.cloudsync.mapping.table import Table
from bridge.cloudsync.simulator.centre import Centre
from bridge.cloudsync.simulator.endpoints import TOKEN_PATH, Endpoints
from bridge.crm import keypair, validate
from bridge.words.cloudsync import Change, Kind
from bridge.words.settings import Cloudsync
from tests.cloudsync.crm.conftest import Settings

WITHIN = 30.0
REQUEST = re.compile(rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|TRACE|CONNECT) (/\S*) HTTP/1\.1\r\n")


class Tap:
    """Passes bytes on, and keeps what went towards the CRM."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.sent = b""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        back_and_forth = asyncio.gather(self._copy(reader, back, keep=True), self._copy(there, writer))
        await back_and_forth

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, keep: bool = False) -> None:
        while data := await reader.read(65_536):
            if keep:
                self.sent += data
            writer.write(data)
        writer.close()


async def test_only_the_token_s_post_and_gets_leave(
    crm: Endpoints, settings: Settings, folder: Path, centre: Centre
) -> None:
    tap = Tap(urlsplit(crm.url).port or 0)
    taken: list[Change] = []
    done = asyncio.Event()

    async def took(_customer: str, changes: Sequence[Change]) -> None:
        taken.extend(changes)

    class Watched(Table):
        def miss_statuses(self, since: int) -> None:
            # Statuses are asked for last.
            super().miss_statuses(since)
            done.set()

    async def known(_customer: str, _entity: str) -> dict[str, int]:
        return {"500000000000000AAA": 0}

    async with tap.running() as url:
        through = msgspec.structs.replace(settings(), token_endpoint=f"{url}{TOKEN_PATH}", instance=url)
        tried = [finding async for finding in validate.findings(through, folder, ("SupportTicket",), FIELDS, time.time)]
        assert tried[-1].ok, tried
        desk = Correspondence(
            "acme",
            Watched(Cloudsync()),
            took=took,
            known=known,
            now=lambda: int(time.time() * 1000),
            jitter=lambda: 0.0,
        )
        running = asyncio.create_task(desk.run(through, folder))
        desk.ids_wanted([f"user:{agent.id}" for agent in centre.world.agents])
        desk.ids_wanted(["status:SupportTicket:New", f"group:{centre.world.groups[0].id}"])
        desk.records_wanted([("ChatSession", step.record) for step in centre.steps if step.entity == "ChatSession"])
        desk.records_wanted([("SupportTicket", "")])
        async with asyncio.timeout(WITHIN):
            await done.wait()
        running.cancel()
        await asyncio.wait([running])
    requests = REQUEST.findall(tap.sent)
    assert len(requests) > 10
    assert len(requests) == tap.sent.count(b" HTTP/1.1\r\n")
    assert {change.entity for change in taken} == {"SupportTicket", "ChatSession"}
    assert [change.kind for change in taken if change.record == "500000000000000AAA"] == [Kind.DELETE]
    assert {method for method, _ in requests} == {b"GET", b"POST"}
    assert {path for method, path in requests if method == b"POST"} == {TOKEN_PATH.encode()}
    posted = tap.sent.split(b"POST ")[1].split(b"\r\n\r\n", 1)[1]
    assert posted.startswith(b"grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=ey")
    # A GET has no body: behind its head comes the next request, or nothing.
    for part in tap.sent.split(b"GET ")[1:]:
        _, _, behind = part.partition(b"\r\n\r\n")
        assert not behind or behind.startswith(b"POST "), behind[:80]


def test_the_whole_house_has_one_place_from_which_a_request_leaves() -> None:
    house = Path(keypair.__file__).parents[1]
    users = {
        path.relative_to(house).as_posix()
        for path in house.rglob("*.py")
        if re.search(r"ClientSession|urllib\.request|http\.client|import requests", path.read_text(encoding="utf-8"))
    }
    # The simulator's sender is a CRM's part, played for the bridge.
    assert users == {"crm/client.py", "cloudsync/simulator/senders.py"}
