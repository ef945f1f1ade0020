"""OpenAPI: `/openapi.json`, made from the answers' types, the error table and the configured paths."""

from collections.abc import Mapping

from bridge import __version__
from bridge.cloudsync.flow.quality import Quality
from bridge.connect import admission, controls
from bridge.delivery.funnel import MOST_HOURS
from bridge.delivery.lifecycle import Status
from bridge.delivery.triggers import DUPLICATE
from bridge.http import readers
from bridge.http.documents import examples
from bridge.http.documents.schemas import MOMENT, Schema, components, live, ref, rows
from bridge.http.doors import cloudsync
from bridge.words import answers, errors
from bridge.words.settings import CloudPaths
from bridge.words.trigger import Channel

_TYPES = (
    answers.Accepted,
    answers.Problem,
    answers.DesktopToken,
    answers.PopTold,
    answers.PopList,
    answers.AgentTold,
    answers.AgentList,
    answers.LicenceTold,
    answers.FunnelTold,
    answers.TokenAnswer,
    answers.CloudAnswer,
    cloudsync.EventsTold,
    Quality,
)
_TEXT: Schema = {"type": "string"}
_FILLED: Schema = {"type": "string", "pattern": r"\S"}
_ID: Schema = {
    "type": "string",
    "minLength": 1,
    "maxLength": admission.LONGEST_ID,
    # Not blank, and without what no topic may have.
    "pattern": r"^[^\x00-\x1F\x7F-\x9F\uFFFE\uFFFF]*[^\s\x00-\x1F\x7F-\x9F\uFFFE\uFFFF]"
    r"[^\x00-\x1F\x7F-\x9F\uFFFE\uFFFF]*$",
}
_BEARER: list[Schema] = [{"bearer": []}]
_BASIC: list[Schema] = [{"basic": []}]
_PUBLIC: list[Schema] = []
_KEY: list[Schema] = [{"jwt": []}, {"bearer": []}, {"apiKey": []}, {"basic": []}]

# What HTTP itself, the web page's origin, or a fault of ours may be answered with at any door.
_EVERYWHERE = frozenset({400, 403, 405, 414, 500})
# Of these, what no door answers.
_FROM_HTTP = frozenset({414, 500})
# The same for a body, which every door that takes one reads whole.
_BODY = frozenset({408, 413, 415})
_LEDGER = frozenset({401, 503})
_POPPING = _BODY | {401, 404, 409, 422, 429, 503}
_FEED = _LEDGER | {404}

_HEADERS: dict[str, dict[str, str]] = {
    "401": {"WWW-Authenticate": "Which credential to send"},
    "405": {"Allow": "The methods of this path"},
    "429": {"Retry-After": "Seconds to wait"},
}


def document(paths: CloudPaths) -> Schema:
    """Describe every HTTP door (OpenAPI 3.1) but the WebSocket, which `/asyncapi.json` describes."""
    schemas = components(_TYPES) | live() | rows()
    reached = [status.value for status in Status if status is not Status.ACCEPTED]
    schemas["Accepted"]["properties"]["status"] = {"enum": [*reached, DUPLICATE]}
    schemas["CloudResult"]["properties"]["Status"] = {"enum": [*reached, "error"]}
    schemas["PopTold"]["properties"]["status"] = schemas["StepTold"]["properties"]["status"] = {"enum": [*Status]}
    schemas["Problem"]["properties"]["code"] = {"enum": [*errors.TABLE]}
    described = {
        "openapi": "3.1.0",
        "info": {"title": "popbridge", "version": __version__, "description": _ABOUT},
        "paths": _trigger_paths() | _token_paths(paths) | _reading_paths() | _feed_paths() | _open_paths(),
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "basic": {"type": "http", "scheme": "basic"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "jwt": {"type": "apiKey", "in": "query", "name": "jwt"},
            },
        },
    }
    return examples.add(described, paths)


_ABOUT = (
    "One HTTP request pops the right screen on an agent's desktop, and tells the caller what became of it. "
    "Every refusal outside the Cloud API is a `Problem`; its `code` is one of: "
    + ", ".join(f"`{row.code}` ({row.status})" for row in errors.TABLE.values())
    + ". Paths match in any case, with or without a trailing slash. HEAD is answered where GET is; it triggers nothing."
)


def _trigger_paths() -> dict[str, Schema]:
    return {
        f"/api/sendmessage/{channel}": {
            "get": _trigger(channel, "get", [*_parameters(required=True), *_controls(), *_header_controls()]),
            "post": _trigger(channel, "post", [*_parameters(required=False), *_controls(), *_header_controls()])
            | {"requestBody": _trigger_body()},
        }
        for channel in (Channel.CTI, Channel.CRM)
    }


def _token_paths(paths: CloudPaths) -> dict[str, Schema]:
    refresh = _cloud("cloud_refresh", "Renew the tokens of the Cloud API", "TokenAnswer", _PUBLIC, _BODY | _LEDGER)
    pop = _cloud("cloud_pop", "Pop a campaign's workflow", "CloudAnswer", _BEARER, _POPPING)
    token = _BODY | {401, 429, 503}
    return {
        "/api/desktop/token": {
            "post": _operation(
                "desktop_token", "Get a desktop token by user name and password", "DesktopToken", _BASIC, token
            )
        },
        paths.token_path: {
            "get": _cloud("cloud_token", "Get tokens of the Cloud API", "TokenAnswer", _BASIC, token),
        },
        f"{paths.token_path}/refresh": {
            "post": refresh | {"requestBody": _json_body({"RefreshToken": _FILLED}, ["RefreshToken"])}
        },
        paths.pop_path: {
            "post": pop | {"parameters": [*_controls(), *_header_controls()], "requestBody": _cloud_body()}
        },
    }


def _reading_paths() -> dict[str, Schema]:
    agent = _query("agent", _TEXT)
    since = _query("since", MOMENT)
    status = _query("status", {"enum": [*Status]})
    part = [
        _query("limit", {"type": "integer", "minimum": 1, "maximum": readers.MOST_LISTED, "default": readers.LISTED}),
        _query("cursor", _TEXT),
    ]
    hours: Schema = {"type": "integer", "minimum": 1, "maximum": MOST_HOURS, "default": MOST_HOURS}
    one = _LEDGER | {404}
    return {
        "/api/pops": {
            "get": _operation("pops", "List pops, newest first", "PopList", _BEARER, _LEDGER)
            | {"parameters": [agent, status, since, *part]}
        },
        "/api/pops/{popid}": {
            "get": _operation("pop", "Read one pop, and why it did or did not appear", "PopTold", _BEARER, one),
            "delete": _operation("recall", "Recall a pop", "PopTold", _BEARER, one | {409}),
            "parameters": [_in_path("popid", {"type": "string", "pattern": "^[A-Za-z0-9_-]{16,40}$"})],
        },
        "/api/agents": {
            "get": _operation("agents", "List the agents seen in the last 30 days", "AgentList", _BEARER, _LEDGER)
            | {"parameters": part}
        },
        "/api/agents/{id}": {
            "get": _operation("agent", "Read one agent", "AgentTold", _BEARER, one),
            "parameters": [_in_path("id", _ID)],
        },
        "/api/licence": {
            "get": _operation("licence", "Read the Cloud API's licence", "LicenceTold", _BEARER, frozenset({401}))
        },
        "/api/funnel": {
            "get": _operation("funnel", "Read what became of the last pops", "FunnelTold", _BEARER, frozenset({401}))
            | {"parameters": [_query("hours", hours)]}
        },
    }


def _feed_paths() -> dict[str, Schema]:
    events = _operation(
        "cloudsync_events",
        "Take CloudSync's events; [] is a heartbeat",
        "EventsTold",
        _BEARER,
        _FEED | _BODY,
    )
    event: Schema = {"type": "object"}
    array = {"type": "array", "items": event, "maxItems": cloudsync.MOST_EVENTS}
    body = {"required": True, "content": {"application/json": {"schema": {"anyOf": [event, array]}}}}
    stt = [
        _query("from", MOMENT, required=True),
        _query("to", MOMENT, required=True),
        *(_query(name, _TEXT) for name in ("group", "channel", "priority", "tz")),
        _query("fill", {"enum": ["zero", "none"]}),
        _query("attribution", {"enum": ["event", "arrival"]}),
        _query("sl_mode", {"enum": ["negative", "ignore", "positive"]}),
        _query("changed_since", MOMENT),
    ]
    cim = [
        *(_query(name, {"type": "string", "format": "date"}) for name in ("date", "from", "to")),
        *(_query(name, _TEXT) for name in ("agent", "group", "channel")),
        _query("changed_since", MOMENT),
    ]
    restated = [
        _query("feed", {"enum": ["stt", "cim"]}),
        _query("since", MOMENT),
        _query(
            "limit",
            {"type": "integer", "minimum": 1, "maximum": readers.MOST_LISTED, "default": readers.LISTED},
        ),
        _query("cursor", _TEXT),
    ]
    stream = _operation("lsm_stream", "Follow the live floor (SSE)", "", _BEARER, _FEED)
    stream["responses"]["200"] = {
        "description": "Events `snapshot` (LiveSnapshotTold), `change` (LiveChangeTold) and `feed` (LiveFeedTold)",
        "content": {"text/event-stream": {"schema": _TEXT}},
    }
    last = {"name": "Last-Event-ID", "in": "header", "schema": {"type": "string", "pattern": "^[0-9]+$"}}
    return {
        "/api/cloudsync/events": {"post": events | {"requestBody": body}},
        "/api/stt": {"get": _numbers("stt", "Read quarter hours", "SttAnswer", stt)},
        "/api/cim": {"get": _numbers("cim", "Read the agents' days", "CimAnswer", cim)},
        "/api/dq": {"get": _operation("dq", "Read how good the data is", "Quality", _BEARER, _LEDGER)},
        "/api/restatements": {
            "get": _operation(
                "restatements",
                "List what changed after it was final",
                "RestatementList",
                _BEARER,
                _LEDGER,
            )
            | {"parameters": restated}
        },
        "/api/lsm": {"get": _operation("lsm", "Read the live floor", "LiveSnapshotTold", _BEARER, _FEED)},
        "/api/lsm/stream": {"get": stream | {"parameters": [last]}},
    }


def _numbers(name: str, summary: str, answer: str, parameters: list[Schema]) -> Schema:
    """Describe a door of rows, as JSON or CSV, that tells when they are as they were."""
    operation = _operation(name, summary, answer, _BEARER, _FEED)
    done = operation["responses"]["200"]
    done["content"]["text/csv"] = {"schema": _TEXT}
    done["headers"] = {"ETag": {"description": "Another one whenever the answer is another", "schema": _TEXT}}
    operation["responses"]["304"] = {"description": "As it was when If-None-Match was given"}
    return operation | {
        "parameters": [*parameters, {"name": "If-None-Match", "in": "header", "schema": _TEXT}],
    }


def _open_paths() -> dict[str, Schema]:
    alive = {"type": "object", "properties": {"success": {"enum": [True]}, "status": {"enum": ["alive"]}}}
    parts = {name: {"enum": ["ok"]} for name in ("broker", "delivery", "ledger", "cloudsync")}
    ready = {
        "type": "object",
        "properties": {"success": {"enum": [True]}, "status": {"enum": ["ready"]}, **parts},
        "required": ["success", "status", *parts],
    }
    described = {"type": "object", "required": ["info", "components"]}
    return {
        "/healthz": _plain("healthz", "See that the process answers", alive),
        "/readyz": _plain("readyz", "See that every part works", ready, frozenset({503})),
        "/metrics": _plain("metrics", "Read the metrics (Prometheus)", _TEXT, frozenset({401}), media="text/plain"),
        "/openapi.json": _plain("openapi", "Read this document", described),
        "/asyncapi.json": _plain("asyncapi", "Read the document of the MQTT topics", described),
    }


def _trigger(channel: str, method: str, parameters: list[Schema]) -> Schema:
    operation = _operation(f"{channel.lower()}_{method}", f"Pop by {channel}", "Accepted", _KEY, _POPPING)
    if method == "get":
        operation["responses"]["204"] = {"description": "A browser's prefetch: nothing was triggered"}
    operation["responses"]["200"]["headers"] = _repeatable()
    return operation | {"parameters": parameters}


def _cloud(name: str, summary: str, answer: str, security: list[Schema], refusals: frozenset[int]) -> Schema:
    """Describe a door whose refusals come in the vendor's envelope; those of HTTP itself come before any door."""
    operation = _operation(name, summary, answer, security, refusals)
    for status in (_EVERYWHERE | refusals) - _FROM_HTTP:
        schema = {"anyOf": [ref("CloudAnswer"), ref("Problem")]} if status == 400 else ref("CloudAnswer")
        operation["responses"][str(status)]["content"] = {"application/json": {"schema": schema}}
    if answer == "CloudAnswer":
        operation["responses"]["200"]["headers"] = _repeatable()
    return operation


def _plain(
    name: str, summary: str, schema: Schema, refusals: frozenset[int] = frozenset(), media: str = "application/json"
) -> Schema:
    operation = _operation(name, summary, "", _PUBLIC, refusals)
    operation["responses"]["200"] = {"description": "Done", "content": {media: {"schema": schema}}}
    return {"get": operation}


def _operation(name: str, summary: str, answer: str, security: list[Schema], refusals: frozenset[int]) -> Schema:
    done = {"description": "Done", "content": {"application/json": {"schema": ref(answer)}}}
    refused = {str(status): _refused(status) for status in sorted(_EVERYWHERE | refusals)}
    return {"operationId": name, "summary": summary, "security": security, "responses": {"200": done} | refused}


def _refused(status: int) -> Schema:
    titles = [row.title for row in errors.TABLE.values() if row.status == status]
    media = ("application/json", "application/problem+json")
    response: Schema = {
        "description": "; ".join(titles),
        "content": {each: {"schema": ref("Problem")} for each in media},
    }
    fields = _HEADERS.get(str(status))
    if fields:
        response["headers"] = {name: {"description": text, "schema": _TEXT} for name, text in fields.items()}
    return response


def _repeatable() -> Schema:
    fields = {
        "Preference-Applied": "The wait, where `Prefer` asked for it",
        "Idempotent-Replayed": "`true` where an idempotency key got its first answer again",
    }
    return {name: {"description": text, "schema": _TEXT} for name, text in fields.items()}


def _parameters(*, required: bool) -> list[Schema]:
    data = {
        "name": "data",
        "in": "query",
        "style": "form",
        "explode": True,
        "description": "Every other name is interaction data",
        "schema": {"type": "object", "additionalProperties": _TEXT},
    }
    return [
        _query("agentid", _ID, required=required),
        _query("event", _FILLED, required=required),
        _query("crmid", _FILLED),
        _query("ctiid", _ID),
        data,
    ]


def _query(name: str, schema: Schema, *, required: bool = False) -> Schema:
    return {"name": name, "in": "query", "required": required, "schema": schema}


def _in_path(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _controls() -> list[Schema]:
    return [
        _query("pop_wait", {"type": "number", "minimum": 0, "maximum": controls.LONGEST_WAIT}),
        _query("pop_until", {"enum": ["shown", "delivered"]}),
        _query("pop_ttl", {"type": "number", "minimum": 1, "maximum": 3600}),
        _query("pop_key", _key()),
        _query("pop_dryrun", {"enum": ["0", "1", "false", "true"]}),
    ]


def _key() -> Schema:
    return {"type": "string", "minLength": 1, "maxLength": controls.LONGEST_KEY, "pattern": r"^[!-~]+$"}


def _header_controls() -> list[Schema]:
    return [
        {"name": "Prefer", "in": "header", "schema": {"type": "string", "examples": ["wait=5"]}},
        {"name": "Idempotency-Key", "in": "header", "schema": _key()},
    ]


def _trigger_body() -> Schema:
    scalar = {"type": ["string", "number", "boolean"]}
    names = ("agentid", "event", "crmid", "ctiid", "jwt")
    schema = {"type": "object", "properties": dict.fromkeys(names, scalar), "additionalProperties": True}
    media = ("application/json", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain")
    return {"content": {name: {"schema": schema} for name in media}}


def _cloud_body() -> Schema:
    properties = {"Username": _ID, "Campaign": _ID, "Reference": _TEXT, "ScriptData": {"type": "object"}}
    return _json_body(properties, ["Username", "Campaign"])


def _json_body(properties: Mapping[str, Schema], required: list[str]) -> Schema:
    schema = {"type": "object", "properties": dict(properties), "required": required}
    return {"required": True, "content": {"application/json": {"schema": schema}}}
