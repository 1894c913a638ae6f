"""Table of the settings, for `python -m app --help` and the README."""

from typing import Any, Final

import msgspec
from msgspec.structs import FieldInfo

from app.config.field_types import quantity
from app.config.settings import FIELDS_BY_VARIABLE
from app.http.quantities import DURATION, SIZE

# The notation of values, in two lines.
NOTATION: Final = f"A size is {SIZE.notation}.\nA duration is {DURATION.notation}."

SettingRow = tuple[str, str, str]

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


def rows() -> list[SettingRow]:
    """Return each setting as (variable, default, description); the default of a size or duration has a unit."""
    return [(variable, _default(field), _description(field.type)) for variable, field in FIELDS_BY_VARIABLE.items()]


def _default(field: FieldInfo) -> str:
    kind = quantity(field.type)
    return kind.format(field.default) if kind else str(field.default) or "empty"


def _description(type_: Any) -> str:
    """Return the description of a setting, with its accepted words unless they are on and off."""
    schema = msgspec.json.schema(type_)
    description: str = schema["description"]
    words = schema.get("enum", [])
    return description + (f": {', '.join(words)}" if words and words != _SWITCH else "")


def groups() -> list[tuple[str, list[SettingRow]]]:
    """Return the settings in groups, each with its name."""
    setting_groups: list[tuple[str, list[SettingRow]]] = []
    for field, row in zip(FIELDS_BY_VARIABLE.values(), rows(), strict=True):
        if field.name in _GROUPS:
            setting_groups.append((_GROUPS[field.name], []))
        setting_groups[-1][1].append(row)
    return setting_groups


def table() -> str:
    """Return the settings as lines of text, by group: variable, description, and the default in parentheses."""
    width = max(len(variable) for variable, _, _ in rows())
    lines: list[str] = []
    for name, members in groups():
        lines += ["", f"{name}:"]
        lines += [f"  {variable:<{width}}  {description} ({default})" for variable, default, description in members]
    return "\n".join(lines[1:])
