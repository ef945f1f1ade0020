"""What the stories of the HTTP side share."""

from collections.abc import Iterator

import pytest

from tests.conftest import CONFIG, Bridge

HASTY = CONFIG.replace(
    "http: {bind: 127.0.0.1:0}",
    "http: {bind: 127.0.0.1:0, body_timeout: 500ms, head_timeout: 500ms, max_connections: 200}",
)


@pytest.fixture(scope="session")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    """A bridge that has little patience with slow requests."""
    running = Bridge(tmp_path_factory.mktemp("hasty") / "data", HASTY).start()
    yield running
    assert running.stop() == 0
