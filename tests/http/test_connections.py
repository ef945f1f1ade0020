"""Connections: what a caller sees of the server's clocks, of its stop, and of the hand-over to aiohttp's protocol."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from bridge.certificates import make_development_pair
from bridge.http import answers, body
from bridge.http.dispatch import Dispatch, Route
from bridge.http.server import Server
from bridge.words.settings import Address, Duration, Http, Settings
from tests.conftest import WITHIN, Bridge, until_closed

USUAL = b"POST /usual HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
ODD = USUAL.replace(b"Host: x", b"Host:  x")

Answering = Callable[[web.BaseRequest], Awaitable[answers.Answered]]


class House:
    """A server with one door, which waits until it may answer."""

    def __init__(self, tls: ssl.SSLContext | None = None, **http: Duration | int) -> None:
        settings = Settings(http=Http(bind=Address("127.0.0.1", 0), **http))  # type: ignore[arg-type]
        dispatch = Dispatch(lambda: settings)
        dispatch.open({"/usual": Route("usual", self._answer, ("GET", "POST"), whole=True)}, {})
        self.server = Server(settings.http, dispatch.handle, tls, dispatch.door)
        self.may = asyncio.Event()
        self.may.set()
        self.writers: list[asyncio.StreamWriter] = []
        self.begun: list[str] = []
        self.cancelled = 0
        self.said = "{}"
        self.fails: BaseException | None = None

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        opened = await asyncio.open_connection("127.0.0.1", self.server.address.port)
        self.writers.append(opened[1])
        return opened

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN):
            while not holds():  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    async def _answer(self, request: web.BaseRequest) -> answers.Answered:
        content = await body.read(request, 5.0)
        self.begun.append(f"{content.decode()} {request.remote} {type(request).__name__}")
        try:
            await self.may.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.fails is not None:
            raise self.fails
        return answers.json(200, self.said.encode())


@asynccontextmanager
async def opened(tls: ssl.SSLContext | None = None, **http: Duration | int) -> AsyncIterator[House]:
    house = House(tls, **http)
    await house.server.start()
    try:
        yield house
    finally:
        for writer in house.writers:
            writer.close()
        await house.server.stop()


async def answer(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(WITHIN):
        return await reader.readuntil(b"}")


async def ended(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(WITHIN):
        return await until_closed(reader)


async def test_usual_and_other_requests_may_follow_one_another() -> None:
    async with opened() as house:
        reader, writer = await house.open()
        for sent in (USUAL, USUAL, ODD, USUAL, ODD):
            writer.write(sent)
            assert b" 200 OK" in await answer(reader)
        assert house.begun == ["{} 127.0.0.1 Whole"] * 2 + ["{} 127.0.0.1 BaseRequest"] * 3
        assert house.server.connections == 1
        writer.close()
        await house.until(lambda: house.server.connections == 0)


async def test_a_body_may_come_soon_after_its_head_or_late_or_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened() as house:
        reader, writer = await house.open()
        for soon, *parts in ((WITHIN, USUAL[:-2], b"{}"), (WITHIN, USUAL[:-1], b"}"), (0.001, USUAL[:-2], b"{}")):
            monkeypatch.setattr("bridge.http.server._SOON", soon)
            for part in parts:
                writer.write(part)
                await asyncio.sleep(0.02)
            assert b" 200 OK" in await answer(reader)
        monkeypatch.setattr("bridge.http.server._SOON", WITHIN)
        assert house.begun == ["{} 127.0.0.1 Whole"] * 2 + ["{} 127.0.0.1 BaseRequest"]
        reader, writer = await house.open()
        for part in (USUAL[:-2], b"{", b"}"):
            writer.write(part)
            await asyncio.sleep(0.01)
        assert b" 200 OK" in await answer(reader)
        reader, writer = await house.open()
        writer.write(USUAL[:-2])
        await asyncio.sleep(0.01)
        writer.write(b"{}" + USUAL)
        assert b" 200 OK" in await answer(reader)
        assert b" 200 OK" in await answer(reader)
        assert house.begun[3:] == ["{} 127.0.0.1 BaseRequest"] * 3


async def test_what_is_refused_behind_a_request_does_not_keep_it_from_its_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bridge.http.server._SOON", WITHIN)
    async with opened() as house:
        reader, writer = await house.open()
        writer.write(USUAL[:-1])
        await asyncio.sleep(0.05)
        writer.write(b"}nonsense\r\n\r\n")
        received = await ended(reader)
        assert received.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"HTTP/1.0 400 Bad Request\r\n" in received


async def test_who_hangs_up_or_is_stopped_before_the_body_has_come_does_no_harm(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with opened() as house:
        _, writer = await house.open()
        writer.write(USUAL[:-2])
        await asyncio.sleep(0.01)
        writer.transport.abort()
        await house.until(lambda: house.server.connections == 0)
        await asyncio.sleep(0.1)
        reader, writer = await house.open()
        writer.write(USUAL[:-2])
        await asyncio.sleep(0.01)
        await house.server.stop()
        assert await ended(reader) == b""
        assert house.begun == []
    assert not caplog.records


async def test_what_comes_before_the_answer_is_answered_after_it() -> None:
    async with opened() as house:
        house.may.clear()
        reader, writer = await house.open()
        writer.write(USUAL)
        await house.until(lambda: len(house.begun) == 1)
        writer.write(USUAL.replace(b"{}", b"{2") + USUAL[:30])
        await asyncio.sleep(0.05)
        assert len(house.begun) == 1
        house.may.set()
        assert b" 200 OK" in await answer(reader)
        assert b" 200 OK" in await answer(reader)
        writer.write(USUAL[30:].replace(b"{}", b"{3"))
        assert b" 200 OK" in await answer(reader)
        assert [said[:2] for said in house.begun] == ["{}", "{2", "{3"]


async def test_who_reads_no_answers_is_not_read() -> None:
    async with opened() as house:
        house.said = "{" + " " * 32_000_000 + "}"
        reader, writer = await house.open()
        for _ in range(3):
            writer.write(USUAL)
            await asyncio.sleep(0.05)
        assert len(house.begun) == 1
        for _ in range(3):
            async with asyncio.timeout(WITHIN):
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(len(house.said))
        assert len(house.begun) == 3


async def test_who_reads_its_answers_slowly_is_not_idle() -> None:
    async with opened(keepalive=Duration(0.1)) as house:
        house.said = "{" + " " * 32_000_000 + "}"
        reader, writer = await house.open()
        for _ in range(2):
            writer.write(USUAL)
            await asyncio.sleep(0.3)
        assert len(house.begun) == 1
        for _ in range(2):
            async with asyncio.timeout(WITHIN):
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(len(house.said))
        assert len(house.begun) == 2


async def test_who_asks_for_nothing_is_closed_by_the_heads_time() -> None:
    async with opened(head_timeout=Duration(0.1)) as house:
        reader, _ = await house.open()
        assert await ended(reader) == b""


async def test_the_first_heads_time_runs_from_the_connections_begin() -> None:
    async with opened(head_timeout=Duration(1.0)) as house:
        reader, writer = await house.open()
        begun = asyncio.get_running_loop().time()
        await asyncio.sleep(0.8)
        writer.write(USUAL[:10])
        assert await ended(reader) == b""
        assert asyncio.get_running_loop().time() - begun < 1.6


async def test_a_later_heads_time_runs_from_its_own_begin() -> None:
    async with opened(head_timeout=Duration(1.0)) as house:
        reader, writer = await house.open()
        writer.write(USUAL)
        await answer(reader)
        await asyncio.sleep(1.05)
        writer.write(USUAL[:10])
        await asyncio.sleep(0.1)
        writer.write(USUAL[10:])
        assert b" 200 OK" in await answer(reader)


async def test_an_idle_connection_is_closed_after_its_time_and_one_in_work_is_not() -> None:
    async with opened(head_timeout=Duration(0.1), keepalive=Duration(0.2)) as house:
        house.may.clear()
        reader, writer = await house.open()
        writer.write(USUAL)
        await asyncio.sleep(0.5)
        house.may.set()
        assert b" 200 OK" in await answer(reader)
        begun = asyncio.get_running_loop().time()
        assert await ended(reader) == b""
        assert asyncio.get_running_loop().time() - begun > 0.1


async def test_connection_close_is_honoured_after_a_whole_request() -> None:
    async with opened() as house:
        reader, writer = await house.open()
        writer.write(USUAL.replace(b"Host: x", b"Host: x\r\nConnection: close"))
        received = await ended(reader)
        assert received.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"\r\nConnection: close\r\n" in received


async def test_a_stop_answers_what_is_in_work_and_closes_what_is_idle() -> None:
    async with opened() as house:
        idle, _ = await house.open()
        busy, writer = await house.open()
        house.may.clear()
        writer.write(USUAL)
        await house.until(lambda: len(house.begun) == 1)
        stopping = asyncio.create_task(house.server.stop())
        assert await ended(idle) == b""
        house.may.set()
        received = await ended(busy)
        assert received.startswith(b"HTTP/1.1 200 OK\r\n")
        assert received.endswith(b"{}")
        await stopping
        assert house.cancelled == 0


async def test_a_stop_ends_what_is_not_answered_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.http.server.STOP_WITHIN", 0.1)
    async with opened() as house:
        house.may.clear()
        reader, writer = await house.open()
        writer.write(USUAL)
        await house.until(lambda: len(house.begun) == 1)
        async with asyncio.timeout(WITHIN):
            await house.server.stop()
        assert await ended(reader) == b""
        assert house.cancelled == 1


async def test_who_hangs_up_while_its_request_is_in_work_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    async with opened() as house:
        house.may.clear()
        for _ in range(3):
            _, writer = await house.open()
            writer.write(USUAL)
            await house.until(lambda: house.server.connections == 1 and len(house.begun) > 0)
            writer.transport.abort()
            await house.until(lambda: house.server.connections == 0)
            house.begun.clear()
        house.may.set()
        await asyncio.sleep(0.05)
        assert house.cancelled == 0
    assert not caplog.records


@pytest.mark.parametrize("error", [ValueError("zzsecretzz"), TimeoutError()], ids=repr)
async def test_a_bug_of_ours_is_500_and_the_connection_goes_on(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened() as house:
        reader, writer = await house.open()
        house.fails = error
        writer.write(USUAL)
        received = await answer(reader)
        assert received.startswith(b"HTTP/1.1 500 ")
        assert b'"code":"internal_error"' in received
        assert b"zzsecretzz" not in received
        house.fails = None
        writer.write(USUAL)
        assert b" 200 OK" in await answer(reader)
    assert [record.message for record in caplog.records] == ["a handler failed"]


async def test_a_request_whose_work_was_cancelled_ends_its_connection() -> None:
    async with opened() as house:
        for sent in (USUAL, ODD):
            reader, writer = await house.open()
            house.fails = asyncio.CancelledError()
            writer.write(sent)
            assert await ended(reader) == b""
        await house.until(lambda: house.server.connections == 0)


async def test_a_connection_too_many_is_closed_and_counted() -> None:
    async with opened(max_connections=1) as house:
        reader, writer = await house.open()
        writer.write(ODD)
        await answer(reader)
        refused, _ = await house.open()
        assert await ended(refused) == b""
        assert (house.server.connections, house.server.refused_full) == (1, 1)
        writer.write(USUAL)
        assert b" 200 OK" in await answer(reader)


async def test_what_comes_over_tls_on_a_connection_too_many_is_not_read(tmp_path: Path) -> None:
    """A request that comes with the end of the handshake is there when the connection is refused."""
    certificate, key = make_development_pair(tmp_path, ["127.0.0.1"])
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)
    trusting = ssl.create_default_context(cafile=certificate)
    async with opened(tls, max_connections=1) as house:
        address = house.server.address
        reader, writer = await asyncio.open_connection(address.host, address.port, ssl=trusting)
        house.writers.append(writer)
        loop = asyncio.get_running_loop()
        with socket.socket() as line:
            line.setblocking(False)
            await loop.sock_connect(line, (address.host, address.port))
            came, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
            client = trusting.wrap_bio(came, goes, server_hostname=address.host)
            shaken = False
            while not shaken:
                try:
                    client.do_handshake()
                    shaken = True
                    client.write(USUAL)
                except ssl.SSLWantReadError:
                    pass
                await loop.sock_sendall(line, goes.read())
                if not shaken:
                    came.write(await asyncio.wait_for(loop.sock_recv(line, 65_536), WITHIN))
            await house.until(lambda: house.server.refused_full == 1)
            writer.write(USUAL.replace(b"{}", b"{2"))
            assert b" 200 OK" in await answer(reader)
            assert [said[:2] for said in house.begun] == ["{2"]


async def test_triggers_follow_one_another_on_one_connection_however_they_come(
    bridge: Bridge, keys: dict[str, str]
) -> None:
    """On the loop that serves: whole, in two parts, two at once, and one while another waits."""
    target = b"/api/sendmessage/CTI?agentid=mixed-%d&event=On+Ring&pop_ttl=1&jwt=" + keys["acme"].encode()
    head = b" HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Type: application/json\r\n\r\n"
    one = [b"POST " + target % number + head + b"{}" for number in range(6)]
    reader, writer = await asyncio.open_connection("127.0.0.1", bridge.http_port)
    received = b""
    for sent in (one[0], one[1].replace(b"pop_ttl=1", b"pop_ttl=1&pop_wait=0.2"), one[2] + one[3], one[4][:-2]):
        writer.write(sent)
        await asyncio.sleep(0.05)
    writer.write(one[4][-2:] + one[5])
    async with asyncio.timeout(WITHIN):
        while received.count(b'"success":true') < 6:
            received += await reader.read(65_536)
    places = [received.index(b'"CTI/acme/mixed-%d"' % number) for number in range(6)]
    assert places == sorted(places)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
