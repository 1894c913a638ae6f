"""Signals before a worker serves: there is nothing to finish yet, so each that asks for the end ends it."""

import os
import signal
from types import FrameType


def end_at_once() -> None:
    """Let SIGTERM, SIGINT and SIGQUIT end this process now, with exit code 0.

    A worker has the arbiter's handlers from the fork until it sets its own, and they only queue: a SIGTERM would be
    lost, and the stop would take all of the drain time.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, _leave)


def _leave(number: int, frame: FrameType | None) -> None:
    del number, frame
    os._exit(0)
