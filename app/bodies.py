"""A body, measured while it passes: constant memory, whatever its length."""

import hashlib
from typing import Final

import msgspec

KEPT: Final = 65_536  # bytes of a body's beginning that are kept to be shown


class Body(msgspec.Struct, frozen=True, gc=False):
    """A request's body, without its transfer coding.

    `length` is in bytes, `sha256` in hexadecimal digits, both of the whole; `kept` is its beginning, at most `KEPT`
    bytes; `chunked` tells whether chunks carried it.
    """

    length: int
    sha256: str
    chunked: bool
    kept: bytes


class Meter:
    """Measures a body: `take` its pieces in order, then ask for `body`."""

    def __init__(self) -> None:
        self._length = 0
        self._digest = hashlib.sha256()
        self._kept = b""

    def take(self, piece: bytes) -> None:
        """Take the next piece."""
        if self._length < KEPT:
            self._kept += piece[: KEPT - self._length]
        self._length += len(piece)
        self._digest.update(piece)

    def body(self, *, chunked: bool) -> Body:
        """Give what was measured so far."""
        return Body(self._length, self._digest.hexdigest(), chunked, self._kept)


NONE: Final = Meter().body(chunked=False)
