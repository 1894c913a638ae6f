"""Parts of a multipart body, measured while it arrives.

RFC 2046, 5.1; RFC 7578. Memory use is constant.
"""

import hashlib
from typing import Final, cast

import msgspec
from multipart import (  # type: ignore[import-untyped] # it publishes no types
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    content_disposition_unquote,
    parse_options_header,
)

MAX_PARTS: Final = 256
MAX_BOUNDARY: Final = 70  # bytes: RFC 2046, 5.1.1
_MAX_HEADER_COUNT: Final = 8  # per part; RFC 7578, 4.8, allows only three
_MAX_HEADER_SIZE: Final = 4096  # maximum size in bytes of one header of a part
_MAX_METADATA_SIZE: Final = 65_536  # maximum size in bytes of all names and types of a body

# The parser decodes headers to text. In Latin-1 every byte is a character, so none is lost.
_CHARSET: Final = "latin-1"


class Part(msgspec.Struct, frozen=True, gc=False):
    """Part of a multipart body.

    `length` (in bytes) and `sha256` (hexadecimal) are those of its content. `name` and `filename` are from its
    Content-Disposition, unquoted; `content_type` is the whole header value.
    """

    name: bytes | None
    filename: bytes | None
    content_type: bytes | None
    length: int
    sha256: str


class Multipart(msgspec.Struct, frozen=True):
    """Parts of a multipart body, in order.

    If they could not be parsed, `error` is the reason, in one line.
    """

    parts: tuple[Part, ...] = ()
    error: str = ""


class _Parser(PushMultipartParser):  # type: ignore[misc] # it publishes no types
    """Parser for every kind of multipart: only form-data requires a Content-Disposition."""

    def _create_segment(self, headerlist: list[tuple[str, str]]) -> MultipartSegment:
        # The parser detects these only if a piece happens to end after them.
        if any("\n" in value for _, value in headerlist):
            raise MultipartError("Invalid line break in segment header")
        return MultipartSegment(headerlist)


class MultipartReader:
    """Incremental reader of parts: `parse_piece` the content in order, then call `finish_parts`.

    Each piece is parsed in one step, so the caller limits its length.
    """

    def __init__(self, boundary: bytes) -> None:
        self._error = _boundary_error(boundary)
        self._delimiter = b"\r\n--" + boundary
        self._preamble: bytes | None = b"\r\n"  # its end, until the first part; CRLF as the content begins a line
        self._parser = (
            None
            if self._error
            else _Parser(
                boundary,
                max_header_size=_MAX_HEADER_SIZE,
                max_header_count=_MAX_HEADER_COUNT,
                max_segment_count=MAX_PARTS,
                header_charset=_CHARSET,
            )
        )
        self._parts: list[Part] = []
        self._metadata_size = 0
        self._segment: MultipartSegment | None = None  # segment of the current part
        self._digest = hashlib.sha256()

    def parse_piece(self, piece: bytes) -> None:
        """Process the next piece."""
        if self._preamble is not None:
            piece = self._skip_preamble(piece)
        if self._parser is None or not piece:
            return
        try:
            for event in self._parser.parse(piece):
                self._handle(event)
        except MultipartError as error:
            self._fail(str(error.args[0]))

    def finish_parts(self) -> Multipart:
        """Return the parts after the end of the content."""
        if self._parser is not None and not self._parser.closed:
            try:
                self._parser.close()
            except MultipartError:
                self._fail("the last boundary is missing")
        return Multipart(error=self._error) if self._error else Multipart(tuple(self._parts))

    def _skip_preamble(self, piece: bytes) -> bytes:
        """Return the data from the first boundary line on, empty if there is none yet.

        The preamble before it is to be ignored (RFC 2046, 5.1.1). A boundary in the middle of a line is rejected or
        ignored by the parser, depending on where the pieces end.
        """
        data = (self._preamble or b"") + piece
        position = data.find(self._delimiter)
        if position < 0:
            self._preamble = data[1 - len(self._delimiter) :]
            return b""
        self._preamble = None
        return data[position + 2 :]

    def _handle(self, event: MultipartSegment | bytes | None) -> None:
        if event is None:
            self._end_part()
        elif isinstance(event, bytes):
            self._digest.update(event)
        else:
            self._segment, self._digest = event, hashlib.sha256()

    def _end_part(self) -> None:
        segment = cast("MultipartSegment", self._segment)
        name, filename = _parse_disposition(segment.header("Content-Disposition", ""))
        content_type = _encode_latin1(segment.header("Content-Type"))
        self._metadata_size += sum(len(value or b"") for value in (name, filename, content_type))
        if self._metadata_size > _MAX_METADATA_SIZE:
            raise MultipartError(f"names and types exceed {_MAX_METADATA_SIZE} bytes")
        self._parts.append(Part(name, filename, content_type, segment.size, self._digest.hexdigest()))

    def _fail(self, reason: str) -> None:
        self._error, self._parser, self._parts, self._segment = reason, None, [], None


def _boundary_error(boundary: bytes) -> str:
    if not boundary:
        return "no boundary in Content-Type"
    if b"\n" in boundary:
        return "line break in the boundary"
    return f"boundary exceeds {MAX_BOUNDARY} bytes" if len(boundary) > MAX_BOUNDARY else ""


def _parse_disposition(value: str) -> tuple[bytes | None, bytes | None]:
    """Return name and filename. A path in the filename is kept, since the client sent it."""
    _, options = parse_options_header(value, unquote=lambda text, _: content_disposition_unquote(text))
    return _encode_latin1(options.get("name")), _encode_latin1(options.get("filename"))


def _encode_latin1(value: str | None) -> bytes | None:
    return None if value is None else value.encode(_CHARSET)
