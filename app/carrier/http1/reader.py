"""HTTP/1.1 without I/O: bytes in, events out (RFC 9112).

Head, framing and fields are read by our own grammar, because no kept parser shows all of what was sent: llhttp
(httptools) knows 46 methods and refuses the others, hides where a chunked message ends and takes a request with no
Host; picohttpparser (gunicorn_h1c) hides trailers, and is published as source only, so that a machine without a C
compiler could not run the echo at all; h11 refuses raw UTF-8 in a target.
"""

import re
from collections.abc import Iterator
from http import HTTPStatus

import msgspec

from app.carrier import semantics
from app.carrier.errors import ProtocolError, bad_request
from app.carrier.http1 import grammar
from app.carrier.http1.chunked import ChunkedDecoder
from app.carrier.http1.grammar import CHUNKED
from app.carrier.limits import Limits
from app.wire import Fields, WireRequest

_EMPTY_LINES = re.compile(rb"(?:\r\n)++")


class Head(msgspec.Struct, frozen=True, gc=False):
    """A request's head is complete: all of the request but its body and its trailers.

    `chunked`: chunks carry the body; `keep_alive`: the client wants the connection kept; `upgrade`: the protocol that
    it would rather speak, if it is known here.
    """

    request: WireRequest
    chunked: bool
    keep_alive: bool
    expects_continue: bool
    upgrade: bytes = b""


class Data(msgspec.Struct, frozen=True, gc=False):
    """A piece of the body, decoded from chunks, never empty."""

    piece: bytes


class End(msgspec.Struct, frozen=True, gc=False):
    """The request is complete, with its trailers."""

    trailers: Fields


Event = Head | Data | End


class RequestReader:
    """Reads the requests of one connection: `receive` bytes, then iterate `events`.

    Iterating may stop at any event and go on later; pipelined requests wait in the buffer.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._buffer = b""
        self._searched = 0
        self.method = b""  # of the request that is being read, once it is known
        self._line_is_whole = False  # of a head that is not whole: its request line was looked at
        self._body: ChunkedDecoder | int | None = None  # bytes still to come; None between requests

    @property
    def within_request(self) -> bool:
        """Whether a request has begun and not ended."""
        return self._body is not None or bool(self._buffer)

    @property
    def within_body(self) -> bool:
        """Whether a head was read and its body has not ended."""
        return self._body is not None

    @property
    def held(self) -> int:
        """How many bytes wait here."""
        return len(self._buffer) + (len(self._body.left) if isinstance(self._body, ChunkedDecoder) else 0)

    def receive(self, data: bytes) -> None:
        """Take bytes from the connection."""
        if isinstance(self._body, ChunkedDecoder):
            self._body.feed(data)
        else:
            self._buffer = self._buffer + data if self._buffer else data

    def taken(self) -> bytes:
        """Give the bytes behind the last request, which are not read here any more."""
        left, self._buffer = self._buffer, b""
        return left

    def events(self) -> Iterator[Event]:
        """Give what the bytes so far say. Raises `ProtocolError`, after which the connection can't be read on."""
        while True:
            if self._body is None:
                head = self._head() if self._buffer else None
                if head is None:
                    return
                yield head
            elif isinstance(self._body, ChunkedDecoder):
                yield from map(Data, self._body.data())
                if self._body.trailers is None:
                    return
                trailers, self._buffer, self._body = self._body.trailers, self._body.left, None
                yield End(trailers)
            else:
                if self._body and self._buffer:
                    piece, self._buffer = self._buffer[: self._body], self._buffer[self._body :]
                    self._body -= len(piece)
                    yield Data(piece)
                if self._body:
                    return
                self._body = None
                yield End(())

    def _head(self) -> Head | None:
        empty = _EMPTY_LINES.match(self._buffer)
        if empty:  # RFC 9112, 2.2: they are read over
            self._buffer, self._searched = self._buffer[empty.end() :], 0
        # All that has to be known of it before the head is whole: whether a refusal may have a body (RFC 9110, 9.3.2).
        self.method = b"HEAD" if self._buffer.startswith(b"HEAD ") else b""
        # The end is searched for only where it was not searched for before, so that a head that comes byte by byte
        # costs no more than one that comes whole.
        end = self._buffer.find(b"\r\n\r\n", max(0, self._searched - 3))
        if end < 0 or end + 4 > self._limits.head:
            self._refuse_endless_head(len(self._buffer) if end < 0 else end + 4)
            self._searched = len(self._buffer)
            return None
        raw, self._buffer, self._searched = self._buffer[: end + 4], self._buffer[end + 4 :], 0
        self._line_is_whole = False
        line, _, field_lines = raw[:-2].partition(b"\r\n")
        method, target, version = grammar.parse_request_line(line)
        self.method = method
        fields = grammar.parse_fields(field_lines, self._limits.fields, self._limits.field)
        found = semantics.decisive(fields)
        semantics.check_host(found.get(semantics.HOST, []), version)
        length = self._begin_body(grammar.body_length(found, version))
        return Head(
            WireRequest(method, target, version, fields, head=raw),
            length == CHUNKED,
            grammar.keeps_alive(found, version),
            version != "HTTP/1.0" and semantics.expects_continue(found) and length != 0,
            grammar.upgrade(found, version),
        )

    def _refuse_endless_head(self, size: int) -> None:
        if size > self._limits.head:
            if b"\r\n" in self._buffer[: self._limits.head]:
                status, what = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head"
            else:
                status, what = HTTPStatus.REQUEST_URI_TOO_LONG, "request line"
            raise ProtocolError(status, f"a {what} above {self._limits.head} bytes")
        # A client that ends its lines with LF alone would wait for an answer until its time is over.
        if grammar.BARE_LF.search(self._buffer, self._searched):
            raise bad_request(grammar.WITHOUT_CR)
        if not self._line_is_whole:
            grammar.check_beginning(self._buffer)
            self._line_is_whole = b"\n" in self._buffer

    def _begin_body(self, length: int) -> int:
        if length == CHUNKED:
            limits = self._limits
            self._body = ChunkedDecoder(limits)
            self._body.feed(self._buffer)
            self._buffer = b""
        elif length > self._limits.body:
            raise ProtocolError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body above {self._limits.body} bytes")
        else:
            self._body = length
        return length
