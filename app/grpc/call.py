"""State machine of one gRPC call, without I/O and without a clock.

It turns the bytes of the request into those of the response, and determines the status.
"""

from collections.abc import Callable
from math import inf
from typing import Final

import msgspec
from msgspec import structs

from app.grpc.context import CallContext
from app.grpc.framing import MessageReader, encode_message, wrong_message_count
from app.grpc.services import Method, MethodKind
from app.grpc.status import CallError, StatusCode, code_from_trailers, status_trailers
from app.http.call import CallOutput
from app.http.record import CallStatus

_MAX_MESSAGES_PER_TURN: Final = 100  # messages processed in a row before other connections are served
_MAX_OUTPUT_SIZE: Final = 65_536  # bytes of output after which the client must read before more is generated
_SHUTDOWN_TRAILERS: Final = status_trailers(StatusCode.UNAVAILABLE, "server is shutting down")


class CallOptions(msgspec.Struct, frozen=True):
    """Options of a call: `timeout` and `delay` in seconds; the status code requested by the client, which may be OK."""

    timeout: float = inf
    delay: float = 0.0
    status: StatusCode = StatusCode.OK


class GrpcCall:
    """One call. An error ends it with a status code and a message, and affects nothing else.

    Times are in seconds since the request head.
    """

    def __init__(
        self, context: CallContext, method: Method, reader: MessageReader, options: CallOptions, call_status: CallStatus
    ) -> None:
        self._context = context
        self._method = method
        self._reader = reader
        self._options = options
        self._call_status = call_status
        self._head_size = sum(len(name) + len(value) for name, value in context.request.headers)
        self._output_at = inf  # time of the next output, apart from the deadline
        self._is_request_complete = False  # the request is complete
        self._is_finished = False  # the response is complete
        self._last_output: CallOutput | None = None  # the last output, sent when it is due
        self._watch_request: bytes | None = None  # the request message of a Watch
        self._has_responded = False  # a bidirectional stream has sent at least one response
        self._is_server_stopping = False  # the server stops

    @property
    def next_output_at(self) -> float:
        """The time of the next output, if nothing happens before."""
        return inf if self._is_finished else min(self._output_at, self._options.timeout)

    @property
    def buffered_bytes(self) -> int:
        """Number of buffered bytes, of the request and of pending output."""
        return (
            self._head_size
            + self._reader.buffered_bytes
            + len(self._watch_request or b"")
            + len(self._last_output.body if self._last_output else b"")
        )

    @property
    def awaits_input(self) -> bool:
        """Whether the call needs more of the request before it can continue."""
        has_message = self._method.kind is MethodKind.BIDI_STREAMING and self._reader.ready_count
        return not (self._is_request_complete or self._is_finished or self._last_output or has_message)

    @property
    def trailers_only(self) -> bool:
        """Whether the next output is the trailers only."""
        if self._options.timeout < self._output_at:
            return True
        if self._last_output:
            return not self._last_output.body
        return (
            self._method.kind is MethodKind.BIDI_STREAMING
            and not self._reader.ready_count
            and (self._is_request_complete or self._is_ending)
        )

    def receive_data(self, piece: bytes, now: float) -> None:
        """Process bytes of the request body."""
        if not (self._is_request_complete or self._is_finished or self._last_output):
            self._catch_call_error(lambda: self._read_messages(piece, now))

    def receive_end(self, now: float) -> None:
        """Process the end of the request."""
        if not (self._is_request_complete or self._is_finished or self._last_output):
            self._is_request_complete = True
            self._catch_call_error(lambda: self._start_output(now))

    def next_output(self, now: float) -> CallOutput:
        """Return the output that is due by now, empty if there is none."""
        if self._is_finished or now < self.next_output_at:
            return CallOutput()
        if now >= self._options.timeout:
            return self._finish_with_error(CallError(StatusCode.DEADLINE_EXCEEDED, "grpc-timeout exceeded"))
        try:
            output = self._last_output or self._streaming_output()
        except CallError as error:
            return self._finish_with_error(error)
        return self._finish_with(output) if output.trailers else output

    def on_shutdown(self) -> None:
        """Prepare to end, since the server stops.

        A Watch ends after a last status, a bidirectional stream after a response.
        """
        if self._method.kind is MethodKind.UNARY or self._is_finished or self._last_output:
            return
        self._is_server_stopping = True
        self._context = structs.replace(self._context, draining=True)
        if self._watch_request is not None or self._is_ending:
            self._output_at = 0.0

    def end_idle(self) -> CallOutput:
        """End with DEADLINE_EXCEEDED, since the client sent nothing for too long."""
        return self._finish_with_error(
            CallError(
                StatusCode.DEADLINE_EXCEEDED,
                "timeout while receiving the request (ECHO_BODY_TIMEOUT, ECHO_MIN_BODY_RATE)",
            )
        )

    def end_expired(self) -> CallOutput:
        """End with UNAVAILABLE, since the maximum lifetime of a call is reached."""
        return self._finish_with_error(
            CallError(StatusCode.UNAVAILABLE, "maximum lifetime of a call reached (ECHO_WEBSOCKET_TIMEOUT); retry")
        )

    def end_failed(self) -> CallOutput:
        """End with INTERNAL, since its output could not be generated."""
        return self._finish_with_error(CallError(StatusCode.INTERNAL, "internal error"))

    def _catch_call_error(self, step: Callable[[], None]) -> None:
        try:
            step()
        except CallError as error:
            self._last_output = _error_output(error)
            self._output_at = 0.0

    def _read_messages(self, piece: bytes, now: float) -> None:
        self._reader.feed_body(piece)
        if self._method.kind is MethodKind.BIDI_STREAMING:
            self._output_at = now if self._reader.ready_count or self._is_ending else inf

    def _start_output(self, now: float) -> None:
        """Start the response, since the request is complete. Raise `CallError` if its messages are invalid."""
        self._reader.feed_eof()
        self._output_at = now
        if self._method.kind is MethodKind.BIDI_STREAMING:
            return
        if not self._reader.ready_count:
            raise wrong_message_count("none")
        message = self._reader.next_message()
        if self._method.kind is MethodKind.SERVER_STREAMING:
            self._watch_request = message
            return
        self._output_at = now + self._options.delay
        self._last_output = self._unary_output(message)

    def _unary_output(self, message: bytes) -> CallOutput:
        if self._options.status is not StatusCode.OK:
            return CallOutput(trailers=status_trailers(self._options.status, "requested by x-echo-status"))
        try:
            return CallOutput(
                encode_message(self._method.handler(self._context, message)), status_trailers(StatusCode.OK)
            )
        except CallError as error:
            return _error_output(error)

    def _streaming_output(self) -> CallOutput:
        """Return the next output of a method with several responses. Raise `CallError`."""
        if self._watch_request is not None:
            return self._watch_output(self._watch_request)
        data = bytearray()
        for _ in range(_MAX_MESSAGES_PER_TURN):
            if not self._reader.ready_count or len(data) >= _MAX_OUTPUT_SIZE:
                break
            data += encode_message(self._method.handler(self._context, self._reader.next_message()))
        if self._reader.ready_count:
            return CallOutput(bytes(data))  # more output is due at once
        self._output_at = inf
        self._has_responded = True
        if self._is_request_complete:
            return CallOutput(bytes(data), status_trailers(StatusCode.OK))
        return CallOutput(bytes(data), _SHUTDOWN_TRAILERS if self._is_ending else ())

    @property
    def _is_ending(self) -> bool:
        """Whether a bidirectional stream ends, since the server stops: not before it has sent a response."""
        return self._has_responded and self._is_server_stopping

    def _watch_output(self, request_message: bytes) -> CallOutput:
        """Return the status for a Watch; when the server stops, the last status and the trailers."""
        self._output_at = inf
        return CallOutput(
            encode_message(self._method.handler(self._context, request_message)),
            _SHUTDOWN_TRAILERS if self._is_server_stopping else (),
        )

    def _finish_with_error(self, error: CallError) -> CallOutput:
        return self._finish_with(_error_output(error))

    def _finish_with(self, output: CallOutput) -> CallOutput:
        self._is_finished = True
        code = code_from_trailers(output.trailers)
        self._call_status.code, self._call_status.number = code.name, code.value
        return output


def _error_output(error: CallError) -> CallOutput:
    return CallOutput(trailers=status_trailers(error.code, error.message))


class RejectedCall:
    """A call that is rejected at once, without reading its request body."""

    next_output_at = 0.0
    buffered_bytes = 0
    awaits_input = False
    trailers_only = True

    def __init__(self, error: CallError, call_status: CallStatus) -> None:
        call_status.code, call_status.number = error.code.name, error.code.value
        self._output = _error_output(error)

    def receive_data(self, piece: bytes, now: float) -> None:
        """Ignore bytes of the request body."""

    def receive_end(self, now: float) -> None:
        """Ignore the end of the request."""

    def next_output(self, now: float) -> CallOutput:
        """Return the trailers."""
        del now
        return self._output

    def on_shutdown(self) -> None:
        """Ignore that the server stops, as the call ends anyway."""

    def end_idle(self) -> CallOutput:
        """Return the same trailers, whatever else ends the call."""
        return self._output

    end_expired = end_failed = end_idle
