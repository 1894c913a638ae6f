"""The responses of the echo port in the OpenAPI document.

Each status has a description, headers and contents.
"""

from collections.abc import Mapping
from typing import Any, Final

from app.echo.formats.renderers import media_types
from app.echo.openapi.parameters import REQUEST_ID_SCHEMA
from app.echo.openapi.schema import Schema
from app.http.headers.request_id import HEADER as REQUEST_ID
from app.http.response import EVENT_STREAM, JSON, SECURITY_HEADERS, YAML

COMPONENTS: Final = "#/components"
SCHEMAS: Final = f"{COMPONENTS}/schemas/"
TEXT: Final[Schema] = {"type": "string"}


def reference(kind: str, name: str) -> dict[str, str]:
    """Return a reference to a component."""
    return {"$ref": f"{COMPONENTS}/{kind}/{name}"}


# Any other JSON is that of an emulated echo server, described in its own documentation.
DEFINITIONS: Final[Mapping[str, Schema]] = {
    "Shown": {
        "description": "The reflection, or the response of the requested dialect.",
        "anyOf": [reference("schemas", "Reflection"), reference("schemas", "OtherEcho")],
    },
    "OtherEcho": {
        "type": "object",
        "not": {"anyOf": [{"required": ["received"]}, {"required": ["applied"]}]},
    },
    "Mistaken": {
        "description": "Invalid controls.",
        "type": "object",
        "properties": {"error": TEXT, "applied": reference("schemas", "ControlsReport"), "id": TEXT},
        "required": ["error", "applied", "id"],
        "additionalProperties": False,
    },
}

HEADERS: Final[Mapping[str, Any]] = {
    REQUEST_ID: {"description": "The request ID.", "required": True, "schema": REQUEST_ID_SCHEMA},
    "X-Content-Type-Options": {"required": True, "schema": {"const": "nosniff"}},
    "Cache-Control": {"required": True, "schema": TEXT, "example": "no-store"},
    "Content-Security-Policy": {
        "description": "No script runs and nothing is loaded.",
        "required": True,
        "schema": TEXT,
    },
    "Content-Encoding": {"description": "The content coding requested with `echo_compress`.", "schema": TEXT},
    "Location": {"description": "The target of `echo_redirect`.", "required": True, "schema": TEXT},
}

_REFLECTION_CONTENT: Final = {"schema": reference("schemas", "Shown")}
# By media type, those that are more than text; OpenAPI before 3.2 has no schema for server-sent events.
_CONTENTS: Final[Mapping[str, Any]] = {
    JSON: _REFLECTION_CONTENT,
    YAML: _REFLECTION_CONTENT,
    EVENT_STREAM: {"example": "id: 1\nevent: reflection\ndata: (the reflection, as JSON in one line)\n\n"},
}


def document_responses() -> dict[str, Any]:
    """Return the responses by status; of the keys that match a status, the most specific applies."""
    contents = {media_type: _CONTENTS.get(media_type, {"schema": TEXT}) for media_type, _ in media_types()}
    invalid_controls = {"anyOf": [reference("schemas", "Mistaken"), reference("schemas", "Shown")]}
    descriptions = {
        "200": "The reflection in the requested format, or the body requested with `echo_body` or `echo_size`.",
        "204": "No content: all requested events were sent before, or the status was requested.",
        "302": "The reflection, with the target of `echo_redirect` in Location.",
        "400": "A control is invalid, with the reason; or the request is malformed.",
        "406": "None of the types in `Accept` is available; the body lists the available ones.",
        "503": "One of the first attempts with `echo_fail_first`; or a connection or memory limit was reached.",
        "2XX": "As 200, with the requested status.",
        "3XX": "As 200, with the requested status or that of a dialect.",
        "4XX": "As 200, with the requested status or that of a dialect; or the request is malformed.",
        "5XX": "As 200, with the requested status; or 501 for CONNECT.",
    }
    responses = {status: _document_response(description, contents) for status, description in descriptions.items()}
    del responses["204"]["content"]
    responses["302"]["headers"] |= {"Location": reference("headers", "Location")}
    responses["400"]["content"] = contents | {JSON: {"schema": invalid_controls}}
    for status in ("400", "4XX", "503", "5XX"):  # a request that was not parsed has no ID
        responses[status]["headers"] |= {REQUEST_ID: dict(HEADERS[REQUEST_ID], required=False)}
    return responses


def _document_response(description: str, contents: Mapping[str, Any]) -> dict[str, Any]:
    names = (REQUEST_ID, *(name for name, _ in SECURITY_HEADERS), "Content-Encoding")
    return {
        "description": description,
        "headers": {name: reference("headers", name) for name in names},
        "content": dict(contents),
    }
