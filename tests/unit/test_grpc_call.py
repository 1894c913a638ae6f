"""gRPC calls on one HTTP/2 connection, in simulated time.

The client is another implementation (h2).
"""

import gzip
from typing import Any

import h2.events
import pytest
from h2.errors import ErrorCodes
from msgspec import structs

from app.bootstrap import grpc_handler
from app.config.downward_api import read_pod_info as read_identity
from app.config.policy import Policy
from app.config.settings import Settings
from app.echo import routes
from app.echo.handler import EchoHandler
from app.grpc import messages, services
from app.grpc.call import GrpcCall
from app.grpc.framing import encode_message
from app.grpc.status import StatusCode
from app.http.observer import NULL_OBSERVER
from app.server.http2 import frames
from app.server.http2.frames import FrameReader
from app.server.http2.handler import Http2Handler
from app.server.limits import RequestLimits
from tests.unit.planned import NOTHING_MORE
from tests.unit.test_http2_session import Client

PACKAGE = "gateway_api_conformance.echo_basic.grpcecho"
ECHO = f"/{PACKAGE}.GrpcEcho/Echo"
CHECK, WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
REFLECT = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
EMPTY = encode_message(b"")
POLICY = Policy(read_identity({"POD_NAME": "p", "NAMESPACE": "n", "SERVICE_NAME": "s", "INGRESS_NAME": "i"}))
SERVING, NOT_SERVING, SERVICE_UNKNOWN = b"\x08\x01", b"\x08\x02", b"\x08\x03"


class Caller(Client):
    """A gRPC client."""

    def __init__(self, policy: Policy = POLICY, settings: Settings = Settings(), **window: int) -> None:  # noqa: B008 - frozen
        self._frames, self.said_goodbye = FrameReader(), False
        answer = routes.echo_app(EchoHandler(settings, policy), grpc_handler(settings, policy))
        super().__init__(
            RequestLimits(head_size=8192, header_count=30, body_size=100), answer, observer=NULL_OBSERVER, **window
        )

    def call(self, method: str, body: bytes | None = EMPTY, *metadata: tuple[str, str], end: bool = True) -> int:
        """Begin a call; return its stream."""
        fields = (("content-type", "application/grpc"), ("te", "trailers"), *metadata)
        stream = self.ask(method, *fields, method="POST", end=False)
        if body is not None and not self.ended(stream):  # a call that its head has ended sends no message
            self.body(stream, body, end=end)
        return stream

    def receive(self) -> None:
        """Process what the echo has written, except GOAWAY, on which the library would end everything at once."""
        self._frames.feed_bytes(self.served.transport.written[self._read :])
        self._read = len(self.served.transport.written)
        for frame in iter(self._frames.next_frame, None):
            if frame.type == frames.GOAWAY:
                self.said_goodbye = True
            else:
                self.events += self.h2.receive_data(frames.encode(*frame))

    def after(self, seconds: float) -> None:
        """Advance the clock."""
        self.served.after(seconds)
        self.served.turn(NOTHING_MORE)
        self.receive()

    def trailers(self, stream: int) -> dict[bytes, bytes]:
        """Return the trailers of a call that has ended."""
        (told,) = self.of(stream, h2.events.TrailersReceived)
        return dict(told.headers)

    def code(self, stream: int) -> StatusCode:
        """Return the code with which a call has ended; check that the HTTP status is 200."""
        assert self.status(stream) == 200
        assert self.ended(stream)
        return StatusCode(int(self.trailers(stream)[b"grpc-status"]))

    def said(self, stream: int) -> list[bytes]:
        """Return the messages received so far, without their prefix."""
        rest, told = self.answer(stream), []
        while rest:
            length = int.from_bytes(rest[1:5], "big")
            told.append(rest[5 : 5 + length])
            rest = rest[5 + length :]
        return told

    def echoed(self, stream: int) -> Any:
        """Parse the only message of a response."""
        (raw,) = self.said(stream)
        return messages.message_class(f"{PACKAGE}.EchoResponse").FromString(raw).assertions


@pytest.fixture
def client() -> Caller:
    """Return a client that has opened a connection."""
    return Caller()


def asks(**fields: Any) -> bytes:
    """Return a framed reflection request."""
    return encode_message(
        messages.message_class("grpc.reflection.v1.ServerReflectionRequest")(**fields).SerializeToString()
    )


def test_a_ping_for_each_call_is_no_nuisance(client: Caller) -> None:
    """A PING per call is accepted: Go's client sends one after each response, however small, call after call."""
    for _ in range(1200):
        stream = client.call(CHECK)
        client.h2.ping(bytes(8))
        client.exchange()
    assert client.code(stream) is StatusCode.OK
    assert not client.said_goodbye


def test_an_echo_has_what_arrived(client: Caller) -> None:
    """An echo has method, authority, pod, and the metadata in order, with duplicates, and `-bin` values as received."""
    metadata = [("x-b", "1"), ("x-a", "ü"), ("x-b", "2"), ("x-c-bin", "AP8")]
    stream = client.call(ECHO, EMPTY, *metadata)
    assert client.code(stream) is StatusCode.OK
    told = client.echoed(stream)
    assert (told.fully_qualified_method, told.authority) == (ECHO, "a.test")
    assert [(each.key, each.value) for each in told.headers][2:] == metadata
    context = told.context
    assert (context.namespace, context.ingress, context.service_name, context.pod) == ("n", "i", "s", "p")
    assert not told.HasField("tls_assertions")


def test_what_nobody_may_see_is_not_shown() -> None:
    """Redacted metadata is masked as in any other response (ECHO_REDACT)."""
    client = Caller(structs.replace(POLICY, redacted_in_responses=frozenset((b"x-a",))))
    told = client.echoed(client.call(ECHO, EMPTY, ("x-a", "secret")))
    assert [each.value for each in told.headers if each.key == "x-a"] == ["***"]


@pytest.mark.parametrize(
    ("method", "metadata", "code"),
    [
        ("/secret", ("x-a", "b"), StatusCode.UNIMPLEMENTED),
        (ECHO, ("x-echo-status", "secret"), StatusCode.INVALID_ARGUMENT),
        (ECHO, ("grpc-timeout", "secret"), StatusCode.INTERNAL),
        (ECHO, ("grpc-encoding", "secret"), StatusCode.UNIMPLEMENTED),
        (ECHO, ("content-type", "application/grpc+secret"), StatusCode.UNIMPLEMENTED),
    ],
)
def test_what_nobody_may_see_is_not_quoted(method: str, metadata: tuple[str, str], code: StatusCode) -> None:
    """Error messages of rejected calls don't quote redacted values."""
    client = Caller(structs.replace(POLICY, redacted_in_responses=frozenset((b":path", metadata[0].encode()))))
    fields = {"content-type": "application/grpc"} | dict((metadata,))
    stream = client.ask(method, *fields.items(), method="POST", end=False)
    assert client.code(stream) is code
    assert b"***" in client.trailers(stream)[b"grpc-message"]
    assert b"secret" not in client.trailers(stream)[b"grpc-message"]


def test_what_nobody_may_see_is_judged_all_the_same() -> None:
    """Redacted headers still take effect: a deadline applies, and a coding is decoded."""
    client = Caller(
        structs.replace(POLICY, redacted_in_responses=frozenset((b":path", b"grpc-timeout", b"grpc-encoding")))
    )
    packed = b"\1" + encode_message(gzip.compress(b""))[1:]
    stream = client.call(ECHO, packed, ("grpc-encoding", "gzip"), ("grpc-timeout", "1S"), ("x-echo-delay", "5s"))
    client.after(1)
    assert client.code(stream) is StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize(
    ("body", "metadata", "code"),
    [
        pytest.param(encode_message(b"\x0a\x01a"), (), StatusCode.OK, id="an unknown field"),
        pytest.param(
            b"\1" + encode_message(gzip.compress(b""))[1:], (("grpc-encoding", "gzip"),), StatusCode.OK, id="gzip"
        ),
        pytest.param(encode_message(b"\xff"), (), StatusCode.INTERNAL, id="no message of protobuf"),
        pytest.param(b"", (), StatusCode.UNIMPLEMENTED, id="no message"),
        pytest.param(EMPTY * 2, (), StatusCode.UNIMPLEMENTED, id="two messages"),
        pytest.param(EMPTY[:4], (), StatusCode.INTERNAL, id="half a prefix"),
        pytest.param(encode_message(b"ab")[:-1], (), StatusCode.INTERNAL, id="half a message"),
        pytest.param(b"\2" + EMPTY[1:], (), StatusCode.INTERNAL, id="an unknown flag"),
        pytest.param(b"\1" + EMPTY[1:], (), StatusCode.INTERNAL, id="compressed, and nobody says how"),
        pytest.param(b"\1" + EMPTY[1:], (("grpc-encoding", "gzip"),), StatusCode.INTERNAL, id="no gzip"),
        pytest.param(b"\0\xff\xff\xff\xff", (), StatusCode.RESOURCE_EXHAUSTED, id="too large"),
        pytest.param(EMPTY, (("grpc-encoding", "br"),), StatusCode.UNIMPLEMENTED, id="an unknown coding"),
        pytest.param(EMPTY, (("grpc-timeout", "1s"),), StatusCode.INTERNAL, id="no grpc-timeout"),
    ],
)
def test_what_is_wrong_ends_the_call_alone(
    body: bytes, metadata: tuple[tuple[str, str], ...], code: StatusCode
) -> None:
    """A malformed call ends with a code and a sentence, in every delivery, and the next call is answered."""
    for pieces in ([body], [body[at : at + 1] for at in range(len(body))]):
        client = Caller()
        stream = client.call(ECHO, None, *metadata)
        for piece in pieces:
            if not client.ended(stream):  # a stream that has ended receives nothing more
                client.body(stream, piece, end=False)
        if not client.ended(stream):
            client.body(stream, b"")
        assert client.code(stream) is code
        assert (b"grpc-message" in client.trailers(stream)) == (code is not StatusCode.OK)
        assert client.code(client.call(ECHO)) is StatusCode.OK
        assert not client.said_goodbye


def test_an_unknown_coding_is_told_which_are_known(client: Caller) -> None:
    """If a coding is unknown, grpc-accept-encoding lists the known ones."""
    stream = client.call(ECHO, EMPTY, ("grpc-encoding", "snappy"))
    (answer,) = client.of(stream, h2.events.ResponseReceived)
    assert dict(answer.headers)[b"grpc-accept-encoding"] == b"identity,gzip"


@pytest.mark.parametrize("method", ["/", "/a/B", f"{ECHO}?a=b", "/grpc.health.v1.Health/List"])
def test_an_unknown_method_is_told_which_there_are(client: Caller, method: str) -> None:
    """If a method is unknown, the message lists the available ones."""
    stream = client.call(method)
    assert client.code(stream) is StatusCode.UNIMPLEMENTED
    assert f"unknown method {method}; available: {ECHO}, ".encode() in client.trailers(stream)[b"grpc-message"]


@pytest.mark.parametrize(
    ("media_type", "is_call"),
    [
        ("application/grpc", True),
        ("application/grpc+proto", True),
        ("application/grpc;a=b", True),
        ("Application/GRPC+Proto", True),
        ("application/grpc-web", False),
        ("application/grpcish", False),
        ("application/json", False),
    ],
)
def test_the_media_type_makes_a_call(client: Caller, media_type: str, is_call: bool) -> None:  # noqa: FBT001 - a column
    """Only gRPC's media types make a call; other requests are echoed."""
    stream = client.ask(ECHO, ("content-type", media_type), method="POST", end=False)
    client.body(stream, EMPTY)
    assert bool(client.of(stream, h2.events.TrailersReceived)) == is_call
    assert not is_call or client.code(stream) is StatusCode.OK
    assert client.answer(stream).startswith(b"<b>Got: ") != is_call


def test_messages_in_another_form_are_refused(client: Caller) -> None:
    """A message in another format than protobuf is UNIMPLEMENTED."""
    stream = client.ask(ECHO, ("content-type", "application/grpc+json"), method="POST", end=False)
    assert client.code(stream) is StatusCode.UNIMPLEMENTED


def test_get_is_no_call(client: Caller) -> None:
    """A GET request is echoed, because calls use POST."""
    assert client.answer(client.ask(ECHO, ("content-type", "application/grpc"))).startswith(b"<b>Got: ")


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ((("x-echo-status", "UNAVAILABLE"),), StatusCode.UNAVAILABLE),
        ((("x-echo-status", "not_found"),), StatusCode.NOT_FOUND),
        ((("x-echo-code", "16"),), StatusCode.UNAUTHENTICATED),
        ((("x-echo-status", "OK"),), StatusCode.OK),
        ((("x-echo-status", "17"),), StatusCode.INVALID_ARGUMENT),
        ((("x-echo-status", "5"), ("x-echo-code", "6")), StatusCode.INVALID_ARGUMENT),
        ((("x-echo-delay", "61s"),), StatusCode.INVALID_ARGUMENT),
        ((("x-echo-delay", "1h"),), StatusCode.INVALID_ARGUMENT),
        ((("x-echo-delay", "1e400"),), StatusCode.INVALID_ARGUMENT),
        ((("x-echo-header", "grpc-status:1"),), StatusCode.INVALID_ARGUMENT),
        ((("x-echo-header", "connection:close"),), StatusCode.INVALID_ARGUMENT),
        ((("x-echo-header", "x-a:ü"),), StatusCode.INVALID_ARGUMENT),
        ((("x-echo-header", "cache-control:public"),), StatusCode.INVALID_ARGUMENT),
        ((("x-echo-size", "1"),), StatusCode.INVALID_ARGUMENT),
        ((("x-echo-nonsense", "1"),), StatusCode.OK),
    ],
)
def test_a_client_may_ask_for_a_code(client: Caller, metadata: tuple[tuple[str, str], ...], code: StatusCode) -> None:
    """A client may request a code by name or number; an invalid control is rejected with its limit."""
    stream = client.call(ECHO, EMPTY, *metadata)
    assert client.code(stream) is code
    if code is StatusCode.INVALID_ARGUMENT:
        assert client.trailers(stream)[b"grpc-message"].startswith(metadata[-1][0].encode())


def test_what_is_not_allowed_is_refused() -> None:
    """A disabled control is rejected, by the same settings as for HTTP."""
    client = Caller(settings=Settings(allow_delay="off"))
    stream = client.call(ECHO, EMPTY, ("x-echo-delay", "1s"))
    assert client.code(stream) is StatusCode.PERMISSION_DENIED
    assert b"ECHO_ALLOW_DELAY" in client.trailers(stream)[b"grpc-message"]


def test_a_client_may_ask_for_fields(client: Caller) -> None:
    """Requested headers are in the response head: gRPC's initial metadata."""
    stream = client.call(ECHO, EMPTY, ("x-echo-header", "X-A: b"), ("x-echo-header", "x-a:c"))
    (answer,) = client.of(stream, h2.events.ResponseReceived)
    assert [value for name, value in answer.headers if name == b"x-a"] == [b"b", b"c"]


def test_a_delay_holds_up_one_call_alone(client: Caller) -> None:
    """A delay affects one call only, and nothing of its response is sent before."""
    slow, fast = client.call(ECHO, EMPTY, ("x-echo-delay", "50s")), client.call(ECHO)
    assert client.code(fast) is StatusCode.OK
    client.after(49)
    assert not client.of(slow, h2.events.ResponseReceived)
    client.after(1)
    assert client.code(slow) is StatusCode.OK


@pytest.mark.parametrize("metadata", [(), (("x-echo-delay", "5s"),)])
@pytest.mark.parametrize("body", [None, EMPTY])
def test_a_deadline_is_obeyed(client: Caller, body: bytes | None, metadata: tuple[tuple[str, str], ...]) -> None:
    """A deadline counts from the head, and applies whether the response or the request is late."""
    stream = client.call(ECHO, body, ("grpc-timeout", "2000m"), *metadata, end=bool(metadata))
    client.after(1.9)
    assert not client.ended(stream)
    client.after(0.1)
    assert client.code(stream) is StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize("begun", [1000.001, 1033.333, 1063.777, 1099.997])
def test_a_deadline_is_over_when_its_time_has_come(begun: float) -> None:
    """A deadline passes when its timer fires, even if a rounding error makes it seem slightly later.

    There is no further check until then.
    """
    client = Caller()
    client.served.now = begun
    stream = client.call(ECHO, None, ("grpc-timeout", "100m"))
    client.served.after(0.1)
    assert client.served.turn(10) < 10
    client.receive()
    assert client.code(stream) is StatusCode.DEADLINE_EXCEEDED


def test_a_request_that_does_not_come_is_not_waited_for_for_ever(client: Caller) -> None:
    """A request that does not arrive ends at the timeout of a body."""
    stream = client.call(ECHO, EMPTY, end=False)
    client.after(29)
    assert not client.ended(stream)
    client.after(6)
    assert client.code(stream) is StatusCode.DEADLINE_EXCEEDED


def test_a_request_that_comes_byte_by_byte_is_not_waited_for_for_ever(client: Caller) -> None:
    """A request that arrives byte by byte times out.

    The deadline counts from the last byte, at the minimum body rate, and not from the last check.
    """
    stream = client.call(ECHO, b"\0\0\0\xff\xff" + bytes(25), end=False)
    client.after(20)
    client.body(stream, b"a", end=False)
    client.after(29)
    assert not client.ended(stream)
    client.after(2)
    assert client.code(stream) is StatusCode.DEADLINE_EXCEEDED


def test_who_takes_no_answer_keeps_it_no_longer_for_sending_more() -> None:
    """A client that does not read can't extend the timeout of its response by sending more."""
    client = Caller(initial_window_size=0)
    stream = client.call(REFLECT, asks(list_services=""), end=False)
    for _ in range(4):
        client.after(20)
        if not client.of(stream, h2.events.StreamReset):
            client.body(stream, b"\0", end=False)
    assert [each.error_code for each in client.of(stream, h2.events.StreamReset)] == [ErrorCodes.CANCEL]


@pytest.mark.parametrize(
    ("method", "body", "metadata", "code"),
    [
        (ECHO, None, ("grpc-timeout", "1S"), StatusCode.DEADLINE_EXCEEDED),
        (ECHO, EMPTY, ("x-echo-status", "5"), StatusCode.NOT_FOUND),
        (ECHO, b"\2", ("x-a", "b"), StatusCode.INTERNAL),
        ("/a.B/C", None, ("x-a", "b"), StatusCode.UNIMPLEMENTED),
        (ECHO, EMPTY[:2], ("x-a", "b"), StatusCode.DEADLINE_EXCEEDED),
    ],
)
def test_an_end_needs_no_window(method: str, body: bytes | None, metadata: tuple[str, str], code: StatusCode) -> None:
    """Trailers need no window, so a client with a closed window learns how its call has ended."""
    client = Caller(initial_window_size=0)
    stream = client.call(method, body, metadata, end=body == EMPTY)
    if body == b"\2":
        client.body(stream, bytes(4), end=False)
    client.after(40)
    assert client.code(stream) is code


@pytest.mark.parametrize(("timeout", "code"), [("30S", StatusCode.OK), ("10S", StatusCode.DEADLINE_EXCEEDED)])
def test_an_answer_waits_for_the_window_that_it_needs(timeout: str, code: StatusCode) -> None:
    """A response with a message waits for the window, and its deadline applies meanwhile."""
    client = Caller(initial_window_size=0)
    stream = client.call(ECHO, EMPTY, ("grpc-timeout", timeout))
    client.after(20)
    assert (client.status(stream), client.said(stream), client.ended(stream)) == (200, [], False)
    client.h2.increment_flow_control_window(1000, stream)
    client.exchange()
    client.after(0)
    assert client.code(stream) is code


def session_of(client: Caller) -> Any:
    """Return the echo's end of the connection."""
    session = client.served.connection._handler  # noqa: SLF001 - what it holds shows nowhere else
    assert isinstance(session, Http2Handler)
    return session


@pytest.mark.parametrize("end", [False, True])
def test_one_turn_makes_no_more_of_what_came_than_it_would_take(end: bool) -> None:  # noqa: FBT001 - a column
    """Thirty small frames that hold thirty large messages are decoded in several turns, whether kept or answered."""
    client = Caller(streams=50)
    mebibyte = messages.message_class("grpc.reflection.v1.ServerReflectionRequest")(host="a" * ((1 << 20) - 10))
    packed = b"\1" + encode_message(gzip.compress(mebibyte.SerializeToString()))[1:]
    for _ in range(30):
        stream = client.h2.get_next_available_stream_id()
        fields = [("content-type", "application/grpc"), ("grpc-encoding", "gzip")]
        pseudo = [(":method", "POST"), (":path", ECHO), (":scheme", "http"), (":authority", "a.test")]
        client.h2.send_headers(stream, [*pseudo, *fields])
        client.h2.send_data(stream, packed, end_stream=end)
    data = client.h2.data_to_send()
    assert len(data) < 60_000
    client.served.connection.data_received(data)
    client.receive()
    assert session_of(client).buffered_bytes < 4 << 20
    assert client.served.turns, "the rest is taken in turns behind it, as long as there is room for what is kept"
    client.after(0)
    assert client.served.service.memory_budget.has_room(0)
    client.served.connection.abort()
    client.served.connection.connection_lost(None)
    assert client.served.service.memory_budget.used == 0


def test_what_is_held_is_counted_anew_when_it_was_said() -> None:
    """Held bytes are counted again when responses are sent, also if nothing was received then."""
    client = Caller(initial_window_size=0)
    stream = client.call(REFLECT, asks(list_services="") * 50, end=False)
    idle = session_of(client).buffered_bytes
    client.h2.increment_flow_control_window(100_000, stream)
    client.exchange()
    client.after(0)
    assert len(client.said(stream)) == 50
    assert session_of(client).buffered_bytes == idle - 100


def test_a_body_is_invited(client: Caller) -> None:
    """A body is invited once by an interim response, but not if the call is rejected or has no body."""
    fields = (("content-type", "application/grpc"), ("expect", "100-continue"))
    stream = client.ask(ECHO, *fields, method="POST", end=False)
    assert len(client.of(stream, h2.events.InformationalResponseReceived)) == 1
    client.body(stream, EMPTY)
    assert client.code(stream) is StatusCode.OK
    whole = client.ask(ECHO, *fields, ("content-length", "0"), method="POST", end=False)
    refused = client.ask("/a.B/C", *fields, method="POST", end=False)
    for stream in (whole, refused):
        assert not client.of(stream, h2.events.InformationalResponseReceived)


def fail(*_: object, **__: object) -> bytes:
    """Raise an error that should never occur."""
    raise RuntimeError("on purpose")


@pytest.mark.parametrize("way", ["receive_data", "receive_end", "on_shutdown", "next_output"])
def test_a_fault_of_the_application_ends_one_call(client: Caller, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """An application error anywhere ends one call and is logged once; the connection continues."""
    with monkeypatch.context() as patched:
        patched.setattr(GrpcCall, way, fail)
        stream = client.call(ECHO)
        if way == "on_shutdown":
            stream = client.call(WATCH)
            client.served.service.begin_shutdown()
        client.after(0)
        assert client.code(stream) is StatusCode.INTERNAL
        assert "on purpose" in client.served.reports[0]
        assert len(client.served.reports) == 1
    assert client.code(client.call(ECHO)) is StatusCode.OK


def test_a_call_that_can_not_begin_is_answered_once(client: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that can't begin gets one HTTP 500, and its later data is ignored."""
    with monkeypatch.context() as patched:
        patched.setattr(services, "find_method", fail)
        stream = client.call(ECHO)
        assert client.status(stream) == 500
        assert len(client.served.reports) == 1
    assert client.code(client.call(ECHO)) is StatusCode.OK


def test_a_cancelled_call_stops(client: Caller) -> None:
    """A cancelled call leaves nothing and sends nothing more."""
    stream = client.call(ECHO, EMPTY, ("x-echo-delay", "5s"))
    session = session_of(client)
    assert session.buffered_bytes
    client.h2.reset_stream(stream, ErrorCodes.CANCEL)
    client.exchange()
    assert (session.buffered_bytes, session.in_flight.requests) == (0, 0)
    client.after(10)
    assert not client.of(stream, h2.events.ResponseReceived)


@pytest.mark.parametrize(
    ("service", "told"), [("", SERVING), ("grpc.health.v1.Health", SERVING), (f"{PACKAGE}.GrpcEcho", SERVING)]
)
def test_the_server_and_its_services_are_healthy(client: Caller, service: str, told: bytes) -> None:
    """The server and its services are healthy, each by its full name."""
    request = messages.message_class("grpc.health.v1.HealthCheckRequest")(service=service)
    assert client.said(client.call(CHECK, encode_message(request.SerializeToString()))) == [told]


def test_of_an_unknown_service_there_is_no_health(client: Caller) -> None:
    """Check of an unknown service is NOT_FOUND; Watch reports it as unknown, because it may appear later."""
    request = encode_message(
        messages.message_class("grpc.health.v1.HealthCheckRequest")(service="a").SerializeToString()
    )
    assert client.code(client.call(CHECK, request)) is StatusCode.NOT_FOUND
    watching = client.call(WATCH, request)
    assert (client.said(watching), client.ended(watching)) == ([SERVICE_UNKNOWN], False)


def test_who_watches_is_told_that_the_server_stops(client: Caller) -> None:
    """Watch reports the shutdown, then ends so that it does not delay it; new calls get the same."""
    stream = client.call(WATCH)
    client.after(100)
    assert (client.said(stream), client.ended(stream)) == ([SERVING], False)
    client.served.service.begin_shutdown()
    client.after(0)
    assert client.said(stream) == [SERVING, NOT_SERVING]
    assert client.code(stream) is StatusCode.UNAVAILABLE
    assert client.said(client.call(CHECK)) == [NOT_SERVING]
    again = client.call(WATCH)
    assert (client.said(again), client.code(again)) == ([NOT_SERVING], StatusCode.UNAVAILABLE)


def test_nobody_watches_for_ever(client: Caller) -> None:
    """A Watch call has a maximum duration, as a WebSocket has."""
    stream = client.call(WATCH)
    client.after(199)
    assert not client.ended(stream)
    client.after(2)
    assert client.code(stream) is StatusCode.UNAVAILABLE


def test_a_call_that_has_begun_is_answered_though_the_server_stops(client: Caller) -> None:
    """A call that has begun is answered during a graceful shutdown."""
    stream = client.call(ECHO, EMPTY, ("x-echo-delay", "5s"))
    client.served.service.begin_shutdown()
    client.after(5)
    assert client.code(stream) is StatusCode.OK


def test_reflection_answers_each_question_as_it_comes(client: Caller) -> None:
    """Reflection responds to each request as it arrives: before the client has ended, and several in one piece."""
    stream = client.call(REFLECT, asks(list_services=""), end=False)
    (listed,) = client.said(stream)
    response = messages.message_class("grpc.reflection.v1.ServerReflectionResponse")
    services = [each.name for each in response.FromString(listed).list_services_response.service]
    assert services == [f"{PACKAGE}.GrpcEcho", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"]
    questions = (
        asks(file_containing_symbol="grpc.health.v1.Health"),
        asks(file_by_filename="grpc/health/v1/health.proto"),
        asks(file_containing_symbol="a.B"),
        asks(all_extension_numbers_of_type="grpc.health.v1.HealthCheckRequest"),
        asks(file_containing_extension={"containing_type": "a.B", "extension_number": 1}),
    )
    client.body(stream, b"".join(questions))
    answers = [response.FromString(raw) for raw in client.said(stream)[1:]]
    assert [each.WhichOneof("message_response") for each in answers] == [
        *["file_descriptor_response"] * 2,
        "error_response",
        "all_extension_numbers_response",
        "error_response",
    ]
    assert answers[0].file_descriptor_response == answers[1].file_descriptor_response
    assert answers[2].error_response.error_code == StatusCode.NOT_FOUND
    assert client.code(stream) is StatusCode.OK


def test_a_dialogue_ends_when_the_server_stops_and_all_is_answered(client: Caller) -> None:
    """An idle dialogue ends at shutdown so that it does not delay it; a new one gets its response first."""
    idle, new = client.call(REFLECT, asks(list_services=""), end=False), client.call(REFLECT, None)
    client.served.service.begin_shutdown()
    client.after(0)
    assert client.code(idle) is StatusCode.UNAVAILABLE
    assert not client.ended(new)
    client.body(new, asks(list_services=""), end=False)
    client.after(0)
    assert (len(client.said(new)), client.code(new)) == (1, StatusCode.UNAVAILABLE)


def test_half_a_question_does_not_put_off_the_end_of_a_dialogue(client: Caller) -> None:
    """An incomplete request does not delay the end of a dialogue, even if it arrives during the shutdown."""
    stream = client.call(REFLECT, asks(list_services=""), end=False)
    client.served.service.begin_shutdown()
    client.served.connection.data_received(frames.encode(frames.DATA, 0, stream, b"\0"))
    client.after(0)
    assert client.code(stream) is StatusCode.UNAVAILABLE


def test_a_question_that_asks_for_nothing_ends_the_dialogue(client: Caller) -> None:
    """A reflection request without a question is INVALID_ARGUMENT, because no response would fit."""
    assert client.code(client.call(REFLECT, EMPTY, end=False)) is StatusCode.INVALID_ARGUMENT


def test_answers_wait_for_who_takes_them() -> None:
    """Responses are generated only as the windows allow, and requests ahead of them are limited."""
    client = Caller(initial_window_size=0)
    stream = client.call(REFLECT, asks(list_services="") * 300, end=False)
    session = session_of(client)
    held = session.buffered_bytes
    client.after(0)
    assert (client.said(stream), session.buffered_bytes) == ([], held)
    for _ in range(100):
        client.h2.increment_flow_control_window(1000, stream)
        client.exchange()
        client.after(0)
    assert len(client.said(stream)) == 300
    client.body(stream, b"")
    assert client.code(stream) is StatusCode.OK


def test_questions_ahead_of_the_answers_are_bounded() -> None:
    """A client that reads no responses may not send requests forever."""
    client = Caller(initial_window_size=0)
    stream = client.call(REFLECT, asks(list_services="") * 1500, end=False)
    client.after(0)
    assert client.code(stream) is StatusCode.RESOURCE_EXHAUSTED


def test_too_much_that_is_held_is_let_go_of(client: Caller) -> None:
    """A call that is shed is reset with the code that gRPC clients read as RESOURCE_EXHAUSTED."""
    stream = client.call(ECHO, b"\0\0\0\xff\xff" + bytes(1000), end=False)
    session = session_of(client)
    session.reject_over_budget()
    client.receive()
    assert [each.error_code for each in client.of(stream, h2.events.StreamReset)] == [ErrorCodes.ENHANCE_YOUR_CALM]
    assert session.buffered_bytes == 0
