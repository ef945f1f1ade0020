"""Centre: a day of a simulated contact centre: its events as the platform sends them, and the ground truth."""

import datetime as dt
import random
from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

import msgspec

from bridge.cloudsync.simulator import book, spelling, world
from bridge.cloudsync.simulator.agenda import Agenda
from bridge.cloudsync.simulator.book import Book, Step, Truth
from bridge.cloudsync.simulator.contacts import Contacts
from bridge.cloudsync.simulator.mischief import PLAIN, Mischief, letters
from bridge.cloudsync.simulator.staff import Staff
from bridge.cloudsync.simulator.tickets import Tickets
from bridge.words.cloudsync import Mapping

_RECORDS_A_DAY = 10_000_000


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How large the centre is, a day. 25 times the default gives half a million events."""

    groups: int = 3
    agents: int = 25
    tickets: int = 600
    sessions: int = 1_500


DEFAULT = Size()


class Event(NamedTuple):
    """What is sent: when (milliseconds), on which topic behind `CLOUDSYNC/<CustomerID>/`, and the payload."""

    at: int
    channel: str
    payload: bytes


class Centre:
    """A day. The same seed, day and size give the same truth; the same mischief too, the same events.

    People come and tickets are created on the local `day` of their group; what becomes of them may come later.
    """

    def __init__(self, seed: int, day: dt.date, size: Size = DEFAULT) -> None:
        self.seed = seed
        self.day = day
        self.size = size
        self.world = world.make(seed, size.groups, size.agents)

    @cached_property
    def steps(self) -> list[Step]:
        """All that happens, in true order."""
        rng = random.Random(f"centre {self.seed} {self.day}")  # noqa: S311 - a simulation
        told = Book(self.day.toordinal() % 10_000_000 * _RECORDS_A_DAY)
        agenda = Agenda()
        staff = Staff(self.world, self.day, agenda, told, rng)
        Contacts(self.world, staff, agenda, told, rng).plan(self.day, self.size.sessions)
        agenda.run()
        Tickets(self.world, self.day, told, rng).plan(self.size.tickets)
        return told.in_order()

    @property
    def mapping(self) -> Mapping:
        """Give what the processor knows once everything is mapped."""
        return self.world.mapping()

    def truth(self) -> Iterator[Truth]:
        """Give every record with its whole history."""
        return book.truth(self.steps)

    def events(self, mischief: Mischief = PLAIN) -> Iterator[Event]:
        """Give the day's events in the order in which they are sent."""
        for at, letter in letters(self.steps, mischief, self.seed):
            yield Event(at, spelling.channel(letter), spelling.payload(letter))
