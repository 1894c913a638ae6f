"""The HTTP/1.1 reader: any delivery of bytes gives the same requests."""

from collections.abc import Iterator
from http import HTTPStatus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.http.errors import ProtocolError
from app.server.http1.events import RequestHead
from app.server.http1.parser import BodyData, Event, RequestEnd, RequestParser
from app.server.limits import RequestLimits
from tests.requests import deliveries, requests

LIMITS = RequestLimits(head_size=65_536, header_count=100, body_size=100_000)


def said(events: list[Event]) -> Iterator[tuple[object, ...]]:
    """Yield the content of each request in the events."""
    head, body = None, b""
    for event in events:
        if isinstance(event, RequestHead):
            head, body = event.request, b""
            if event.has_no_body:
                yield head.method, head.target, head.headers, b"", ()
        elif isinstance(event, BodyData):
            assert event.piece, "no empty piece"
            body += event.piece
        else:
            assert head is not None
            yield head.method, head.target, head.headers, body, event.trailers


def read(pieces: list[bytes]) -> list[Event]:
    """Return the events of a connection that delivers these pieces."""
    reader = RequestParser(LIMITS)
    events: list[Event] = []
    for piece in pieces:
        reader.feed(piece)
        events += iter(reader.next_event, None)
    assert not reader.is_within_request
    return events


@given(st.lists(requests(), min_size=1, max_size=4), st.data())
def test_every_delivery_of_the_same_requests_says_the_same(
    sent: list[tuple[bytes, tuple[object, ...]]], data: st.DataObject
) -> None:
    """The result is the same whole and pipelined, byte by byte, and cut at random."""
    wire = b"".join(raw for raw, _ in sent)
    meant = [what for _, what in sent]
    for pieces in data.draw(deliveries(wire)):
        assert list(said(read(pieces))) == meant


def test_reading_may_stop_at_any_event_and_go_on() -> None:
    """Reading may stop at any event, as it does when a client does not read: the rest waits in the buffer."""
    reader = RequestParser(LIMITS)
    reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n" * 3)
    events: list[Event] = []
    while (event := reader.next_event()) is not None:
        events.append(event)
    assert [type(event) for event in events] == [RequestHead, BodyData, RequestEnd] * 3


@pytest.mark.parametrize(
    ("coded", "status"),
    [
        (b"z\r\n", 400),
        (b"-1\r\n", 400),
        (b"+1\r\n", 400),
        (b"0x1\r\n", 400),
        (b" 1\r\n", 400),
        (b"1 \r\n", 400),
        (b"\r\n", 400),
        (b"1\nx\r\n", 400),
        (b"1;a\x00b\r\n", 400),
        (b"1;a\rb\r\n", 400),
        (b"1\r\nxy", 400),
        (b"1\r\nx\n\r", 400),
        (b"1\r\nx\rz", 400),
        (b"1" * 16 + b"\r\n", 400),
        (b"1;" + b"a" * 5000, 400),
        (b"186A1\r\n", 413),
        (b"0\r\nbad trailer\r\n\r\n", 400),
        (b"0\r\na: b\n\n", 400),
        (b"0\r\n\n", 400),
        (b"0\r\n" + b"x: y\r\n" * 101 + b"\r\n", 431),
        (b"0\r\nx: " + b"y" * 70_000, 431),
    ],
)
def test_bad_chunks_are_refused(coded: bytes, status: int) -> None:
    """A chunk size is hexadecimal digits only, and a chunk ends where its size says (RFC 9112, 7.1)."""
    reader = RequestParser(LIMITS)
    with pytest.raises(ProtocolError) as raised:
        reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        list(iter(reader.next_event, None))
        for start in range(0, len(coded), 7):
            reader.feed(coded[start : start + 7])
            list(iter(reader.next_event, None))
    assert raised.value.status == HTTPStatus(status)


def test_a_body_that_grows_above_the_limit_is_refused_when_it_does() -> None:
    """A chunked body above the limit is rejected once it exceeds it, because chunks don't announce the total."""
    reader = RequestParser(RequestLimits(head_size=1024, header_count=8, body_size=10))
    reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n")
    assert sum(isinstance(event, BodyData) for event in iter(reader.next_event, None)) == 1
    reader.feed(b"3\r\n")
    with pytest.raises(ProtocolError, match="request body exceeds 10 bytes"):
        list(iter(reader.next_event, None))


def test_a_client_that_waits_for_100_is_known() -> None:
    """A client that waits for 100 Continue is recognized (RFC 9110, 10.1.1).

    Without a body it has nothing to wait for.
    """
    reader = RequestParser(LIMITS)
    for length, expected in ((5, True), (0, False)):
        reader.feed(b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: %d\r\n\r\n" % length)
        head = reader.next_event()
        assert isinstance(head, RequestHead)
        assert head.expects_continue is expected
        reader.feed(b"x" * length)
        list(iter(reader.next_event, None))
