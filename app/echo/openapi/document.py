"""The OpenAPI document (3.1) of one server, with both of its ports.

It describes the server as configured, and is generated from the tables that the code uses.
https://spec.openapis.org/oas/v3.1.1.html
"""

from collections.abc import Collection, Iterable
from typing import Any, Final

from app import __version__
from app.config.addresses import reachable_host
from app.config.settings import Settings
from app.echo.controls.parse import PARAMETER_PREFIXES
from app.echo.openapi.parameters import parameters
from app.echo.openapi.responses import DEFINITIONS, HEADERS, SCHEMAS, TEXT, document_responses, reference
from app.echo.openapi.schema import Definitions, Schema, schema_of
from app.echo.reflection.model import Reflection
from app.http.response import JSON, SECURITY_HEADERS

VERSION: Final = "3.1.1"
# The methods that a document can describe. https://spec.openapis.org/oas/v3.1.1.html#path-item-object
METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_METHODS_WITH_BODY: Final = frozenset(("put", "post", "patch"))

_DESCRIPTION: Final = f"""\
Shows exactly what arrived. The echo port responds to every method on every path. OpenAPI can't express that:
`/{{path}}` stands for any path, of any number of segments, or none, and the listed methods stand for any other. The
response to CONNECT is 501; after a WebSocket upgrade the first message is the reflection.

`Accept` selects the response format (RFC 9110, 12.5.1); `{PARAMETER_PREFIXES[0]}format` takes precedence over it.
Controls are query parameters, such as `echo_status` or `echo-status`, or headers, such as `X-Echo-Status`. An invalid
control is rejected with 400. Unknown and disabled controls are ignored, and `applied` lists them with the reason.
"""


def document(settings: Settings, metrics: Collection[str] = ()) -> dict[str, Any]:
    """Return the document of a server with these settings and these media types of metrics."""
    definitions: Definitions = dict(DEFINITIONS)
    schema_of(Reflection, SCHEMAS, definitions)
    control_parameters = parameters(settings)
    return {
        "openapi": VERSION,
        "info": {
            "title": "echo",
            "version": __version__,
            "summary": "Shows exactly what arrived.",
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [_server(settings, settings.port, "The echo port")],
        "tags": [
            {"name": "echo", "description": "Every method, every path"},
            {"name": "cluster", "description": "For the cluster, on a port of its own; not echoed"},
        ],
        "paths": {"/{path}": _every_path(control_parameters), **_cluster_paths(settings, metrics)},
        "components": {
            "schemas": definitions,
            "parameters": control_parameters,
            "headers": dict(HEADERS),
            "responses": {f"Answer{status}": response for status, response in document_responses().items()},
        },
    }


def _server(settings: Settings, port: int, description: str) -> dict[str, Any]:
    host = reachable_host(settings.host)
    schemes = ["http"]
    if port == settings.port and settings.tls_cert:
        schemes = ["https"] if settings.tls_only == "on" else ["http", "https"]
    return {
        "url": "{scheme}://{host}:{port}",
        "description": description,
        "variables": {
            "scheme": {"enum": schemes, "default": schemes[0]},
            "host": {"default": f"[{host}]" if ":" in host else host},
            "port": {"default": str(port)},
        },
    }


def _every_path(parameter_names: Iterable[str]) -> dict[str, Any]:
    path = {
        "name": "path",
        "in": "path",
        "required": True,
        "description": "Any path, with any number of segments or none.",
        "schema": TEXT,
        "example": "blah/blah",
    }
    item: dict[str, Any] = {"parameters": [path, *(reference("parameters", name) for name in parameter_names)]}
    for method in METHODS:
        item[method] = {
            "operationId": f"echo_{method}",
            "summary": f"Shows the {method.upper()} request that arrived",
            "tags": ["echo"],
            "responses": _without_content() if method == "head" else _with_content(),
        }
        if method in _METHODS_WITH_BODY:
            item[method]["requestBody"] = {"description": "Anything.", "content": {"*/*": {}}}
    return item


def _with_content() -> dict[str, Any]:
    return {status: reference("responses", f"Answer{status}") for status in document_responses()}


def _without_content() -> dict[str, Any]:
    """Return the responses to HEAD, which have the headers of those to GET, and no content (RFC 9110, 9.3.2)."""
    return {
        status: {key: response[key] for key in ("description", "headers")}
        for status, response in document_responses().items()
    }


def _cluster_paths(settings: Settings, metrics: Collection[str]) -> dict[str, Any]:
    """Return the path items of the admin port."""
    servers = [_server(settings, settings.admin_port, "The admin port")]
    endpoints = {
        "/livez": ("Liveness", {"200": _json_response("It lives", "status")}),
        "/readyz": (
            "Readiness",
            {"200": _json_response("Ready for requests", "status"), "503": _json_response("Shutting down", "status")},
        ),
        "/version": ("The version of echo", {"200": _json_response("The version", "version")}),
        "/openapi.json": ("This document", {"200": _json_response("This document", "openapi", "info", "paths")}),
    }
    if settings.metrics == "on":
        endpoints["/metrics"] = ("Metrics for Prometheus", {"200": _metrics(metrics)})
    return {
        path: {
            "servers": servers,
            "get": {
                "operationId": path[1:].partition(".")[0],
                "summary": summary,
                "tags": ["cluster"],
                "responses": responses,
            },
        }
        for path, (summary, responses) in endpoints.items()
    }


def _metrics(media_types: Collection[str]) -> dict[str, Any]:
    response = _json_response("The metrics of all workers")
    return response | {"content": {media_type: {"schema": TEXT} for media_type in media_types}}


def _json_response(description: str, *names: str) -> dict[str, Any]:
    headers = {name: reference("headers", name) for name, _ in SECURITY_HEADERS}
    schema: Schema = {"type": "object", "required": list(names)}
    return {"description": description, "headers": headers, "content": {JSON: {"schema": schema}}}
