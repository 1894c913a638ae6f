"""gunicorn arbiter with a reload that loses no request.

gunicorn's own reload exits the process on an error in the new configuration, stops the workers before others serve,
waits for their exit before it handles another signal, and counts a draining worker as one that serves.
"""

import enum
import os
import signal
import sys
import time
from typing import Any, Final

from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer

from app.server.process import signals

# Seconds between checks of the workers during a reload.
LOOK: Final = 0.05
# Seconds between two checks for hung workers, normally one second apart, above which this process was suspended.
_STANDSTILL: Final = 5.0
# Seconds before a failed start of a worker is retried.
_AGAIN: Final = 1.0


class Phase(enum.Enum):
    """What a reload waits for."""

    NOTHING = enum.auto()
    NEW_SERVE = enum.auto()  # then the previous ones are stopped
    OLD_CLOSE = enum.auto()  # then new connections are served by the new ones


class Supervisor(Arbiter):  # type: ignore[misc]  # gunicorn has no types
    """Keeps the configured number of workers. During a reload the previous ones serve until the new ones do."""

    def __init__(self, app: Any) -> None:
        self._at_terminal = signals.ends_with_terminal()
        self._asked = False  # a reload is requested
        self._phase = Phase.NOTHING
        self._makes_at = 0.0  # earliest time to start a worker, by the monotonic clock
        self._looked = self._patient_until = time.monotonic()
        self._outdated = 0  # workers of this age or less were started before the last reload
        super().__init__(app)

    def init_signals(self) -> None:
        """Install signal handlers; called by gunicorn."""
        super().init_signals()
        signals.take_reloads()

    def handle_hup(self) -> None:
        """Reload as soon as no worker from before an earlier reload is left; called by gunicorn.

        If the signal means that the terminal was closed, exit: a server that nobody sees any more would occupy its
        ports.
        """
        if self._at_terminal and not signals.has_terminal():
            raise StopIteration  # gunicorn's own handlers exit in this way
        self._asked = True

    def _nothing(self) -> None:
        """Ignore a signal that has no meaning here: the number of workers and the log are settings."""

    handle_usr1 = handle_usr2 = handle_ttin = handle_ttou = handle_winch = _nothing

    def wait_for_signals(self, timeout: float = 1.0) -> list[signal.Signals]:
        """Return the received signals, after `timeout` seconds at most; called by gunicorn."""
        came: list[signal.Signals] = super().wait_for_signals(timeout if self._phase is Phase.NOTHING else LOOK)
        return came

    def murder_workers(self) -> None:
        """Kill hung workers; called by gunicorn.

        If all processes were suspended, as in a paused container, workers have the timeout again for a heartbeat:
        otherwise every request in flight would be lost on resumption.
        """
        now = time.monotonic()
        if now - self._looked > _STANDSTILL:
            self._patient_until = now + self.timeout
        self._looked = now
        if now >= self._patient_until:
            super().murder_workers()

    def manage_workers(self) -> None:
        """Continue a reload, start a requested one, maintain the number of workers; called by gunicorn."""
        self._go_on()
        if self._asked and (self._fails() or not self._workers(outdated=True)):
            self._asked = False
            self._begin_reload()
        for _ in range(self.num_workers - len(self._workers(outdated=False))):
            if time.monotonic() >= self._makes_at:
                self.spawn_worker()

    def spawn_worker(self) -> None:
        """Start one more worker; called by gunicorn.

        If that fails, for lack of processes, files or memory, the workers that serve go on, and it is retried.
        """
        try:
            super().spawn_worker()
        except (OSError, HaltServer) as error:
            if os.getpid() != self.pid or not self.somebody_serves():
                raise
            reason = error.reason if isinstance(error, HaltServer) else error
            self.log.error("failed to start a worker: %s; retrying in %gs", reason, _AGAIN)  # noqa: TRY400 - where it came to is no matter
            self.app.telemetry.leave(self.worker_age)
            self._makes_at = time.monotonic() + _AGAIN

    def somebody_serves(self) -> bool:
        """Return whether any worker accepts connections."""
        return any(worker.standing.serving for worker in self.WORKERS.values())

    def stop(self, graceful: bool = True) -> None:  # noqa: FBT001, FBT002 - gunicorn's own
        """Stop; called by gunicorn. No worker counts as replaced any more: all drain within the same time."""
        for worker in self.WORKERS.values():
            worker.standing.replaced = False
        super().stop(graceful)

    def _begin_reload(self) -> None:
        failed = self._workers(outdated=False) if self._phase is Phase.NEW_SERVE else []
        if self.app.reread():
            for worker in failed:
                worker.standing.replaced = True
                self.kill_worker(worker.pid, signal.SIGTERM)
            self.num_workers = self.cfg.workers
            self._outdated = self.worker_age
            self._phase = Phase.NEW_SERVE

    def _fails(self) -> bool:
        """Return whether new workers of a reload exit instead of serving: the next reload may fix that."""
        return self._phase is Phase.NEW_SERVE and self.worker_age - self._outdated > self.num_workers

    def _go_on(self) -> None:
        """Take the next step of a reload, if its condition is met."""
        outdated, current = self._workers(outdated=True), self._workers(outdated=False)
        if self._phase is Phase.NEW_SERVE and sum(each.standing.serving for each in current) >= self.num_workers:
            self._phase = Phase.OLD_CLOSE
            for worker in outdated:
                worker.standing.replaced = True
                self.kill_worker(worker.pid, signal.SIGTERM)
        elif self._phase is Phase.OLD_CLOSE and not any(each.standing.serving for each in outdated):
            self._phase = Phase.NOTHING
            self.app.reloaded()
        if self._asked and self._phase is Phase.NOTHING:
            self._await_outdated()

    def _await_outdated(self) -> None:
        """Limit workers from before a reload to the drain time from now on, because another reload waits for them."""
        for worker in self._workers(outdated=True):
            if not worker.standing.awaited:
                worker.standing.awaited = True
                self.kill_worker(worker.pid, signal.SIGTERM)

    def _workers(self, *, outdated: bool) -> list[Any]:
        return [worker for worker in self.WORKERS.values() if (worker.age <= self._outdated) is outdated]


def run(app: Any) -> None:
    """Serve until stopped; exits by `SystemExit`."""
    try:
        Supervisor(app).run()
    except RuntimeError as error:
        sys.exit(f"echo: {error}")
