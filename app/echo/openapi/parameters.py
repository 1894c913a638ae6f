"""The controls as query and header parameters of the OpenAPI document.

A schema defines the format of a value. What it can't express (a duration's limit in seconds) is in the description, in
the words of the table of controls, with the limits from the settings.
"""

from collections.abc import Mapping
from typing import Any, Final

from app.config.settings import Settings
from app.echo.controls import values
from app.echo.controls.definitions import BY_NAME, FORMAT_NAMES, Control
from app.echo.controls.parse import FIELD, PARAMETERS
from app.http.compress import COMPRESSIONS
from app.http.headers.request_id import NAME as REQUEST_ID
from app.http.quantities import DURATION_PATTERN, SIZE_PATTERN

Parameter = dict[str, Any]

ID_FORM: Final = {"type": "string", "pattern": "^[A-Za-z0-9._:/+=@~-]{1,128}$"}
"""Form of an X-Request-Id that the response repeats."""

_SPAN: Final = {"type": "string", "pattern": f"^{values.RANGE_PATTERN}$"}

# By control name; a value that matches may still exceed its limit.
_FORMS: Final[Mapping[str, dict[str, Any]]] = {
    "format": {"enum": [*FORMAT_NAMES]},
    "pretty": {"enum": ["0", "1", "off", "on", "false", "true", "no", "yes"]},
    "status": {"type": "string", "pattern": f"^{values.choices_pattern('[2-5][0-9]{2}')}$"},
    "delay": _SPAN,
    "time": _SPAN,
    "header": {"type": "string", "pattern": r"^[!#$%&'*+\-.^`|~0-9A-Za-z]+:[^\x00-\x08\x0a-\x1f\x7f]*$"},
    "cookie": {"type": "string", "pattern": r"^[!#$%&'*+\-.^_`|~0-9A-Za-z]+=[!#-+\--:<-\[\]-~]*$"},
    "body": {"type": "string"},
    "size": {"type": "string", "pattern": f"^{SIZE_PATTERN}$"},
    "drip": {"type": "string", "pattern": f"^{DURATION_PATTERN}$"},
    "redirect": {"type": "string", "pattern": r"^((/(?![/\\])|\.{1,2}/|\?|#)[^\\]*|\.{1,2}|/)$"},
    "abort": {"enum": ["before", "middle"]},
    "fail_first": {"type": "integer", "minimum": 1, "maximum": 1000},
    "compress": {"enum": [*COMPRESSIONS, "auto"]},
    "count": {"type": "integer", "minimum": 1},
    "seed": {"type": "string", "minLength": 1, "maxLength": 64},
}


def parameters(settings: Settings) -> dict[str, Parameter]:
    """Return the parameters by name: controls that these settings allow, and the other headers that have an effect."""
    allowed = {name: control for name, control in BY_NAME.items() if control.allowed(settings)}
    by_query = [_by_query(name, control, settings) for name, control in allowed.items()]
    by_field = [_by_field(name, control, settings) for name, control in allowed.items()]
    return {parameter["name"]: parameter for parameter in (*by_query, *by_field, *_FIELDS)}


def _by_query(name: str, control: Control, settings: Settings) -> Parameter:
    form: dict[str, Any] = _form(control, settings)
    example: Any = control.example
    if control.repeatable:
        form, example = {"type": "array", "items": form}, [example]
    return {
        "name": PARAMETERS[0] + name,
        "in": "query",
        "description": _description(name, control, settings),
        "schema": form,
        "example": example,
    }


def _by_field(name: str, control: Control, settings: Settings) -> Parameter:
    return {
        "name": f"{FIELD.decode()}{name.replace('_', '-')}".title(),
        "in": "header",
        "description": f"As `{PARAMETERS[0]}{name}`, which takes precedence."
        + (" May be repeated, with one value each." if control.repeatable else ""),
        "schema": _form(control, settings),
        "example": control.example,
    }


def _form(control: Control, settings: Settings) -> dict[str, Any]:
    form = _FORMS[control.name]
    if control.name == "count":
        return form | {"maximum": settings.max_events}
    if control.name == "redirect" and settings.allow_redirect == "any":
        return {"type": "string"}
    return form


def _description(name: str, control: Control, settings: Settings) -> str:
    also = "" if name == control.name else f" The same as `{PARAMETERS[0]}{control.name}`."
    return f"{control.meaning[0].upper()}{control.meaning[1:]}: {control.bound(settings)}.{also}"


_FIELDS: Final[tuple[Parameter, ...]] = (
    {
        "name": REQUEST_ID,
        "in": "header",
        "description": "The request ID, used if it is valid, else one is generated. The response has it.",
        "schema": ID_FORM,
        "example": "7f5e1c0a-4a36-4f0e-9d59-2f1f6c2f6a11",
    },
    {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "The ID of the last server-sent event received; the stream continues after it.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 2,
    },
)
