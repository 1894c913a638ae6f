"""The chunked transfer coding, decoded as it arrives (RFC 9112, 7.1). Sans-I/O, constant memory.

The parsers that are kept for Python hide a part of it: where a chunked message ends in a buffer with more behind it
(httptools), or its trailers (gunicorn_h1c). An echo has to know both.
"""

import re
from collections.abc import Iterator
from http import HTTPStatus

from app.carrier.errors import ProtocolError, bad_request
from app.carrier.grammar import excerpt, parse_fields
from app.wire import Fields

# chunk-size and the extensions behind it, which are read over (7.1.1). Fifteen digits are beyond any limit.
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[^\x00-\x08\x0a-\x1f\x7f]*)?")
_LONGEST_SIZE_LINE = 4096  # extensions are of no use to a recipient that does not know them: 7.1.1 asks for a bound


class ChunkedDecoder:
    """Decodes one chunked body: `feed` bytes, iterate `data()`, and `trailers` is set when it has ended."""

    def __init__(self, most_bytes: int, most_trailer_bytes: int, most_fields: int) -> None:
        self.trailers: Fields | None = None
        self.left = b""  # bytes not yet understood; once `trailers` is set, what came behind the body
        self._most = most_bytes
        self._most_trailer_bytes = most_trailer_bytes
        self._most_fields = most_fields
        self._total = 0
        self._rest = 0  # bytes of the chunk still to come, then its CRLF
        self._step = self._size_line

    def feed(self, data: bytes) -> None:
        """Take bytes behind those that came before."""
        self.left += data

    def data(self) -> Iterator[bytes]:
        """Give what is body, piece by piece, until more bytes are needed or the body has ended.

        Raises `ProtocolError`: 400 for bad framing, 413 above the limit.
        """
        while self.trailers is None:
            before = len(self.left), self._step
            piece = self._step()
            if piece:
                yield piece
            elif (len(self.left), self._step) == before:
                return

    def _line(self, longest: int, what: str) -> bytes | None:
        end = self.left.find(b"\n", 0, longest)
        if end < 0:
            if len(self.left) >= longest:
                raise bad_request(f"a {what} longer than {longest} bytes")
            return None
        if self.left[end - 1 : end] != b"\r":
            raise bad_request(f"a {what} that ends without CR")
        line, self.left = self.left[: end - 1], self.left[end + 1 :]
        return line

    def _size_line(self) -> bytes:
        line = self._line(_LONGEST_SIZE_LINE, "chunk size")
        if line is None:
            return b""
        match = _SIZE_LINE.fullmatch(line)
        if match is None:
            raise bad_request(f"not a chunk size: {excerpt(line)}")
        self._rest = int(match[1], 16)
        self._total += self._rest
        if self._total > self._most:
            raise ProtocolError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body above {self._most} bytes")
        self._step = self._chunk_data if self._rest else self._trailer_section
        return b""

    def _chunk_data(self) -> bytes:
        piece, self.left = self.left[: self._rest], self.left[self._rest :]
        self._rest -= len(piece)
        if not self._rest:
            self._step = self._chunk_end
        return piece

    def _chunk_end(self) -> bytes:
        if self.left.startswith(b"\r\n"):
            self.left = self.left[2:]
            self._step = self._size_line
        elif self.left not in {b"", b"\r"}:
            raise bad_request("a chunk longer than its size")
        return b""

    def _trailer_section(self) -> bytes:
        if self.left.startswith(b"\r\n"):
            block, self.left = b"", self.left[2:]
        else:
            end = self.left.find(b"\r\n\r\n", 0, self._most_trailer_bytes)
            if end < 0:
                if len(self.left) >= self._most_trailer_bytes:
                    raise ProtocolError(
                        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"trailers above {self._most_trailer_bytes} bytes"
                    )
                return b""
            block, self.left = self.left[: end + 2], self.left[end + 4 :]
        self.trailers = parse_fields(block, self._most_fields)
        return b""
