"""Schemas: the house's types as JSON Schema, for the documents that describe the doors and the topics."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from bridge.cloudsync.floor.told import ChangeTold, FeedTold, SnapshotTold
from bridge.cloudsync.numbers.cim import CimRow
from bridge.cloudsync.numbers.stt import SttRow

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
MOMENT: Schema = {"type": "string", "format": "date-time"}

_COMPONENTS = "#/components/schemas/"
_NULL = {"type": "null"}


def ref(name: str) -> Schema:
    """Point to one of the components."""
    return {"$ref": f"{_COMPONENTS}{name}"}


def components(types: Iterable[type[msgspec.Struct]], prefix: str = "", *, nullable: bool = False) -> dict[str, Schema]:
    """Describe types, and those inside them, by name; `prefix` keeps apart what is called alike.

    What does not apply is absent, and no member is ever null; unless `nullable`: what may be None is null then.
    """
    _, schemas = msgspec.json.schema_components(types, ref_template=f"{_COMPONENTS}{prefix}{{name}}")
    return {f"{prefix}{name}": _plain(schema, nullable=nullable) for name, schema in schemas.items()}


def live() -> dict[str, Schema]:
    """Describe the live floor: the whole of it, a change, and how far it can be trusted."""
    told = components((SnapshotTold, FeedTold), "Live", nullable=True)
    whole = told["LiveSnapshotTold"]["properties"]
    items = [inner["items"] for inner in whole.values() if "items" in inner]
    # A union of untagged types, which msgspec cannot describe.
    change: dict[str, Schema] = {
        "seq": whole["seq"],
        "as_of": whole["as_of"],
        "kind": {"enum": ["sessions", "queues", "agents"]},
        "id": TEXT,
        "item": {"anyOf": [*items, _NULL]},
    }
    about = inspect.getdoc(ChangeTold)
    described = {"description": about, "type": "object", "properties": change, "required": [*change]}
    return told | {"LiveChangeTold": described}


def rows() -> dict[str, Schema]:
    """Describe rows, which are spelled without a type: their numbers, between what they are of and their marks."""
    named: Schema = {"type": ["string", "null"]}
    marks: dict[str, Schema] = {
        "revision": {"type": "integer", "minimum": 1},
        "status": {"enum": ["open", "provisional", "final", "restated"]},
        "complete": {"type": "boolean"},
        "coverage_s": {"type": "integer", "minimum": 0},
        "computed_at": MOMENT,
    }
    interval = dict.fromkeys(("interval_start", "interval_end", "local_start"), MOMENT)
    stt = interval | {"group": TEXT, "group_name": named, "channel": TEXT, "priority": TEXT}
    cim = {"date": TEXT, "agent": TEXT, "agent_name": named, "group": TEXT, "group_name": named, "channel": TEXT}
    changes = {"type": "object", "additionalProperties": {"type": "array", "minItems": 2, "maxItems": 2}}
    restated = {
        "description": "A row that changed after it was final: each number as it was, and as it is.",
        "type": "object",
        "properties": {
            "feed": {"enum": ["stt", "cim"]},
            "at": MOMENT,
            **dict.fromkeys(("interval_start", "date", "agent", "group", "channel", "priority"), TEXT),
            "revision": {"type": "integer", "minimum": 2},
            "changes": changes,
        },
        "required": ["feed", "at", "group", "channel", "revision", "changes"],
    }
    return {
        "SttRow": _row(SttRow, stt, marks),
        "CimRow": _row(CimRow, cim, marks),
        "SttAnswer": _list_of("SttRow", "rows", {"as_of": MOMENT}, ["as_of"]),
        "CimAnswer": _list_of("CimRow", "rows", {"as_of": MOMENT}, ["as_of"]),
        "Restatement": restated,
        "RestatementList": _list_of("Restatement", "items", {"next": TEXT}, []),
    }


def _list_of(name: str, member: str, more: dict[str, Schema], required: list[str]) -> Schema:
    properties = more | {member: {"type": "array", "items": ref(name)}}
    return {"type": "object", "properties": properties, "required": [*required, member]}


def _row(kind: type[msgspec.Struct], before: Mapping[str, Schema], after: Mapping[str, Schema]) -> Schema:
    """Describe a row: the members of `kind`, all of them there, null where there is nothing, between others."""
    (schema,) = components((kind,), nullable=True).values()
    properties = {**before, **schema["properties"], **after}
    return {**schema, "properties": properties, "required": [*properties]}


def _plain(schema: Mapping[str, Any], *, nullable: bool) -> Schema:
    spelled = _with_null if nullable else _never_null
    properties = {name: spelled(inner) for name, inner in schema["properties"].items()}
    return {**schema, "description": inspect.cleandoc(schema["description"]), "properties": properties}


def _with_null(schema: Mapping[str, Any]) -> Schema:
    return {name: inner for name, inner in schema.items() if name != "default"}


def _never_null(schema: Mapping[str, Any]) -> Schema:
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != _NULL]
    plain = dict(kinds[0]) if len(kinds) == 1 else dict(schema)
    plain.pop("default", None)
    return plain
