"""A JSON Schema (2020-12) of what answers hold, made of the types that they are made of.

msgspec's own schemas say what its decoder takes, where a field that has a default may be missing. These say what is
written: every field that can't be unset. And they know unions of structs, which no decoder of ours has to tell apart.
"""

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Raw, UnsetType, structs

from app.echo.openapi.field_docs import MEANINGS
from app.echo.reflection.model import Reflection

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]
Definitions = dict[str, Schema]

_PLAIN: Final[Mapping[Any, Schema]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    NoneType: {"type": "null"},
    Any: {},
    Raw: {},
}
# What is known of a value beside its type, by the name of its field, whichever struct has it.
_KNOWN: Final[Mapping[str, Schema]] = {
    "base64": {"contentEncoding": "base64"},
    "length": {"minimum": 0},
    "port": {"minimum": 0, "maximum": 65535},
    "sha256": {"pattern": "^[0-9a-f]{64}$"},
    "time": {"format": "date-time"},
}


def reflection_schema() -> Schema:
    """Give the JSON Schema of the reflection."""
    definitions: Definitions = {}
    schema = schema_of(Reflection, "#/$defs/", definitions)
    return {"$schema": DIALECT, "title": "What an echo shows of a request", **schema, "$defs": definitions}


def schema_of(type_: Any, place: str, definitions: Definitions) -> Schema:
    """Give the schema of a type's values in JSON.

    Each struct is defined once, in `definitions`, and referred to there; `place` is how such a reference begins.
    Raises `TypeError` for a type that is none of those that answers are made of.
    """
    if type_ in _PLAIN:
        return dict(_PLAIN[type_])
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        return _reference(type_, place, definitions)
    origin, arguments = get_origin(type_), get_args(type_)
    if origin is Literal:
        return {"enum": list(arguments)}
    inner = [schema_of(each, place, definitions) for each in arguments if each not in {UnsetType, ...}]
    if origin in {Union, UnionType}:
        return _any_of(inner)
    if origin is dict:
        return {"type": "object", "additionalProperties": inner[1]}
    if origin in {list, tuple}:
        return _array(inner, alike=origin is list or ... in arguments)
    raise TypeError(f"{type_} is not a type that answers are made of")


def _array(items: list[Schema], *, alike: bool) -> Schema:
    if alike:
        return {"type": "array", "items": items[0]}
    return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}


def _any_of(schemas: list[Schema]) -> Schema:
    if len(schemas) == 1:
        return schemas[0]
    if all(schema.keys() == {"type"} for schema in schemas):
        return {"type": [schema["type"] for schema in schemas]}
    return {"anyOf": schemas}


def _reference(struct: type[msgspec.Struct], place: str, definitions: Definitions) -> Schema:
    name = struct.__name__.lstrip("_")
    if name not in definitions:
        definitions[name] = {}  # so that one that refers to itself ends here
        definitions[name] = _object(struct, place, definitions)
    return {"$ref": place + name}


def _object(struct: type[msgspec.Struct], place: str, definitions: Definitions) -> Schema:
    meanings = MEANINGS.get(struct, {})
    properties: Definitions = {}
    required = []
    for field in structs.fields(struct):
        name = field.encode_name
        properties[name] = schema_of(field.type, place, definitions)
        if properties[name].keys() == {"type"}:
            properties[name] |= _KNOWN.get(name, {})
        if name in meanings:
            properties[name]["description"] = meanings[name]
        if UnsetType not in get_args(field.type):
            required.append(name)
    return {
        "description": (struct.__doc__ or "").partition("\n")[0],
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
