"""Faults in echo's environment: descriptors, files, network, clock.

They are: no descriptor left, /dev/shm full, clients that vanish, a clock that is set, a standstill.
"""

import ctypes
import json
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from app.bootstrap import HANG_TIMEOUT
from tests.http import raw_http2
from tests.http.process import DEADLINE, Echo, environment, free_ports, read_answer, running
from tests.http.programs import missing
from tests.http.raw_websocket import HANDSHAKE
from tools.commands import ROOT

_LISTENING, _NOBODYS = "0A", "0"
GET = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"


def descriptors(echo: Echo) -> int:
    """Return the number of descriptors that its only worker has open."""
    (worker,) = echo.workers()
    return sum(1 for _ in Path(f"/proc/{worker}/fd").iterdir())


def connected(echo: Echo) -> int:
    """Return the number of kernel connections to its port that belong to a process of its side (proc(5), net/tcp)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    local = f":{echo.port:04X}"
    return sum(1 for row in rows if row[1].endswith(local) and row[3] != _LISTENING and row[9] != _NOBODYS)


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds; fail at the deadline."""
    give_up = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < give_up, what
        select.select([], [], [], 0.02)


def served(sock: socket.socket, number: int) -> bool:
    """Return whether a connection is served; otherwise it was closed without a response."""
    try:
        sock.sendall(GET % number)
        return sock.recv(4096).endswith(b"<b>Got: %d</b>!" % number)
    except ConnectionError:
        return False


def test_without_descriptors_others_are_served_and_new_ones_when_there_are_some_again() -> None:
    """A connection is closed if none is left; the worker does not end, spin, or log it a thousand times."""
    with running() as echo:
        assert echo.get("/")[0].status == 200
        (worker,) = echo.workers()
        before = descriptors(echo)
        room = 10
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (before + room, before + room))
        with ExitStack() as opened:
            socks = [opened.enter_context(echo.connect()) for _ in range(4 * room)]
            happy = [sock for sock in socks if served(sock, 1)]
            assert room - 2 <= len(happy) <= room + 2
            begun = cpu_seconds(worker)
            assert all(served(sock, 2) for sock in happy * 20), "others are served"
            assert cpu_seconds(worker) - begun < 5, "for 200 answers"
        until(lambda: descriptors(echo) <= before, "its descriptors are free again")
        with echo.connect() as sock:
            assert served(sock, 3)
        assert echo.workers() == [worker]
        echo.process.terminate()
        assert echo.process.wait(DEADLINE) == 0
        assert len(echo.errors().splitlines()) <= 1


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process (proc(5), stat)."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def test_fewer_connections_are_taken_where_fewer_files_may_be_open() -> None:
    """One sentence says so at the start; one more connection receives 503, and probes are still answered."""
    with running("prlimit", "--nofile=64:64") as echo:
        with ExitStack() as opened:
            socks = [opened.enter_context(echo.connect()) for _ in range(32)]
            assert all(served(sock, 1) for sock in socks)
            for _ in range(3):
                answer, _body = read_answer(opened.enter_context(echo.connect()))
                assert answer.status == 503
            assert echo.get("/readyz", port=echo.admin_port)[0].status == 200
        echo.process.terminate()
        assert echo.process.wait(DEADLINE) == 0
        first, full = echo.errors().splitlines()
    assert first == ("echo: ECHO_MAX_CONNECTIONS=10000 is reduced to 32: the limit of open files is 64 (ulimit -n)")
    assert full.endswith("connection limit reached: 32 open (ECHO_MAX_CONNECTIONS); rejecting new ones with 503")


FULL = "mount -t tmpfs -o nr_inodes=1 full /dev/shm && "
NOTHING_ELSE = (
    'mount --bind "$PWD" /mnt && mount -o remount,bind,ro /mnt && cd /mnt &&'
    # Read-only, not empty, because echo itself may be there.
    " for each in /var/tmp /tmp; do mount --bind $each $each && mount -o remount,bind,ro $each; done && "
)


def in_mounts(script: str) -> tuple[str, ...]:
    """Return the prefix that runs a command after a script, in its own mount namespace, which only root may create."""
    if os.geteuid():
        missing("mounts can only be made by root")
    return ("unshare", "--mount", "sh", "-c", script + 'exec "$@"', "sh")


def test_a_full_dev_shm_is_said_and_heartbeats_go_elsewhere() -> None:
    """The message is logged at the start and when a worker is replaced."""
    with running(*in_mounts(FULL)) as echo:
        assert echo.get("/a")[1] == b"<b>Got: a</b>!"
        (worker,) = echo.workers()
        os.kill(worker, signal.SIGKILL)
        until(lambda: echo.workers() not in ([], [worker]), "another worker comes")
        assert echo.get("/b")[1] == b"<b>Got: b</b>!"
        assert echo.end(signal.SIGTERM) == 0
        said = echo.errors()
    assert (
        said.count(
            "failed to create a heartbeat file in /dev/shm: No space left on device; using the temporary directory"
        )
        == 2
    )
    assert "Traceback" not in said


def test_without_any_place_for_heartbeats_the_start_ends_with_a_sentence() -> None:
    """An example is a read-only root file system."""
    command = [*in_mounts(FULL + NOTHING_ELSE), str(Path(sys.executable).resolve()), "-m", "app"]
    free = dict(zip(("port", "admin_port"), free_ports(2), strict=True))
    paths = os.pathsep.join(path for path in sys.path if path)
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(**free) | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 1
    assert "failed to create a heartbeat file in /dev/shm and in the temporary directory" in done.stderr
    assert "Traceback" not in done.stderr


def vanish(sock: socket.socket) -> None:
    """Make a client vanish as if it had lost its network: it receives and sends nothing, no FIN, no RST, no ACK.

    A filter drops every packet for its socket (socket(7), SO_ATTACH_FILTER; `BPF_RET` of 0 bytes).
    """
    code = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))
    program = struct.pack("HxxxxxxP", 1, ctypes.addressof(code))
    sock.setsockopt(socket.SOL_SOCKET, 26, program)  # SO_ATTACH_FILTER


VANISHED = {
    "idle": GET % 1,
    "within a head": GET[:20],
    "within a body": b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx",
    "within a large answer": b"GET /?echo_size=100MiB HTTP/1.1\r\nHost: a\r\n\r\n",
    "within events": b"GET /?echo_format=events&echo_size=100MiB&echo_drip=60s HTTP/1.1\r\nHost: a\r\n\r\n",
    "a WebSocket": HANDSHAKE,
    "HTTP/2": raw_http2.opening(),
}


def test_a_client_that_vanishes_holds_no_descriptor_for_longer_than_its_time() -> None:
    """It does not matter what was in progress: no FIN and no RST is ever received."""
    with running(idle_timeout=3, header_timeout=1, body_timeout=1) as echo, ExitStack() as opened:
        socks = [opened.enter_context(echo.connect()) for _ in VANISHED]
        until(lambda: connected(echo) == len(VANISHED), "each is accepted")
        for sock, sent in zip(socks, VANISHED.values(), strict=True):
            sock.sendall(sent)
            vanish(sock)
        until(lambda: not connected(echo), "each is closed")
        assert echo.get("/")[0].status == 200
        assert len(echo.workers()) == 1


# Shifts the wall clock of a process by the seconds in a file; the code that follows it is run with that.
SET_CLOCK = """
import runpy, sys, time
wall, path = time.time, sys.argv[1]
time.time = lambda: wall() + float(open(path).read())
sys.argv[:] = ["app"]
runpy.run_module("app", run_name="__main__")
"""


def test_a_clock_that_is_set_shows_and_ends_nothing(tmp_path: Path) -> None:
    """Dates are those of the clock; connections, delays and heartbeats use a monotonic one."""
    clock = tmp_path / "clock"
    clock.write_text("0")
    with running(sys.executable, "-c", SET_CLOCK, str(clock), idle_timeout=3) as echo, echo.connect() as kept:
        assert echo.get("/")[0].status == 200
        (worker,) = echo.workers()
        for change in (0, -86_400, 86_400, -7 * 86_400):
            clock.write_text(str(change))
            kept.sendall(b"GET /?echo_delay=10ms HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n\r\n")
            answer, body = read_answer(kept)
            told = parsedate_to_datetime(answer.headers["Date"]).timestamp()
            reflected = datetime.fromisoformat(json.loads(body)["time"]).timestamp()
            for seen in (told, reflected):
                assert abs(seen - change - time.time()) < 60, f"the clock that was set by {change} s"
        assert kept.recv(1) == b"", "an idle connection ends in its time"
        assert echo.workers() == [worker]
        assert echo.end(signal.SIGTERM) == 0
        assert echo.errors() == ""


# Bytes that the client sends before the standstill, and during it.
STANDING_STILL = {
    "idle": (GET % 1, GET % 2),
    "within a head": ((GET % 2)[:9], (GET % 2)[9:]),
    "within a body": (b"PUT /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx", b"y"),
    "within a delay": (b"GET /2?echo_delay=2s HTTP/1.1\r\nHost: a\r\n\r\n", b""),
}


def test_a_standstill_of_all_processes_loses_nothing() -> None:
    """It is like a paused container, or a migrated machine, for longer than any timeout of a worker or client.

    Received data is read before a timeout applies, and no worker is treated as hung.
    """
    with running(header_timeout=HANG_TIMEOUT / 2, body_timeout=HANG_TIMEOUT / 2) as echo, ExitStack() as opened:
        socks = [opened.enter_context(echo.connect()) for _ in STANDING_STILL]
        for sock, (sent, _) in zip(socks, STANDING_STILL.values(), strict=True):
            sock.sendall(sent)
        assert read_answer(socks[0])[0].status == 200
        assert echo.get("/")[0].status == 200, "a later request was answered, so the others were taken"
        processes = [echo.process.pid, *echo.workers()]
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        try:
            for sock, (_, sent) in zip(socks, STANDING_STILL.values(), strict=True):
                sock.sendall(sent)
            time.sleep(HANG_TIMEOUT + 2)  # the standstill itself: longer than the arbiter waits for a heartbeat
        finally:
            for pid in processes:
                os.kill(pid, signal.SIGCONT)
        for what, sock in zip(STANDING_STILL, socks, strict=True):
            answer, body = read_answer(sock)
            assert (answer.status, body) == (200, b"<b>Got: 2</b>!"), what
        assert [echo.process.pid, *echo.workers()] == processes
        assert echo.end(signal.SIGTERM) == 0
        assert echo.errors() == ""
