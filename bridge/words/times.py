"""Times: RFC 3339 in UTC with milliseconds and `Z`, the one spelling that leaves the bridge."""

from datetime import UTC, datetime
from functools import lru_cache

_MILLISECONDS = tuple(f".{milliseconds:03d}Z" for milliseconds in range(1000))


def stamp(seconds: float) -> str:
    """Spell seconds since the epoch as `2026-01-31T12:00:00.000Z`; milliseconds are cut, never rounded up."""
    whole, milliseconds = divmod(int(seconds * 1000), 1000)
    return _to_the_second(whole) + _MILLISECONDS[milliseconds]


@lru_cache(maxsize=4096)
def _to_the_second(seconds: int) -> str:
    # Every pop of a second, and of a second in which pops end, spells the same.
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
