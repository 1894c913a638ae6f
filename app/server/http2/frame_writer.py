"""Output buffer of an HTTP/2 connection: frames and header blocks.

Header blocks are compressed as the client's settings allow.
"""

from typing import Final

import hpack
from hpack.table import HeaderTable

from app.http.request import HeaderList
from app.server.http2 import frames
from app.server.http2.hpack_table import newest_entry

_MAX_TABLE_SIZE: Final = HeaderTable.DEFAULT_SIZE  # bytes of the compression table, even if the client allows more
# Headers with another value in each response are not indexed: in the table they would displace repeated ones.
_UNINDEXED_NAMES: Final = frozenset((b"x-request-id", b"content-length"))


class FrameWriter:
    """Buffer of frames and header blocks; `pop_bytes` returns their bytes. It has no stream state."""

    def __init__(self) -> None:
        self.buffered_bytes = 0  # bytes in the buffer
        self.max_payload_size = frames.MAX_PAYLOAD_SIZE  # bytes of payload that the client accepts in one frame
        self._buffered_frames: list[bytes] = []
        self._encoder = hpack.Encoder()
        self._cached_headers: HeaderList = ()  # first headers of the last head; repeated, they encode to the same bytes
        self._cached_block = b""
        self._cached_entry: object = None  # the table's newest entry at that time: with another one the bytes differ
        self._table_size = self._smallest_table_size = _MAX_TABLE_SIZE  # bytes: the last allowed size, and the smallest

    def append_frame(self, frame: bytes) -> None:
        """Append a frame to the buffer."""
        self._buffered_frames.append(frame)
        self.buffered_bytes += len(frame)

    def pop_bytes(self) -> bytes:
        """Remove and return the bytes to write to the wire."""
        if not self._buffered_frames:
            return b""
        output = b"".join(self._buffered_frames)
        self._buffered_frames.clear()
        self.buffered_bytes = 0
        return output

    def resize_table(self, size: int) -> None:
        """Set the table size that the client allows, from the next head on.

        However often it changes, a head contains two sizes at most: the smallest, and the last (RFC 7541, 4.2). The
        encoder would store each of them, and take quadratic time to encode them.
        """
        self._table_size = min(size, _MAX_TABLE_SIZE)
        self._smallest_table_size = min(self._smallest_table_size, self._table_size)

    def append_header_block(self, stream_id: int, headers: HeaderList, *, end_stream: bool) -> int:
        """Append a header block in as many frames as necessary; return its size in bytes."""
        self._apply_table_size()
        cached_count = next(
            (index for index, (name, _) in enumerate(headers) if name in _UNINDEXED_NAMES), len(headers)
        )
        add = self._encoder.add
        block = b"".join(
            (
                self._encode_cached(headers[:cached_count]),
                *[
                    add(header, header[0] in _UNINDEXED_NAMES, header[0] not in _UNINDEXED_NAMES)
                    for header in headers[cached_count:]
                ],
            )
        )
        size = len(block)
        kind, flags = frames.HEADERS, frames.END_STREAM if end_stream else 0
        while len(block) > self.max_payload_size:
            self.append_frame(frames.encode(kind, flags, stream_id, block[: self.max_payload_size]))
            block, kind, flags = block[self.max_payload_size :], frames.CONTINUATION, 0
        self.append_frame(frames.encode(kind, flags | frames.END_HEADERS, stream_id, block))
        return size

    def _encode_cached(self, headers: HeaderList) -> bytes:
        """Encode the first headers of a head: they are the same in all similar responses within a second."""
        table = self._encoder.header_table
        entry_before = newest_entry(table)
        if headers == self._cached_headers and entry_before is self._cached_entry and not table.resized:
            return self._cached_block
        encoded = self._encoder.encode(headers)
        self._cached_entry = newest_entry(table)
        self._cached_headers, self._cached_block = (
            (headers, encoded) if entry_before is self._cached_entry else ((), b"")
        )
        return encoded

    def _apply_table_size(self) -> None:
        for size in (self._smallest_table_size, self._table_size):
            if size != self._encoder.header_table_size:
                self._encoder.header_table_size = size
        self._smallest_table_size = self._table_size
