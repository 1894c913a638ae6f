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
from typing import Final

import msgspec

from app.http.errors import ProtocolError, bad_request
from app.http.request import Fields, WireRequest
from app.server import framing_fields
from app.server.head_cache import Recent
from app.server.http1 import grammar
from app.server.http1.chunked import ChunkedDecoder
from app.server.http1.events import CHUNKED, Head
from app.server.limits import Limits

_EMPTY_LINES = re.compile(rb"(?:\r\n)++")
_CR: Final = 0x0D


class Data(msgspec.Struct, frozen=True, gc=False):
    """A piece of the body, without chunked framing, never empty."""

    piece: bytes


class End(msgspec.Struct, frozen=True, gc=False):
    """A request with a body is complete; its trailers."""

    trailers: Fields = ()


Event = Head | Data | End


class RequestReader:
    """Parser of one connection's requests: `receive` bytes, then call `next` as long as it returns an event.

    Pipelined requests wait in the buffer.
    """

    __slots__ = ("_body", "_buffer", "_limits", "_line_is_whole", "_recent", "_searched", "method")

    def __init__(self, limits: Limits, recent: Recent[bytes, Head] | None = None) -> None:
        self._limits = limits
        self._recent: Recent[bytes, Head] = Recent() if recent is None else recent
        self._buffer = b""
        self._searched = 0
        self.method = b""  # of the current request, once it is known
        self._line_is_whole = False  # the request line of the incomplete head was checked
        self._body: ChunkedDecoder | int | None = None  # decoder, or bytes still to come; None between requests

    @property
    def within_request(self) -> bool:
        """Whether a request has begun and not ended."""
        return self._body is not None or bool(self._buffer)

    @property
    def within_body(self) -> bool:
        """Whether a head was parsed and its body has not ended."""
        return self._body is not None

    @property
    def held(self) -> int:
        """Number of buffered bytes."""
        return len(self._buffer) + (len(self._body.left) if isinstance(self._body, ChunkedDecoder) else 0)

    def receive(self, data: bytes) -> None:
        """Append bytes from the connection."""
        if isinstance(self._body, ChunkedDecoder):
            self._body.feed(data)
        else:
            self._buffer = self._buffer + data if self._buffer else data

    def taken(self) -> bytes:
        """Remove and return the bytes after the last request, which another parser continues with."""
        left, self._buffer = self._buffer, b""
        return left

    def next(self) -> Event | None:
        """Return the next event in the bytes so far, or None if there is none.

        Raise `ProtocolError`, after which the connection can't be parsed further.
        """
        body = self._body
        if body is None:
            return self._head() if self._buffer else None
        if isinstance(body, ChunkedDecoder):
            return self._next_of_chunks(body)
        if body and self._buffer:
            piece, self._buffer = self._buffer[:body], self._buffer[body:]
            self._body = body - len(piece)
            return Data(piece)
        if body:
            return None
        self._body = None
        return End()

    def _next_of_chunks(self, body: ChunkedDecoder) -> Event | None:
        piece = next(body.data(), b"")
        if piece:
            return Data(piece)
        if body.trailers is None:
            return None
        self._buffer, self._body = body.left, None
        return End(body.trailers)

    def _head(self) -> Head | None:
        buffer = self._buffer
        if buffer[0] == _CR and (empty := _EMPTY_LINES.match(buffer)):  # RFC 9112, 2.2: they are ignored
            buffer = self._buffer = buffer[empty.end() :]
            self._searched = 0
        # The method is needed before the head is complete: an error response to HEAD has no body (RFC 9110, 9.3.2).
        self.method = b"HEAD" if buffer.startswith(b"HEAD ") else b""
        # The search resumes where it stopped before, so that a head that arrives byte by byte costs no more than one
        # that arrives at once.
        end = buffer.find(b"\r\n\r\n", max(0, self._searched - 3))
        if end < 0 or end + 4 > self._limits.head:
            self._refuse_endless_head(len(buffer) if end < 0 else end + 4)
            self._searched = len(buffer)
            return None
        raw, self._buffer, self._searched = buffer[: end + 4], buffer[end + 4 :], 0
        self._line_is_whole = False
        head = self._recent.get(raw)
        if head is None:
            return self._parsed(raw)
        self.method = head.request.method
        if head.length:
            self._begin_body(head.length)
        return head

    def _parsed(self, raw: bytes) -> Head:
        """Parse a complete head, and prepare for the body that it declares."""
        line_end = raw.index(b"\r\n")
        method, target, version = grammar.parse_request_line(raw[:line_end])
        self.method = method
        fields = grammar.parse_fields(raw[line_end + 2 : -2], self._limits.fields)
        request = WireRequest(method, target, version, fields, head=raw)
        found = framing_fields.decisive(fields)
        framing_fields.check_host(found.get(framing_fields.HOST, []), version)
        if len(found) <= 1 and version == "HTTP/1.1":  # nothing but Host, which is checked: the most common case
            return self._recent.keep(raw, len(raw), Head(request))
        length = grammar.body_length(found, version)
        self._begin_body(length)
        head = Head(
            request,
            length,
            grammar.keeps_alive(found, version),
            version != "HTTP/1.0" and framing_fields.expects_continue(found) and length != 0,
            grammar.is_websocket_upgrade(found, version),
        )
        return self._recent.keep(raw, len(raw), head)

    def _refuse_endless_head(self, size: int) -> None:
        if size > self._limits.head:
            if b"\r\n" in self._buffer[: self._limits.head]:
                status, what = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "request head"
            else:
                status, what = HTTPStatus.REQUEST_URI_TOO_LONG, "request line"
            raise ProtocolError(status, f"{what} exceeds {self._limits.head} bytes (ECHO_MAX_HEADER_BYTES)")
        # A client that ends its lines with LF alone would wait for a response until its timeout.
        if grammar.BARE_LF.search(self._buffer, self._searched):
            raise bad_request(grammar.WITHOUT_CR)
        if not self._line_is_whole:
            grammar.check_beginning(self._buffer)
            self._line_is_whole = b"\n" in self._buffer

    def _begin_body(self, length: int) -> None:
        if length == CHUNKED:
            limits = self._limits
            self._body = ChunkedDecoder(limits)
            self._body.feed(self._buffer)
            self._buffer = b""
        elif length > self._limits.body:
            what = f"request body exceeds {self._limits.body} bytes (ECHO_MAX_BODY)"
            raise ProtocolError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, what)
        elif length:
            self._body = length
