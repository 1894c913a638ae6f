"""The Bottle applications of the echo port and the admin port.

They are plain WSGI applications, independent of sockets.
"""

from collections.abc import Callable, Collection, Iterable
from functools import cache
from http import HTTPStatus
from typing import Any

import msgspec

from app import __version__
from app.config.settings import Settings
from app.echo.bottle_app import FastBottle, Handler
from app.echo.handler import EchoHandler
from app.echo.openapi.document import document
from app.http.request import CALL_KEY, DRAINING_KEY, NO_OPTIONS, RESPONSE_OPTIONS_KEY, Application, Environ
from app.http.response import JSON, SECURITY_HEADERS, Response

MetricsEncoder = Callable[[str], tuple[bytes, str]]  # from an Accept header to the metrics and their media type

# Every path, including one with a line break, which `.` would not match.
_ANY_PATH = r"/<:re:[\s\S]*>"
_ANY_METHOD = "ANY"


def _json_response(value: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(status.value, (("Content-Type", JSON), *SECURITY_HEADERS), msgspec.json.encode(value) + b"\n")


def echo_app(echo_handler: EchoHandler, call_handler: Handler | None = None) -> FastBottle:
    """Return the application of the echo port: every method, every path.

    If `call_handler` is set, it handles the requests for gRPC calls.
    """

    def handle_request(environ: Environ) -> Response:
        if call_handler is not None and CALL_KEY in environ:
            return call_handler(environ)
        response = echo_handler.handle(environ)
        if response.options != NO_OPTIONS:
            environ[RESPONSE_OPTIONS_KEY] = response.options
        return response

    application = FastBottle()
    application.add_handler(_ANY_PATH, _ANY_METHOD, handle_request)
    return application


def admin_app(
    settings: Settings, metrics: MetricsEncoder | None = None, media_types: Collection[str] = ()
) -> FastBottle:
    """Return the application of the admin port: liveness, readiness, version, OpenAPI, and metrics if enabled.

    `media_types` are those that the metrics are available in. All other requests get 404 in JSON.

    Kubernetes treats any status from 200 to 399 as success.
    https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/
    """
    # Generated on the first request, not at every start.
    openapi_response = cache(lambda: _json_response(document(settings, media_types)))
    routes: dict[str, Handler] = {
        "/livez": _live,
        "/readyz": _ready,
        "/version": _version,
        "/openapi.json": lambda _: openapi_response(),
    }
    if metrics is not None:
        routes["/metrics"] = lambda environ: _metrics_response(metrics, environ)

    def handle_unknown(_: Environ) -> Response:
        return _json_response({"error": "not found", "known": list(routes)}, HTTPStatus.NOT_FOUND)

    application = FastBottle()
    for path, handler in routes.items():
        application.add_handler(path, "GET", handler)
    application.add_handler(_ANY_PATH, _ANY_METHOD, handle_unknown)
    return application


def _metrics_response(metrics: MetricsEncoder, environ: Environ) -> Response:
    body, media_type = metrics(environ.get("HTTP_ACCEPT", ""))
    return Response(HTTPStatus.OK.value, (("Content-Type", media_type), *SECURITY_HEADERS), body)


def _live(_: Environ) -> Response:
    return _json_response({"status": "live"})


def _ready(environ: Environ) -> Response:
    if environ.get(DRAINING_KEY):
        return _json_response({"status": "draining"}, HTTPStatus.SERVICE_UNAVAILABLE)
    return _json_response({"status": "ready"})


def _version(_: Environ) -> Response:
    return _json_response({"version": __version__})


def dispatch_by_port(applications: dict[int, Application]) -> Application:
    """Return an application that passes each request to the application of the port that received it."""
    by_name = {str(port): application for port, application in applications.items()}

    def dispatch(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        return by_name[environ["SERVER_PORT"]](environ, start_response)

    return dispatch
