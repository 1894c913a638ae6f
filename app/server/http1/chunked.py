"""Incremental decoder of the chunked transfer coding (RFC 9112, 7.1).

It does no I/O and uses constant memory. The maintained parsers for Python hide a part of the coding: where a chunked
message ends in a buffer with more data after it (httptools), or its trailers (gunicorn_h1c). An echo has to know both.
"""

import re
from collections.abc import Iterator
from http import HTTPStatus

from app.http.errors import ProtocolError, bad_request
from app.http.request import HeaderList
from app.http.text import quote_bytes
from app.server.http1.grammar import BARE_LF, BARE_LF_ERROR, parse_headers
from app.server.limits import RequestLimits

# chunk-size and its extensions, which are ignored (7.1.1). Fifteen digits are beyond any limit.
_SIZE_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:[ \t]*;[^\x00-\x08\x0a-\x1f\x7f]*)?")
_MAX_SIZE_LINE = 4096  # unknown extensions are of no use to a recipient, and 7.1.1 requires a limit


class ChunkedDecoder:
    """Decoder of one chunked body: `feed` bytes, iterate `data()`; `trailers` is set after the end of the body."""

    def __init__(self, limits: RequestLimits) -> None:
        self.trailers: HeaderList | None = None
        self.unparsed = b""  # bytes not parsed yet; once `trailers` is set, those after the body
        self._max_body_size = limits.body_size
        self._max_trailer_bytes = limits.head_size
        self._limits = limits
        self._total_size = 0
        self._chunk_remaining = 0  # bytes of the chunk still to come, then its CRLF
        self._step = ChunkedDecoder._parse_size_line  # not a bound method: it would be a reference cycle
        self._position = (
            0  # where in `unparsed` to parse next: parsed bytes are dropped once per feed, not once per chunk
        )
        self._searched_to = 0  # up to here `unparsed` does not contain the end of the trailers

    def feed(self, data: bytes) -> None:
        """Append bytes to those that came before."""
        self.unparsed = self.unparsed[self._position :] + data if self._position < len(self.unparsed) else data
        self._searched_to -= self._position
        self._position = 0

    def decoded_pieces(self) -> Iterator[bytes]:
        """Yield the decoded body in pieces, until more bytes are needed or the body has ended.

        Raise `ProtocolError`: 400 for bad framing, 413 above the limit.
        """
        while self.trailers is None:
            before = self._position, self._step
            piece = self._step(self)
            if piece:
                yield piece
            elif (self._position, self._step) == before:
                return
        self.unparsed, self._position = self.unparsed[self._position :], 0

    def _next_line(self, limit: int, subject: str) -> bytes | None:
        end = self.unparsed.find(b"\n", self._position, self._position + limit)
        if end < 0:
            if len(self.unparsed) - self._position >= limit:
                raise bad_request(f"{subject} exceeds {limit} bytes")
            return None
        if end == self._position or self.unparsed[end - 1 : end] != b"\r":
            raise bad_request(f"{subject} ends with LF alone; CRLF is required")
        line, self._position = self.unparsed[self._position : end - 1], end + 1
        return line

    def _parse_size_line(self) -> bytes:
        line = self._next_line(_MAX_SIZE_LINE, "chunk size line")
        if line is None:
            return b""
        match = _SIZE_LINE.fullmatch(line)
        if match is None:
            raise bad_request(f"invalid chunk size: {quote_bytes(line)}")
        self._chunk_remaining = int(match[1], 16)
        self._total_size += self._chunk_remaining
        if self._total_size > self._max_body_size:
            raise ProtocolError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"request body exceeds {self._max_body_size} bytes (ECHO_MAX_BODY)"
            )
        self._step = (
            ChunkedDecoder._parse_chunk_data if self._chunk_remaining else ChunkedDecoder._parse_trailer_section
        )
        return b""

    def _parse_chunk_data(self) -> bytes:
        piece = self.unparsed[self._position : self._position + self._chunk_remaining]
        self._position += len(piece)
        self._chunk_remaining -= len(piece)
        if not self._chunk_remaining:
            self._step = ChunkedDecoder._parse_chunk_end
        return piece

    def _parse_chunk_end(self) -> bytes:
        end = self.unparsed[self._position : self._position + 2]
        if end == b"\r\n":
            self._position += 2
            self._step = ChunkedDecoder._parse_size_line
        elif end not in {b"", b"\r"}:
            raise bad_request("chunk data exceeds the chunk size")
        return b""

    def _parse_trailer_section(self) -> bytes:
        if self.unparsed.startswith(b"\r\n", self._position):
            block, self._position = b"", self._position + 2
        else:
            start, limit = self._position, self._position + self._max_trailer_bytes
            end = self.unparsed.find(b"\r\n\r\n", max(start, self._searched_to - 3), limit)
            if end < 0:
                # A client that ends lines with LF alone would wait for a response until its timeout.
                if BARE_LF.search(self.unparsed, max(start, self._searched_to), limit):
                    raise bad_request(BARE_LF_ERROR)
                self._searched_to = len(self.unparsed)
                if len(self.unparsed) >= limit:
                    raise ProtocolError(
                        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                        f"trailers exceed {self._max_trailer_bytes} bytes (ECHO_MAX_HEADER_BYTES)",
                    )
                return b""
            block, self._position = self.unparsed[start : end + 2], end + 4
        self.trailers = parse_headers(block, self._limits.header_count)
        return b""
