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
from app.http.request import Fields
from app.server.http2 import frames
from app.server.http2.frames import ErrorCode, Frame, Http2ConnectionError
from app.server.http2.hpack_table import newest
from app.server.limits import Limits

_CONTINUATIONS: Final = 64  # frames of one block: CVE-2024-27316 is about endless ones
# A header list that exceeds the limit by less than this factor is decoded nevertheless, so that the response is 431 and
# the connection stays open. The compression state belongs to the connection, and no block can be skipped.
_EXCESS: Final = 4
# Maximum bytes of a block, and of its header list, for which a connection remembers its last block. A repeated one is
# mostly indices into the table, of some dozen headers.
_SHORT: Final = 256
_SHORT_LIST: Final = 2048
# A block may begin with two changes of the table's size (RFC 7541, 4.2), each an integer with a prefix of three bits
# (5.1, 6.3). A block full of them would take most of a second of a worker's time.
_TOO_MANY_SIZES = re.compile(rb"(?:[\x20-\x3e]|\x3f[\x80-\xff]*+[\x00-\x7f]){3}")


class Block(msgspec.Struct, frozen=True, gc=False):
    """A header block: its first frame, its headers, and their size in bytes as defined in 6.5.2."""

    first: Frame
    fields: Fields
    size: int

    def check_size(self, limits: Limits) -> None:
        """Check the limit on a request head. Raise `ProtocolError`: 431."""
        if self.size > limits.head:
            what = f"request head exceeds {limits.head} bytes (ECHO_MAX_HEADER_BYTES)"
            raise ProtocolError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, what)


class BlockReader:
    """Reader of one connection's header blocks."""

    def __init__(self, limits: Limits) -> None:
        self._most = _EXCESS * limits.head
        self._decoder = hpack.Decoder(max_header_list_size=self._most)
        self._frames: list[Frame] = []  # of an incomplete block
        self._size = 0  # bytes of their payloads
        self._last = b""  # the last block, if repeating it means the same, as for most after the first
        self._meant: tuple[Fields, int] = ((), 0)

    @property
    def within(self) -> bool:
        """Whether a block is incomplete."""
        return bool(self._frames)

    @property
    def held(self) -> int:
        """Bytes buffered of an incomplete block."""
        return self._size if self._frames else 0

    def check_order(self, frame: Frame) -> None:
        """Check that no other frame interrupts a block (6.10). Raise `Http2ConnectionError`."""
        if self._frames and (frame.type != frames.CONTINUATION or frame.stream != self._frames[0].stream):
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "header block interrupted by another frame")

    def begin(self, frame: Frame) -> Block | None:
        """Process a HEADERS frame; return the block if it is complete. Raise `Http2ConnectionError`."""
        self._frames, self._size = [], 0
        return self._take(frame)

    def go_on(self, frame: Frame) -> Block | None:
        """Process a CONTINUATION frame; return the block if it is complete. Raise `Http2ConnectionError`."""
        if not self._frames:
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "CONTINUATION without HEADERS")
        return self._take(frame)

    def _take(self, frame: Frame) -> Block | None:
        self._frames.append(frame)
        self._size += len(frame.payload)
        if frame.flags & frames.END_HEADERS:
            first, *rest = self._frames
            self._frames = []
            return self._decoded(first, b"".join((frames.unpadded(first), *(each.payload for each in rest))))
        if len(self._frames) > _CONTINUATIONS or self._size > self._most:
            raise Http2ConnectionError(
                ErrorCode.ENHANCE_YOUR_CALM, f"header block of {self._size} bytes or more is too large"
            )
        return None

    def _decoded(self, first: Frame, block: bytes) -> Block:
        if block == self._last:
            return Block(first, *self._meant)
        if _TOO_MANY_SIZES.match(block):
            raise Http2ConnectionError(
                ErrorCode.COMPRESSION_ERROR, "header compression: more than two table size updates"
            )
        before = newest(self._decoder.header_table)
        try:
            decoded = self._decoder.decode(block, raw=True)
        except OversizedHeaderListError as error:
            raise Http2ConnectionError(
                ErrorCode.ENHANCE_YOUR_CALM, "header list far above the limit (ECHO_MAX_HEADER_BYTES)"
            ) from error
        except HPACKError as error:
            # The library's own text is not used: it may contain an address of our memory.
            what = f"header compression: {type(error).__name__}"
            raise Http2ConnectionError(ErrorCode.COMPRESSION_ERROR, what) from error
        fields = tuple([(bytes(name), bytes(value)) for name, value in decoded])
        size = sum([len(name) + len(value) + 32 for name, value in fields])
        same = before is newest(self._decoder.header_table) and len(block) <= _SHORT and size <= _SHORT_LIST
        self._last, self._meant = (block, (fields, size)) if same else (b"", ((), 0))
        return Block(first, fields, size)
