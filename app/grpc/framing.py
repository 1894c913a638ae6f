"""Messages in the body of a call: a flag, a length, and as many bytes, compressed where the flag says so.

https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#requests
"""

import zlib
from collections import deque
from collections.abc import Sequence
from typing import Final

from app.grpc.metadata import Given
from app.grpc.status import CallError, Code

PREFIX: Final = 5  # bytes: the flag, and the length, the most significant byte first
CODINGS: Final = (b"identity", b"gzip")  # of messages, as `grpc-accept-encoding` tells
_GZIP: Final = 31  # zlib's name for the format of RFC 1952
_SHOWN: Final = 20  # bytes of a coding's name
_WAITING: Final = 1000  # messages: what a client sends ahead of the answers


def coding(values: Sequence[Given]) -> bytes:
    """Give the coding of a call's compressed messages, by the values of `grpc-encoding`.

    Raises `CallError` for an unknown one.
    """
    if not values:
        return CODINGS[0]
    first = values[0]
    if first.value not in CODINGS:
        known = ", ".join(each.decode() for each in CODINGS)
        raise CallError(Code.UNIMPLEMENTED, f"unsupported grpc-encoding {first.quoted(_SHOWN)}; must be one of {known}")
    return first.value


def framed(message: bytes) -> bytes:
    """Give a message as it is sent: never compressed, since compression of what a client sent can be read from afar."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def cardinality(came: str) -> CallError:
    """Give what ends a call of which not one message `came`: https://grpc.github.io/grpc/core/md_doc_statuscodes.html."""
    return CallError(Code.UNIMPLEMENTED, f"the method requires exactly one request message, but received {came}")


class Messages:
    """The messages of a body: `receive` its pieces, take messages by `next`, and `end` it.

    Each may have `most` bytes, compressed or not; where it is to be `alone`, a second one is not even read. What can't
    be read raises `CallError`, once.
    """

    def __init__(self, coding: bytes, most: int, *, alone: bool = False) -> None:
        self._coding = coding
        self._most = most
        self._alone = alone
        self._buffer = bytearray()
        self._whole: deque[bytes] = deque()
        self._size = 0  # bytes of these

    @property
    def held(self) -> int:
        """How many bytes are kept."""
        return len(self._buffer) + self._size

    @property
    def waiting(self) -> int:
        """How many messages are there to be taken."""
        return len(self._whole)

    def receive(self, piece: bytes) -> None:
        """Take the next piece. Raises `CallError`."""
        buffer = self._buffer
        buffer += piece
        start = 0
        while len(buffer) - start >= PREFIX:
            flag, length = buffer[start], int.from_bytes(buffer[start + 1 : start + PREFIX], "big")
            self._check(flag, length)
            end = start + PREFIX + length
            if len(buffer) < end:
                break
            message = bytes(buffer[start + PREFIX : end])
            self._keep(self._inflated(message) if flag else message)
            start = end
        del buffer[:start]

    def next(self) -> bytes:
        """Give the next message of those that are `waiting`."""
        message = self._whole.popleft()
        self._size -= len(message)
        return message

    def end(self) -> None:
        """Take the end of the body. Raises `CallError` where a message is not whole."""
        if self._buffer:
            raise CallError(Code.INTERNAL, f"request ended within a message, after {len(self._buffer)} bytes of it")

    def _keep(self, message: bytes) -> None:
        self._whole.append(message)
        self._size += len(message)
        if len(self._whole) > 1 and (self._size > self._most or len(self._whole) > _WAITING):
            raise CallError(Code.RESOURCE_EXHAUSTED, "too many unanswered messages")

    def _check(self, flag: int, length: int) -> None:
        if self._alone and self._whole:
            raise cardinality("more")
        if flag > 1:
            raise CallError(Code.INTERNAL, f"invalid compressed flag {flag}; must be 0 or 1")
        if flag and self._coding == CODINGS[0]:
            raise CallError(Code.INTERNAL, "compressed message without grpc-encoding")
        if length > self._most:
            raise self._too_large(length)

    def _inflated(self, message: bytes) -> bytes:
        """Undo gzip, of one member: whoever compresses a message makes no more."""
        stream = zlib.decompressobj(_GZIP)
        try:
            inflated = stream.decompress(message, self._most + 1)
        except zlib.error as error:
            raise CallError(Code.INTERNAL, f"message is not valid gzip: {error}") from None
        if len(inflated) > self._most:
            raise self._too_large(len(inflated))
        if not stream.eof or stream.unused_data:
            raise CallError(Code.INTERNAL, "message is not one complete gzip member")
        return inflated

    def _too_large(self, size: int) -> CallError:
        return CallError(
            Code.RESOURCE_EXHAUSTED,
            f"message of at least {size} bytes exceeds {self._most} bytes (ECHO_MAX_MESSAGE)",
        )
