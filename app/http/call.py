"""Interface of a gRPC call: an HTTP/2 request answered while it arrives.

The server calls it; `app.grpc` implements it.
"""

from typing import Final, NamedTuple, Protocol

# Media type of gRPC requests, alone or followed by the message encoding
# (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
_MEDIA_TYPE: Final = b"application/grpc"
_BEHIND: Final = (b"", b"+", b";", b" ")


class Said(NamedTuple):
    """Output of a call at one time: bytes of the response body, and the trailers if the call ends."""

    body: bytes = b""
    trailers: tuple[tuple[bytes, bytes], ...] = ()


class Call(Protocol):
    """Streaming call, after the headers of request and response. Times are in seconds since the request head."""

    @property
    def due(self) -> float:
        """Time of the next output if nothing is received before; infinity if the call waits for the client."""

    @property
    def held(self) -> int:
        """Number of buffered bytes, received and to be sent."""

    @property
    def listens(self) -> bool:
        """Whether the call needs more input from the client before it can continue."""

    @property
    def bare(self) -> bool:
        """Whether the next output is only the trailers, which need no flow-control window of the client."""

    def receive(self, piece: bytes, now: float) -> None:
        """Process bytes of the request's body."""

    def end(self, now: float) -> None:
        """Process the end of the request, after all of its body."""

    def say(self, now: float) -> Said:
        """Return the output due by `now`, at most one bounded piece; `due` says when there is more."""

    def stop(self) -> None:
        """Handle the shutdown of the server."""

    def silent(self) -> Said:
        """End the call because its request arrives too slowly."""

    def old(self) -> Said:
        """End the call because it has reached the maximum lifetime."""

    def fail(self) -> Said:
        """End the call because its output could not be generated."""


def is_call(fields: tuple[tuple[bytes, bytes], ...]) -> bool:
    """Return whether the request's headers make it a gRPC call."""
    for name, value in fields:
        if name == b"content-type":
            of, behind = value[: len(_MEDIA_TYPE)], value[len(_MEDIA_TYPE) :][:1]
            return of.lower() == _MEDIA_TYPE and behind in _BEHIND
    return False
