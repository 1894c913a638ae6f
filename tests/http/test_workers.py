"""Workers that end unexpectedly, or fail to start.

The other workers continue.
"""

import os
import re
import resource
import signal
import socket
from contextlib import ExitStack
from pathlib import Path

from tests.http.process import Echo, is_closed, read_answer, read_to_end, running, wait_until

GET = b"GET /kept HTTP/1.1\r\nHost: a\r\n\r\n"


def who_serves(echo: Echo, sock: socket.socket) -> int:
    """Return the worker that serves a connection, by the inode of its socket (proc_pid_net(5), proc_pid_fd(5)).

    The kernel makes the table page by page: one that changes meanwhile may lack a line or repeat it.
    """
    ends = re.compile(rf":{echo.port:04X} [0-9A-F]+:{sock.getsockname()[1]:04X} \S+ \S+ \S+ \S+ +\d+ +\d+ (\d+)")
    inodes: set[str] = set()

    def is_listed() -> bool:
        inodes.update(ends.findall(Path("/proc/net/tcp").read_text()))
        return bool(inodes)

    wait_until(is_listed, "the connection is in /proc/net/tcp")
    (inode,) = inodes
    (worker,) = [pid for pid in echo.workers() if f"socket:[{inode}]" in descriptors(pid)]
    return worker


def descriptors(pid: int) -> list[str]:
    """Return the open files of a process."""
    return [str(each.readlink()) for each in Path(f"/proc/{pid}/fd").iterdir()]


def test_a_worker_that_is_killed_is_replaced() -> None:
    """A killed worker's connections end and it is replaced; others keep theirs, and no request is refused."""
    with running(workers=2) as echo, ExitStack() as stack:
        by_worker: dict[int, list[socket.socket]] = {}

        def both_have_connections() -> bool:
            sock = stack.enter_context(echo.connect())
            sock.sendall(GET)
            assert read_answer(sock)[1] == b"<b>Got: kept</b>!"
            by_worker.setdefault(who_serves(echo, sock), []).append(sock)
            return len(by_worker) == 2

        wait_until(both_have_connections, "each worker has a connection")
        killed, other = by_worker
        os.kill(killed, signal.SIGKILL)
        for sock in by_worker[killed]:
            assert is_cut(sock)
        wait_until(lambda: killed not in echo.workers(), "it is gone")
        for number in range(10):
            assert echo.get(f"/{number}")[1] == b"<b>Got: %d</b>!" % number
        wait_until(lambda: len(echo.workers()) == 2, "another one is there")
        for sock in by_worker[other]:
            sock.sendall(GET)
            assert read_answer(sock)[1] == b"<b>Got: kept</b>!"
        assert echo.end(signal.SIGTERM) == 0
        (told,) = echo.errors().splitlines()
        assert f"Worker (pid:{killed}) was sent SIGKILL!" in told


def told(echo: Echo, metric: str) -> float:
    """Return the value of a metric without labels."""
    (value,) = re.findall(rf"^{metric} (\S+)$", echo.get("/metrics", port=echo.admin_port)[1].decode(), re.MULTILINE)
    return float(value)


def test_a_worker_that_can_not_be_made_ends_nobody() -> None:
    """If a worker cannot be started, for example without free file descriptors, the others serve until it can be."""
    with running(workers=2) as echo:
        wait_until(lambda: told(echo, "echo_workers") == 2, "both serve, and have said so")
        killed, other = echo.workers()
        pid = echo.process.pid
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, hard))
        os.kill(killed, signal.SIGKILL)
        gone, elsewhere, said = echo.complains(3)
        assert f"Worker (pid:{killed}) was sent SIGKILL!" in gone
        assert "failed to create a heartbeat file in /dev/shm" in elsewhere
        assert "failed to start a worker: failed to create a heartbeat file in" in said
        assert echo.get("/a")[1] == b"<b>Got: a</b>!"
        assert echo.workers() == [other]
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        wait_until(lambda: len(echo.workers()) == 2, "another one is there")
        wait_until(lambda: told(echo, "echo_workers") == 2, "it serves")
        assert told(echo, "echo_worker_starts_total") == 3
        assert echo.end(signal.SIGTERM) == 0


def test_a_new_worker_that_fails_at_its_start_ends_nobody() -> None:
    """Others survive a worker that fails during its start, although Gunicorn by itself stops all.

    Gunicorn shuts down if a worker ends before it has "booted".
    """
    with running(workers=2) as echo:
        wait_until(lambda: told(echo, "echo_workers") == 2, "both serve, and have said so")
        killed, other = echo.workers()
        pid = echo.process.pid
        soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        files = len(descriptors(pid)) + 4  # enough for a worker, not for its event loop
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (files, hard))
        os.kill(killed, signal.SIGKILL)
        lines = echo.complains(2)
        while "exited with code" not in lines[-1]:  # after a traceback
            lines += echo.complains(1)
            assert len(lines) < 500
        assert lines[-1].endswith("exited with code 255.")
        assert other in echo.workers()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
        wait_until(lambda: told(echo, "echo_workers") == 2, "another one serves")
        assert told(echo, "echo_worker_starts_total") >= 3
        assert echo.get("/a")[1] == b"<b>Got: a</b>!"
        assert echo.end(signal.SIGTERM) == 0


def is_cut(sock: socket.socket) -> bool:
    """Return whether the connection ends without a response."""
    try:
        return read_to_end(sock) == b""
    except ConnectionResetError:
        return True


def test_a_worker_without_its_arbiter_ends() -> None:
    """A worker whose arbiter was killed closes its ports and ends, because nothing supervises it."""
    with running() as echo:
        assert echo.get("/a")[0].status == 200
        echo.process.kill()
        wait_until(lambda: is_closed(echo.port) and is_closed(echo.admin_port), "both ports are closed")
