"""Framing of messages in the body of a call.

A message is a flag, a length, and as many bytes, compressed if the flag is set.

https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#requests
"""

import zlib
from collections import deque
from collections.abc import Sequence
from typing import Final

from app.grpc.metadata import MetadataValue
from app.grpc.status import CallError, StatusCode

PREFIX_SIZE: Final = 5  # bytes: the flag, and the length in big-endian order
CODINGS: Final = (b"identity", b"gzip")  # codings of messages, as listed in `grpc-accept-encoding`
_GZIP_WBITS: Final = 31  # zlib's `wbits` for gzip (RFC 1952)
_MAX_EXCERPT: Final = 20  # maximum bytes of a coding's name in an error message
_MAX_READY_MESSAGES: Final = 1000  # maximum number of messages that a client sends ahead of their responses


def parse_coding(values: Sequence[MetadataValue]) -> bytes:
    """Return the coding of a call's compressed messages, from the values of `grpc-encoding`.

    Raise `CallError` if it is unknown.
    """
    if not values:
        return CODINGS[0]
    first = values[0]
    if first.value not in CODINGS:
        available = ", ".join(each.decode() for each in CODINGS)
        raise CallError(
            StatusCode.UNIMPLEMENTED,
            f"unsupported grpc-encoding {first.excerpt(_MAX_EXCERPT)}; must be one of {available}",
        )
    return first.value


def encode_message(message: bytes) -> bytes:
    """Return a message with its prefix, never compressed: the compressed length of client data can leak its content."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def wrong_message_count(count: str) -> CallError:
    """Return the error of a call without exactly one request message; `count` says how many were received.

    https://grpc.github.io/grpc/core/md_doc_statuscodes.html
    """
    return CallError(StatusCode.UNIMPLEMENTED, f"the method requires exactly one request message, but received {count}")


class MessageReader:
    """Reader of the messages in a body: `feed_body` and `feed_eof` take its bytes, `next_message` returns a message.

    A message has at most `max_size` bytes, compressed or not; if `is_single`, a second one is not even read. An invalid
    one raises `CallError`, once.
    """

    def __init__(self, coding: bytes, max_size: int, *, is_single: bool = False) -> None:
        self._coding = coding
        self._max_size = max_size
        self._is_single = is_single
        self._buffer = bytearray()
        self._complete_messages: deque[bytes] = deque()
        self._complete_size = 0  # total bytes of the complete messages

    @property
    def buffered_bytes(self) -> int:
        """Number of buffered bytes."""
        return len(self._buffer) + self._complete_size

    @property
    def ready_count(self) -> int:
        """Number of complete messages that `next_message` can return."""
        return len(self._complete_messages)

    def feed_body(self, piece: bytes) -> None:
        """Process the next piece of the body. Raise `CallError` if a message is invalid or above a limit."""
        buffer = self._buffer
        buffer += piece
        start = 0
        while len(buffer) - start >= PREFIX_SIZE:
            flag, length = buffer[start], int.from_bytes(buffer[start + 1 : start + PREFIX_SIZE], "big")
            self._check_prefix(flag, length)
            end = start + PREFIX_SIZE + length
            if len(buffer) < end:
                break
            message = bytes(buffer[start + PREFIX_SIZE : end])
            self._append_message(self._decompress(message) if flag else message)
            start = end
        del buffer[:start]

    def next_message(self) -> bytes:
        """Return the next complete message."""
        message = self._complete_messages.popleft()
        self._complete_size -= len(message)
        return message

    def feed_eof(self) -> None:
        """Process the end of the body. Raise `CallError` if a message is incomplete."""
        if self._buffer:
            raise CallError(
                StatusCode.INTERNAL, f"request ended within a message, after {len(self._buffer)} bytes of it"
            )

    def _append_message(self, message: bytes) -> None:
        self._complete_messages.append(message)
        self._complete_size += len(message)
        if len(self._complete_messages) > 1 and (
            self._complete_size > self._max_size or len(self._complete_messages) > _MAX_READY_MESSAGES
        ):
            raise CallError(StatusCode.RESOURCE_EXHAUSTED, "too many unanswered messages")

    def _check_prefix(self, flag: int, length: int) -> None:
        if self._is_single and self._complete_messages:
            raise wrong_message_count("more")
        if flag > 1:
            raise CallError(StatusCode.INTERNAL, f"invalid compressed flag {flag}; must be 0 or 1")
        if flag and self._coding == CODINGS[0]:
            raise CallError(StatusCode.INTERNAL, "compressed message without grpc-encoding")
        if length > self._max_size:
            raise self._too_large(length)

    def _decompress(self, message: bytes) -> bytes:
        """Decompress gzip of exactly one member, as compressors of messages generate no more. Raise `CallError`."""
        stream = zlib.decompressobj(_GZIP_WBITS)
        try:
            inflated = stream.decompress(message, self._max_size + 1)
        except zlib.error as error:
            raise CallError(StatusCode.INTERNAL, f"message is not valid gzip: {error}") from None
        if len(inflated) > self._max_size:
            raise self._too_large(len(inflated))
        if not stream.eof or stream.unused_data:
            raise CallError(StatusCode.INTERNAL, "message is not one complete gzip member")
        return inflated

    def _too_large(self, size: int) -> CallError:
        return CallError(
            StatusCode.RESOURCE_EXHAUSTED,
            f"message of at least {size} bytes exceeds {self._max_size} bytes (ECHO_MAX_MESSAGE)",
        )
