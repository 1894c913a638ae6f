"""What is made of values.yaml and app/settings.py: `python -m tests.chart.documented` writes it into its places.

Those are the settings in values.yaml, values.schema.json, the table in the chart's README, and what is made for who
watches: the dashboard, and the objects of k8s/overlays/monitoring that have it and the alerts. A key's comment says
what it means (`# -- ...`) and what it may be beside what its default shows (`# @schema {...}`). A map with such a
comment is one value; one without is a group, in which no other key may stand.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import msgspec
import yaml
from msgspec.structs import FieldInfo, fields

from app.policy import READERS
from app.settings import Settings, groups
from tests.chart import dashboard, overlay
from tests.chart.rendering import CHART, LOADER

Schema = dict[str, Any]

VALUES: Final = CHART / "values.yaml"
SCHEMA: Final = CHART / "values.schema.json"
README: Final = CHART / "README.md"
DASHBOARD: Final = CHART / "files" / "dashboard.json"

# Settings that are the chart's own, and those whose default the chart has to know.
OWN: Final = ("host", "port", "admin_port")
KNOWN: Final = {"drain_seconds": int(Settings().drain_seconds)}
# A list of names or networks may be a list in YAML, too.
LISTS: Final = set(READERS) - {"jwks"}

ALERTS: Final = re.findall(r"^- alert: (\w+)$", overlay.ALERTS.read_text(), re.MULTILINE)

_NAME: Final = "[a-z0-9]([-a-z0-9.]*[a-z0-9])?"
_LABEL: Final = f"^({_NAME}/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
_QUANTITIES: Final = {
    "description": "Amounts by the name of the resource; null takes a default away",
    "type": "object",
    "additionalProperties": {"type": ["string", "number", "null"]},
}
# What several values may be. Kubernetes checks its own objects: here they are, as far as the chart reads them.
DEFINITIONS: Final[dict[str, Schema]] = {
    "alerts": {"type": "array", "uniqueItems": True, "items": {"enum": ALERTS}},
    "amount": {
        "description": "A number of pods, or percent of them",
        "anyOf": [
            {"type": "null"},
            {"type": "integer", "minimum": 0},
            {"type": "string", "pattern": "^(100|[1-9]?[0-9])%$"},
        ],
    },
    "duration": {"type": "string", "pattern": "^([0-9]+(h|m|s|ms))*$"},
    "ingressHosts": {
        "type": "array",
        "items": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "host": {"type": "string"},
                "paths": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": {
                            "path": {"type": "string", "pattern": "^/"},
                            "pathType": {"enum": ["Exact", "ImplementationSpecific", "Prefix"]},
                        },
                    },
                },
            },
        },
    },
    # As the Prometheus operator takes it.
    "interval": {"type": "string", "pattern": "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"},
    "label": {"type": "string", "maxLength": 317, "pattern": _LABEL.replace("^(", "^((", 1).removesuffix("$") + ")?$"},
    "labelNames": {
        "type": "array",
        "maxItems": 32,
        "uniqueItems": True,
        "items": {"type": "string", "maxLength": 317, "pattern": _LABEL},
    },
    "named": {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["name"],
            "properties": {"name": {"type": "string", "minLength": 1}},
        },
    },
    "names": {
        "type": "array",
        "items": {
            "type": "object",
            "additionalProperties": False,
            "required": ["name"],
            "properties": {"name": {"type": "string", "pattern": f"^{_NAME}$"}},
        },
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
    "portOrNull": {"type": ["integer", "null"], "minimum": 1, "maximum": 65535},
    "resources": {
        "type": "object",
        "additionalProperties": False,
        "properties": {"requests": _QUANTITIES, "limits": _QUANTITIES, "claims": {"$ref": "#/definitions/named"}},
    },
    "strings": {
        "description": "Text by name; what looks like a number needs quotes",
        "type": "object",
        "additionalProperties": {"type": "string"},
    },
    "updateStrategy": {
        "type": "object",
        "additionalProperties": False,
        "required": ["type"],
        "properties": {
            "type": {"enum": ["Recreate", "RollingUpdate"]},
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
    """A key of values.yaml: `path` to it, what it means, its default, what its comment says of its schema."""

    path: tuple[str, ...]
    meaning: str
    default: Any
    hints: Schema
    group: bool

    @property
    def name(self) -> str:
        """The name, as `--set` takes it."""
        return ".".join(self.path)


# --- settings --------------------------------------------------------------------------------------------------------


def key(setting: str) -> str:
    """Give the value's name of a setting: `max_body` is `maxBody`."""
    first, *others = setting.split("_")
    return first + "".join(word.capitalize() for word in others)


def settings() -> dict[str, FieldInfo]:
    """Give the service's settings that are values of the chart, by the name of the value."""
    return {key(field.name): field for field in fields(Settings) if field.name not in OWN}


def settings_text() -> str:
    """Give the settings as they have to stand in values.yaml, group by group."""
    by_variable = {f"ECHO_{field.name.upper()}": name for name, field in settings().items()}
    lines: list[str] = []
    for group, rows in groups():
        known = [row for row in rows if row[0] in by_variable]
        lines += [f"  # {group}:"] if known else []
        for variable, default, meaning in known:
            name = by_variable[variable]
            value = KNOWN.get(settings()[name].name, "null")
            lines += [f"  # -- {meaning} ({variable}, by default {default})", f"  {name}: {value}"]
    return "\n".join(lines) + "\n"


def setting_schema(field: FieldInfo) -> Schema:
    """Give what a setting may be: its own type and bounds, null, and what YAML makes of the words on, off and 1.2."""
    schema = msgspec.json.schema(field.type)
    if "enum" in schema:
        words: list[Any] = list(schema["enum"])
        words += [value for word, value in (("off", False), ("on", True)) if word in words]
        words += [float(word) for word in words if isinstance(word, str) and re.fullmatch(r"\d+\.\d+", word)]
        return {"enum": [*words, "", None]}
    if field.name in LISTS:
        return {"type": ["string", "array", "null"], "items": {"type": "string", "minLength": 1}}
    bounds = {name: bound for name, bound in schema.items() if name not in ("type", "description", "title")}
    if field.name in KNOWN:
        return {"type": schema["type"], **bounds}
    return {"type": [schema["type"], "null"], **bounds}


# --- values.yaml -----------------------------------------------------------------------------------------------------


@cache
def values(text: str) -> tuple[Value, ...]:
    """Give the keys of values.yaml, groups before what is in them. Raises `ValueError` for one without a meaning."""
    node = yaml.compose(text, Loader=LOADER)
    assert isinstance(node, yaml.MappingNode)
    return tuple(_values(node, (), text.splitlines()))


def _values(node: yaml.MappingNode, above: tuple[str, ...], lines: list[str]) -> Iterator[Value]:
    for name, inner in node.value:
        path = (*above, name.value)
        meaning, hints = _comment(lines, name.start_mark.line)
        group = isinstance(inner, yaml.MappingNode) and not meaning
        if not (group or meaning):
            raise ValueError(
                f"values.yaml says of {'.'.join(path)} not what it means: put a comment before it, # -- ..."
            )
        default = yaml.SafeLoader("").construct_object(inner, deep=True)
        yield Value(path, meaning, default, hints, group)
        if group:
            yield from _values(inner, path, lines)


def _comment(lines: list[str], line: int) -> tuple[str, Schema]:
    """Read the comment above a line: what it means, and what it says of the schema."""
    above: list[str] = []
    while line and lines[line - 1].lstrip().startswith("#"):
        line -= 1
        above.insert(0, lines[line].strip())
    text = "\n".join(part.removeprefix("#").strip() for part in above)
    found = re.search(r"^-- (.+?)(?=^@schema|\Z)", text, re.MULTILINE | re.DOTALL)
    hints = re.search(r"^@schema (.+)\Z", text, re.MULTILINE | re.DOTALL)
    meaning = " ".join(found[1].split()) if found else ""
    return meaning, yaml.safe_load(hints[1]) if hints else {}


# --- the schema ------------------------------------------------------------------------------------------------------

_TYPES: Final = {bool: "boolean", int: "integer", str: "string", list: "array", dict: "object"}


def value_schema(value: Value) -> Schema:
    """Give what a value may be: by its comment, else by the type of its default; a setting as the service has it."""
    if value.path[0] == "echo" and value.path[-1] in settings():
        return {"description": value.meaning, **setting_schema(settings()[value.path[-1]])}
    if "$ref" in value.hints:
        # What stands beside a $ref is not read in this draft of JSON Schema.
        return {"description": value.meaning, "allOf": [{"$ref": f"#/definitions/{value.hints['$ref']}"}]}
    kind = {} if {"type", "enum"} & value.hints.keys() else {"type": _TYPES[type(value.default)]}
    return {"description": value.meaning, **kind, **value.hints}


def schema(text: str) -> Schema:
    """Give the schema of values.yaml: no key that is not in it, at every level that is ours."""
    root: Schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart echo",
        "type": "object",
        "additionalProperties": False,
        "required": [],
        "properties": {
            "global": {
                "description": "Given by a parent chart to all of its subcharts; not read here",
                "type": "object",
            },
            "enabled": {"description": "The usual condition of a parent chart; not read here", "type": "boolean"},
        },
    }
    places: dict[tuple[str, ...], Schema] = {(): root}
    for value in values(text):
        place = places[value.path[:-1]]
        made = {"type": "object", "additionalProperties": False, "required": [], "properties": {}}
        place["properties"][value.path[-1]] = places[value.path] = made if value.group else value_schema(value)
        # null takes a default away before Helm looks at the schema.
        if value.default is not None and (value.group or "null" not in value_schema(value).get("type", ())):
            place["required"].append(value.path[-1])
    return root | {"definitions": DEFINITIONS}


# --- the table -------------------------------------------------------------------------------------------------------


def shown(default: Any) -> str:
    """Give a default for the table, in one line of JSON; a long one is left to values.yaml."""
    text = json.dumps(default)
    return f"`{text}`" if len(text) <= 60 else "as values.yaml has it"


def table(text: str) -> str:
    """Give the values as the rows of a table."""
    rows = [
        f"| `{value.name}` | {shown(value.default)} | {value.meaning} |" for value in values(text) if not value.group
    ]
    return "\n".join(["| value | default | meaning |", "| --- | --- | --- |", *rows])


# --- the places ------------------------------------------------------------------------------------------------------


def placed(text: str, before: str, made: str, behind: str) -> str:
    """Give a text with what stands between two lines replaced. Raises `ValueError` where they are not there once."""
    parts = re.split(f"({re.escape(before)}\n)|(?<=\n)([ ]*{re.escape(behind)})", text)
    if text.count(before) != 1 or text.count(behind) != 1 or len(parts) != 7:
        raise ValueError(f"there is not one place between {before!r} and {behind!r}")
    return parts[0] + parts[1] + made + parts[5] + parts[6]


def written() -> dict[Any, str]:
    """Give each file's text as it has to be, by its path."""
    text = placed(
        VALUES.read_text(),
        "# (settings: python -m tests.chart.documented writes them)",
        settings_text(),
        "# (end of settings)",
    )
    readme = placed(
        README.read_text(),
        "<!-- values: python -m tests.chart.documented writes this table -->",
        f"\n{table(text)}\n\n",
        "<!-- end of values -->",
    )
    return {
        VALUES: text,
        SCHEMA: json.dumps(schema(text), indent=2) + "\n",
        README: readme,
        DASHBOARD: dashboard.text(),
        overlay.RULE: overlay.rule(overlay.values()),
        overlay.DASHBOARD: overlay.config_map(),
    }


def main() -> None:
    """Write them."""
    for path, text in written().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
