"""Strict JSON Schemas of Kubernetes' objects, made from what Kubernetes publishes: OpenAPI documents and CRDs.

Strict means as the API server is with `fieldValidation=Strict`: a field that is not in the schema is refused. What a
schema of JSON can't say (CEL rules, what fields mean together) stays for a cluster to judge.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Schema = dict[str, Any]

_OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_REFERENCE = "#/definitions/"
_NULL: Schema = {"type": "null"}

# Their JSON may be a number as well, which OpenAPI 2 has no way to say: both write themselves as they are read.
# https://github.com/kubernetes/kubernetes/blob/v1.30.0/api/openapi-spec/swagger.json
_ALSO_NUMBERS: Mapping[str, Schema] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": ["string", "number"]},
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": ["string", "integer"]},
}

# What a schema keeps as it is. Left out is what checks nothing: words for people, defaults, Kubernetes' extensions.
_KEPT = frozenset(
    (
        *("$ref", "enum", "exclusiveMaximum", "exclusiveMinimum", "format", "maxItems", "maxLength", "maxProperties"),
        *("maximum", "minItems", "minLength", "minProperties", "minimum", "multipleOf", "pattern", "required", "type"),
        "uniqueItems",
    )
)


def of_openapi(document: Mapping[str, Any]) -> Iterator[tuple[str, Schema]]:
    """Give the path and the schema of each kind in Kubernetes' OpenAPI 2 document (api/openapi-spec/swagger.json)."""
    definitions = strict_definitions(document)
    for name, definition in document["definitions"].items():
        identities = definition.get("x-kubernetes-group-version-kind", ())
        # What has several is an argument of every API (DeleteOptions), not an object that is written down.
        if len(identities) != 1 or "kind" not in definition.get("properties", ()):
            continue
        (identity,) = identities
        schema = _identified(definitions[name], identity["group"], identity["version"], identity["kind"])
        yield (
            path_of(identity["group"], identity["version"], identity["kind"]),
            schema | {"definitions": needed(schema, definitions)},
        )


def of_crd(crd: Mapping[str, Any], definitions: Mapping[str, Schema]) -> Iterator[tuple[str, Schema]]:
    """Give the path and the schema of each version of a CustomResourceDefinition that is served.

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
    """Give the definitions of an OpenAPI 2 document of Kubernetes, each made strict."""
    return {name: _ALSO_NUMBERS.get(name) or strict(each) for name, each in document["definitions"].items()}


def path_of(group: str, version: str, kind: str) -> str:
    """Give where kubeconform looks, by a template of the same form, for what has this identity."""
    return f"{group or version}/{kind.lower()}_{version}.json"


PATH_TEMPLATE = "{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json"


def strict(schema: Mapping[str, Any]) -> Schema:
    """Give a schema that refuses what it does not name, and takes null for what may be left out.

    A schema without a type only adds conditions to another (in `anyOf`, say): what it does not name is not refused.
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
    """Let null in: to Kubernetes an optional field that is null is one that is not there."""
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
    """Give the definitions that a schema refers to, and those that these refer to."""
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
