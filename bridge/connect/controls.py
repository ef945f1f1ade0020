"""Controls: how the caller wants a trigger handled, from `pop_…` parameters and the headers that say the same."""

import re
from typing import Literal

from bridge.words import errors
from bridge.words.trigger import Controls

LONGEST_WAIT = 8.0
LONGEST_KEY = 256

_UNTIL: dict[str, Literal["shown", "delivered"]] = {"shown": "shown", "delivered": "delivered"}
_USUAL = Controls()
_NUMBER = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,6})?")
_PREFERENCE = re.compile(r"(?:\A|[,;])\s*wait\s*=\s*\"?([0-9]{1,64})\"?\s*(?=[,;]|\Z)", re.IGNORECASE)


def read(given: dict[str, str], preferred_wait: float | None = None, key: str | None = None) -> Controls:
    """Check the controls; a `pop_wait` wins over the Prefer header, two different keys are refused."""
    if not given and not preferred_wait and key is None:
        return _USUAL
    wait = preferred_wait or 0.0
    if "pop_wait" in given:
        wait = _number("pop_wait", given["pop_wait"], 0, LONGEST_WAIT)
    until = _UNTIL.get(given.get("pop_until", "shown"))
    if until is None:
        raise errors.invalid_parameter("pop_until", "must be `shown` or `delivered`")
    ttl = _number("pop_ttl", given["pop_ttl"], 1, 3600) if "pop_ttl" in given else None
    keys = {text for text in (given.get("pop_key"), key) if text is not None}
    if len(keys) > 1:
        raise errors.invalid_parameter("pop_key", "differs from the idempotency key in the header")
    chosen = keys.pop() if keys else None
    if chosen is not None and not (0 < len(chosen) <= LONGEST_KEY and chosen.strip() and chosen.isprintable()):
        raise errors.invalid_parameter("pop_key", f"must be 1 to {LONGEST_KEY} printable characters")
    return Controls(wait, until, ttl, chosen, _flag("pop_dryrun", given.get("pop_dryrun", "0")))


def preferred_wait(header: str) -> float | None:
    """Read `wait=N` out of a Prefer header (RFC 7240); over 8 counts as 8, malformed is None."""
    found = _PREFERENCE.search(header)
    return None if found is None else min(float(found[1]), LONGEST_WAIT)


def _number(name: str, text: str, low: float, high: float) -> float:
    if _NUMBER.fullmatch(text) is None or not low <= float(text) <= high:
        raise errors.invalid_parameter(name, f"must be a number of seconds from {low:g} to {high:g}")
    return float(text)


def _flag(name: str, text: str) -> bool:
    if text in {"1", "true"}:
        return True
    if text in {"0", "false"}:
        return False
    raise errors.invalid_parameter(name, "must be 1 or 0")
