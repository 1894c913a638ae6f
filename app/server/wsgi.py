"""WSGI gateway: from a request to an environ to a response (PEP 3333)."""

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
    """Return the part of the environ that is the same for every request of a listener."""
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
    """Return the WSGI environ of one request, including the request itself.

    Headers that CGI names can't represent are omitted: names with `_` would be taken for names with `-`. The request
    has them.
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
    """Return an environ derived from a request's head and its listener, with placeholders for all other keys.

    To replace a value is faster than to add a key.
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
        if key in environ:  # there may be several Cookie headers (RFC 9113, 8.2.3), and they are no list
            text = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{text}"
        environ[key] = text
    if request.pseudo and request.authority and "HTTP_HOST" not in environ:
        environ["HTTP_HOST"] = request.authority.decode("latin-1")  # RFC 9113, 8.3.1: it replaces Host
    return environ


_PLACES: Final[Environ] = dict.fromkeys(
    ("REMOTE_ADDR", "REMOTE_PORT", "wsgi.url_scheme", "wsgi.input", CONNECTION_KEY, REQUEST_KEY, DRAINING_KEY)
)


class _Start:
    """WSGI's `start_response`: stores status and headers, and what is written with the returned callable (PEP 3333).

    It is a class because a nested function would be created again for every request, with its annotations.
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
    """Call a WSGI application and return its response. Exceptions of the application propagate.

    The pieces of a streamed response are not iterated here, if the application has called `start_response` before it
    returned them; others are joined.
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
    """When a request's head had arrived, by the exact clock, and the bytes of both bodies."""

    begun: float
    sent: int
    received: int


class Gateway:
    """Gateway of one connection to the application, and to the observer of its responses."""

    __slots__ = ("_connection", "_listener", "_service", "watch")

    def __init__(self, listener: Listener, connection: ConnectionInfo, service: Service) -> None:
        self._listener = listener
        self._connection = connection
        self._service = service
        self.watch = listener.watch

    def ask(self, request: WireRequest, *, websocket: bool = False, as_call: bool = False) -> Response:
        """Return the application's response to a request, or 500 if it fails, which is logged.

        For a WebSocket's first message only the response's body counts. With `as_call` the request's body has not
        arrived: the response is only a head, if its effects contain a call.
        """
        environ = environ_of(request, self._listener, self._connection, draining=self._service.draining)
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
        """Report a response to the observer."""
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
        """Report an opened WebSocket, with its first message."""
        seconds = self._service.exact() - begun
        self.watch.answered(
            Answered(request, self._connection, response.status, greeting.about, seconds, 0, 0, protocol=WEBSOCKET)
        )

    def refused(self, error: ProtocolError, request: WireRequest, count: Count) -> None:
        """Report a rejected request, and why."""
        self.watch.refused(reason_of(error))
        status, seconds = str(error.status.value), self._service.exact() - count.begun
        self.watch.answered(
            Answered(request, self._connection, status, None, seconds, count.sent, count.received, why=error.reason)
        )
