"""The arbiter: gunicorn's, with a reload in which nothing is lost.

gunicorn's own reload ends the process by a mistake in what is read, ends the workers before others serve, waits for
their end before it takes another signal, and lets a worker that drains count as one that serves.
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

# Seconds between looks at the workers during a reload.
LOOK: Final = 0.05
# Seconds between two looks at whether workers are hung, a second apart by rights, above which this process stood still.
_STANDSTILL: Final = 5.0
# Seconds until a worker that could not be made is tried again.
_AGAIN: Final = 1.0


class Phase(enum.Enum):
    """What a reload waits for."""

    NOTHING = enum.auto()
    NEW_SERVE = enum.auto()  # then those of before are told to end
    OLD_CLOSE = enum.auto()  # then whoever connects is served by the new ones


class Supervisor(Arbiter):  # type: ignore[misc]  # gunicorn has no types
    """Keeps as many workers as there should be. Those of before a reload go on until the new ones serve."""

    def __init__(self, app: Any) -> None:
        self._at_terminal = signals.ends_with_terminal()
        self._asked = False  # a reload is to be begun
        self._phase = Phase.NOTHING
        self._makes_at = 0.0  # when a worker may be made, by the monotonic clock
        self._looked = self._patient_until = time.monotonic()
        self._outdated = 0  # workers of this age or less are of before the last reload
        super().__init__(app)

    def init_signals(self) -> None:
        """Take signals; called by gunicorn."""
        super().init_signals()
        signals.take_reloads()

    def handle_hup(self) -> None:
        """Reload as soon as nobody is left of before an earlier reload; called by gunicorn.

        Where the signal means what it is named for, end: an echo that nobody sees any more would hold its ports.
        """
        if self._at_terminal and not signals.has_terminal():
            raise StopIteration  # as gunicorn's own handlers ask for the end
        self._asked = True

    def _nothing(self) -> None:
        """Leave a signal alone that has no meaning here: the number of workers and the log are settings."""

    handle_usr1 = handle_usr2 = handle_ttin = handle_ttou = handle_winch = _nothing

    def wait_for_signals(self, timeout: float = 1.0) -> list[signal.Signals]:
        """Give the signals that have come, after so many seconds at most; called by gunicorn."""
        came: list[signal.Signals] = super().wait_for_signals(timeout if self._phase is Phase.NOTHING else LOOK)
        return came

    def murder_workers(self) -> None:
        """End workers that are hung; called by gunicorn.

        Where all stood still, as in a container that was paused, they are given the time anew to show that they live:
        else every request that was under way would be lost when it goes on.
        """
        now = time.monotonic()
        if now - self._looked > _STANDSTILL:
            self._patient_until = now + self.timeout
        self._looked = now
        if now >= self._patient_until:
            super().murder_workers()

    def manage_workers(self) -> None:
        """Go on with a reload, begin one that is asked for, see to the number of workers; called by gunicorn."""
        self._go_on()
        if self._asked and (self._fails() or not self._workers(outdated=True)):
            self._asked = False
            self._begin_reload()
        for _ in range(self.num_workers - len(self._workers(outdated=False))):
            if time.monotonic() >= self._makes_at:
                self.spawn_worker()

    def spawn_worker(self) -> None:
        """Make one more worker; called by gunicorn.

        Where that can't be, for want of processes, files or memory, those that serve go on, and it is tried again.
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
        """Tell whether any worker takes connections."""
        return any(worker.standing.serving for worker in self.WORKERS.values())

    def stop(self, graceful: bool = True) -> None:  # noqa: FBT001, FBT002 - gunicorn's own
        """End; called by gunicorn. Nobody is replaced any more: all drain within the same time."""
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
        """Tell whether new workers of a reload end instead of serving: then the next reload may be what mends them."""
        return self._phase is Phase.NEW_SERVE and self.worker_age - self._outdated > self.num_workers

    def _go_on(self) -> None:
        """Take the next step of a reload, if what it waits for is so."""
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
        """Give the workers of before a reload the drain time from now on, since another reload waits for them."""
        for worker in self._workers(outdated=True):
            if not worker.standing.awaited:
                worker.standing.awaited = True
                self.kill_worker(worker.pid, signal.SIGTERM)

    def _workers(self, *, outdated: bool) -> list[Any]:
        return [worker for worker in self.WORKERS.values() if (worker.age <= self._outdated) is outdated]


def run(app: Any) -> None:
    """Serve until stopped; leaves by `SystemExit`."""
    try:
        Supervisor(app).run()
    except RuntimeError as error:
        sys.exit(f"echo: {error}")
