"""Interface of a gRPC call: an HTTP/2 request answered while it arrives.

The server calls it; `app.grpc` implements it.
"""

from typing import Final, NamedTuple, Protocol

# Media type of gRPC requests, alone or followed by the message encoding
# (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
_MEDIA_TYPE: Final = b"application/grpc"
_AFTER_MEDIA_TYPE: Final = (b"", b"+", b";", b" ")


class CallOutput(NamedTuple):
    """Output of a call at one time: bytes of the response body, and the trailers if the call ends."""

    body: bytes = b""
    trailers: tuple[tuple[bytes, bytes], ...] = ()


class StreamingCall(Protocol):
    """Streaming call, after the headers of request and response. Times are in seconds since the request head."""

    @property
    def next_output_at(self) -> float:
        """Time of the next output if nothing is received before; infinity if the call waits for the client."""

    @property
    def buffered_bytes(self) -> int:
        """Number of buffered bytes, received and to be sent."""

    @property
    def awaits_input(self) -> bool:
        """Whether the call needs more input from the client before it can continue."""

    @property
    def trailers_only(self) -> bool:
        """Whether the next output is only the trailers, which need no flow-control window of the client."""

    def receive_data(self, piece: bytes, now: float) -> None:
        """Process bytes of the request's body."""

    def receive_end(self, now: float) -> None:
        """Process the end of the request, after all of its body."""

    def next_output(self, now: float) -> CallOutput:
        """Return the output due by `now`, at most one bounded piece; `next_output_at` says when there is more."""

    def on_shutdown(self) -> None:
        """Handle the shutdown of the server."""

    def end_idle(self) -> CallOutput:
        """End the call because its request arrives too slowly."""

    def end_expired(self) -> CallOutput:
        """End the call because it has reached the maximum lifetime."""

    def end_failed(self) -> CallOutput:
        """End the call because its output could not be generated."""


def is_grpc_request(headers: tuple[tuple[bytes, bytes], ...]) -> bool:
    """Return whether the request's headers make it a gRPC call."""
    for name, value in headers:
        if name == b"content-type":
            media_type, separator = value[: len(_MEDIA_TYPE)], value[len(_MEDIA_TYPE) :][:1]
            return media_type.lower() == _MEDIA_TYPE and separator in _AFTER_MEDIA_TYPE
    return False
