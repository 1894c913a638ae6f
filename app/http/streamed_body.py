"""The content of an answer: bytes that are there, or bytes that are made while they are sent."""

import math
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

PIECE: Final = 65_536  # bytes of a body that are made at once
_LINE: Final = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-\n"
_LINES: Final = _LINE * (PIECE // len(_LINE))
_PER_SECOND: Final = 10  # pieces of a body that is spread over time


class Content(msgspec.Struct, frozen=True):
    """A content: its length in bytes, or None where nobody knows; and its pieces, to be asked for once.

    One that is `endless` is whole behind any of them. `held` are the bytes that it keeps until the last was given.
    """

    length: int | None
    pieces: Iterable[bytes]
    endless: bool = False
    held: int = 0


def generated(length: int, piece: int = PIECE) -> Iterator[bytes]:
    """Give so many bytes, in pieces: lines of 64 characters of ASCII, always the same."""
    for start in range(0, length, piece):
        yield _slice(start, min(start + piece, length))


def _slice(start: int, end: int) -> bytes:
    """Give the bytes from one place of the endless text to another."""
    phase, size = start % len(_LINE), end - start
    text = _LINES if phase + size <= len(_LINES) else _LINE * math.ceil((phase + size) / len(_LINE))
    return text[phase : phase + size]


def in_pieces(body: bytes, piece: int = PIECE) -> Iterator[bytes]:
    """Give a body in pieces of so many bytes."""
    return (body[start : start + piece] for start in range(0, len(body), piece))


def repieced(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Give the same bytes in pieces of so many, holding no more than one of either size."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) >= size:
            yield bytes(waiting[:size])
            del waiting[:size]
    if waiting:
        yield bytes(waiting)


def pieces_for(length: int, seconds: float) -> int:
    """Give into how many pieces a body is cut that is sent over so long: some each second, two where it can be."""
    return max(1, min(length, max(2, math.ceil(seconds * _PER_SECOND))))


def first_half(pieces: Iterable[bytes], length: int | None) -> Iterator[bytes]:
    """Give the first half of a content; of one whose length nobody knows, its first piece."""
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
