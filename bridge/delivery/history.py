"""History: what is known of pops and agents afterwards, for those who may know."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bridge.broker.port import Broker
from bridge.cloud.licences import Seats
from bridge.delivery.delivery import Delivery
from bridge.delivery.lifecycle import Status
from bridge.delivery.story import why
from bridge.ledger.ledger import Ledger
from bridge.records.records import Records
from bridge.words import errors, times
from bridge.words.answers import AgentList, AgentTold, LicenceTold, PopList, PopTold, StepTold
from bridge.words.ledger import Pop, Unavailable
from bridge.words.principal import Principal, Role
from bridge.words.settings import Cloud

SEEN_WITHIN = 30 * 86_400.0
AGENT_POPS = 20


class History:
    """Reads the ledger, the records and presence."""

    def __init__(
        self, ledger: Ledger, delivery: Delivery, records: Records, seats: Seats, broker: Callable[[], Broker]
    ) -> None:
        self._ledger = ledger
        self._delivery = delivery
        self._records = records
        self._seats = seats
        self._broker = broker

    async def pops(
        self,
        customer: str,
        agent: str | None,
        status: str | None,
        since: float | None,
        limit: int,
        cursor: str | None,
    ) -> PopList:
        """List a customer's pops, newest first."""
        if status is not None and status not in set(Status):
            raise errors.invalid_parameter("status", f"must be one of {', '.join(Status)}")
        with _reading(), _turning():
            page = await self._ledger.pops(customer, agent, status, since, limit, cursor)
        return PopList(items=[_told(one) for one in page.items], next=page.next)

    async def pop(self, principal: Principal, popid: str) -> PopTold:
        """Show one pop to whoever may see it; to anybody else there is none."""
        return _told(await self._visible(principal, popid))

    async def recall(self, principal: Principal, popid: str) -> None:
        """Recall a pop; `too_late` once it is over."""
        found = await self._visible(principal, popid)
        live = self._delivery.live.get(popid)
        if live is None:
            if found.status == Status.RECALLED:
                return
            raise errors.too_late(found.status)
        await self._delivery.recall(live)

    async def agents(self, customer: str, limit: int, cursor: str | None) -> AgentList:
        """List the agents seen in the last 30 days."""
        with _reading():
            with _turning():
                page = await self._ledger.agents(customer, self._delivery.now() - SEEN_WITHIN, limit, cursor)
            items = [await self._agent(customer, seen.agent, seen.at) for seen in page.items]
        return AgentList(items=items, next=page.next)

    async def agent(self, customer: str, agent: str) -> AgentTold:
        """Show one agent."""
        with _reading():
            seen = await self._ledger.agent(customer, agent)
            if seen is None or seen.at < self._delivery.now() - SEEN_WITHIN:
                raise errors.not_found("No such agent was seen in the last 30 days")
            return await self._agent(customer, agent, seen.at)

    def licence(self, customer: str, cloud: Cloud) -> LicenceTold:
        """Show plugin and licence."""
        users = self._seats.users(customer, cloud.licence)
        return LicenceTold(
            plugin=cloud.enabled, kind=cloud.licence.kind, seats=cloud.licence.seats, used=len(users), users=users
        )

    async def _visible(self, principal: Principal, popid: str) -> Pop:
        with _reading():
            found = await self._ledger.pop(popid, principal.customer)
        foreign = found is None or (
            (principal.role is Role.KEY and found.key != principal.id)
            or (principal.role is Role.DESKTOP and found.agent != principal.agent)
        )
        if found is None or foreign:
            raise errors.not_found("There is no such pop")
        return found

    async def _agent(self, customer: str, agent: str, at: float) -> AgentTold:
        presence = self._broker().presence(customer, agent)
        desk = self._records.desk((customer, agent))
        page = await self._ledger.pops(customer, agent, limit=AGENT_POPS)
        return AgentTold(
            agentid=agent,
            online=presence is not None and presence.online,
            desktops=presence.desktops if presence is not None else 0,
            since=presence.since if presence is not None else times.stamp(at),
            current=desk.current,
            activities=desk.activities,
            pops=[one.popid for one in page.items],
        )


@contextmanager
def _reading() -> Iterator[None]:
    """Refuse while the ledger cannot be read."""
    try:
        yield
    except Unavailable:
        raise errors.overloaded("The ledger cannot be read for now") from None


@contextmanager
def _turning() -> Iterator[None]:
    """Refuse a cursor that is none."""
    try:
        yield
    except ValueError:
        raise errors.invalid_parameter("cursor", "is none that was given out") from None


def _told(found: Pop) -> PopTold:
    return PopTold(
        popid=found.popid,
        status=found.status,
        agentid=found.agent,
        event=found.event,
        campaign=found.campaign,
        reference=found.reference,
        topic=found.topic,
        sent=times.stamp(found.sent),
        expires=times.stamp(found.expires),
        steps=[StepTold(status=step.status, at=times.stamp(step.at), detail=step.detail) for step in found.steps],
        why=why(found.steps, found.topic),
    )
