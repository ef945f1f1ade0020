"""Floods: half-open connections, resets and nonsense by the hundred disturb nobody, and leave nothing behind."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bridge.words.settings import Duration, Mqtt
from bridge.words.topics import permits

from . import packets
from .client import PATIENCE, eventually
from .lines import TcpLine
from .ours import ANYWHERE, OpenGate, Ours, RoleGate, desktop, running
from .packets import Will

A = desktop("acme", "1001")
DESCRIPTORS = Path("/proc/self/fd")
WHOLE = packets.connect("me", clean=False, will=Will("gone", b"x", 1), username="acme/1001", password=A.id)


class Baseline:
    """How much there was before."""

    def __init__(self, ours: Ours) -> None:
        self._ours = ours
        self._before = self._now()

    async def returns(self) -> None:
        """Wait until there is no more of anything than before."""
        now = self._now()

        def settled() -> bool:
            nonlocal now
            now = self._now()
            return all(one <= other for one, other in zip(now, self._before, strict=True))

        try:
            await eventually(settled)
        except TimeoutError:
            pytest.fail(
                f"descriptors, tasks, connections, connecting, sessions, subscriptions: {self._before} -> {now}"
            )

    def _now(self) -> tuple[int, ...]:
        gauges = self._ours.broker.gauges()
        return (
            len(list(DESCRIPTORS.iterdir())),
            len(asyncio.all_tasks()),
            gauges.connections,
            gauges.connecting,
            gauges.sessions,
            gauges.subscriptions,
        )


pytestmark = pytest.mark.skipif(not DESCRIPTORS.is_dir(), reason="descriptors are counted in /proc")


@pytest.fixture
async def ours(road: str) -> AsyncIterator[Ours]:
    async with running(road, RoleGate(A), permits=permits) as target:
        # The first client of a road may leave something that is made once.
        await (await target.enter(A)).disconnect()
        await target.close()
        yield target


async def test_half_open_connections_disturb_nobody_and_leave_nothing(ours: Ours) -> None:
    baseline = Baseline(ours)
    for start in range(0, 300, 50):
        lines = await asyncio.gather(*(ours.line() for _ in range(50)))
        for number, line in enumerate(lines, start):
            if number % 3:
                await line.send(WHOLE[: number % len(WHOLE)])
    agent = await ours.enter(A)
    await agent.subscribe(("CTI/acme/1001", 1))
    await agent.nothing()
    await ours.close()

    await baseline.returns()


async def test_half_open_connections_end_at_their_deadline(road: str) -> None:
    settings = Mqtt(bind=ANYWHERE, connect_timeout=Duration(0.5))
    async with running(road, OpenGate(), settings=settings) as ours:
        strangers = [await ours.stranger() for _ in range(100)]
        for stranger in strangers[::2]:
            await stranger.send(WHOLE[:9])

        assert await asyncio.gather(*(stranger.ended() for stranger in strangers)) == [[]] * 100
        await eventually(lambda: ours.broker.gauges().connecting == 0)


async def test_connect_and_reset_leaves_nothing(ours: Ours) -> None:
    baseline = Baseline(ours)
    for _ in range(100):
        line = await ours.line()
        line.abort()
    await ours.close()

    await baseline.returns()


async def test_a_connect_cut_off_at_any_byte_leaves_nothing(ours: Ours) -> None:
    baseline = Baseline(ours)
    for cut in range(len(WHOLE)):
        line = await ours.line()
        await line.send(WHOLE[:cut])
        if cut % 2:
            line.abort()
        else:
            await line.close()
    await ours.close()

    await baseline.returns()


async def test_malformed_and_refused_logins_leave_nothing(ours: Ours) -> None:
    baseline = Baseline(ours)
    for number in range(100):
        client = await ours.stranger()
        if number % 2:
            await client.send(packets.connect("me", clean=False, username="acme/1001", password="wrong"))
        else:
            await client.send(packets.connect("me", name="HTTP"))
        if number % 4 < 2:
            client.line.abort()
        else:
            await client.ended()
    await ours.close()

    await baseline.returns()


async def test_bad_connects_and_resets_do_not_use_up_the_places(road: str) -> None:
    settings = Mqtt(bind=ANYWHERE, max_connections=5, max_connecting_per_address=5)
    async with running(road, RoleGate(A), permits=permits, settings=settings) as ours:
        for number in range(30):
            line = await ours.line()
            await line.send(WHOLE[: number % 7] + bytes([0xFF, number]))
            line.abort()
        await eventually(lambda: ours.broker.gauges().connecting == 0)

        await (await ours.enter(A)).nothing()


async def test_one_port_listens_and_only_where_it_was_told_to(ours: Ours) -> None:
    found = listening()

    assert found.keys() == {ours.port, urlsplit(ours.url).port}
    assert found[ours.port] == "0100007F"


def listening() -> dict[int, str]:
    """List the ports this process listens on, with their addresses as the kernel spells them."""
    own = {str(one.readlink()) for one in DESCRIPTORS.iterdir() if one.is_symlink()}
    found: dict[int, str] = {}
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        row = line.split()
        if row[3] == "0A" and f"socket:[{row[9]}]" in own:
            address, _, port = row[1].partition(":")
            found[int(port, 16)] = address
    return found


async def test_clients_that_come_and_go_leave_nothing(ours: Ours) -> None:
    baseline = Baseline(ours)
    for number in range(60):
        client = await ours.enter(A, f"seat {number}", will=Will("ACK/acme/1001", b"gone"))
        await client.subscribe(("CTI/acme/1001", 1), ("CTI/acme/+/1001", 1))
        if number % 3 == 0:
            await client.unsubscribe("CTI/acme/1001")
            await client.disconnect()
        elif number % 3 == 1:
            client.line.abort()
        else:
            await client.send(b"\xff\xff")
            await client.ended()
    await ours.close()

    await baseline.returns()


async def test_take_overs_leave_nothing(ours: Ours) -> None:
    baseline = Baseline(ours)
    for number in range(60):
        client = await ours.enter(A, "seat", clean=bool(number % 2))
        await client.subscribe(("CTI/acme/1001", 1), ("CTI/acme/+/1001", 1))
    await (await ours.enter(A, "seat", clean=True)).disconnect()
    await ours.close()

    await baseline.returns()


async def test_a_storm_of_one_client_id_leaves_one_that_hears(ours: Ours) -> None:
    baseline = Baseline(ours)

    async def enters() -> None:
        client = await ours.stranger()
        await client.send(
            packets.connect("seat", clean=False, username="acme/1001", password=A.id),
            packets.subscribe(1, ("CTI/acme/1001", 1)),
        )
        await client.ended()

    storm = [asyncio.ensure_future(enters()) for _ in range(50)]
    for ended in itertools.islice(asyncio.as_completed(storm), 49):
        await ended
    await eventually(lambda: ours.broker.desktops("CTI/acme/1001") == 1)
    last = await ours.enter(A, "seat", clean=True)
    await asyncio.gather(*storm)
    await last.disconnect()
    await ours.close()

    await baseline.returns()


async def test_the_broker_stops_with_clients_connected_and_half_open(road: str) -> None:
    async with running(road, RoleGate(A), permits=permits) as ours:
        agent = await ours.enter(A, will=Will("ACK/acme/1001", b"gone"))
        stranger = await ours.stranger()
        await stranger.send(WHOLE[:5])
        async with asyncio.timeout(PATIENCE):
            await ours.broker.stop()

        await agent.ended()
        await stranger.ended()


async def test_after_stop_nothing_answers(road: str) -> None:
    async with running(road, OpenGate()) as ours:
        await ours.broker.stop()

        with pytest.raises(ConnectionRefusedError):
            await TcpLine.open("127.0.0.1", ours.port)
