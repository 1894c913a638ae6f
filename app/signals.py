"""Signals before a worker serves: there is nothing to finish yet, so each that asks for the end ends it.

From the fork until it sets its own handlers, a worker has the arbiter's, and they only queue: a SIGTERM would be lost,
and the stop would take all of the drain time.
"""

import os
import signal
from types import FrameType
from typing import Final

ENDS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


def end_at_once() -> None:
    """Let the signals that ask for the end of this process end it now, with exit code 0."""
    for number in ENDS:
        signal.signal(number, _leave)


def end_forked_at_once() -> None:
    """Let every process that is forked from this one be ended at once, from its first moment.

    Around the fork the signals are blocked, so that one which comes before the new process runs waits for it: Python
    forgets those that it was told of before it had set itself up anew (`PyOS_AfterFork_Child`).
    """
    os.register_at_fork(before=_block, after_in_parent=_unblock, after_in_child=_end_at_once_and_unblock)


def _leave(number: int, frame: FrameType | None) -> None:
    del number, frame
    os._exit(0)


def _block() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)


def _end_at_once_and_unblock() -> None:
    end_at_once()
    _unblock()
