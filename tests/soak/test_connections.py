"""Idle and slow connections, which must not slow down other clients."""

import select
import socket
import time
from collections.abc import Sequence
from contextlib import ExitStack

from tests.http.process import DEADLINE, Echo, running
from tools.commands import Say

_IDLE, _SLOW = 2000, 200
_SLICE = 3.0  # seconds of sending requests
_GET = b"GET /other HTTP/1.1\r\nHost: a\r\n\r\n"
_BEGUN = b"GET / HTTP/1.1\r\nHost: a\r\nX: "


def answers(echo: Echo, slow: Sequence[socket.socket] = ()) -> int:
    """Send requests one by one for a while; return the number of responses. After each, a slow client sends a byte."""
    count, end = 0, time.monotonic() + _SLICE
    with echo.connect() as sock:
        while time.monotonic() < end:
            sock.sendall(_GET)
            assert sock.recv(4096).endswith(b"<b>Got: other</b>!")
            if slow:
                slow[count % len(slow)].sendall(b"y")
            count += 1
    return count


def test_idle_and_slow_clients_take_nothing_from_others(say: Say) -> None:
    """Beside 2,000 idle and 200 slow connections, others have at least half of their throughput.

    A slow one sends a byte of its request head now and then. The throughput is measured four times with them and four
    times without, so that a busy machine affects both.
    """
    with running(header_timeout=600, idle_timeout=600) as echo:
        answers(echo)
        alone = beside = 0
        for _ in range(4):
            alone += answers(echo)
            with ExitStack() as opened:
                for _ in range(_IDLE):
                    opened.enter_context(echo.connect())
                slow = [opened.enter_context(echo.connect()) for _ in range(_SLOW)]
                for sock in slow:
                    sock.sendall(_BEGUN)
                beside += answers(echo, slow)
                assert echo.get("/new")[1] == b"<b>Got: new</b>!"
        say(f"{alone} answers alone, {beside} beside {_IDLE} idle and {_SLOW} slow connections")
        assert beside > alone / 2


def test_a_client_that_does_not_read_costs_no_memory_and_loses_nothing() -> None:
    """It pipelines until its responses fill every buffer; echo stops reading, and resumes when the client reads."""
    with running() as echo, socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # before connecting, because it limits the window
        sock.connect(("127.0.0.1", echo.port))
        sent = 0
        while select.select([], [sock], [], 1)[1]:
            sent += sock.send(_GET * 1000)
        assert echo.get("/others")[1] == b"<b>Got: others</b>!"
        sock.settimeout(DEADLINE)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        count, tail = 0, b""
        while count < sent // len(_GET):
            piece = sock.recv(1 << 20)
            assert piece, "the connection was closed"
            count += (tail + piece).count(b"</b>!")
            tail = piece[-4:]
