"""Steps of a reload, with simulated workers."""

import signal
import time
from itertools import count
from typing import Any

import pytest
from gunicorn.config import Config

from app.server.process.arbiter import Supervisor
from app.server.process.worker_status import Standing


class Worker:
    """A worker as the arbiter sees it."""

    def __init__(self, age: int) -> None:
        self.age = self.pid = age
        self.standing = Standing()
        self.tmp = self
        self.seen = time.monotonic()
        self.aborted = False

    def last_update(self) -> float:
        """Return the time of its last heartbeat."""
        return self.seen


class App:
    """An echo whose settings can be read again successfully, or not."""

    def __init__(self) -> None:
        self.cfg = Config()
        self.good = True
        self.told: list[str] = []

    def reread(self) -> bool:
        """Read the settings."""
        self.told.append("read")
        return self.good

    def reloaded(self) -> None:
        """Record the reload."""
        self.told.append("reloaded")


class Planned(Supervisor):
    """A supervisor that forks nothing: process IDs are ages, and signals are only recorded."""

    def __init__(self) -> None:
        self.app = App()
        super().__init__(self.app)
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

    def serves(self, *pids: int) -> None:
        """Mark workers as accepting connections, and run a turn."""
        for pid in pids:
            self.WORKERS[pid].standing.serving = True
        self.manage_workers()

    def closes(self, pid: int) -> None:
        """Mark a worker as accepting no connections, and run a turn."""
        self.WORKERS[pid].standing.serving = False
        self.manage_workers()

    def ends(self, pid: int) -> None:
        """Remove a worker, and run a turn."""
        del self.WORKERS[pid]
        self.manage_workers()

    def hup(self) -> None:
        """Handle SIGHUP, and run a turn."""
        self.handle_hup()
        self.manage_workers()


@pytest.fixture
def arbiter(monkeypatch: pytest.MonkeyPatch) -> Planned:
    """Return an arbiter with a worker that serves."""
    monkeypatch.setenv("SERVER_SOFTWARE", "")  # gunicorn sets it
    monkeypatch.setattr("app.server.process.signals.has_terminal", lambda: False)
    made = Planned()
    made.manage_workers()
    made.serves(1)
    return made


def state(arbiter: Any) -> tuple[list[int], list[tuple[int, signal.Signals]], list[str]]:
    """Return the workers, the signals sent, and the actions recorded."""
    return list(arbiter.WORKERS), arbiter.sent, arbiter.app.told


def test_the_new_serve_before_the_old_end(arbiter: Planned) -> None:
    """Old workers end after new ones serve.

    The reload is reported when old ones accept no connections, though they may still send responses.
    """
    arbiter.hup()
    assert state(arbiter) == ([1, 2], [], ["read"])
    arbiter.serves(2)
    assert state(arbiter) == ([1, 2], [(1, signal.SIGTERM)], ["read"])
    assert (arbiter.WORKERS[1].standing.replaced, arbiter.WORKERS[1].standing.awaited) == (True, False)
    arbiter.closes(1)
    assert state(arbiter) == ([1, 2], [(1, signal.SIGTERM)], ["read", "reloaded"])
    arbiter.ends(1)
    assert state(arbiter) == ([2], [(1, signal.SIGTERM)], ["read", "reloaded"])


def test_a_mistake_replaces_nobody(arbiter: Planned) -> None:
    """A reload with a mistake replaces no worker, and the next reload is like the first."""
    arbiter.app.good = False
    arbiter.hup()
    assert state(arbiter) == ([1], [], ["read"])
    arbiter.app.good = True
    arbiter.hup()
    assert state(arbiter) == ([1, 2], [], ["read", "read"])


def test_a_new_one_that_dies_is_replaced_first(arbiter: Planned) -> None:
    """If a new worker dies, the old one continues until another new one serves."""
    arbiter.hup()
    arbiter.ends(2)
    assert state(arbiter) == ([1, 3], [], ["read"])
    arbiter.serves(3)
    assert arbiter.sent == [(1, signal.SIGTERM)]


def test_a_reload_that_mends_does_not_wait_for_one_that_fails(arbiter: Planned) -> None:
    """A reload that fixes a mistake ends the failing workers, and does not wait for them.

    New workers that end before they serve would never let the old ones end.
    """
    arbiter.app.cfg.set("workers", 2)
    arbiter.hup()
    arbiter.serves(2)
    arbiter.ends(3)
    arbiter.app.good = False
    arbiter.hup()
    assert state(arbiter) == ([1, 2, 4], [], ["read", "read"]), "a mistake is no mend"
    arbiter.app.good = True
    arbiter.hup()
    assert state(arbiter) == ([1, 2, 4, 5, 6], [(pid, signal.SIGTERM) for pid in (2, 4)], ["read"] * 3)
    arbiter.ends(2)
    arbiter.ends(4)
    assert 1 not in [pid for pid, _ in arbiter.sent], "it serves until others do"
    arbiter.serves(5, 6)
    assert arbiter.sent[2:] == [(1, signal.SIGTERM)]


def test_an_old_one_does_not_count_for_a_new_one(arbiter: Planned) -> None:
    """While an old worker drains, a new one that dies is replaced at once."""
    arbiter.hup()
    arbiter.serves(2)
    arbiter.ends(2)
    assert list(arbiter.WORKERS) == [1, 3]


def test_the_number_of_workers_is_read_anew(arbiter: Planned) -> None:
    """A reload applies the number of workers, higher or lower."""
    arbiter.app.cfg.set("workers", 3)
    arbiter.hup()
    assert list(arbiter.WORKERS) == [1, 2, 3, 4]
    arbiter.serves(2, 3)
    assert arbiter.sent == [], "one of three is missing"
    arbiter.serves(4)
    arbiter.ends(1)
    arbiter.app.cfg.set("workers", 1)
    arbiter.hup()
    arbiter.serves(5)
    assert arbiter.sent == [(pid, signal.SIGTERM) for pid in (1, 2, 3, 4)]


def test_another_reload_waits_and_hurries(arbiter: Planned) -> None:
    """Another reload waits for the old workers, and signals them again that somebody waits.

    It starts once for all requested reloads, when they are gone.
    """
    arbiter.hup()
    arbiter.hup()
    assert state(arbiter) == ([1, 2], [], ["read"]), "not before the new ones serve"
    arbiter.serves(2)
    arbiter.closes(1)
    arbiter.hup()
    assert state(arbiter) == ([1, 2], [(1, signal.SIGTERM)] * 2, ["read", "reloaded"])
    assert (arbiter.WORKERS[1].standing.replaced, arbiter.WORKERS[1].standing.awaited) == (True, True)
    arbiter.ends(1)
    arbiter.manage_workers()
    assert state(arbiter) == ([2, 3], [(1, signal.SIGTERM)] * 2, ["read", "reloaded", "read"])


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
    arbiter.spawn_worker()
    clock.passes(arbiter.timeout, arbiter, 2)
    assert arbiter.sent == []
    clock.passes(1, arbiter, 2)
    assert arbiter.sent == [(1, signal.SIGABRT)]


def test_nobody_is_ended_for_a_time_in_which_all_stood_still(clock: Clock, arbiter: Planned) -> None:
    """No worker is ended for a time in which everything was paused, such as a container.

    One that does not continue afterwards hangs.
    """
    clock.passes(1, arbiter, 1)
    clock.now += 1000
    clock.passes(arbiter.timeout, arbiter)
    assert arbiter.sent == []
    clock.passes(1, arbiter)
    assert arbiter.sent == [(1, signal.SIGABRT)]


def test_at_a_stop_nobody_is_replaced(arbiter: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a shutdown no worker is marked as replaced.

    All drain in the same time, and none is killed at its end.
    """
    monkeypatch.setattr("gunicorn.arbiter.Arbiter.stop", lambda *_: None)
    arbiter.hup()
    arbiter.serves(2)
    assert arbiter.WORKERS[1].standing.replaced
    arbiter.stop()
    assert not arbiter.WORKERS[1].standing.replaced
