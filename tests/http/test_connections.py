"""Persistent, pipelined, slow and broken connections over real sockets."""

import json
import random
import select
import socket
from contextlib import ExitStack

import pytest

from tests.http.process import DEADLINE, Echo, read_answer, read_to_end, running

GET = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
LENGTH = b"POST /length HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nTrailer: 1\r\n\r\n"
)
LAST = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def test_a_connection_is_kept_for_many_requests(echo: Echo) -> None:
    """A connection serves many requests, one after the other."""
    with echo.connect() as sock:
        for number in range(200):
            sock.sendall(GET % number)
            assert read_answer(sock)[1] == b"<b>Got: %d</b>!" % number


def test_upgrade_to_h2c_is_answered_by_http_1_1(echo: Echo) -> None:
    """An Upgrade to h2c is ignored (RFC 9110, 7.8): its headers are shown as sent, and HTTP/1.1 continues."""
    sent = [
        ["Connection", "Upgrade, HTTP2-Settings"],
        ["Upgrade", "h2c"],
        ["HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA"],
    ]
    lines = b"".join(f"{name}: {value}\r\n".encode() for name, value in sent)
    with echo.connect() as sock:
        sock.sendall(b"GET /a HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n" + lines + b"\r\n")
        response, body = read_answer(sock)
        assert (response.status, response.version, response.getheader("Upgrade")) == (200, 11, None)
        seen = json.loads(body)
        assert seen["proto"] == "HTTP/1.1"
        assert seen["received"][-3:] == sent
        sock.sendall(GET % 2)
        assert read_answer(sock)[1] == b"<b>Got: 2</b>!"


def test_pipelined_requests_are_answered_in_their_order(echo: Echo) -> None:
    """A thousand pipelined requests get their responses in order, on a connection that is read continuously."""
    answers = echo.exchange(b"".join(GET % number for number in range(1000)) + LAST)
    bodies = [b"<b>Got: %d</b>!" % number for number in range(1000)] + [b"<b>Got: last</b>!"]
    position = 0
    for body in bodies:
        position = answers.index(body, position) + len(body)
    assert answers.count(b"HTTP/1.1 200 OK\r\n") == 1001


@pytest.mark.parametrize("how", ["whole", "byte by byte", "at random"])
def test_both_framings_of_a_body_end_where_they_say(echo: Echo, how: str) -> None:
    """After a body of either framing, the next request gets a response, however the bytes are split."""
    wire = LENGTH + CHUNKED + LENGTH + LAST
    rng = random.Random(7)  # noqa: S311 - the same cuts each time
    cuts = {"whole": [], "byte by byte": list(range(len(wire))), "at random": rng.sample(range(len(wire)), 20)}[how]
    with echo.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(wire)], strict=True):
            sock.sendall(wire[start:end])
        answers = read_to_end(sock)
    assert answers.count(b"HTTP/1.1 200 OK\r\n") == 4
    assert [part.split(b"<")[0] for part in answers.split(b"Got: ")[1:]] == [b"length", b"chunked", b"length", b"last"]


def test_a_client_that_waits_for_100_gets_it(echo: Echo) -> None:
    """A client that sends Expect: 100-continue gets 100 before it sends its body (RFC 9110, 10.1.1)."""
    with echo.connect() as sock:
        sock.sendall(b"PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n")
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"x")
        assert read_answer(sock)[0].status == 200


def test_old_clients_are_answered_and_closed(echo: Echo) -> None:
    """HTTP/1.0 requests without Host and keep-alive get a response, and the connection is closed."""
    assert echo.exchange(b"GET /old HTTP/1.0\r\n\r\n").endswith(b"<b>Got: old</b>!")


def test_half_a_connection_is_enough_for_an_answer(echo: Echo) -> None:
    """A client that closes its sending side after the request, as netcat does, gets its response."""
    with echo.connect() as sock:
        sock.sendall(GET % 7)
        sock.shutdown(socket.SHUT_WR)
        assert read_to_end(sock).endswith(b"<b>Got: 7</b>!")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (b"GET /" + b"a" * 70_000, 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 300 + b"\r\n", 431),
        (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
    ],
)
def test_what_can_not_be_read_is_refused_and_the_connection_closed(echo: Echo, sent: bytes, status: int) -> None:
    """A malformed request gets an error with a reason and closes the connection; later requests get no response."""
    answer = echo.exchange(sent + GET % 1)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert answer.count(b"\r\n\r\n") == 1
    assert answer.partition(b"\r\n\r\n")[2].startswith(b"%d " % status)


def test_what_all_make_a_worker_hold_is_a_setting() -> None:
    """Above ECHO_MEMORY_BUDGET, here reached by incomplete bodies, requests get 503 at once."""
    half = b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n" + bytes(65_535)
    with running(memory_budget=1 << 20) as echo, ExitStack() as opened:
        socks = [opened.enter_context(echo.connect()) for _ in range(20)]
        for sock in socks:
            sock.sendall(half)
        refused, _, _ = select.select(socks, [], [], DEADLINE)
        assert refused
        assert b" 503 " in refused[0].recv(4096)
        assert len(refused) < 10


def test_the_bounds_are_the_settings() -> None:
    """The limits of head size, header count, body size and connections are the configured settings."""
    with running(max_header_bytes=1024, max_headers=3, max_body=3, max_connections=2) as echo:
        assert b" 431 " in echo.exchange(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 1024)
        assert b" 431 " in echo.exchange(b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nX: y\r\nX: y\r\n\r\n")
        assert b" 413 " in echo.exchange(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n")
        with echo.connect() as one, echo.connect() as two:
            for sock in (one, two):
                sock.sendall(GET % 1)
                assert read_answer(sock)[0].status == 200
            assert b" 503 " in echo.exchange(b"")


def test_the_times_are_the_settings() -> None:
    """Incomplete heads and bodies get 408 after their timeouts; an idle connection is closed without a response."""
    with running(header_timeout=0.2, body_timeout=0.2) as echo:
        assert b" 408 " in echo.exchange(b"GET / HT")
        assert b" 408 " in echo.exchange(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab")
    with running(idle_timeout=0.2) as echo:
        assert echo.exchange(b"") == b"", "an idle connection is closed without a word"
