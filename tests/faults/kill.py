"""Kill: `kill -9` of the bridge at random moments under load, and an account of every pop that a caller was promised.

python -m tests.faults.kill --kills 100
"""

import argparse
import asyncio
import json
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path
from random import Random
from typing import NamedTuple

from agent_client import Desktop
from tests.conftest import WITHIN, Bridge
from tests.faults.book import Book
from tests.faults.callers import LONG, Caller, Line, id_token
from tests.faults.seats import Mood, Seat

IN_FLIGHT = 200  # pops at least that are open when the bridge is killed
MOST_OPEN = 1_200
SETTLED_WITHIN = 100.0

_SEATS, _DESKTOPS, _CALLERS, _CLOUD_CALLERS = 36, 4, 6, 2
_CONFIG = """\
http: {{bind: 127.0.0.1:{http}}}
mqtt: {{bind: 127.0.0.1:{mqtt}}}
customers:
  acme:
    cloud: {{enabled: true, campaigns: {{Support: {{}}}}}}
"""


class Account(NamedTuple):
    """What became of everything, after the last kill."""

    in_flight: list[int]  # at each kill
    restarts: list[float]  # seconds to ready
    answers: dict[int, int]  # by HTTP status
    answered: int  # pops that a caller was promised
    replays: int
    shown: int
    expired: int
    lost: dict[str, str]  # promised, not seen, not expired: popid and the ledger's status
    doubled: list[str]
    unknown: list[str]  # promised, and the ledger has none of it
    understated: Counter[str]  # seen by the agent, and said in time; but the ledger's status is this
    taken_back: Counter[str]  # a caller was answered a final status; but the ledger's status is this


def free_ports(chance: Random) -> tuple[int, int]:
    """Choose two ports that stay ours while nobody listens.

    They are below those that the system gives to clients: one that tries to connect from the very port to which it
    connects would reach itself, and take the port.
    """
    found: list[int] = []
    while len(found) < 2:
        port = chance.randrange(20_000, 32_000)
        with socket.socket() as one:
            try:
                one.bind(("127.0.0.1", port))
            except OSError:
                continue
        if port not in found:
            found.append(port)
    return found[0], found[1]


async def run(folder: Path, kills: int, chance: Random, tell: Callable[[str], None] = lambda _: None) -> Account:
    """Kill a bridge so many times, and account for everything."""
    http, mqtt = free_ports(chance)
    bridge = Bridge(folder / "data", _CONFIG.format(http=http, mqtt=mqtt))
    town = await asyncio.to_thread(Town, bridge, http, mqtt)
    try:
        return await town.live(kills, chance, tell)
    finally:
        bridge.kill()


class Town:
    """Everybody who has to do with one bridge."""

    def __init__(self, bridge: Bridge, http: int, mqtt: int) -> None:
        self._bridge = bridge
        self._http = http
        self._mqtt = mqtt
        self._book = Book()
        self._agents = [f"agent-{number}" for number in range(_SEATS + _DESKTOPS)]
        tokens = bridge.secret(
            *("tokens", "issue", "--customer", "acme", "--role", "desktop", "--agents", "-"),
            given="\n".join(self._agents),
        ).splitlines()
        people = list(zip(self._agents, tokens, strict=True))
        self._seats = [Seat(agent, token, self._book) for agent, token in people[:_SEATS]]
        self._desktops = people[_SEATS:]
        key = bridge.key()
        orders = count()
        self._callers = [
            Caller(Line(http), key, self._agents, orders, self._book) for _ in range(_CALLERS + _CLOUD_CALLERS)
        ]
        self._observer = bridge.token("observer")
        bridge.secret(
            "users", "add", "--customer", "acme", "--username", "cloud", "--password-stdin", given="a long password"
        )

    async def live(self, kills: int, chance: Random, tell: Callable[[str], None]) -> Account:
        """Have load, kill, restart, and in the end wait until nothing is open any more."""
        in_flight: list[int] = []
        restarts = [await self._start()]
        line = Line(self._http)
        for caller in self._callers[_CALLERS:]:
            caller.cloud = await id_token(line, "cloud", "a long password")
        line.close()
        async with asyncio.TaskGroup() as life:
            sitting = [life.create_task(seat.sit(self._mqtt)) for seat in self._seats]
            sitting += [life.create_task(self._look_at(*person)) for person in self._desktops]
            calling = [life.create_task(caller.call(chance, MOST_OPEN)) for caller in self._callers]
            for number in range(kills):
                for seat in self._seats:
                    seat.feel(chance.choice(list(Mood)))
                await asyncio.sleep(chance.uniform(0, 0.5))  # the random moment
                async with asyncio.timeout(WITHIN):
                    await self._book.until(lambda: self._book.open >= IN_FLIGHT)
                in_flight.append(self._book.open)
                self._bridge.kill()
                if chance.random() < 0.1:
                    await self._start_and_kill(chance.uniform(0.05, 0.5))
                restarts.append(await self._start())
                tell(f"kill {number + 1}: {in_flight[-1]} in flight, ready again in {restarts[-1]:.2f} s")
            for one in calling:
                one.cancel()
            for seat in self._seats:
                seat.feel(Mood.PROMPT)
            statuses = await self._settle(line)
            async with asyncio.timeout(WITHIN):
                await self._book.until(lambda: not any(seat.has_to_tell for seat in self._seats))
            for one in sitting:
                one.cancel()
        unseen = self._book.unseen()
        listed = await self._list(line)
        line.close()
        return Account(
            in_flight=in_flight,
            restarts=restarts,
            answers=dict(sum((Counter(caller.answers) for caller in self._callers), Counter())),
            answered=len(self._book.answered),
            replays=self._book.replays,
            shown=len(self._book.shown),
            expired=sum(statuses[popid] == "expired" for popid in unseen),
            lost={popid: statuses[popid] for popid in unseen if statuses[popid] != "expired"},
            doubled=self._book.doubled,
            unknown=sorted(self._book.answered - listed.keys()),
            understated=Counter(
                listed.get(popid, "unknown")
                for popid, ttl in self._book.answered.items()
                if ttl == LONG and popid in self._book.shown and listed.get(popid) != "shown"
            ),
            taken_back=Counter(
                f"{listed.get(popid)} instead of {status}"
                for popid, status in self._book.waited.items()
                if listed.get(popid) != status
            ),
        )

    async def _start(self) -> float:
        begun = time.perf_counter()
        await asyncio.to_thread(self._bridge.start)
        return time.perf_counter() - begun

    async def _start_and_kill(self, after: float) -> None:
        """Kill it while it starts, or just after."""
        starting = asyncio.create_task(asyncio.to_thread(self._bridge.start))
        await asyncio.wait({starting}, timeout=after)
        self._bridge.process.kill()
        await asyncio.wait({starting})
        starting.exception()  # it may or may not have been ready before
        self._bridge.kill()

    async def _look_at(self, agent: str, token: str) -> None:
        """Be an agent at our own client."""
        async with Desktop(f"mqtt://127.0.0.1:{self._mqtt}", "acme", agent, token) as desktop:
            async for pop in desktop:
                self._book.show(pop.popid, json.loads(bytes(pop.data["n"])))

    async def _settle(self, line: Line) -> dict[str, str]:
        """Wait until everything unseen has expired; give the statuses of what was not seen."""
        statuses: dict[str, str] = {}
        until = time.monotonic() + SETTLED_WITHIN
        while True:
            waiting = [popid for popid in self._book.unseen() if statuses.get(popid) != "expired"]
            if not waiting or time.monotonic() > until:
                return statuses
            for popid in waiting:
                said = await line.ask("GET", f"/api/pops/{popid}", self._as_observer)
                statuses[popid] = said.body["status"] if said.status == 200 else f"{said.status}"
            await asyncio.sleep(0.1)  # nothing tells when a pop expires

    async def _list(self, line: Line) -> dict[str, str]:
        """Read the status of every pop there is."""
        listed: dict[str, str] = {}
        cursor = ""
        while True:
            said = await line.ask("GET", f"/api/pops?limit=500{cursor}", self._as_observer)
            assert said.status == 200, said.body
            listed |= {item["popid"]: item["status"] for item in said.body["items"]}
            if "next" not in said.body:
                return listed
            cursor = f"&cursor={said.body['next']}"

    @property
    def _as_observer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._observer}"}


def main() -> int:
    """Do it as often as asked, and print the account."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else time.time_ns() % 1_000_000
    chance = Random(seed)  # noqa: S311 - moments, no secrets
    with tempfile.TemporaryDirectory() as folder:
        account = asyncio.run(run(Path(folder), options.kills, chance, lambda line: _say(f"  {line}")))
    ordered = sorted(account.restarts)
    _say(f"seed {seed}: {len(account.in_flight)} kills, {min(account.in_flight)} to {max(account.in_flight)} in flight")
    _say(f"ready again in {ordered[len(ordered) // 2]:.2f} s (median), {ordered[-1]:.2f} s at most")
    _say(f"answers by status {account.answers}, replayed to a key {account.replays}")
    _say(f"promised {account.answered}, seen {account.shown}, expired unseen {account.expired}")
    _say(f"lost {len(account.lost)} {dict(list(account.lost.items())[:10])}")
    _say(f"doubled {len(account.doubled)} {account.doubled[:5]}")
    _say(f"unknown to the ledger {len(account.unknown)}")
    _say(f"seen, but the ledger says {dict(account.understated)}")
    _say(f"answered as final, but the ledger says {dict(account.taken_back)}")
    return 1 if account.lost or account.doubled or account.unknown else 0


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - that is what it is for


if __name__ == "__main__":
    sys.exit(main())
