"""What the carrier tells of its requests and connections, counted and logged."""

from app.answered import Answered
from app.telemetry.access_log import AccessLog
from app.telemetry.facts import about_of
from app.telemetry.families import METHODS, OTHER, REFUSAL
from app.telemetry.lines import Lines
from app.telemetry.spans import Spans
from app.telemetry.tally import Tally


class Watch:
    """Watches the connections of one worker: counts into its tally, and writes lines, where there is a log."""

    def __init__(
        self,
        tally: Tally,
        log: AccessLog | None = None,
        lines: Lines | None = None,
        spans: Spans | None = None,
    ) -> None:
        self.tally = tally
        self._log = log
        self._lines = lines
        self._spans = spans

    def connected(self) -> None:
        """Count a connection."""
        self.tally.connections += 1

    def received(self, size: int) -> None:
        """Count bytes that came."""
        self.tally.received += size

    def sent(self, size: int) -> None:
        """Count bytes that were sent."""
        self.tally.sent += size

    def refused(self, reason: str) -> None:
        """Count a refusal; the reason is a word of ours."""
        self.tally.refused(reason)

    def answered(self, answered: Answered) -> None:
        """Count a request that was answered, log it, and make its span."""
        request, about = answered.request, about_of(answered)
        form = about.form if about else REFUSAL
        protocol = answered.protocol or request.version
        method = METHODS.get(request.method, OTHER)
        self.tally.answered((method, answered.status[0], protocol, form), answered.seconds)
        if self._log is not None and self._lines is not None:
            self._lines.put(self._log.line(answered))
        if self._spans is not None:
            self._spans.record(answered)

    def close(self, seconds: float) -> None:
        """Write what is still to be logged, for so many seconds at most."""
        if self._lines is not None:
            self._lines.close(seconds)

    @property
    def dropped(self) -> int:
        """How many lines of the log nobody has read in time."""
        return self._lines.dropped if self._lines else 0
