"""A real echo: `python -m app` as a process of its own, on free ports.

Every wait has a deadline.
"""

import http.client
import os
import random
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest

from tools.commands import ROOT

DEADLINE = 20.0  # seconds after which a wait has failed
_TRIES = 5  # attempts to do something within a second


def free_ports(count: int) -> list[int]:
    """Return ports that are not in use, on any address.

    They are below the range that the kernel uses for outgoing connections (ip_local_port_range of ip(7)), one of which
    might occupy a port before the echo does. Tests that run in parallel get different ports.
    """
    beside = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 12
    first = 20_000 + 1_000 * beside
    dual = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if dual else socket.AF_INET
    ports: list[int] = []
    with ExitStack() as held:
        for port in random.sample(range(first, first + 1_000), 500):
            try:
                held.enter_context(socket.create_server(("", port), family=family, dualstack_ipv6=dual))
            except OSError:
                continue
            ports.append(port)
            if len(ports) == count:
                return ports
    raise AssertionError("no free ports")


@contextmanager
def closed_port() -> Iterator[int]:
    """Yield a port on which nothing listens, and that nothing else can bind before the end of the block."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def environment(**settings: object) -> dict[str, str]:
    """Return the environment of a process with these settings (`port=1` is ECHO_PORT=1) and no others."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("ECHO_")}
    return bare | {f"ECHO_{name.upper()}": str(value) for name, value in settings.items()}


def children(pid: int) -> list[int]:
    """Return the process ids of a process's children (proc_pid_task_tid_children(5))."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def read_lines(stream: IO[bytes], count: int) -> list[str]:
    """Return the next lines of a process's output; fails at the deadline with the lines read so far."""
    lines: list[str] = []
    give_up = time.monotonic() + DEADLINE
    while len(lines) < count:
        ready, _, _ = select.select([stream], [], [], max(0, give_up - time.monotonic()))
        line = stream.readline() if ready else b""
        assert line, f"expected {count} lines, got {lines}"
        lines.append(line.decode().rstrip("\n"))
    return lines


def ask(
    port: int, path: str, headers: Mapping[str, str] | None = None, *, method: str = "GET"
) -> tuple[http.client.HTTPResponse, bytes]:
    """Send a request to a port of this machine on a connection of its own; return the response and its body."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    try:
        client.request(method, path, headers=dict(headers or {}))
        answer = client.getresponse()
        return answer, answer.read()
    finally:
        client.close()


@dataclass
class Echo:
    """A running echo."""

    process: subprocess.Popen[bytes]
    port: int
    admin_port: int
    announced: list[str] = field(default_factory=list)

    def connect(self) -> socket.socket:
        """Open a connection, with the deadline as timeout of each of its waits."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE)

    def exchange(self, sent: bytes) -> bytes:
        """Send bytes on a connection of their own; return everything received until the echo closes it."""
        with self.connect() as sock:
            sock.sendall(sent)
            return read_to_end(sock)

    def get(
        self, path: str, headers: Mapping[str, str] | None = None, *, port: int | None = None, method: str = "GET"
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """Send a request with an HTTP client; return the response and its body."""
        return ask(port or self.port, path, headers, method=method)

    def ready(self) -> bool:
        """Return whether /readyz responds with 200."""
        return self.get("/readyz", port=self.admin_port)[0].status == 200

    def says(self, count: int = 1) -> list[str]:
        """Return the next lines from stdout."""
        assert self.process.stdout is not None
        return read_lines(self.process.stdout, count)

    def complains(self, count: int) -> list[str]:
        """Return the next lines from stderr."""
        assert self.process.stderr is not None
        return read_lines(self.process.stderr, count)

    def workers(self) -> list[int]:
        """Return the process ids of the workers."""
        return children(self.process.pid)

    def end(self, number: signal.Signals) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(DEADLINE)

    def errors(self) -> str:
        """Return the unread output on stderr, after the process has ended."""
        assert self.process.stderr is not None
        return self.process.stderr.read().decode()


def read_to_end(sock: socket.socket) -> bytes:
    """Return everything received until the peer closes the connection."""
    return b"".join(iter(lambda: sock.recv(65_536), b""))


def is_closed(port: int) -> bool:
    """Return whether nothing listens on the port; a connection that is accepted is read to its end."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            read_to_end(sock)
    except ConnectionError:
        return True
    return False


def handles(pid: int, number: signal.Signals) -> bool:
    """Return whether a process has a handler for a signal (proc_pid_status(5))."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (mask,) = [int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:")]
    return bool(mask >> (number - 1) & 1)


def read_answer(sock: socket.socket) -> tuple[http.client.HTTPResponse, bytes]:
    """Return the next response on a connection that stays open."""
    answer = http.client.HTTPResponse(sock)
    answer.begin()
    return answer, answer.read()


def start(*arguments: str, **given: object) -> subprocess.CompletedProcess[str]:
    """Run `python -m app` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "app", *arguments],
        cwd=ROOT,
        env=environment(**given),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


def end(process: subprocess.Popen[bytes]) -> None:
    """Stop a process of the tests, with SIGKILL if SIGTERM does not stop it."""
    process.terminate()
    try:
        process.wait(DEADLINE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(DEADLINE)


def wait_until(holds: Callable[[], object], what: str) -> None:
    """Check repeatedly until a condition holds; `what` is reported at the deadline."""
    give_up = time.monotonic() + DEADLINE
    while not holds():
        assert time.monotonic() < give_up, f"not so after {DEADLINE} s: {what}"


class LateError(Exception):
    """An action was not done within a second: the machine had no CPU time to spare, so the test proves nothing."""


def in_time(check: Callable[[], None]) -> None:
    """Run a check, and again when it raises `LateError`."""
    for _ in range(_TRIES):
        with suppress(LateError):
            check()
            return
    pytest.fail("the machine has left us no processor for a second, time and again")


@contextmanager
def starting(*launcher: str, **settings: object) -> Iterator[Echo]:
    """Start an echo with these settings; it is always stopped.

    A `launcher` is a command that changes the process environment and then executes the echo, as env and prlimit do.
    """
    ports = dict(zip(("port", "admin_port"), free_ports(2), strict=True)) | settings
    process = subprocess.Popen(
        [*launcher, sys.executable, "-m", "app"],
        cwd=ROOT,
        env=environment(**ports),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,  # unbuffered, so that select sees output that was not read yet
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        try:
            yield Echo(process, int(str(ports["port"])), int(str(ports["admin_port"])))
        finally:
            end(process)


@contextmanager
def running(*launcher: str, **settings: object) -> Iterator[Echo]:
    """Run an echo with these settings, as `starting` does, and yield it once it listens; it is always stopped."""
    with starting(*launcher, **settings) as echo:
        try:
            logs = settings.get("access_log", "off") != "off"  # then stdout carries only the access log
            echo.announced = echo.complains(2) if logs else echo.says(2)
        except AssertionError as error:
            echo.process.kill()
            raise AssertionError(f"{error}; it said: {echo.errors()}") from error
        yield echo
