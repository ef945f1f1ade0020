"""`kill -9` at random moments under load breaks no promise. `python -m tests.faults.kill` does it a hundred times."""

import time
from pathlib import Path
from random import Random

import pytest

from tests.faults.kill import IN_FLIGHT, run

KILLS = 5


@pytest.mark.timeout(300)
async def test_every_answered_pop_is_seen_once_or_expires_over_five_deaths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of our own client's patience with a bridge that dies again and again, a part is enough here.
    monkeypatch.setattr("agent_client.desktop.LONGEST_WAIT", 3.0)
    seed = time.time_ns()
    account = await run(tmp_path, KILLS, Random(seed))  # noqa: S311 - moments, no secrets
    told = f"seed {seed}: {account}"
    assert len(account.in_flight) == KILLS, told
    assert min(account.in_flight) >= IN_FLIGHT, told
    assert account.shown >= IN_FLIGHT, told
    assert set(account.answers) <= {200, 409, 503}, told
    assert account.lost == {}, told
    assert account.doubled == [], told
    assert account.unknown == [], told
    assert not account.understated, told
    assert not account.taken_back, told
