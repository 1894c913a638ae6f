"""WebSockets among the streams of one HTTP/2 connection (RFC 8441)."""

from http import HTTPStatus
from typing import Final

from websockets.frames import CloseCode

from app.http.errors import ProtocolError
from app.server.http2.exchange import Exchange
from app.server.http2.request_parser import ParsedRequest
from app.server.http2.stream_sender import StreamSender
from app.server.protocol import Transport
from app.server.state import ConnectionPhase, ServerState
from app.server.websocket.echo import WebSocketEcho
from app.server.websocket.handshake import accept_extended_connect
from app.server.wsgi import WsgiGateway

_SHUTDOWN_REASON: Final = "server is shutting down"


class WebSocketManager:
    """Opens WebSockets, echoes their messages, and closes them."""

    def __init__(self, transport: Transport, gateway: WsgiGateway, sender: StreamSender, state: ServerState) -> None:
        self._transport = transport
        self._gateway = gateway
        self._sender = sender
        self._state = state

    def open_websocket(self, stream_id: int, exchange: Exchange, parsed_request: ParsedRequest) -> None:
        """Open a WebSocket on a stream, or send why it is rejected."""
        if parsed_request.protocol != b"websocket":
            self._sender.send_error(
                stream_id,
                ProtocolError(HTTPStatus.NOT_IMPLEMENTED, "unsupported :protocol; only websocket is supported"),
            )
            return
        try:
            handshake = accept_extended_connect(parsed_request.request)
        except ProtocolError as error:
            self._sender.send_error(stream_id, error)
            return
        greeting = self._gateway.call_application(parsed_request.request, websocket=True)
        echo = exchange.websocket = WebSocketEcho(handshake.extensions, self._state.limits.message_size)
        echo.send_first_message(greeting.body)
        self._sender.send_response_head(stream_id, handshake.response, None, end_stream=False)
        self._gateway.report_websocket(parsed_request.request, handshake.response, greeting, exchange.head_received_at)
        if self._state.draining:
            self.close_for_shutdown(stream_id, exchange)
        else:
            self.send_echo(stream_id, exchange)

    def close_on_timeout(self, stream_id: int, exchange: Exchange, now: float) -> None:
        """Close a WebSocket that is idle or has reached its maximum lifetime."""
        is_expired = now >= exchange.started_at + self._state.limits.timeouts.websocket
        reason = (
            "maximum lifetime reached (ECHO_WEBSOCKET_TIMEOUT)" if is_expired else "idle timeout (ECHO_IDLE_TIMEOUT)"
        )
        self._start_closing(stream_id, exchange, reason)

    def close_for_shutdown(self, stream_id: int, exchange: Exchange) -> None:
        """Close a WebSocket, because the server stops."""
        self._start_closing(stream_id, exchange, _SHUTDOWN_REASON)

    def _start_closing(self, stream_id: int, exchange: Exchange, reason: str) -> None:
        """Close a WebSocket after the echo of its input; a client that sends no Close frame in return is dropped."""
        if not exchange.close_reason:
            exchange.close_reason = reason
            exchange.close_deadline = self._state.now() + self._state.phase_timeouts[ConnectionPhase.CLOSING]
        self.send_echo(stream_id, exchange)

    def send_echo(self, stream_id: int, exchange: Exchange) -> None:
        """Send the output of a WebSocket."""
        echo = exchange.websocket
        if echo is None:
            return
        now, timeouts = self._state.now(), self._state.limits.timeouts
        if not exchange.is_responding:
            exchange.deadline = min(
                now + timeouts.idle, exchange.started_at + timeouts.websocket, exchange.close_deadline
            )
        if exchange.close_reason and not echo.has_pending_input:
            echo.send_close(CloseCode.GOING_AWAY, exchange.close_reason)
        self._sender.queue_output(stream_id, exchange, echo.data_to_send())
        self._sender.update_buffered_bytes(exchange)
        if echo.is_finished:
            exchange.is_fully_queued = exchange.is_responding = True
        elif echo.has_pending_input:
            self._transport.defer()
        self._sender.send_frame(stream_id, exchange)
