"""HTTP/2 header blocks: reassembly and decompression (RFC 9113, 4.3).

HEADERS and CONTINUATION frames carry the fragments of a block.
"""

import re
from http import HTTPStatus
from typing import Final

import hpack
import msgspec
from hpack.exceptions import HPACKError, OversizedHeaderListError

from app.http.errors import ProtocolError
from app.http.request import HeaderList
from app.server.http2 import frames
from app.server.http2.frames import ErrorCode, Frame, Http2ConnectionError
from app.server.http2.hpack_table import newest_entry
from app.server.limits import RequestLimits

_MAX_FRAMES: Final = 64  # frames of one block: CVE-2024-27316 is about endless ones
# A header list that exceeds the limit by less than this factor is decoded nevertheless, so that the response is 431 and
# the connection stays open. The compression state belongs to the connection, and no block can be skipped.
_DECODING_FACTOR: Final = 4
# Maximum bytes of a block, and of its header list, for which a connection remembers its last block. A repeated one is
# mostly indices into the table, of some dozen headers.
_MAX_CACHED_BLOCK: Final = 256
_MAX_CACHED_LIST: Final = 2048
# A block may begin with two changes of the table's size (RFC 7541, 4.2), each an integer with a prefix of three bits
# (5.1, 6.3). A block full of them would take most of a second of a worker's time.
_THREE_SIZE_UPDATES = re.compile(rb"(?:[\x20-\x3e]|\x3f[\x80-\xff]*+[\x00-\x7f]){3}")


class HeaderBlock(msgspec.Struct, frozen=True, gc=False):
    """A header block: its first frame, its headers, and their size in bytes as defined in 6.5.2."""

    first_frame: Frame
    headers: HeaderList
    size: int

    def check_size(self, limits: RequestLimits) -> None:
        """Check the limit on a request head. Raise `ProtocolError`: 431."""
        if self.size > limits.head_size:
            reason = f"request head exceeds {limits.head_size} bytes (ECHO_MAX_HEADER_BYTES)"
            raise ProtocolError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, reason)


class HeaderBlockReader:
    """Reader of one connection's header blocks."""

    def __init__(self, limits: RequestLimits) -> None:
        self._max_size = _DECODING_FACTOR * limits.head_size
        self._decoder = hpack.Decoder(max_header_list_size=self._max_size)
        self._frames: list[Frame] = []  # of an incomplete block
        self._size = 0  # bytes of their payloads
        self._last_block = b""  # the last block, if repeating it means the same, as for most after the first
        self._last_decoded: tuple[HeaderList, int] = ((), 0)

    @property
    def has_partial_block(self) -> bool:
        """Whether a block is incomplete."""
        return bool(self._frames)

    @property
    def buffered_bytes(self) -> int:
        """Bytes buffered of an incomplete block."""
        return self._size if self._frames else 0

    def check_order(self, frame: Frame) -> None:
        """Check that no other frame interrupts a block (6.10). Raise `Http2ConnectionError`."""
        if self._frames and (frame.type != frames.CONTINUATION or frame.stream_id != self._frames[0].stream_id):
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "header block interrupted by another frame")

    def start_block(self, frame: Frame) -> HeaderBlock | None:
        """Process a HEADERS frame; return the block if it is complete. Raise `Http2ConnectionError`."""
        self._frames, self._size = [], 0
        return self._append_fragment(frame)

    def continue_block(self, frame: Frame) -> HeaderBlock | None:
        """Process a CONTINUATION frame; return the block if it is complete. Raise `Http2ConnectionError`."""
        if not self._frames:
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "CONTINUATION without HEADERS")
        return self._append_fragment(frame)

    def _append_fragment(self, frame: Frame) -> HeaderBlock | None:
        self._frames.append(frame)
        self._size += len(frame.payload)
        if frame.flags & frames.END_HEADERS:
            first_frame, *continuations = self._frames
            self._frames = []
            return self._decode(
                first_frame, b"".join((frames.strip_padding(first_frame), *(each.payload for each in continuations)))
            )
        if len(self._frames) > _MAX_FRAMES or self._size > self._max_size:
            raise Http2ConnectionError(
                ErrorCode.ENHANCE_YOUR_CALM, f"header block of {self._size} bytes or more is too large"
            )
        return None

    def _decode(self, first_frame: Frame, block: bytes) -> HeaderBlock:
        if block == self._last_block:
            return HeaderBlock(first_frame, *self._last_decoded)
        if _THREE_SIZE_UPDATES.match(block):
            raise Http2ConnectionError(
                ErrorCode.COMPRESSION_ERROR, "header compression: more than two table size updates"
            )
        entry_before = newest_entry(self._decoder.header_table)
        try:
            decoded = self._decoder.decode(block, raw=True)
        except OversizedHeaderListError as error:
            raise Http2ConnectionError(
                ErrorCode.ENHANCE_YOUR_CALM, "header list far above the limit (ECHO_MAX_HEADER_BYTES)"
            ) from error
        except HPACKError as error:
            # The library's own text is not used: it may contain an address of our memory.
            reason = f"header compression: {type(error).__name__}"
            raise Http2ConnectionError(ErrorCode.COMPRESSION_ERROR, reason) from error
        headers = tuple([(bytes(name), bytes(value)) for name, value in decoded])
        size = sum([len(name) + len(value) + 32 for name, value in headers])
        is_repeatable = (
            entry_before is newest_entry(self._decoder.header_table)
            and len(block) <= _MAX_CACHED_BLOCK
            and size <= _MAX_CACHED_LIST
        )
        self._last_block, self._last_decoded = (block, (headers, size)) if is_repeatable else (b"", ((), 0))
        return HeaderBlock(first_frame, headers, size)
