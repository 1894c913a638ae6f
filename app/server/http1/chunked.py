"""Incremental decoder of the chunked transfer coding (RFC 9112, 7.1).

It does no I/O and uses constant memory. The maintained parsers for Python hide a part of the coding: where a chunked
message ends in a buffer with more data after it (httptools), or its trailers (gunicorn_h1c). An echo has to know both.
"""

import re
from collections.abc import Iterator
from http import HTTPStatus

from app.http.errors import ProtocolError, bad_request, excerpt
from app.http.request import Fields
from app.server.http1.grammar import BARE_LF, WITHOUT_CR, parse_fields
from app.server.limits import Limits

# chunk-size and its extensions, which are ignored (7.1.1). Fifteen digits are beyond any limit.
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[^\x00-\x08\x0a-\x1f\x7f]*)?")
_LONGEST_SIZE_LINE = 4096  # unknown extensions are of no use to a recipient, and 7.1.1 requires a limit


class ChunkedDecoder:
    """Decoder of one chunked body: `feed` bytes, iterate `data()`; `trailers` is set after the end of the body."""

    def __init__(self, limits: Limits) -> None:
        self.trailers: Fields | None = None
        self.left = b""  # bytes not parsed yet; once `trailers` is set, those after the body
        self._most = limits.body
        self._most_trailer_bytes = limits.head
        self._limits = limits
        self._total = 0
        self._rest = 0  # bytes of the chunk still to come, then its CRLF
        self._step = ChunkedDecoder._size_line  # not a bound method: it would be a reference cycle
        self._at = 0  # where in `left` to parse next: parsed bytes are dropped once per feed, not once per chunk
        self._searched = 0  # up to here `left` does not contain the end of the trailers

    def feed(self, data: bytes) -> None:
        """Append bytes to those that came before."""
        self.left = self.left[self._at :] + data if self._at < len(self.left) else data
        self._searched -= self._at
        self._at = 0

    def data(self) -> Iterator[bytes]:
        """Yield the decoded body in pieces, until more bytes are needed or the body has ended.

        Raise `ProtocolError`: 400 for bad framing, 413 above the limit.
        """
        while self.trailers is None:
            before = self._at, self._step
            piece = self._step(self)
            if piece:
                yield piece
            elif (self._at, self._step) == before:
                return
        self.left, self._at = self.left[self._at :], 0

    def _line(self, longest: int, what: str) -> bytes | None:
        end = self.left.find(b"\n", self._at, self._at + longest)
        if end < 0:
            if len(self.left) - self._at >= longest:
                raise bad_request(f"{what} exceeds {longest} bytes")
            return None
        if end == self._at or self.left[end - 1 : end] != b"\r":
            raise bad_request(f"{what} ends with LF alone; CRLF is required")
        line, self._at = self.left[self._at : end - 1], end + 1
        return line

    def _size_line(self) -> bytes:
        line = self._line(_LONGEST_SIZE_LINE, "chunk size line")
        if line is None:
            return b""
        match = _SIZE_LINE.fullmatch(line)
        if match is None:
            raise bad_request(f"invalid chunk size: {excerpt(line)}")
        self._rest = int(match[1], 16)
        self._total += self._rest
        if self._total > self._most:
            raise ProtocolError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"request body exceeds {self._most} bytes (ECHO_MAX_BODY)"
            )
        self._step = ChunkedDecoder._chunk_data if self._rest else ChunkedDecoder._trailer_section
        return b""

    def _chunk_data(self) -> bytes:
        piece = self.left[self._at : self._at + self._rest]
        self._at += len(piece)
        self._rest -= len(piece)
        if not self._rest:
            self._step = ChunkedDecoder._chunk_end
        return piece

    def _chunk_end(self) -> bytes:
        end = self.left[self._at : self._at + 2]
        if end == b"\r\n":
            self._at += 2
            self._step = ChunkedDecoder._size_line
        elif end not in {b"", b"\r"}:
            raise bad_request("chunk data exceeds the chunk size")
        return b""

    def _trailer_section(self) -> bytes:
        if self.left.startswith(b"\r\n", self._at):
            block, self._at = b"", self._at + 2
        else:
            begun, most = self._at, self._at + self._most_trailer_bytes
            end = self.left.find(b"\r\n\r\n", max(begun, self._searched - 3), most)
            if end < 0:
                # A client that ends lines with LF alone would wait for a response until its timeout.
                if BARE_LF.search(self.left, max(begun, self._searched), most):
                    raise bad_request(WITHOUT_CR)
                self._searched = len(self.left)
                if len(self.left) >= most:
                    raise ProtocolError(
                        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                        f"trailers exceed {self._most_trailer_bytes} bytes (ECHO_MAX_HEADER_BYTES)",
                    )
                return b""
            block, self._at = self.left[begun : end + 2], end + 4
        self.trailers = parse_fields(block, self._limits.fields)
        return b""
