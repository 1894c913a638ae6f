"""Signals that are ignored, and the SIGHUP of a closed terminal."""

import os
import pty
import select
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.server.process.signals import UNUSED_SIGNALS
from tests.http.process import (
    DEADLINE,
    ask,
    children,
    environment,
    free_ports,
    handles,
    is_closed,
    running,
    starting,
    wait_until,
)
from tools.commands import ROOT


def replace_a_worker(workers: Callable[[], list[int]]) -> None:
    """Kill the first worker and wait for its successor: the arbiter has handled all earlier signals then."""
    killed, *others = before = workers()
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: killed not in workers() and len(workers()) == len(before), "another one is there")
    assert set(others) < set(workers()), "the others are still there"


def test_sighup_and_unused_signals_change_nothing() -> None:
    """Sent to the arbiter and to each worker, as `kill` to all processes does, they are ignored; SIGTERM still stops.

    The same processes serve afterwards, and nothing is reported.
    """
    with running(workers=2) as echo:
        assert echo.get("/")[0].status == 200
        wait_until(lambda: len(echo.workers()) == 2, "both workers are there")
        workers = echo.workers()
        for pid in (echo.process.pid, *workers):
            for number in (signal.SIGHUP, *UNUSED_SIGNALS):
                os.kill(pid, number)
        assert echo.get("/a")[1] == b"<b>Got: a</b>!"
        assert echo.workers() == workers
        replace_a_worker(echo.workers)
        assert echo.get("/b")[1] == b"<b>Got: b</b>!"
        assert echo.end(signal.SIGTERM) == 0
        (said,) = echo.errors().splitlines()
        assert f"Worker (pid:{workers[0]}) was sent SIGKILL!" in said


def test_sighup_during_startup_is_ignored() -> None:
    """A SIGHUP during the imports does not end the process."""
    with starting() as echo:
        wait_until(lambda: handles(echo.process.pid, signal.SIGTERM), "it handles signals")
        echo.process.send_signal(signal.SIGHUP)
        assert echo.says(2)[1].startswith("Try: ")
        assert echo.get("/a")[1] == b"<b>Got: a</b>!"
        assert echo.end(signal.SIGTERM) == 0
        assert echo.errors() == ""


class AtTerminal:
    """An echo at a terminal of its own, as a person starts it."""

    def __init__(self) -> None:
        self.is_closed = False
        self.port, admin_port = free_ports(2)
        self.pid, self._terminal = pty.fork()
        if self.pid == 0:  # the child becomes the echo
            os.chdir(ROOT)
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as a shell has it, even if the tests were started by nohup
            changed = environment(port=self.port, admin_port=admin_port)
            os.execve(sys.executable, [sys.executable, "-m", "app"], changed)  # noqa: S606 - no shell

    def wait_until_listening(self) -> None:
        """Read what it prints until it has announced its port."""
        said = b""
        while b"Try: " not in said:
            assert select.select([self._terminal], [], [], DEADLINE)[0], said
            said += os.read(self._terminal, 1024)

    def close(self) -> int:
        """Close the terminal; return the echo's exit code. An echo that does not end is killed."""
        os.close(self._terminal)
        with os.fdopen(os.pidfd_open(self.pid)) as process:
            if not select.select([process], [], [], DEADLINE)[0]:
                os.kill(self.pid, signal.SIGKILL)
        self.is_closed = True
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@contextmanager
def at_terminal() -> Iterator[AtTerminal]:
    """Start an echo at a terminal; both end with the block."""
    echo = AtTerminal()
    try:
        yield echo
    finally:
        if not echo.is_closed:
            os.kill(echo.pid, signal.SIGKILL)
            echo.close()


def test_sighup_ends_it_only_if_the_terminal_was_closed() -> None:
    """At an open terminal, SIGHUP is ignored; that of a closed one shuts down, so that no port stays occupied."""
    with at_terminal() as echo:
        echo.wait_until_listening()
        assert ask(echo.port, "/a")[1] == b"<b>Got: a</b>!"
        os.kill(echo.pid, signal.SIGHUP)
        replace_a_worker(lambda: children(echo.pid))
        assert ask(echo.port, "/b")[1] == b"<b>Got: b</b>!"
        assert echo.close() == 0
        assert is_closed(echo.port)


def test_a_terminal_closed_during_startup_ends_it() -> None:
    """During the imports, too, SIGHUP is ignored at an open terminal, and exits with code 0 at a closed one."""
    with at_terminal() as echo:
        wait_until(lambda: handles(echo.pid, signal.SIGHUP), "it handles signals")
        os.kill(echo.pid, signal.SIGHUP)
        echo.wait_until_listening()
    with at_terminal() as echo:
        wait_until(lambda: handles(echo.pid, signal.SIGHUP), "it handles signals")
        assert echo.close() == 0
        assert is_closed(echo.port)
