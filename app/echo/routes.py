"""The Bottle applications: what is answered on which port. Plain WSGI; they know no sockets."""

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

Metrics = Callable[[str], tuple[bytes, str]]  # from an Accept field to the metrics and their media type

# Every path, also one with a line break in it, which `.` would leave out.
_EVERY_PATH = r"/<:re:[\s\S]*>"
_EVERY_METHOD = "ANY"


def _json(value: object, status: HTTPStatus = HTTPStatus.OK) -> Sent:
    return Sent(status.value, (("Content-Type", JSON), *HARMLESS), msgspec.json.encode(value) + b"\n")


def echo(echoing: Echo, called: Handler | None = None) -> Routed:
    """Give the application of the port that echoes: every method, every path.

    A request that asks for a call is `called`'s to answer, where there is one.
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
    """Give the application of the cluster's port: liveness, readiness, version, OpenAPI, metrics if there are any.

    `media_types` are those in which the metrics may come. All else is 404 in JSON.

    Kubernetes takes any status from 200 to 399 for success.
    https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/
    """
    # Made for the first who asks, and not at each start.
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
    """Give one application that hands each request to that of the port on which it came."""
    by_name = {str(port): application for port, application in applications.items()}

    def dispatch(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        return by_name[environ["SERVER_PORT"]](environ, start_response)

    return dispatch
