"""What all workers of one echo tell of themselves: made by the arbiter, used by each worker at its own place."""

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

# Beside twice the workers that are to be there, since those before a reload end while others serve: for what is late.
_MORE_PLACES: Final = 8
# For as many there is room, whatever is set at the start: a reload may set more. Memory that is not used is none.
_WORKERS: Final = 32
# The part of the drain time for which each of log and spans is still written at the end, at most.
_LAST: Final = 0.04


class Telemetry:
    """The metrics and the log of one echo.

    The arbiter gives each worker a place before it forks it (`place`, `leave`); a worker enters its own (`enter`), and
    begins to `watch`. Gunicorn's hooks say when: https://gunicorn.org/reference/settings/#server-hooks.
    """

    def __init__(self, settings: Settings, policy: Policy) -> None:
        self._settings = settings
        self._policy = policy
        self._board = Board(2 * max(settings.workers, _WORKERS) + _MORE_PLACES)
        self._places: dict[int, int | None] = {}  # by a worker's age, which is its number
        self._place: int | None = None  # of this worker
        self._tally = Tally()
        self._dropped = 0  # lines of the log, by workers that had this place before
        self._watch: Watch | None = None
        self._sender: Sender | None = None
        self._now: Callable[[], Gauges] = Gauges

    def renew(self, settings: Settings, policy: Policy) -> None:
        """Let the workers that are forked from now on tell by these settings; what was counted stays."""
        self._settings, self._policy = settings, policy

    def place(self, worker: Any) -> None:
        """Give a worker that is about to be forked a place: without one, only itself knows what it counts."""
        self._places[worker.age] = self._board.take()

    def leave(self, age: int) -> None:
        """Free the place of the worker of this age, which has ended, or was never made."""
        place = self._places.pop(age, None)
        if place is not None:
            self._board.leave(place)

    def enter(self, worker: Any) -> None:
        """Enter this worker's place, and go on with what was counted there."""
        self._place = self._places.get(worker.age)
        if self._place is None:
            self._tally.starts += 1
            return
        self._tally = self._board.read(self._place)
        self._dropped = self._tally.dropped
        self._tally.starts += 1
        # At once: workers that end before they serve are just what this is looked at for.
        self._board.write(self._place, self._tally)

    def watch(self, later: Later, report: Callable[[str], None], now: Callable[[], Gauges]) -> Watch | None:
        """Begin to watch in this worker, if there is anything to be told; `now` gives what is so at the time."""
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
        """Begin to send spans: in each worker, and not before it is forked, since the SDK sends by a thread.

        What the SDK's own variables say is its to judge, and no reason not to serve
        (https://opentelemetry.io/docs/specs/otel/error-handling/).
        """
        try:
            return Sender(self._settings.otlp_endpoint, self._policy.identity)
        except Exception as error:  # noqa: BLE001 - whatever it raises
            report(f"invalid OTEL_* variables: {error}; sending no spans")
            return None

    def publish(self) -> None:
        """Let the other workers know what this one has counted."""
        if self._watch is None:
            return
        self._watch.tell()
        self._tally.dropped = self._dropped + self._watch.dropped
        self._tally.now = self._now()
        self._tally.now.serving = 1
        if self._place is not None:
            self._board.write(self._place, self._tally)

    def metrics(self, accept: str) -> tuple[bytes, str]:
        """Give the metrics of all workers, as an Accept field asks for, and their media type."""
        self.publish()
        tallies = self._board.all()
        if self._place is None:  # a reload has set more workers than there is room for
            tallies.append(self._tally)
        return exposed(accept, tallies, self._settings.max_connections)

    def close(self) -> None:
        """Tell what is still to be told."""
        self.publish()
        seconds = self._settings.drain_seconds * _LAST
        if self._watch is not None:
            self._watch.close(seconds)
        if self._sender is not None:
            self._sender.close(seconds)
