"""Times: RFC 3339 in UTC with milliseconds and `Z`, the one spelling that leaves the bridge."""

from datetime import UTC, datetime


def stamp(seconds: float) -> str:
    """Spell seconds since the epoch as `2026-01-31T12:00:00.000Z`; milliseconds are cut, never rounded up."""
    milliseconds = int(seconds * 1000)
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"
