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

BATCH_SECONDS: Final = 0.05  # seconds for which pieces are collected: waking up costs as much as some requests


class WriterThread:
    """Writer of pieces to a descriptor, in a thread that starts with the first piece.

    `report` is called with the reason if writing has failed; nothing more is written then.
    """

    def __init__(self, descriptor: int, report: Callable[[str], None]) -> None:
        self._descriptor = descriptor
        self._report = report
        mode = os.fstat(descriptor).st_mode
        self._is_atomic = stat.S_ISREG(mode) or stat.S_ISCHR(mode)  # in one piece, even with other writers
        self._queued_bytes = 0  # bytes; written by the loop's thread only
        self._written_bytes = 0.0  # bytes written; updated by the writer thread only
        self._pieces: SimpleQueue[bytes] = SimpleQueue()  # an empty piece is the last
        self._closing = Event()
        self._thread: Thread | None = None

    @property
    def pending_bytes(self) -> float:
        """Number of bytes still to be written; infinity if writing has failed."""
        return self._queued_bytes - self._written_bytes

    def enqueue(self, piece: bytes) -> None:
        """Append a piece, which must not be empty."""
        self._queued_bytes += len(piece)
        self._pieces.put(piece)
        if self._thread is None:
            # A daemon thread, so that a blocked write does not keep the worker from exiting.
            self._thread = Thread(target=self._run, name="access log", daemon=True)
            self._thread.start()

    def close(self, seconds: float) -> None:
        """Write the remaining pieces, for at most `seconds`."""
        self._pieces.put(b"")
        self._closing.set()
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        try:
            while (pieces := self._collect_pieces())[-1]:
                self._write_pieces(pieces)
            self._write_pieces(pieces)
        except OSError as error:
            self._written_bytes = -math.inf
            self._report(f"failed to write the access log to stdout: {error.strerror}; access log stopped")

    def _collect_pieces(self) -> list[bytes]:
        """Wait for a piece, then collect more for a short time."""
        pieces = [self._pieces.get()]
        self._closing.wait(BATCH_SECONDS)
        with suppress(Empty):
            while True:
                pieces.append(self._pieces.get_nowait())
        return pieces

    def _write_pieces(self, pieces: list[bytes]) -> None:
        for piece in [b"".join(pieces)] if self._is_atomic else pieces:
            self._write_piece(piece)
            self._written_bytes += len(piece)

    def _write_piece(self, piece: bytes) -> None:
        while piece:
            try:
                piece = piece[os.write(self._descriptor, piece) :]
            except BlockingIOError:  # another process that shares the descriptor has made it non-blocking
                select.select([], [self._descriptor], [])
