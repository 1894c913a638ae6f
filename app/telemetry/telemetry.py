"""Telemetry of all workers: created by the arbiter, used by each worker."""

import sys
from collections.abc import Callable
from typing import Any, Final

from app.config.policy import Policy
from app.config.settings import Settings
from app.http.observer import Gauges
from app.telemetry.access_log import AccessLog
from app.telemetry.counters import Counters
from app.telemetry.exposition import encode_metrics
from app.telemetry.log_fields import LogFields
from app.telemetry.log_writer import CallLater, LogWriter
from app.telemetry.observer import AccessLogOutput, MetricsObserver
from app.telemetry.otlp import SpanExporter
from app.telemetry.shared_metrics import SharedMetrics
from app.telemetry.spans import SpanRecorder

# Fraction of the drain time for writing the log at shutdown, and again for sending spans.
_CLOSE_FRACTION: Final = 0.04


class Telemetry:
    """Metrics, access log and spans of one service.

    The arbiter reserves a slot for each worker before it forks it (`reserve_slot`) and frees it at the end
    (`release_worker_slot`). A worker opens its slot (`open_slot`) and starts to observe (`create_observer`). gunicorn's
    hooks call the first three: https://gunicorn.org/reference/settings/#server-hooks.
    """

    def __init__(self, settings: Settings, policy: Policy) -> None:
        self._settings = settings
        self._policy = policy
        # As many slots as workers: a worker is replaced after its slot has been freed.
        self._shared_metrics = SharedMetrics(settings.workers)
        self._slots: dict[int, int | None] = {}  # by worker age, which is its number
        self._slot: int | None = None  # slot of this worker
        self._counters = Counters()
        self._previous_dropped = 0  # log lines dropped by earlier workers in this slot
        self._observer: MetricsObserver | None = None
        self._exporter: SpanExporter | None = None
        self._read_gauges: Callable[[], Gauges] = Gauges

    def reserve_slot(self, worker: Any) -> None:
        """Reserve a slot for a worker about to be forked; without one, only that worker can report its counters."""
        self._slots[worker.age] = self._shared_metrics.acquire_slot()

    def release_worker_slot(self, age: int) -> None:
        """Free the slot of the worker of this age, which has exited or was never started."""
        slot = self._slots.pop(age, None)
        if slot is not None:
            self._shared_metrics.release_slot(slot)

    def open_slot(self, worker: Any) -> None:
        """Open this worker's slot and continue with the counters in it."""
        self._slot = self._slots.get(worker.age)
        if self._slot is None:
            self._counters.worker_starts += 1
            return
        self._counters = self._shared_metrics.read_slot(self._slot)
        self._previous_dropped = self._counters.dropped_lines
        self._counters.worker_starts += 1
        # Immediately: workers that exit before they serve are what this counter is for.
        self._shared_metrics.write_slot(self._slot, self._counters)

    def create_observer(
        self, call_later: CallLater, report: Callable[[str], None], read_gauges: Callable[[], Gauges]
    ) -> MetricsObserver | None:
        """Return the connection observer of this worker, or None if nothing is enabled.

        `read_gauges` returns the current gauges.
        """
        settings = self._settings
        kind = settings.access_log
        if settings.metrics == "off" and kind == "off" and not settings.otlp_endpoint:
            return None
        log_fields = LogFields(self._policy)
        log = (
            AccessLogOutput(
                AccessLog(kind, log_fields).format_lines, LogWriter(sys.stdout.fileno(), call_later, report)
            )
            if kind != "off"
            else None
        )
        self._exporter = self._start_exporter(report) if settings.otlp_endpoint else None
        spans = SpanRecorder(self._exporter.tracer, log_fields) if self._exporter else None
        self._observer, self._read_gauges = MetricsObserver(self._counters, call_later, log, spans), read_gauges
        return self._observer

    def _start_exporter(self, report: Callable[[str], None]) -> SpanExporter | None:
        """Start sending spans: in each worker after the fork, since the SDK sends by a thread.

        The SDK checks its own variables; an error in them must not prevent startup
        (https://opentelemetry.io/docs/specs/otel/error-handling/).
        """
        try:
            return SpanExporter(self._settings.otlp_endpoint, self._policy.pod_info)
        except Exception as error:  # noqa: BLE001 - whatever it raises
            report(f"invalid OTEL_* variables: {error}; sending no spans")
            return None

    def publish(self) -> None:
        """Write this worker's counters to the shared memory."""
        if self._observer is None:
            return
        self._observer.flush()
        self._counters.dropped_lines = self._previous_dropped + self._observer.dropped_lines
        self._counters.gauges = self._read_gauges()
        self._counters.gauges.serving = 1
        if self._slot is not None:
            self._shared_metrics.write_slot(self._slot, self._counters)

    def metrics(self, accept: str) -> tuple[bytes, str]:
        """Return the metrics of all workers, negotiated by an Accept header, and their media type."""
        self.publish()
        all_counters = self._shared_metrics.read_all_slots()
        if self._slot is None:
            all_counters.append(self._counters)
        return encode_metrics(accept, all_counters, self._settings.max_connections)

    def close(self) -> None:
        """Write and send the remaining telemetry."""
        self.publish()
        seconds = self._settings.drain_seconds * _CLOSE_FRACTION
        if self._observer is not None:
            self._observer.close(seconds)
        if self._exporter is not None:
            self._exporter.close(seconds)
