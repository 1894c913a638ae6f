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
_MAX_HEADERS: Final = 8  # per part; RFC 7578, 4.8, allows only three
_MAX_HEADER: Final = 4096  # maximum size in bytes of one header of a part
_MAX_SHOWN: Final = 65_536  # maximum size in bytes of all names and types of a body

# The parser decodes headers to text. In Latin-1 every byte is a character, so none is lost.
_BYTES: Final = "latin-1"


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

    If they could not be parsed, `refused` is the reason, in one line.
    """

    parts: tuple[Part, ...] = ()
    refused: str = ""


class _Parser(PushMultipartParser):  # type: ignore[misc] # it publishes no types
    """Parser for every kind of multipart: only form-data requires a Content-Disposition."""

    def _create_segment(self, headerlist: list[tuple[str, str]]) -> MultipartSegment:
        # The parser detects these only if a piece happens to end after them.
        if any("\n" in value for _, value in headerlist):
            raise MultipartError("Invalid line break in segment header")
        return MultipartSegment(headerlist)


class PartsMeter:
    """Incremental reader of parts: `take` the content in order, then call `parts`.

    Each piece is parsed in one step, so the caller limits its length.
    """

    def __init__(self, boundary: bytes) -> None:
        self._refused = _why_not(boundary)
        self._delimiter = b"\r\n--" + boundary
        self._preamble: bytes | None = b"\r\n"  # its end, until the first part; CRLF as the content begins a line
        self._parser = (
            None
            if self._refused
            else _Parser(
                boundary,
                max_header_size=_MAX_HEADER,
                max_header_count=_MAX_HEADERS,
                max_segment_count=MAX_PARTS,
                header_charset=_BYTES,
            )
        )
        self._parts: list[Part] = []
        self._shown = 0
        self._segment: MultipartSegment | None = None  # segment of the current part
        self._digest = hashlib.sha256()

    def take(self, piece: bytes) -> None:
        """Process the next piece."""
        if self._preamble is not None:
            piece = self._behind_preamble(piece)
        if self._parser is None or not piece:
            return
        try:
            for event in self._parser.parse(piece):
                self._handle(event)
        except MultipartError as error:
            self._refuse(str(error.args[0]))

    def parts(self) -> Multipart:
        """Return the parts after the end of the content."""
        if self._parser is not None and not self._parser.closed:
            try:
                self._parser.close()
            except MultipartError:
                self._refuse("the last boundary is missing")
        return Multipart(refused=self._refused) if self._refused else Multipart(tuple(self._parts))

    def _behind_preamble(self, piece: bytes) -> bytes:
        """Return the data from the first boundary line on, empty if there is none yet.

        The preamble before it is to be ignored (RFC 2046, 5.1.1). A boundary in the middle of a line is rejected or
        ignored by the parser, depending on where the pieces end.
        """
        seen = (self._preamble or b"") + piece
        found = seen.find(self._delimiter)
        if found < 0:
            self._preamble = seen[1 - len(self._delimiter) :]
            return b""
        self._preamble = None
        return seen[found + 2 :]

    def _handle(self, event: MultipartSegment | bytes | None) -> None:
        if event is None:
            self._end_part()
        elif isinstance(event, bytes):
            self._digest.update(event)
        else:
            self._segment, self._digest = event, hashlib.sha256()

    def _end_part(self) -> None:
        segment = cast("MultipartSegment", self._segment)
        name, filename = _disposition(segment.header("Content-Disposition", ""))
        content_type = _raw(segment.header("Content-Type"))
        self._shown += sum(len(value or b"") for value in (name, filename, content_type))
        if self._shown > _MAX_SHOWN:
            raise MultipartError(f"names and types exceed {_MAX_SHOWN} bytes")
        self._parts.append(Part(name, filename, content_type, segment.size, self._digest.hexdigest()))

    def _refuse(self, why: str) -> None:
        self._refused, self._parser, self._parts, self._segment = why, None, [], None


def _why_not(boundary: bytes) -> str:
    if not boundary:
        return "no boundary in Content-Type"
    if b"\n" in boundary:
        return "line break in the boundary"
    return f"boundary exceeds {MAX_BOUNDARY} bytes" if len(boundary) > MAX_BOUNDARY else ""


def _disposition(value: str) -> tuple[bytes | None, bytes | None]:
    """Return name and filename. A path in the filename is kept, since the client sent it."""
    _, options = parse_options_header(value, unquote=lambda quoted, _: content_disposition_unquote(quoted))
    return _raw(options.get("name")), _raw(options.get("filename"))


def _raw(value: str | None) -> bytes | None:
    return None if value is None else value.encode(_BYTES)
