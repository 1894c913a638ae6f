"""HTTP/1.1 request parser without I/O: bytes in, events out (RFC 9112).

Head, framing and headers are parsed by our own grammar, because no maintained parser exposes everything that was sent:

- llhttp (httptools) knows 46 methods and rejects the others, hides where a chunked message ends, and accepts a request
  without Host.
- picohttpparser (gunicorn_h1c) hides trailers, and is published as source only: a machine without a C compiler could
  not run echo at all.
- h11 rejects raw UTF-8 in a target.
"""

import re
from http import HTTPStatus

import msgspec

from app.http.errors import ProtocolError, bad_request
from app.http.request import HeaderList, HttpRequest
from app.server import framing_fields
from app.server.head_cache import HeadCache
from app.server.http1 import grammar
from app.server.http1.chunked import ChunkedDecoder
from app.server.http1.events import CHUNKED, RequestHead
from app.server.limits import RequestLimits

_EMPTY_LINES = re.compile(rb"(?:\r\n)++")


class BodyData(msgspec.Struct, frozen=True, gc=False):
    """A piece of the body, without chunked framing, never empty."""

    piece: bytes


class RequestEnd(msgspec.Struct, frozen=True, gc=False):
    """A request with a body is complete; its trailers."""

    trailers: HeaderList = ()


Event = RequestHead | BodyData | RequestEnd


class RequestParser:
    """Parser of one connection's requests: `feed` bytes, then call `next_event` as long as it returns an event.

    Pipelined requests wait in the buffer.
    """

    __slots__ = ("_body", "_buffer", "_head_cache", "_limits", "_request_line_checked", "_searched_to", "method")

    def __init__(self, limits: RequestLimits, head_cache: HeadCache[bytes, RequestHead] | None = None) -> None:
        self._limits = limits
        self._head_cache: HeadCache[bytes, RequestHead] = HeadCache() if head_cache is None else head_cache
        self._buffer = b""
        self._searched_to = 0
        self.method = b""  # of the current request, once it is known
        self._request_line_checked = False  # the request line of the incomplete head was checked
        self._body: ChunkedDecoder | int | None = None  # decoder, or bytes still to come; None between requests

    @property
    def is_within_request(self) -> bool:
        """Whether a request has begun and not ended."""
        return self._body is not None or bool(self._buffer)

    @property
    def is_within_body(self) -> bool:
        """Whether a head was parsed and its body has not ended."""
        return self._body is not None

    @property
    def buffered_bytes(self) -> int:
        """Number of buffered bytes."""
        return len(self._buffer) + (len(self._body.unparsed) if isinstance(self._body, ChunkedDecoder) else 0)

    def feed(self, data: bytes) -> None:
        """Append bytes from the connection."""
        if isinstance(self._body, ChunkedDecoder):
            self._body.feed(data)
        else:
            self._buffer = self._buffer + data if self._buffer else data

    def pop_unparsed(self) -> bytes:
        """Remove and return the bytes after the last request, which another parser continues with."""
        unparsed, self._buffer = self._buffer, b""
        return unparsed

    def next_event(self) -> Event | None:
        """Return the next event in the bytes so far, or None if there is none.

        Raise `ProtocolError`, after which the connection can't be parsed further.
        """
        body = self._body
        if body is None:
            return self._next_head() if self._buffer else None
        if isinstance(body, ChunkedDecoder):
            return self._next_chunked_event(body)
        if body and self._buffer:
            piece, self._buffer = self._buffer[:body], self._buffer[body:]
            self._body = body - len(piece)
            return BodyData(piece)
        if body:
            return None
        self._body = None
        return RequestEnd()

    def _next_chunked_event(self, body: ChunkedDecoder) -> Event | None:
        piece = next(body.decoded_pieces(), b"")
        if piece:
            return BodyData(piece)
        if body.trailers is None:
            return None
        self._buffer, self._body = body.unparsed, None
        return RequestEnd(body.trailers)

    def _next_head(self) -> RequestHead | None:
        buffer = self._buffer
        if buffer.startswith(b"\r") and (empty := _EMPTY_LINES.match(buffer)):  # RFC 9112, 2.2: they are ignored
            buffer = self._buffer = buffer[empty.end() :]
            self._searched_to = 0
        # The method is needed before the head is complete: an error response to HEAD has no body (RFC 9110, 9.3.2).
        self.method = b"HEAD" if buffer.startswith(b"HEAD ") else b""
        # The search resumes where it stopped before, so that a head that arrives byte by byte costs no more than one
        # that arrives at once.
        end = buffer.find(b"\r\n\r\n", max(0, self._searched_to - 3))
        if end < 0 or end + 4 > self._limits.head_size:
            self._check_incomplete_head(len(buffer) if end < 0 else end + 4)
            self._searched_to = len(buffer)
            return None
        raw, self._buffer, self._searched_to = buffer[: end + 4], buffer[end + 4 :], 0
        self._request_line_checked = False
        head = self._head_cache.get(raw)
        if head is None:
            return self._parse_head(raw)
        self.method = head.request.method
        if head.body_length:
            self._start_body(head.body_length)
        return head

    def _parse_head(self, raw: bytes) -> RequestHead:
        """Parse a complete head, and prepare for the body that it declares."""
        line_end = raw.index(b"\r\n")
        method, target, version = grammar.parse_request_line(raw[:line_end])
        self.method = method
        headers = grammar.parse_headers(raw[line_end + 2 : -2], self._limits.header_count)
        request = HttpRequest(method, target, version, headers, head=raw)
        framing = framing_fields.framing_values(headers)
        framing_fields.check_host(framing.get(framing_fields.HOST, []), version)
        if len(framing) <= 1 and version == "HTTP/1.1":  # nothing but Host, which is checked: the most common case
            return self._head_cache.store_if_repeated(raw, len(raw), RequestHead(request))
        length = grammar.body_length(framing, version)
        self._start_body(length)
        head = RequestHead(
            request,
            length,
            grammar.keeps_alive(framing, version),
            version != "HTTP/1.0" and framing_fields.expects_continue(framing) and length != 0,
            grammar.is_websocket_upgrade(framing, version),
        )
        return self._head_cache.store_if_repeated(raw, len(raw), head)

    def _check_incomplete_head(self, size: int) -> None:
        if size > self._limits.head_size:
            if b"\r\n" in self._buffer[: self._limits.head_size]:
                status, subject = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "request head"
            else:
                status, subject = HTTPStatus.REQUEST_URI_TOO_LONG, "request line"
            raise ProtocolError(status, f"{subject} exceeds {self._limits.head_size} bytes (ECHO_MAX_HEADER_BYTES)")
        # A client that ends its lines with LF alone would wait for a response until its timeout.
        if grammar.BARE_LF.search(self._buffer, self._searched_to):
            raise bad_request(grammar.BARE_LF_ERROR)
        if not self._request_line_checked:
            grammar.check_incomplete_head(self._buffer)
            self._request_line_checked = b"\n" in self._buffer

    def _start_body(self, length: int) -> None:
        if length == CHUNKED:
            limits = self._limits
            self._body = ChunkedDecoder(limits)
            self._body.feed(self._buffer)
            self._buffer = b""
        elif length > self._limits.body_size:
            reason = f"request body exceeds {self._limits.body_size} bytes (ECHO_MAX_BODY)"
            raise ProtocolError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, reason)
        elif length:
            self._body = length
