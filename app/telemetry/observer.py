"""Connection observer, which counts, logs and traces requests."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from app.http.grpc_record import Called
from app.http.record import About, Answered
from app.telemetry.counters import Tally
from app.telemetry.log_writer import Later, Lines
from app.telemetry.metrics import METHODS, OTHER, REFUSAL
from app.telemetry.spans import Spans

# Finished requests that are counted and logged together. In a batch each takes a third of the time that it takes
# between two responses, with cold processor caches. A larger batch would only delay the next request.
_TOGETHER: Final = 64
_LARGE: Final = 4096  # bytes of a request head above which a record costs more memory than batching saves
_SECONDS: Final = 0.05  # maximum time in seconds until a finished request is counted and logged


class Log(NamedTuple):
    """Access log: a function that formats lines of requests, and the writer of lines."""

    of: Callable[[Sequence[Answered]], bytes]
    lines: Lines


class Watch:
    """Observer of the connections of one worker: counts into its tally, and writes to the log and traces if enabled.

    `later` schedules a callback on the loop.
    """

    def __init__(self, tally: Tally, later: Later, log: Log | None = None, spans: Spans | None = None) -> None:
        self.tally = tally
        self._later = later
        self._log = log
        self._spans = spans
        self._answered: list[Answered] = []  # finished requests, neither counted nor logged yet
        self._awaited = False  # a callback is scheduled

    def connected(self) -> None:
        """Count a connection."""
        self.tally.connections += 1

    def received(self, size: int) -> None:
        """Count received bytes."""
        self.tally.received += size

    def sent(self, size: int) -> None:
        """Count sent bytes."""
        self.tally.sent += size

    def refused(self, reason: str) -> None:
        """Count a rejection; the reason is one of a fixed list."""
        self.tally.refused(reason)

    def answered(self, answered: Answered) -> None:
        """Record the span of a finished request; count and log the request soon."""
        self._answered.append(answered)
        if self._spans is not None:
            self._spans.record(answered)
        if len(self._answered) >= _TOGETHER or answered.about is None or len(answered.request.head) > _LARGE:
            self.tell()  # without the application, the log line has the time at which it is formatted
        elif not self._awaited:
            self._awaited = True
            self._later(_SECONDS, self._time_is_come)

    def tell(self) -> None:
        """Count and log the finished requests."""
        answered, self._answered = self._answered, []
        count = self.tally.answered
        for each in answered:
            request, about = each.request, each.about
            form = about.form if isinstance(about, About) else REFUSAL
            method = METHODS.get(request.method, OTHER)
            if isinstance(about, Called):
                self.tally.called((about.method, about.ending.code))
            count((method, each.status[0], each.protocol or request.version, form), each.seconds)
        if answered and self._log is not None:
            self._log.lines.put(self._log.of(answered))

    def close(self, seconds: float) -> None:
        """Write the remaining log lines, for at most `seconds`."""
        self.tell()
        if self._log is not None:
            self._log.lines.close(seconds)

    @property
    def dropped(self) -> int:
        """Number of dropped log lines."""
        return self._log.lines.dropped if self._log else 0

    def _time_is_come(self) -> None:
        self._awaited = False
        self.tell()
