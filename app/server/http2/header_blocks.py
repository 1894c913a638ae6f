"""Header blocks: what HEADERS and CONTINUATION frames carry, put together and decompressed (RFC 9113, 4.3)."""

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

_CONTINUATIONS: Final = 64  # frames of one block: CVE-2024-27316 did it with endless ones
# What is too large by less than this factor is decoded all the same, so that it can be answered 431 and the connection
# live: the state of the compression is the connection's, and nothing can be left out of it.
_EXCESS: Final = 4
# Bytes of a block, and of what it means, for which a connection remembers its last one: what comes again is mostly
# places in the table, of some dozen fields.
_SHORT: Final = 256
_SHORT_LIST: Final = 2048
# The changes of the table's size that a block may begin with are two (RFC 7541, 4.2), each an integer behind three bits
# (5.1, 6.3). A block full of them would take a worker most of a second.
_TOO_MANY_SIZES = re.compile(rb"(?:[\x20-\x3e]|\x3f[\x80-\xff]*+[\x00-\x7f]){3}")


class Block(msgspec.Struct, frozen=True, gc=False):
    """A header block: the frame that began it, its fields, and their size in bytes as 6.5.2 counts it."""

    first: Frame
    fields: Fields
    size: int

    def check_size(self, limits: Limits) -> None:
        """Refuse one that is larger than a head may be. Raises `ProtocolError`: 431."""
        if self.size > limits.head:
            what = f"request head exceeds {limits.head} bytes (ECHO_MAX_HEADER_BYTES)"
            raise ProtocolError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, what)


class BlockReader:
    """Reads the header blocks of one connection."""

    def __init__(self, limits: Limits) -> None:
        self._most = _EXCESS * limits.head
        self._decoder = hpack.Decoder(max_header_list_size=self._most)
        self._frames: list[Frame] = []  # of a block that is not whole
        self._size = 0  # bytes of their payloads
        self._last = b""  # the last block, if it means the same when it comes again: as most do, behind the first
        self._meant: tuple[Fields, int] = ((), 0)

    @property
    def within(self) -> bool:
        """Whether a block has begun that is not whole."""
        return bool(self._frames)

    @property
    def held(self) -> int:
        """How many bytes wait for the rest of their block."""
        return self._size if self._frames else 0

    def check_order(self, frame: Frame) -> None:
        """Refuse another frame within a block (6.10). Raises `Http2ConnectionError`."""
        if self._frames and (frame.type != frames.CONTINUATION or frame.stream != self._frames[0].stream):
            raise Http2ConnectionError(ErrorCode.PROTOCOL_ERROR, "header block interrupted by another frame")

    def begin(self, frame: Frame) -> Block | None:
        """Take a HEADERS frame; give the block if that is all of it. Raises `Http2ConnectionError`."""
        self._frames, self._size = [], 0
        return self._take(frame)

    def go_on(self, frame: Frame) -> Block | None:
        """Take a CONTINUATION frame; give the block if it is whole. Raises `Http2ConnectionError`."""
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
            # Not in the library's words: they may have an address of our memory in them.
            what = f"header compression: {type(error).__name__}"
            raise Http2ConnectionError(ErrorCode.COMPRESSION_ERROR, what) from error
        fields = tuple([(bytes(name), bytes(value)) for name, value in decoded])
        size = sum([len(name) + len(value) + 32 for name, value in fields])
        same = before is newest(self._decoder.header_table) and len(block) <= _SHORT and size <= _SHORT_LIST
        self._last, self._meant = (block, (fields, size)) if same else (b"", ((), 0))
        return Block(first, fields, size)
