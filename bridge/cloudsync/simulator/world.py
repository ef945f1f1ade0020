"""World: the groups, agents and statuses of a simulated contact centre; the same seed gives the same ones."""

import datetime as dt
import random
from collections.abc import Mapping as MappingType
from zoneinfo import ZoneInfo

import msgspec

from bridge.cloudsync.simulator import ids
from bridge.words.cloudsync import DEFAULT_SHORT_ABANDON, DEFAULT_SL_THRESHOLD, Mapping, Value

ZONES = ("America/New_York", "America/New_York", "Europe/Berlin")
SHIFTS = ((540, 1050), (450, 960), (690, 1200), (960, 1470), (540, 1050), (690, 1200), (450, 960), (540, 1050))
"""Minutes of the local day at which shifts begin and end; the fourth ends half an hour after midnight."""

STATUSES = {
    "SupportTicket": {
        "New": False,
        "In Progress": False,
        "Waiting": False,
        "Reopened": False,
        "Closed": True,
        "Solved": True,
    },
    "ChatSession": {"Waiting": False, "Ringing": False, "InProgress": False, "Completed": True, "Missed": True},
    "VideoSession": {"Waiting": False, "Ringing": False, "InProgress": False, "Completed": True, "Missed": True},
}
"""Whether each status means closed. Both kinds of session have `Abandoned` and `Transferred` too."""
for _entity in ("ChatSession", "VideoSession"):
    STATUSES[_entity] |= {"Abandoned": True, "Transferred": True}

PRESENCES = (
    ("Available", "available"),
    ("Busy", "busy"),
    ("Away", "away"),
    ("Lunch", "break"),
    ("Break", "break"),
    ("Training", "training"),
)
"""Presence statuses: label and category, in the order of their ids. Offline is having none."""

_GROUPS = ("Billing", "Support", "Europe", "Sales", "Claims", "Technical", "Retention", "Partners")
_FIRST = ("Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gia", "Hugo", "Ida", "Jon", "Kim", "Leo", "Mia", "Noa", "Ola")
_LAST = ("Abel", "Berg", "Cruz", "Dahl", "Egan", "Frey", "Gold", "Hale", "Ives", "Jung", "Kerr", "Lund", "Moss", "Nash")


class Group(msgspec.Struct, frozen=True):
    """A group of agents, and their queue."""

    id: str
    name: str
    zone: str
    sl_threshold: int = DEFAULT_SL_THRESHOLD
    short_abandon: int = DEFAULT_SHORT_ABANDON


class Agent(msgspec.Struct, frozen=True):
    """A user who works in a group; the shift is in minutes of the group's local day."""

    id: str
    name: str
    username: str
    group: Group
    starts: int
    ends: int
    capacity: int = 3


class World(msgspec.Struct, frozen=True):
    """Who and what there is."""

    groups: list[Group]
    agents: list[Agent]
    statuses: list[tuple[str, str, str, bool]]  # id, entity, api name, whether it means closed
    presences: dict[str, tuple[str, str]]  # id: label, category

    def presence(self, label: str) -> str:
        """Give the id of a presence status."""
        return next(each for each, (name, _) in self.presences.items() if name == label)

    def mapping(self) -> Mapping:
        """Give all of it as the rules ask for it."""
        people = {agent.id: agent.name for agent in self.agents}
        return Mapping(
            closed={(entity, name): closed for _, entity, name, closed in self.statuses},
            presence={each: category for each, (_, category) in self.presences.items()},
            default_group={agent.id: agent.group.id for agent in self.agents},
            zone={group.id: group.zone for group in self.groups},
            sl_threshold={group.id: group.sl_threshold for group in self.groups},
            short_abandon={group.id: group.short_abandon for group in self.groups},
            names=people | {group.id: group.name for group in self.groups},
        )

    def records(self) -> MappingType[tuple[str, str], dict[str, Value]]:
        """Give the mapping records as GETs answer them, by entity and id."""
        told: dict[tuple[str, str], dict[str, Value]] = {}
        for group in self.groups:
            told["Group", group.id] = {
                "Id": group.id,
                "Name": group.name,
                "TimeZone": group.zone,
                "ServiceLevelSeconds": group.sl_threshold // 1000,
                "ShortAbandonSeconds": group.short_abandon // 1000,
            }
        for agent in self.agents:
            told["User", agent.id] = {
                "Id": agent.id,
                "Name": agent.name,
                "Username": agent.username,
                "DefaultGroupId": agent.group.id,
                "TimeZone": agent.group.zone,
            }
        for id_, entity, name, closed in self.statuses:
            category = "closed" if closed else "open"
            told["Status", id_] = {
                "Id": id_,
                "Entity": entity,
                "ApiName": name,
                "Category": category,
                "IsClosed": closed,
            }
        for id_, (label, category) in self.presences.items():
            told["PresenceStatus", id_] = {"Id": id_, "Name": label, "ApiName": label, "Category": category}
        return told


def make(seed: int, groups: int = 3, agents: int = 25) -> World:
    """Make the world of a seed. The first groups and presence statuses have ids that fit the example in broker.yaml."""
    rng = random.Random(f"world {seed}")  # noqa: S311 - a simulation
    teams = [
        Group(
            ids.plain("Group", number + 1),
            _GROUPS[number] if number < len(_GROUPS) else f"Group {number + 1}",
            ZONES[number % len(ZONES)],
        )
        for number in range(groups)
    ]
    people: list[Agent] = []
    for number in range(agents):
        name = f"{rng.choice(_FIRST)} {rng.choice(_LAST)}"
        starts, ends = SHIFTS[number // groups % len(SHIFTS)]
        username = f"{name.lower().replace(' ', '.')}.{number + 1}@acme.example.com"
        people.append(Agent(ids.make("User", number + 1), name, username, teams[number % groups], starts, ends))
    listed = [(entity, name, closed) for entity, names in STATUSES.items() for name, closed in names.items()]
    return World(
        teams,
        people,
        [(ids.make("Status", number), *each) for number, each in enumerate(listed, 1)],
        {ids.plain("PresenceStatus", number): each for number, each in enumerate(PRESENCES, 1)},
    )


def moment(day: dt.date, zone: str, minutes: float) -> int:
    """Give the instant so many minutes after local midnight, as a clock on the wall shows them (milliseconds)."""
    whole = int(minutes)
    local = dt.datetime.combine(day, dt.time(), ZoneInfo(zone)) + dt.timedelta(minutes=whole)
    return int(local.timestamp() * 1000) + int((minutes - whole) * 60_000)


def busy_minute(rng: random.Random) -> float:
    """Draw the local minute at which a customer comes: two peaks, at 10:30 and 15:00, and a few at any open hour."""
    while True:
        which = rng.random()
        if which < 0.1:
            return rng.uniform(480, 1438)
        minute = rng.gauss(630, 75) if which < 0.58 else rng.gauss(900, 90)
        if 480 <= minute < 1200:
            return minute
