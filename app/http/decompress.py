"""Decompression of request bodies, through all their content codings.

Sans-I/O, constant memory, bounded steps (RFC 9110, 8.4). A few bytes may decode to any number. Each library call
therefore has a limit on its output, each step a limit on its number of calls, and each coding a limit on its total
output.
"""

from collections.abc import Callable
from typing import Final

from app.http.content_codings import CODINGS, DecodingError, StreamDecoder

MAX_CODINGS: Final = 4  # per body; no legitimate client uses more
MAX_STREAMS: Final = 16_384  # gzip members or zstd frames per body: each needs a decoder, and may be only 8 bytes

STEP_COST: Final = 262_144  # cost at which a step ends, in bytes of output
_MAX_INPUT: Final = 16_384  # maximum input in bytes of one library call
_INPUT_COST: Final = 4  # cost of a consumed input byte, in bytes of output: tables are built even without output
_MIN_CALL_COST: Final = 4096  # minimum cost of a call, in bytes of output

_EXCERPT: Final = 40  # bytes of an unknown name in error messages

IDENTITY: Final = b"identity"

_TRAILING_BYTES: Final = "bytes after the end of the data"
_TRUNCATED: Final = "truncated data"


class _Stage:
    """Decoder of one coding, which passes its output to `sink`; each `decode_once` is one library call."""

    def __init__(self, name: bytes, max_output: int, sink: Callable[[bytes], None]) -> None:
        self.name = name.decode("ascii")
        self._coding = CODINGS[name]
        self._max_output = max_output
        self._sink = sink
        self._input = bytearray()  # input that is not consumed
        self._decoder_input_length = 0  # bytes of it passed to the decoder, which may return some
        self._decoder: StreamDecoder | None = None  # decoder of the current stream
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
        """Call the library once and return the cost, in bytes of output. Raise `DecodingError`."""
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
            raise DecodingError(f"decoded body exceeds {self._max_output} bytes (ECHO_MAX_DECODED)")
        if output:
            self._sink(output)
        return max(len(output), _INPUT_COST * (previous_length - len(self._input)), _MIN_CALL_COST)

    def check_end(self) -> None:
        """Finish the input. Raise `DecodingError` if the data is truncated, or if bytes follow its end."""
        is_between_streams = self._decoder is None or self._decoder.is_finished
        if not (is_between_streams and self._stream_count):
            raise DecodingError(_TRUNCATED)
        if self._input:
            raise DecodingError(_TRAILING_BYTES)

    def _open_stream(self) -> StreamDecoder:
        decoder = self._coding.open_stream(bytes(self._input[: self._coding.start_length]))
        if decoder is None:
            raise DecodingError(_TRAILING_BYTES if self._stream_count else "data in another format")
        self._stream_count += 1
        if self._stream_count > MAX_STREAMS:
            raise DecodingError(f"more than {MAX_STREAMS} concatenated streams")
        return decoder

    def _end_stream(self, unused_data: bytes) -> None:
        self._drop_input(self._decoder_input_length - len(unused_data))
        if self._coding.is_repeatable:
            self._decoder = None
        elif unused_data:
            raise DecodingError(_TRAILING_BYTES)

    def _drop_input(self, length: int) -> None:
        del self._input[:length]
        self._decoder_input_length = 0


class ContentDecoder:
    """Decoder of all codings of a body.

    Call `decode_piece` with each piece, `decode_step` while `has_pending_input` is true, then `finish_decoding`.

    Output goes to `sink`, at most 64 KiB at a time. Each coding may yield at most `max_output` bytes.
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

    def decode_piece(self, piece: bytes) -> None:
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
            except DecodingError as error:
                self._fail(stage, error)

    def finish_decoding(self) -> None:
        """Finish the body. Nothing may be pending."""
        for stage in reversed(self._stages):
            try:
                stage.check_end()
            except DecodingError as error:
                self._fail(stage, error)
                return

    def _fail(self, stage: _Stage, error: DecodingError) -> None:
        self.error = f"{stage.name}: {error}"
        self._stages = []


def max_decoder_memory(codings: tuple[bytes, ...]) -> int:
    """Return the maximum memory in bytes for decoding these codings; 0 if they are rejected."""
    if _rejection_reason(codings):
        return 0
    return sum(CODINGS[name].memory for name in codings if name != IDENTITY)


def _rejection_reason(codings: tuple[bytes, ...]) -> str:
    if len(codings) > MAX_CODINGS:
        return f"{len(codings)} content codings exceed the limit of {MAX_CODINGS}"
    unknown_name = next((name for name in codings if name != IDENTITY and name not in CODINGS), None)
    return f"unknown content coding {ascii(unknown_name[:_EXCERPT])[1:]}" if unknown_name is not None else ""
