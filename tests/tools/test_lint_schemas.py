"""JSON Schemas from Kubernetes' OpenAPI documents and CRDs."""

from typing import Any

import jsonschema
import pytest

from tools.lint.schemas import Schema, of_crd, of_openapi, path_of, strict, strict_definitions

META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity"
INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString"

# Like Kubernetes' document, but smaller.
DOCUMENT: dict[str, Any] = {
    "definitions": {
        META: {"type": "object", "description": "words", "properties": {"name": {"type": "string"}}},
        QUANTITY: {"type": "string"},
        INT_OR_STRING: {"type": "string", "format": "int-or-string"},
        "Raw": {"type": "object", "description": "anything"},
        "Spec": {
            "type": "object",
            "required": ["port"],
            "properties": {
                "port": {"$ref": f"#/definitions/{INT_OR_STRING}"},
                "memory": {"$ref": f"#/definitions/{QUANTITY}"},
                "replicas": {"type": "integer", "format": "int32", "default": 1},
                "policy": {"type": "string", "enum": ["Always", "Never"]},
                "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                "inner": {"type": "array", "items": {"$ref": "#/definitions/Spec"}},
                "raw": {"$ref": "#/definitions/Raw"},
            },
        },
        "Thing": {
            "type": "object",
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "metadata": {"$ref": f"#/definitions/{META}"},
                "spec": {"$ref": "#/definitions/Spec"},
            },
            "x-kubernetes-group-version-kind": [{"group": "apps", "version": "v1", "kind": "Thing"}],
        },
        "Unused": {"type": "object"},
        "DeleteOptions": {
            "type": "object",
            "properties": {"kind": {"type": "string"}},
            "x-kubernetes-group-version-kind": [
                {"group": group, "version": "v1", "kind": "DeleteOptions"} for group in ("", "apps")
            ],
        },
    }
}

CRD: dict[str, Any] = {
    "spec": {
        "group": "gateway.example.test",
        "names": {"kind": "Route"},
        "versions": [
            {"name": "v1alpha1", "served": False, "schema": {"openAPIV3Schema": {"type": "object"}}},
            {
                "name": "v1",
                "served": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "apiVersion": {"type": "string"},
                            "kind": {"type": "string"},
                            "metadata": {"type": "object"},
                            "spec": {
                                "type": "object",
                                "required": ["weight"],
                                "properties": {
                                    "weight": {"type": "integer", "nullable": True},
                                    "port": {
                                        "anyOf": [{"type": "integer"}, {"type": "string"}],
                                        "x-kubernetes-int-or-string": True,
                                    },
                                    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                                    "a": {"type": "string"},
                                    "b": {"type": "string", "maxLength": 3, "pattern": "^b"},
                                },
                                "oneOf": [
                                    {"required": ["a"]},
                                    {"properties": {"b": {"minLength": 1}}, "required": ["b"]},
                                ],
                            },
                        },
                    }
                },
            },
        ],
    }
}


@pytest.fixture(scope="module")
def thing() -> Schema:
    """Return the schema of the only object in the document."""
    ((path, schema),) = of_openapi(DOCUMENT)
    assert path == "apps/thing_v1.json"
    return schema


@pytest.fixture(scope="module")
def route() -> Schema:
    """Return the schema of the only version that the CRD serves."""
    ((path, schema),) = of_crd(CRD, strict_definitions(DOCUMENT))
    assert path == "gateway.example.test/route_v1.json"
    return schema


def mistakes(schema: Schema, value: object) -> list[str]:
    """Return the places of a value's mistakes, or nothing."""
    return [error.json_path for error in jsonschema.Draft202012Validator(schema).iter_errors(value)]


@pytest.mark.parametrize(
    "spec",
    [
        {"port": 80},
        {"port": "http"},
        {"port": 80, "memory": "64Mi"},
        {"port": 80, "memory": 1},
        {"port": 80, "memory": None, "replicas": None, "policy": None, "labels": None, "inner": None, "raw": None},
        {"port": 80, "labels": {"any": "name"}},
        {"port": 80, "raw": {"any": {"thing": [1]}}},
        {"port": 80, "inner": [{"port": 1, "inner": [{"port": 2}]}]},
        None,
    ],
)
def test_what_kubernetes_takes_is_taken(thing: Schema, spec: object) -> None:
    """Numbers are accepted where strings or numbers are, null if a field is optional, any key in a map."""
    assert mistakes(thing, {"apiVersion": "apps/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": spec}) == []


@pytest.mark.parametrize(
    "spec",
    [
        {"port": 80, "replica": 1},
        {"port": 80, "inner": [{"port": 1, "prot": 1}]},
        {"port": 80, "replicas": "3"},
        {"port": 80, "policy": "Sometimes"},
        {"port": 80, "labels": {"a": 1}},
        {"port": 80.5},
        {"port": None},
        {"replicas": 1},
        [],
    ],
)
def test_what_kubernetes_refuses_is_refused(thing: Schema, spec: object) -> None:
    """Unknown fields at every depth, wrong types and missing fields are rejected."""
    assert mistakes(thing, {"apiVersion": "apps/v1", "kind": "Thing", "spec": spec}) == ["$.spec"]


@pytest.mark.parametrize(
    "changed",
    [{"apiVersion": "v1"}, {"kind": "Other"}, {"apiVersion": None}, {"metadata": {"nam": "a"}}, {"status": {}}],
)
def test_an_object_is_what_it_says_it_is(thing: Schema, changed: dict[str, object]) -> None:
    """It has its kind and version, the metadata of every object, and no unknown fields."""
    assert mistakes(thing, {"apiVersion": "apps/v1", "kind": "Thing"} | changed) != []


def test_a_schema_holds_the_definitions_that_it_needs(thing: Schema) -> None:
    """Each file is self-contained, and has no keyword that validates nothing."""
    assert set(thing["definitions"]) == {META, QUANTITY, INT_OR_STRING, "Raw", "Spec"}
    assert thing["definitions"]["Raw"] == {"type": "object"}
    assert "default" not in str(thing)


@pytest.mark.parametrize(
    ("spec", "wrong"),
    [
        ({"weight": 1, "a": "x"}, False),
        ({"weight": None, "b": "b"}, False),
        ({"weight": 1, "a": "x", "port": "http"}, False),
        ({"weight": 1, "a": "x", "port": 1}, False),
        ({"weight": 1, "a": "x", "free": {"any": 1}}, False),
        ({"a": "x"}, True),
        ({"weight": 1}, True),
        ({"weight": 1, "a": "x", "b": "b"}, True),
        ({"weight": 1, "b": "bbbb"}, True),
        ({"weight": 1, "b": "x"}, True),
        ({"weight": 1, "a": "x", "port": 1.5}, True),
        ({"weight": 1, "a": "x", "unknown": 1}, True),
    ],
)
def test_a_custom_resource_is_judged_by_its_definition(route: Schema, spec: object, wrong: bool) -> None:  # noqa: FBT001 - a column
    """`oneOf` on some fields does not reject others; the object around it does."""
    written = {"apiVersion": "gateway.example.test/v1", "kind": "Route", "metadata": {"name": "a"}, "spec": spec}
    assert bool(mistakes(route, written)) is wrong


def test_a_custom_resource_has_the_metadata_of_every_object(route: Schema) -> None:
    """Its definition does not describe the metadata; Kubernetes' own does."""
    written = {"apiVersion": "gateway.example.test/v1", "kind": "Route", "metadata": {"label": {}}}
    assert mistakes(route, written) == ["$.metadata"]


@pytest.mark.parametrize(
    ("group", "path"),
    [("", "v1/service_v1.json"), ("networking.k8s.io", "networking.k8s.io/service_v1.json")],
)
def test_kubeconform_finds_a_schema_by_its_path(group: str, path: str) -> None:
    """Kubeconform treats the version as the group of an object that has none."""
    assert path_of(group, "v1", "Service") == path


def test_a_schema_of_anything_stays_one() -> None:
    """Such a schema accepts null already."""
    assert strict({"type": "object", "properties": {"any": {"description": "any JSON"}}})["properties"] == {"any": {}}
