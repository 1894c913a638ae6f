"""Request bodies: length, digest and prefix, computed while they arrive.

Memory use is constant, whatever a body's length.
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import Final

import msgspec
from msgspec import structs
from multipart import parse_options_header  # type: ignore[import-untyped] # it publishes no types

from app.http.decompress import IDENTITY, ContentDecoder
from app.http.multipart import Multipart, MultipartReader

BODY_PREFIX_SIZE: Final = 65_536  # bytes of a body's prefix that are kept for the reflection


class ContentHeaders(msgspec.Struct, frozen=True, gc=False):
    """Content-Type and Content-Encoding of a request, which decide how its body is read.

    `media_type` is in lower case, without parameters, and empty if the request has none; `boundary` is the boundary
    parameter of a multipart type. `codings` are in lower case, in the order in which they were applied, and empty if
    there are none but `identity`.
    """

    media_type: bytes = b""
    boundary: bytes = b""
    codings: tuple[bytes, ...] = ()

    @property
    def is_multipart(self) -> bool:
        """Whether the content consists of parts (RFC 2046, 5.1)."""
        return self.media_type.startswith(b"multipart/")


NO_CONTENT_HEADERS: Final = ContentHeaders()


def parse_content_headers(headers: Iterable[tuple[bytes, bytes]]) -> ContentHeaders:
    """Parse the Content-Type and Content-Encoding headers of a request (RFC 9110, 8.3 and 8.4).

    If Content-Type headers differ, none is used: two recipients could read the body differently.
    """
    types: list[bytes] = []
    codings: list[bytes] = []
    for name, value in headers:
        lower = name.lower()
        if lower == b"content-type":
            types.append(value)
        elif lower == b"content-encoding":
            codings += [coding for part in value.split(b",") if (coding := part.strip(b" \t").lower())]
    if not types and not codings:
        return NO_CONTENT_HEADERS
    media_type, boundary = _parse_media_type(types[0]) if len(set(types)) == 1 else (b"", b"")
    has_codings = any(coding != IDENTITY for coding in codings)
    return ContentHeaders(media_type, boundary, tuple(codings) if has_codings else ())


def _parse_media_type(value: bytes) -> tuple[bytes, bytes]:
    # In Latin-1 every byte is a character, so none is lost.
    media_type, options = parse_options_header(value.decode("latin-1"))
    return media_type.encode("latin-1"), options.get("boundary", "").encode("latin-1")


class Body(msgspec.Struct, frozen=True, gc=False):
    """Request body, without its transfer coding.

    `length` (in bytes) and `sha256` (hexadecimal) are those of the whole body; `prefix` is its prefix of at most
    `BODY_PREFIX_SIZE` bytes; `chunked` is true if it was sent in chunks. `decoded` is set if the body has content
    codings, `multipart` if it has none and consists of parts.
    """

    length: int
    sha256: str
    chunked: bool
    prefix: bytes
    decoded: "DecodedBody | None" = None
    multipart: Multipart | None = None


class DecodedBody(msgspec.Struct, frozen=True, gc=False):
    """Request body without its content codings.

    `content` is the decoded body; if it could not be decoded, `error` is the reason, in one line.
    """

    codings: tuple[bytes, ...]
    content: Body | None = None
    error: str = ""


class BodyReader:
    """Incremental reader of a body: `add_piece` its pieces in order, `step` while it is `has_work`, then call `finish`.

    Each coding may yield at most `max_decoded` bytes. Decoding is the only work that can be left over: taking a piece
    is one bounded step, however much it decodes to. If `decoding_error` is not empty, it is the one-line reason why no
    coding is decoded.
    """

    # Class attributes: most bodies have neither codings nor parts, and pay nothing for these.
    _decoded_reader: "_DecodedBodyReader | None" = None
    _undecodable: DecodedBody | None = None
    _multipart_reader: MultipartReader | None = None
    _consume: Callable[[bytes], None] | None = None  # consumer of the pieces: the decoder or the multipart parser

    def __init__(
        self, content_headers: ContentHeaders = NO_CONTENT_HEADERS, max_decoded: int = 0, decoding_error: str = ""
    ) -> None:
        self._length = 0
        self._digest = hashlib.sha256()
        self._prefix: bytes | bytearray = b""
        if content_headers.codings and decoding_error:
            self._undecodable = DecodedBody(content_headers.codings, error=decoding_error)
        elif content_headers.codings:
            self._decoded_reader = _DecodedBodyReader(content_headers, max_decoded)
            self._consume = self._decoded_reader.decoder.decode_piece
        elif content_headers.is_multipart:
            self._multipart_reader = MultipartReader(content_headers.boundary)
            self._consume = self._multipart_reader.parse_piece

    def add_piece(self, piece: bytes) -> None:
        """Process the next piece, at most 256 KiB, so that one step of digest and parsing stays short."""
        if not self._length:
            self._prefix = piece[:BODY_PREFIX_SIZE]  # most bodies are one piece, which is not copied
        elif self._length < BODY_PREFIX_SIZE:
            if isinstance(self._prefix, bytes):
                self._prefix = bytearray(self._prefix)  # there may be many pieces: each must not copy those before it
            self._prefix += piece[: BODY_PREFIX_SIZE - self._length]
        self._length += len(piece)
        self._digest.update(piece)
        if self._consume is not None:
            self._consume(piece)

    @property
    def prefix_length(self) -> int:
        """Number of prefix bytes kept so far."""
        return len(self._prefix)

    @property
    def has_work(self) -> bool:
        """Whether work is left; until it is done, don't read more and don't call `finish`."""
        return self._decoded_reader is not None and self._decoded_reader.decoder.has_pending_input

    def step(self) -> None:
        """Do one bounded step of the pending work."""
        if self._decoded_reader is not None:
            self._decoded_reader.decoder.decode_step()

    def finish(self, *, chunked: bool) -> Body:
        """Return the finished body; call it once, after the last piece, when nothing is pending."""
        body = Body(self._length, self._digest.hexdigest(), chunked, bytes(self._prefix))
        if self._decoded_reader is not None and self._length:
            return structs.replace(body, decoded=self._decoded_reader.finish_decoded())
        if self._undecodable is not None and self._length:
            return structs.replace(body, decoded=self._undecodable)
        if self._multipart_reader is not None and self._length:
            return structs.replace(body, multipart=self._multipart_reader.finish_parts())
        return body


class _DecodedBodyReader:
    """Decoder of a body with content codings, and the meter of its output."""

    def __init__(self, content_headers: ContentHeaders, max_decoded: int) -> None:
        self._codings = content_headers.codings
        self._reader = BodyReader(structs.replace(content_headers, codings=()))
        self.decoder = ContentDecoder(content_headers.codings, max_decoded, self._reader.add_piece)

    def finish_decoded(self) -> DecodedBody:
        self.decoder.finish_decoding()
        if self.decoder.error:
            return DecodedBody(self._codings, error=self.decoder.error)
        return DecodedBody(self._codings, self._reader.finish(chunked=False))


EMPTY_BODY: Final = BodyReader().finish(chunked=False)
