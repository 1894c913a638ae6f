"""HTTP/1.1 on one connection: bytes in, bytes out, in simulated time."""

import zlib
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from msgspec import structs

from app.http.body import BodyReader
from app.http.request import REQUEST_KEY, RESPONSE_OPTIONS_KEY, Environ, ResponseOptions
from app.http.response import SECURITY_HEADERS
from app.server.connection import Connection
from app.server.limits import RequestLimits
from app.server.state import LINGER, ConnectionPhase
from app.server.transport_filters import ListenerConfig
from app.server.wsgi import server_environ
from tests.unit.served import Served, Transport, answer_with_path

GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n"
H2C = b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"


@pytest.fixture
def served() -> Served:
    """Return a service with one connection."""
    return Served()


def test_an_answer_has_a_date_and_a_length_of_its_own(served: Served) -> None:
    """Content-Length is what is sent, whatever the application said (RFC 9110, 8.6)."""
    assert served.send(GET) == (
        b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nX-Remote: 192.0.2.1\r\nContent-Length: 2\r\n\r\n/a"
    )


def test_pipelined_requests_are_answered_in_order(served: Served) -> None:
    """Pipelined requests are answered in order, and remaining bytes are kept for the next request."""
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
    """Nothing happens just before a timeout.

    At the timeout the connection ends, with 408 if a request was in progress.
    """
    if sent:
        served.send(sent)
    before = len(served.transport.written)
    assert served.after(seconds - 0.01) == []
    assert served.after(0.01) == (["write_eof"] if answer else ["close"])
    assert served.transport.written[before:].startswith(answer)


def test_a_head_that_trickles_in_gains_no_time(served: Served) -> None:
    """A byte now and then does not extend the timeout of a request head (Slowloris)."""
    for byte in GET[:9]:
        served.send(bytes([byte]))
        assert served.after(1) == []
    served.send(GET[9:10])
    assert served.after(1) == ["write_eof"]


def test_a_body_that_comes_slowly_is_waited_for(served: Served) -> None:
    """A slow body is accepted as long as it keeps the minimum rate, here one byte per second."""
    served.send(POST.replace(b"4", b"100"))
    for _ in range(9):
        assert served.after(10) == []
        served.send(b"0123456789")
    assert b" 200 OK" in served.send(b"0123456789")


def test_a_body_that_trickles_in_is_ended(served: Served) -> None:
    """A body below the minimum rate gets 408.

    A byte now and then is not silence, but holds a connection all the same.
    """
    served.send(POST)
    assert served.after(20) == []
    served.send(b"a")
    assert served.after(10.9) == []
    assert served.after(0.1) == ["write_eof"]
    assert b" 408 Request Timeout" in served.transport.written


def test_coded_bodies_are_undone_in_steps_and_others_are_served_in_between() -> None:
    """Decoding a bomb is spread over turns of the loop, in which nothing more of the connection is read."""
    served = Served(limits=RequestLimits(1024, 10, 10_000))
    bomb = zlib.compress(bytes(1 << 20), 9)
    head = b"POST /b HTTP/1.1\r\nHost: a\r\nContent-Encoding: deflate\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    assert served.send(head + bomb + GET) == b""
    assert served.transport.did == ["pause_reading"]
    turns = 0
    while served.turns:
        assert served.transport.written == b""
        served.turn()
        turns += 1
    assert turns > 1
    assert served.transport.written.index(b"/b") < served.transport.written.index(b"/a"), "with the one behind it"
    assert served.transport.did[-1] == "resume_reading"


def test_a_refused_connection_is_read_a_while_and_dropped(served: Served) -> None:
    """A rejected connection is read for a while before it is dropped.

    A reset could make the client lose the response (RFC 9112, 9.6).
    """
    assert b" 400 Bad Request" in served.send(b"nonsense\r\n\r\n")
    assert served.send(GET) == b""
    assert served.after(LINGER - 0.01) == ["write_eof"]
    assert served.after(0.01) == ["abort"]


@pytest.mark.parametrize(
    "sent",
    [
        b"HEAD / HTTP/1.1\r\nHost: a\nX",
        b"HEAD / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"HEAD / HTTP/1.1\r\nHo",
        b"\r\nHEAD / HTTP/3.0\r\n",
    ],
    ids=["half a head", "a head", "too late", "a line"],
)
def test_a_refusal_of_head_has_no_body(served: Served, sent: bytes) -> None:
    """An error response to HEAD has no body, even if the method is all that is known (RFC 9110, 9.3.2)."""
    served.send(sent)
    served.after(10)
    answer = served.transport.written
    assert answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 505"))
    assert answer.endswith(b"\r\n\r\n")


def test_the_line_of_a_refusal_says_what_was_wrong(served: Served) -> None:
    """An error response is plain text, never HTML, and announces that the connection is closed."""
    answer = served.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: <b>\r\n\r\n")
    assert answer.endswith(b"\r\n\r\n400 Bad Request: more than one Host header\n")
    for line in (
        b"Content-Type: text/plain; charset=utf-8",
        *(f"{name}: {value}".encode() for name, value in SECURITY_HEADERS),
        b"Connection: close",
    ):
        assert line in answer.split(b"\r\n")


def test_a_client_that_does_not_read_is_not_read(served: Served) -> None:
    """Pipelined requests of a client that does not read wait until it reads, and are then answered."""
    served.connection.pause_writing()
    assert served.send(GET) == b""
    assert served.after(29) == ["pause_reading"]
    served.connection.resume_writing()
    assert served.transport.written.endswith(b"/a")
    assert served.connection.phase is ConnectionPhase.IDLE


def test_a_client_that_never_reads_is_dropped(served: Served) -> None:
    """A client that never reads is dropped after the timeout of a body."""
    served.connection.pause_writing()
    assert served.after(30) == ["pause_reading", "abort"]


def test_one_connection_too_many_is_told_so() -> None:
    """A connection above the limit gets 503, and the others continue."""
    served = Served()
    for _ in range(3):
        _, second = served.connect()
    assert b" 503 Service Unavailable" in second.written
    assert second.did == ["write_eof"]
    assert b" 200 OK" in served.send(GET)


def test_the_clusters_own_connections_are_not_counted_out() -> None:
    """A probe is answered even if the limit of connections is reached."""
    served = Served()
    for _ in range(3):
        served.connect()
    environ = server_environ("h", 9090, multiprocess=False)
    probe = Connection(served.service, ListenerConfig(answer_with_path, environ, counts_toward_limit=False))
    transport = Transport()
    probe.connection_made(transport)
    probe.data_received(GET)
    assert b" 200 OK" in transport.written


def test_idle_connections_are_closed_and_busy_ones_are_not(served: Served) -> None:
    """The last call of a graceful shutdown closes idle connections and keeps busy ones."""
    _, other = served.connect()
    served.send(POST)
    served.service.close_idle()
    assert (served.transport.did, other.did) == ([], ["close"])


def test_a_fault_of_the_application_ends_one_request(served: Served) -> None:
    """An application error is a 500 without a traceback, which is logged; the connection continues."""
    answer = served.send(b"GET /fail HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b" 500 Internal Server Error" in answer
    assert b"on purpose" not in answer
    assert "on purpose" in served.reports[0]
    assert b" 200 OK" in served.send(GET)


def test_a_stopping_worker_says_close_with_each_answer(served: Served) -> None:
    """Each response of a draining worker has Connection: close, so that clients send their next request elsewhere."""
    served.service.draining = True
    answer = served.send(GET)
    assert b"Connection: close\r\n" in answer
    assert served.after(0) == ["write_eof"]


def test_a_client_that_ends_its_side_gets_its_answers(served: Served) -> None:
    """A half-closed client still gets the responses to requests that it sent while it could not read."""
    served.connection.pause_writing()
    served.send(GET)
    assert served.connection.eof_received()
    assert "close" not in served.after(0)
    served.connection.resume_writing()
    assert served.transport.written.endswith(b"/a")
    assert served.after(0)[-1] == "close"


def test_a_lost_connection_is_forgotten(served: Served) -> None:
    """Nothing is kept of a lost connection."""
    told: list[str] = []
    served.service.on_connection_change = lambda: told.append("changed")
    served.connection.connection_lost(None)
    assert served.service.connections == set()
    assert told == ["changed"]


def test_100_continue_is_sent_when_the_body_is_wanted(served: Served) -> None:
    """100 Continue is sent if the body is wanted, but not if it is too long (RFC 9110, 10.1.1)."""
    expect = POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    assert served.send(expect) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert b" 200 OK" in served.send(b"abcd")
    assert served.send(expect.replace(b"th: 4", b"th: 101")).startswith(b"HTTP/1.1 413 ")


def test_head_is_answered_with_gets_length_and_no_body(served: Served) -> None:
    """The response to HEAD has the Content-Length of GET, and no body (RFC 9110, 9.3.2)."""
    assert served.send(GET.replace(b"GET", b"HEAD")).endswith(b"Content-Length: 2\r\n\r\n")


def test_http_1_0_is_told_that_its_connection_is_kept(served: Served) -> None:
    """An HTTP/1.0 client gets Connection: keep-alive (RFC 9112, 9.3).

    Without it, the client would wait for the end of the connection.
    """
    assert b"Connection: keep-alive\r\n" in served.send(b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert b"Connection: close\r\n" in served.send(b"GET /a HTTP/1.0\r\n\r\n")
    assert served.after(0) == ["write_eof"]


CHUNKED = b"POST /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Sum: 1\r\n\r\n"


def with_trailers(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Respond with the trailers of the request."""
    environ[RESPONSE_OPTIONS_KEY] = ResponseOptions(trailers=environ[REQUEST_KEY].trailers)
    start_response("200 OK", [])
    return [b"body"]


def test_trailers_are_sent_behind_chunks() -> None:
    """Trailers are announced by name and sent after the last chunk.

    An HTTP/1.0 client knows no chunks, and gets no trailers (RFC 9112, 7.1).
    """
    served = Served(application=with_trailers)
    head, _, rest = served.send(CHUNKED).partition(b"\r\n\r\n")
    assert head.endswith(b"Trailer: X-Sum\r\nTransfer-Encoding: chunked")
    assert rest == b"4\r\nbody\r\n0\r\nX-Sum: 1\r\n\r\n"
    assert b"Trailer" not in served.send(GET.replace(b"1.1", b"1.0"))


@pytest.mark.parametrize(
    "fields",
    [b"Connection: Upgrade\r\nUpgrade: tea\r\n", b"Connection: Upgrade, HTTP2-Settings\r\n" + H2C, H2C],
    ids=["unknown protocol", "h2c", "h2c, not named in Connection"],
)
def test_upgrade_to_another_protocol_is_ignored(served: Served, fields: bytes) -> None:
    """The response is HTTP/1.1's, and the connection is kept (RFC 9110, 7.8; RFC 9113 has dropped h2c)."""
    told = served.send(GET[:-2] + fields + b"\r\n")
    assert told.startswith(b"HTTP/1.1 200 OK\r\n")
    assert told.endswith(b"\r\n\r\n/a")
    assert b"\r\nUpgrade:" not in told
    assert served.send(GET).endswith(b"/a")


def test_a_request_of_http_1_that_begins_like_http_2_is_none(served: Served) -> None:
    """PROPFIND is not taken for the HTTP/2 preface: it differs from PRI in its third letter."""
    assert served.send(b"PR") == b""
    assert served.send(b"OPFIND /a HTTP/1.1\r\nHost: a\r\n\r\n").endswith(b"/a")


def test_what_a_proxy_says_comes_first_where_it_is_asked_for() -> None:
    """The PROXY header comes first and has its own timeout.

    The request after it, in any protocol, has the addresses that it names.
    """
    served = Served(expects_proxy_header=True)
    assert served.send(b"PROXY TCP4 192.0.2.7 ") == b""
    told = served.send(b"192.0.2.8 1 80\r\n" + GET)
    assert b"X-Remote: 192.0.2.7\r\n" in told
    slow = Served(expects_proxy_header=True)
    slow.send(b"PROXY")
    assert slow.after(10) == ["close"]
    wrong = Served(expects_proxy_header=True)
    assert b" 400 Bad Request" in wrong.send(GET)
    assert wrong.after(0) == ["write_eof"]


def refused(meter: BodyReader) -> str:
    """Return why a meter's codings are not decoded, or what is wrong with one byte of data."""
    meter.add_piece(b"x")
    body = meter.finish(chunked=False)
    assert body.length == 1
    assert body.decoded is not None
    return body.decoded.error


@pytest.mark.parametrize(("coding", "most"), [(b"br", 1), (b"zstd", 3), (b"gzip", 85)])
def test_codings_are_undone_as_far_as_there_is_memory(served: Served, coding: bytes, most: int) -> None:
    """The memory of a worker's decoders is limited, because clients choose their size.

    Bodies above the limit are measured as received.
    """
    coded = ((b"Content-Encoding", coding),)
    meters = [served.service.new_body_reader(coded) for _ in range(most)]
    assert refused(served.service.new_body_reader(coded)) == "other bodies are being decoded, as many as may be at once"
    meters.pop()
    assert len(meters) == most - 1
    assert "other bodies" not in refused(served.service.new_body_reader(coded))


def test_one_body_does_not_take_all_memory_by_its_codings(served: Served) -> None:
    """Each coding of a body has its own window, and their sum is limited.

    Every known coding once is within the limit.
    """
    asked = ((b"Content-Encoding", b"br, br, br, br"),)
    assert refused(served.service.new_body_reader(asked)) == "decoding requires 80 MiB of memory; the limit is 32 MiB"
    fine = ((b"Content-Encoding", b"br, zstd, deflate, gzip"),)
    assert refused(served.service.new_body_reader(fine)) == "gzip: truncated data"


def test_a_connection_ends_after_so_many_requests(served: Served) -> None:
    """The response to the last allowed request closes the connection, so that clients send the next one elsewhere."""
    served.service.limits = structs.replace(served.service.limits, requests_per_connection=2)
    assert b"Connection: close" not in served.send(GET)
    assert b"Connection: close\r\n" in served.send(GET)
    assert served.after(0) == ["write_eof"]


def test_many_pipelined_requests_are_answered_in_turns_of_the_loop(served: Served) -> None:
    """Many pipelined requests take several turns, so that others are served in between.

    None is lost, and order is kept.
    """
    served.send(b"".join(GET.replace(b"/a", b"/%d" % number) for number in range(1000)))
    turns = 0
    while served.turns:
        served.turn()
        turns += 1
    assert turns > 5
    answers = served.transport.written.split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert [answer.rpartition(b"\r\n\r\n")[2] for answer in answers] == [b"/%d" % number for number in range(1000)]
