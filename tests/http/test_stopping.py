"""Graceful shutdown: no accepted request is lost.

It takes no longer than the drain time.
"""

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from app.server.state import SHUTDOWN_GRACE
from tests.http.certificates import Secret
from tests.http.process import (
    DEADLINE,
    Echo,
    LateError,
    handles,
    in_time,
    is_closed,
    read_to_end,
    running,
    starting,
    wait_until,
)
from tests.http.raw_http2 import opening, request
from tests.http.under_way import HALF, everything


def ends_or_is_reset(sock: socket.socket) -> bool:
    """Return whether the connection ends or is reset, with nothing received before."""
    try:
        return read_to_end(sock) == b""
    except ConnectionResetError:
        return True


def with_half_a_body(echo: Echo) -> socket.socket:
    """Return a connection with an incomplete request that the echo has begun to read."""
    sock = echo.connect()
    sock.sendall(HALF)
    assert echo.get("/")[0].status == 200, "a later request was answered, so this one has been taken"
    return sock


def test_what_was_accepted_is_answered(tmp_path: Path) -> None:
    """During the drain, readiness fails, the listener closes, and the admin port stays open.

    All activities end as they must, with exit code 0; a second SIGTERM or a SIGHUP meanwhile has no effect.
    """
    secret = Secret(tmp_path)

    def check() -> None:
        with running(**secret.settings, drain_seconds=DEADLINE) as echo:
            with everything(echo) as under_way:
                told = time.monotonic()
                echo.process.send_signal(signal.SIGTERM)
                wait_until(lambda: not echo.ready(), "readiness fails")
                echo.process.send_signal(signal.SIGTERM)
                echo.process.send_signal(signal.SIGHUP)
                under_way.ask(told)
            assert under_way.failed == {}
            assert echo.process.wait(DEADLINE) == 0
            assert echo.errors() == ""

    in_time(check)


def test_readiness_fails_before_the_listener_closes() -> None:
    """Readiness fails before the listener closes, so that load balancers can react; the admin port works to the end."""
    with running(drain_seconds=DEADLINE) as echo, with_half_a_body(echo) as busy:
        echo.process.send_signal(signal.SIGTERM)
        wait_until(lambda: is_closed(echo.port), "the listener closes")
        ready, told = echo.get("/readyz", port=echo.admin_port)
        assert (ready.status, told) == (503, b'{"status":"draining"}\n')
        assert echo.get("/livez", port=echo.admin_port)[0].status == 200
        busy.sendall(b"2")
        assert read_to_end(busy).endswith(b"<b>Got: half</b>!")
        assert echo.process.wait(DEADLINE) == 0


@pytest.mark.parametrize(
    ("number", "workers"), [(signal.SIGTERM, 2), (signal.SIGINT, 1), (signal.SIGINT, 2), (signal.SIGQUIT, 2)]
)
def test_it_ends_cleanly_by_any_signal_that_asks_for_it(number: signal.Signals, workers: int) -> None:
    """Each signal for a shutdown ends the echo with exit code 0 and no output."""
    with running(workers=workers) as echo:
        assert echo.get("/")[0].status == 200
        assert echo.end(number) == 0
        assert echo.errors() == ""


def test_a_stop_before_it_listens_is_a_stop() -> None:
    """SIGTERM during the imports ends the process with exit code 0, and nothing is started."""
    with starting() as echo:
        wait_until(lambda: handles(echo.process.pid, signal.SIGTERM), "it handles signals")
        assert echo.end(signal.SIGTERM) == 0
        assert (echo.process.stdout.read() if echo.process.stdout else None, echo.errors()) == (b"", "")


def test_a_stop_during_the_start_is_a_stop() -> None:
    """SIGTERM ends the echo if the ports are open and the worker does not handle signals yet."""
    for _ in range(3):
        with running(drain_seconds=600) as echo:
            assert echo.end(signal.SIGTERM) == 0


@pytest.mark.parametrize(
    ("first", "late"),
    [
        (b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n", b"POST /late HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
        (opening(), request(b"/late", 1)),
    ],
    ids=["HTTP/1.1", "HTTP/2"],
)
def test_what_has_come_is_read_before_idle_connections_are_left(first: bytes, late: bytes) -> None:
    """Received requests are read before idle connections close, even by a worker without CPU time in the last second.

    A worker's timers run before its sockets.
    """

    def check() -> None:
        with running(drain_seconds=DEADLINE) as echo, echo.connect() as idle:
            idle.sendall(first)
            assert echo.get("/")[0].status == 200, "a later request was answered, so this one was, too"
            (worker,) = echo.workers()
            told = time.monotonic()
            echo.process.send_signal(signal.SIGTERM)
            wait_until(lambda: is_closed(echo.port), "the listener closes")
            os.kill(worker, signal.SIGSTOP)
            try:
                if time.monotonic() > told + SHUTDOWN_GRACE:
                    raise LateError
                idle.sendall(late)
                time.sleep(1.5 * SHUTDOWN_GRACE)  # nothing can be waited for while the worker is stopped
            finally:
                os.kill(worker, signal.SIGCONT)
            assert b"<b>Got: late</b>!" in read_to_end(idle)
            assert echo.process.wait(DEADLINE) == 0

    in_time(check)


def test_who_does_not_end_is_left_behind() -> None:
    """An incomplete request does not delay the shutdown beyond the drain time."""
    with running(drain_seconds=1) as echo, with_half_a_body(echo) as stuck:
        assert echo.end(signal.SIGTERM) == 0
        assert ends_or_is_reset(stuck)
        assert echo.errors() == ""


def test_who_presses_ctrl_c_while_it_drains_means_it() -> None:
    """SIGINT during the drain ends the echo at once, and drops the activities in progress."""
    with running(drain_seconds=600) as echo, with_half_a_body(echo) as stuck:
        echo.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not echo.ready(), "readiness fails")
        assert echo.end(signal.SIGINT) == 0
        assert ends_or_is_reset(stuck)
        assert echo.errors() == ""
