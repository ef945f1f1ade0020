"""A small simulated day, as events that name their channel, for stories about order, duplicates and restarts."""

import datetime as dt
import random
from functools import lru_cache

from bridge.cloudsync.simulator.centre import Centre, Size
from bridge.words.cloudsync import Mapping
from bridge.words.settings import Cloudsync as Settings
from tests.cloudsync.flow.events import ENTITIES

DAY = dt.date(2026, 11, 9)
START, UNTIL = "2026-11-09T00:00:00Z", "2026-11-10T12:00:00Z"
SETTINGS = Settings(feeds=["stt", "cim"], entities=list(ENTITIES), zone="America/New_York")  # type: ignore[arg-type]


@lru_cache(maxsize=4)
def simulated(seed: int, tickets: int = 40, sessions: int = 80) -> tuple[Mapping, tuple[bytes, ...]]:
    centre = Centre(seed, DAY, Size(groups=2, agents=6, tickets=tickets, sessions=sessions))
    events = []
    for event in centre.events():
        told = event.payload
        if not told.startswith(b'{"channel"'):
            told = b'{"channel":"/' + event.channel.encode() + b'",' + told[1:]
        events.append(told)
    return centre.mapping, tuple(events)


def shuffled(events: tuple[bytes, ...], seed: int, duplicates: float = 0.3) -> list[bytes]:
    rng = random.Random(seed)  # noqa: S311 - a story's order
    twice = rng.sample(events, round(len(events) * duplicates))
    mixed = [*events, *twice]
    rng.shuffle(mixed)
    return mixed
