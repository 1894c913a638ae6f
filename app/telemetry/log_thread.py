"""Writer thread of the access log, which may block on its reader."""

import math
import os
import select
import stat
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Final

COLLECTED: Final = 0.05  # seconds for which pieces are collected: waking up costs as much as some requests


class Writer:
    """Writer of pieces to a descriptor, in a thread that starts with the first piece.

    `report` is called with the reason if writing has failed; nothing more is written then.
    """

    def __init__(self, descriptor: int, report: Callable[[str], None]) -> None:
        self._descriptor = descriptor
        self._report = report
        mode = os.fstat(descriptor).st_mode
        self._takes_any_length = stat.S_ISREG(mode) or stat.S_ISCHR(mode)  # in one piece, even with other writers
        self._put = 0  # bytes; written by the loop's thread only
        self._done = 0.0  # bytes written; updated by the writer thread only
        self._pieces: SimpleQueue[bytes] = SimpleQueue()  # an empty piece is the last
        self._ends = Event()
        self._thread: Thread | None = None

    @property
    def left(self) -> float:
        """Number of bytes still to be written; infinity if writing has failed."""
        return self._put - self._done

    def put(self, piece: bytes) -> None:
        """Append a piece, which must not be empty."""
        self._put += len(piece)
        self._pieces.put(piece)
        if self._thread is None:
            # A daemon thread, so that a blocked write does not keep the worker from exiting.
            self._thread = Thread(target=self._write, name="access log", daemon=True)
            self._thread.start()

    def close(self, seconds: float) -> None:
        """Write the remaining pieces, for at most `seconds`."""
        self._pieces.put(b"")
        self._ends.set()
        if self._thread is not None:
            self._thread.join(seconds)

    def _write(self) -> None:
        try:
            while (pieces := self._collected())[-1]:
                self._write_pieces(pieces)
            self._write_pieces(pieces)
        except OSError as error:
            self._done = -math.inf
            self._report(f"failed to write the access log to stdout: {error.strerror}; access log stopped")

    def _collected(self) -> list[bytes]:
        """Wait for a piece, then collect more for a short time."""
        pieces = [self._pieces.get()]
        self._ends.wait(COLLECTED)
        with suppress(Empty):
            while True:
                pieces.append(self._pieces.get_nowait())
        return pieces

    def _write_pieces(self, pieces: list[bytes]) -> None:
        for piece in [b"".join(pieces)] if self._takes_any_length else pieces:
            self._write_piece(piece)
            self._done += len(piece)

    def _write_piece(self, piece: bytes) -> None:
        while piece:
            try:
                piece = piece[os.write(self._descriptor, piece) :]
            except BlockingIOError:  # another process that shares the descriptor has made it non-blocking
                select.select([], [self._descriptor], [])
