"""Delayed and streamed responses of one HTTP/2 connection.

Each of them delays only its own stream.
"""

from typing import Final

from app.server.http2.connection import Http2Connection
from app.server.http2.exchange import NEVER, Exchange
from app.server.http2.frames import ErrorCode
from app.server.http2.grpc_stream import GrpcStream
from app.server.http2.stream_sender import StreamSender
from app.server.response import WsgiResponse
from app.server.response_body import ResponseBody
from app.server.state import ServerState

# Limits for a turn of the loop: bytes requested from responses, and number of steps.
_MAX_BYTES_PER_TURN: Final = 1 << 17
_MAX_STEPS_PER_TURN: Final = 100


class DelayedResponses:
    """Requests the next piece of a response when it is due, earlier output was sent, and a window is open."""

    def __init__(self, connection: Http2Connection, sender: StreamSender, state: ServerState) -> None:
        self._connection = connection
        self._sender = sender
        self._state = state
        self._schedule = sender.schedule

    def start_delayed(self, stream_id: int, exchange: Exchange, response: WsgiResponse) -> None:
        """Start a response that takes time; send immediately what is due."""
        now = self._state.now()
        body = exchange.response_body = ResponseBody(
            response, self._state, with_body=exchange.request.method != b"HEAD"
        )
        exchange.is_responding, exchange.unsent_head, exchange.response = True, response, response
        if body.next_piece_at <= now:
            self._send_step(stream_id, exchange, body, now)
        else:
            self._sender.count_delayed_bytes(exchange, len(response.body))
            self._schedule.set_due(stream_id, body.next_piece_at)
            self._sender.restart_read_timeout(exchange)

    def send_call_output(self, stream_id: int, exchange: Exchange, grpc_stream: GrpcStream) -> None:
        """Send what a call has due now, and schedule its next output."""
        now = self._state.now()
        was_due = self._schedule.due_times.get(stream_id, NEVER) <= now
        self._schedule.set_due(stream_id, grpc_stream.next_piece_at)
        if not exchange.send_buffer and not (
            was_due and grpc_stream.next_piece_at <= now
            # Else earlier output is still unread
        ):
            self._sender.restart_read_timeout(exchange)
        if grpc_stream.next_piece_at <= now and self._can_send(stream_id, exchange, grpc_stream):
            self._send_step(stream_id, exchange, grpc_stream, now)

    def send_due_output(self) -> None:
        """Advance the responses that are due, in turn; some may be left for the loop's next turn."""
        now, steps, size = self._state.now(), 0, 0
        for stream_id in self._schedule.due_streams(now):
            exchange = self._sender.exchanges[stream_id]
            body = exchange.response_body
            if body and self._can_send(stream_id, exchange, body):
                size += self._send_step(stream_id, exchange, body, now)
                steps += 1
                if size >= _MAX_BYTES_PER_TURN or steps >= _MAX_STEPS_PER_TURN:
                    return

    def next_step_at(self) -> float:
        """Return the time, on the loop's clock, of the next possible step, or `NEVER`."""
        now = self._state.now()
        for stream_id in self._schedule.due_streams(now):
            exchange = self._sender.exchanges[stream_id]
            if exchange.response_body and self._can_send(stream_id, exchange, exchange.response_body):
                return now
        return self._schedule.next_due()

    def stop_endless(self) -> None:
        """End responses that have no known end."""
        now = self._state.now()
        for stream_id, exchange in self._sender.exchanges.items():
            body = exchange.response_body
            if body and not body.is_finished:
                body.on_shutdown(now)
                self._schedule.set_due(stream_id, body.next_piece_at)

    def _can_send(self, stream_id: int, exchange: Exchange, body: ResponseBody | GrpcStream) -> bool:
        if exchange.send_buffer:
            return False
        return exchange.unsent_head is not None or body.is_ending or self._connection.sendable_bytes(stream_id) > 0

    def _send_step(self, stream_id: int, exchange: Exchange, body: ResponseBody | GrpcStream, now: float) -> int:
        """Advance a response by one step; return the number of bytes that it has added."""
        if body.aborts_before_head:
            self._sender.reset_exchange(stream_id, ErrorCode.INTERNAL_ERROR)
            return 0
        head, exchange.unsent_head = exchange.unsent_head, None
        is_window_closed = body.is_streamed and body.has_content and not self._connection.sendable_bytes(stream_id)
        if head and is_window_closed and not body.is_ending:
            self._sender.send_response_head(stream_id, head, body.length, end_stream=False)
            self._schedule_next(stream_id, exchange, body)
            return 0
        self._sender.release_delayed_bytes(exchange)
        piece = body.next_piece(now)
        if head and body.application_failed:  # nothing was sent
            exchange.response_body = None
            self._schedule.remove(stream_id)
            self._sender.send_500(stream_id, exchange)
            return 0
        self._schedule_next(stream_id, exchange, body)
        if head:
            is_empty = exchange.is_fully_queued and not (piece or exchange.trailers)
            self._sender.send_response_head(stream_id, head, body.length, end_stream=is_empty)
            if is_empty:
                self._sender.finish_exchange(stream_id)
                return 0
        self._sender.queue_output(stream_id, exchange, piece)
        self._sender.send_frame(stream_id, exchange)
        return len(piece)

    def _schedule_next(self, stream_id: int, exchange: Exchange, body: ResponseBody | GrpcStream) -> None:
        """Record the state of the output, and schedule its next step."""
        exchange.ends_with_reset = body.is_truncated
        exchange.is_fully_queued = body.is_finished and not body.is_truncated
        exchange.trailers = body.trailers
        if isinstance(body, GrpcStream):
            self._sender.update_buffered_bytes(exchange)
        if body.is_finished:
            self._schedule.remove(stream_id)
        else:
            self._schedule.set_due(stream_id, body.next_piece_at)
        self._sender.restart_read_timeout(exchange)
