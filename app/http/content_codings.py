"""Content codings of bodies: a stream decoder for each (RFC 9110, 8.4.1)."""

import re
import sys
import zlib
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

import brotli  # type: ignore[import-untyped] # it publishes no types

if sys.version_info >= (3, 14):
    from compression.zstd import DecompressionParameter, ZstdDecompressor, ZstdError
else:
    from backports.zstd import DecompressionParameter, ZstdDecompressor, ZstdError

MAX_OUTPUT: Final = 65_536  # maximum output in bytes of one library call
MAX_WINDOW_LOG: Final = 23  # 8 MiB, the maximum window of a zstd frame in HTTP (RFC 9659, 3)

# Brotli treats its limit as the least output at which it stops: it yields one block, of at most 32 KiB.
_BROTLI_LIMIT: Final = 16_384
_DEFLATE_MEMORY: Final = 384 << 10

# A frame or a skippable frame (RFC 8878, 3.1.1 and 3.1.2).
_ZSTD_MAGIC = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")


class DecodingError(Exception):
    """Decoding error; its message is the reason, in one line."""


class StreamDecoder(Protocol):
    """Decoder of one stream. `decode` takes input if `needs_input`, else empty bytes, and returns bounded output.

    `is_finished` is true after the end of the stream, `unused_data` is the input after that end.
    """

    needs_input: bool
    is_finished: bool
    unused_data: bytes

    def decode(self, data: bytes) -> bytes:
        """Decode input. Raise `DecodingError`."""


class _DeflateDecoder:
    """DEFLATE decoder (RFC 1951); `wbits` selects the wrapper: 31 gzip, 15 zlib, -15 none."""

    def __init__(self, wbits: int) -> None:
        self.needs_input, self.is_finished, self.unused_data = True, False, b""
        self._stream = zlib.decompressobj(wbits)

    def decode(self, data: bytes) -> bytes:
        try:
            output = self._stream.decompress(self._stream.unconsumed_tail + data, MAX_OUTPUT)
        except zlib.error as error:
            raise DecodingError(f"corrupt data: {error}") from None
        # After output of the maximum size more may follow, even if all input is consumed.
        self.needs_input = not self._stream.unconsumed_tail and len(output) < MAX_OUTPUT
        self.is_finished, self.unused_data = self._stream.eof, self._stream.unused_data
        return output


class _BrotliDecoder:
    """Brotli decoder (RFC 7932)."""

    def __init__(self) -> None:
        self.needs_input, self.is_finished, self.unused_data = True, False, b""
        self._stream = brotli.Decompressor()

    def decode(self, data: bytes) -> bytes:
        try:
            output: bytes = self._stream.process(data, output_buffer_limit=_BROTLI_LIMIT)
        except brotli.error:
            # The library distinguishes the two only by where the input was split.
            raise DecodingError("corrupt data, or bytes after its end") from None
        self.needs_input = len(output) < _BROTLI_LIMIT and self._stream.can_accept_more_data()
        self.is_finished = self._stream.is_finished()
        return output


class _ZstdDecoder:
    """Decoder of one Zstandard frame (RFC 8878)."""

    def __init__(self) -> None:
        self.needs_input, self.is_finished, self.unused_data = True, False, b""
        self._stream = ZstdDecompressor(options={DecompressionParameter.window_log_max: MAX_WINDOW_LOG})

    def decode(self, data: bytes) -> bytes:
        try:
            output = self._stream.decompress(data, MAX_OUTPUT)
        except ZstdError as error:
            if "too much memory" in str(error):
                raise DecodingError(f"window exceeds {1 << MAX_WINDOW_LOG} bytes (RFC 9659)") from None
            raise DecodingError(f"corrupt data: {error}") from None
        self.needs_input, self.is_finished, self.unused_data = (
            self._stream.needs_input,
            self._stream.eof,
            self._stream.unused_data,
        )
        return output


def _open_gzip(start: bytes) -> StreamDecoder | None:
    return _DeflateDecoder(31) if start == b"\x1f\x8b" else None  # RFC 1952, 2.3.1


def _open_deflate(start: bytes) -> StreamDecoder:
    # RFC 9110, 8.4.1.2, requires the zlib format; many clients send raw DEFLATE. In raw DEFLATE a zlib header (RFC
    # 1950, 2.2) would begin a stored block with non-zero padding, which no compressor writes.
    has_zlib_header = start[0] & 0x0F == zlib.DEFLATED and int.from_bytes(start, "big") % 31 == 0
    return _DeflateDecoder(15 if has_zlib_header else -15)


def _open_brotli(start: bytes) -> StreamDecoder:
    del start  # brotli has no magic number
    return _BrotliDecoder()


def _open_zstd(start: bytes) -> StreamDecoder | None:
    return _ZstdDecoder() if _ZSTD_MAGIC.fullmatch(start) else None


class Coding(NamedTuple):
    """Content coding.

    `open_stream` opens a stream, given its first `start_length` bytes; if `is_repeatable`, more streams may follow.
    `memory` is the maximum memory of its decoder in bytes: window, tables and buffered data, measured and rounded up.
    """

    start_length: int
    open_stream: Callable[[bytes], StreamDecoder | None]
    is_repeatable: bool
    memory: int


_GZIP = Coding(2, _open_gzip, is_repeatable=True, memory=_DEFLATE_MEMORY)  # RFC 1952, 2.2
# https://www.iana.org/assignments/http-parameters/http-parameters.xhtml#content-coding
CODINGS: Final = {
    b"gzip": _GZIP,
    b"x-gzip": _GZIP,  # RFC 9110, 8.4.1.3
    b"deflate": Coding(2, _open_deflate, is_repeatable=False, memory=_DEFLATE_MEMORY),
    # The client chooses the window size, up to 16 MiB (RFC 7932, 9.1).
    b"br": Coding(1, _open_brotli, is_repeatable=False, memory=20 << 20),
    b"zstd": Coding(4, _open_zstd, is_repeatable=True, memory=9 << 20),  # RFC 8878, 3
}
