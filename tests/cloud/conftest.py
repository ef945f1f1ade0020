"""What the stories of the Cloud API share: one bridge with a customer of each kind of licence."""

from collections.abc import AsyncIterator, Iterator
from itertools import chain

import aiohttp
import pytest

from tests.cloud.office import AGENTS, CONFIG, PASSWORD, READERS, USERS, Office, add_user, issue_agents
from tests.conftest import Agent, Bridge, basic


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """A bridge with the Cloud API."""
    running = Bridge(tmp_path_factory.mktemp("cloud") / "data", CONFIG).start()
    yield running
    assert running.stop() == 0
    assert "Traceback" not in running.log(), running.log()


@pytest.fixture(scope="session")
def cloud_agents(cloud: Bridge) -> dict[str, Iterator[Agent]]:
    """Agents of each customer, each for one story."""
    return {customer: iter(issue_agents(cloud, customer, number)) for customer, number in AGENTS.items()}


@pytest.fixture(scope="session")
def storm_agents(cloud_agents: dict[str, Iterator[Agent]]) -> list[Agent]:
    """All agents of the customer whom a storm hits."""
    return list(cloud_agents["storm"])


@pytest.fixture(scope="session")
def racers(cloud: Bridge) -> list[Agent]:
    """Fifty agents of acme who compete for records."""
    ids = [f"racer-{each}" for each in range(50)]
    given = ("tokens", "issue", "--customer", "acme", "--role", "desktop", "--agents", "-")
    return [Agent(*both) for both in zip(ids, cloud.secret(*given, given="\n".join(ids)).split(), strict=True)]


@pytest.fixture(scope="session")
def cloud_users(cloud: Bridge) -> dict[str, str]:
    """A Cloud API user of each customer."""
    return {customer: add_user(cloud, f"user-of-{customer}", customer) for customer in USERS}


@pytest.fixture(scope="session")
def id_tokens() -> dict[str, str]:
    """Filled by the first story of a run: an IdToken of each customer's user, which lives for an hour."""
    return {}


@pytest.fixture
async def office(
    cloud: Bridge, cloud_agents: dict[str, Iterator[Agent]], cloud_users: dict[str, str], id_tokens: dict[str, str]
) -> AsyncIterator[Office]:
    """The Cloud API's caller."""
    async with aiohttp.ClientSession(cloud.http) as session:
        for customer, username in cloud_users.items():
            if customer in id_tokens:
                continue
            async with session.get(
                "/api/cloud/token", headers={"Authorization": basic(username, PASSWORD)}
            ) as response:
                assert response.status == 200
                id_tokens[customer] = (await response.json())["Result"]["IdToken"]
        yield Office(cloud, session, id_tokens, cloud_agents)


@pytest.fixture(scope="session")
def readers(cloud: Bridge) -> dict[str, str]:
    """An observer's token of some customers, and an administrator's of acme as `admin`."""
    tokens = {customer: cloud.token("observer", customer) for customer in READERS}
    return dict(chain(tokens.items(), [("admin", cloud.token("admin"))]))
