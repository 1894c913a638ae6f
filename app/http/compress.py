"""Content codings of responses (RFC 9110, 8.4).

A body is compressed piece by piece. Decoders are in `decompress`.
"""

import re
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Protocol

import brotli  # type: ignore[import-untyped] # it publishes no types

from app.http.headers.accept import MAX_ELEMENTS, QUALITY

if sys.version_info >= (3, 14):
    from compression.zstd import CompressionParameter, ZstdCompressor
else:
    from backports.zstd import CompressionParameter, ZstdCompressor

AUTO: Final = "auto"  # requests the coding that the client prefers

MAX_PIECE_SIZE: Final = 65_536  # bytes compressed in one step, which takes some milliseconds
# 256 KiB, larger than any reflection. With its default window, a streamed body keeps 9 MiB for brotli and 3 MiB for
# zstd.
_WINDOW_LOG: Final = 18
# Half of the possible savings, at the speed of gzip.
_BROTLI_QUALITY: Final = 4
_QUALITY_PARAMETER: Final = re.compile(f"q=({QUALITY})")


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


class _BrotliCompressor:
    def __init__(self) -> None:
        self._compressor = brotli.Compressor(quality=_BROTLI_QUALITY, lgwin=_WINDOW_LOG)

    def compress(self, data: bytes) -> bytes:
        return bytes(self._compressor.process(data))

    def flush(self) -> bytes:
        return bytes(self._compressor.finish())


# By coding name, the most widely supported first. `deflate` is the zlib format (RFC 9110, 8.4.1.2).
COMPRESSORS: Final[dict[str, Callable[[], _Compressor]]] = {
    "gzip": lambda: zlib.compressobj(wbits=31),
    "br": _BrotliCompressor,
    "zstd": lambda: ZstdCompressor(options={CompressionParameter.window_log: _WINDOW_LOG}),
    "deflate": zlib.compressobj,
}
# Memory of a compressor in bytes, including its output: measured, and rounded up.
COMPRESSOR_MEMORY: Final = {"gzip": 320 << 10, "br": 1280 << 10, "zstd": 1536 << 10, "deflate": 320 << 10}


def compress_pieces(pieces: Iterable[bytes], coding: str) -> Iterator[bytes]:
    """Compress pieces of at most `MAX_PIECE_SIZE` bytes; yield the output of each, which may be empty."""
    compressor = COMPRESSORS[coding]()
    for piece in pieces:
        yield compressor.compress(piece)
    yield compressor.flush()


def negotiate_encoding(accept_encoding: str) -> str:
    """Return the preferred coding of an Accept-Encoding header, empty if it prefers none (RFC 9110, 12.5.3)."""
    qualities: dict[str, float] = {}
    for element in accept_encoding.lower().split(",", MAX_ELEMENTS)[:MAX_ELEMENTS]:
        name, _, parameter = (part.strip() for part in element.partition(";"))
        match = _QUALITY_PARAMETER.fullmatch(parameter.replace(" ", "")) if parameter else None
        if match or not parameter:
            qualities.setdefault(name, float(match[1]) if match else 1.0)
    best = max(COMPRESSORS, key=lambda name: qualities.get(name, qualities.get("*", 0.0)))
    quality = qualities.get(best, qualities.get("*", 0.0))
    return best if quality and quality >= qualities.get("identity", 0.0) else ""
