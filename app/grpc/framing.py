"""Framing of messages in the body of a call.

A message is a flag, a length, and as many bytes, compressed if the flag is set.

https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#requests
"""

import zlib
from collections import deque
from collections.abc import Sequence
from typing import Final

from app.grpc.metadata import Given
from app.grpc.status import CallError, Code

PREFIX: Final = 5  # bytes: the flag, and the length in big-endian order
CODINGS: Final = (b"identity", b"gzip")  # codings of messages, as listed in `grpc-accept-encoding`
_GZIP: Final = 31  # zlib's `wbits` for gzip (RFC 1952)
_SHOWN: Final = 20  # maximum bytes of a coding's name in an error message
_WAITING: Final = 1000  # maximum number of messages that a client sends ahead of their responses


def coding(values: Sequence[Given]) -> bytes:
    """Return the coding of a call's compressed messages, from the values of `grpc-encoding`.

    Raise `CallError` if it is unknown.
    """
    if not values:
        return CODINGS[0]
    first = values[0]
    if first.value not in CODINGS:
        known = ", ".join(each.decode() for each in CODINGS)
        raise CallError(Code.UNIMPLEMENTED, f"unsupported grpc-encoding {first.quoted(_SHOWN)}; must be one of {known}")
    return first.value


def framed(message: bytes) -> bytes:
    """Return a message with its prefix, never compressed: the compressed length of client data can leak its content."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def cardinality(came: str) -> CallError:
    """Return the error of a call without exactly one request message; `came` says how many were received.

    https://grpc.github.io/grpc/core/md_doc_statuscodes.html
    """
    return CallError(Code.UNIMPLEMENTED, f"the method requires exactly one request message, but received {came}")


class Messages:
    """The reader of the messages in a body: `receive` its pieces, get messages by `next`, and `end` it.

    A message has at most `most` bytes, compressed or not; if it must be `alone`, a second one is not even read. An
    invalid one raises `CallError`, once.
    """

    def __init__(self, coding: bytes, most: int, *, alone: bool = False) -> None:
        self._coding = coding
        self._most = most
        self._alone = alone
        self._buffer = bytearray()
        self._whole: deque[bytes] = deque()
        self._size = 0  # total bytes of the complete messages

    @property
    def held(self) -> int:
        """Number of buffered bytes."""
        return len(self._buffer) + self._size

    @property
    def waiting(self) -> int:
        """Number of complete messages that `next` can return."""
        return len(self._whole)

    def receive(self, piece: bytes) -> None:
        """Process the next piece of the body. Raise `CallError` if a message is invalid or above a limit."""
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
        """Return the next of the `waiting` messages."""
        message = self._whole.popleft()
        self._size -= len(message)
        return message

    def end(self) -> None:
        """Process the end of the body. Raise `CallError` if a message is incomplete."""
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
        """Decompress gzip of exactly one member, as compressors of messages generate no more. Raise `CallError`."""
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
