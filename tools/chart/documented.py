"""Generator of values.schema.json and other files (`make format`).

They are derived from values.yaml and the service's settings. The other files are the list of settings in the chart, the
dashboard, and the objects of k8s/overlays/monitoring that contain the dashboard and the alerts. The table in the
chart's README is made by helm-docs, from the same comments.

A comment describes a key (`# -- ...`) and, in a line above that, limits it beyond the type of its default (`# @schema
{...}`, a JSON Schema, or `$ref` to one of `definitions`). A map with a description is one value; a map without one is a
group of values, in which no other key is allowed.

helm-schema and helm-values-schema-json read such comments as well, but not every module proxy serves them, and the npm
package readme-generator-for-helm supports only types. The settings and Kubernetes' types would need code of ours in any
case.
"""

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import msgspec
import yaml
from msgspec.structs import FieldInfo, fields

from app.config.field_types import quantity
from app.config.policy import PARSERS
from app.config.settings import Settings
from tests.chart.rendering import CHART, LOADER
from tools.chart import dashboard, overlay
from tools.commands import run
from tools.lint import conformity
from tools.lint.schemas import needed, strict_definitions
from tools.toolchain.__main__ import TOOLS, find

Schema = dict[str, Any]

VALUES: Final = CHART / "values.yaml"
SCHEMA: Final = CHART / "values.schema.json"
SETTINGS: Final = CHART / "files" / "settings.txt"
README: Final = CHART / "README.md"
DASHBOARD: Final = CHART / "files" / "dashboard.json"

# Settings that the chart sets itself, by fields of Settings.
OWN: Final = ("host", "port", "admin_port", "drain_seconds")
# A list of names or networks may be a list in YAML as well.
LISTS: Final = set(PARSERS) - {"jwks"}

ALERTS: Final = re.findall(r"^- alert: (\w+)$", overlay.ALERTS.read_text(), re.MULTILINE)

_NAME: Final = "[a-z0-9]([-a-z0-9.]*[a-z0-9])?"
_LABEL: Final = f"^({_NAME}/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
_TEMPLATE: Final = ".*\\{\\{.*"  # text that may become anything once it is rendered
# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
_LABEL_VALUE: Final = f"^(([A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?)?|{_TEMPLATE})$"
_SCALAR: Final = ["string", "number", "boolean", "null"]
_LABEL_NAMES: Final = {"maxLength": 317, "pattern": _LABEL}

# Values that have the schema of a type of Kubernetes, or of a list of one: what the API server would reject is rejected
# before. By definition: the type, in the version of Kubernetes that the tests use.
_LISTS_OF: Final = {
    "containers": "core.v1.Container",
    "egressRules": "networking.v1.NetworkPolicyEgressRule",
    "env": "core.v1.EnvVar",
    "envFrom": "core.v1.EnvFromSource",
    "hostAliases": "core.v1.HostAlias",
    "ingressTLS": "networking.v1.IngressTLS",
    "metrics": "autoscaling.v2.MetricSpec",
    "peers": "networking.v1.NetworkPolicyPeer",
    "tolerations": "core.v1.Toleration",
    "topologySpreadConstraints": "core.v1.TopologySpreadConstraint",
    "volumeMounts": "core.v1.VolumeMount",
    "volumes": "core.v1.Volume",
}
_OBJECTS_OF: Final = {
    "affinity": "core.v1.Affinity",
    "dnsConfig": "core.v1.PodDNSConfig",
    "lifecycle": "core.v1.Lifecycle",
    "podSecurityContext": "core.v1.PodSecurityContext",
    "resources": "core.v1.ResourceRequirements",
    "scalingBehavior": "autoscaling.v2.HorizontalPodAutoscalerBehavior",
    "securityContext": "core.v1.SecurityContext",
}
_PACKAGES: Final = re.compile(r"^io\.k8s\.(api|apimachinery\.pkg\.apis|apimachinery\.pkg)\.")

# Schemas that several values share, in addition to Kubernetes' types; `nullable` adds null to each.
_DEFINITIONS: Final[dict[str, Schema]] = {
    "alerts": {"type": "array", "uniqueItems": True, "items": {"enum": ALERTS}},
    "amount": {
        "description": "A number of pods, or a percentage of them",
        "type": ["integer", "string"],
        "minimum": 0,
        "pattern": "^(100|[1-9]?[0-9])%$",
    },
    "annotations": {
        "description": "Text by name; numbers and booleans are quoted",
        "type": "object",
        "propertyNames": _LABEL_NAMES,
        "additionalProperties": {"type": _SCALAR},
    },
    "duration": {"type": "string", "pattern": "^([0-9]+(h|m|s|ms))*$"},
    "ingressHosts": {
        "type": "array",
        "items": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "host": {"type": ["string", "null"]},
                "paths": {
                    "type": ["array", "null"],
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": {
                            "path": {"type": ["string", "null"], "pattern": "^/"},
                            "pathType": {"enum": ["Exact", "ImplementationSpecific", "Prefix", None]},
                        },
                    },
                },
            },
        },
    },
    # As the Prometheus operator accepts it.
    "interval": {"type": "string", "pattern": "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"},
    "label": {"type": "string", "maxLength": 317, "pattern": _LABEL.replace("^(", "^((", 1).removesuffix("$") + ")?$"},
    "labelNames": {"type": "array", "maxItems": 32, "uniqueItems": True, "items": {"type": "string", **_LABEL_NAMES}},
    "labels": {
        "description": "Text by name, as labels have it; numbers and booleans are quoted",
        "type": "object",
        "propertyNames": _LABEL_NAMES,
        "additionalProperties": {"type": _SCALAR, "pattern": _LABEL_VALUE},
    },
    "networks": {
        "type": "array",
        "uniqueItems": True,
        "items": {"type": "string", "pattern": "^[0-9a-fA-F.:]+/[0-9]{1,3}$"},
    },
    "objectName": {"type": "string", "maxLength": 253, "pattern": f"^({_NAME})?$"},
    "objects": {"type": "array", "items": {"type": "object"}},
    "parentRefs": {
        "type": "array",
        "maxItems": 32,
        "items": {
            "type": "object",
            "additionalProperties": False,
            "required": ["name"],
            "properties": {
                "group": {"type": "string"},
                "kind": {"type": "string"},
                "name": {"type": "string", "minLength": 1},
                "namespace": {"type": "string"},
                "port": {"$ref": "#/definitions/port"},
                "sectionName": {"type": "string"},
            },
        },
    },
    "port": {"type": "integer", "minimum": 1, "maximum": 65535},
    "pullSecrets": {
        "type": "array",
        "items": {
            "type": ["object", "string"],
            "pattern": f"^{_NAME}$",
            "additionalProperties": False,
            "required": ["name"],
            "properties": {"name": {"type": "string", "pattern": f"^{_NAME}$"}},
        },
    },
    "updateStrategy": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "type": {"enum": ["Recreate", "RollingUpdate", None]},
            "rollingUpdate": {
                "type": ["object", "null"],
                "additionalProperties": False,
                "properties": {
                    "maxSurge": {"$ref": "#/definitions/amount"},
                    "maxUnavailable": {"$ref": "#/definitions/amount"},
                },
            },
        },
    },
}


@dataclass(frozen=True)
class Value:
    """A key of values.yaml: its path, description and default, and what its comment says of its schema."""

    path: tuple[str, ...]
    description: str
    default: Any
    hints: Schema
    group: bool

    @property
    def name(self) -> str:
        """The name, as `--set` takes it."""
        return ".".join(self.path)


# --- settings --------------------------------------------------------------------------------------------------------


def settings() -> dict[str, FieldInfo]:
    """Return the settings that `config` takes, by their variables."""
    return {f"ECHO_{field.name.upper()}": field for field in fields(Settings) if field.name not in OWN}


def setting_schema(field: FieldInfo) -> Schema:
    """Return the schema of a setting: its type, notation and limits, as YAML may have read its text, and null.

    YAML reads `on` as true and 1.2 as a number. They are in schemas of their own, not in one `enum`. In Helm 3.18.6 to
    3.21 and 4.0 to 4.2, jsonschema 6.0.2 treats "1.2" and 1.2 as equal, and rejects the whole chart.
    """
    schema = msgspec.json.schema(field.type)
    description = {"description": schema["description"]}
    if "enum" in schema:
        words = list(schema["enum"])
        numbers = [float(word) for word in words if re.fullmatch(r"\d+\.\d+", word)]
        if numbers:
            bounds = {"minimum": min(numbers), "maximum": max(numbers)}
            return description | {
                "type": ["string", "number", "null"],
                "pattern": f"^({'|'.join(map(re.escape, words))})?$",
                **bounds,
            }
        return description | {"enum": [*words, *_booleans(words), "", None]}
    bounds = {name: bound for name, bound in schema.items() if name not in ("type", "description", "title")}
    if field.name in LISTS:
        return description | {"type": ["string", "array", "null"], "items": {"type": "string", "minLength": 1}}
    if schema["type"] == "string":
        return description | {"type": ["string", "number", "null"], **bounds}
    kind = quantity(field.type)
    if kind:
        description = {"description": f"{schema['description']}; {kind.notation}"}
    text = kind.pattern if kind else "[0-9]+"
    return description | {"type": [schema["type"], "string", "null"], "pattern": f"^({text}|{_TEMPLATE})?$", **bounds}


def _booleans(words: Iterable[str]) -> list[bool]:
    return [value for word, value in (("off", False), ("on", True)) if word in words]


# --- types of Kubernetes ---------------------------------------------------------------------------------------------


@cache
def kubernetes_definitions() -> dict[str, Schema]:
    """Return definitions of the types that values have, and of those that they refer to, by short names."""
    document = conformity.openapi(conformity.newest(), os.environ)
    every = {_short(name): _short_references(each) for name, each in strict_definitions(document).items()}
    roots = (*_LISTS_OF.values(), *_OBJECTS_OF.values())
    found = {name: every[name] for name in roots}
    for name in roots:
        found |= needed(every[name], every)
    # The chart quotes what is not text; a name with "=" is not a variable.
    found["core.v1.EnvVar"]["properties"] |= {
        "name": {"type": "string", "minLength": 1, "pattern": "^[^=]+$"},
        "value": {"type": _SCALAR},
    }
    return {name: nullable(_without_null(each)) for name, each in sorted(found.items())}


def _short(name: str) -> str:
    return _PACKAGES.sub("", name)


def _short_references(schema: Any) -> Any:
    """Return a schema with short names in its references, and without formats, which only annotate."""
    if isinstance(schema, Mapping):
        return {
            key: f"#/definitions/{_short(value.removeprefix('#/definitions/'))}"
            if key == "$ref" and isinstance(value, str)
            else _short_references(value)
            for key, value in schema.items()
            if key != "format" or not isinstance(value, str)
        }
    return [_short_references(each) for each in schema] if isinstance(schema, list) else schema


def _without_null(schema: Any) -> Any:
    """Return a schema whose references stand alone: every definition accepts null already."""
    if isinstance(schema, list):
        return [_without_null(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    choices = schema.get("anyOf")
    if isinstance(choices, list) and choices[1:] == [{"type": "null"}] and "$ref" in choices[0]:
        return choices[0]
    return {key: _without_null(value) for key, value in schema.items()}


def nullable(schema: Schema) -> Schema:
    """Return a schema that accepts null as well: a value that is null has its default removed."""
    made = dict(schema)
    if "enum" in schema and None not in schema["enum"]:
        made["enum"] = [*schema["enum"], None]
    if "type" in schema:
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        made["type"] = types if "null" in types else [*types, "null"]
    return made


def definitions() -> dict[str, Schema]:
    """Return all definitions of the schema."""
    kubernetes = kubernetes_definitions()
    own = _DEFINITIONS | {
        name: {"type": "array", "items": {"$ref": f"#/definitions/{of}"}} for name, of in _LISTS_OF.items()
    }
    own["config"] = {"type": "object", "properties": {name: setting_schema(each) for name, each in settings().items()}}
    aliases = {name: {"$ref": f"#/definitions/{of}"} for name, of in _OBJECTS_OF.items()}
    made = {name: nullable(each) for name, each in own.items()} | aliases
    return dict(sorted(made.items())) | kubernetes


# --- values.yaml -----------------------------------------------------------------------------------------------------


@cache
def values(text: str) -> tuple[Value, ...]:
    """Return the keys of values.yaml, groups before their members. Raise `ValueError` for one without a description."""
    node = yaml.compose(text, Loader=LOADER)
    assert isinstance(node, yaml.MappingNode)
    return tuple(_values(node, (), text.splitlines()))


def _values(node: yaml.MappingNode, above: tuple[str, ...], lines: list[str]) -> Iterator[Value]:
    for name, inner in node.value:
        path = (*above, name.value)
        description, hints = _comment(lines, name.start_mark.line)
        group = isinstance(inner, yaml.MappingNode) and not description
        if not (group or description):
            raise ValueError(f"values.yaml does not describe {'.'.join(path)}: put a comment above it, # -- ...")
        default = yaml.SafeLoader("").construct_object(inner, deep=True)
        yield Value(path, description, default, hints or _usual_hints(path[-1]), group)
        if group:
            yield from _values(inner, path, lines)


def _usual_hints(key: str) -> Schema:
    """Return the schema of keys that have the same one everywhere."""
    for ending in ("labels", "annotations"):
        if key.lower().endswith(ending):
            return {"$ref": ending}
    return {}


def _comment(lines: list[str], line: int) -> tuple[str, Schema]:
    """Return the description and the schema in the comment above a line."""
    above: list[str] = []
    while line and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        above.insert(0, lines[line].strip())
    text = "\n".join(part.removeprefix("#").strip() for part in above)
    described = re.search(
        r"^-- (?:\([a-z ]+\) )?(.+)\Z", text, re.MULTILINE | re.DOTALL
    )  # (int): the type in the table
    hints = re.search(r"^@schema (.+?)(?=^-- |\Z)", text, re.MULTILINE | re.DOTALL)
    return " ".join(described[1].split()) if described else "", yaml.safe_load(hints[1]) if hints else {}


# --- the schema ------------------------------------------------------------------------------------------------------

_TYPES: Final = {bool: "boolean", int: "integer", str: "string", list: "array", dict: "object"}


def value_schema(value: Value) -> Schema:
    """Return the schema of a value: by its comment, else by the type of its default; null is always allowed."""
    if "$ref" in value.hints:
        # In this draft of JSON Schema, keywords beside a $ref are ignored.
        return {"description": value.description, "allOf": [{"$ref": f"#/definitions/{value.hints['$ref']}"}]}
    kind = {} if {"type", "enum"} & value.hints.keys() else {"type": _TYPES[type(value.default)]}
    return {"description": value.description, **nullable({**kind, **value.hints})}


def schema(text: str) -> Schema:
    """Return the schema of values.yaml: every level that is ours rejects unknown keys. Nothing is required."""
    root: Schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart echo",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "global": {
                "description": "Values of a parent chart for all of its subcharts",
                "type": ["object", "null"],
                "properties": {
                    "imageRegistry": {"type": ["string", "null"]},
                    "imagePullSecrets": {"$ref": "#/definitions/pullSecrets"},
                },
            },
            "enabled": {"description": "The usual condition of a parent chart", "type": "boolean"},
            "echo": {"description": "Of 0.1.0: config now, and an error says so", "type": ["object", "null"]},
        },
    }
    places: dict[tuple[str, ...], Schema] = {(): root}
    for value in values(text):
        place = places[value.path[:-1]]
        made: Schema = {"type": ["object", "null"], "additionalProperties": False, "properties": {}}
        place["properties"][value.path[-1]] = places[value.path] = made if value.group else value_schema(value)
    return root | {"definitions": definitions()}


def schema_text() -> str:
    """Return values.schema.json, with one line for each definition, because definitions are for programs."""
    made = schema(VALUES.read_text())
    rows = ",\n".join(
        f"    {json.dumps(name)}: {json.dumps(each, separators=(',', ':'))}"
        for name, each in made.pop("definitions").items()
    )
    return f'{json.dumps(made, indent=2)[:-2]},\n  "definitions": {{\n{rows}\n  }}\n}}\n'


# --- the places ------------------------------------------------------------------------------------------------------


def readme() -> str:
    """Return the chart's README: README.md.gotmpl with the table of values, by helm-docs. Raise `ToolError`."""
    helm_docs = find(TOOLS["helm-docs"], os.environ)
    return run(helm_docs, "--chart-search-root", CHART, "--sort-values-order", "file", "--dry-run")


def written() -> dict[Any, str]:
    """Return the text of each generated file, by its path."""
    return {
        SCHEMA: schema_text(),
        SETTINGS: "\n".join(settings()) + "\n",
        README: readme(),
        DASHBOARD: dashboard.text(),
        overlay.RULE: overlay.rule(overlay.values()),
        overlay.DASHBOARD: overlay.config_map(),
    }


def main() -> None:
    """Write the generated files."""
    for path, text in written().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
