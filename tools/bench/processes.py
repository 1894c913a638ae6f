"""Measured processes: their processors, CPU time, memory and end."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from tests.memory import shares
from tools.commands import ROOT

_TICK: Final = 1 / os.sysconf("SC_CLK_TCK")  # seconds
_START_DEADLINE: Final = 30.0  # seconds
_LAST: Final = 4_000  # bytes of a process's output that show why it failed
_PAUSE: Final = 0.002  # seconds between two checks of a process that starts


class ProcessError(Exception):
    """A process did not start; the message has its command and its output."""


@dataclass(frozen=True)
class Cores:
    """The processors of the measured server, and those of the load generator; the same one if there is no other."""

    server: int
    load: int
    all: tuple[int, ...]


def cores() -> Cores:
    """Return the processors that we may use."""
    allowed = tuple(sorted(os.sched_getaffinity(0)))
    return Cores(allowed[0], allowed[-1], allowed)


def on(where: int | Sequence[int], command: Sequence[str]) -> list[str]:
    """Return the command that runs another one on these processors only."""
    listed = [where] if isinstance(where, int) else where
    return ["taskset", "--cpu-list", ",".join(map(str, listed)), *command]


def tree(pid: int) -> list[int]:
    """Return a process and all its running descendants."""
    found = [pid]
    for each in found:
        with suppress(OSError):
            for children in Path(f"/proc/{each}/task").glob("*/children"):
                found += map(int, children.read_text().split())
    return found


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and all its descendants, user and system, including those that have ended.

    Fields 14 to 17 of proc(5), stat: in ticks, whose sum the kernel keeps in nanoseconds.
    """
    ticks = 0
    for each in tree(pid):
        with suppress(OSError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks * _TICK


def memory(pid: int) -> int:
    """Return the memory in bytes of a process and all its descendants; shared memory counts once, by shares (PSS)."""
    total = 0
    for each in tree(pid):
        with suppress(OSError):
            total += shares(each).get("Pss", 0)  # a process that has just ended has none
    return total


class Started(NamedTuple):
    """A process, and the seconds until its first response."""

    process: subprocess.Popen[bytes]
    seconds: float


@contextmanager
def started(
    command: Sequence[str], environ: Mapping[str, str], reader: Sequence[str], answers: Callable[[], bool]
) -> Iterator[Started]:
    """Run a process until the context exits, yielding when it `answers`; nothing of it remains afterwards.

    Its output is read from a pipe by another process, as a container's is, and the last part is stored: `reader` is the
    prefix of that process' command, `tail`. Raise `ProcessError` if it does not start.
    """
    tail = [*reader, "tail", f"--bytes={_LAST}"]
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(tail, stdin=subprocess.PIPE, stdout=said, process_group=0) as log,
    ):
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=log.stdin,
            stderr=subprocess.STDOUT,
            process_group=0,  # Ctrl-C is handled by this process
        )
        assert log.stdin is not None
        log.stdin.close()  # the process has its own copy
        try:
            fault = _fault(process, answers)
            if not fault:
                yield Started(process, time.perf_counter() - began)
        finally:
            end(process)
        if fault:
            log.wait()  # it has read everything, because no writer is left
            said.seek(0)
            raise ProcessError(f"{' '.join(command)}: {fault}\n{said.read().decode(errors='replace')}")


def _fault(process: subprocess.Popen[bytes], answers: Callable[[], bool]) -> str:
    give_up = time.monotonic() + _START_DEADLINE
    while not answers():
        try:
            return f"has ended with code {process.wait(_PAUSE)}"
        except subprocess.TimeoutExpired:
            if time.monotonic() > give_up:
                return f"does not respond after {_START_DEADLINE:.0f} s"
    return ""


def end(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """Kill a process that leads a group, and all of that group, at once: they have no state to save."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
