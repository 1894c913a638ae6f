"""Lines that are written to stdout, where no request waits for who reads them."""

import os
import stat
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from app.telemetry.log_thread import COLLECTED, Writer

# Bytes that a pipe takes in one piece (pipe(7)): the lines of several workers don't mix within it.
LONGEST: Final = 4096
_MOST: Final = 8 << 20  # bytes that may wait to be written; what is more is dropped, and counted

Later = Callable[[float, Callable[[], None]], object]


class Lines:
    """Writes lines to a descriptor, in pieces of whole lines. No line is longer than `LONGEST`.

    To a pipe they are written from the loop, as far as it has room. What is no pipe might let us wait, and so has a
    thread: each time that it goes on it takes the interpreter from the loop, which made a bare answer a quarter dearer.
    `later` calls back on the loop; `report` says why nothing is written any more.
    """

    def __init__(self, descriptor: int, later: Later, report: Callable[[str], None]) -> None:
        self.dropped = 0  # lines
        self._later = later
        self._pipe = _never_waiting(descriptor)
        self._writer = Writer(descriptor, report)
        self._pieces: deque[bytes] = deque()  # for which the pipe had no room
        self._size = 0  # bytes of these
        self._awaited = False  # there is a call to come

    def put(self, lines: bytes) -> None:
        """Write whole lines, or drop them if too much waits already."""
        for piece in pieces(lines):
            if self._writer.left + self._size + len(piece) > _MOST:
                self.dropped += piece.count(b"\n")
            else:
                self._pieces.append(piece)
                self._size += len(piece)
        self._write()

    def close(self, seconds: float) -> None:
        """Write what waits, for so many seconds at most."""
        self._leave_to_thread()
        self._writer.close(seconds)

    def _write(self) -> None:
        if self._pipe is None:
            self._leave_to_thread()
        while self._pieces and self._pipe is not None:
            piece = self._pieces[0]
            try:
                os.write(self._pipe, piece)  # it takes all of it, or nothing (pipe(7))
            except BlockingIOError:
                self._try_again()
                return
            except OSError:  # nobody reads it any more, which the thread will say
                self._leave_to_thread()
                return
            self._pieces.popleft()
            self._size -= len(piece)

    def _leave_to_thread(self) -> None:
        """Let the thread write from here on."""
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
    """Open a pipe once more, so that to write to it never waits; None for what is no pipe, or may not be opened.

    The descriptor itself is left as it is: whoever else has this pipe shares its flags (proc_pid_fd(5)).
    """
    with suppress(OSError):
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK)
    return None


def pieces(lines: bytes) -> Iterator[bytes]:
    """Give whole lines together, as many as go in `LONGEST` bytes. No line is longer."""
    begin, end = 0, len(lines)
    while end - begin > LONGEST:
        cut = lines.rindex(b"\n", begin, begin + LONGEST) + 1
        yield lines[begin:cut]
        begin = cut
    yield lines[begin:]
