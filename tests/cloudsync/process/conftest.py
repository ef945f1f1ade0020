import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.cloudsync.process.day import Day
from tests.cloudsync.process.feeds import Turn
from tests.conftest import Bridge

Make = Callable[..., Turn]


@pytest.fixture
def bridge_for(tmp_path: Path) -> Iterator[Make]:
    """Make a bridge for a day, in a directory of this name, with a CRM if one is given; at the end it is stopped."""
    made: list[Turn] = []

    def make(name: str, day: Day, crm: Mapping[str, object] | None = None) -> Turn:
        made.append(Turn(Bridge(tmp_path / name, day.config(crm))))
        return made[-1]

    yield make
    for turn in made:
        assert turn.bridge.stop() in {0, -signal.SIGKILL}
        assert "Traceback" not in turn.bridge.log(), turn.bridge.log()
