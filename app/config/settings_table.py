"""Table of the settings, for `python -m app --help` and the README."""

from typing import Any, Final

import msgspec
from msgspec.structs import FieldInfo

from app.config.field_types import quantity
from app.config.settings import FIELDS
from app.http.quantities import DURATION, SIZE

# The notation of values, in two lines.
NOTATION: Final = f"A size is {SIZE.notation}.\nA duration is {DURATION.notation}."

Row = tuple[str, str, str]

_SWITCH: Final = ["off", "on"]
# The first setting of each group, and the group's name.
_GROUPS: Final = {
    "host": "Listening and shutdown",
    "format": "Responses",
    "controls": "Controls",
    "trusted_proxies": "Clients and credentials",
    "max_connections": "Limits and timeouts",
    "proxy_protocol": "PROXY protocol and TLS",
    "metrics": "Metrics, logs and traces",
}


def rows() -> list[Row]:
    """Return each setting as (variable, default, description); the default of a size or duration has a unit."""
    return [(variable, _default(field), _meaning(field.type)) for variable, field in FIELDS.items()]


def _default(field: FieldInfo) -> str:
    kind = quantity(field.type)
    return kind.format(field.default) if kind else str(field.default) or "empty"


def _meaning(type_: Any) -> str:
    """Return the description of a setting, with its accepted words unless they are on and off."""
    schema = msgspec.json.schema(type_)
    meaning: str = schema["description"]
    words = schema.get("enum", [])
    return meaning + (f": {', '.join(words)}" if words and words != _SWITCH else "")


def groups() -> list[tuple[str, list[Row]]]:
    """Return the settings in groups, each with its name."""
    found: list[tuple[str, list[Row]]] = []
    for field, row in zip(FIELDS.values(), rows(), strict=True):
        if field.name in _GROUPS:
            found.append((_GROUPS[field.name], []))
        found[-1][1].append(row)
    return found


def table() -> str:
    """Return the settings as lines of text, by group: variable, description, and the default in parentheses."""
    width = max(len(variable) for variable, _, _ in rows())
    lines: list[str] = []
    for name, members in groups():
        lines += ["", f"{name}:"]
        lines += [f"  {variable:<{width}}  {meaning} ({default})" for variable, default, meaning in members]
    return "\n".join(lines[1:])
