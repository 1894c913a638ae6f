"""gRPC calls among the streams of one HTTP/2 connection.

They are answered while their requests are still arriving.
"""

from app.server.http2.delayed import DelayedResponses
from app.server.http2.exchange import Exchange
from app.server.http2.grpc_stream import GrpcStream
from app.server.http2.stream_sender import StreamSender
from app.server.response import INTERNAL_ERROR_RESPONSE
from app.server.state import ServerState
from app.server.wsgi import WsgiGateway


class GrpcCallManager:
    """Starts calls, and passes them their input."""

    def __init__(
        self, gateway: WsgiGateway, sender: StreamSender, delayed: DelayedResponses, state: ServerState
    ) -> None:
        self._gateway = gateway
        self._sender = sender
        self._delayed = delayed
        self._state = state
        self.decompressed_bytes = 0  # bytes of decompressed messages, which may be many more than arrived

    def start_call(self, stream_id: int, exchange: Exchange, *, expects_continue: bool) -> bool:
        """Start the call that a request is for; return whether the application treats it as one.

        With `expects_continue`, send 100 Continue if the call waits for a body. If the application fails, its error
        response is sent.
        """
        response = self._gateway.call_application(exchange.request, as_grpc=True)
        call = response.options.call
        if response is INTERNAL_ERROR_RESPONSE:
            self._sender.send_response(stream_id, exchange, response, with_body=True)
            return True
        if call is None:
            return False
        if expects_continue and call.awaits_input:
            self._sender.send_continue(stream_id)
        grpc_stream = exchange.response_body = GrpcStream(call, self._state)
        exchange.is_responding, exchange.unsent_head, exchange.response = True, response, response
        if self._state.draining:
            grpc_stream.on_shutdown(self._state.now())
        self._send_output(stream_id, exchange, grpc_stream)
        return True

    def forward_data(self, stream_id: int, exchange: Exchange, piece: bytes) -> None:
        """Process bytes of a request, if it is a call's."""
        grpc_stream = exchange.response_body
        if isinstance(grpc_stream, GrpcStream) and not grpc_stream.is_finished:
            exchange.received_bytes += len(piece)
            grpc_stream.pass_data(piece)
            self.decompressed_bytes += max(0, grpc_stream.call.buffered_bytes - exchange.buffered_request_bytes)
            self._send_output(stream_id, exchange, grpc_stream)

    def forward_end(self, stream_id: int, exchange: Exchange) -> None:
        """Process the end of a request, if it is a call's."""
        grpc_stream = exchange.response_body
        if isinstance(grpc_stream, GrpcStream) and not grpc_stream.is_finished:
            grpc_stream.pass_end()
            self._send_output(stream_id, exchange, grpc_stream)

    def _send_output(self, stream_id: int, exchange: Exchange, grpc_stream: GrpcStream) -> None:
        """Send what the call has due; update the buffered bytes, unless it has ended."""
        self._delayed.send_call_output(stream_id, exchange, grpc_stream)
        if stream_id in self._sender.exchanges:
            self._sender.update_buffered_bytes(exchange)
