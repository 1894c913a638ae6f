"""WSGI gateway: from a request to an environ to a response (PEP 3333)."""

import io
import sys
from collections.abc import Callable
from typing import Final, NamedTuple

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
    percent_decode,
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
    """Return an environ derived from a request's head and its listener, with placeholders for all other keys.

    To replace a value is faster than to add a key.
    """
    path, query = split_target(request.target)
    if not path.startswith(b"/"):  # asterisk- and authority-form; PATH_INFO begins with a slash (RFC 3875, 4.1.5)
        path = b"/" + path
    environ: Environ = {
        **listener.environ,
        **_PLACEHOLDERS,
        "REQUEST_METHOD": request.method.decode("ascii"),
        "PATH_INFO": percent_decode(path).decode("latin-1"),
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


_PLACEHOLDERS: Final[Environ] = dict.fromkeys(
    ("REMOTE_ADDR", "REMOTE_PORT", "wsgi.url_scheme", "wsgi.input", CONNECTION_KEY, REQUEST_KEY, DRAINING_KEY)
)


class _StartResponse:
    """WSGI's `start_response`: stores status and headers, and what is written with the returned callable (PEP 3333).

    It is a class because a nested function would be created again for every request, with its annotations.
    """

    __slots__ = ("status_and_headers", "written_pieces")

    def __init__(self) -> None:
        self.status_and_headers: tuple[str, list[tuple[str, str]]] | None = None
        self.written_pieces: list[bytes] = []

    def __call__(
        self, status: str, headers: list[tuple[str, str]], _exc_info: object = None
    ) -> Callable[[bytes], object]:
        self.status_and_headers = status, headers
        return self.written_pieces.append


def run_application(application: Application, environ: Environ) -> WsgiResponse:
    """Call a WSGI application and return its response. Exceptions of the application propagate.

    The pieces of a streamed response are not iterated here, if the application has called `start_response` before it
    returned them; others are joined.
    """
    start_response = _StartResponse()
    pieces = application(environ, start_response)
    body_pieces, options = start_response.written_pieces, environ.get(RESPONSE_OPTIONS_KEY, NO_OPTIONS)
    if options.is_streamed and start_response.status_and_headers is not None:
        return WsgiResponse(
            *start_response.status_and_headers, b"".join(body_pieces), options, pieces, environ.get(RESPONSE_INFO_KEY)
        )
    try:
        body_pieces.extend(pieces)
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()
    if start_response.status_and_headers is None:
        raise RuntimeError("the application has not called start_response")
    body = body_pieces[0] if len(body_pieces) == 1 else b"".join(body_pieces)
    return WsgiResponse(
        *start_response.status_and_headers,
        body,
        environ.get(RESPONSE_OPTIONS_KEY, NO_OPTIONS),
        None,
        environ.get(RESPONSE_INFO_KEY),
    )


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
