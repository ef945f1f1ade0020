"""Readers: who reads at a door, and what they ask for in the query. What is refused is raised as a `Fault`."""

from collections.abc import Mapping
from datetime import datetime

from aiohttp import web

from bridge.connect import forms
from bridge.gate import Gate
from bridge.http import credentials, headers, origins
from bridge.words import errors
from bridge.words.principal import Principal, Role
from bridge.words.settings import Customer

LISTED, MOST_LISTED = 50, 500

Asked = Mapping[str, str]


def verify(request: web.BaseRequest, gate: Gate, customers: Mapping[str, Customer], *roles: Role) -> Principal:
    """Verify the Bearer token, of one of these kinds; where another site's page asks, its customer lists that."""
    principal = gate.verify(credentials.of_reader(request), request.remote or "", *roles)
    origins.check(request, customers, customers[principal.customer])
    return principal


def asked(request: web.BaseRequest, names: set[str]) -> Asked:
    """Read the query: these names, each once or with the same value."""
    found: dict[str, str] = {}
    for name, value in forms.read_urlencoded(headers.query(request), "query"):
        if name not in names:
            known = ", ".join(sorted(names)) or "none"
            raise errors.invalid_parameter(name[:40], f"is unknown here; known are {known}")
        if found.setdefault(name, value) != value:
            raise errors.ambiguous_parameter([name])
    return found


def limit(given: Asked) -> int:
    """Read how many are to be listed."""
    return whole("limit", given.get("limit", str(LISTED)), MOST_LISTED)


def whole(name: str, text: str, most: int) -> int:
    """Read a number from 1 on."""
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= most):
        raise errors.invalid_parameter(name, f"must be a number from 1 to {most}")
    return int(text)


def moment(name: str, text: str) -> float:
    """Read an RFC 3339 time, in seconds since the epoch; one without a zone is refused."""
    try:
        # A `+` that came as a blank: the offset's sign, not written as %2B.
        found = datetime.fromisoformat(text.replace(" ", "+"))
        at = found.timestamp()
    except (ValueError, OverflowError):
        raise errors.invalid_parameter(name, "must be a time such as 2026-01-31T12:00:00Z") from None
    if found.tzinfo is None:
        raise errors.invalid_parameter(name, "must have a zone, such as Z")
    return at
