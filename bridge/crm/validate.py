"""Validate: the documents' last onboarding step, done by a program: everything between the key and the first GET.

It stops at the first failure and says which setting to change. It never tells the key, the assertion or the token.
"""

import datetime as dt
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import aclosing
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from bridge.crm import addresses, keypair
from bridge.crm.client import Client, opened
from bridge.crm.troubles import Trouble, named
from bridge.words.settings import Crm

WARN_SKEW = 30.0
MOST_SKEW = 120.0
"""Seconds by which the clocks may differ: an assertion lives 180, and may not lie more than 300 ahead."""

MAPPED = ("User", "Group", "Status", "PresenceStatus")

_NOBODY = {"User": "005000000000000AAA", "Group": "00G000000000000AAA", "PresenceStatus": "0N5000000000000AAA"}
_LOGINS = {addresses.PRODUCTION: "production", addresses.SANDBOX: "sandbox"}


class Finding(msgspec.Struct, frozen=True):
    """What one step found. `warning`: it works, and somebody should look at it."""

    step: str
    ok: bool
    said: str
    warning: bool = False


class Result(msgspec.Struct, frozen=True):
    """The file that can be shared: no credential is in it."""

    customer: str
    at: str
    success: bool
    token_endpoint: str
    audience: str
    findings: list[Finding]


async def findings(
    crm: Crm,
    folder: Path,
    entities: Collection[str],
    fields: Mapping[str, tuple[str, ...]],
    now: Callable[[], float],
) -> AsyncIterator[Finding]:
    """Try it step by step; the last finding is the first that is not ok."""
    step = "key"
    try:
        key = keypair.private_key(folder)
        yield Finding(step, True, f"{keypair.KEY}: RSA with {key.key_size} bits, readable by its owner only")
        step = "certificate"
        yield _certificate(folder, now())
        step = "endpoint"
        endpoint = _endpoint(crm)
        yield endpoint
        if not endpoint.ok:
            return
        async with opened(crm, key, now) as client:
            step = "network"
            network = await _network(client, crm)
            yield network
            if not network.ok:
                return
            step = "token"
            await client.token()
            yield Finding(step, True, "the CRM gave a token (status 200)")
            for entity in (*entities, *MAPPED):
                step = entity
                yield await _read(client, entity, fields[entity])
    except (Trouble, keypair.KeypairError) as trouble:
        yield Finding(step, False, str(trouble))


def _certificate(folder: Path, now: float) -> Finding:
    found = keypair.certificate(folder, dt.datetime.fromtimestamp(now, dt.UTC))
    said = f"{keypair.CERTIFICATE} fits the key; SHA-256 {found.fingerprint}; until {found.expires:%Y-%m-%d}"
    return Finding("certificate", True, f"{said}; {found.warning}".rstrip("; "), bool(found.warning))


def _endpoint(crm: Crm) -> Finding:
    """See that token endpoint, audience and `sandbox` agree."""
    where = addresses.of(crm)
    parts = urlsplit(where.token_endpoint)
    login = f"{parts.scheme}://{parts.netloc}"
    means = _LOGINS.get(login)
    if means is not None and (means == "sandbox") != crm.sandbox:
        return Finding(
            "endpoint", False, f"`token_endpoint` is the {means} endpoint, but `sandbox` is {str(crm.sandbox).lower()}"
        )
    if means is not None and where.audience.rstrip("/") != login:
        return Finding("endpoint", False, f"`audience` is not {login}, whose endpoint is asked: leave it out")
    said = f"{where.token_endpoint}, audience {where.audience}"
    odd = means is None and where.audience.rstrip("/") not in {login, *_LOGINS}
    if odd:
        said += "; `audience` is neither the endpoint's host nor a login host"
    return Finding("endpoint", True, said, odd)


async def _network(client: Client, crm: Crm) -> Finding:
    """See that the host answers, and that the clocks agree."""
    await client.knock()
    host = urlsplit(addresses.of(crm).token_endpoint).netloc
    if client.skew is None:
        return Finding("network", True, f"{host} answers; it does not tell the time", True)
    skew = client.skew
    ahead = f"{abs(skew):.0f} s {'behind' if skew > 0 else 'ahead of'} that of {host}"
    if abs(skew) >= MOST_SKEW:
        return Finding("network", False, f"this machine's clock is {ahead}: set it (NTP), or assertions are refused")
    if abs(skew) >= WARN_SKEW:
        return Finding("network", True, f"{host} answers; this machine's clock is {ahead}: set it (NTP)", True)
    return Finding("network", True, f"{host} answers; the clocks agree")


async def _read(client: Client, entity: str, fields: tuple[str, ...]) -> Finding:
    """GET one record of an entity: of what is mapped by id, the other way."""
    if entity in _NOBODY:
        await client.records(entity, [_NOBODY[entity]], fields)
        return Finding(entity, True, "can be read by id")
    query = f"SELECT {', '.join(fields)} FROM {entity} LIMIT 1"  # noqa: S608 - our own words
    async with aclosing(client.query(query)) as pages:
        async for page in pages:
            return Finding(entity, True, "can be read" if page else "can be read; there is none yet")
    raise named("unreadable")
