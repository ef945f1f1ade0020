import datetime as dt
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from bridge.cloudsync.simulator import world
from bridge.cloudsync.simulator.centre import Centre, Size
from bridge.cloudsync.simulator.endpoints import TOKEN_PATH, App, Endpoints
from bridge.cloudsync.simulator.shelf import Shelf
from bridge.crm import keypair
from bridge.crm.client import Client, opened
from bridge.words.settings import Crm

SMALL = Size(agents=8, tickets=40, sessions=80)


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("keys")
    keypair.make(made, "acme", dt.datetime.now(dt.UTC))
    return made


@pytest.fixture(scope="session")
def centre() -> Centre:
    return Centre(5, dt.date(2026, 6, 1), SMALL)


@pytest.fixture
async def crm(folder: Path, centre: Centre) -> AsyncIterator[Endpoints]:
    """A CRM that knows the certificate, and has the records of a small day."""
    app = App(certificate=folder / keypair.CERTIFICATE)
    shelf = Shelf(world.make(5, SMALL.groups, SMALL.agents), centre.steps)
    async with Endpoints(app, shelf).running() as endpoints:
        yield endpoints


Settings = Callable[..., Crm]


@pytest.fixture
def settings(crm: Endpoints) -> Settings:
    """Settings that fit the CRM."""

    def of(**other: object) -> Crm:
        return Crm(
            **{  # type: ignore[arg-type]
                "consumer_key": crm.app.consumer_key,
                "user_id": crm.app.user_id,
                "token_endpoint": f"{crm.url}{TOKEN_PATH}",
                "audience": crm.app.audience,
                **other,
            }
        )

    return of


@pytest.fixture
async def client(settings: Settings, folder: Path) -> AsyncIterator[Client]:
    async with opened(settings(), keypair.private_key(folder), time.time) as one:
        yield one
