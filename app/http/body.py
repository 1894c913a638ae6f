"""Request bodies: length, digest and prefix, computed while they arrive.

Memory use is constant, whatever a body's length.
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import Final

import msgspec
from msgspec import structs
from multipart import parse_options_header  # type: ignore[import-untyped] # it publishes no types

from app.http.decompress import IDENTITY, Decoding
from app.http.multipart import Multipart, PartsMeter

KEPT: Final = 65_536  # bytes of a body's prefix that are kept for the reflection


class Content(msgspec.Struct, frozen=True, gc=False):
    """Content-Type and Content-Encoding of a request, which decide how its body is read.

    `media_type` is in lower case, without parameters, and empty if the request has none; `boundary` is the boundary
    parameter of a multipart type. `codings` are in lower case, in the order in which they were applied, and empty if
    there are none but `identity`.
    """

    media_type: bytes = b""
    boundary: bytes = b""
    codings: tuple[bytes, ...] = ()

    @property
    def multipart(self) -> bool:
        """Whether the content consists of parts (RFC 2046, 5.1)."""
        return self.media_type.startswith(b"multipart/")


PLAIN: Final = Content()


def content_of(fields: Iterable[tuple[bytes, bytes]]) -> Content:
    """Parse the Content-Type and Content-Encoding headers of a request (RFC 9110, 8.3 and 8.4).

    If Content-Type headers differ, none is used: two recipients could read the body differently.
    """
    types: list[bytes] = []
    codings: list[bytes] = []
    for name, value in fields:
        lower = name.lower()
        if lower == b"content-type":
            types.append(value)
        elif lower == b"content-encoding":
            codings += [coding for part in value.split(b",") if (coding := part.strip(b" \t").lower())]
    if not types and not codings:
        return PLAIN
    media_type, boundary = _media_type(types[0]) if len(set(types)) == 1 else (b"", b"")
    coded = any(coding != IDENTITY for coding in codings)
    return Content(media_type, boundary, tuple(codings) if coded else ())


def _media_type(value: bytes) -> tuple[bytes, bytes]:
    # In Latin-1 every byte is a character, so none is lost.
    media_type, options = parse_options_header(value.decode("latin-1"))
    return media_type.encode("latin-1"), options.get("boundary", "").encode("latin-1")


class Body(msgspec.Struct, frozen=True, gc=False):
    """Request body, without its transfer coding.

    `length` (in bytes) and `sha256` (hexadecimal) are those of the whole body; `kept` is its prefix of at most `KEPT`
    bytes; `chunked` is true if it was sent in chunks. `decoded` is set if the body has content codings, `multipart` if
    it has none and consists of parts.
    """

    length: int
    sha256: str
    chunked: bool
    kept: bytes
    decoded: "Decoded | None" = None
    multipart: Multipart | None = None


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """Request body without its content codings.

    `content` is the decoded body; if it could not be decoded, `refused` is the reason, in one line.
    """

    codings: tuple[bytes, ...]
    content: Body | None = None
    refused: str = ""


class Meter:
    """Incremental reader of a body: `take` its pieces in order, `work` while it is `pending`, then call `body`.

    Each coding may yield at most `max_decoded` bytes. Decoding is the only work that can be left over: taking a piece
    is one bounded step, however much it decodes to. If `refused` is not empty, it is the one-line reason why no coding
    is decoded.
    """

    # Class attributes: most bodies have neither codings nor parts, and pay nothing for these.
    _coded: "_Coded | None" = None
    _refused: Decoded | None = None
    _parts: PartsMeter | None = None
    _onward: Callable[[bytes], None] | None = None  # consumer of the pieces: the decoder or the multipart parser

    def __init__(self, content: Content = PLAIN, max_decoded: int = 0, refused: str = "") -> None:
        self._length = 0
        self._digest = hashlib.sha256()
        self._kept: bytes | bytearray = b""
        if content is PLAIN:
            return
        if content.codings and refused:
            self._refused = Decoded(content.codings, refused=refused)
        elif content.codings:
            self._coded = _Coded(content, max_decoded)
            self._onward = self._coded.decoding.take
        elif content.multipart:
            self._parts = PartsMeter(content.boundary)
            self._onward = self._parts.take

    def take(self, piece: bytes) -> None:
        """Process the next piece, at most 256 KiB, so that one step of digest and parsing stays short."""
        if not self._length:
            self._kept = piece[:KEPT]  # most bodies are one piece, which is not copied
        elif self._length < KEPT:
            if isinstance(self._kept, bytes):
                self._kept = bytearray(self._kept)  # there may be many pieces: each must not copy those before it
            self._kept += piece[: KEPT - self._length]
        self._length += len(piece)
        self._digest.update(piece)
        if self._onward is not None:
            self._onward(piece)

    @property
    def kept(self) -> int:
        """Number of prefix bytes kept so far."""
        return len(self._kept)

    @property
    def pending(self) -> bool:
        """Whether work is left; until it is done, don't read more and don't call `body`."""
        return self._coded is not None and self._coded.decoding.pending

    def work(self) -> None:
        """Do one bounded step of the pending work."""
        if self._coded is not None:
            self._coded.decoding.work()

    def body(self, *, chunked: bool) -> Body:
        """Return the finished body; call it once, after the last piece, when nothing is pending."""
        measured = Body(self._length, self._digest.hexdigest(), chunked, bytes(self._kept))
        if self._coded is not None and self._length:
            return structs.replace(measured, decoded=self._coded.decoded())
        if self._refused is not None and self._length:
            return structs.replace(measured, decoded=self._refused)
        if self._parts is not None and self._length:
            return structs.replace(measured, multipart=self._parts.parts())
        return measured


class _Coded:
    """Decoder of a body with content codings, and the meter of its output."""

    def __init__(self, content: Content, max_decoded: int) -> None:
        self._codings = content.codings
        self._meter = Meter(structs.replace(content, codings=()))
        self.decoding = Decoding(content.codings, max_decoded, self._meter.take)

    def decoded(self) -> Decoded:
        self.decoding.end()
        if self.decoding.refused:
            return Decoded(self._codings, refused=self.decoding.refused)
        return Decoded(self._codings, self._meter.body(chunked=False))


NONE: Final = Meter().body(chunked=False)
