"""Lines that are written to stdout, by a thread of their own: no request waits for who reads them."""

import os
import select
from collections.abc import Callable, Iterable, Iterator
from queue import SimpleQueue
from threading import Thread
from typing import Final

# Bytes that a pipe takes in one piece (pipe(7)): the lines of several workers don't mix within it.
LONGEST: Final = 4096
_MOST: Final = 8 << 20  # bytes that may wait to be written; what is more is dropped, and counted
_BATCH: Final = 1 << 18  # bytes that are handed to the thread before their time
_SECONDS: Final = 0.05  # for which lines are collected: a wake-up of the thread costs as much as some requests

Later = Callable[[float, Callable[[], None]], object]


class Lines:
    """Writes lines to a descriptor.

    `later` calls back on the loop; `report` says why nothing is written any more. No line is longer than `LONGEST`.
    """

    def __init__(self, descriptor: int, later: Later, report: Callable[[str], None]) -> None:
        self.dropped = 0  # lines
        self._descriptor = descriptor
        self._later = later
        self._report = report
        self._lines: list[bytes] = []  # that are collected
        self._size = 0  # bytes of these
        self._handed = 0  # bytes, to the thread: written by the loop's thread alone
        self._done = 0  # bytes, by the thread: written by it alone
        self._waits = False  # there is a call to come
        self._broken = False
        self._queue: SimpleQueue[list[bytes] | None] = SimpleQueue()
        # What can't be written must not keep a worker from its end.
        self._thread = Thread(target=self._write, name="access log", daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        """Write a line, soon; drop it if too many wait already."""
        if self._broken or self._handed - self._done + self._size > _MOST:
            self.dropped += 1
            return
        self._lines.append(line)
        self._size += len(line)
        if self._size >= _BATCH:
            self._hand()
        elif not self._waits:
            self._waits = True
            self._later(_SECONDS, self._time_is_come)

    def close(self, seconds: float) -> None:
        """Write what waits, for so many seconds at most."""
        self._hand()
        self._queue.put(None)
        self._thread.join(seconds)

    def _time_is_come(self) -> None:
        self._waits = False
        self._hand()

    def _hand(self) -> None:
        if self._lines:
            self._handed += self._size
            self._queue.put(self._lines)
            self._lines, self._size = [], 0

    def _write(self) -> None:
        for lines in iter(self._queue.get, None):
            for piece in _pieces(lines):
                try:
                    self._write_whole(piece)
                except OSError as error:
                    self._broken = True
                    self._report(f"the access log can't be written to stdout: {error.strerror}; it ends here")
                    return
                self._done += len(piece)

    def _write_whole(self, piece: bytes) -> None:
        while piece:
            try:
                piece = piece[os.write(self._descriptor, piece) :]
            except BlockingIOError:  # whoever shares it has made it so
                select.select([], [self._descriptor], [])


def _pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Give whole lines together, as many as go in one piece."""
    piece = b""
    for line in lines:
        if len(piece) + len(line) > LONGEST:
            yield piece
            piece = b""
        piece += line
    yield piece
