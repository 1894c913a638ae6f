"""Signal handlers of startup, and ignored signals.

During startup, and in a worker until it serves, there is nothing to finish yet: each stop signal exits the process at
once. From the fork until it sets its own handlers, a worker has the arbiter's, which only queue. A SIGTERM would be
lost, and the stop would take all of the drain time.
"""

import os
import signal
from types import FrameType
from typing import Final

STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
# gunicorn's signals for log files, another number of workers and another program, which are not supported here.
UNUSED_SIGNALS: Final = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGTTIN, signal.SIGTTOU)


def install_startup_handlers() -> None:
    """Make stop signals exit with code 0, and ignore unused signals and SIGHUP.

    At a terminal, SIGHUP exits as well if the terminal was closed. The kernel delivers to the first process of a
    container no signal without a handler (pid_namespaces(7)): a stop would be lost.
    """
    signal.signal(signal.SIGHUP, _exit_without_terminal if hangup_means_exit() else signal.SIG_IGN)
    for number in UNUSED_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    exit_on_stop_signals()


def hangup_means_exit() -> bool:
    """Return whether SIGHUP may mean a closed terminal: there is one, and nohup(1) is not in use."""
    return signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN and has_terminal()


def has_terminal() -> bool:
    """Return whether this process has a controlling terminal that is still open (tty(4))."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def exit_on_stop_signals() -> None:
    """Make the stop signals exit this process at once, with code 0."""
    for number in STOP_SIGNALS:
        signal.signal(number, _exit)


def exit_forks_on_stop_signals() -> None:
    """Make stop signals exit every process forked from this one at once, from its first moment.

    The signals are blocked around the fork, so that one that arrives before the new process runs waits for it. Python
    discards signals that it has recorded before it has reinitialised itself after the fork (`PyOS_AfterFork_Child`).
    """
    os.register_at_fork(
        before=_block_stop_signals,
        after_in_parent=_unblock_stop_signals,
        after_in_child=_exit_on_stop_signals_and_unblock,
    )


def _exit(number: int, frame: FrameType | None) -> None:
    del number, frame
    os._exit(0)


def _exit_without_terminal(number: int, frame: FrameType | None) -> None:
    if not has_terminal():
        _exit(number, frame)


def _block_stop_signals() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)


def _unblock_stop_signals() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def _exit_on_stop_signals_and_unblock() -> None:
    exit_on_stop_signals()
    _unblock_stop_signals()
