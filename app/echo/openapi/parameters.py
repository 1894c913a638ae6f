"""The controls as query and header parameters of the OpenAPI document.

Schemas, and descriptions of what a schema can't express (a duration's limit in seconds), are those of the definitions
of the controls, with the limits from the settings.
"""

from typing import Any, Final

from app.config.settings import Settings
from app.echo.controls.definitions import CONTROLS_BY_NAME, Control
from app.echo.controls.parse import HEADER_PREFIX, PARAMETER_PREFIXES
from app.http.headers.request_id import HEADER as REQUEST_ID
from app.http.headers.request_id import PATTERN as ID_PATTERN

Parameter = dict[str, Any]

REQUEST_ID_SCHEMA: Final = {"type": "string", "pattern": f"^{ID_PATTERN}$"}
"""Form of an X-Request-Id that the response repeats."""


def parameters(settings: Settings) -> dict[str, Parameter]:
    """Return the parameters by name: controls that these settings allow, and the other headers that have an effect."""
    allowed = {name: control for name, control in CONTROLS_BY_NAME.items() if control.is_allowed(settings)}
    query_parameters = [_query_parameter(name, control, settings) for name, control in allowed.items()]
    header_parameters = [_header_parameter(name, control, settings) for name, control in allowed.items()]
    return {parameter["name"]: parameter for parameter in (*query_parameters, *header_parameters, *_OTHER_HEADERS)}


def _query_parameter(name: str, control: Control, settings: Settings) -> Parameter:
    schema: dict[str, Any] = control.schema(settings)
    example: Any = control.example
    if control.repeatable:
        schema, example = {"type": "array", "items": schema}, [example]
    return {
        "name": PARAMETER_PREFIXES[0] + name,
        "in": "query",
        "description": _description(name, control, settings),
        "schema": schema,
        "example": example,
    }


def _header_parameter(name: str, control: Control, settings: Settings) -> Parameter:
    return {
        "name": f"{HEADER_PREFIX.decode()}{name.replace('_', '-')}".title(),
        "in": "header",
        "description": f"As `{PARAMETER_PREFIXES[0]}{name}`, which takes precedence."
        + (" May be repeated, with one value each." if control.repeatable else ""),
        "schema": control.schema(settings),
        "example": control.example,
    }


def _description(name: str, control: Control, settings: Settings) -> str:
    also = "" if name == control.name else f" The same as `{PARAMETER_PREFIXES[0]}{control.name}`."
    return f"{control.description[0].upper()}{control.description[1:]}: {control.describe_limit(settings)}.{also}"


_OTHER_HEADERS: Final[tuple[Parameter, ...]] = (
    {
        "name": REQUEST_ID,
        "in": "header",
        "description": "The request ID, used if it is valid, else one is generated. The response has it.",
        "schema": REQUEST_ID_SCHEMA,
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
