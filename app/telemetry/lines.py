"""Lines that are written to stdout, where no request waits for who reads them."""

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from app.telemetry.writer import Writer

# Bytes that a pipe takes in one piece (pipe(7)): the lines of several workers don't mix within it.
LONGEST: Final = 4096
_MOST: Final = 8 << 20  # bytes that may wait to be written; what is more is dropped, and counted


class Lines:
    """Writes lines to a descriptor, in pieces of whole lines. No line is longer than `LONGEST`.

    A pipe takes a piece at once as long as it has room. When it has none, or it is no pipe and might let us wait, a
    thread writes: not always, since each time that it goes on it takes the interpreter from the loop, which made a bare
    answer a quarter dearer. `report` says why nothing is written any more.
    """

    def __init__(self, descriptor: int, report: Callable[[str], None]) -> None:
        self.dropped = 0  # lines
        self._pipe = _never_waiting(descriptor)
        self._writer = Writer(descriptor, report)

    def put(self, lines: bytes) -> None:
        """Write whole lines, or drop them if too much waits already."""
        for piece in pieces(lines):
            left = self._writer.left
            if left + len(piece) > _MOST:
                self.dropped += piece.count(b"\n")
            elif left or not self._takes(piece):
                self._writer.put(piece)

    def close(self, seconds: float) -> None:
        """Write what waits, for so many seconds at most."""
        self._writer.close(seconds)
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None

    def _takes(self, piece: bytes) -> bool:
        """Tell whether the pipe has taken a piece: it takes all of it, or nothing (pipe(7))."""
        if self._pipe is not None:
            with suppress(OSError):  # it is full; or nobody reads it any more, which the thread will say
                os.write(self._pipe, piece)
                return True
        return False


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
