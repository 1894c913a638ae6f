"""Inputs split into pieces, and header lines, for the targets.

The pieces are like those that networks deliver. The same bytes give the same pieces.
"""

import zlib
from collections.abc import Iterator, Sequence
from random import Random
from typing import Final

from app.http.request import HeaderList

_BYTE_BY_BYTE: Final = (
    1024  # maximum bytes of an input that is also delivered byte by byte: longer ones would cost more than they find
)
_LONGEST_PIECE: Final = 64

Pieces = Sequence[bytes]


def deliveries(data: bytes) -> Iterator[Pieces]:
    """Yield the pieces of several deliveries: whole, split at places derived from the bytes, byte by byte."""
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
    """Return whether these bytes are among one in this many, for checks that are worth their time only occasionally."""
    return not zlib.crc32(data) % one_of


def field_lines(lines: Sequence[bytes], separator: bytes = b":") -> HeaderList:
    """Return names and values of the lines that have a separator; blanks around a value are not part of it."""
    parted = (line.partition(separator) for line in lines if separator in line)
    return tuple((name, value.strip(b" \t")) for name, _, value in parted)
