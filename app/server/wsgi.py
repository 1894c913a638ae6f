"""WSGI gateway: from a request to an environ to a response (PEP 3333)."""

import io
import sys
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from app.http.errors import ProtocolError, format_app_error
from app.http.headers.names import cgi_key
from app.http.observer import APPLICATION_FAILED, OVER_MEMORY_BUDGET, WEBSOCKET, reason_label
from app.http.record import RequestRecord
from app.http.request import (
    CALL_KEY,
    CONNECTION_KEY,
    DRAINING_KEY,
    NO_OPTIONS,
    REQUEST_KEY,
    RESPONSE_INFO_KEY,
    RESPONSE_OPTIONS_KEY,
    WEBSOCKET_KEY,
    Application,
    ConnectionInfo,
    Environ,
    HttpRequest,
    memoize,
    split_target,
)
from app.server.response import INTERNAL_ERROR_RESPONSE, OVER_BUDGET_RESPONSE, WsgiResponse
from app.server.response_body import buffered_size, close_pieces
from app.server.state import ServerState
from app.server.transport_filters import ListenerConfig


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


def build_environ(
    request: HttpRequest, listener: ListenerConfig, connection: ConnectionInfo, *, draining: bool
) -> Environ:
    """Return the WSGI environ of one request, including the request itself.

    Headers that CGI names can't represent are omitted: names with `_` would be taken for names with `-`. The request
    has them.
    """
    environ = memoize(request, listener, _base_environ, listener)
    if request.memo is not None:
        environ = environ.copy()
    client = connection.client
    environ["REMOTE_ADDR"] = client.address
    environ["REMOTE_PORT"] = str(client.port)
    environ["wsgi.url_scheme"] = "https" if connection.tls else "http"
    environ["wsgi.input"] = io.BytesIO()
    environ[CONNECTION_KEY] = connection
    environ[REQUEST_KEY] = request
    environ[DRAINING_KEY] = draining
    return environ


def _base_environ(request: HttpRequest, listener: ListenerConfig) -> Environ:
    """Return the part of the environ that is derived from a request's head and its listener."""
    path, query = split_target(request.target)
    if not path.startswith(b"/"):  # asterisk- and authority-form; PATH_INFO begins with a slash (RFC 3875, 4.1.5)
        path = b"/" + path
    environ: Environ = {
        **listener.environ,
        "REQUEST_METHOD": request.method.decode("ascii"),
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query.decode("latin-1"),
        "SERVER_PROTOCOL": request.version,
    }
    for name, value in request.headers:
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


# Annotations of a nested function are evaluated at each call: written in full, they took 7 % of a bare response's
# instructions.
_Headers = list[tuple[str, str]]
_Write = Callable[[bytes], object]


def run_application(application: Application, environ: Environ) -> WsgiResponse:
    """Call a WSGI application and return its response. Exceptions of the application propagate.

    The pieces of a streamed response are not iterated here, if the application has called `start_response` before it
    returned them; others are joined.
    """
    started: list[tuple[str, _Headers]] = []
    written_pieces: list[bytes] = []

    def start_response(status: str, headers: _Headers, _exc_info: object = None) -> _Write:
        started.append((status, headers))
        return written_pieces.append

    pieces = application(environ, start_response)
    options = environ.get(RESPONSE_OPTIONS_KEY, NO_OPTIONS)
    if options.is_streamed and started:
        return WsgiResponse(*started[-1], b"".join(written_pieces), options, pieces, environ.get(RESPONSE_INFO_KEY))
    try:
        written_pieces.extend(pieces)
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()
    if not started:
        raise RuntimeError("the application has not called start_response")
    body = written_pieces[0] if len(written_pieces) == 1 else b"".join(written_pieces)
    # Read again: an application that is a generator sets its options with the first piece.
    options = environ.get(RESPONSE_OPTIONS_KEY, NO_OPTIONS)
    return WsgiResponse(*started[-1], body, options, None, environ.get(RESPONSE_INFO_KEY))


class Transfer(NamedTuple):
    """When a request's head had arrived, by the exact clock, and the bytes of both bodies."""

    started_at: float
    sent_bytes: int
    received_bytes: int


class WsgiGateway:
    """Gateway of one connection to the application, and to the observer of its responses."""

    __slots__ = ("_connection", "_listener", "_state", "observer")

    def __init__(self, listener: ListenerConfig, connection: ConnectionInfo, state: ServerState) -> None:
        self._listener = listener
        self._connection = connection
        self._state = state
        self.observer = listener.observer

    def call_application(self, request: HttpRequest, *, websocket: bool = False, as_grpc: bool = False) -> WsgiResponse:
        """Return the application's response to a request, or 500 if it fails, which is logged.

        For a WebSocket's first message only the response's body counts. With `as_grpc` the request's body has not
        arrived: the response is only a head, if its effects contain a call.
        """
        environ = build_environ(request, self._listener, self._connection, draining=self._state.draining)
        if websocket:
            environ[WEBSOCKET_KEY] = True
        elif as_grpc:
            environ[CALL_KEY] = True
        try:
            response = run_application(self._listener.application, environ)
        except Exception as error:  # noqa: BLE001 - a fault of the application ends one request, not the worker
            self._state.report(format_app_error(error))
            self.observer.record_rejection(APPLICATION_FAILED)
            return INTERNAL_ERROR_RESPONSE
        if (size := buffered_size(response)) and not self._state.memory_budget.has_room(size):
            close_pieces(response.pieces, self._state.report)
            self.observer.record_rejection(OVER_MEMORY_BUDGET)
            return OVER_BUDGET_RESPONSE
        return response

    def report_response(
        self, request: HttpRequest, response: WsgiResponse, transfer: Transfer, *, complete: bool = True
    ) -> None:
        """Report a response to the observer."""
        self.observer.record_request(
            RequestRecord(
                request,
                self._connection,
                response.status,
                response.info,
                self._state.perf_counter() - transfer.started_at,
                transfer.sent_bytes,
                transfer.received_bytes,
                complete,
            )
        )

    def report_websocket(
        self, request: HttpRequest, response: WsgiResponse, greeting: WsgiResponse, started_at: float
    ) -> None:
        """Report an opened WebSocket, with its first message."""
        seconds = self._state.perf_counter() - started_at
        self.observer.record_request(
            RequestRecord(request, self._connection, response.status, greeting.info, seconds, 0, 0, protocol=WEBSOCKET)
        )

    def report_rejection(self, error: ProtocolError, request: HttpRequest, transfer: Transfer) -> None:
        """Report a rejected request, and why."""
        self.observer.record_rejection(reason_label(error))
        status, seconds = str(error.status.value), self._state.perf_counter() - transfer.started_at
        self.observer.record_request(
            RequestRecord(
                request,
                self._connection,
                status,
                None,
                seconds,
                transfer.sent_bytes,
                transfer.received_bytes,
                error=error.reason,
            )
        )
