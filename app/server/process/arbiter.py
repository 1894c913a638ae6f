"""gunicorn arbiter that survives failed worker starts and suspensions.

gunicorn's own exits if it can't start a worker, and kills all workers as hung after the machine was suspended. Its
reload by SIGHUP is disabled: settings are read at startup, and changed certificates are read again without it.
"""

import os
import signal
import sys
import time
from typing import Any, Final

from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer

from app.server.process import signals

# Seconds between two checks for hung workers, normally one second apart, above which this process was suspended.
_SUSPEND_THRESHOLD: Final = 5.0
# Seconds before a failed start of a worker is retried.
_RETRY_DELAY: Final = 1.0


class EchoArbiter(Arbiter):  # type: ignore[misc]  # gunicorn has no types
    """Keeps the configured number of workers."""

    def __init__(self, app: Any) -> None:
        self._retry_at = 0.0  # earliest time to start a worker, by the monotonic clock
        self._checked_at = self._hang_grace_until = time.monotonic()
        super().__init__(app)

    def init_signals(self) -> None:
        """Install signal handlers, except for signals that are ignored since startup; called by gunicorn."""
        self.SIGNALS = [number for number in Arbiter.SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        super().init_signals()

    def handle_hup(self) -> None:
        """Shut down if the terminal was closed, else do nothing; called by gunicorn.

        A server that nobody sees any more would occupy its ports.
        """
        if not signals.has_terminal():
            raise StopIteration  # gunicorn's own handlers exit in this way

    def murder_workers(self) -> None:
        """Kill hung workers; called by gunicorn.

        If all processes were suspended, as in a paused container, workers have the timeout again for a heartbeat:
        otherwise every request in flight would be lost on resumption.
        """
        now = time.monotonic()
        if now - self._checked_at > _SUSPEND_THRESHOLD:
            self._hang_grace_until = now + self.timeout
        self._checked_at = now
        if now >= self._hang_grace_until:
            super().murder_workers()

    def manage_workers(self) -> None:
        """Replace workers that have exited; called by gunicorn."""
        for _ in range(self.num_workers - len(self.WORKERS)):
            if time.monotonic() >= self._retry_at:
                self.spawn_worker()

    def spawn_worker(self) -> None:
        """Start one more worker; called by gunicorn.

        If that fails, for lack of processes, files or memory, the workers that serve go on, and it is retried.
        """
        try:
            super().spawn_worker()
        except (OSError, HaltServer) as error:
            if os.getpid() != self.pid or not self.has_accepting_worker():
                raise
            reason = error.reason if isinstance(error, HaltServer) else error
            self.log.error("failed to start a worker: %s; retrying in %gs", reason, _RETRY_DELAY)  # noqa: TRY400 - a traceback would say nothing more
            self.app.telemetry.release_worker_slot(self.worker_age)
            self._retry_at = time.monotonic() + _RETRY_DELAY

    def has_accepting_worker(self) -> bool:
        """Return whether any worker accepts connections."""
        return any(worker.status.accepting for worker in self.WORKERS.values())


def run(app: Any) -> None:
    """Serve until stopped; exits by `SystemExit`."""
    try:
        EchoArbiter(app).run()
    except RuntimeError as error:
        sys.exit(f"echo: {error}")
