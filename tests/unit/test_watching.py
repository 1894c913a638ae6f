"""Reports of a connection to its watch: each request exactly once."""

from collections.abc import Callable

import pytest

from app.http import body
from app.http.record import RequestRecord
from app.http.request import ResponseOptions
from app.server.response import INTERNAL_ERROR_RESPONSE
from app.server.state import InFlight
from tests.unit.planned import KIB, STREAMED, Over, OverHttp1, OverHttp2, Plan, Planned, failing, run
from tests.unit.served import Served, answer_with_path

CLIENTS: list[Callable[[Planned, "RecordingObserver"], Over]] = [
    lambda application, told: OverHttp1(application, observer=told),
    lambda application, told: OverHttp2(application, observer=told),
]


class RecordingObserver:
    """A watch that records everything."""

    def __init__(self) -> None:
        self.connections = 0
        self.bytes_received = 0
        self.bytes_sent = 0
        self.reasons: list[str] = []
        self.requests: list[RequestRecord] = []

    def record_connection(self) -> None:
        self.connections += 1

    def record_received(self, size: int) -> None:
        self.bytes_received += size

    def record_sent(self, size: int) -> None:
        self.bytes_sent += size

    def record_rejection(self, reason: str) -> None:
        self.reasons.append(reason)

    def record_request(self, record: RequestRecord) -> None:
        self.requests.append(record)

    def facts(self) -> list[tuple[str, int, bool]]:
        """Return status, body size and completeness of each response."""
        return [(each.status[:3], each.sent_bytes, each.is_complete) for each in self.requests]


@pytest.fixture(params=CLIENTS, ids=["HTTP/1.1", "HTTP/2"])
def clients(request: pytest.FixtureRequest) -> Callable[..., tuple[Over, RecordingObserver]]:
    """Return a function that creates a client of each protocol, and a watch of its connections."""

    def made(**plans: Plan) -> tuple[Over, RecordingObserver]:
        told = RecordingObserver()
        return request.param(Planned(**plans), told), told

    return made


PLANS: dict[str, tuple[Plan, tuple[str, int, bool]]] = {
    "at once": (Plan(ResponseOptions(), lambda: [b"four"]), ("200", 4, True)),
    "without content": (Plan(ResponseOptions(), list, status="204 No Content"), ("204", 0, True)),
    "streamed": (Plan(), ("200", 13, True)),
    "paced": (Plan(ResponseOptions(is_streamed=True, interval=1.0)), ("200", 13, True)),
    "late": (Plan(ResponseOptions(delay=2.0), lambda: [b"four"]), ("200", 4, True)),
    "never": (Plan(ResponseOptions(abort="before"), lambda: [b"four"]), ("200", 0, False)),
    "half": (
        Plan(ResponseOptions(is_streamed=True, abort="middle"), lambda: [b"half"], fields=[("Content-Length", "8")]),
        ("200", 4, False),
    ),
    "failing at first": (Plan(STREAMED, failing()), ("500", len(INTERNAL_ERROR_RESPONSE.body), True)),
    "failing later": (Plan(STREAMED, failing(b"some")), ("200", 4, False)),
}


@pytest.mark.parametrize("name", PLANS)
def test_a_request_is_told_of_when_its_answer_ends(
    clients: Callable[..., tuple[Over, RecordingObserver]], name: str
) -> None:
    """A request is reported once when its response ends, with status, body size, and whether it was complete."""
    plan, facts = PLANS[name]
    client, told = clients(plan=plan)
    client.ask("/plan")
    run(client)
    for _ in range(5):
        client.served.after(1.0)
    assert told.facts() == [facts]
    assert told.reasons == (["application_failed"] if name == "failing at first" else [])
    assert client.served.service.count_in_flight()[0] == InFlight()


def test_an_answer_that_is_given_up_was_not_whole(clients: Callable[..., tuple[Over, RecordingObserver]]) -> None:
    """A delayed response is in flight until the client abandons it, and is then reported as incomplete."""
    client, told = clients(late=Plan(ResponseOptions(delay=5.0), lambda: [b"four"]))
    number = client.ask("/late")
    assert client.served.service.count_in_flight()[0] == InFlight(requests=1)
    assert told.facts() == []
    client.give_up(number)
    assert told.facts() == [("200", 0, False)]
    assert client.served.service.count_in_flight()[0] == InFlight()


def test_a_fault_of_the_application_is_told() -> None:
    """An application error is reported as 500, with a reason of its own."""
    told = RecordingObserver()
    served = Served(application=answer_with_path, observer=told)
    served.send(b"GET /fail HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (told.facts(), told.reasons) == ([("500", len(INTERNAL_ERROR_RESPONSE.body), True)], ["application_failed"])


def test_a_body_is_not_kept_to_be_told_of() -> None:
    """A request is reported with the length of its body, but without the body.

    A watch may keep requests for a moment.
    """
    told = RecordingObserver()
    served = Served(observer=told)
    answer = served.send(b"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
    assert answer.startswith(b"HTTP/1.1 200 ")
    (request,) = told.requests
    assert (request.request.body, request.received_bytes) == (body.EMPTY_BODY, 3)


REFUSED = {
    b"GET / HTTP/1.1\r\n\r\n": ("400", "bad_request", b"GET"),
    b"nonsense\r\n\r\n": ("400", "bad_request", b""),
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 101\r\n\r\n": ("413", "body_too_large", b"GET"),
    b"GET / HTTP/1.1\r\nHost: a\r\nX: " + bytes(KIB) + b"\r\n\r\n": ("431", "head_too_large", b""),
    b"GET / HTTP/2.0\r\nHost: a\r\n\r\n": ("505", "http_version", b""),
    b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n": ("417", "expectation", b"PUT"),
    b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: zip, chunked\r\n\r\n": ("501", "not_implemented", b"PUT"),
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 12\r\n\r\n": (
        "426",
        "websocket_version",
        b"GET",
    ),
}


@pytest.mark.parametrize("sent", REFUSED)
def test_a_refusal_is_told_with_its_reason(sent: bytes) -> None:
    """A rejected request is reported with its reason, and with its method if that could be read."""
    told = RecordingObserver()
    served = Served(observer=told)
    answer = served.send(sent)
    status, reason, method = REFUSED[sent]
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    (request,) = told.requests
    assert (request.status[:3], told.reasons, request.request.method) == (status, [reason], method)
    assert request.error
    assert request.error.encode() in answer
    assert served.service.count_in_flight()[0] == InFlight()


def test_a_body_that_takes_too_long_is_told_with_what_was_asked() -> None:
    """A body that times out is reported with its request and with the bytes received."""
    told = RecordingObserver()
    served = Served(observer=told)
    served.send(b"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
    assert served.service.count_in_flight() == (InFlight(requests=1), 1)
    served.after(100)
    (request,) = told.requests
    assert (request.request.target, request.received_bytes, told.reasons) == (b"/a", 3, ["timeout"])


def test_one_connection_too_many_is_told() -> None:
    """Each connection is reported, and so is the rejection of one above the limit."""
    told = RecordingObserver()
    served = Served(observer=told, connections=2)
    served.connect()
    assert told.reasons == []
    served.connect()
    assert (told.connections, told.reasons) == (3, ["too_many_connections"])
    assert [each.status[:3] for each in told.requests] == ["503"]


def test_bytes_are_told_as_they_pass() -> None:
    """All bytes on the wire are reported, both ways."""
    told = RecordingObserver()
    served = Served(observer=told)
    sent = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = served.send(sent)
    assert (told.bytes_received, told.bytes_sent) == (len(sent), len(answer))


def test_a_websocket_is_told_of_when_it_opens() -> None:
    """A WebSocket is reported when it opens, as a request over the protocol `websocket`.

    While it is open, it counts as an open WebSocket.
    """
    told = RecordingObserver()
    served = Served(observer=told)
    served.send(
        b"GET /a HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    (request,) = told.requests
    assert (request.status[:3], request.protocol) == ("101", "websocket")
    assert served.service.count_in_flight() == (InFlight(websockets=1), 1)
    served.connection.connection_lost(None)
    assert len(told.requests) == 1
    assert served.service.count_in_flight() == (InFlight(), 0)


def test_a_malformed_request_of_a_stream_is_told() -> None:
    """A malformed request on a stream is reported for HTTP/2 as for HTTP/1.1."""
    told = RecordingObserver()
    client = OverHttp2(Planned(), observer=told)
    client.client.h2.config.validate_outbound_headers = False
    client.client.h2.send_headers(1, [(":method", "GET"), (":scheme", "http"), (":path", "/")], end_stream=True)
    client.client.exchange()
    (request,) = told.requests
    assert (request.status[:3], request.request.version, told.reasons) == ("400", "HTTP/2.0", ["bad_request"])


def test_what_ends_a_connection_of_http2_is_told() -> None:
    """An HTTP/2 connection error is reported by its name."""
    told = RecordingObserver()
    client = OverHttp2(Planned(), observer=told)
    client.served.send(bytes(9) + b"\xff" * 40_000)
    assert told.reasons[0].startswith("http2_")
