"""Response output of one HTTP/2 connection: heads, DATA frames in turn.

Each body sends one frame in turn, as far as the flow-control windows allow.
"""

from http import HTTPStatus
from typing import Final

from msgspec import structs

from app.http.errors import ProtocolError
from app.http.observer import APPLICATION_FAILED, unparsed_request
from app.server.http2.connection import Http2Connection
from app.server.http2.exchange import Exchange, http2_headers
from app.server.http2.frames import ErrorCode
from app.server.http2.grpc_stream import GrpcStream
from app.server.http2.request_parser import HTTP_VERSION
from app.server.http2.schedule import Schedule
from app.server.response import (
    INTERNAL_ERROR_RESPONSE,
    STATUSES_WITHOUT_CONTENT,
    WsgiResponse,
    error_response,
    length_to_send,
)
from app.server.state import ConnectionPhase, InFlight, ServerState
from app.server.wsgi import Transfer, WsgiGateway

_MAX_ECHO_BUFFER: Final = 1 << 18  # bytes of a WebSocket waiting to be sent, above which its window is not raised


class StreamSender:
    """Sends the output of a connection's exchanges, and ends them."""

    def __init__(self, connection: Http2Connection, gateway: WsgiGateway, state: ServerState) -> None:
        self.exchanges: dict[int, Exchange] = {}  # those in flight
        self.schedule = Schedule()  # of those with more output than is queued
        self.queued_bytes = 0  # bytes waiting to be sent
        self.delayed_bytes = 0  # bytes of complete bodies that are delayed
        self.buffered_request_bytes = 0  # bytes of unanswered requests
        self._connection = connection
        self._gateway = gateway
        self._state = state
        self._admitted_bytes = 0  # bytes of bodies that the windows have admitted
        self._exchanges_with_output: dict[int, Exchange] = {}  # those with queued output

    def send_response(self, stream_id: int, exchange: Exchange, response: WsgiResponse, *, with_body: bool) -> None:
        """Send a complete response, without effects."""
        exchange.is_responding = True
        exchange.response = response
        self.restart_read_timeout(exchange)
        has_body = with_body and response.status[:3] not in STATUSES_WITHOUT_CONTENT
        length = len(response.body) if has_body else length_to_send(response, with_body=with_body)
        is_empty = not (has_body and response.body)
        self.send_response_head(stream_id, response, length, end_stream=is_empty)
        if is_empty:
            self.finish_exchange(stream_id)
            return
        exchange.is_fully_queued = True
        self.queue_output(stream_id, exchange, response.body)
        self.send_frame(stream_id, exchange)

    def send_500(self, stream_id: int, exchange: Exchange) -> None:
        """Send 500, since the application has failed before anything was sent."""
        self._gateway.observer.record_rejection(APPLICATION_FAILED)
        self.send_response(stream_id, exchange, INTERNAL_ERROR_RESPONSE, with_body=True)

    def send_error(self, stream_id: int, error: ProtocolError, *, is_head_request: bool = False) -> None:
        """Send an error response, and reset the stream (8.1): a malformed request is a stream error (8.1.1)."""
        exchange = self.exchanges.get(stream_id)
        response, sent_bytes = error_response(error), 0
        if is_head_request or (exchange is not None and exchange.request.method == b"HEAD"):
            self.send_response_head(stream_id, response, None, end_stream=True)
        elif self._connection.sendable_bytes(stream_id) < len(response.body):
            # The window has no room for a line, and is not waited for: the unread data is what is rejected.
            self.send_response_head(stream_id, structs.replace(response, body=b""), None, end_stream=True)
        else:
            self.send_response_head(stream_id, response, len(response.body), end_stream=False)
            self._connection.send_data(stream_id, response.body, end_stream=True)
            sent_bytes = len(response.body)
        is_malformed = error.status is HTTPStatus.BAD_REQUEST
        if is_malformed or self._connection.is_open(stream_id):
            self._connection.reset_stream(stream_id, ErrorCode.PROTOCOL_ERROR if is_malformed else ErrorCode.NO_ERROR)
        self.drop_exchange(stream_id)
        if exchange is not None:
            self._gateway.report_rejection(
                error, exchange.request, Transfer(exchange.head_received_at, sent_bytes, exchange.received_bytes)
            )
        else:
            self._gateway.report_rejection(
                error, unparsed_request(version=HTTP_VERSION), Transfer(self._state.perf_counter(), sent_bytes, 0)
            )

    def send_response_head(
        self, stream_id: int, response: WsgiResponse, length: int | None, *, end_stream: bool
    ) -> None:
        """Send the head of a response with this Content-Length."""
        self._connection.send_headers(
            stream_id, http2_headers(response, date=self._state.http_date(), length=length), end_stream=end_stream
        )

    def send_continue(self, stream_id: int) -> None:
        """Send 100 Continue to a client that waits for it (RFC 9110, 15.2.1)."""
        self._connection.send_headers(stream_id, ((b":status", b"100"),), end_stream=False)

    def queue_output(self, stream_id: int, exchange: Exchange, data: bytes) -> None:
        """Append bytes to the output buffer."""
        if data:
            exchange.send_buffer = memoryview(bytes(exchange.send_buffer) + data if exchange.send_buffer else data)
            self.queued_bytes += len(data)
            self._exchanges_with_output[stream_id] = exchange

    def send_frame(self, stream_id: int, exchange: Exchange) -> bool:
        """Send one frame of the buffered output, as far as the windows allow; return whether there was any progress."""
        size = min(self._connection.sendable_bytes(stream_id), len(exchange.send_buffer))
        remaining = exchange.send_buffer[size:]
        is_finished = exchange.is_fully_queued and not remaining
        ends_stream = is_finished and not exchange.trailers
        if size or ends_stream:
            piece = bytes(exchange.send_buffer[:size])
            exchange.send_buffer = remaining
            self.queued_bytes -= size
            exchange.sent_bytes += size
            self._admitted_bytes += size
            self._connection.send_data(stream_id, piece, end_stream=ends_stream)
            if not remaining:
                self._exchanges_with_output.pop(stream_id, None)
            if exchange.is_responding and not is_finished:
                self._extend_read_timeout(exchange, size)
        if exchange.unreturned_window and len(remaining) < _MAX_ECHO_BUFFER:
            self._connection.acknowledge_data(stream_id, exchange.unreturned_window)
            exchange.unreturned_window = 0
        if is_finished:
            self._finish_response(stream_id, exchange)
        elif exchange.ends_with_reset and not remaining:
            self.reset_exchange(stream_id, ErrorCode.INTERNAL_ERROR)
        return size > 0 or is_finished or (exchange.ends_with_reset and not remaining)

    def send_round(self) -> bool:
        """Send one frame of each exchange with queued output; return whether there was any progress."""
        progress = False
        for stream_id, exchange in list(self._exchanges_with_output.items()):
            progress = self.send_frame(stream_id, exchange) or progress
        return progress

    @property
    def in_flight(self) -> InFlight:
        """Numbers of requests in flight and of open WebSockets."""
        websockets = sum(exchange.websocket is not None for exchange in self.exchanges.values())
        return InFlight(len(self.exchanges) - websockets, websockets)

    def restart_read_timeout(self, exchange: Exchange) -> None:
        """Start the time in which the client has to admit more output; a delay of our own comes before it.

        It is extended as for a request's body, by what is sent, at the minimum rate. A client that admits a byte now
        and then keeps the response in memory no longer than one that admits nothing.
        """
        now = self._state.now()
        if exchange.response_body and not exchange.response_body.is_finished:
            now = max(now, exchange.response_body.next_piece_at)
        exchange.readable_since, exchange.admitted_bytes, exchange.admitted_before = now, 0, self._admitted_bytes
        exchange.deadline = now + self._state.phase_timeouts[ConnectionPhase.UNREAD_OUTPUT]

    def is_waiting_for_turn(self, stream_id: int, exchange: Exchange) -> bool:
        """Return whether a stream's window is open, and the client reads other responses at the minimum rate.

        The connection's window is shared by all streams. A client with a hundred responses in flight on a slow network
        may have to wait for the last one far longer than for a single one.
        """
        seconds = self._state.now() - exchange.readable_since
        is_fast_enough = self._admitted_bytes - exchange.admitted_before >= max(
            1.0, seconds * self._state.limits.min_body_rate
        )
        return is_fast_enough and self._connection.has_send_window(stream_id)

    def _extend_read_timeout(self, exchange: Exchange, size: int) -> None:
        if not exchange.send_buffer:
            self.restart_read_timeout(exchange)  # for the following output
            return
        exchange.readable_since = min(exchange.readable_since, self._state.now())
        exchange.admitted_bytes += size
        exchange.deadline = self._state.body_deadline(exchange.readable_since, exchange.admitted_bytes)

    def count_delayed_bytes(self, exchange: Exchange, size: int) -> None:
        """Count the bytes of a delayed body."""
        exchange.delayed_bytes = size
        self.delayed_bytes += size

    def release_delayed_bytes(self, exchange: Exchange) -> None:
        """Stop counting them."""
        self.delayed_bytes -= exchange.delayed_bytes
        exchange.delayed_bytes = 0

    def update_buffered_bytes(self, exchange: Exchange) -> None:
        """Update the bytes buffered of an incomplete or queued request; of a call, all its bytes."""
        if exchange.websocket:
            size = exchange.websocket.buffered_bytes
        elif isinstance(exchange.response_body, GrpcStream):
            size = exchange.response_body.call.buffered_bytes
        else:
            size = sum(len(name) + len(value) for name, value in exchange.request.headers) + len(
                exchange.request.target
            )
            size += exchange.body_reader.prefix_length if exchange.body_reader else 0
        self.buffered_request_bytes += size - exchange.buffered_request_bytes
        exchange.buffered_request_bytes = size

    def finish_exchange(self, stream_id: int) -> None:
        """Remove an answered exchange. A client that has not ended its side need not continue (8.1)."""
        if self._connection.is_open(stream_id):
            self._connection.reset_stream(stream_id, ErrorCode.NO_ERROR)
        self.drop_exchange(stream_id, is_complete=True)

    def reset_exchange(self, stream_id: int, code: ErrorCode) -> None:
        """Reset a stream, whatever is in flight on it."""
        self._connection.reset_stream(stream_id, code)
        self.drop_exchange(stream_id)

    def drop_exchange(self, stream_id: int, *, is_complete: bool = False) -> None:
        """Remove an exchange, if it is known, with its unsent output.

        `is_complete` if its response was sent completely.
        """
        exchange = self.exchanges.pop(stream_id, None)
        if exchange is None:
            return
        self._exchanges_with_output.pop(stream_id, None)
        self.buffered_request_bytes -= exchange.buffered_request_bytes
        self.queued_bytes -= len(exchange.send_buffer)
        if exchange.response_body:
            exchange.response_body.close()
            self.release_delayed_bytes(exchange)
            self.schedule.remove(stream_id)
        if exchange.unreturned_window:
            self._connection.acknowledge_data(
                stream_id, exchange.unreturned_window
            )  # the connection's window outlives the stream
        if exchange.response is not None:
            transfer = Transfer(exchange.head_received_at, exchange.sent_bytes, exchange.received_bytes)
            self._gateway.report_response(exchange.request, exchange.response, transfer, complete=is_complete)

    def _finish_response(self, stream_id: int, exchange: Exchange) -> None:
        if exchange.trailers:
            trailers = tuple((name.lower(), value) for name, value in exchange.trailers)
            self._connection.send_headers(stream_id, trailers, end_stream=True)
        self.finish_exchange(stream_id)
