"""Access-log output to stdout, without delaying requests."""

import os
import stat
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from app.telemetry.log_thread import COLLECTED, Writer

# Bytes that a pipe accepts atomically (pipe(7)): up to this size, lines of several workers do not mix.
LONGEST: Final = 4096
_MOST: Final = 8 << 20  # maximum buffered bytes; lines above it are dropped and counted

Later = Callable[[float, Callable[[], None]], object]


class Lines:
    """Writer of lines to a descriptor, in pieces of whole lines. No line is longer than `LONGEST`.

    To a pipe, lines are written from the loop, as far as it has room. Anything else might block, and so gets a thread:
    each time the thread continues it takes the interpreter from the loop, which made a minimal response a quarter more
    expensive. `later` schedules a callback on the loop; `report` is called with the reason if writing has failed.
    """

    def __init__(self, descriptor: int, later: Later, report: Callable[[str], None]) -> None:
        self.dropped = 0  # lines
        self._later = later
        self._pipe = _never_waiting(descriptor)
        self._writer = Writer(descriptor, report)
        self._pieces: deque[bytes] = deque()  # pieces for which the pipe had no room
        self._size = 0  # their size in bytes
        self._awaited = False  # a callback is scheduled

    def put(self, lines: bytes) -> None:
        """Write whole lines, or drop them if too much is buffered already."""
        for piece in pieces(lines):
            if self._writer.left + self._size + len(piece) > _MOST:
                self.dropped += piece.count(b"\n")
            else:
                self._pieces.append(piece)
                self._size += len(piece)
        self._write()

    def close(self, seconds: float) -> None:
        """Write the buffered lines, for at most `seconds`."""
        self._leave_to_thread()
        self._writer.close(seconds)

    def _write(self) -> None:
        if self._pipe is None:
            self._leave_to_thread()
        while self._pieces and self._pipe is not None:
            piece = self._pieces[0]
            try:
                os.write(self._pipe, piece)  # atomic: all of the piece or nothing (pipe(7))
            except BlockingIOError:
                self._try_again()
                return
            except OSError:  # no reader any more, which the thread will report
                self._leave_to_thread()
                return
            self._pieces.popleft()
            self._size -= len(piece)

    def _leave_to_thread(self) -> None:
        """Write by the thread from here on."""
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None
        while self._pieces:
            self._writer.put(self._pieces.popleft())
        self._size = 0

    def _try_again(self) -> None:
        if not self._awaited:
            self._awaited = True
            self._later(COLLECTED, self._time_is_come)

    def _time_is_come(self) -> None:
        self._awaited = False
        self._write()


def _never_waiting(descriptor: int) -> int | None:
    """Open a pipe again for non-blocking writes; return None if it is not a pipe, or can't be opened.

    The descriptor's own flags stay unchanged: other processes with this pipe share them (proc_pid_fd(5)).
    """
    with suppress(OSError):
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK)
    return None


def pieces(lines: bytes) -> Iterator[bytes]:
    """Split lines into pieces of whole lines, of at most `LONGEST` bytes. No line is longer."""
    begin, end = 0, len(lines)
    while end - begin > LONGEST:
        cut = lines.rindex(b"\n", begin, begin + LONGEST) + 1
        yield lines[begin:cut]
        begin = cut
    yield lines[begin:]
