"""Response bodies that are generated while they are sent."""

import math
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

PIECE_SIZE: Final = 65_536  # bytes of a body that are generated at once
_LINE: Final = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-\n"
_LINES: Final = _LINE * (PIECE_SIZE // len(_LINE))
_PIECES_PER_SECOND: Final = 10  # pieces per second of a body that is spread over time


class StreamedBody(msgspec.Struct, frozen=True):
    """Streamed body: its length in bytes, or None if unknown, and its pieces, an iterable to be read once.

    An `is_endless` body is complete after any piece. `buffered_bytes` is the number of bytes it buffers until its last
    piece.
    """

    length: int | None
    pieces: Iterable[bytes]
    is_endless: bool = False
    buffered_bytes: int = 0


def generate_body(length: int, piece_size: int = PIECE_SIZE) -> Iterator[bytes]:
    """Yield `length` bytes in pieces: always the same lines of 64 ASCII characters, line feed included."""
    for start in range(0, length, piece_size):
        yield _slice(start, min(start + piece_size, length))


def _slice(start: int, end: int) -> bytes:
    """Return the bytes from `start` to `end` of the endlessly repeated line."""
    phase, size = start % len(_LINE), end - start
    text = _LINES if phase + size <= len(_LINES) else _LINE * math.ceil((phase + size) / len(_LINE))
    return text[phase : phase + size]


def split_body(body: bytes, piece_size: int = PIECE_SIZE) -> Iterator[bytes]:
    """Split a body into pieces of `piece_size` bytes."""
    return (body[start : start + piece_size] for start in range(0, len(body), piece_size))


def rechunk(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Yield the same bytes in pieces of `size` bytes, buffering at most one piece of either size."""
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
        while len(buffer) >= size:
            yield bytes(buffer[:size])
            del buffer[:size]
    if buffer:
        yield bytes(buffer)


def piece_count(length: int, seconds: float) -> int:
    """Return the number of pieces of a body that is spread over time: some per second, at least two if possible."""
    return max(1, min(length, max(2, math.ceil(seconds * _PIECES_PER_SECOND))))


def first_half(pieces: Iterable[bytes], length: int | None) -> Iterator[bytes]:
    """Yield the first half of a body; if its length is unknown, its first piece."""
    remaining = None if length is None else length // 2
    for piece in pieces:
        if remaining is None:
            yield piece
            return
        if piece[:remaining]:
            yield piece[:remaining]
        remaining -= len(piece)
        if remaining <= 0:
            return
