"""The seam between the carrier and a call: a request of HTTP/2 that is answered while it still comes."""

from typing import Final, NamedTuple, Protocol

# The media type by which a request asks to be one, alone or with what its messages are written in
# (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
_MEDIA_TYPE: Final = b"application/grpc"
_BEHIND: Final = (b"", b"+", b";", b" ")


class Said(NamedTuple):
    """What a call says at one time: bytes of its body, and the trailers, if it ends with them."""

    body: bytes = b""
    trailers: tuple[tuple[bytes, bytes], ...] = ()


class Call(Protocol):
    """What is said on a stream behind the heads of both sides. Times are in seconds since the request's head."""

    @property
    def due(self) -> float:
        """When it has something to say, if nothing happens before: infinity where it waits for the client."""

    @property
    def held(self) -> int:
        """How many bytes of what came, and of what is to be said, it keeps."""

    @property
    def listens(self) -> bool:
        """Whether the client has to say more before it can go on."""

    @property
    def bare(self) -> bool:
        """Whether what it says next is its end and nothing else, for which a client need not have room."""

    def receive(self, piece: bytes, now: float) -> None:
        """Take bytes of the request's body."""

    def end(self, now: float) -> None:
        """Take the end of the request, behind all of its body."""

    def say(self, now: float) -> Said:
        """Give what is to be said by now, a bounded piece of it; `due` tells when there is more."""

    def stop(self, *, replaced: bool) -> None:
        """Take it that the server stops, or, where it is `replaced`, this one of its workers."""

    def silent(self) -> Said:
        """End, since the client has said nothing for too long."""

    def old(self) -> Said:
        """End, since it has gone on for as long as anything may."""

    def fail(self) -> Said:
        """End, since what it should have said could not be made."""


def is_call(fields: tuple[tuple[bytes, bytes], ...]) -> bool:
    """Tell whether a request's fields ask for a call."""
    for name, value in fields:
        if name == b"content-type":
            of, behind = value[: len(_MEDIA_TYPE)], value[len(_MEDIA_TYPE) :][:1]
            return of.lower() == _MEDIA_TYPE and behind in _BEHIND
    return False
