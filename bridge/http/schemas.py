"""Schemas: the house's types as JSON Schema, for the documents that describe the doors and the topics."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

Schema = dict[str, Any]

_REF = "#/components/schemas/{name}"
_NULL = {"type": "null"}


def ref(name: str) -> Schema:
    """Point to one of the components."""
    return {"$ref": _REF.format(name=name)}


def components(types: Iterable[type[msgspec.Struct]]) -> dict[str, Schema]:
    """Describe types, and those inside them, by name. What does not apply is absent: no member is ever null."""
    _, schemas = msgspec.json.schema_components(types, ref_template=_REF)
    return {name: _plain(schema) for name, schema in schemas.items()}


def _plain(schema: Mapping[str, Any]) -> Schema:
    properties = {name: _never_null(inner) for name, inner in schema["properties"].items()}
    return {**schema, "description": inspect.cleandoc(schema["description"]), "properties": properties}


def _never_null(schema: Mapping[str, Any]) -> Schema:
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != _NULL]
    plain = dict(kinds[0]) if len(kinds) == 1 else dict(schema)
    plain.pop("default", None)
    return plain
