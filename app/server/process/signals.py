"""Signals before anybody serves, and those that say nothing here.

At the start, and in a worker until it serves, there is nothing to finish yet: each that asks for the end ends it. From
the fork until it sets its own handlers, a worker has the arbiter's, and they only queue: a SIGTERM would be lost, and
the stop would take all of the drain time.
"""

import os
import signal
from types import FrameType
from typing import Final

ENDS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
# What gunicorn has for log files, another number of workers and another program, none of which is so here.
UNUSED: Final = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGTTIN, signal.SIGTTOU)
_RELOADS: Final = (signal.SIGHUP,)


def begin() -> None:
    """Let a stop during the start end it, with exit code 0, and a reload wait until somebody takes it.

    The first process of a container is sent no signal that it has no handler for (pid_namespaces(7)): a stop would be
    lost.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _RELOADS)
    end_at_once()


def take_reloads() -> None:
    """Let a reload come now that is taken, and one that came during the start."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _RELOADS)


def ignore_unused() -> None:
    """Let nothing happen to a worker by what is for the arbiter, or for nobody: sent to all, each would end it."""
    for number in (*_RELOADS, *UNUSED):
        signal.signal(number, signal.SIG_IGN)


def ends_with_terminal() -> bool:
    """Tell whether a SIGHUP may say that the terminal is closed: there is one, and nohup(1) has not been asked for."""
    return signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN and has_terminal()


def has_terminal() -> bool:
    """Tell whether this process has a controlling terminal, which is open still (tty(4))."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


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
