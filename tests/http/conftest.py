"""What the stories of the HTTP side share."""

from collections.abc import Iterator

import pytest

from tests.conftest import CONFIG, Bridge

HASTY = CONFIG.replace("http: {bind: 127.0.0.1:0}", "http: {bind: 127.0.0.1:0, body_timeout: 1s, head_timeout: 2s}")
NARROW = CONFIG.replace(
    "http: {bind: 127.0.0.1:0}",
    "http: {bind: 127.0.0.1:0, max_connections: 200}\ndelivery: {max_open: 8, max_open_per_agent: 3}",
)


@pytest.fixture(scope="session")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """A bridge that has little patience with slow requests."""
    running = Bridge(tmp_path_factory.mktemp("hasty") / "data", HASTY).start()
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="session")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """A bridge that has room for few connections and few open pops, and patience."""
    running = Bridge(tmp_path_factory.mktemp("narrow") / "data", NARROW).start()
    yield running
    assert running.stop() == 0
