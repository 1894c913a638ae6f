"""The Bottle applications: what is answered on which port. Plain WSGI; they know no sockets."""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

import bottle
import msgspec

from app import __version__
from app.answers import ANSWERS, HEADERS, HTML, JSON
from app.identity import Identity
from app.negotiation import preferred
from app.trailers import accepts_trailers, echoed_trailers
from app.wire import (
    DRAINING_KEY,
    EFFECTS_KEY,
    WEBSOCKET_KEY,
    Application,
    Effects,
    Environ,
    connection_of,
    request_of,
)

# Every path, also one with a line break in it, which `.` would leave out.
_EVERY_PATH = r"/<:re:[\s\S]*>"
_EVERY_METHOD = "ANY"


def _application() -> bottle.Bottle:
    application = bottle.Bottle()
    # A fault goes through to the server, which logs it and answers; Bottle would answer a page of HTML.
    application.config["catchall"] = False
    return application


def _answer(body: bytes, media_type: str, status: HTTPStatus = HTTPStatus.OK) -> bottle.HTTPResponse:
    return bottle.HTTPResponse(body, status.value, HEADERS[media_type])


def _json(value: object, status: HTTPStatus = HTTPStatus.OK) -> bottle.HTTPResponse:
    return _answer(msgspec.json.encode(value) + b"\n", JSON, status)


def echo(identity: Identity) -> bottle.Bottle:
    """Give the application of the port that echoes: every method, every path."""
    application = _application()

    def reflected() -> bottle.HTTPResponse:
        environ = bottle.request.environ
        request = request_of(environ)
        media_type = _media_type(environ)
        if request.trailers and accepts_trailers(request):
            environ[EFFECTS_KEY] = Effects(trailers=echoed_trailers(request.trailers))
        # A 2xx answer to CONNECT would open a tunnel (RFC 9110, 9.3.6), and its body would never be read as one.
        status = HTTPStatus.NOT_IMPLEMENTED if request.method == b"CONNECT" else HTTPStatus.OK
        if WEBSOCKET_KEY in environ:
            status = HTTPStatus.OK  # over HTTP/2 its method is CONNECT (RFC 8441, 4)
        return _answer(ANSWERS[media_type](request, connection_of(environ), identity), media_type, status)

    application.route(_EVERY_PATH, _EVERY_METHOD, reflected)
    return application


def _media_type(environ: Environ) -> str:
    """Give what the answer is to be. A WebSocket's first message is the reflection: nobody names types there."""
    accept = environ.get("HTTP_ACCEPT", "")
    if WEBSOCKET_KEY in environ and accept in {"", "*/*"}:
        return JSON
    return preferred(accept, tuple(ANSWERS)) or HTML


def admin() -> bottle.Bottle:
    """Give the application of the cluster's port: liveness, readiness, version; all else is 404 in JSON.

    Kubernetes takes any status from 200 to 399 for success.
    https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/
    """
    routes = {"/livez": _live, "/readyz": _ready, "/version": _version}

    def unknown() -> bottle.HTTPResponse:
        return _json({"error": "not found", "known": list(routes)}, HTTPStatus.NOT_FOUND)

    application = _application()
    for path, handler in routes.items():
        application.route(path, "GET", handler)
    application.route(_EVERY_PATH, _EVERY_METHOD, unknown)
    return application


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
