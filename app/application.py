"""The Bottle applications: what is answered on which port. Plain WSGI; they know no sockets."""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

import bottle
import msgspec

from app import __version__
from app.answer import HARMLESS, JSON
from app.described.openapi import document
from app.echo import Echo
from app.settings import Settings
from app.wire import DRAINING_KEY, EFFECTS_KEY, NO_EFFECTS, Application, Environ

Metrics = Callable[[str], tuple[bytes, str]]  # from an Accept field to the metrics and their media type

# Every path, also one with a line break in it, which `.` would leave out.
_EVERY_PATH = r"/<:re:[\s\S]*>"
_EVERY_METHOD = "ANY"


def _application() -> bottle.Bottle:
    application = bottle.Bottle()
    # A fault goes through to the server, which logs it and answers; Bottle would answer a page of HTML.
    application.config["catchall"] = False
    return application


def _json(value: object, status: HTTPStatus = HTTPStatus.OK) -> bottle.HTTPResponse:
    return bottle.HTTPResponse(
        msgspec.json.encode(value) + b"\n", status.value, {"Content-Type": JSON, **dict(HARMLESS)}
    )


def echo(echoing: Echo) -> bottle.Bottle:
    """Give the application of the port that echoes: every method, every path."""
    application = _application()

    def reflected() -> bottle.HTTPResponse:
        environ = bottle.request.environ
        outcome = echoing.answer(environ)
        if outcome.effects is not NO_EFFECTS:
            environ[EFFECTS_KEY] = outcome.effects
        return bottle.HTTPResponse(outcome.body, outcome.status, outcome.fields)

    application.route(_EVERY_PATH, _EVERY_METHOD, reflected)
    return application


def admin(settings: Settings, metrics: Metrics | None = None) -> bottle.Bottle:
    """Give the application of the cluster's port: liveness, readiness, version, OpenAPI, metrics if there are any.

    All else is 404 in JSON.

    Kubernetes takes any status from 200 to 399 for success.
    https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/
    """
    described = document(settings)
    routes = {"/livez": _live, "/readyz": _ready, "/version": _version, "/openapi.json": lambda: _json(described)}
    if metrics is not None:
        routes["/metrics"] = lambda: _told(metrics)

    def unknown() -> bottle.HTTPResponse:
        return _json({"error": "not found", "known": list(routes)}, HTTPStatus.NOT_FOUND)

    application = _application()
    for path, handler in routes.items():
        application.route(path, "GET", handler)
    application.route(_EVERY_PATH, _EVERY_METHOD, unknown)
    return application


def _told(metrics: Metrics) -> bottle.HTTPResponse:
    body, media_type = metrics(bottle.request.environ.get("HTTP_ACCEPT", ""))
    return bottle.HTTPResponse(body, HTTPStatus.OK.value, {"Content-Type": media_type, **dict(HARMLESS)})


def _live() -> bottle.HTTPResponse:
    return _json({"status": "live"})


def _ready() -> bottle.HTTPResponse:
    if bottle.request.environ.get(DRAINING_KEY):
        return _json({"status": "draining"}, HTTPStatus.SERVICE_UNAVAILABLE)
    return _json({"status": "ready"})


def _version() -> bottle.HTTPResponse:
    return _json({"version": __version__})


def by_port(applications: dict[int, Application]) -> Application:
    """Give one application that hands each request to that of the port on which it came."""
    by_name = {str(port): application for port, application in applications.items()}

    def dispatch(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        return by_name[environ["SERVER_PORT"]](environ, start_response)

    return dispatch
