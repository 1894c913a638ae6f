"""The frames of one HTTP/2 connection that wait to be written, heads compressed as the client's settings allow."""

from typing import Final

import hpack
from hpack.table import HeaderTable

from app.http.request import Fields
from app.server.http2 import frames
from app.server.http2.hpack_table import newest

_LARGEST_TABLE: Final = HeaderTable.DEFAULT_SIZE  # bytes of header compression's table, whatever is allowed
# What is another value in each answer is sent as it is: in the table it would only take the place of what comes again.
_CHANGING: Final = frozenset((b"x-request-id", b"content-length"))


class Sending:
    """Takes frames and header blocks; `taken` gives their bytes. It knows no streams."""

    def __init__(self) -> None:
        self.waiting = 0  # bytes that were put and not taken
        self.max_frame = frames.MAX_FRAME  # bytes of payload that the client takes in one frame
        self._out: list[bytes] = []
        self._encoder = hpack.Encoder()
        self._first: Fields = ()  # fields that the last head began with, which are the same bytes when they come again
        self._encoded_first = b""
        self._newest: object = None  # the table's newest entry by then: with another one they are not
        self._table = self._smallest_table = _LARGEST_TABLE  # bytes: the last size that was allowed, and the smallest

    def put(self, frame: bytes) -> None:
        """Let a frame be sent behind those before it."""
        self._out.append(frame)
        self.waiting += len(frame)

    def taken(self) -> bytes:
        """Give what is to be written to the wire."""
        if not self._out:
            return b""
        out = b"".join(self._out)
        self._out.clear()
        self.waiting = 0
        return out

    def resize_table(self, size: int) -> None:
        """Keep to the size of the table that the client allows, from the next head on.

        However often it changes, a head tells two sizes at most: the smallest, and the last (RFC 7541, 4.2). The
        encoder would keep each, and take quadratic time to tell them.
        """
        self._table = min(size, _LARGEST_TABLE)
        self._smallest_table = min(self._smallest_table, self._table)

    def put_head(self, number: int, fields: Fields, *, end: bool) -> int:
        """Send a header block in as many frames as it takes; give its size in bytes."""
        self._resize()
        changing = next((at for at, (name, _) in enumerate(fields) if name in _CHANGING), len(fields))
        add = self._encoder.add
        block = b"".join(
            (
                self._encoded(fields[:changing]),
                *[add(each, each[0] in _CHANGING, each[0] not in _CHANGING) for each in fields[changing:]],
            )
        )
        size = len(block)
        kind, flags = frames.HEADERS, frames.END_STREAM if end else 0
        while len(block) > self.max_frame:
            self.put(frames.encode(kind, flags, number, block[: self.max_frame]))
            block, kind, flags = block[self.max_frame :], frames.CONTINUATION, 0
        self.put(frames.encode(kind, flags | frames.END_HEADERS, number, block))
        return size

    def _encoded(self, fields: Fields) -> bytes:
        """Encode the fields with which a head begins: those of all answers that are alike, in the same second."""
        table = self._encoder.header_table
        before = newest(table)
        if fields == self._first and before is self._newest and not table.resized:
            return self._encoded_first
        encoded = self._encoder.encode(fields)
        self._newest = newest(table)
        self._first, self._encoded_first = (fields, encoded) if before is self._newest else ((), b"")
        return encoded

    def _resize(self) -> None:
        for size in (self._smallest_table, self._table):
            if size != self._encoder.header_table_size:
                self._encoder.header_table_size = size
        self._smallest_table = self._table
