"""Fuzz target: HTTP/1.1 requests.

They are the same however they are split, and end where another implementation ends them (h11).
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import h11

from app.http.errors import ProtocolError
from app.http.request import HeaderList
from app.server.http1.events import RequestHead
from app.server.http1.parser import BodyData, Event, RequestParser
from app.server.limits import RequestLimits
from tests.http.corpus import HTTP1, wire
from tools.fuzz.cutting import Pieces, deliveries

LIMITS: Final = RequestLimits(head_size=2048, header_count=32, body_size=4096)
LONGEST: Final = 4096
WORDS: Final = (
    b"GET / HTTP/1.1\r\nHost: a\r\n", b"HTTP/1.0", b"HTTP/1.1", b"\r\n\r\n", b"\r\n", b"\n", b"\r", b"Host: a\r\n",
    b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"keep-alive",
    b"Expect: 100-continue\r\n", b"Upgrade: websocket\r\n", b"0\r\n\r\n", b"5\r\nhello\r\n", b";a=b", b"chunked, ",
    b"\t", b"http://a/", b"*", b"a:443", b"identity",
)  # fmt: skip


class Request(NamedTuple):
    """One request that was read; `whole` unless its body is incomplete."""

    head: RequestHead
    body: bytes
    trailers: HeaderList = ()
    whole: bool = False


class Reading(NamedTuple):
    """Requests read from a connection, and whether the rest was rejected, or is incomplete."""

    requests: tuple[Request, ...]
    refused: bool
    waits: bool


def check(data: bytes) -> None:
    """Read what may be requests, in several deliveries.

    The result is the same for each, and that of h11 for accepted requests.
    """
    whole, *others = [read(pieces) for pieces in deliveries(data)]
    for other in others:
        assert other == whole
    _check_ends(data, whole)
    if whole.requests:
        _compare(data, whole)


def seeds() -> Iterator[bytes]:
    """Return the short ones of the corpus of odd requests."""
    return (raw for case in HTTP1.values() if len(raw := wire(case.send)) <= LONGEST)


def read(pieces: Pieces) -> Reading:
    """Read the requests of a connection that delivers these pieces."""
    reader = RequestParser(LIMITS)
    requests: list[Request] = []
    try:
        for piece in pieces:
            reader.feed(piece)
            while (event := reader.next_event()) is not None:
                _take(event, requests)
    except ProtocolError as error:
        check_refusal(error)
        return Reading(tuple(requests), refused=True, waits=False)
    return Reading(tuple(requests), refused=False, waits=reader.is_within_request)


def check_refusal(error: ProtocolError) -> None:
    """Check a rejection against the allowed status codes and messages."""
    assert 400 <= error.status < 600
    assert len(error.reason) < 200


def _take(event: Event | None, requests: list[Request]) -> None:
    if isinstance(event, RequestHead):
        requests.append(Request(event, b"", whole=event.has_no_body))
    elif isinstance(event, BodyData):
        assert event.piece
        requests[-1] = requests[-1]._replace(body=requests[-1].body + event.piece)
        assert len(requests[-1].body) <= LIMITS.body_size
    else:
        assert event is not None
        requests[-1] = requests[-1]._replace(trailers=event.trailers, whole=True)


def _check_ends(data: bytes, reading: Reading) -> None:
    """Compare each request with that of a connection that begins with it, because earlier ones must leave no state."""
    left = data
    for request in (each for each in reading.requests if each.whole):
        before, reader = left, RequestParser(LIMITS)
        reader.feed(before)
        alone: list[Request] = []
        while not (alone and alone[-1].whole):  # reading may stop at any event
            _take(reader.next_event(), alone)
        left = reader.pop_unparsed()
        assert alone == [request]
        assert before.endswith(left)
        taken = before[: len(before) - len(left)]
        assert taken.lstrip(b"\r\n").startswith(request.head.request.head)
        if not request.head.is_chunked:
            assert taken.lstrip(b"\r\n") == request.head.request.head + request.body


# another implementation


def _compare(data: bytes, reading: Reading) -> None:
    """Compare with the requests that h11 reads.

    If h11 rejects them, it is stricter than we are, and the comparison ends.
    """
    other = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 16)
    other.receive_data(data)
    for request in reading.requests:
        try:
            seen = _next(other)
        except h11.RemoteProtocolError:
            return
        if request.whole:
            assert seen == (*_said(request), request.body, _lower(request.trailers), True)
        elif not reading.refused:  # otherwise h11 may read on where we do not
            assert seen == (*_said(request), request.body, (), False)
        if not request.whole or not _goes_on(other, request.head):
            return


def _said(request: Request) -> tuple[object, ...]:
    wire_request = request.head.request
    return wire_request.method, wire_request.target, wire_request.version, _as_h11_tells(wire_request.headers)


def _as_h11_tells(fields: Iterable[tuple[bytes, bytes]]) -> HeaderList:
    coding = b"transfer-encoding"  # its value is reported in lower case
    return tuple((name, value.lower() if name.lower() == coding else value) for name, value in fields)


def _next(other: h11.Connection) -> tuple[object, ...]:
    head = other.next_event()
    assert isinstance(head, h11.Request), head
    fields = _as_h11_tells((bytes(name), bytes(value)) for name, value in head.headers.raw_items())
    body = b""
    while isinstance(event := other.next_event(), h11.Data):
        body += event.data
    ended = isinstance(event, h11.EndOfMessage)
    trailers = _lower(event.headers) if isinstance(event, h11.EndOfMessage) else ()
    return head.method, head.target, f"HTTP/{head.http_version.decode()}", fields, body, trailers, ended


def _lower(fields: Iterable[tuple[bytes, bytes]]) -> HeaderList:
    return tuple((bytes(name).lower(), bytes(value)) for name, value in fields)


def _goes_on(other: h11.Connection, head: RequestHead) -> bool:
    """Respond, and return whether another request may follow: both implementations must agree on that."""
    other.send(h11.Response(status_code=404, headers=[("Content-Length", "0")]))  # 2xx to CONNECT would be a tunnel
    other.send(h11.EndOfMessage())
    kept = other.our_state is not h11.MUST_CLOSE
    if head.request.version != "HTTP/1.0":  # h11 never keeps a connection of HTTP/1.0 open
        assert kept == head.keep_alive
    if kept:
        other.start_next_cycle()
    return kept
