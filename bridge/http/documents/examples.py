"""Examples: for each door a request that may be sent as it is, for each refusal one that provokes it, and messages.

They stand in the documents, so that tools have them, and `/docs` sends them. None of them pops: a trigger is a dry run.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from bridge.http.documents.schemas import Schema
from bridge.words import errors
from bridge.words.settings import CloudPaths

_CTI = "/api/sendmessage/CTI"
_TRIGGER = {"agentid": "1001", "event": "On Ring", "caller": "+15551234567", "pop_dryrun": 1}
_DATA = {"caller": "+15551234567"}
_CLOUD = {
    "Username": "1001",
    "Campaign": "Inbound Support",
    "Reference": "case 4711",
    "ScriptData": {"Contact Name": "Ada Example", "var_ContactReason": "invoice"},
}
_HOURS = {"from": "2026-01-31T10:00:00Z", "to": "2026-01-31T11:00:00Z", "group": "*"}
_DRY: dict[str, object] = {"agentid": "1001", "event": "On Ring", "pop_dryrun": "1"}

_PARAMETERS: Mapping[str, Mapping[str, object]] = {
    "cti_get": _DRY | {"data": _DATA},
    "crm_get": _DRY | {"crmid": "acme.example.com", "data": _DATA},
    "cloud_pop": {"pop_dryrun": "1"},
    "pops": {"limit": 5},
    "agents": {"limit": 5},
    "funnel": {"hours": 1},
    "agent": {"id": "1001"},
    "stt": _HOURS,
    "cim": {"date": "2026-01-31", "agent": "*", "group": "*"},
    "restatements": {"limit": 5},
}
_BODIES: Mapping[str, object] = {
    "cti_post": _TRIGGER,
    "crm_post": {"agentid": "1001", "event": "On Ring", "crmid": "acme.example.com", "pop_dryrun": 1},
    "cloud_pop": _CLOUD,
    "cloud_refresh": {"RefreshToken": "{RefreshToken}"},
    "cloudsync_events": [],
}
# Which credential a door takes, where its security scheme does not say it.
_CREDENTIALS = {
    "recall": "admin",
    "cloudsync_events": "feed",
    "cloud_pop": "id_token",
    "cloud_token": "cloud_user",
    "desktop_token": "person",
}
_SCHEMES = {"jwt": "key", "bearer": "observer", "basic": "person"}
_JSON = "application/json"
_DRY_GET = f"{_CTI}?agentid=1001&event=On%20Ring&pop_dryrun=1"


class _Provoked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request that is refused so. `{fill}` stands for `fill` letters; `needs` is what the customer must have."""

    method: str = "GET"
    path: str
    headers: dict[str, str] = {}
    body: str = ""
    credential: str = "none"
    fill: int = 0
    needs: str = ""


def _provoked(paths: CloudPaths) -> dict[str, _Provoked]:
    return {
        "malformed_body": _post('{"agentid": "1001",\n "event": "On Ring" "a": 1}'),
        "missing_parameter": _Provoked(path=f"{_CTI}?agentid=1001&pop_dryrun=1", credential="key"),
        "ambiguous_parameter": _Provoked(path=f"{_DRY_GET}&agentid=1002", credential="key"),
        "invalid_parameter": _Provoked(path=f"{_DRY_GET}&pop_wait=9", credential="key"),
        "missing_key": _Provoked(path=_DRY_GET),
        "invalid_key": _Provoked(path=_DRY_GET, headers={"X-API-Key": "none"}),
        "invalid_credentials": _Provoked(
            method="POST",
            path=paths.pop_path,
            headers={"Content-Type": _JSON, "Authorization": "Bearer none"},
            body='{"Username": "1001", "Campaign": "Inbound Support"}',
        ),
        "forbidden": _Provoked(path="/api/pops", credential="bearer_key"),
        "not_found": _Provoked(path="/api/nothing"),
        "unknown_crmid": _Provoked(
            path=f"{_DRY_GET}&crmid=nobody.example.org", credential="key", needs="`crm` lists CRM instances"
        ),
        "unknown_event": _Provoked(
            path=f"{_CTI}?agentid=1001&event=on%20ring&pop_dryrun=1",
            credential="key",
            needs="`unknown_event: reject`, and `events` lists others",
        ),
        "feed_disabled": _Provoked(
            path="/api/lsm", credential="observer", needs="`cloudsync.feeds` does not list `lsm`"
        ),
        "method_not_allowed": _Provoked(method="PUT", path="/healthz"),
        "payload_too_large": _post('{"agentid": "1001", "event": "On Ring", "text": "{fill}"}', fill=270_000),
        "uri_too_long": _Provoked(path=f"{_CTI}?text={{fill}}", fill=263_000),
        "unsupported_encoding": _post("{}", headers={"Content-Type": _JSON, "Content-Encoding": "gzip"}),
        "unsupported_media_type": _post("none", headers={"Content-Type": "image/png"}),
        "rate_limited": _Provoked(
            path=_DRY_GET, credential="key", needs="`rate_limit: 1`, and the request is sent twice in a second"
        ),
    }


def _post(body: str, headers: dict[str, str] | None = None, fill: int = 0) -> _Provoked:
    fields = {"Content-Type": _JSON} if headers is None else headers
    return _Provoked(method="POST", path=_CTI, credential="key", headers=fields, body=body, fill=fill)


# What no single request can provoke, and how it comes about.
_HAPPENS = {
    "idempotency_in_flight": "Two requests carry the same idempotency key, and the second comes before the first, "
    "which waits with `pop_wait`, is answered.",
    "too_late": "DELETE `/api/pops/{popid}` of a pop that was shown or refused, or has expired.",
    "idempotency_mismatch": "Two requests carry the same idempotency key within 24 hours and say different things.",
    "request_timeout": "A client announces a body and does not send all of it within 10 s; no browser does that.",
    "internal_error": "A fault of the bridge; the log has its traceback.",
    "overloaded": "A bound is reached, a part of the bridge is not ready (`/readyz` names it), or the disk is full.",
}

MESSAGES: Mapping[str, dict[str, Any]] = {
    "Pop": {
        "popid": "-OkQLm20l4XyVh9dZ0pT3k",
        "event": "On Ring",
        "agentid": "1001",
        "sent": "2026-01-31T12:00:00.000Z",
        "expires": "2026-01-31T12:00:30.000Z",
        "ack": "ACK/acme/1001",
        "data": _DATA,
    },
    "Told": {"popid": "-OkQLm20l4XyVh9dZ0pT3k", "outcome": "shown"},
    "Moved": {"record": "case 4711", "state": "closed"},
    "Gone": {"desktop": "desktop-1", "state": "gone"},
    "Recall": {"recall": "-OkQLm20l4XyVh9dZ0pT3k"},
    "Refused": {"refused": "case 4711", "reason": "record_locked"},
    "Records": {"current": "case 4711", "activities": ["case 815"]},
    "Presence": {"agentid": "1001", "online": True, "desktops": 1, "since": "2026-01-31T12:00:00.000Z"},
    "LiveChangeTold": {
        "seq": 1769860800000001,
        "as_of": "2026-01-31T12:00:00.000Z",
        "kind": "sessions",
        "id": "570000000000001AAA",
        "item": None,
    },
    "Event": {
        "event": {"replayId": 6},
        "payload": {
            "ChangeEventHeader": {
                "entityName": "SupportTicket",
                "recordIds": ["500000000000815"],
                "changeType": "CREATE",
                "commitTimestamp": "2026-01-31T12:00:00Z",
            },
            "Status": "New",
        },
    },
    "FeedState": {"state": "up", "at": "2026-01-31T12:00:00Z"},
}
"""One message of each kind that goes over a topic."""


def add(document: Schema, paths: CloudPaths) -> Schema:
    """Give each door its example and its credential (`x-credential`), and the document the errors (`x-errors`)."""
    for item in document["paths"].values():
        for method in item.keys() - {"parameters"}:
            operation = item[method]
            name = operation["operationId"]
            operation["x-credential"] = _CREDENTIALS.get(name) or _by_scheme(operation["security"])
            given = _PARAMETERS.get(name, {})
            for holder in (item, operation):
                if "parameters" in holder:
                    holder["parameters"] = [_with_example(one, given) for one in holder["parameters"]]
            if name in _BODIES:
                operation["requestBody"]["content"][_JSON]["example"] = _BODIES[name]
    return document | {"x-errors": _table(paths)}


def _with_example(parameter: Schema, given: Mapping[str, object]) -> Schema:
    name = parameter["name"]
    return parameter | {"example": given[name]} if name in given else parameter


def _by_scheme(security: list[Schema]) -> str:
    return _SCHEMES[next(iter(security[0]))] if security else "none"


def _table(paths: CloudPaths) -> list[Schema]:
    provoked = _provoked(paths)
    return [
        msgspec.structs.asdict(row)
        | (
            {"example": msgspec.to_builtins(provoked[row.code])}
            if row.code in provoked
            else {"happens": _HAPPENS[row.code]}
        )
        for row in errors.TABLE.values()
    ]
