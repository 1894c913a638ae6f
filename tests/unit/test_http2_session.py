"""HTTP/2 on one connection, in simulated time.

The client is another implementation (h2).
"""

import zlib
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import hpack
import pytest
from h2.errors import ErrorCodes
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side

from app.http.observer import NULL_OBSERVER, ConnectionObserver
from app.http.request import REQUEST_KEY, RESPONSE_OPTIONS_KEY, Application, Environ, HttpRequest, ResponseOptions
from app.server.http2 import frames
from app.server.http2.frames import ErrorCode
from app.server.http2.handler import Http2Handler
from app.server.limits import RequestLimits
from app.server.state import LINGER, SHUTDOWN_GRACE
from tests.http import raw_http2
from tests.unit.served import LIMITS, Served
from tests.unit.written import written_frames

LARGE = b"a" * 200_000


def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Record the request; respond with its path, a large body for `/large`, or its trailers for `/trailers`."""
    request: HttpRequest = environ[REQUEST_KEY]
    environ["test.seen"].append(request)
    if request.target == b"/trailers":
        environ[RESPONSE_OPTIONS_KEY] = ResponseOptions(trailers=request.trailers)
    start_response("200 OK", [("X-Host", environ.get("HTTP_HOST", ""))])
    return [{b"/large": LARGE, b"/huge": LARGE * 6}.get(request.target, request.target)]


class Client:
    """A client in memory: sent bytes arrive at once, in both directions."""

    def __init__(
        self,
        limits: RequestLimits = LIMITS,
        answer: Application = application,
        streams: int = 4,
        observer: ConnectionObserver = NULL_OBSERVER,
        **settings: int,
    ) -> None:
        self.seen: list[HttpRequest] = []
        self.served = Served(application=answer, limits=limits, streams=streams, observer=observer)
        self.served.listener.environ["test.seen"] = self.seen
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(
                client_side=True,
                header_encoding=None,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        codes = {getattr(h2.settings.SettingCodes, name.upper()): value for name, value in settings.items()}
        self.h2.local_settings = h2.settings.Settings(client=True, initial_values=codes)
        self.events: list[h2.events.Event] = []
        self._read = 0
        self.h2.initiate_connection()
        self.exchange()

    def exchange(self) -> None:
        """Deliver all pending bytes, in both directions."""
        while data := self.h2.data_to_send():
            self.served.connection.data_received(data)
            self.receive()
        self.receive()

    def receive(self) -> None:
        """Process what the echo has written."""
        written, self._read = self.served.transport.written[self._read :], len(self.served.transport.written)
        if written:
            self.events += self.h2.receive_data(written)

    def send(self, data: bytes) -> None:
        """Send bytes that the library would not."""
        self.served.connection.data_received(data)
        self.receive()

    def ask(self, path: str, *fields: tuple[str, str], method: str = "GET", end: bool = True) -> int:
        """Begin a request; return its stream."""
        stream = self.h2.get_next_available_stream_id()
        pseudo = [(":method", method), (":path", path), (":scheme", "http"), (":authority", "a.test")]
        self.h2.send_headers(stream, [*pseudo, *fields], end_stream=end)
        self.exchange()
        return stream

    def body(self, stream: int, data: bytes, *, end: bool = True) -> None:
        """Send a piece of a body."""
        self.h2.send_data(stream, data, end_stream=end)
        self.exchange()

    def of(self, stream: int, kind: type[Any]) -> list[Any]:
        """Return the events of a kind that belong to a stream."""
        return [each for each in self.events if isinstance(each, kind) and each.stream_id == stream]

    def status(self, stream: int) -> int:
        """Return the status of the response on a stream."""
        (answer,) = self.of(stream, h2.events.ResponseReceived)
        return int(dict(answer.headers)[b":status"])

    def answer(self, stream: int) -> bytes:
        """Return the body received so far on a stream."""
        return b"".join(each.data for each in self.of(stream, h2.events.DataReceived))

    def ended(self, stream: int) -> bool:
        """Return whether the response has ended."""
        return bool(self.of(stream, h2.events.StreamEnded))

    def went_away(self) -> list[ErrorCodes | int | None]:
        """Return the codes of the received GOAWAY frames."""
        return [e.error_code for e in self.events if isinstance(e, h2.events.ConnectionTerminated)]


def goodbyes(written: bytes) -> list[int]:
    """Return the last streams that the GOAWAY frames name."""
    return [int.from_bytes(each.payload[:4]) for each in written_frames(written) if each.type == frames.GOAWAY]


@pytest.fixture
def client() -> Client:
    """Return a client that has opened a connection."""
    return Client()


NAME = st.text("!#$%&'*+-.^_`|~0123456789abcxyz", min_size=1, max_size=12).map(lambda name: b"x-" + name.encode())
VALUE = st.binary(max_size=20).map(lambda raw: bytes(b for b in raw if b > 0x20 and b != 0x7F))


@given(fields=st.lists(st.tuples(NAME, VALUE), max_size=6), body=st.binary(max_size=50), data=st.data())
def test_what_was_sent_is_what_is_seen(fields: list[tuple[bytes, bytes]], body: bytes, data: st.DataObject) -> None:
    """Headers keep order, duplicates and any bytes, and pseudo-headers are apart, in every delivery."""
    sender = Client()
    stream = 1
    pseudo = [(b":method", b"pUT"), (b":scheme", b"http"), (b":path", b"//a%2Fb?c"), (b":authority", b"a.test")]
    sender.h2.send_headers(stream, [*pseudo, *fields])
    sender.h2.send_data(stream, body, end_stream=True)
    wire = sender.h2.data_to_send()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8)))
    for pieces in ([wire], [wire[i : i + 1] for i in range(len(wire))], cut(wire, cuts)):
        receiver = Client()
        for piece in pieces:
            receiver.served.connection.data_received(piece)
        (request,) = receiver.seen
        assert (request.method, request.target, request.version) == (b"pUT", b"//a%2Fb?c", "HTTP/2.0")
        assert (request.pseudo, request.headers) == (tuple(pseudo), tuple(fields))
        assert request.body.length == len(body)
        assert request.body.prefix == body


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    """Return the pieces between cuts."""
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def test_an_answer_has_what_http_1_would_say(client: Client) -> None:
    """A response has Date and Content-Length, and its names are in lower case."""
    stream = client.ask("/a")
    (answer,) = client.of(stream, h2.events.ResponseReceived)
    assert dict(answer.headers) == {
        b":status": b"200",
        b"date": b"Sun, 06 Nov 1994 08:49:37 GMT",
        b"x-host": b"a.test",
        b"content-length": b"2",
    }
    assert (client.answer(stream), client.ended(stream)) == (b"/a", True)


def test_many_requests_are_under_way_at_once(client: Client) -> None:
    """Concurrent requests are answered when each is complete, whatever the order."""
    streams = [client.ask(f"/{number}", method="POST", end=False) for number in range(4)]
    for stream in reversed(streams):
        client.body(stream, b"x")
    assert [client.answer(stream) for stream in streams] == [b"/0", b"/1", b"/2", b"/3"]
    assert [request.target for request in client.seen] == [b"/3", b"/2", b"/1", b"/0"]


def test_one_stream_too_many_is_refused(client: Client) -> None:
    """A stream above the limit is refused so that the client may retry (RFC 9113, 8.7); the others continue."""
    streams = [client.ask("/", method="POST", end=False) for _ in range(4)]
    client.h2.remote_settings = h2.settings.Settings(client=False)  # a client that ignores the announced limit
    refused = client.ask("/")
    assert [each.error_code for each in client.of(refused, h2.events.StreamReset)] == [ErrorCodes.REFUSED_STREAM]
    client.body(streams[0], b"")
    assert client.status(streams[0]) == 200


def test_an_answer_is_sent_as_far_as_the_client_lets_it() -> None:
    """A response is limited by the stream's window, the connection's window and the frame size."""
    client = Client(initial_window_size=1000)
    stream = client.ask("/large")
    assert len(client.answer(stream)) == 1000
    client.h2.increment_flow_control_window(5000, stream)
    client.exchange()
    assert len(client.answer(stream)) == 6000
    client.h2.increment_flow_control_window(1 << 20, stream)
    client.exchange()
    assert len(client.answer(stream)) == 65_535, "the connection's window"
    client.h2.increment_flow_control_window(1 << 20)
    client.exchange()
    assert (client.answer(stream), client.ended(stream)) == (LARGE, True)
    assert max(len(each.data) for each in client.of(stream, h2.events.DataReceived)) <= 16_384


def test_answers_that_nobody_takes_are_not_made() -> None:
    """A client that requests much and opens no window costs no more memory than one that sends a single request."""
    client = Client(initial_window_size=0)
    streams = [client.ask("/huge"), client.ask("/a"), client.ask("/b")]
    assert [request.target for request in client.seen] == [b"/huge"]
    client.h2.increment_flow_control_window(2 << 20)
    client.h2.increment_flow_control_window(2 << 20, streams[0])
    client.exchange()
    assert client.ended(streams[0])
    assert [request.target for request in client.seen] == [b"/huge", b"/a", b"/b"]
    for stream in streams[1:]:
        client.h2.increment_flow_control_window(10, stream)
    client.exchange()
    assert [client.answer(stream) for stream in streams[1:]] == [b"/a", b"/b"]


def test_answers_share_what_the_client_lets_through() -> None:
    """Responses share the connection's window, and none waits for the whole of another."""
    client = Client(initial_window_size=1 << 20)
    streams = [client.ask("/large"), client.ask("/large"), client.ask("/a")]
    assert not any(client.ended(stream) for stream in streams), "the connection's window is used up by the first"
    client.h2.increment_flow_control_window(60_000)
    client.exchange()
    assert client.ended(streams[2])
    assert client.answer(streams[1])


def test_a_client_may_send_more_than_a_window_holds() -> None:
    """The window is updated as data is received, so that a client may send more than it holds."""
    client = Client(limits=RequestLimits(1024, 10, 1 << 30))
    stream = client.ask("/", method="PUT", end=False)
    for _ in range(1000):
        client.body(stream, bytes(16_384), end=False)
    client.body(stream, b"")
    assert client.seen[0].body.length == 16_384_000


def test_trailers_go_both_ways(client: Client) -> None:
    """Trailers are received and sent after the body, separate from headers."""
    stream = client.ask("/trailers", method="POST", end=False)
    client.body(stream, b"x", end=False)
    client.h2.send_headers(stream, [("x-sum", "1"), ("x-sum", "2")], end_stream=True)
    client.exchange()
    assert client.seen[0].trailers == ((b"x-sum", b"1"), (b"x-sum", b"2"))
    (trailers,) = client.of(stream, h2.events.TrailersReceived)
    assert trailers.headers == [(b"x-sum", b"1"), (b"x-sum", b"2")]
    assert client.ended(stream)


def test_head_is_answered_with_gets_length_and_no_body(client: Client) -> None:
    """The response to HEAD has no body (RFC 9110, 9.3.2)."""
    stream = client.ask("/a", method="HEAD")
    (answer,) = client.of(stream, h2.events.ResponseReceived)
    assert (client.answer(stream), client.ended(stream)) == (b"", True)
    assert answer.headers[0] == (b":status", b"200")


def test_100_is_sent_when_the_body_is_wanted(client: Client) -> None:
    """100 Continue is sent if the body is wanted, but not if it is too long (RFC 9110, 10.1.1)."""
    expect = (("expect", "100-continue"), ("content-length", "1"))
    stream = client.ask("/", *expect, method="PUT", end=False)
    assert [each.headers for each in client.of(stream, h2.events.InformationalResponseReceived)] == [
        [(b":status", b"100")]
    ]
    client.body(stream, b"x")
    assert client.status(stream) == 200
    refused = client.ask("/", ("expect", "100-continue"), ("content-length", "101"), method="PUT", end=False)
    assert client.of(refused, h2.events.InformationalResponseReceived) == []
    assert client.status(refused) == 413


@pytest.mark.parametrize(
    ("fields", "status", "says"),
    [
        ([("X-Upper", "1")], 400, "invalid HTTP/2 header name"),
        ([("connection", "close")], 400, "connection-specific header in HTTP/2"),
        ([("te", "gzip")], 400, "invalid te: 'gzip'; must be trailers"),
        ([("x", "a\nb")], 400, "invalid value"),
        ([("host", "other.test")], 400, "Host and :authority differ"),
        ([("x", "1")] * 11, 431, "11 headers exceed the limit of 10 (ECHO_MAX_HEADERS)"),
        ([("x", "y" * 1024)], 431, "request head exceeds 1024 bytes (ECHO_MAX_HEADER_BYTES)"),
        ([("expect", "tea")], 417, "only 100-continue is supported"),
        ([("content-length", "101")], 413, "request body exceeds 100 bytes (ECHO_MAX_BODY)"),
    ],
)
def test_a_refusal_says_what_was_wrong_and_the_connection_lives(
    client: Client, fields: list[tuple[str, str]], status: int, says: str
) -> None:
    """An error has a status and a line, as in HTTP/1.1, and the connection continues.

    A malformed request is a stream error too (RFC 9113, 8.1.1).
    """
    stream = client.ask("/", *fields, method="POST", end=False)
    assert client.status(stream) == status
    told = client.answer(stream).decode()
    assert told.startswith(f"{status} {HTTPStatus(status).phrase}: ")
    assert says in told
    (reset,) = client.of(stream, h2.events.StreamReset)
    assert reset.error_code == (ErrorCodes.PROTOCOL_ERROR if status == 400 else ErrorCodes.NO_ERROR)
    assert client.status(client.ask("/")) == 200


def test_a_body_that_grows_above_the_limit_is_refused_when_it_does(client: Client) -> None:
    """A body of unknown length gets 413 once it exceeds the limit."""
    stream = client.ask("/", method="POST", end=False)
    client.body(stream, bytes(100), end=False)
    assert client.of(stream, h2.events.ResponseReceived) == []
    client.body(stream, b"x", end=False)
    assert client.status(stream) == 413


@pytest.mark.parametrize("sent", [b"ab", b"abcd"], ids=["too little", "too much"])
def test_a_body_of_another_length_than_it_said_is_a_stream_error(client: Client, sent: bytes) -> None:
    """A body that does not match its Content-Length is a stream error (RFC 9113, 8.1.1)."""
    stream = client.ask("/", ("content-length", "3"), method="POST", end=False)
    client.body(stream, sent)
    assert [each.error_code for each in client.of(stream, h2.events.StreamReset)] == [ErrorCodes.PROTOCOL_ERROR]
    assert client.seen == []


def test_connect_is_answered_before_it_ends(client: Client) -> None:
    """CONNECT is answered before it ends, because a tunnel's body has no end to wait for (RFC 9113, 8.5)."""
    client.h2.send_headers(1, [(":method", "CONNECT"), (":authority", "b.test:443")])
    client.exchange()
    assert client.seen[0].target == b"b.test:443"
    assert client.ended(1)


def rapid_resets(client: Client) -> None:
    """Send and cancel a request (rapid reset, CVE-2023-44487)."""
    stream = client.h2.get_next_available_stream_id()
    client.h2.send_headers(stream, [(":method", "GET"), (":path", "/"), (":scheme", "http"), (":authority", "a")])
    client.h2.reset_stream(stream)


@pytest.mark.parametrize(
    "annoy",
    [
        lambda client: client.h2.ping(b"12345678"),
        lambda client: client.h2.update_settings({h2.settings.SettingCodes.MAX_FRAME_SIZE: 20_000}),
        lambda client: client.h2.prioritize(1, weight=3),
        rapid_resets,
    ],
    ids=["PING", "SETTINGS", "PRIORITY", "RST_STREAM"],
)
def test_frames_that_only_cost_are_bounded(annoy: Callable[[Client], None]) -> None:
    """Many costly frames at once end the connection; as many over a longer time do not."""
    patient, hasty = Client(), Client()
    for _ in range(1100):
        annoy(patient)
        patient.exchange()
        patient.served.now += 1
        assert patient.went_away() == []
    with pytest.raises((h2.exceptions.ProtocolError, AssertionError)):
        for _ in range(1100):
            annoy(hasty)
            hasty.exchange()
            assert hasty.went_away() == []
    assert hasty.went_away() == [ErrorCodes.ENHANCE_YOUR_CALM]
    assert "write_eof" in hasty.served.transport.did


def test_an_endless_header_block_ends_the_connection(client: Client) -> None:
    """A header block without end closes the connection, because it would have to be buffered (CVE-2024-27316)."""
    client.send(frames.encode(frames.HEADERS, 0, 1))
    for _ in range(100):
        client.send(frames.encode(frames.CONTINUATION, 0, 1))
    assert client.went_away() == [ErrorCodes.ENHANCE_YOUR_CALM]


def test_a_stop_takes_what_is_on_its_way_and_answers_it(client: Client) -> None:
    """GOAWAY is sent twice (RFC 9113, 6.8): first as an announcement, then with the last accepted stream.

    Requests in flight are answered.
    """
    before = client.ask("/before", method="POST", end=False)
    client.served.service.begin_shutdown()
    client.receive()
    assert client.went_away() == [ErrorCodes.NO_ERROR]
    assert client.served.after(2 * SHUTDOWN_GRACE) == []
    client.served.service.close_idle()
    # h2 can send nothing after a GOAWAY.
    client.served.connection.data_received(raw_http2.request(b"/on-its-way", before + 2))
    client.served.connection.data_received(frames.encode(frames.DATA, frames.END_STREAM, before, b"x"))
    assert [each.target for each in client.seen] == [b"/on-its-way", b"/before"]
    assert client.served.transport.written.count(b"/before") == 1
    assert client.served.after(0) == []
    client.served.turn(4)
    assert client.served.after(0) == ["write_eof"]
    assert goodbyes(client.served.transport.written) == [frames.MAX_STREAM_ID, before + 2]


def test_who_does_not_hear_of_a_stop_is_stopped(client: Client) -> None:
    """After the first GOAWAY, as many new requests are accepted as the stream limit; more are refused, not lost.

    That many may have been in flight when the client received it.
    """
    slow = client.ask("/slow", method="POST", end=False)
    client.served.service.begin_shutdown()
    streams = range(slow + 2, slow + 14, 2)
    for number in streams:
        client.served.connection.data_received(raw_http2.request(f"/{number}".encode(), number))
    assert [each.target for each in client.seen] == [f"/{number}".encode() for number in streams[:4]]
    refused = [frame for frame in written_frames(client.served.transport.written) if frame.type == frames.RST_STREAM]
    assert [(each.stream_id, frames.decode_number(each)) for each in refused] == [
        (number, ErrorCode.REFUSED_STREAM) for number in streams[4:]
    ]
    assert goodbyes(client.served.transport.written) == [frames.MAX_STREAM_ID, streams[3]]


def test_who_connects_while_it_stops_is_told_with_the_first_answer() -> None:
    """A client that connects during a graceful shutdown gets GOAWAY after its first response.

    The connection was in the kernel's queue; ending it at once would refuse requests in flight.
    """
    served = Served()
    served.service.begin_shutdown()
    served.send(frames.PREFACE + frames.encode_settings({}))
    assert goodbyes(served.transport.written) == []
    said = [frame.type for frame in written_frames(served.send(raw_http2.request(b"/a", 1)))]
    assert said == [frames.HEADERS, frames.DATA, frames.GOAWAY], "clients on h2 can read nothing behind a GOAWAY"
    served.send(raw_http2.request(b"/b", 3))
    served.after(SHUTDOWN_GRACE)
    assert served.transport.written.count(b"/b") == 1
    assert goodbyes(served.transport.written) == [frames.MAX_STREAM_ID, 3]
    assert served.transport.ended


def test_who_connects_while_it_stops_and_asks_nothing_is_left() -> None:
    """A connection without requests gets GOAWAY at the last call, and then as much time as the others had."""
    served = Served()
    served.service.begin_shutdown()
    served.send(frames.PREFACE + frames.encode_settings({}))
    served.service.close_idle()
    assert goodbyes(served.transport.written) == [frames.MAX_STREAM_ID]
    assert served.after(SHUTDOWN_GRACE / 2) == []
    served.service.close_idle()
    assert served.after(SHUTDOWN_GRACE / 2) == ["write_eof"]
    assert goodbyes(served.transport.written) == [frames.MAX_STREAM_ID, 0]


@pytest.mark.parametrize("since", [0, SHUTDOWN_GRACE / 2])
def test_what_was_sent_when_an_idle_connections_time_was_over_is_answered(client: Client, since: float) -> None:
    """A request sent when an idle connection times out is answered.

    A gateway removes the connection from its pool at that moment, and would have to send its client a 503.
    """
    client.served.after(75)
    client.served.after(since)
    client.served.connection.data_received(raw_http2.request(b"/on-its-way", 1))
    assert client.served.after(SHUTDOWN_GRACE) == ["write_eof"]
    assert client.served.transport.written.count(b"/on-its-way") == 1
    assert goodbyes(client.served.transport.written) == [frames.MAX_STREAM_ID, 1]


def test_what_has_come_is_read_before_an_idle_connection_is_left(client: Client) -> None:
    """Received data is read before an idle connection is closed.

    This also holds if the worker had no processor for so long that its timer fires first.
    """
    served = client.served
    served.service.begin_shutdown()
    served.now += SHUTDOWN_GRACE
    for timer in served.pending():
        timer.call()
    served.turn()
    served.connection.data_received(raw_http2.request(b"/waited", 1))
    served.turn(3)
    assert served.transport.written.count(b"/waited") == 1
    assert goodbyes(served.transport.written) == [frames.MAX_STREAM_ID, 1]
    assert served.transport.did == ["write_eof"]


def test_a_goaway_tells_nothing_of_our_memory() -> None:
    """A GOAWAY does not reveal memory addresses.

    Error messages of hpack may contain one: for a truncated integer or string, or an invalid index.
    """
    for block in (b"\xff", b"\x00\x05ab", b"\x80"):
        served = Served()
        served.send(frames.PREFACE + frames.encode_settings({}) + frames.encode(frames.HEADERS, 0x5, 1, block))
        assert b"header compression: " in served.transport.written
        assert b"0x" not in served.transport.written


def test_an_idle_connection_is_left_at_the_last_call(client: Client) -> None:
    """The last call closes an idle connection."""
    client.served.service.begin_shutdown()
    assert client.served.after(SHUTDOWN_GRACE) == ["write_eof"]
    client.served.service.close_idle()
    client.receive()
    assert client.went_away() == [ErrorCodes.NO_ERROR, ErrorCodes.NO_ERROR]


def test_a_client_that_leaves_is_answered_first(client: Client) -> None:
    """A client's GOAWAY only means that it sends no more requests (RFC 9113, 6.8): pending ones are answered."""
    stream = client.ask("/a", method="POST", end=False)
    client.send(frames.encode_goaway(0, ErrorCode.NO_ERROR))
    assert client.served.transport.did == []
    client.body(stream, b"x")
    assert client.answer(stream) == b"/a"
    assert client.served.transport.did == ["write_eof"]


@pytest.mark.parametrize(("fields", "status"), [((), 200), ((("content-length", "101"),), 413)])
def test_who_asks_is_not_idle(client: Client, fields: tuple[tuple[str, str], ...], status: int) -> None:
    """The idle timeout restarts with each request, also if it is answered or rejected at once."""
    for _ in range(4):
        assert client.status(client.ask("/a", *fields, end=not fields)) == status
        assert client.served.after(74) == []
        client.send(frames.encode(frames.PING, 0, 0, bytes(8)))
    assert client.went_away() == []
    client.served.after(1)
    client.receive()
    assert client.went_away() == [ErrorCodes.NO_ERROR]


def test_each_wait_has_its_time() -> None:
    """Idle connections, prefaces, bodies and closed windows have their timeouts."""
    idle = Client()
    assert idle.served.after(74.9) == []
    assert idle.went_away() == []
    assert idle.served.after(0.1) == []
    idle.receive()
    assert idle.went_away() == [ErrorCodes.NO_ERROR]
    assert idle.served.after(SHUTDOWN_GRACE) == ["write_eof"]
    silent = Served()
    silent.send(b"PRI * HT")
    assert silent.after(10) == ["write_eof"]
    assert b" 408 " in silent.transport.written
    slow = Client()
    stream = slow.ask("/", method="POST", end=False)
    assert slow.served.after(29.9) == []
    slow.served.after(0.1)
    slow.receive()
    assert slow.status(stream) == 408
    narrow = Client(initial_window_size=10)
    stream = narrow.ask("/large")
    narrow.served.after(30)
    narrow.receive()
    assert [each.error_code for each in narrow.of(stream, h2.events.StreamReset)] == [ErrorCodes.CANCEL]
    assert narrow.status(narrow.ask("/a")) == 200


@pytest.mark.parametrize(("size", "lives"), [(1, False), (10, True)], ids=["too slow", "just fast enough"])
def test_an_answer_has_to_be_read_at_a_rate(size: int, *, lives: bool) -> None:
    """A response must be read at the minimum body rate.

    A byte now and then does not keep it, and whatever waits behind it, for days.
    """
    client = Client(initial_window_size=1)
    stream = client.ask("/large")
    for _ in range(20):
        client.served.after(10)
        client.receive()
        if client.of(stream, h2.events.StreamReset):
            break
        client.h2.increment_flow_control_window(size, stream)
        client.exchange()
    assert len(client.answer(stream)) == (201 if lives else 4)
    codes = [each.error_code for each in client.of(stream, h2.events.StreamReset)]
    assert codes == ([] if lives else [ErrorCodes.CANCEL])


def test_a_client_that_does_not_read_is_not_read(client: Client) -> None:
    """Requests of a client that does not read wait, and are answered when it reads."""
    client.served.connection.pause_writing()
    stream = client.ask("/a")
    assert client.seen == []
    client.served.connection.resume_writing()
    client.receive()
    assert client.answer(stream) == b"/a"


def test_coded_bodies_are_undone_in_steps() -> None:
    """Encoded bodies are decoded in several turns, so that others are served in between and nothing more is read."""
    client = Client(limits=RequestLimits(1024, 10, 10_000))
    stream = client.ask("/", ("content-encoding", "deflate"), method="POST", end=False)
    client.body(stream, zlib.compress(bytes(1 << 20), 9))
    turns = 0
    while client.served.turns:
        assert client.seen == []
        client.served.turn()
        turns += 1
    assert turns > 1
    decoded = client.seen[0].body.decoded
    assert decoded is not None
    assert decoded.content is not None
    assert decoded.content.length == 1 << 20


def web_socket(client: Client, *fields: tuple[str, str]) -> tuple[int, Protocol]:
    """Open a WebSocket on a stream (RFC 8441); return the stream, and the client's side of it."""
    stream = client.h2.get_next_available_stream_id()
    pseudo = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "http"),
        (":path", "/ws"),
        (":authority", "a"),
    ]
    client.h2.send_headers(stream, [*pseudo, ("sec-websocket-version", "13"), *fields])
    client.exchange()
    assert client.status(stream) == 200
    return stream, Protocol(Side.CLIENT)


def frames_of(protocol: Protocol, data: bytes) -> list[tuple[Opcode, bytes, bool]]:
    """Return the received frames."""
    protocol.receive_data(data)
    return [(f.opcode, bytes(f.data), f.fin) for f in protocol.events_received() if isinstance(f, Frame)]


def test_a_web_socket_is_a_stream_among_others(client: Client) -> None:
    """A WebSocket on a stream greets, echoes and closes, and other requests are answered in between."""
    stream, protocol = web_socket(client)
    assert frames_of(protocol, client.answer(stream)) == [(Opcode.TEXT, b"/ws", True)]
    read = len(client.answer(stream))
    protocol.send_text(b"hi", fin=False)
    protocol.send_continuation(b"!", fin=True)
    client.body(stream, b"".join(protocol.data_to_send()), end=False)
    assert frames_of(protocol, client.answer(stream)[read:]) == [(Opcode.TEXT, b"hi", False), (Opcode.CONT, b"!", True)]
    assert client.answer(client.ask("/a")) == b"/a"
    protocol.send_close(1000)
    client.body(stream, b"".join(protocol.data_to_send()), end=False)
    assert client.ended(stream)


def test_a_web_socket_on_a_stream_is_compressed_when_offered(client: Client) -> None:
    """Compression is accepted as over HTTP/1.1."""
    stream, _ = web_socket(client, ("sec-websocket-extensions", "permessage-deflate"))
    (answer,) = client.of(stream, h2.events.ResponseReceived)
    assert dict(answer.headers)[b"sec-websocket-extensions"].startswith(b"permessage-deflate")
    assert ClientPerMessageDeflateFactory.name == "permessage-deflate"


def test_another_protocol_on_a_stream_is_refused_by_name(client: Client) -> None:
    """An unknown protocol gets 501; RFC 8441, 4 leaves the status to the server."""
    pseudo = [(":method", "CONNECT"), (":protocol", "tea"), (":scheme", "http"), (":path", "/"), (":authority", "a")]
    client.h2.send_headers(1, pseudo)
    client.exchange()
    assert client.status(1) == 501


def test_a_stop_closes_the_web_sockets(client: Client) -> None:
    """A graceful shutdown closes WebSockets with 1001 (RFC 6455, 7.4.1).

    The connection is closed when the client has replied.
    """
    stream, _ = web_socket(client)
    before = len(client.served.transport.written)
    client.served.service.begin_shutdown()
    goaway, data = written_frames(client.served.transport.written[before:])
    assert (goaway.type, data.type, data.stream_id) == (frames.GOAWAY, frames.DATA, stream)
    assert data.payload.startswith(b"\x88" + bytes([len(data.payload) - 2]) + (1001).to_bytes(2))
    client.served.connection.data_received(
        frames.encode(frames.DATA, 0, stream, b"\x88\x82\x00\x00\x00\x00" + (1001).to_bytes(2))
    )
    assert client.served.after(SHUTDOWN_GRACE) == ["write_eof"]


def test_a_connection_ends_after_so_many_requests(client: Client) -> None:
    """The last allowed request gets GOAWAY; requests in progress or in flight are answered."""
    client.served.service.limits = structs.replace(client.served.service.limits, requests_per_connection=2)
    slow = client.ask("/slow", method="POST", end=False)
    client.ask("/1")
    assert client.went_away() == []
    last = client.ask("/2")
    assert client.went_away() == [ErrorCodes.NO_ERROR]
    assert client.answer(last) == b"/2"
    assert client.served.transport.did == []
    client.served.connection.data_received(frames.encode(frames.DATA, frames.END_STREAM, slow, b"x"))
    assert client.seen[-1].target == b"/slow"
    client.served.connection.data_received(raw_http2.request(b"/on-its-way", last + 2))
    assert client.seen[-1].target == b"/on-its-way"
    assert client.served.after(SHUTDOWN_GRACE) == ["write_eof"]
    assert goodbyes(client.served.transport.written) == [frames.MAX_STREAM_ID, last + 2]


def test_a_web_socket_that_opens_while_the_server_stops_is_closed(client: Client) -> None:
    """A WebSocket opened during a graceful shutdown gets its greeting, then 1001 at once."""
    client.served.service.draining = True
    stream, protocol = web_socket(client)
    greeting, close = frames_of(protocol, client.answer(stream))
    assert greeting == (Opcode.TEXT, b"/ws", True)
    assert (close[0], close[1][:2]) == (Opcode.CLOSE, (1001).to_bytes(2))


def test_a_web_socket_that_goes_on_behind_its_end_is_dropped(client: Client) -> None:
    """Data after its end does not extend a WebSocket's timeout, or it would delay a graceful shutdown."""
    stream, protocol = web_socket(client)
    client.served.after(75)
    protocol.send_text(b"still here")
    client.body(stream, b"".join(protocol.data_to_send()), end=False)
    client.served.after(LINGER)
    client.receive()
    assert [each.error_code for each in client.of(stream, h2.events.StreamReset)] == [ErrorCodes.CANCEL]
    assert client.status(client.ask("/a")) == 200


def test_an_upload_that_is_cut_anywhere_goes_on() -> None:
    """An upload cut anywhere continues: each frame has its own timeout, and within DATA the body rate applies."""
    client = Client(limits=RequestLimits(1024, 10, 1 << 20))
    client.ask("/", method="PUT", end=False)
    wire = b"".join(frames.encode(frames.DATA, 0, 1, bytes(1000)) for _ in range(100))
    client.send(wire[:500])
    for start in range(500, 60_000, 1009):
        assert client.served.after(1) == []
        client.send(wire[start : start + 1009])
    slow = Client(limits=RequestLimits(1024, 10, 1 << 20))
    slow.ask("/", method="PUT", end=False)
    wire = frames.encode(frames.DATA, 0, 1, bytes(16_000))
    for start in range(0, 12_000, 100):
        slow.send(wire[start : start + 100])
        assert slow.served.after(1) == []


def receive_window(client: Client) -> int:
    """Return the number of bytes that the client could send if all consumed bytes were acknowledged."""
    session = client.served.connection._handler  # noqa: SLF001 - what a client would notice only after megabytes
    assert isinstance(session, Http2Handler)
    return session._connection._receive_window + session._connection._processed_bytes  # noqa: SLF001


def test_what_is_refused_is_given_back_to_the_connections_window(client: Client) -> None:
    """The connection's window is restored after rejected bodies, or uploads would stall after some hundred of them."""
    before = receive_window(client)
    client.body(client.ask("/", method="PUT", end=False), bytes(101), end=False)
    client.body(client.ask("/", ("content-length", "9"), method="PUT", end=False), bytes(5))
    client.body(client.ask("/", ("content-length", "9"), method="PUT", end=False), bytes(50))
    assert receive_window(client) == before


def test_what_was_said_of_the_last_stream_is_not_taken_back(client: Client) -> None:
    """The last stream in GOAWAY never grows (RFC 9113, 6.8)."""
    slow = client.ask("/slow", method="PUT", end=False)
    client.served.service.limits = structs.replace(
        client.served.service.limits, requests_per_connection=1, concurrent_streams=1
    )
    for number in (slow + 2, slow + 4, slow + 6):
        client.served.connection.data_received(raw_http2.request(b"/", number))
    client.served.connection.data_received(frames.encode(frames.PING, 0, 0, b"short"))
    assert goodbyes(client.served.transport.written) == [frames.MAX_STREAM_ID, slow + 4, slow + 4]


def test_many_requests_are_answered_in_turns_of_the_loop(client: Client) -> None:
    """Many simultaneous requests take several turns.

    Others are served, and responses are written before more are made.
    """
    streams = range(1, 601, 2)
    block = [(b":method", b"GET"), (b":path", b"/large"), (b":scheme", b"http"), (b":authority", b"a")]
    encoder = hpack.Encoder()
    client.h2.increment_flow_control_window(1 << 30)
    client.send(client.h2.data_to_send())
    client.served.connection.data_received(
        b"".join(
            frames.encode(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, stream, encoder.encode(block))
            for stream in streams
        )
    )
    assert len(client.seen) < 20
    most = 0
    while client.served.turns:
        before = len(client.served.transport.written)
        client.served.turn()
        most = max(most, len(client.served.transport.written) - before)
    assert most < 2 << 20
    assert len(client.seen) == 4, "the others are one stream too many each, until the client reads"


@pytest.mark.parametrize("breaks", [False, True], ids=["one stream too many", "a stream that depends on itself"])
def test_streams_that_have_to_be_reset_are_bounded(client: Client, *, breaks: bool) -> None:
    """Streams that the server has to reset are limited like those that the client resets (CVE-2025-8671)."""
    served, encoder = client.served, hpack.Encoder()
    before = len(served.transport.written)
    fields = [(b":method", b"PUT"), (b":path", b"/"), (b":scheme", b"http"), (b":authority", b"a")]
    flags = frames.END_HEADERS | (frames.PRIORITIZED if breaks else 0)
    for stream in range(1, 2101, 2):
        priority = stream.to_bytes(4) + b"\0" if breaks else b""
        served.connection.data_received(frames.encode(frames.HEADERS, flags, stream, priority + encoder.encode(fields)))
    (told,) = [frame for frame in written_frames(served.transport.written[before:]) if frame.type == frames.GOAWAY]
    assert int.from_bytes(told.payload[4:8]) == ErrorCode.ENHANCE_YOUR_CALM
