"""A simulated day for a real bridge: its configuration, and its events, those that tell of users among them."""

import datetime as dt
import random
from collections.abc import Mapping, Sequence
from functools import cached_property

import msgspec

from bridge.cloudsync.simulator import spelling
from bridge.cloudsync.simulator.centre import Centre, Event, Size
from bridge.cloudsync.simulator.mischief import PLAIN, Mischief
from bridge.words.cloudsync import QUARTER

ENTITIES = ("SupportTicket", "ChatSession", "VideoSession", "UserPresence")
CUSTOMER_ZONE = "America/New_York"
SMALL = Size(groups=3, agents=9, tickets=80, sessions=160)
AWKWARD = Mischief(
    dialects=("cometd", "pubsub"),
    doubled=0.2,
    duplicates=0.3,
    disorder=600.0,
    late=0.05,
    merged=True,
    short_ids=0.2,
)

_DAYS_AGO = 4  # long enough that nothing of the day lies ahead or lasts; each further day is computed too


class Day:
    """A day that is over. The bridge learns groups and statuses from broker.yaml, whose agents are from events."""

    def __init__(self, seed: int, size: Size = SMALL, ago: int = _DAYS_AGO) -> None:
        self.date = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=ago)
        self.centre = Centre(seed, self.date, size)

    @property
    def start(self) -> int:
        """When the first quarter hour begins that may have numbers of it."""
        return int(dt.datetime.combine(self.date, dt.time(), dt.UTC).timestamp() * 1000)

    @cached_property
    def until(self) -> int:
        """When nothing happens any more."""
        last = max(step.at for step in self.centre.steps)
        return last - last % QUARTER + 4 * QUARTER

    @property
    def dates(self) -> list[str]:
        """The local dates that may have numbers of it."""
        return [(self.date + dt.timedelta(days=each)).isoformat() for each in (0, 1)]

    def config(self, crm: Mapping[str, object] | None = None) -> str:
        """Spell broker.yaml; with a CRM, which has to be asked for everything that ids mean."""
        section: dict[str, object] = {"feeds": ["lsm", "stt", "cim"], "entities": ENTITIES, "zone": CUSTOMER_ZONE}
        house = {
            "http": {"bind": "127.0.0.1:0"},
            "mqtt": {"bind": "127.0.0.1:0"},
            "customers": {"acme": {"cloudsync": section | (self._written() if crm is None else {"crm": crm})}},
        }
        return msgspec.json.encode(house).decode()  # JSON is YAML

    def _written(self) -> dict[str, object]:
        """Give what an operator would write down of the centre."""
        mapping = self.centre.mapping
        statuses: dict[str, dict[str, str]] = {}
        for (entity, name), closed in mapping.closed.items():
            statuses.setdefault(entity, {})[name] = "closed" if closed else "open"
        return {
            "groups": {
                group: {
                    "name": mapping.names[group],
                    "zone": zone,
                    "sl_threshold": f"{mapping.sl_threshold[group]}ms",
                    "short_abandon": f"{mapping.short_abandon[group]}ms",
                }
                for group, zone in mapping.zone.items()
            },
            "statuses": statuses,
            "presence": mapping.presence,
        }

    def events(self, mischief: Mischief = PLAIN) -> list[Event]:
        """Give the events in the order of their sending, users first."""
        return [*self.users(), *self.centre.events(mischief)]

    def users(self) -> list[Event]:
        """Tell of every agent, as the platform's user stream does."""
        told = []
        for number, agent in enumerate(self.centre.world.agents, 1):
            header = {
                "entityName": "User",
                "recordIds": [agent.id],
                "changeType": "CREATE",
                "changeOrigin": "",
                "transactionKey": f"user-{number}",
                "sequenceNumber": 1,
                "commitTimestamp": self.start + number,
                "commitUser": agent.id,
                "commitNumber": number,
            }
            said = {"Name": agent.name, "Username": agent.username, "DefaultGroupId": agent.group.id}
            channel = "user/UserChangeEvent"
            data = {
                "schema": "simulated",
                "event": {"replayId": number},
                "payload": {"ChangeEventHeader": header, **said, "LastModifiedDate": spelling.iso(self.start + number)},
            }
            told.append(
                Event(self.start + number, channel, msgspec.json.encode({"channel": f"/{channel}", "data": data}))
            )
        return told


def shuffled(events: Sequence[Event], chance: random.Random, duplicates: float = 0.3) -> list[Event]:
    """Give them in any order, some of them twice."""
    mixed = [*events, *chance.sample(events, round(len(events) * duplicates))]
    chance.shuffle(mixed)
    return mixed
