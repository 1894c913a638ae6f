"""Connection observer, which counts, logs and traces requests."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from app.http.record import GrpcResponseInfo, RequestRecord, ResponseInfo
from app.telemetry.counters import Counters
from app.telemetry.log_writer import CallLater, LogWriter
from app.telemetry.metrics import METHODS, OTHER, REJECTION_FORMAT
from app.telemetry.spans import SpanRecorder

# Finished requests that are counted and logged together. In a batch each takes a third of the time that it takes
# between two responses, with cold processor caches. A larger batch would only delay the next request.
_BATCH_SIZE: Final = 64
_LARGE_HEAD: Final = 4096  # bytes of a request head above which a record costs more memory than batching saves
_FLUSH_SECONDS: Final = 0.05  # maximum time in seconds until a finished request is counted and logged


class AccessLogOutput(NamedTuple):
    """Access log: a function that formats lines of requests, and the writer of lines."""

    format_lines: Callable[[Sequence[RequestRecord]], bytes]
    writer: LogWriter


class MetricsObserver:
    """Observer of the connections of one worker: counts into its tally, and writes to the log and traces if enabled.

    `call_later` schedules a callback on the loop.
    """

    def __init__(
        self,
        counters: Counters,
        call_later: CallLater,
        log: AccessLogOutput | None = None,
        spans: SpanRecorder | None = None,
    ) -> None:
        self.counters = counters
        self._call_later = call_later
        self._log = log
        self._spans = spans
        self._records: list[RequestRecord] = []  # finished requests, neither counted nor logged yet
        self._is_scheduled = False  # a callback is scheduled

    def record_connection(self) -> None:
        """Count a connection."""
        self.counters.connections += 1

    def record_received(self, size: int) -> None:
        """Count received bytes."""
        self.counters.received_bytes += size

    def record_sent(self, size: int) -> None:
        """Count sent bytes."""
        self.counters.sent_bytes += size

    def record_rejection(self, reason: str) -> None:
        """Count a rejection; the reason is one of a fixed list."""
        self.counters.count_rejection(reason)

    def record_request(self, record: RequestRecord) -> None:
        """Record the span of a finished request; count and log the request soon."""
        self._records.append(record)
        if self._spans is not None:
            self._spans.record_span(record)
        if len(self._records) >= _BATCH_SIZE or record.response_info is None or len(record.request.head) > _LARGE_HEAD:
            self.flush()  # without the application, the log line has the time at which it is formatted
        elif not self._is_scheduled:
            self._is_scheduled = True
            self._call_later(_FLUSH_SECONDS, self._on_timer)

    def flush(self) -> None:
        """Count and log the finished requests."""
        records, self._records = self._records, []
        count_request = self.counters.count_request
        for record in records:
            request, info = record.request, record.response_info
            format_name = info.format if isinstance(info, ResponseInfo) else REJECTION_FORMAT
            method = METHODS.get(request.method, OTHER)
            if isinstance(info, GrpcResponseInfo):
                self.counters.count_call((info.method, info.call_status.code))
            count_request((method, record.status[0], record.protocol or request.version, format_name), record.seconds)
        if records and self._log is not None:
            self._log.writer.write_lines(self._log.format_lines(records))

    def close(self, seconds: float) -> None:
        """Write the remaining log lines, for at most `seconds`."""
        self.flush()
        if self._log is not None:
            self._log.writer.close(seconds)

    @property
    def dropped_lines(self) -> int:
        """Number of dropped log lines."""
        return self._log.writer.dropped_lines if self._log else 0

    def _on_timer(self) -> None:
        self._is_scheduled = False
        self.flush()
