"""HTTP/2 protocol handler: concurrent requests of one connection.

Each is answered as soon as it is complete (RFC 9113).
"""

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from typing import Final

from msgspec import structs

from app.http.body import BODY_PREFIX_SIZE
from app.http.call import is_grpc_request
from app.http.errors import ProtocolError, over_budget
from app.http.request import NO_OPTIONS, HeaderList
from app.server.http2.connection import Http2Connection
from app.server.http2.delayed import DelayedResponses
from app.server.http2.events import DataReceived, Http2Event, RequestReceived, StreamEnded, StreamReset
from app.server.http2.exchange import NEVER, Exchange
from app.server.http2.frames import ErrorCode, Http2ConnectionError
from app.server.http2.grpc_calls import GrpcCallManager
from app.server.http2.grpc_stream import GrpcStream
from app.server.http2.shutdown import GracefulShutdown
from app.server.http2.stream_sender import StreamSender
from app.server.http2.websockets import WebSocketManager
from app.server.protocol import Transport
from app.server.state import ConnectionPhase, InFlight, ServerState
from app.server.wsgi import WsgiGateway

_MAX_EVENTS_PER_TURN: Final = 100  # events that are processed before other connections are served
_MAX_DECOMPRESSED_PER_TURN: Final = (
    1 << 20
)  # bytes of calls' messages, likewise: with gzip they may be a thousand times the bytes received
_FLUSH_SIZE: Final = 1 << 16  # bytes written at once, before checking whether the client reads them
# Bytes of responses above which no more requests are answered: of responses that wait for the client's windows, and of
# delayed ones, of which a client may well request many.
_MAX_QUEUED_BYTES: Final = 1 << 20
_MAX_DELAYED_BYTES: Final = 1 << 23


class Http2Handler:
    """Reads requests and writes their responses, those of all streams in turn."""

    def __init__(self, transport: Transport, gateway: WsgiGateway, state: ServerState) -> None:
        self._transport = transport
        self._gateway = gateway
        self._state = state
        self._connection = Http2Connection(
            state.limits.request, state.limits.concurrent_streams, state.now, state.http2_head_cache
        )
        self._sender = StreamSender(self._connection, gateway, state)
        self._delayed = DelayedResponses(self._connection, self._sender, state)
        self._grpc_calls = GrpcCallManager(gateway, self._sender, self._delayed, state)
        self._websockets = WebSocketManager(transport, gateway, self._sender, state)
        self._exchanges = self._sender.exchanges
        self._queued_requests: deque[StreamEnded] = (
            deque()
        )  # complete requests that wait until the client has read other responses
        self._shutdown = GracefulShutdown(self._connection, state)
        self._head_deadline = NEVER  # of an incomplete preface, frame or header block
        self._frames_before_head = 0  # number of frames before the one with that deadline
        self._is_idle = False
        self._is_closed = False

    def send_preface(self) -> None:
        """Send the server's preface."""
        self._write_and_wait()

    @property
    def in_flight(self) -> InFlight:
        """Numbers of requests in flight and of open WebSockets."""
        return self._sender.in_flight

    def data_received(self, data: bytes) -> None:
        """Process bytes from the client."""
        if self._is_closed:
            return
        if not self._catch_connection_error(partial(self._connection.receive_bytes, data)):
            self._write_and_wait()
        elif not self._transport.is_blocked:
            self._process_input()

    def resume(self) -> None:
        """Resume when the client has read its responses, and with what is processed in steps."""
        for stream_id, exchange in list(self._exchanges.items()):
            if exchange.body_reader and exchange.body_reader.has_work:
                exchange.body_reader.step()
                if exchange.body_reader.has_work:
                    self._transport.defer()
            elif exchange.websocket and exchange.websocket.has_pending_input:
                exchange.websocket.echo_buffered()
                self._websockets.send_echo(stream_id, exchange)
        if not self._transport.is_blocked:
            self._process_input()

    def on_timer(self) -> None:
        """Send what is due of responses that take time."""
        self._delayed.send_due_output()
        if not (self._exchanges or self._is_closed):
            self._shutdown.finish_if_due()
        self._flush()

    def eof_received(self) -> None:
        """Process EOF from the client: without further window updates little could still be sent."""
        self._drop_all_streams()
        self._transport.close()

    def on_timeout(self) -> None:
        """End streams whose deadline has passed, or the connection; an idle one receives GOAWAY first."""
        now = self._state.now()
        is_head_overdue, is_idle = self._head_deadline <= now, not self._exchanges
        for stream_id, exchange in list(self._exchanges.items()):
            if exchange.deadline > now:
                continue
            if exchange.websocket and not exchange.is_responding and not exchange.close_reason:
                self._websockets.close_on_timeout(stream_id, exchange, now)
            elif (exchange.is_queued or exchange.is_responding) and self._sender.is_waiting_for_turn(
                stream_id, exchange
            ):
                self._sender.restart_read_timeout(exchange)
            elif exchange.is_responding or exchange.close_reason:
                self._sender.reset_exchange(stream_id, ErrorCode.CANCEL)
            elif exchange.is_queued and self._sender.delayed_bytes > _MAX_DELAYED_BYTES:
                self._sender.restart_read_timeout(exchange)  # the client is not slow: other responses are delayed
            else:
                reason = "timeout while receiving the request body (ECHO_BODY_TIMEOUT, ECHO_MIN_BODY_RATE)"
                self._sender.send_error(stream_id, ProtocolError(HTTPStatus.REQUEST_TIMEOUT, reason))
        if is_head_overdue:
            self._shutdown.finish(ErrorCode.NO_ERROR)
            self._drop_all_streams()
        elif is_idle:
            self._shutdown.announce()
            self._transport.set_phase(
                ConnectionPhase.IDLE
            )  # otherwise it would expire again at each check of the deadlines
        self._flush()

    def begin_shutdown(self) -> None:
        """Announce the shutdown by GOAWAY; requests in transit are still answered (6.8)."""
        self._shutdown.announce()
        for stream_id, exchange in list(self._exchanges.items()):
            if exchange.websocket:
                self._websockets.close_for_shutdown(stream_id, exchange)
        self._delayed.stop_endless()
        self._flush()

    def close_if_idle(self) -> None:
        """Announce the shutdown to clients that were not notified yet: they connected after the others were."""
        self._shutdown.announce()
        self._write_and_wait()

    @property
    def buffered_bytes(self) -> int:
        """Bytes buffered of unanswered requests, and of responses for which there is no window."""
        return self._connection.buffered_input_bytes + self._sender.buffered_request_bytes + self._sender.queued_bytes

    def reject_over_budget(self) -> None:
        """Reject incomplete requests; if that is not enough, end the connection."""
        for stream_id, exchange in list(self._exchanges.items()):
            if exchange.buffered_request_bytes and (
                exchange.websocket or isinstance(exchange.response_body, GrpcStream)
            ):
                self._sender.reset_exchange(stream_id, ErrorCode.ENHANCE_YOUR_CALM)
            elif exchange.buffered_request_bytes and not exchange.is_responding:
                self._sender.send_error(stream_id, over_budget())
        if self._sender.queued_bytes or self._connection.has_partial_head:
            self._shutdown.finish(ErrorCode.ENHANCE_YOUR_CALM, over_budget().reason)
            self._drop_all_streams()
        self._write_and_wait()

    def connection_lost(self) -> None:
        """Release everything in flight."""
        self._drop_all_streams()

    # input

    def _catch_connection_error(self, step: Callable[[], None]) -> bool:
        """Run a step; on a connection error send GOAWAY. Return whether the connection continues."""
        try:
            step()
        except Http2ConnectionError as error:
            self._gateway.observer.record_rejection(f"http2_{error.code.name.lower()}")
            self._shutdown.finish(error.code, error.reason)
            self._drop_all_streams()
            return False
        return True

    def _process_input(self) -> None:
        self._catch_connection_error(self._process_events)
        self._flush()

    def _process_events(self) -> None:
        max_decompressed = self._grpc_calls.decompressed_bytes + _MAX_DECOMPRESSED_PER_TURN
        for event_count, event in enumerate(self._connection.events(), 1):
            self._handle_event(event)
            if (
                event_count >= _MAX_EVENTS_PER_TURN
                or self._connection.buffered_output_bytes >= _FLUSH_SIZE
                or self._grpc_calls.decompressed_bytes >= max_decompressed
            ):
                self._transport.defer()  # serves other connections first, and this one once the client has read
            if self._transport.is_blocked or self._is_closed:
                return

    def _handle_event(self, event: Http2Event) -> None:
        if isinstance(event, RequestReceived):
            self._start_exchange(event)
        elif isinstance(event, DataReceived):
            self._process_body_data(event)
        elif isinstance(event, StreamEnded):
            exchange = self._exchanges.get(event.stream_id)
            if exchange is not None and exchange.websocket:
                exchange.websocket.receive_eof()
                self._websockets.send_echo(event.stream_id, exchange)
            elif exchange is not None and not exchange.is_responding:
                exchange.is_queued = True
                self._sender.restart_read_timeout(exchange)
                self._queued_requests.append(event)
                self._process_queued_requests()
                if not exchange.is_responding:
                    self._sender.update_buffered_bytes(exchange)
            elif exchange is not None:
                self._grpc_calls.forward_end(event.stream_id, exchange)
        elif isinstance(event, StreamReset):
            self._sender.drop_exchange(event.stream_id)

    def _start_exchange(self, event: RequestReceived) -> None:
        result = event.result
        self._is_idle = False  # also if everything ends before the next check
        if isinstance(result, ProtocolError):
            self._sender.send_error(event.stream_id, result, is_head_request=event.is_head_request)
            return
        exchange = self._exchanges[event.stream_id] = Exchange(
            result.request, self._state.now(), self._state.perf_counter()
        )
        expects_continue = result.expects_continue and result.length != 0
        may_be_call = result.request.method == b"POST" and is_grpc_request(result.request.headers)
        if may_be_call and self._grpc_calls.start_call(event.stream_id, exchange, expects_continue=expects_continue):
            self._shutdown.count_request()
            return
        limit = self._state.limits.request.body_size
        if result.length is not None and result.length > limit:
            self._reject_large_body(event.stream_id)
        elif result.protocol:
            self._websockets.open_websocket(event.stream_id, exchange, result)
        elif result.request.method == b"CONNECT":
            self._process_request(event.stream_id, exchange, ())  # a tunnel's body has no end to wait for
        else:
            if expects_continue:
                self._sender.send_continue(event.stream_id)
            exchange.deadline = self._state.body_deadline(exchange.started_at, 0)
            if not self._connection.is_closed_by_client(event.stream_id):
                self._sender.update_buffered_bytes(exchange)

    def _process_body_data(self, event: DataReceived) -> None:
        stream_id, size = event.stream_id, len(event.piece)
        exchange = self._exchanges.get(stream_id)
        if exchange is None or exchange.is_responding:
            self._connection.acknowledge_data(stream_id, size)
            if exchange is not None:
                self._grpc_calls.forward_data(stream_id, exchange, event.piece)
            return
        if exchange.websocket:
            exchange.unreturned_window += size
            exchange.websocket.echo_input(event.piece)
            self._websockets.send_echo(stream_id, exchange)
            return
        exchange.received_bytes += size
        if exchange.received_bytes > self._state.limits.request.body_size:
            self._connection.acknowledge_data(stream_id, size)
            self._reject_large_body(stream_id)
            return
        exchange.body_reader = exchange.body_reader or self._state.new_body_reader(exchange.request.headers)
        exchange.body_reader.add_piece(event.piece)
        if exchange.received_bytes - size < BODY_PREFIX_SIZE:
            self._sender.update_buffered_bytes(exchange)
        self._connection.acknowledge_data(stream_id, size)
        exchange.deadline = self._state.body_deadline(exchange.started_at, exchange.received_bytes)
        if exchange.body_reader.has_work:
            self._transport.defer()

    def _reject_large_body(self, stream_id: int) -> None:
        limit = self._state.limits.request.body_size
        reason = f"request body exceeds {limit} bytes (ECHO_MAX_BODY)"
        self._sender.send_error(stream_id, ProtocolError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, reason))

    # output

    def _process_queued_requests(self) -> None:
        """Respond to complete requests, unless earlier responses take too much memory."""
        while (
            self._queued_requests
            and self._connection.buffered_output_bytes < _FLUSH_SIZE
            and self._sender.queued_bytes <= min(_MAX_QUEUED_BYTES, self._state.memory_budget.share)
            and self._sender.delayed_bytes <= _MAX_DELAYED_BYTES
        ):
            event = self._queued_requests.popleft()
            exchange = self._exchanges.get(event.stream_id)
            if exchange is not None and not exchange.is_responding:
                self._process_request(event.stream_id, exchange, event.trailers)

    def _process_request(self, stream_id: int, exchange: Exchange, trailers: HeaderList) -> None:
        request = exchange.request
        self._sender.buffered_request_bytes -= exchange.buffered_request_bytes
        exchange.buffered_request_bytes = 0
        if exchange.body_reader or trailers:
            body = (exchange.body_reader or self._state.new_body_reader(request.headers)).finish(chunked=False)
            request = structs.replace(request, body=body, trailers=trailers)
            exchange.body_reader = None
        response = self._gateway.call_application(request)
        if response.options == NO_OPTIONS:
            self._sender.send_response(stream_id, exchange, response, with_body=request.method != b"HEAD")
        else:
            self._delayed.start_delayed(stream_id, exchange, response)
            if exchange.response_body and stream_id in self._exchanges:
                self._sender.update_buffered_bytes(exchange)
        self._shutdown.count_request()

    def _flush(self) -> None:
        """Send buffered output, a frame of each stream in turn, until the windows or the client allow no more."""
        progress = True
        while progress and not self._transport.is_blocked:
            progress = self._sender.send_round()
            if self._connection.buffered_output_bytes >= _FLUSH_SIZE:
                self._transport.write(self._connection.data_to_send())
            if self._queued_requests and not progress:
                previous_count = len(self._queued_requests)
                self._process_queued_requests()
                progress = len(self._queued_requests) < previous_count
                if self._connection.buffered_output_bytes >= _FLUSH_SIZE:
                    self._transport.defer()
        self._write_and_wait()

    def _drop_all_streams(self) -> None:
        self._is_closed = True
        for stream_id in list(self._exchanges):
            self._sender.drop_exchange(stream_id)

    # deadlines

    def _write_and_wait(self) -> None:
        """Write the output buffer, and set the deadline for what comes next."""
        output = self._connection.data_to_send()
        if output:
            self._transport.write(output)
        if self._is_closed or (not self._exchanges and (self._shutdown.is_final or not self._connection.is_peer_open)):
            self._is_closed = True
            self._transport.close_gracefully()
            return
        if self._shutdown.due < NEVER and not self._exchanges:
            self._transport.set_timer(self._shutdown.due)
        if self._sender.schedule.due_times:
            due = self._delayed.next_step_at()
            if due < NEVER:
                self._transport.set_timer(due)
        self._update_deadlines(self._exchanges.values())

    def _update_deadlines(self, exchanges: Iterable[Exchange]) -> None:
        stream_id, size = self._connection.partial_data
        exchange = self._exchanges.get(stream_id)
        if exchange is not None and not (exchange.is_responding or exchange.websocket):
            exchange.deadline = self._state.body_deadline(exchange.started_at, exchange.received_bytes + size)
        if not self._connection.has_partial_head:
            self._head_deadline = NEVER
        elif self._head_deadline == NEVER or self._frames_before_head != self._connection.frame_count:
            self._head_deadline = self._state.now() + self._state.phase_timeouts[ConnectionPhase.HEAD]
            self._frames_before_head = self._connection.frame_count
        is_idle = not self._exchanges and self._head_deadline == NEVER
        if is_idle:
            if not self._is_idle:
                self._transport.set_phase(ConnectionPhase.IDLE)
        else:
            self._transport.set_phase(
                ConnectionPhase.BODY, min(self._head_deadline, *(each.deadline for each in exchanges), NEVER)
            )
        self._is_idle = is_idle
