"""JSON Schema (2020-12) of responses, generated from their types.

msgspec's own schemas describe what its decoder accepts, which allows a key with a default to be missing. These describe
what is encoded: every key is required that can't be unset. They also support unions of structs, which no decoder here
has to distinguish.
"""

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin

import msgspec
from msgspec import Raw, UnsetType, structs

from app.echo.openapi.field_docs import FIELD_DESCRIPTIONS
from app.echo.reflection.model import Reflection

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]
Definitions = dict[str, Schema]

_PRIMITIVES: Final[Mapping[Any, Schema]] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    NoneType: {"type": "null"},
    Any: {},
    Raw: {},
}
# Constraints on a value besides its type, by JSON key, in every struct.
_CONSTRAINTS_BY_KEY: Final[Mapping[str, Schema]] = {
    "base64": {"contentEncoding": "base64"},
    "length": {"minimum": 0},
    "port": {"minimum": 0, "maximum": 65535},
    "sha256": {"pattern": "^[0-9a-f]{64}$"},
    "time": {"format": "date-time"},
}


def reflection_schema() -> Schema:
    """Return the JSON Schema of the reflection."""
    definitions: Definitions = {}
    schema = schema_of(Reflection, "#/$defs/", definitions)
    return {"$schema": DIALECT, "title": "What an echo shows of a request", **schema, "$defs": definitions}


def schema_of(type_: Any, reference_prefix: str, definitions: Definitions) -> Schema:
    """Return the schema of a type's values in JSON.

    Each struct is defined once, in `definitions`, and referenced from elsewhere; `reference_prefix` is the prefix of a
    reference. Raise `TypeError` for a type that responses don't contain.
    """
    if type_ in _PRIMITIVES:
        return dict(_PRIMITIVES[type_])
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct):
        return _reference(type_, reference_prefix, definitions)
    origin, arguments = get_origin(type_), get_args(type_)
    if origin is Literal:
        return {"enum": list(arguments)}
    inner = [
        schema_of(argument, reference_prefix, definitions) for argument in arguments if argument not in {UnsetType, ...}
    ]
    if origin in {Union, UnionType}:
        return _any_of(inner)
    if origin is dict:
        return {"type": "object", "additionalProperties": inner[1]}
    if origin in {list, tuple}:
        return _array(inner, is_homogeneous=origin is list or ... in arguments)
    raise TypeError(f"{type_} is not a type of a response")


def _array(items: list[Schema], *, is_homogeneous: bool) -> Schema:
    if is_homogeneous:
        return {"type": "array", "items": items[0]}
    return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}


def _any_of(schemas: list[Schema]) -> Schema:
    if len(schemas) == 1:
        return schemas[0]
    if all(schema.keys() == {"type"} for schema in schemas):
        return {"type": [schema["type"] for schema in schemas]}
    return {"anyOf": schemas}


def _reference(struct: type[msgspec.Struct], reference_prefix: str, definitions: Definitions) -> Schema:
    name = struct.__name__.lstrip("_")
    if name not in definitions:
        definitions[name] = {}  # ends the recursion of a struct that contains itself
        definitions[name] = _object(struct, reference_prefix, definitions)
    return {"$ref": reference_prefix + name}


def _object(struct: type[msgspec.Struct], reference_prefix: str, definitions: Definitions) -> Schema:
    descriptions = FIELD_DESCRIPTIONS.get(struct, {})
    properties: Definitions = {}
    required = []
    for field in structs.fields(struct):
        name = field.encode_name
        properties[name] = schema_of(field.type, reference_prefix, definitions)
        if properties[name].keys() == {"type"}:
            properties[name] |= _CONSTRAINTS_BY_KEY.get(name, {})
        if name in descriptions:
            properties[name]["description"] = descriptions[name]
        if UnsetType not in get_args(field.type):
            required.append(name)
    return {
        "description": (struct.__doc__ or "").partition("\n")[0],
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }
