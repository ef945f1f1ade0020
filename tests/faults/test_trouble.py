"""The disk is full, or another program keeps the ledger locked: callers hear 503, nothing is half done, and it ends."""

import asyncio
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.broker.contract import packets
from tests.broker.contract.client import Client
from tests.broker.contract.packets import Kind
from tests.conftest import WITHIN, desktop, mqtt, needed
from tests.faults.conftest import House
from tests.faults.locks import locked

SMALL = 16_384  # bytes that a file may have while the limit is on: less than the ledger has from the start
MANY = 12


@contextmanager
def limited(pid: int) -> Iterator[None]:
    """Let no file of a process grow: what RLIMIT_FSIZE refuses, a quota or a full disk refuses too."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (SMALL, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Fill a file system to the last byte."""
    with (folder / "filler").open("wb", buffering=0) as filler:
        for size in (65_536, 4_096, 1):
            try:
                while filler.write(b"x" * size):
                    pass
            except OSError:
                continue
    try:
        yield
    finally:
        (folder / "filler").unlink()


async def popids(client: Client) -> list[str]:
    """List the pops that a client heard up to now."""
    heard = [message for message in await client.heard() if message.topic.startswith("CTI/")]
    return [json.loads(message.payload)["popid"] for message in heard]


async def suffers(house: House, trouble: AbstractContextManager[None]) -> None:
    """Tell what must be true of a bridge that cannot write for a while."""
    async with mqtt(house.bridge, "acme", house.observer, ("CTI/acme/#", 1)) as observer:
        promised = [(await house.trigger("absent", n=number))["popid"] for number in range(MANY)]
        with trouble:
            refused = 0
            for number in range(1_000):
                answer = await house.trigger("absent", n=f"trouble {number}")
                if answer["http"] == 200:  # the files had some room left
                    promised.append(answer["popid"])
                    continue
                refused += 1
                assert (answer["http"], answer["code"]) == (503, "overloaded")
                assert answer["retry"] is not None
                assert 1 <= int(answer["retry"]) <= 60
                if refused == 3:
                    break
            ready = await house.read("/readyz")
            assert (ready["http"], ready["code"]) == (503, "overloaded")
            assert "ledger" in ready["detail"]
            assert (await house.read("/healthz"))["http"] == 200
            assert await popids(observer) == promised
        await house.until_ready(200)
        after = await house.trigger("absent", n="after")
        assert (after["http"], after["status"]) == (200, "held")
        promised.append(after["popid"])
        assert await popids(observer) == [after["popid"]]
    listed = [item["popid"] for item in (await house.read("/api/pops?agent=absent&limit=500"))["items"]]
    assert listed == promised[::-1]
    await house.die()
    await house.start()
    listed = [item["popid"] for item in (await house.read("/api/pops?agent=absent&limit=500"))["items"]]
    assert listed == promised[::-1]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process from outside")
async def test_files_that_may_not_grow(house: House) -> None:
    await suffers(house, limited(house.bridge.process.pid))


async def test_another_program_has_the_lock(house: House) -> None:
    await suffers(house, locked(house.ledger))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a file system of 4 MiB for a bridge's data directory, where the system lets us."""
    folder = tmp_path / "data"
    folder.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root may mount")
    mount = [needed("mount"), "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this system lets nobody mount")
    try:
        yield folder
    finally:
        subprocess.run([needed("umount"), "--lazy", str(folder)], check=True)


async def test_the_disk_is_full(small_disk: Path, house: House) -> None:
    await suffers(house, filled(small_disk))


async def test_a_desktop_gets_what_was_promised_while_nothing_can_be_written(house: House) -> None:
    promised = [(await house.trigger(n=number))["popid"] for number in range(MANY)]
    with locked(house.ledger):
        assert (await house.trigger(n="trouble"))["http"] == 503
        async with desktop(house.bridge, house.agent) as client:
            arrived = [json.loads((await client.message()).payload)["popid"] for _ in promised]
            assert arrived == promised
    await house.until_ready(200)
    for popid in promised:
        await house.until_status(popid, "delivered")


async def test_waits_go_on_while_nothing_can_be_written(house: House) -> None:
    async with desktop(house.bridge, house.agent) as client:
        waiting = asyncio.create_task(house.trigger(pop_wait=8, pop_until="delivered"))
        message = await client.message(acknowledge=False)
        with locked(house.ledger):
            assert (await house.trigger(n="trouble"))["http"] == 503
            await client.send(packets.reply(Kind.PUBACK, message.mid))
            async with asyncio.timeout(WITHIN):
                answer = await waiting
    assert (answer["http"], answer["status"]) == (200, "delivered")


async def test_a_key_whose_pop_was_refused_may_try_again(house: House) -> None:
    by_key = {"Idempotency-Key": "call-4711"}
    with locked(house.ledger):
        assert (await house.trigger(headers=by_key))["http"] == 503
    await house.until_ready(200)
    first = await house.trigger(headers=by_key)
    again = await house.trigger(headers=by_key)
    assert (first["http"], again["popid"]) == (200, first["popid"])


async def test_a_twin_of_a_pop_that_was_refused_is_no_duplicate(house: House) -> None:
    with locked(house.ledger):
        assert (await house.trigger())["http"] == 503
    await house.until_ready(200)
    assert (await house.trigger())["status"] == "held"
    assert (await house.trigger())["status"] == "duplicate"


async def test_a_bridge_that_cannot_write_stops_in_time_and_loses_nothing(house: House) -> None:
    popid = (await house.trigger())["popid"]
    with locked(house.ledger):
        assert (await house.trigger(n="trouble"))["http"] == 503
        assert await asyncio.to_thread(house.bridge.stop) == 0
    await house.start()
    async with desktop(house.bridge, house.agent) as client:
        assert json.loads((await client.message()).payload)["popid"] == popid
        await client.nothing()
