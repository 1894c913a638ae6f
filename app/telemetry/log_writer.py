"""Access-log output to stdout, without delaying requests."""

import os
import stat
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from app.telemetry.log_thread import BATCH_SECONDS, WriterThread

# Bytes that a pipe accepts atomically (pipe(7)): up to this size, lines of several workers do not mix.
MAX_LINE: Final = 4096
_MAX_BUFFERED: Final = 8 << 20  # maximum buffered bytes; lines above it are dropped and counted

CallLater = Callable[[float, Callable[[], None]], object]


class LogWriter:
    """Writer of lines to a descriptor, in pieces of whole lines. No line is longer than `MAX_LINE`.

    To a pipe, lines are written from the loop, as far as it has room. Anything else might block, and so gets a thread:
    each time the thread continues it takes the interpreter from the loop, which made a minimal response a quarter more
    expensive. `call_later` schedules a callback on the loop; `report` is called with the reason if writing has failed.
    """

    def __init__(self, descriptor: int, call_later: CallLater, report: Callable[[str], None]) -> None:
        self.dropped_lines = 0  # lines
        self._call_later = call_later
        self._pipe = _open_nonblocking(descriptor)
        self._thread = WriterThread(descriptor, report)
        self._pieces: deque[bytes] = deque()  # pieces for which the pipe had no room
        self._size = 0  # their size in bytes
        self._is_scheduled = False  # a callback is scheduled

    def write_lines(self, lines: bytes) -> None:
        """Write whole lines, or drop them if too much is buffered already."""
        for piece in split_lines(lines):
            if self._thread.pending_bytes + self._size + len(piece) > _MAX_BUFFERED:
                self.dropped_lines += piece.count(b"\n")
            else:
                self._pieces.append(piece)
                self._size += len(piece)
        self._write()

    def close(self, seconds: float) -> None:
        """Write the buffered lines, for at most `seconds`."""
        self._switch_to_thread()
        self._thread.close(seconds)

    def _write(self) -> None:
        if self._pipe is None:
            self._switch_to_thread()
        while self._pieces and self._pipe is not None:
            piece = self._pieces[0]
            try:
                os.write(self._pipe, piece)  # atomic: all of the piece or nothing (pipe(7))
            except BlockingIOError:
                self._schedule_write()
                return
            except OSError:  # no reader any more, which the thread will report
                self._switch_to_thread()
                return
            self._pieces.popleft()
            self._size -= len(piece)

    def _switch_to_thread(self) -> None:
        """Write by the thread from here on."""
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None
        while self._pieces:
            self._thread.enqueue(self._pieces.popleft())
        self._size = 0

    def _schedule_write(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._call_later(BATCH_SECONDS, self._on_timer)

    def _on_timer(self) -> None:
        self._is_scheduled = False
        self._write()


def _open_nonblocking(descriptor: int) -> int | None:
    """Open a pipe again for non-blocking writes; return None if it is not a pipe, or can't be opened.

    The descriptor's own flags stay unchanged: other processes with this pipe share them (proc_pid_fd(5)).
    """
    with suppress(OSError):
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK)
    return None


def split_lines(lines: bytes) -> Iterator[bytes]:
    """Split lines into pieces of whole lines, of at most `MAX_LINE` bytes. No line is longer."""
    start, end = 0, len(lines)
    while end - start > MAX_LINE:
        cut = lines.rindex(b"\n", start, start + MAX_LINE) + 1
        yield lines[start:cut]
        start = cut
    yield lines[start:]
