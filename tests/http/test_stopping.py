"""How it ends: nothing accepted is lost, and it does not outstay its time."""

import os
import signal
import socket
import time

import pytest

from tests.http.process import DEADLINE, Echo, read_answer, read_to_end, running

HALF = b"POST /half HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n1"
GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"


def wait_until_closed(port: int) -> None:
    """Return when nobody listens on the port any more; a connection taken before is read to its end."""
    give_up = time.monotonic() + DEADLINE
    while time.monotonic() < give_up:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as sock:
                sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                read_to_end(sock)
        except ConnectionError:
            return
    raise AssertionError(f"port {port} is still open after {DEADLINE} s")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
@pytest.mark.parametrize("workers", [1, 2])
def test_it_ends_cleanly_by_any_signal_that_asks_for_it(number: signal.Signals, workers: int) -> None:
    """Exit 0, nothing said, no traceback."""
    with running(workers=workers) as echo:
        assert echo.get("/")[0].status == 200
        assert echo.end(number) == 0
        assert echo.errors() == ""


def test_a_stop_during_the_start_is_a_stop() -> None:
    """The signal comes when the ports are open and the worker is not yet there to take it."""
    for _ in range(5):
        with running(drain_seconds=600) as echo:
            assert echo.end(signal.SIGTERM) == 0


def test_what_was_accepted_is_answered() -> None:
    """SIGTERM within a body: the listener closes, readiness fails, the rest of the body still comes and is answered."""
    with running() as echo, echo.connect() as busy:
        busy.sendall(HALF)
        assert echo.get("/")[0].status == 200, "the half request has been taken by now"
        echo.process.send_signal(signal.SIGTERM)
        wait_until_closed(echo.port)
        ready, told = echo.get("/readyz", port=echo.admin_port)
        assert (ready.status, told) == (503, b'{"status":"draining"}\n')
        assert echo.get("/livez", port=echo.admin_port)[0].status == 200
        busy.sendall(b"2")
        answer, body = read_answer(busy)
        assert (answer.headers["Connection"], body) == ("close", b"<b>Got: half</b>!")
        assert echo.process.wait(DEADLINE) == 0
        assert echo.errors() == ""


def test_an_idle_connection_is_given_a_last_call() -> None:
    """A request that was on its way when the stop began is answered, with the connection's end announced."""
    with running() as echo, echo.connect() as idle:
        idle.sendall(GET)
        assert read_answer(idle)[0].headers["Connection"] is None
        echo.process.send_signal(signal.SIGTERM)
        wait_until_closed(echo.port)
        idle.sendall(GET)
        assert read_answer(idle)[0].headers["Connection"] == "close"
        assert echo.process.wait(DEADLINE) == 0


def test_who_does_not_end_is_left_behind() -> None:
    """Half a request that never goes on doesn't hold up the end beyond the drain time."""
    with running(drain_seconds=2) as echo, echo.connect() as stuck:
        stuck.sendall(HALF)
        assert echo.get("/")[0].status == 200
        assert echo.end(signal.SIGTERM) == 0
        assert read_to_end_or_reset(stuck) == b""
        assert echo.errors() == ""


def read_to_end_or_reset(sock: socket.socket) -> bytes:
    """Give what comes until the connection ends, in either way."""
    try:
        return read_to_end(sock)
    except ConnectionResetError:
        return b""


def test_a_second_signal_ends_it_at_once() -> None:
    """Someone who presses Ctrl-C while it drains means it."""
    with running(drain_seconds=600) as echo, echo.connect() as stuck:
        stuck.sendall(HALF)
        assert echo.get("/")[0].status == 200
        for worker in echo.workers():
            os.kill(worker, signal.SIGTERM)
        wait_until_not_ready(echo)
        for worker in echo.workers():
            os.kill(worker, signal.SIGINT)
        assert read_to_end_or_reset(stuck) == b""


def wait_until_not_ready(echo: Echo) -> None:
    """Return when the worker that drains says so, or a new one has taken its place."""
    give_up = time.monotonic() + DEADLINE
    while echo.get("/readyz", port=echo.admin_port)[0].status == 200:
        assert time.monotonic() < give_up, f"ready still after {DEADLINE} s"


def test_a_worker_that_is_killed_is_replaced() -> None:
    """Another one serves: that is what gunicorn is there for."""
    with running() as echo:
        assert echo.get("/a")[0].status == 200
        (first,) = echo.workers()
        os.kill(first, signal.SIGKILL)
        assert echo.get("/b")[1] == b"<b>Got: b</b>!"
        assert first not in echo.workers()


def test_a_worker_without_its_arbiter_ends() -> None:
    """Nobody supervises it any more, so it closes its ports."""
    with running() as echo:
        assert echo.get("/a")[0].status == 200
        (worker,) = echo.workers()
        echo.process.kill()
        echo.process.wait(DEADLINE)
        wait_until_closed(echo.port)
        wait_until_closed(echo.admin_port)
        assert worker != echo.process.pid
