"""Response bodies that are generated while they are sent."""

import math
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

PIECE: Final = 65_536  # bytes of a body that are generated at once
_LINE: Final = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-\n"
_LINES: Final = _LINE * (PIECE // len(_LINE))
_PER_SECOND: Final = 10  # pieces per second of a body that is spread over time


class Content(msgspec.Struct, frozen=True):
    """Streamed body: its length in bytes, or None if unknown, and its pieces, an iterable to be read once.

    An `endless` body is complete after any piece. `held` is the number of bytes it buffers until its last piece.
    """

    length: int | None
    pieces: Iterable[bytes]
    endless: bool = False
    held: int = 0


def generated(length: int, piece: int = PIECE) -> Iterator[bytes]:
    """Yield `length` bytes in pieces: always the same lines of 64 ASCII characters, line feed included."""
    for start in range(0, length, piece):
        yield _slice(start, min(start + piece, length))


def _slice(start: int, end: int) -> bytes:
    """Return the bytes from `start` to `end` of the endlessly repeated line."""
    phase, size = start % len(_LINE), end - start
    text = _LINES if phase + size <= len(_LINES) else _LINE * math.ceil((phase + size) / len(_LINE))
    return text[phase : phase + size]


def in_pieces(body: bytes, piece: int = PIECE) -> Iterator[bytes]:
    """Split a body into pieces of `piece` bytes."""
    return (body[start : start + piece] for start in range(0, len(body), piece))


def repieced(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Yield the same bytes in pieces of `size` bytes, buffering at most one piece of either size."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) >= size:
            yield bytes(waiting[:size])
            del waiting[:size]
    if waiting:
        yield bytes(waiting)


def pieces_for(length: int, seconds: float) -> int:
    """Return the number of pieces of a body that is spread over time: some per second, at least two if possible."""
    return max(1, min(length, max(2, math.ceil(seconds * _PER_SECOND))))


def first_half(pieces: Iterable[bytes], length: int | None) -> Iterator[bytes]:
    """Yield the first half of a body; if its length is unknown, its first piece."""
    left = None if length is None else length // 2
    for piece in pieces:
        if left is None:
            yield piece
            return
        if piece[:left]:
            yield piece[:left]
        left -= len(piece)
        if left <= 0:
            return
