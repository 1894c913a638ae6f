"""Telemetry of all workers: created by the arbiter, used by each worker."""

import sys
from collections.abc import Callable
from typing import Any, Final

from app.config.policy import Policy
from app.config.settings import Settings
from app.http.observer import Gauges
from app.telemetry.access_log import AccessLog
from app.telemetry.counters import Tally
from app.telemetry.exposition import exposed
from app.telemetry.log_fields import Facts
from app.telemetry.log_writer import Later, Lines
from app.telemetry.observer import Log, Watch
from app.telemetry.otlp import Sender
from app.telemetry.shared_metrics import Board
from app.telemetry.spans import Spans

# Fraction of the drain time for writing the log at shutdown, and again for sending spans.
_LAST: Final = 0.04


class Telemetry:
    """Metrics, access log and spans of one service.

    The arbiter reserves a slot for each worker before it forks it (`place`) and frees it at the end (`leave`). A worker
    opens its slot (`enter`) and starts to observe (`watch`). gunicorn's hooks call the first three:
    https://gunicorn.org/reference/settings/#server-hooks.
    """

    def __init__(self, settings: Settings, policy: Policy) -> None:
        self._settings = settings
        self._policy = policy
        self._board = Board(settings.workers)  # enough: a worker is replaced after its slot has been freed
        self._places: dict[int, int | None] = {}  # by worker age, which is its number
        self._place: int | None = None  # slot of this worker
        self._tally = Tally()
        self._dropped = 0  # log lines dropped by earlier workers in this slot
        self._watch: Watch | None = None
        self._sender: Sender | None = None
        self._now: Callable[[], Gauges] = Gauges

    def place(self, worker: Any) -> None:
        """Reserve a slot for a worker about to be forked; without one, only that worker can report its counters."""
        self._places[worker.age] = self._board.take()

    def leave(self, age: int) -> None:
        """Free the slot of the worker of this age, which has exited or was never started."""
        place = self._places.pop(age, None)
        if place is not None:
            self._board.leave(place)

    def enter(self, worker: Any) -> None:
        """Open this worker's slot and continue with the counters in it."""
        self._place = self._places.get(worker.age)
        if self._place is None:
            self._tally.starts += 1
            return
        self._tally = self._board.read(self._place)
        self._dropped = self._tally.dropped
        self._tally.starts += 1
        # Immediately: workers that exit before they serve are what this counter is for.
        self._board.write(self._place, self._tally)

    def watch(self, later: Later, report: Callable[[str], None], now: Callable[[], Gauges]) -> Watch | None:
        """Return the connection observer of this worker, or None if nothing is enabled.

        `now` returns the current gauges.
        """
        settings = self._settings
        kind = settings.access_log
        if settings.metrics == "off" and kind == "off" and not settings.otlp_endpoint:
            return None
        facts = Facts(self._policy)
        log = Log(AccessLog(kind, facts).lines, Lines(sys.stdout.fileno(), later, report)) if kind != "off" else None
        self._sender = self._sends(report) if settings.otlp_endpoint else None
        spans = Spans(self._sender.tracer, facts) if self._sender else None
        self._watch, self._now = Watch(self._tally, later, log, spans), now
        return self._watch

    def _sends(self, report: Callable[[str], None]) -> Sender | None:
        """Start sending spans: in each worker after the fork, since the SDK sends by a thread.

        The SDK checks its own variables; an error in them must not prevent startup
        (https://opentelemetry.io/docs/specs/otel/error-handling/).
        """
        try:
            return Sender(self._settings.otlp_endpoint, self._policy.identity)
        except Exception as error:  # noqa: BLE001 - whatever it raises
            report(f"invalid OTEL_* variables: {error}; sending no spans")
            return None

    def publish(self) -> None:
        """Write this worker's counters to the shared memory."""
        if self._watch is None:
            return
        self._watch.tell()
        self._tally.dropped = self._dropped + self._watch.dropped
        self._tally.now = self._now()
        self._tally.now.serving = 1
        if self._place is not None:
            self._board.write(self._place, self._tally)

    def metrics(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics of all workers, negotiated by an Accept header, and their media type."""
        self.publish()
        tallies = self._board.all()
        if self._place is None:
            tallies.append(self._tally)
        return exposed(accept, tallies, self._settings.max_connections)

    def close(self) -> None:
        """Write and send the remaining telemetry."""
        self.publish()
        seconds = self._settings.drain_seconds * _LAST
        if self._watch is not None:
            self._watch.close(seconds)
        if self._sender is not None:
            self._sender.close(seconds)
