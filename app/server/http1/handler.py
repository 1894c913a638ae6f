"""HTTP/1.1 protocol handler: requests of one connection in sequence.

Each request is answered before the next one is parsed (RFC 9112).
"""

from http import HTTPStatus
from typing import Final, cast

from msgspec import structs

from app.http.body import BodyReader
from app.http.errors import ProtocolError, over_budget
from app.http.observer import APPLICATION_FAILED, unparsed_request
from app.http.request import NO_OPTIONS, HttpRequest
from app.server.http1.events import RequestHead
from app.server.http1.parser import BodyData, Event, RequestEnd, RequestParser
from app.server.http1.response_writer import Http1ResponseWriter, connection_header
from app.server.protocol import Transport
from app.server.response import (
    CONTINUE,
    INTERNAL_ERROR_RESPONSE,
    WsgiResponse,
    encode_response,
    error_response,
    has_content,
)
from app.server.state import ConnectionPhase, InFlight, ServerState
from app.server.websocket.echo import WebSocketEcho
from app.server.websocket.handler import WebSocketHandler
from app.server.websocket.handshake import accept_upgrade
from app.server.wsgi import Transfer, WsgiGateway

_REQUESTS_PER_TURN: Final = 100  # pipelined requests that are answered before other connections are served


class Http1Handler:
    """Protocol handler that reads requests and writes their responses."""

    __slots__ = (
        "_body_reader",
        "_body_started_at",
        "_gateway",
        "_head",
        "_head_received_at",
        "_is_finished",
        "_parser",
        "_phase",
        "_received_bytes",
        "_request_count",
        "_response_writer",
        "_saw_eof",
        "_state",
        "_transport",
    )  # fmt: skip

    def __init__(self, transport: Transport, gateway: WsgiGateway, state: ServerState) -> None:
        self._transport = transport
        self._gateway = gateway
        self._state = state
        self._parser = RequestParser(state.limits.request, state.http1_head_cache)
        self._head: RequestHead | None = None  # of a request without a response so far
        self._head_received_at = 0.0  # when that head arrived, by the exact clock
        self._body_reader: BodyReader | None = None  # of a body that has begun
        self._response_writer: Http1ResponseWriter | None = (
            None  # a response that takes time; meanwhile no request is parsed
        )
        self._phase = ConnectionPhase.IDLE
        self._request_count = 0  # number of requests answered
        self._body_started_at = 0.0  # when the body began, on the loop's clock
        self._received_bytes = 0  # bytes of the body
        self._saw_eof = False  # the client has sent EOF
        self._is_finished = False  # nothing is read any more, or another protocol handler reads

    @property
    def in_flight(self) -> InFlight:
        """Whether a request is in flight."""
        return InFlight(1 if self._head or self._response_writer else 0)

    def data_received(self, data: bytes) -> None:
        """Process bytes from the client."""
        if self._is_finished:
            return
        self._parser.feed(data)
        if not self._transport.is_blocked:
            self._process_events()

    def resume(self) -> None:
        """Resume when the client has read its responses, or with a response or a body that is processed in steps."""
        if self._response_writer and not self._advance_response(self._response_writer):
            return
        if self._body_reader and self._body_reader.has_work:
            self._body_reader.step()
        if self._body_reader and self._body_reader.has_work:
            self._transport.defer()
            return
        self._process_events()
        if self._response_writer:
            return
        self._transport.resume_reading()
        if self._saw_eof and not self._transport.is_blocked:
            self._close()

    def on_timer(self) -> None:
        """Resume a response of which more is due."""
        if self._response_writer:
            self.resume()

    def eof_received(self) -> None:
        """Process EOF from the client. Complete requests are still answered; an incomplete one is not."""
        self._saw_eof = True
        if not self._transport.is_blocked and not self._response_writer:
            self._close()

    def on_timeout(self) -> None:
        """End a connection whose deadline has passed: with 408 if a request is incomplete, otherwise silently."""
        if self._phase is ConnectionPhase.IDLE:
            self._close()
        elif self._response_writer:
            self._transport.abort()
        else:
            is_head = self._phase is ConnectionPhase.HEAD
            part = "head (ECHO_HEADER_TIMEOUT)" if is_head else "body (ECHO_BODY_TIMEOUT, ECHO_MIN_BODY_RATE)"
            self._reject(ProtocolError(HTTPStatus.REQUEST_TIMEOUT, f"timeout while receiving the request {part}"))

    def begin_shutdown(self) -> None:
        """End a response without a known end; otherwise the next response announces it by `Connection: close`."""
        if self._response_writer:
            self._response_writer.on_shutdown()

    def close_if_idle(self) -> None:
        """Close the connection if nothing is in flight."""
        if self._phase is ConnectionPhase.IDLE and not self._transport.is_blocked:
            self._close()

    @property
    def buffered_bytes(self) -> int:
        """Bytes buffered of a request in flight: its head counts twice, as text and as parsed headers."""
        if self._response_writer:
            request = self._response_writer.request
            return self._parser.buffered_bytes + 2 * len(request.head) + len(request.body.prefix)
        if self._head is None:
            return self._parser.buffered_bytes
        prefix_size = self._body_reader.prefix_length if self._body_reader else 0
        return self._parser.buffered_bytes + 2 * len(self._head.request.head) + prefix_size

    def reject_over_budget(self) -> None:
        """Reject an incomplete request. Data after a response is no more than what arrived with its request."""
        if not (self._response_writer or self._is_finished):
            self._reject(over_budget())

    def connection_lost(self) -> None:
        """Close a response in flight."""
        writer, self._response_writer = self._response_writer, None
        if writer:
            writer.close()
            self._report_response(writer, complete=False)

    def _process_events(self) -> None:
        """Process the events in the bytes so far."""
        if self._response_writer:
            return
        parser, transport = self._parser, self._transport
        try:
            while (event := parser.next_event()) is not None:
                self._handle_event(event)
                if transport.is_blocked or self._is_finished or self._response_writer:
                    return
        except ProtocolError as error:
            self._reject(error)
            return
        if not parser.is_within_request:
            self._enter_phase(ConnectionPhase.IDLE)
        elif parser.is_within_body:
            self._enter_body_phase()
        else:
            self._enter_phase(ConnectionPhase.HEAD)

    def _enter_phase(self, phase: ConnectionPhase) -> None:
        # The deadline of a phase is set once: bytes that trickle in don't extend it.
        if self._phase is not phase:
            self._phase = phase
            self._transport.set_phase(phase)

    def _enter_body_phase(self) -> None:
        if self._phase is not ConnectionPhase.BODY:
            self._phase = ConnectionPhase.BODY
            self._body_started_at = self._state.now()
        self._transport.set_phase(
            ConnectionPhase.BODY, self._state.body_deadline(self._body_started_at, self._received_bytes)
        )

    def _handle_event(self, event: Event) -> None:
        if isinstance(event, RequestHead):
            self._head, self._body_reader, self._received_bytes = event, None, 0
            self._head_received_at = self._state.perf_counter()
            if event.has_no_body:
                self._respond(event, event.request)
            elif event.expects_continue:
                self._transport.write(CONTINUE)
        elif isinstance(event, BodyData):
            self._body_reader = self._body_reader or self._state.new_body_reader(
                cast("RequestHead", self._head).request.headers
            )
            self._body_reader.add_piece(event.piece)
            self._received_bytes += len(event.piece)
            if self._body_reader.has_work:
                self._transport.defer()
        else:
            self._finish_body(event)

    def _finish_body(self, end: RequestEnd) -> None:
        head = cast("RequestHead", self._head)
        body_reader = self._body_reader or self._state.new_body_reader(head.request.headers)
        request = structs.replace(head.request, body=body_reader.finish(chunked=head.is_chunked), trailers=end.trailers)
        self._body_reader = None
        self._respond(head, request)

    def _respond(self, head: RequestHead, request: HttpRequest) -> None:
        self._request_count += 1
        if head.upgrades_to_websocket:
            self._open_websocket(head, request)
            return
        response = self._gateway.call_application(request)
        self._head = None  # an idle connection keeps nothing of it
        if response.options != NO_OPTIONS:
            self._start_paced_response(head, response)
            return
        state = self._state
        keep_alive = (
            head.keep_alive and not state.draining and self._request_count < state.limits.requests_per_connection
        )
        # Whatever comes next has its own deadline.
        self._phase = ConnectionPhase.IDLE
        self._transport.set_phase(ConnectionPhase.IDLE)
        connection = (
            ""
            if keep_alive and request.version != "HTTP/1.0"
            else connection_header(keep_alive=keep_alive, is_http10=True)
        )
        with_content = has_content(response, with_body=request.method != b"HEAD")
        self._write_response(response, connection, with_body=with_content)
        sent_bytes = len(response.body) if with_content else 0
        self._gateway.report_response(
            head.request, response, Transfer(self._head_received_at, sent_bytes, self._received_bytes)
        )
        if not keep_alive:
            self._is_finished = True
            self._transport.close_gracefully()
        elif not self._request_count % _REQUESTS_PER_TURN:
            self._transport.defer()  # other connections are served in between

    def _start_paced_response(self, head: RequestHead, response: WsgiResponse) -> None:
        """Start a response that takes time; until its end, nothing more is read from the connection."""
        is_last = self._request_count >= self._state.limits.requests_per_connection
        writer = Http1ResponseWriter(self._transport, self._state, head, response, is_last=is_last)
        self._response_writer, self._phase = writer, ConnectionPhase.RESPONSE
        self._advance_response(writer)
        if not writer.is_finished:
            self._transport.pause_reading()

    def _advance_response(self, writer: Http1ResponseWriter) -> bool:
        """Resume a response that takes time; return whether another request may be processed."""
        writer.send_due()
        if not writer.is_finished:
            return False
        self._response_writer = None
        self._report_response(writer, complete=writer.is_complete)
        if not writer.keep_alive:
            self._is_finished = True
            return False
        if not self._request_count % _REQUESTS_PER_TURN:
            self._transport.defer()
        return not self._transport.is_blocked

    def _report_response(self, writer: Http1ResponseWriter, *, complete: bool) -> None:
        """Report a response that took time to the observer."""
        response = writer.response
        if response is INTERNAL_ERROR_RESPONSE:
            self._gateway.observer.record_rejection(APPLICATION_FAILED)
        transfer = Transfer(self._head_received_at, writer.sent_bytes, self._received_bytes)
        self._gateway.report_response(writer.request, response, transfer, complete=complete)

    def _open_websocket(self, head: RequestHead, request: HttpRequest) -> None:
        """Accept the upgrade to WebSocket, and switch the connection to its protocol handler."""
        handshake = accept_upgrade(request)
        self._write_response(handshake.response, "Upgrade", with_body=False)
        echo = WebSocketEcho(handshake.extensions, self._state.limits.message_size)
        greeting = self._gateway.call_application(request, websocket=True)
        echo.send_first_message(greeting.body)
        self._gateway.report_websocket(head.request, handshake.response, greeting, self._head_received_at)
        self._is_finished = True
        self._transport.switch_protocol(
            WebSocketHandler(self._transport, echo, self._state), self._parser.pop_unparsed()
        )

    def _close(self) -> None:
        self._is_finished = True
        self._transport.close()

    def _reject(self, error: ProtocolError) -> None:
        with_body = self._parser.method != b"HEAD"
        response = error_response(error)
        self._write_response(response, "close", with_body=with_body)
        self._is_finished = True
        self._transport.close_gracefully()
        # The connection ends only when the client has read the response: nothing is kept until then.
        head, self._head, self._body_reader = self._head, None, None
        self._parser.pop_unparsed()
        request = head.request if head else unparsed_request(self._parser.method)
        started_at = self._head_received_at if head else self._state.perf_counter()
        sent_bytes = len(response.body) if with_body else 0
        self._gateway.report_rejection(
            error, request, Transfer(started_at, sent_bytes, self._received_bytes if head else 0)
        )

    def _write_response(self, response: WsgiResponse, connection: str, *, with_body: bool) -> None:
        self._transport.write(
            encode_response(response, date=self._state.http_date(), connection=connection, with_body=with_body)
        )
