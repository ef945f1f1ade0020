"""Admission: what a request says, held against the customer's catalogue, becomes a trigger."""

import re
from functools import lru_cache

from bridge.connect import mistakes
from bridge.connect.nearest import difference, nearest
from bridge.connect.reading import Reading
from bridge.words import errors, topics, warnings
from bridge.words.settings import Customer
from bridge.words.trigger import Channel, Controls, Trigger

LONGEST_ID = 128

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ufffe\uffff]")
_HOST = re.compile(r"(?:(?:[^/?#]*?:)?//)?(?:[^/?#]*@)?(\[[^\]/?#]*\]|[^/?#:\[\]]*)", re.DOTALL)


def admit(
    channel: Channel,
    customer: str,
    catalogue: Customer,
    reading: Reading,
    controls: Controls,
    traceparent: str | None = None,
) -> Trigger:
    """Check parameters, then the catalogue; raise the contract's refusal or return the trigger with its warnings."""
    given = reading.reserved
    to_crm = channel is Channel.CRM
    required = ("agentid", "event", "crmid") if to_crm and _needs_crmid(catalogue) else ("agentid", "event")
    for name in required:
        if name not in given:
            raise errors.missing_parameter(name)
    for name, value in given.items():
        if not value or value.isspace():
            raise errors.missing_parameter(name, "is empty")
        if name != "event":
            check_id(name, value)
    notes = reading.warnings + mistakes.notes(given, reading.data)
    agentid, event = given["agentid"], given["event"]
    crmid = _crmid(given.get("crmid"), catalogue)
    if crmid is None and to_crm and len(catalogue.crm) == 1:
        crmid = _listed_host(catalogue.crm[0])
    ctiid = _ctiid(given.get("ctiid"), catalogue, notes)
    _check_event(event, catalogue, notes)
    if to_crm:
        topic, ttl = topics.crm(customer, agentid, crmid), catalogue.ttl.crm
    else:
        topic, ttl = topics.cti(customer, agentid, ctiid), catalogue.ttl.cti
    return Trigger(
        channel=channel,
        customer=customer,
        agentid=agentid,
        event=event,
        crmid=crmid,
        ctiid=ctiid,
        topic=topic,
        ttl=ttl if controls.ttl is None else controls.ttl,
        data=reading.data,
        controls=controls,
        warnings=notes,
        traceparent=traceparent,
    )


def host_of(text: str) -> str:
    """Take the host out of a URL or a host name, in the spelling given."""
    found = _HOST.match(text.strip())
    return found[1] if found else ""


# The catalogue's own are few; a caller's are never kept.
_listed_host = lru_cache(maxsize=1_000)(host_of)


def _needs_crmid(catalogue: Customer) -> bool:
    return catalogue.require_crmid and len(catalogue.crm) != 1


def check_id(name: str, value: str) -> None:
    """Raise `invalid_parameter` for an id that is too long or has control characters."""
    if len(value) > LONGEST_ID and name != "crmid":
        raise errors.invalid_parameter(name, f"must have at most {LONGEST_ID} characters")
    if not value.isprintable() and _CONTROL.search(value):  # a control character is never printable
        raise errors.invalid_parameter(name, "must not contain control characters")


def _crmid(given: str | None, catalogue: Customer) -> str | None:
    if given is None:
        return None
    host = host_of(given).lower()
    if not host or len(host) > LONGEST_ID:
        raise errors.invalid_parameter("crmid", "must be a host name or a URL")
    if not catalogue.crm:
        return host
    known = {spelled.lower(): spelled for spelled in map(_listed_host, catalogue.crm)}
    if host not in known:
        raise errors.unknown_crmid(host, nearest(host, known.values()))
    return known[host]


def _ctiid(given: str | None, catalogue: Customer, notes: list[str]) -> str | None:
    if given is None:
        return None
    for known in catalogue.cti:
        if known.lower() == given.lower():
            return known
    notes.append(warnings.unknown_ctiid(catalogue.cti))
    return given.lower()


def _check_event(event: str, catalogue: Customer, notes: list[str]) -> None:
    if not catalogue.events or event in catalogue.events or catalogue.unknown_event == "pass":
        return
    meant = nearest(event, catalogue.events)
    hint = "" if meant is None else f"; the nearest is `{meant}`, which differs in {difference(event, meant)}"
    if catalogue.unknown_event == "reject":
        raise errors.unknown_event(event, hint)
    notes.append(warnings.unknown_event(hint))
