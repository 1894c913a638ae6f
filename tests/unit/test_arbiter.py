"""Decisions of the arbiter, with simulated workers."""

import signal
import time
from itertools import count

import pytest
from gunicorn.config import Config

from app.server.process.arbiter import EchoArbiter


class Worker:
    """A worker as the arbiter sees it."""

    def __init__(self, age: int) -> None:
        self.age = self.pid = age
        self.tmp = self
        self.seen = time.monotonic()
        self.aborted = False

    def last_update(self) -> float:
        """Return the time of its last heartbeat."""
        return self.seen


class App:
    """An echo as the arbiter sees it."""

    def __init__(self) -> None:
        self.cfg = Config()


class Planned(EchoArbiter):
    """An arbiter that forks nothing: process IDs are ages, and signals are only recorded."""

    def __init__(self, workers: int) -> None:
        app = App()
        app.cfg.set("workers", workers)
        super().__init__(app)
        self.WORKERS: dict[int, Worker] = {}
        self.sent: list[tuple[int, signal.Signals]] = []
        self._ages = count(1)

    def spawn_worker(self) -> None:
        """Add a worker."""
        self.worker_age = next(self._ages)
        self.WORKERS[self.worker_age] = Worker(self.worker_age)

    def kill_worker(self, pid: int, sig: signal.Signals) -> None:
        """Record a signal."""
        self.sent.append((pid, sig))


@pytest.fixture
def arbiter(monkeypatch: pytest.MonkeyPatch) -> Planned:
    """Return an arbiter with two workers."""
    monkeypatch.setenv("SERVER_SOFTWARE", "")  # gunicorn sets it
    made = Planned(workers=2)
    made.manage_workers()
    return made


def test_a_worker_that_has_exited_is_replaced(arbiter: Planned) -> None:
    """Each worker that has exited is replaced once; the others stay."""
    del arbiter.WORKERS[1]
    arbiter.manage_workers()
    arbiter.manage_workers()
    assert (list(arbiter.WORKERS), arbiter.sent) == ([2, 3], [])


class Clock:
    """The monotonic clock, and an arbiter that checks its workers once per second."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)

    def passes(self, seconds: int, arbiter: Planned, *alive: int) -> None:
        """Advance the clock; these workers send heartbeats meanwhile."""
        for _ in range(seconds):
            self.now += 1
            for age in alive:
                arbiter.WORKERS[age].seen = self.now
            arbiter.murder_workers()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the clock, before the arbiter is created."""
    return Clock(monkeypatch)


def test_a_worker_that_hangs_is_ended(clock: Clock, arbiter: Planned) -> None:
    """A worker without a heartbeat for longer than the timeout is ended; others continue."""
    clock.passes(arbiter.timeout, arbiter, 2)
    assert arbiter.sent == []
    clock.passes(1, arbiter, 2)
    assert arbiter.sent == [(1, signal.SIGABRT)]


def test_nobody_is_ended_for_a_time_in_which_all_stood_still(clock: Clock, arbiter: Planned) -> None:
    """No worker is ended for a time in which everything was paused, such as a container.

    One that does not continue afterwards hangs.
    """
    clock.passes(1, arbiter, 1, 2)
    clock.now += 1000
    clock.passes(arbiter.timeout, arbiter)
    assert arbiter.sent == []
    clock.passes(1, arbiter, 2)
    assert arbiter.sent == [(1, signal.SIGABRT)]


def test_a_hangup_shuts_down_only_if_the_terminal_was_closed(arbiter: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGHUP is ignored while the terminal is open; afterwards it is a graceful shutdown."""
    monkeypatch.setattr("app.server.process.signals.has_terminal", lambda: True)
    arbiter.handle_hup()
    arbiter.manage_workers()
    assert (list(arbiter.WORKERS), arbiter.sent) == ([1, 2], [])
    monkeypatch.setattr("app.server.process.signals.has_terminal", lambda: False)
    with pytest.raises(StopIteration):
        arbiter.handle_hup()
