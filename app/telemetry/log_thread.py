"""Pieces that are written by a thread of their own: it may wait for who reads them."""

import math
import os
import select
import stat
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Final

COLLECTED: Final = 0.05  # seconds for which pieces are collected: to wake up costs as much as some requests


class Writer:
    """Writes pieces to a descriptor. Its thread begins with the first of them.

    `report` says why nothing is written any more.
    """

    def __init__(self, descriptor: int, report: Callable[[str], None]) -> None:
        self._descriptor = descriptor
        self._report = report
        mode = os.fstat(descriptor).st_mode
        self._takes_any_length = stat.S_ISREG(mode) or stat.S_ISCHR(mode)  # in one piece, whoever else writes to it
        self._put = 0  # bytes: written by the loop's thread alone
        self._done = 0.0  # bytes, by the thread: written by it alone
        self._pieces: SimpleQueue[bytes] = SimpleQueue()  # an empty one is the last
        self._ends = Event()
        self._thread: Thread | None = None

    @property
    def left(self) -> float:
        """How many bytes are still to be written: without end, when nothing can be written any more."""
        return self._put - self._done

    def put(self, piece: bytes) -> None:
        """Write a piece, which is not empty, behind those before."""
        self._put += len(piece)
        self._pieces.put(piece)
        if self._thread is None:
            # What can't be written must not keep a worker from its end.
            self._thread = Thread(target=self._write, name="access log", daemon=True)
            self._thread.start()

    def close(self, seconds: float) -> None:
        """Write what is left, for so many seconds at most."""
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
        """Wait for a piece, then for some time for more."""
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
            except BlockingIOError:  # whoever shares it has made it so
                select.select([], [self._descriptor], [])
