"""Output buffer of an HTTP/2 connection: frames and header blocks.

Header blocks are compressed as the client's settings allow.
"""

from typing import Final

import hpack
from hpack.table import HeaderTable

from app.http.request import Fields
from app.server.http2 import frames
from app.server.http2.hpack_table import newest

_LARGEST_TABLE: Final = HeaderTable.DEFAULT_SIZE  # bytes of the compression table, even if the client allows more
# Headers with another value in each response are not indexed: in the table they would displace repeated ones.
_CHANGING: Final = frozenset((b"x-request-id", b"content-length"))


class Sending:
    """Buffer of frames and header blocks; `taken` returns their bytes. It has no stream state."""

    def __init__(self) -> None:
        self.waiting = 0  # bytes in the buffer
        self.max_frame = frames.MAX_FRAME  # bytes of payload that the client accepts in one frame
        self._out: list[bytes] = []
        self._encoder = hpack.Encoder()
        self._first: Fields = ()  # first headers of the last head; repeated, they encode to the same bytes
        self._encoded_first = b""
        self._newest: object = None  # the table's newest entry at that time: with another one the bytes differ
        self._table = self._smallest_table = _LARGEST_TABLE  # bytes: the last allowed size, and the smallest

    def put(self, frame: bytes) -> None:
        """Append a frame to the buffer."""
        self._out.append(frame)
        self.waiting += len(frame)

    def taken(self) -> bytes:
        """Remove and return the bytes to write to the wire."""
        if not self._out:
            return b""
        out = b"".join(self._out)
        self._out.clear()
        self.waiting = 0
        return out

    def resize_table(self, size: int) -> None:
        """Set the table size that the client allows, from the next head on.

        However often it changes, a head contains two sizes at most: the smallest, and the last (RFC 7541, 4.2). The
        encoder would store each of them, and take quadratic time to encode them.
        """
        self._table = min(size, _LARGEST_TABLE)
        self._smallest_table = min(self._smallest_table, self._table)

    def put_head(self, number: int, fields: Fields, *, end: bool) -> int:
        """Append a header block in as many frames as necessary; return its size in bytes."""
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
        """Encode the first headers of a head: they are the same in all similar responses within a second."""
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
