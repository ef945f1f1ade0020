"""Checks: what the settings' types cannot say, reported where it is written."""

import re
import zoneinfo
from collections.abc import Callable, Sequence

import msgspec

from bridge.config import scalars
from bridge.config.problems import nearest, quoted
from bridge.config.sections import Reader, Where
from bridge.words import topics
from bridge.words.settings import CloudPaths, Cloudsync, Customer, Licence, Settings

ENTITIES = ("SupportTicket", "ChatSession", "VideoSession", "UserPresence")

_ID = re.compile(r"[^\x00-\x1f\x7f-\x9f\ufffe\uffff]{1,128}")
_RECORD_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")
_PATH = re.compile(r"(?:/[a-z0-9._~-]{1,60}){1,6}")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9_.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_DEFAULT_PORTS = re.compile(r"(?<=\Ahttp:)(.*):80\Z|(?<=\Ahttps:)(.*):443\Z")


def check(settings: Settings, reader: Reader) -> None:
    """Complain to the reader about all that is wrong across fields or in a value's form."""
    _check_paths(settings.cloud, reader)
    for name, customer in settings.customers.items():
        at: Where = ("customers", name)
        if not topics.CUSTOMER_ID.fullmatch(name):
            reader.complain(at, f"{quoted(name)} is not a CustomerID: 1 to 64 of A-Z a-z 0-9 _ . -", key=True)
        _check_customer(customer, reader, at)
        _check_licence(customer.cloud.licence, reader, (*at, "cloud", "licence"))
        _check_cloudsync(customer.cloudsync, reader, (*at, "cloudsync"))


def _check_paths(paths: CloudPaths, reader: Reader) -> None:
    for name in ("token_path", "pop_path"):
        path = getattr(paths, name)
        if not _PATH.fullmatch(path):
            reader.complain(("cloud", name), f"{quoted(path)} is not a path in lower case such as `/api/cloud/pop`")
    if paths.pop_path in {paths.token_path, f"{paths.token_path}/refresh"}:
        reader.complain(("cloud", "pop_path"), "it is the token's path, or its refresh")


def plain(settings: Settings) -> Settings:
    """Put a CRM instance that is written as a URL down as its host, which is all that counts of it."""
    customers = {
        name: msgspec.structs.replace(customer, crm=[scalars.host(entry) or entry for entry in customer.crm])
        for name, customer in settings.customers.items()
    }
    return msgspec.structs.replace(settings, customers=customers)


def _check_customer(customer: Customer, reader: Reader, at: Where) -> None:
    for index, entry in enumerate(customer.crm):
        if scalars.host(entry) is None:
            reader.complain((*at, "crm", index), f"{quoted(entry)} is neither a host name nor a URL with one")
    _check_distinct(customer.crm, reader, (*at, "crm"), lambda entry: (scalars.host(entry) or entry).lower())
    _check_ids(customer.cti, reader, (*at, "cti"))
    _check_distinct(customer.cti, reader, (*at, "cti"), str.lower)
    for index, event in enumerate(customer.events):
        if not event.strip():
            reader.complain((*at, "events", index), "an event must not be blank")
    _check_distinct(customer.events, reader, (*at, "events"), str)
    for index, origin in enumerate(customer.origins):
        _check_origin(origin, reader, (*at, "origins", index))
    for name in customer.cloud.campaigns:
        if not name.strip():
            reader.complain((*at, "cloud", "campaigns", name), "a campaign's name must not be blank", key=True)


def _check_licence(licence: Licence, reader: Reader, at: Where) -> None:
    _check_ids(licence.users, reader, (*at, "users"))
    _check_distinct(licence.users, reader, (*at, "users"), str)
    if (*at, "seats") in reader.wrong or (*at, "kind") in reader.wrong:
        return
    if licence.kind != "per_system" and licence.seats < 1:
        reader.complain((*at, "seats"), f"a {licence.kind} licence needs `seats` of at least 1")
    elif licence.kind == "named" and len(licence.users) > licence.seats:
        reader.complain((*at, "users"), f"{len(licence.users)} users are named, but there are {licence.seats} seats")


def _check_cloudsync(cloudsync: Cloudsync, reader: Reader, at: Where) -> None:
    _check_zone(cloudsync.zone, reader, (*at, "zone"))
    for name, group in cloudsync.groups.items():
        if group.zone is not None:
            _check_zone(group.zone, reader, (*at, "groups", name, "zone"))
    for key, ids in (("groups", list(cloudsync.groups)), ("presence", list(cloudsync.presence))):
        _check_record_ids(ids, reader, (*at, key))
    for entity in cloudsync.statuses:
        if entity not in ENTITIES:
            text = f"{quoted(entity)} is not an entity; {nearest(entity, ENTITIES)}"
            reader.complain((*at, "statuses", entity), text, key=True)


def _check_ids(ids: Sequence[str], reader: Reader, at: Where) -> None:
    for index, each in enumerate(ids):
        if not _ID.fullmatch(each) or not each.strip():
            reader.complain((*at, index), "an id has 1 to 128 characters, not all blank, no control characters")


def _check_distinct(entries: Sequence[str], reader: Reader, at: Where, same: Callable[[str], str]) -> None:
    first: dict[str, str] = {}
    for index, entry in enumerate(entries):
        key = same(entry)
        if key in first:
            before = first[key]
            also = "" if before == entry else f", as {quoted(before)}"
            reader.complain((*at, index), f"{quoted(entry)} stands twice in {at[-1]}{also}")
        else:
            first[key] = entry


def _check_record_ids(ids: Sequence[str], reader: Reader, at: Where) -> None:
    # A record's id has a short spelling of 15 characters; the long one only adds a checksum to it.
    first: dict[str, str] = {}
    for each in ids:
        if not _RECORD_ID.fullmatch(each):
            reader.complain((*at, each), f"{quoted(each)} is not a record id: 15 or 18 letters and digits", key=True)
        elif each[:15] in first:
            reader.complain((*at, each), f"{quoted(each)} names the same record as {first[each[:15]]}", key=True)
        else:
            first[each[:15]] = quoted(each)


def _check_zone(zone: str, reader: Reader, at: Where) -> None:
    if zone != "UTC" and zone not in zoneinfo.available_timezones():
        text = f"{quoted(zone)} is not a time zone; {nearest(zone, sorted(zoneinfo.available_timezones()))}"
        reader.complain(at, text)


def _check_origin(origin: str, reader: Reader, at: Where) -> None:
    if _ORIGIN.fullmatch(origin) and not _DEFAULT_PORTS.search(origin):
        return
    # Browsers send an origin in lower case, without path and without the scheme's own port.
    scheme, _, rest = origin.lower().partition("://")
    sent = _DEFAULT_PORTS.sub(r"\1\2", f"{scheme}://{rest.partition('/')[0]}")
    instead = f"; did you mean {quoted(sent)}?" if _ORIGIN.fullmatch(sent) else ""
    reader.complain(at, f"{quoted(origin)} is not an origin as browsers send it, SCHEME://HOST[:PORT]{instead}")
