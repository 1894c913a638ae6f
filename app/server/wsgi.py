"""The seam to the application: a wire request becomes a WSGI environ, what comes back an answer (PEP 3333)."""

import io
import sys
from collections.abc import Callable
from typing import Final, NamedTuple

from app.http.errors import ProtocolError, failure
from app.http.headers.names import cgi_key
from app.http.observer import APPLICATION_FAILED, OVER_MEMORY_BUDGET, WEBSOCKET, reason_of
from app.http.record import Answered
from app.http.request import (
    ABOUT_KEY,
    CALL_KEY,
    CONNECTION_KEY,
    DRAINING_KEY,
    EFFECTS_KEY,
    NO_EFFECTS,
    REQUEST_KEY,
    WEBSOCKET_KEY,
    Application,
    ConnectionInfo,
    Environ,
    WireRequest,
    once,
    split_target,
    unquoted,
)
from app.server.response import FAILED, FULL, Response
from app.server.response_body import close_pieces, held
from app.server.state import Service
from app.server.transport_filters import Listener


def server_environ(host: str, port: int, *, multiprocess: bool) -> Environ:
    """Give the part of the environ that is the same for every request of a listener."""
    return {
        "SCRIPT_NAME": "",
        "SERVER_NAME": host,
        "SERVER_PORT": str(port),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": multiprocess,
        "wsgi.run_once": False,
    }


def environ_of(request: WireRequest, listener: Listener, info: ConnectionInfo, *, draining: bool) -> Environ:
    """Give the WSGI environ of one request, with the request itself in it.

    What CGI names can't hold is not in it: names with `_`, which would pass for names with `-`. The request has them.
    """
    environ = once(request, listener, _begun, listener)
    if request.made is not None:
        environ = environ.copy()
    client = info.client
    environ["REMOTE_ADDR"] = client.address
    environ["REMOTE_PORT"] = str(client.port)
    environ["wsgi.url_scheme"] = "https" if info.tls else "http"
    environ["wsgi.input"] = io.BytesIO()
    environ[CONNECTION_KEY] = info
    environ[REQUEST_KEY] = request
    environ[DRAINING_KEY] = draining
    return environ


def _begun(request: WireRequest, listener: Listener) -> Environ:
    """Give an environ with what follows from a request's head and its listener, and with places for all the rest.

    To put something in its place is faster than to make room for it.
    """
    path, query = split_target(request.target)
    if not path.startswith(b"/"):  # asterisk- and authority-form; PATH_INFO begins with a slash (RFC 3875, 4.1.5)
        path = b"/" + path
    environ: Environ = {
        **listener.environ,
        **_PLACES,
        "REQUEST_METHOD": request.method.decode("ascii"),
        "PATH_INFO": unquoted(path).decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
        "SERVER_PROTOCOL": request.version,
    }
    for name, value in request.fields:
        key = cgi_key(name)
        if key is None:
            continue
        text = value.decode("latin-1")
        if key in environ:  # cookies may come in several fields (RFC 9113, 8.2.3), and are no list
            text = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{text}"
        environ[key] = text
    if request.pseudo and request.authority and "HTTP_HOST" not in environ:
        environ["HTTP_HOST"] = request.authority.decode("latin-1")  # RFC 9113, 8.3.1: it stands for Host
    return environ


_PLACES: Final[Environ] = dict.fromkeys(
    ("REMOTE_ADDR", "REMOTE_PORT", "wsgi.url_scheme", "wsgi.input", CONNECTION_KEY, REQUEST_KEY, DRAINING_KEY)
)


class _Start:
    """WSGI's `start_response`: keeps what an answer begins with, and what is written by it (PEP 3333).

    A class, since a function within another is made anew with every request, and its annotations with it.
    """

    __slots__ = ("begun", "written")

    def __init__(self) -> None:
        self.begun: tuple[str, list[tuple[str, str]]] | None = None
        self.written: list[bytes] = []

    def __call__(
        self, status: str, headers: list[tuple[str, str]], _exc_info: object = None
    ) -> Callable[[bytes], object]:
        self.begun = status, headers
        return self.written.append


def call(application: Application, environ: Environ) -> Response:
    """Call a WSGI application and give its answer. What it raises goes through.

    The pieces of an answer that is streamed are not asked for, if it has begun when they are there; others are joined.
    """
    start = _Start()
    pieces = application(environ, start)
    written, effects = start.written, environ.get(EFFECTS_KEY, NO_EFFECTS)
    if effects.streamed and start.begun is not None:
        return Response(*start.begun, b"".join(written), effects, pieces, environ.get(ABOUT_KEY))
    try:
        written.extend(pieces)
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()
    if start.begun is None:
        raise RuntimeError("the application has not called start_response")
    body = written[0] if len(written) == 1 else b"".join(written)
    return Response(*start.begun, body, environ.get(EFFECTS_KEY, NO_EFFECTS), None, environ.get(ABOUT_KEY))


class Count(NamedTuple):
    """When a request's head had come, by the service's exact clock, and bytes of the two bodies."""

    begun: float
    sent: int
    received: int


class Gateway:
    """The way from one connection to the application, and to who watches what is answered."""

    __slots__ = ("_connection", "_listener", "_service", "watch")

    def __init__(self, listener: Listener, connection: ConnectionInfo, service: Service) -> None:
        self._listener = listener
        self._connection = connection
        self._service = service
        self.watch = listener.watch

    def ask(self, request: WireRequest, *, websocket: bool = False, as_call: bool = False) -> Response:
        """Give the application's answer to a request, or 500 where it fails: the fault goes to the log.

        Of what becomes a WebSocket's first message the body is all that counts. The body of what is asked for `as_call`
        has not come: what is answered is its head, if there is a call in the effects.
        """
        service = self._service
        draining = service.draining and not service.replaced
        environ = environ_of(request, self._listener, self._connection, draining=draining)
        if websocket:
            environ[WEBSOCKET_KEY] = True
        elif as_call:
            environ[CALL_KEY] = True
        try:
            response = call(self._listener.application, environ)
        except Exception as error:  # noqa: BLE001 - a fault of the application ends one request, not the worker
            self._service.report(failure(error))
            self.watch.refused(APPLICATION_FAILED)
            return FAILED
        if (size := held(response)) and not self._service.waiting.has_room(size):
            close_pieces(response.pieces, self._service.report)
            self.watch.refused(OVER_MEMORY_BUDGET)
            return FULL
        return response

    def answered(self, request: WireRequest, response: Response, count: Count, *, whole: bool = True) -> None:
        """Tell that a request was answered."""
        self.watch.answered(
            Answered(
                request,
                self._connection,
                response.status,
                response.about,
                self._service.exact() - count.begun,
                count.sent,
                count.received,
                whole,
            )
        )

    def upgraded(self, request: WireRequest, response: Response, greeting: Response, begun: float) -> None:
        """Tell that a WebSocket was opened, with a greeting."""
        seconds = self._service.exact() - begun
        self.watch.answered(
            Answered(request, self._connection, response.status, greeting.about, seconds, 0, 0, protocol=WEBSOCKET)
        )

    def refused(self, error: ProtocolError, request: WireRequest, count: Count) -> None:
        """Tell that a request was refused, and why."""
        self.watch.refused(reason_of(error))
        status, seconds = str(error.status.value), self._service.exact() - count.begun
        self.watch.answered(
            Answered(request, self._connection, status, None, seconds, count.sent, count.received, why=error.reason)
        )
