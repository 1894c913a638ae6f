"""Strict JSON Schemas of Kubernetes' objects.

They are made from what Kubernetes publishes: OpenAPI documents and CRDs. Strict means as the API server is with
`fieldValidation=Strict`: a field that is not in the schema is rejected. Rules that a JSON Schema can't express (CEL,
conditions on several fields) are left to a cluster.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Schema = dict[str, Any]

_OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_REFERENCE = "#/definitions/"
_NULL: Schema = {"type": "null"}

# Their JSON may also be a number, which OpenAPI 2 cannot express: both types serialize themselves as they were read.
# https://github.com/kubernetes/kubernetes/blob/v1.30.0/api/openapi-spec/swagger.json
_ALSO_NUMBERS: Mapping[str, Schema] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["string", "number"]},
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["string", "integer"]},
}

# Keywords that a schema keeps. Omitted is what validates nothing: descriptions, defaults, Kubernetes' extensions.
_KEPT = frozenset(
    (
        *("$ref", "enum", "exclusiveMaximum", "exclusiveMinimum", "format", "maxItems", "maxLength", "maxProperties"),
        *("maximum", "minItems", "minLength", "minProperties", "minimum", "multipleOf", "pattern", "required", "type"),
        "uniqueItems",
    )
)


def of_openapi(document: Mapping[str, Any]) -> Iterator[tuple[str, Schema]]:
    """Yield the path and the schema of each kind in Kubernetes' OpenAPI 2 document (api/openapi-spec/swagger.json)."""
    definitions = strict_definitions(document)
    for name, definition in document["definitions"].items():
        identities = definition.get("x-kubernetes-group-version-kind", ())
        # A definition with several identities is a parameter of every API (DeleteOptions), not an object in a manifest.
        if len(identities) != 1 or "kind" not in definition.get("properties", ()):
            continue
        (identity,) = identities
        schema = _identified(definitions[name], identity["group"], identity["version"], identity["kind"])
        yield (
            path_of(identity["group"], identity["version"], identity["kind"]),
            schema | {"definitions": needed(schema, definitions)},
        )


def of_crd(crd: Mapping[str, Any], definitions: Mapping[str, Schema]) -> Iterator[tuple[str, Schema]]:
    """Yield the path and the schema of each served version of a CustomResourceDefinition.

    `definitions` are Kubernetes' own, for the metadata, which the definition of a custom resource does not describe.
    """
    group, kind = crd["spec"]["group"], crd["spec"]["names"]["kind"]
    for version in crd["spec"]["versions"]:
        if not version["served"]:
            continue
        schema = _identified(strict(version["schema"]["openAPIV3Schema"]), group, version["name"], kind)
        schema["properties"]["metadata"] = {"$ref": _REFERENCE + _OBJECT_META}
        yield path_of(group, version["name"], kind), schema | {"definitions": needed(schema, definitions)}


def strict_definitions(document: Mapping[str, Any]) -> dict[str, Schema]:
    """Return the definitions of Kubernetes' OpenAPI 2 document, each made strict."""
    return {name: _ALSO_NUMBERS.get(name) or strict(each) for name, each in document["definitions"].items()}


def path_of(group: str, version: str, kind: str) -> str:
    """Return the path at which kubeconform looks for the schema of this identity, by a template of the same format."""
    return f"{group or version}/{kind.lower()}_{version}.json"


PATH_TEMPLATE = "{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json"


def strict(schema: Mapping[str, Any]) -> Schema:
    """Return a schema that rejects unknown properties, and accepts null for optional ones.

    A schema without a type only adds conditions to another (in `anyOf`, say): properties that it does not list are
    accepted.
    """
    made: Schema = {key: value for key, value in schema.items() if key in _KEPT}
    if schema.get("x-kubernetes-int-or-string"):
        made["type"] = ["string", "integer"]
    if "properties" in schema:
        required = schema.get("required", ())
        made["properties"] = {
            name: strict(each) if name in required else _or_null(strict(each))
            for name, each in schema["properties"].items()
        }
    for key in ("items", "not"):
        if key in schema:
            made[key] = strict(schema[key])
    for key in ("allOf", "anyOf", "oneOf"):
        if key in schema:
            made[key] = [strict(each) for each in schema[key]]
    others = schema.get("additionalProperties", not _is_closed(schema))
    if others is not True:
        made["additionalProperties"] = strict(others) if isinstance(others, Mapping) else others
    return _or_null(made) if schema.get("nullable") else made


def _is_closed(schema: Mapping[str, Any]) -> bool:
    open_ones = ("x-kubernetes-preserve-unknown-fields", "x-kubernetes-embedded-resource")
    return schema.get("type") == "object" and "properties" in schema and not any(map(schema.get, open_ones))


def _or_null(schema: Schema) -> Schema:
    """Allow null: Kubernetes treats an optional field that is null as omitted."""
    if "$ref" in schema or "type" not in schema:
        return {"anyOf": [schema, _NULL]} if schema else schema
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    made = schema | {"type": [*types, *({"null"} - set(types))]}
    return made | {"enum": [*schema["enum"], None]} if "enum" in schema else made


def _identified(schema: Schema, group: str, version: str, kind: str) -> Schema:
    own = {"apiVersion": {"const": f"{group}/{version}" if group else version}, "kind": {"const": kind}}
    return schema | {
        "properties": schema["properties"] | own,
        "required": sorted({*schema.get("required", ()), *own}),
    }


def needed(schema: Schema, definitions: Mapping[str, Schema]) -> dict[str, Schema]:
    """Return the definitions that a schema refers to, and those that these refer to."""
    needed: dict[str, Schema] = {}
    waiting = list(_references(schema))
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed[name] = definitions[name]
            waiting += _references(definitions[name])
    return needed


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"].removeprefix(_REFERENCE)
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)
