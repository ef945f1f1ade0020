"""Simulated: the CloudSync that the demo has beside it: a contact centre whose events come in as time goes by."""

import asyncio
import datetime as dt
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from bridge.cloudsync.simulator import runner, senders, world
from bridge.cloudsync.simulator.centre import DEFAULT
from bridge.cloudsync.simulator.endpoints import TOKEN_PATH, App, Endpoints
from bridge.cloudsync.simulator.shelf import Shelf
from bridge.crm import keypair
from bridge.service import Service
from bridge.words.ledger import Unavailable
from bridge.words.settings import Crm, Settings

SEED = 1

_TRIED_AGAIN_AFTER = 1.0

log = logging.getLogger("popbridge.simulated")


@asynccontextmanager
async def running(service: Service, data: Path, customer: str, *, since: dt.date) -> AsyncIterator[None]:
    """Play the centre from a day on, for ever, and answer what the bridge asks it. Nothing leaves this machine."""
    if not (data / keypair.KEY).exists():
        await asyncio.to_thread(keypair.make, data, customer, dt.datetime.now(dt.UTC))
    shelf = Shelf(world.make(SEED, DEFAULT.groups, DEFAULT.agents))
    app = App(certificate=data / keypair.CERTIFICATE)
    async with Endpoints(app, shelf).running() as endpoints, asyncio.TaskGroup() as group:
        crm = Crm(
            consumer_key=app.consumer_key,
            user_id=app.user_id,
            audience=app.audience,
            token_endpoint=f"{endpoints.url}{TOKEN_PATH}",
        )
        service.amend(lambda settings: _asking(settings, customer, crm))
        playing = group.create_task(_play(service, customer, shelf, since), name="simulated CloudSync")
        try:
            yield
        finally:
            playing.cancel()


async def _play(service: Service, customer: str, shelf: Shelf, since: dt.date) -> None:
    async def accept(events: Sequence[bytes]) -> None:
        while True:
            try:
                await service.feeds.cloudsync.accept(customer, events)
            except Unavailable as unavailable:
                log.warning("the simulated events wait: %s", unavailable)
                await asyncio.sleep(_TRIED_AGAIN_AFTER)
            else:
                return

    plan = runner.Plan(seed=SEED, first=since, days=0)
    async with senders.by_call(accept) as send:
        await runner.play(plan, send, shelf=shelf)


def _asking(settings: Settings, customer: str, crm: Crm) -> Settings:
    """Let the customer's ids be asked for at the simulated CRM."""
    replace = msgspec.structs.replace
    known = settings.customers.get(customer)
    if known is None:
        return settings
    asking = replace(known, cloudsync=replace(known.cloudsync, crm=crm))
    return replace(settings, customers=settings.customers | {customer: asking})
