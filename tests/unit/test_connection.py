"""One connection, with a transport that only remembers and a clock that is moved by hand."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from app.carrier.connection import Connection
from app.carrier.gateway import server_environ
from app.carrier.http1 import Limits
from app.carrier.service import LINGER, Bounds, Phase, Service, Timeouts
from app.wire import Environ

GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"


class Transport(asyncio.Transport):
    """Remembers what was asked of it."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 1234)})
        self.written = b""
        self.did: list[str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def write_eof(self) -> None:
        self.did.append("write_eof")

    def close(self) -> None:
        self.did.append("close")

    def abort(self) -> None:
        self.did.append("abort")

    def pause_reading(self) -> None:
        self.did.append("pause_reading")

    def resume_reading(self) -> None:
        self.did.append("resume_reading")


def application(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer with the path; `/fail` fails."""
    if environ["PATH_INFO"] == "/fail":
        raise RuntimeError("on purpose")
    start_response("200 OK", [("X-Remote", environ["REMOTE_ADDR"]), ("Content-Length", "2")])
    return [environ["PATH_INFO"].encode("latin-1")]


class Served:
    """A service with one connection to it, and the time in its hands."""

    def __init__(self, connections: int = 10) -> None:
        self.now = 1000.0
        self.reports: list[str] = []
        self.service = Service(
            Bounds(
                limits=Limits(head=1024, fields=10, body=100),
                timeouts=Timeouts(head=10, body=30, idle=75),
                connections=connections,
            ),
            clock=lambda: self.now,
            wall_clock=lambda: 784_111_777.0,
            report=self.reports.append,
        )
        self.connection, self.transport = self.connect()

    def connect(self) -> tuple[Connection, Transport]:
        """Open one more connection."""
        connection = Connection(self.service, application, server_environ("h", 80, multiprocess=False))
        transport = Transport()
        connection.connection_made(transport)
        return connection, transport

    def send(self, data: bytes) -> bytes:
        """Send, and give what was answered to it."""
        before = len(self.transport.written)
        self.connection.data_received(data)
        return self.transport.written[before:]

    def after(self, seconds: float) -> list[str]:
        """Let so many seconds pass; give what the transport was asked since the last look."""
        self.now += seconds
        self.service.sweep()
        did, self.transport.did = self.transport.did, []
        return did


@pytest.fixture
def served() -> Served:
    """Give a service with one connection."""
    return Served()


def test_an_answer_has_a_date_and_a_length_of_its_own(served: Served) -> None:
    """The length is what is sent, whatever the application said (RFC 9110, 8.6)."""
    assert served.send(GET) == (
        b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nX-Remote: 192.0.2.1\r\nContent-Length: 2\r\n\r\n/a"
    )


def test_pipelined_requests_are_answered_in_order(served: Served) -> None:
    """With the bytes left over kept for the next one."""
    answers = served.send(GET + GET.replace(b"/a", b"/b") + GET[:5])
    assert answers.count(b"HTTP/1.1 200") == 2
    assert answers.index(b"/a") < answers.index(b"/b")
    assert served.send(GET[5:]).endswith(b"/a")


@pytest.mark.parametrize(
    ("sent", "seconds", "answer"),
    [
        (b"", 75, b""),
        (GET, 75, b""),
        (b"GET /", 10, b"HTTP/1.1 408 Request Timeout"),
        (GET + b"G", 10, b"HTTP/1.1 408 Request Timeout"),
        (POST, 30, b"HTTP/1.1 408 Request Timeout"),
        (POST + b"ab", 30, b"HTTP/1.1 408 Request Timeout"),
    ],
    ids=["nothing", "idle", "head", "next head", "body", "rest of a body"],
)
def test_each_wait_has_its_time(served: Served, sent: bytes, seconds: float, answer: bytes) -> None:
    """Just before it nothing happens; at it the connection ends, and who was within a request is told."""
    if sent:
        served.send(sent)
    before = len(served.transport.written)
    assert served.after(seconds - 0.01) == []
    assert served.after(0.01) == (["write_eof"] if answer else ["close"])
    assert served.transport.written[before:].startswith(answer)


def test_a_head_that_trickles_in_gains_no_time(served: Served) -> None:
    """Slowloris: a byte now and then is not progress."""
    for byte in GET[:9]:
        served.send(bytes([byte]))
        assert served.after(1) == []
    served.send(GET[9:10])
    assert served.after(1) == ["write_eof"]


def test_a_body_that_comes_slowly_is_waited_for(served: Served) -> None:
    """Only silence ends it."""
    served.send(POST)
    for byte in b"abc":
        assert served.after(29) == []
        served.send(bytes([byte]))
    assert b" 200 OK" in served.send(b"d")


def test_a_refused_connection_is_read_a_while_and_dropped(served: Served) -> None:
    """A reset would take the answer from the client (RFC 9112, 9.6)."""
    assert b" 400 Bad Request" in served.send(b"nonsense\r\n\r\n")
    assert served.send(GET) == b""
    assert served.after(LINGER - 0.01) == ["write_eof"]
    assert served.after(0.01) == ["abort"]


def test_the_line_of_a_refusal_says_what_was_wrong(served: Served) -> None:
    """In plain text, never HTML, with the connection's end announced."""
    answer = served.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: <b>\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n400 Bad Request: more than one Host field\n")
    for line in (b"Content-Type: text/plain; charset=utf-8", b"X-Content-Type-Options: nosniff", b"Connection: close"):
        assert line in answer.split(b"\r\n")


def test_a_client_that_does_not_read_is_not_read(served: Served) -> None:
    """Its pipelined requests wait until it reads, and are then answered."""
    served.connection.pause_writing()
    assert served.send(GET) == b""
    assert served.after(29) == ["pause_reading"]
    served.connection.resume_writing()
    assert served.transport.written.endswith(b"/a")
    assert served.connection.phase is Phase.IDLE


def test_a_client_that_never_reads_is_dropped(served: Served) -> None:
    """After the time of a body."""
    served.connection.pause_writing()
    assert served.after(30) == ["pause_reading", "abort"]


def test_one_connection_too_many_is_told_so() -> None:
    """503, and the others go on."""
    served = Served(connections=1)
    _, second = served.connect()
    assert b" 503 Service Unavailable" in second.written
    assert second.did == ["write_eof"]
    assert b" 200 OK" in served.send(GET)


def test_the_clusters_own_connections_are_not_counted_out() -> None:
    """A probe is answered when there are as many connections as may be."""
    served = Served(connections=1)
    environ = server_environ("h", 9090, multiprocess=False)
    probe = Connection(served.service, application, environ, counted=False)
    transport = Transport()
    probe.connection_made(transport)
    probe.data_received(GET)
    assert b" 200 OK" in transport.written


def test_idle_connections_are_closed_and_busy_ones_are_not(served: Served) -> None:
    """What a stop asks for at its last call."""
    _, other = served.connect()
    served.send(POST)
    served.service.close_idle()
    assert (served.transport.did, other.did) == ([], ["close"])


def test_a_fault_of_the_application_ends_one_request(served: Served) -> None:
    """500 without a traceback, which goes to the log; the connection lives."""
    answer = served.send(b"GET /fail HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b" 500 Internal Server Error" in answer
    assert b"on purpose" not in answer
    assert "on purpose" in served.reports[0]
    assert b" 200 OK" in served.send(GET)


def test_a_stopping_worker_says_close_with_each_answer(served: Served) -> None:
    """So that the client takes its next request elsewhere."""
    served.service.draining = True
    answer = served.send(GET)
    assert b"Connection: close\r\n" in answer
    assert served.after(0) == ["write_eof"]


def test_a_client_that_ends_its_side_gets_its_answers(served: Served) -> None:
    """Half-closed is not gone: what it asked while it could not read is answered still."""
    served.connection.pause_writing()
    served.send(GET)
    assert served.connection.eof_received()
    assert "close" not in served.after(0)
    served.connection.resume_writing()
    assert served.transport.written.endswith(b"/a")
    assert served.after(0)[-1] == "close"


def test_a_lost_connection_is_forgotten(served: Served) -> None:
    """Nothing is kept of it."""
    told: list[str] = []
    served.service.changed = lambda: told.append("changed")
    served.connection.connection_lost(None)
    assert served.service.connections == set()
    assert told == ["changed"]


def test_100_continue_is_sent_when_the_body_is_wanted(served: Served) -> None:
    """RFC 9110, 10.1.1; and not when it is too long."""
    expect = POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    assert served.send(expect) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert b" 200 OK" in served.send(b"abcd")
    assert served.send(expect.replace(b"th: 4", b"th: 101")).startswith(b"HTTP/1.1 413 ")


def test_head_is_answered_with_gets_length_and_no_body(served: Served) -> None:
    """RFC 9110, 9.3.2."""
    assert served.send(GET.replace(b"GET", b"HEAD")).endswith(b"Content-Length: 2\r\n\r\n")


def test_http_1_0_is_told_that_its_connection_is_kept(served: Served) -> None:
    """RFC 9112, 9.3: without it, it would wait for the end."""
    assert b"Connection: keep-alive\r\n" in served.send(b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert b"Connection: close\r\n" in served.send(b"GET /a HTTP/1.0\r\n\r\n")
    assert served.after(0) == ["write_eof"]
