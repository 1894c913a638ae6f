"""Content decoders of request bodies (RFC 9110, 8.4).

Sans-I/O, constant memory, bounded steps. A few bytes may decode to any number. Each library call therefore has a limit
on its output, each step a limit on its number of calls, and each coding a limit on its total output.
"""

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

MAX_CODINGS: Final = 4  # per body; no legitimate client uses more
MAX_STREAMS: Final = 16_384  # gzip members or zstd frames per body: each needs a decoder, and may be only 8 bytes
MAX_WINDOW_LOG: Final = 23  # 8 MiB, the maximum window of a zstd frame in HTTP (RFC 9659, 3)

MAX_OUTPUT: Final = 65_536  # maximum output in bytes of one library call
STEP_COST: Final = 262_144  # cost at which a step ends, in bytes of output
_MAX_INPUT: Final = 16_384  # maximum input in bytes of one library call
_INPUT_COST: Final = 4  # cost of a consumed input byte, in bytes of output: tables are built even without output
_MIN_CALL_COST: Final = 4096  # minimum cost of a call, in bytes of output

# Brotli treats its limit as the least output at which it stops: it yields one block, of at most 32 KiB.
_BROTLI_LIMIT: Final = 16_384

_EXCERPT: Final = 40  # bytes of an unknown name in error messages

IDENTITY: Final = b"identity"
_DEFLATE_MEMORY: Final = 384 << 10

# A frame or a skippable frame (RFC 8878, 3.1.1 and 3.1.2).
_ZSTD_MAGIC = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")

_TRAILING_BYTES: Final = "bytes after the end of the data"
_TRUNCATED: Final = "truncated data"


class _DecodingError(Exception):
    """Decoding error; its message is the reason, in one line."""


class _StreamDecoder(Protocol):
    """Decoder of one stream. `decode` takes input if it is `needs_input`, else empty bytes, and returns bounded output.

    `is_finished` is true after the end of the stream, `unused_data` is the input after that end.
    """

    needs_input: bool
    is_finished: bool
    unused_data: bytes

    def decode(self, data: bytes) -> bytes: ...


class _DeflateDecoder:
    """DEFLATE decoder (RFC 1951); `wbits` selects the wrapper: 31 gzip, 15 zlib, -15 none."""

    def __init__(self, wbits: int) -> None:
        self.needs_input, self.is_finished, self.unused_data = True, False, b""
        self._stream = zlib.decompressobj(wbits)

    def decode(self, data: bytes) -> bytes:
        try:
            output = self._stream.decompress(self._stream.unconsumed_tail + data, MAX_OUTPUT)
        except zlib.error as error:
            raise _DecodingError(f"corrupt data: {error}") from None
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
            raise _DecodingError("corrupt data, or bytes after its end") from None
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
                raise _DecodingError(f"window exceeds {1 << MAX_WINDOW_LOG} bytes (RFC 9659)") from None
            raise _DecodingError(f"corrupt data: {error}") from None
        self.needs_input, self.is_finished, self.unused_data = (
            self._stream.needs_input,
            self._stream.eof,
            self._stream.unused_data,
        )
        return output


def _open_gzip(start: bytes) -> _StreamDecoder | None:
    return _DeflateDecoder(31) if start == b"\x1f\x8b" else None  # RFC 1952, 2.3.1


def _open_deflate(start: bytes) -> _StreamDecoder:
    # RFC 9110, 8.4.1.2, requires the zlib format; many clients send raw DEFLATE. In raw DEFLATE a zlib header (RFC
    # 1950, 2.2) would begin a stored block with non-zero padding, which no compressor writes.
    has_zlib_header = start[0] & 0x0F == zlib.DEFLATED and int.from_bytes(start, "big") % 31 == 0
    return _DeflateDecoder(15 if has_zlib_header else -15)


def _open_brotli(start: bytes) -> _StreamDecoder:
    del start  # brotli has no magic number
    return _BrotliDecoder()


def _open_zstd(start: bytes) -> _StreamDecoder | None:
    return _ZstdDecoder() if _ZSTD_MAGIC.fullmatch(start) else None


class _Coding(NamedTuple):
    """Content coding.

    `open_stream` opens a stream, given its first `start_length` bytes; if `is_repeatable`, more streams may follow.
    `max_decoder_memory` is the maximum memory of its decoder in bytes: window, tables and buffered data, measured and
    rounded up.
    """

    start_length: int
    open_stream: Callable[[bytes], _StreamDecoder | None]
    is_repeatable: bool
    memory: int


_GZIP = _Coding(2, _open_gzip, is_repeatable=True, memory=_DEFLATE_MEMORY)  # RFC 1952, 2.2
# https://www.iana.org/assignments/http-parameters/http-parameters.xhtml#content-coding
_CODINGS: Final = {
    b"gzip": _GZIP,
    b"x-gzip": _GZIP,  # RFC 9110, 8.4.1.3
    b"deflate": _Coding(2, _open_deflate, is_repeatable=False, memory=_DEFLATE_MEMORY),
    # The client chooses the window size, up to 16 MiB (RFC 7932, 9.1).
    b"br": _Coding(1, _open_brotli, is_repeatable=False, memory=20 << 20),
    b"zstd": _Coding(4, _open_zstd, is_repeatable=True, memory=9 << 20),  # RFC 8878, 3
}


class _Stage:
    """Decoder of one coding, which passes its output to `sink`; each `decode_once` is one library call."""

    def __init__(self, name: bytes, max_output: int, sink: Callable[[bytes], None]) -> None:
        self.name = name.decode("ascii")
        self._coding = _CODINGS[name]
        self._max_output = max_output
        self._sink = sink
        self._input = bytearray()  # input that is not consumed
        self._decoder_input_length = 0  # bytes of it passed to the decoder, which may return some
        self._decoder: _StreamDecoder | None = None  # decoder of the current stream
        self._stream_count = 0
        self._output_length = 0

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do without more input."""
        if self._decoder is None:
            return len(self._input) < self._coding.start_length
        return self._decoder.needs_input and not self._input

    def append_input(self, piece: bytes) -> None:
        """Append input."""
        self._input += piece

    def decode_once(self) -> int:
        """Call the library once and return the cost, in bytes of output. Raise `_DecodingError`."""
        decoder = self._decoder = self._decoder or self._open_stream()
        previous_length = len(self._input)
        data = b""
        if decoder.needs_input:
            data = bytes(self._input[:_MAX_INPUT])
            self._decoder_input_length = len(data)
        output = decoder.decode(data)
        if decoder.is_finished:
            self._end_stream(decoder.unused_data)
        elif decoder.needs_input:
            self._drop_input(self._decoder_input_length)
        self._output_length += len(output)
        if self._output_length > self._max_output:
            raise _DecodingError(f"decoded body exceeds {self._max_output} bytes (ECHO_MAX_DECODED)")
        if output:
            self._sink(output)
        return max(len(output), _INPUT_COST * (previous_length - len(self._input)), _MIN_CALL_COST)

    def check_end(self) -> None:
        """Finish the input. Raise `_DecodingError` if the data is truncated, or if bytes follow its end."""
        is_between_streams = self._decoder is None or self._decoder.is_finished
        if not (is_between_streams and self._stream_count):
            raise _DecodingError(_TRUNCATED)
        if self._input:
            raise _DecodingError(_TRAILING_BYTES)

    def _open_stream(self) -> _StreamDecoder:
        decoder = self._coding.open_stream(bytes(self._input[: self._coding.start_length]))
        if decoder is None:
            raise _DecodingError(_TRAILING_BYTES if self._stream_count else "data in another format")
        self._stream_count += 1
        if self._stream_count > MAX_STREAMS:
            raise _DecodingError(f"more than {MAX_STREAMS} concatenated streams")
        return decoder

    def _end_stream(self, unused_data: bytes) -> None:
        self._drop_input(self._decoder_input_length - len(unused_data))
        if self._coding.is_repeatable:
            self._decoder = None
        elif unused_data:
            raise _DecodingError(_TRAILING_BYTES)

    def _drop_input(self, length: int) -> None:
        del self._input[:length]
        self._decoder_input_length = 0


class ContentDecoder:
    """Decoder of all codings of a body.

    Call `decode` with each piece, `decode_step` while `has_pending_input` is true, then `finish_decoding`.

    Output goes to `sink`, at most `MAX_OUTPUT` bytes at a time. Each coding may yield at most `max_output` bytes.
    `error` is empty, or the reason why the body can't be decoded: the output so far, and all further input, is then to
    be discarded.
    """

    def __init__(self, codings: tuple[bytes, ...], max_output: int, sink: Callable[[bytes], None]) -> None:
        self.error = _rejection_reason(codings)
        self._stages: list[_Stage] = []  # in reverse order, so that little data is buffered between two stages
        # Codings are listed in the order in which they were applied (RFC 9110, 8.4).
        for name in () if self.error else codings:
            if name != IDENTITY:
                self._stages.append(_Stage(name, max_output, self._stages[-1].append_input if self._stages else sink))

    @property
    def has_pending_input(self) -> bool:
        """Whether there is work left that needs no more input."""
        return any(not stage.is_idle for stage in self._stages)

    def decode(self, piece: bytes) -> None:
        """Add the next piece and do one step of work; while earlier work is pending, only buffer the piece."""
        if not self._stages:
            return
        had_input = self.has_pending_input
        self._stages[-1].append_input(piece)
        if not had_input:
            self.decode_step()

    def decode_step(self) -> None:
        """Do one step of the pending work."""
        cost = 0
        while cost < STEP_COST and (stage := next((stage for stage in self._stages if not stage.is_idle), None)):
            try:
                cost += stage.decode_once()
            except _DecodingError as error:
                self._fail(stage, error)

    def finish_decoding(self) -> None:
        """Finish the body. Nothing may be pending."""
        for stage in reversed(self._stages):
            try:
                stage.check_end()
            except _DecodingError as error:
                self._fail(stage, error)
                return

    def _fail(self, stage: _Stage, error: _DecodingError) -> None:
        self.error = f"{stage.name}: {error}"
        self._stages = []


def max_decoder_memory(codings: tuple[bytes, ...]) -> int:
    """Return the maximum memory in bytes for decoding these codings; 0 if they are rejected."""
    if _rejection_reason(codings):
        return 0
    return sum(_CODINGS[name].memory for name in codings if name != IDENTITY)


def _rejection_reason(codings: tuple[bytes, ...]) -> str:
    if len(codings) > MAX_CODINGS:
        return f"{len(codings)} content codings exceed the limit of {MAX_CODINGS}"
    unknown_name = next((name for name in codings if name != IDENTITY and name not in _CODINGS), None)
    return f"unknown content coding {ascii(unknown_name[:_EXCERPT])[1:]}" if unknown_name is not None else ""
