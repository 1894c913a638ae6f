"""Bytes in pieces, as networks deliver them, and lines of fields, for the targets. The same bytes give the same."""

import zlib
from collections.abc import Iterator, Sequence
from random import Random
from typing import Final

from app.http.request import Fields

_BYTE_BY_BYTE: Final = (
    1024  # bytes of an input that also comes byte by byte: more of them would cost more than they find
)
_LONGEST_PIECE: Final = 64

Pieces = Sequence[bytes]


def deliveries(data: bytes) -> Iterator[Pieces]:
    """Give the pieces of several deliveries: whole, cut at places that follow from the bytes, byte by byte."""
    yield [data]
    yield list(_cut(data))
    if len(data) <= _BYTE_BY_BYTE:
        yield [data[place : place + 1] for place in range(len(data))]


def _cut(data: bytes) -> Iterator[bytes]:
    random = Random(zlib.crc32(data))  # noqa: S311 - the same for the same bytes is what is wanted
    start = 0
    while start < len(data):
        size = random.choice((1, 2, 3, random.randint(1, _LONGEST_PIECE)))
        yield data[start : start + size]
        start += size


def sampled(data: bytes, one_of: int) -> bool:
    """Tell whether these bytes are among one in so many: for what is worth its time only now and then."""
    return not zlib.crc32(data) % one_of


def field_lines(lines: Sequence[bytes], separator: bytes = b":") -> Fields:
    """Give the pairs of lines that have a separator; blanks around a value are not part of it."""
    parted = (line.partition(separator) for line in lines if separator in line)
    return tuple((name, value.strip(b" \t")) for name, _, value in parted)
