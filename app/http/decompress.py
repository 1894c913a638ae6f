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

MOST_OUTPUT: Final = 65_536  # maximum output in bytes of one library call
STEP: Final = 262_144  # cost at which a step ends, in bytes of output
_MOST_INPUT: Final = 16_384  # maximum input in bytes of one library call
_INPUT_COST: Final = 4  # cost of a consumed input byte, in bytes of output: tables are built even without output
_CALL_COST: Final = 4096  # minimum cost of a call, in bytes of output

# Brotli treats its limit as the least output at which it stops: it yields one block, of at most 32 KiB.
_BROTLI_LIMIT: Final = 16_384

_EXCERPT: Final = 40  # bytes of an unknown name in error messages

IDENTITY: Final = b"identity"
_DEFLATE_MEMORY: Final = 384 << 10

# A frame or a skippable frame (RFC 8878, 3.1.1 and 3.1.2).
_ZSTD_MAGIC = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")

_BEHIND: Final = "bytes after the end of the data"
_TRUNCATED: Final = "truncated data"


class _DecodingError(Exception):
    """Decoding error; its message is the reason, in one line."""


class _Decoder(Protocol):
    """Decoder of one stream. `decode` takes input if it is `hungry`, else empty bytes, and returns bounded output.

    `done` is true after the end of the stream, `rest` is the input after that end.
    """

    hungry: bool
    done: bool
    rest: bytes

    def decode(self, data: bytes) -> bytes: ...


class _Deflate:
    """DEFLATE decoder (RFC 1951); `wbits` selects the wrapper: 31 gzip, 15 zlib, -15 none."""

    def __init__(self, wbits: int) -> None:
        self.hungry, self.done, self.rest = True, False, b""
        self._stream = zlib.decompressobj(wbits)

    def decode(self, data: bytes) -> bytes:
        try:
            output = self._stream.decompress(self._stream.unconsumed_tail + data, MOST_OUTPUT)
        except zlib.error as error:
            raise _DecodingError(f"corrupt data: {error}") from None
        # After output of the maximum size more may follow, even if all input is consumed.
        self.hungry = not self._stream.unconsumed_tail and len(output) < MOST_OUTPUT
        self.done, self.rest = self._stream.eof, self._stream.unused_data
        return output


class _Brotli:
    """Brotli decoder (RFC 7932)."""

    def __init__(self) -> None:
        self.hungry, self.done, self.rest = True, False, b""
        self._stream = brotli.Decompressor()

    def decode(self, data: bytes) -> bytes:
        try:
            output: bytes = self._stream.process(data, output_buffer_limit=_BROTLI_LIMIT)
        except brotli.error:
            # The library distinguishes the two only by where the input was split.
            raise _DecodingError("corrupt data, or bytes after its end") from None
        self.hungry = len(output) < _BROTLI_LIMIT and self._stream.can_accept_more_data()
        self.done = self._stream.is_finished()
        return output


class _Zstd:
    """Decoder of one Zstandard frame (RFC 8878)."""

    def __init__(self) -> None:
        self.hungry, self.done, self.rest = True, False, b""
        self._stream = ZstdDecompressor(options={DecompressionParameter.window_log_max: MAX_WINDOW_LOG})

    def decode(self, data: bytes) -> bytes:
        try:
            output = self._stream.decompress(data, MOST_OUTPUT)
        except ZstdError as error:
            if "too much memory" in str(error):
                raise _DecodingError(f"window exceeds {1 << MAX_WINDOW_LOG} bytes (RFC 9659)") from None
            raise _DecodingError(f"corrupt data: {error}") from None
        self.hungry, self.done, self.rest = self._stream.needs_input, self._stream.eof, self._stream.unused_data
        return output


def _open_gzip(head: bytes) -> _Decoder | None:
    return _Deflate(31) if head == b"\x1f\x8b" else None  # RFC 1952, 2.3.1


def _open_deflate(head: bytes) -> _Decoder:
    # RFC 9110, 8.4.1.2, requires the zlib format; many clients send raw DEFLATE. In raw DEFLATE a zlib header (RFC
    # 1950, 2.2) would begin a stored block with non-zero padding, which no compressor writes.
    wrapped = head[0] & 0x0F == zlib.DEFLATED and int.from_bytes(head, "big") % 31 == 0
    return _Deflate(15 if wrapped else -15)


def _open_brotli(head: bytes) -> _Decoder:
    del head  # brotli has no magic number
    return _Brotli()


def _open_zstd(head: bytes) -> _Decoder | None:
    return _Zstd() if _ZSTD_MAGIC.fullmatch(head) else None


class _Coding(NamedTuple):
    """Content coding. `begin` opens a stream, given its first `head` bytes; if `repeats`, more streams may follow.

    `memory` is the maximum memory of its decoder in bytes: window, tables and buffered data, measured and rounded up.
    """

    head: int
    begin: Callable[[bytes], _Decoder | None]
    repeats: bool
    memory: int


_GZIP = _Coding(2, _open_gzip, repeats=True, memory=_DEFLATE_MEMORY)  # RFC 1952, 2.2
# https://www.iana.org/assignments/http-parameters/http-parameters.xhtml#content-coding
_CODINGS: Final = {
    b"gzip": _GZIP,
    b"x-gzip": _GZIP,  # RFC 9110, 8.4.1.3
    b"deflate": _Coding(2, _open_deflate, repeats=False, memory=_DEFLATE_MEMORY),
    # The client chooses the window size, up to 16 MiB (RFC 7932, 9.1).
    b"br": _Coding(1, _open_brotli, repeats=False, memory=20 << 20),
    b"zstd": _Coding(4, _open_zstd, repeats=True, memory=9 << 20),  # RFC 8878, 3
}


class _Stage:
    """Decoder of one coding, which passes its output to `onward`; each `step` is one library call."""

    def __init__(self, name: bytes, most: int, onward: Callable[[bytes], None]) -> None:
        self.name = name.decode("ascii")
        self._coding = _CODINGS[name]
        self._most = most
        self._onward = onward
        self._waiting = bytearray()  # input that is not consumed
        self._given = 0  # bytes of it passed to the decoder, which may return some
        self._decoder: _Decoder | None = None  # decoder of the current stream
        self._streams = 0
        self._length = 0

    @property
    def idle(self) -> bool:
        """Whether there is nothing to do without more input."""
        if self._decoder is None:
            return len(self._waiting) < self._coding.head
        return self._decoder.hungry and not self._waiting

    def put(self, piece: bytes) -> None:
        """Append input."""
        self._waiting += piece

    def step(self) -> int:
        """Call the library once and return the cost, in bytes of output. Raise `_DecodingError`."""
        decoder = self._decoder = self._decoder or self._begin()
        before = len(self._waiting)
        data = b""
        if decoder.hungry:
            data = bytes(self._waiting[:_MOST_INPUT])
            self._given = len(data)
        output = decoder.decode(data)
        if decoder.done:
            self._end_stream(decoder.rest)
        elif decoder.hungry:
            self._use_up(self._given)
        self._length += len(output)
        if self._length > self._most:
            raise _DecodingError(f"decoded body exceeds {self._most} bytes (ECHO_MAX_DECODED)")
        if output:
            self._onward(output)
        return max(len(output), _INPUT_COST * (before - len(self._waiting)), _CALL_COST)

    def end(self) -> None:
        """Finish the input. Raise `_DecodingError` if the data is truncated, or if bytes follow its end."""
        ended = self._decoder is None or self._decoder.done
        if not (ended and self._streams):
            raise _DecodingError(_TRUNCATED)
        if self._waiting:
            raise _DecodingError(_BEHIND)

    def _begin(self) -> _Decoder:
        decoder = self._coding.begin(bytes(self._waiting[: self._coding.head]))
        if decoder is None:
            raise _DecodingError(_BEHIND if self._streams else "data in another format")
        self._streams += 1
        if self._streams > MAX_STREAMS:
            raise _DecodingError(f"more than {MAX_STREAMS} concatenated streams")
        return decoder

    def _end_stream(self, rest: bytes) -> None:
        self._use_up(self._given - len(rest))
        if self._coding.repeats:
            self._decoder = None
        elif rest:
            raise _DecodingError(_BEHIND)

    def _use_up(self, length: int) -> None:
        del self._waiting[:length]
        self._given = 0


class Decoding:
    """Decoder of all codings of a body: `take` its pieces, `work` while it is `pending`, then `end`.

    Output goes to `sink`, at most `MOST_OUTPUT` bytes at a time. Each coding may yield at most `most` bytes. `refused`
    is empty, or the reason why the body can't be decoded: the output so far, and all further input, is then to be
    discarded.
    """

    def __init__(self, codings: tuple[bytes, ...], most: int, sink: Callable[[bytes], None]) -> None:
        self.refused = _why_not(codings)
        self._stages: list[_Stage] = []  # in reverse order, so that little data is buffered between two stages
        # Codings are listed in the order in which they were applied (RFC 9110, 8.4).
        for name in () if self.refused else codings:
            if name != IDENTITY:
                self._stages.append(_Stage(name, most, self._stages[-1].put if self._stages else sink))

    @property
    def pending(self) -> bool:
        """Whether there is work left that needs no more input."""
        return any(not stage.idle for stage in self._stages)

    def take(self, piece: bytes) -> None:
        """Add the next piece and do one step of work; while earlier work is pending, only buffer the piece."""
        if not self._stages:
            return
        pending = self.pending
        self._stages[-1].put(piece)
        if not pending:
            self.work()

    def work(self) -> None:
        """Do one step of the pending work."""
        cost = 0
        while cost < STEP and (stage := next((stage for stage in self._stages if not stage.idle), None)):
            try:
                cost += stage.step()
            except _DecodingError as error:
                self._refuse(stage, error)

    def end(self) -> None:
        """Finish the body. Nothing may be pending."""
        for stage in reversed(self._stages):
            try:
                stage.end()
            except _DecodingError as error:
                self._refuse(stage, error)
                return

    def _refuse(self, stage: _Stage, error: _DecodingError) -> None:
        self.refused = f"{stage.name}: {error}"
        self._stages = []


def memory(codings: tuple[bytes, ...]) -> int:
    """Return the maximum memory in bytes for decoding these codings; 0 if they are rejected."""
    if _why_not(codings):
        return 0
    return sum(_CODINGS[name].memory for name in codings if name != IDENTITY)


def _why_not(codings: tuple[bytes, ...]) -> str:
    if len(codings) > MAX_CODINGS:
        return f"{len(codings)} content codings exceed the limit of {MAX_CODINGS}"
    unknown = next((name for name in codings if name != IDENTITY and name not in _CODINGS), None)
    return f"unknown content coding {ascii(unknown[:_EXCERPT])[1:]}" if unknown is not None else ""
