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
from app.echo.bottle_app import Handler, Routed
from app.echo.handler import Echo
from app.echo.openapi.document import document
from app.http.request import CALL_KEY, DRAINING_KEY, EFFECTS_KEY, NO_EFFECTS, Application, Environ
from app.http.response import HARMLESS, JSON, Sent

Metrics = Callable[[str], tuple[bytes, str]]  # from an Accept header to the metrics and their media type

# Every path, including one with a line break, which `.` would not match.
_EVERY_PATH = r"/<:re:[\s\S]*>"
_EVERY_METHOD = "ANY"


def _json(value: object, status: HTTPStatus = HTTPStatus.OK) -> Sent:
    return Sent(status.value, (("Content-Type", JSON), *HARMLESS), msgspec.json.encode(value) + b"\n")


def echo(echoing: Echo, called: Handler | None = None) -> Routed:
    """Return the application of the echo port: every method, every path.

    If `called` is set, it handles the requests for gRPC calls.
    """

    def reflected(environ: Environ) -> Sent:
        if called is not None and CALL_KEY in environ:
            return called(environ)
        outcome = echoing.answer(environ)
        if outcome.effects is not NO_EFFECTS:
            environ[EFFECTS_KEY] = outcome.effects
        return outcome

    application = Routed()
    application.handle(_EVERY_PATH, _EVERY_METHOD, reflected)
    return application


def admin(settings: Settings, metrics: Metrics | None = None, media_types: Collection[str] = ()) -> Routed:
    """Return the application of the admin port: liveness, readiness, version, OpenAPI, and metrics if enabled.

    `media_types` are those that the metrics are available in. All other requests get 404 in JSON.

    Kubernetes treats any status from 200 to 399 as success.
    https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/
    """
    # Generated on the first request, not at every start.
    described = cache(lambda: _json(document(settings, media_types)))
    routes: dict[str, Handler] = {
        "/livez": _live,
        "/readyz": _ready,
        "/version": _version,
        "/openapi.json": lambda _: described(),
    }
    if metrics is not None:
        routes["/metrics"] = lambda environ: _told(metrics, environ)

    def unknown(_: Environ) -> Sent:
        return _json({"error": "not found", "known": list(routes)}, HTTPStatus.NOT_FOUND)

    application = Routed()
    for path, handler in routes.items():
        application.handle(path, "GET", handler)
    application.handle(_EVERY_PATH, _EVERY_METHOD, unknown)
    return application


def _told(metrics: Metrics, environ: Environ) -> Sent:
    body, media_type = metrics(environ.get("HTTP_ACCEPT", ""))
    return Sent(HTTPStatus.OK.value, (("Content-Type", media_type), *HARMLESS), body)


def _live(_: Environ) -> Sent:
    return _json({"status": "live"})


def _ready(environ: Environ) -> Sent:
    if environ.get(DRAINING_KEY):
        return _json({"status": "draining"}, HTTPStatus.SERVICE_UNAVAILABLE)
    return _json({"status": "ready"})


def _version(_: Environ) -> Sent:
    return _json({"version": __version__})


def by_port(applications: dict[int, Application]) -> Application:
    """Return an application that passes each request to the application of the port that received it."""
    by_name = {str(port): application for port, application in applications.items()}

    def dispatch(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        return by_name[environ["SERVER_PORT"]](environ, start_response)

    return dispatch
