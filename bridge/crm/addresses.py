"""Addresses: where tokens and records are asked for, and what the assertion's audience is."""

import ipaddress
import string
from urllib.parse import quote, urlsplit

import msgspec

from bridge.crm.troubles import named
from bridge.words.settings import Crm

PRODUCTION = "https://login.cloudsync.com"
SANDBOX = "https://test.cloudsync.com"
TOKEN_PATH = "/services/oauth2/token"  # noqa: S105 - a path


class Addresses(msgspec.Struct, frozen=True):
    """Where to ask."""

    token_endpoint: str
    audience: str


def of(crm: Crm) -> Addresses:
    """Find them from the settings. Raises Trouble where one is neither HTTPS nor on this machine."""
    endpoint = crm.token_endpoint or (SANDBOX if crm.sandbox else PRODUCTION) + TOKEN_PATH
    checked(endpoint)
    if crm.instance is not None:
        checked(crm.instance)
    parts = urlsplit(endpoint)
    return Addresses(endpoint, crm.audience or f"{parts.scheme}://{parts.netloc}")


def checked(url: str) -> str:
    """Give back an address to which a credential may be sent: HTTPS, or HTTP on this machine, with no user in it."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise named("insecure") from None
    if not host or "@" in parts.netloc or not (parts.scheme == "https" or (parts.scheme == "http" and _here(host))):
        raise named("insecure")
    return url


def records_path(crm: Crm, entity: str, ids: list[str], fields: tuple[str, ...]) -> str:
    """Fill the template that asks for records by id; one with `{id}` takes one at a time."""
    values = {"entity": entity, "ids": ",".join(ids), "id": ids[0], "fields": ",".join(fields)}
    return _filled(crm.records_path, values, {"id", "ids"})


def query_path(crm: Crm, query: str) -> str:
    """Fill the template of queries."""
    return _filled(crm.query_path, {"query": query}, {"query"})


def one_at_a_time(crm: Crm) -> bool:
    """Whether a GET can ask for one record only."""
    return "{ids}" not in crm.records_path


def _filled(template: str, values: dict[str, str], wanted: set[str]) -> str:
    try:
        names = {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
    except ValueError:
        raise named("bad_path") from None
    if not template.startswith("/") or template.startswith("//") or not names & wanted or not names <= set(values):
        raise named("bad_path")
    filled = template
    for name in names:
        filled = filled.replace(f"{{{name}}}", quote(values[name], safe=","))
    return filled


def _here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
