"""The parts of a multipart content, measured while they pass (RFC 2046, 5.1; RFC 7578). Constant memory."""

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
_MAX_HEADERS: Final = 8  # of a part; RFC 7578, 4.8, leaves it three that mean anything
_MAX_HEADER: Final = 4096  # bytes of one of them
_MAX_SHOWN: Final = 65_536  # bytes of all names and types together

# The parser takes fields for text. As Latin-1 every byte is a character, and none is lost.
_BYTES: Final = "latin-1"


class Part(msgspec.Struct, frozen=True, gc=False):
    """One part: `length` in bytes and `sha256` in hexadecimal digits of its content, the others as its fields say.

    `name` and `filename` are of its Content-Disposition, unquoted; `content_type` is a whole value.
    """

    name: bytes | None
    filename: bytes | None
    content_type: bytes | None
    length: int
    sha256: str


class Multipart(msgspec.Struct, frozen=True):
    """The parts of a content, in order, or, in one line, why it has none that can be told: `refused`."""

    parts: tuple[Part, ...] = ()
    refused: str = ""


class _Parser(PushMultipartParser):  # type: ignore[misc] # it publishes no types
    """The parser, for every kind of multipart: only form-data asks for a Content-Disposition."""

    def _create_segment(self, headerlist: list[tuple[str, str]]) -> MultipartSegment:
        # The parser itself finds these only where a piece happens to end behind them.
        if any("\n" in value for _, value in headerlist):
            raise MultipartError("Invalid line break in segment header")
        return MultipartSegment(headerlist)


class PartsMeter:
    """Measures the parts between the lines of a boundary: `take` the content in order, then ask for its parts.

    Each piece is parsed in one go: whoever hands it in bounds its length.
    """

    def __init__(self, boundary: bytes) -> None:
        self._refused = _why_not(boundary)
        self._delimiter = b"\r\n--" + boundary
        self._preamble: bytes | None = b"\r\n"  # its end, until there is a first part: the content begins like a line
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
        self._segment: MultipartSegment | None = None  # that of the part that has begun
        self._digest = hashlib.sha256()

    def take(self, piece: bytes) -> None:
        """Take the next piece."""
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
        """Give the parts. The content has ended."""
        if self._parser is not None and not self._parser.closed:
            try:
                self._parser.close()
            except MultipartError:
                self._refuse("the last boundary is missing")
        return Multipart(refused=self._refused) if self._refused else Multipart(tuple(self._parts))

    def _behind_preamble(self, piece: bytes) -> bytes:
        """Give what comes from the first boundary line on, nothing while there is none.

        What stands before is to be ignored (RFC 2046, 5.1.1). The parser refuses a boundary in the middle of a line, or
        ignores it, too, by where the pieces happen to end.
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
    """Give name and filename. A path before the filename is kept: it was sent."""
    _, options = parse_options_header(value, unquote=lambda quoted, _: content_disposition_unquote(quoted))
    return _raw(options.get("name")), _raw(options.get("filename"))


def _raw(value: str | None) -> bytes | None:
    return None if value is None else value.encode(_BYTES)
