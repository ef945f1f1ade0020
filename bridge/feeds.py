"""Feeds: the wiring of CloudSync: the flow, the mapping that asks the CRMs, and the live floor."""

import os
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from bridge.broker.port import Broker, Listener, Ticket
from bridge.cloudsync.floor.live import Live
from bridge.cloudsync.floor.today import TodayFromStt
from bridge.cloudsync.flow.apart.supervisor import Apart
from bridge.cloudsync.flow.cloudsync import Cloudsync, Process
from bridge.cloudsync.flow.processor import Processor
from bridge.cloudsync.mapping.directory import Directory
from bridge.words.principal import Principal, Role
from bridge.words.settings import Customer

PROCESS: Process = Apart if os.name == "posix" else Processor
"""Events are processed in a process of their own; elsewhere, where asyncio reads no pipes, in the bridge's."""


class Feeds:
    """Everything of CloudSync that a running bridge has."""

    def __init__(
        self,
        cloudsync: Cloudsync,
        data: Path,
        customers: Callable[[], Mapping[str, Customer]],
        broker: Callable[[], Broker],
    ) -> None:
        self.cloudsync = cloudsync
        self.directory = Directory(data, customers, cloudsync.now)
        self.directory.took = cloudsync.fetched
        self.directory.known = cloudsync.known
        mapping = self.directory.mapping
        self.floor = Live(
            broker,
            cloudsync,
            mapping,
            TodayFromStt(cloudsync.stt, mapping, customers, cloudsync.now),
            customers,
            cloudsync.now,
        )
        self.floor.stale_found = self.directory.records_wanted
        cloudsync.set_mapping(mapping)
        cloudsync.unmapped = lambda customer: self.directory.standing(customer).unmapped
        cloudsync.hooks.on_folded = self.floor.take
        cloudsync.hooks.ids_wanted = self.directory.ids_wanted
        cloudsync.hooks.records_wanted = self.directory.records_wanted
        cloudsync.hooks.mapping_changed = self.directory.mapping_changed


class Ears:
    """The broker's listener: a feed's messages are CloudSync's, everything else is delivery's."""

    def __init__(self, delivery: Listener, cloudsync: Cloudsync) -> None:
        self._delivery = delivery
        self._cloudsync = cloudsync

    def listening(self, principal: Principal, filters: Collection[str]) -> None:
        """See `Listener`."""
        self._delivery.listening(principal, filters)

    def arrived(self, principal: Principal, topic: str, payload: bytes, ticket: Ticket) -> bool:
        """See `Listener`."""
        if principal.role is Role.FEED:
            return self._cloudsync.arrived(principal, topic, payload, ticket)
        return self._delivery.arrived(principal, topic, payload, ticket)

    def left(self, principal: Principal, remaining: int) -> None:
        """See `Listener`."""
        self._delivery.left(principal, remaining)
